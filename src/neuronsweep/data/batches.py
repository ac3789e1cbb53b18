"""Which samples a training step sees: a function of (seed, epoch) alone.

So a resumed run, a member and a DDP rank all see the batches they should.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from neuronsweep.data.dataset import Split


class Batch(NamedTuple):
    """One rank's part of a batch; ``share`` times its mean loss, averaged over the ranks, is the batch's mean loss."""

    x: Tensor
    y: Tensor
    share: float = 1.0


def log_epochs(epochs: int, points: int) -> list[int]:
    """At most ``points`` epoch numbers spread over 1..epochs, the first and the last among them (one: the last)."""
    if points == 1:
        return [epochs]
    if points >= epochs:
        return list(range(1, epochs + 1))
    return sorted({round(1 + (epochs - 1) * i / (points - 1)) for i in range(points)})


def picture_epochs(log_epochs: Sequence[int], pictures: int) -> list[int]:
    """So many of the log epochs, close together at first, when most is learnt; the last is always one of them."""
    last = len(log_epochs)
    if pictures == 1:
        return [log_epochs[-1]]
    if pictures >= last:
        return list(log_epochs)
    return [log_epochs[i] for i in sorted({round(last ** (k / (pictures - 1))) - 1 for k in range(pictures)})]


def sizes(n: int, batch_size: int | str) -> list[int]:
    """Sizes of the batches of one pass over n samples; a last short batch is kept."""
    size = n if batch_size == "full" else min(int(batch_size), n)
    return [min(size, n - start) for start in range(0, n, size)]


def order(n: int, seed: int, epoch: int) -> Tensor:
    """The permutation (n,) of the samples in one epoch (epochs count from 1)."""
    return torch.from_numpy(np.random.default_rng((seed, epoch)).permutation(n))


def batches(
    split: Split, batch_size: int | str, seed: int, epoch: int, rank: int = 0, ranks: int = 1
) -> Iterator[Batch]:
    """One epoch's batches, or of each batch the part that belongs to one of several ranks.

    A batch of all samples keeps their order, because no step can tell.
    """
    n = len(split.x)
    lengths = sizes(n, batch_size)
    if len(lengths) == 1 and ranks == 1:
        yield Batch(split.x, split.y)
        return
    indices = (torch.arange(n) if len(lengths) == 1 else order(n, seed, epoch)).to(split.x.device)
    for whole in indices.split(lengths):
        part = whole[rank::ranks]
        yield Batch(split.x[part], split.y[part], len(part) * ranks / len(whole))
