"""The LightningDataModule: blocks between log points, splits placed as the network computes."""

import torch

from neuronsweep.data.curves import sine
from neuronsweep.data.module import TensorDataModule


def test_blocks_cover_every_epoch_once():
    data = TensorDataModule(sine(), epochs=23, log_points=5)
    loader = data.train_dataloader()
    seen: list[int] = []
    for index in range(len(data.log_epochs)):
        loader.set_epoch(index)
        (block,) = loader
        seen += range(block.first, block.last + 1)
        assert block.last == data.log_epochs[index]
    assert seen == list(range(1, 24))


def test_splits_are_placed_in_the_networks_precision():
    data = TensorDataModule(sine())
    data.place(torch.device("cpu"), torch.float64)
    assert data.splits["train"].y.dtype == torch.float64
    assert data.dataset.splits["train"].y.dtype == torch.float32
