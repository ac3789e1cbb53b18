"""The LightningDataModule of a data set, whose epochs are the passes between two log points."""

from collections.abc import Iterator
from typing import NamedTuple

import torch
from lightning.pytorch import LightningDataModule, Trainer

from neuronsweep.data.batches import Batch, batches, log_epochs, sizes
from neuronsweep.data.dataset import Dataset, Split


class Block(NamedTuple):
    """The passes over the training data between two log points: epochs first..last, counted from 1."""

    first: int
    last: int


class TensorDataModule(LightningDataModule):
    """Serves training data in blocks, each a Lightning epoch, so that Lightning costs time at log points only.

    Args:
        dataset: the splits.
        batch_size: samples of one training step, or ``full``.
        epochs: passes over the training data.
        log_points: how many of them are followed by an evaluation; see ``data.batches.log_epochs``.
        seed: of the order of the batches.
    """

    def __init__(
        self, dataset: Dataset, batch_size: int | str = "full", epochs: int = 1, log_points: int = 100, seed: int = 0
    ):
        super().__init__()
        self.dataset, self.batch_size, self.seed = dataset, batch_size, seed
        self.log_epochs = log_epochs(epochs, log_points)
        self.steps_per_epoch = len(sizes(len(dataset.splits["train"].x), batch_size))
        self.splits: dict[str, Split] = dict(dataset.splits)

    def place(self, device: torch.device, dtype: torch.dtype) -> None:
        """Put every split where and how the network computes."""
        for name, (x, y) in self.dataset.splits.items():
            self.splits[name] = Split(x.to(device, dtype), y.to(device, dtype if y.is_floating_point() else y.dtype))

    def train_dataloader(self) -> "Blocks":
        return Blocks(self.log_epochs)

    def batches(self, epoch: int) -> Iterator[Batch]:
        """This rank's part of every batch of one epoch."""
        trainer = self.trainer
        rank, ranks = (trainer.global_rank, trainer.world_size) if trainer else (0, 1)
        return batches(self.splits["train"], self.batch_size, self.seed, epoch, rank, ranks)


def data_of(trainer: Trainer) -> TensorDataModule:
    """What a trainer fits a network to."""
    return trainer.datamodule  # type: ignore[attr-defined]


class Blocks:
    """Yields one block a Lightning epoch; Lightning tells its ``sampler`` which epoch it is in, a resumed one too."""

    def __init__(self, log_epochs: list[int]):
        self.starts = [0, *log_epochs]
        self.index = 0
        self.sampler = self

    def set_epoch(self, epoch: int) -> None:
        self.index = epoch

    def __len__(self) -> int:
        return 1

    def __iter__(self) -> Iterator[Block]:
        yield Block(self.starts[self.index] + 1, self.starts[self.index + 1])
