"""The stepper: advances all members of a layout by whole epochs. The only code that knows how steps are computed."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from neuronsweep.data.batches import sizes
from neuronsweep.data.dataset import Split
from neuronsweep.population.layout import Layout, pad
from neuronsweep.population.member import Member
from neuronsweep.population.metrics import GRADIENTS, scale_of
from neuronsweep.population.network import pieces
from neuronsweep.population.optim import Optimizer
from neuronsweep.population.orders import Orders
from neuronsweep.population.schedule import Schedule

SAMPLES = 32  # a batch is padded to a multiple of this


@dataclass
class Table:
    """One split of every distinct data set: rows (S, N, K + O) of inputs, a one for the bias, zeros, and targets."""

    rows: Tensor
    n: int
    inputs: int

    def of(self, source_P: Tensor) -> Tensor:
        """The rows (P, N, K + O) of these data sets, without a copy where there is only one."""
        return self.rows.expand(len(source_P), -1, -1) if len(self.rows) == 1 else self.rows[source_P]


class Samples:
    """The data of a population, each distinct data set held once; ``source`` (M,) says whose data a member has.

    Splits are padded to a multiple of 32 samples by their first sample.
    """

    def __init__(self, members: Sequence[Member], device: torch.device):
        datasets = {member.dataset.digest: member.dataset for member in members}
        index = {digest: i for i, digest in enumerate(datasets)}
        self.source = np.array([index[member.dataset.digest] for member in members])
        first = members[0]
        self.task, self.outputs = first.task, first.dataset.outputs
        self.inputs = pad(first.dataset.inputs + 1, 4)
        self.tables = {}
        for name, split in first.dataset.splits.items():
            stacked = [self._rows(dataset.splits[name], first.dtype) for dataset in datasets.values()]
            self.tables[name] = Table(torch.stack(stacked).to(device), len(split.x), self.inputs)

    def _rows(self, split: Split, dtype: torch.dtype) -> Tensor:
        n, inputs = split.x.shape
        rows = torch.zeros(pad(n, SAMPLES), self.inputs + self.outputs, dtype=dtype)
        rows[:n, :inputs] = split.x
        rows[:n, inputs] = 1
        if self.task == "multiclass":
            rows[torch.arange(n), self.inputs + split.y] = 1
        else:
            rows[:n, self.inputs :] = split.y.reshape(n, -1)
        rows[n:] = rows[:1]
        return rows


class Stepper:
    """Trains the members of a layout, eagerly, one step of all of them at a time.

    Args:
        samples: the data of all members of the population.
        ids: which member of the population each member of the layout is.
        optimizer: holds parameters and gradients of the layout.
    """

    def __init__(self, layout: Layout, samples: Samples, ids: Sequence[int], optimizer: Optimizer):
        self.layout, self.optimizer = layout, optimizer
        members = layout.standing
        self.positions = np.array([ids[i] for i in layout.order])
        table = samples.tables["train"]
        device = table.rows.device
        self.lengths = sizes(table.n, members[0].batch_size)
        self.batch = pad(self.lengths[0], SAMPLES)
        self.gradient = GRADIENTS[samples.task]
        self.scales = [
            scale_of(samples.task, length, self.batch, samples.outputs, table.rows) for length in self.lengths
        ]
        source_P = torch.from_numpy(samples.source[self.positions])
        self.full = len(self.lengths) == 1
        if self.full:
            self.batch_PNC = table.of(source_P.to(device))
        else:
            self.flat = table.rows.flatten(0, 1)
            # members of one seed and one data set see the same batches: each pair is gathered once
            pairs = [(member.seed, int(s)) for member, s in zip(members, source_P, strict=True)]
            streams = {pair: i for i, pair in enumerate(dict.fromkeys(pairs))}
            seeds = {seed: i for i, seed in enumerate(dict.fromkeys(seed for seed, _ in streams))}
            self.orders = Orders(table.n, list(seeds))
            self.seed_S = torch.tensor([seeds[seed] for seed, _ in streams])
            self.offset_S1 = torch.tensor([s * table.rows.shape[1] for _, s in streams]).view(-1, 1)
            self.stream_P = torch.tensor([streams[pair] for pair in pairs], device=device)
            shape = (self.batch, table.rows.shape[2])
            self.batch_SNC = torch.empty(len(streams), *shape, dtype=table.rows.dtype, device=device)
            shared = len(streams) < len(members)
            self.batch_PNC = table.rows.new_empty(len(members), *shape) if shared else self.batch_SNC
            # where in an epoch's order each place of each batch comes from; a short batch is padded by its first sample
            starts = np.cumsum([0, *self.lengths[:-1]])
            places = [
                np.where(np.arange(self.batch) < length, start + np.arange(self.batch), start)
                for start, length in zip(starts, self.lengths, strict=True)
            ]
            self.places = torch.from_numpy(np.concatenate(places))
        self.pieces = pieces(layout, self.batch_PNC, table.inputs, optimizer.params, optimizer.gradients)

    def advance(self, first: int, last: int, schedule: Schedule, before: Tensor | None = None) -> None:
        """Train epochs first..last (counted from 1), stepping the schedule after each.

        ``before`` is overwritten by the flat parameters as they are before the very last step.
        """
        for epoch in range(first, last + 1):
            self.optimizer.set_rates(schedule.rates[self.positions], len(self.lengths))
            keep_at = len(self.lengths) - 1 if before is not None and epoch == last else None
            if self.full:
                if before is not None and keep_at == 0:
                    before.copy_(self.optimizer.params)
                self._step(self.scales[0])
            else:
                for step, (index_B, scale) in enumerate(zip(self._orders(epoch), self.scales, strict=True)):
                    if before is not None and keep_at == step:
                        before.copy_(self.optimizer.params)
                    torch.index_select(self.flat, 0, index_B, out=self.batch_SNC.flatten(0, 1))
                    if self.batch_PNC is not self.batch_SNC:
                        torch.index_select(self.batch_SNC, 0, self.stream_P, out=self.batch_PNC)
                    self._step(scale)
            schedule.end_epoch()

    def _orders(self, epoch: int) -> Tensor:
        """Rows of the data for every step of an epoch (steps, S * N)."""
        index_SB = self.orders(epoch).index_select(0, self.seed_S).index_select(1, self.places)
        index_SB.add_(self.offset_S1)
        steps = len(self.lengths)
        return index_SB.view(len(index_SB), steps, -1).transpose(0, 1).reshape(steps, -1).to(self.flat.device)

    def _step(self, scale_NO: Tensor) -> None:
        for piece in self.pieces:
            self.gradient(piece.forward(), piece.y_PNO, scale_NO, piece.g_PNO)
            piece.backward()
        self.optimizer.step()
