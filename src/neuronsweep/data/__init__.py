"""What is learnt: data sets as tensors (dataset, curves, planes), their batches, and the LightningDataModule."""
