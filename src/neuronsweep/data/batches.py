"""The batches of an epoch, whose order is a function of (seed, epoch) alone; and the epochs of log points.

So a resumed run, a member and a DDP rank all see the batches they should.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from neuronsweep.data.dataset import Split
from neuronsweep.philox import permutation


class Batch(NamedTuple):
    """One rank's part of a batch.

    Attributes:
        share: times the part's mean loss, averaged over the ranks, it is the batch's mean loss.
        positions: of the samples in the order of the epoch, counted from 0 over all its batches and ranks.
    """

    x: Tensor
    y: Tensor
    share: float
    positions: range


def log_epochs(epochs: int, points: int) -> list[int]:
    """At most ``points`` epoch numbers spread over 1..epochs, the first and the last among them (one: the last)."""
    if points == 1:
        return [epochs]
    if points >= epochs:
        return list(range(1, epochs + 1))
    return sorted({round(1 + (epochs - 1) * i / (points - 1)) for i in range(points)})


def picture_epochs(log_epochs: Sequence[int], pictures: int | str) -> list[int]:
    """So many of the log epochs, close together at first, when most is learnt; the last is always one of them.

    ``all`` is one: that of every run of a sweep.
    """
    last = len(log_epochs)
    if isinstance(pictures, str) or pictures <= 1:
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
    return torch.from_numpy(permutation(n, seed, epoch))


def batches(
    split: Split, batch_size: int | str, seed: int, epoch: int, rank: int = 0, ranks: int = 1
) -> Iterator[Batch]:
    """One epoch's batches, or of each batch the part that belongs to one of several ranks.

    A batch of all samples keeps their order, because no step can tell.
    """
    n = len(split.x)
    lengths = sizes(n, batch_size)
    if len(lengths) == 1 and ranks == 1:
        yield Batch(split.x, split.y, 1.0, range(n))
        return
    indices = (torch.arange(n) if len(lengths) == 1 else order(n, seed, epoch)).to(split.x.device)
    start = 0
    for length in lengths:
        positions = range(start + rank, start + length, ranks)
        part = indices[start + rank : start + length : ranks]
        yield Batch(split.x[part], split.y[part], len(part) * ranks / length, positions)
        start += length
