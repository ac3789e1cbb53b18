"""What is learnt: data sets as tensors (dataset, curves, planes), the order of their batches, and the LightningDataModule."""
