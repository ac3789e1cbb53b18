"""Data sets as tensors, the order of their batches, and the LightningDataModule."""
