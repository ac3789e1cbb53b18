"""Trains one member with the native engine: allocates its arrays, calls the C code, and returns its results."""

import bisect
import ctypes
import hashlib
import itertools
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
import torch
from torch import Tensor

from neuronsweep.engine import layout
from neuronsweep.engine.description import Samples, aligned, describe, log_points
from neuronsweep.engine.member import Member, final_metrics, log_metrics, unsupported
from neuronsweep.models.mlp import initial_numbers

Metrics = dict[str, float]
FOREVER = 1e9


@dataclass
class Result:
    """The result of a member.

    Attributes:
        state: COMPLETE, FAILED (a loss is not finite; ``error`` says which and when) or PRUNED.
        history: (epoch, metrics) of every log epoch.
        metrics: all metrics of every split for the weights in ``state_dict``; empty for a FAILED member.
        state_dict: names and shapes of ``MLP``'s; the last weights or the best, as ``keep`` says.
        epoch, steps: how long the member was trained.
        moments: the weights at the epochs before the last of which a picture is wanted.
    """

    state: str
    history: list[tuple[int, Metrics]]
    metrics: Metrics
    state_dict: dict[str, Tensor]
    epoch: int
    steps: int
    error: str | None = None
    moments: dict[int, dict[str, Tensor]] = field(default_factory=dict)


class Training:
    """One member in training: call ``advance`` until it says that it is over, then ask for its ``result``.

    Args:
        member: not ``unsupported``; raises ValueError for one that is.
        samples: its data set's, in its precision.

    Raises MemoryError where its arrays or its workspace cannot be had.
    """

    def __init__(self, member: Member, samples: Samples | None = None):
        reason = unsupported(member)
        if reason:
            raise ValueError(f"this member cannot be trained natively: {reason}")
        self.member = member
        self.samples = samples or Samples(member.dataset, member.dtype)
        self.library = self.samples.library
        self.columns = log_metrics(member)
        self.log_epochs, self.moments, *_ = log_points(member.epochs, member.log_points, member.pictures)
        self.spec, self._held = describe(member, self.samples)
        splits = list(member.dataset.splits)
        # split by split, as Lightning's log points are; diagnoses follow
        self.ordered = sorted(self.columns, key=lambda name: splits.index(name.partition("/")[0]))
        sizes = (ctypes.c_int64 * 5)()
        self._check(self.library.sizes(self.spec, sizes))
        self.parameters, padded, slots, buffers, columns = sizes
        kind = np.float64 if member.dtype == torch.float64 else np.float32
        best = member.keep == "best"
        shapes: dict[str, tuple[tuple[int, ...], Any]] = {
            "counts": ((len(layout.COUNTS),), np.int64),
            "values": ((layout.VALUES,), np.float64),
            "params": ((padded,), kind),
            "slots": ((slots * padded,), kind),
            "buffers": ((buffers,), kind),
            "best": ((padded if best else 0,), kind),
            "best_buffers": ((buffers if best else 0,), kind),
            "history": ((len(self.log_epochs), columns), np.float64),
            "kept": ((len(self.moments), self.parameters + buffers), kind),
        }
        self.arrays, self._addresses = aligned(shapes)
        self.state = layout.State(**self._addresses)
        self._initialise()
        self.library.begin(self.spec, self.state, padded)

    def advance(self, stop: ctypes.c_int32 | None = None, seconds: float = FOREVER, log_point: bool = False) -> bool:
        """Train until the end, or for so many seconds, or until ``stop`` is not 0, or to the next log point.

        Returns whether training is over. Other threads run meanwhile.
        """
        stop = stop or ctypes.c_int32(0)
        if not self.over:
            self._check(self.library.advance(self.spec, self.state, stop, seconds, log_point))
        return self.over

    @property
    def over(self) -> bool:
        """Whether the last log epoch is behind it, or early stopping or a loss that is not finite has ended it."""
        return (
            self.count("logged") == len(self.log_epochs) or self.count("stopped") != 0 or self.count("bad_column") >= 0
        )

    def count(self, name: str) -> int:
        """One of engine.layout.COUNTS, such as ``epoch``, ``steps`` or ``logged``."""
        return int(self.arrays["counts"][layout.COUNTS.index(name)])

    @property
    def error(self) -> str | None:
        """Which loss is not finite and when, or None."""
        column = self.count("bad_column")
        if column < 0:
            return None
        value = float(self.arrays["history"][self.count("logged"), 1 + column])
        return f"{self.columns[column]} is {value} after epoch {self.count('epoch')}"

    @property
    def history(self) -> list[tuple[int, Metrics]]:
        """(epoch, metrics and diagnostics) of the log epochs so far."""
        return self._rows(0, self.count("logged"))

    def log_point(self, i: int) -> tuple[int, Metrics]:
        """(epoch, metrics and diagnostics) of one log epoch, counted from 0."""
        return self._rows(i, i + 1)[0]

    def _rows(self, start: int, stop: int) -> list[tuple[int, Metrics]]:
        names, columns, units = self._shown
        rows = (self.arrays["history"][start:stop, columns] * units).tolist()
        return [
            (epoch, dict(zip(names, row, strict=True)))
            for epoch, row in zip(self.log_epochs[start:stop], rows, strict=True)
        ]

    @cached_property
    def _shown(self) -> tuple[list[str], list[int], list[float]]:
        """Names of what a row of the history says, in the order of the record, its columns and their units."""
        columns = ["epoch", *self.columns, *self._diagnoses()]
        names = [*self.ordered, *filter(None, self._diagnoses())]
        units = self.member.own_units(dict.fromkeys(names, 1.0))
        return names, [columns.index(name) for name in names], [units[name] for name in names]

    def result(self, pruned: bool = False) -> Result:
        """The result of the member so far."""
        best = self.member.keep == "best" and self.count("logged") > 0 and not self.error
        params, buffers = ("best", "best_buffers") if best else ("params", "buffers")
        weights = self.arrays[params][: self.parameters], self.arrays[buffers]
        epoch = self._best_epoch() if best else self.count("epoch")
        error = self.error
        metrics: Metrics = {}
        if not error:
            metrics = self._final(self._addresses[params], self._addresses[buffers])
            wrong = next((name for name, value in metrics.items() if not math.isfinite(value)), None)
            error = f"{wrong} is {metrics[wrong]} at the end of training" if wrong else None
        state = "FAILED" if error else "PRUNED" if pruned else "COMPLETE"
        kept = zip(self.moments, self.arrays["kept"][: self.count("kept")], strict=False)
        return Result(
            state,
            self.history,
            {} if error else metrics,
            self._state_dict(*weights, epoch),
            self.count("epoch"),
            self.count("steps"),
            error,
            {epoch: self._state_dict(row[: self.parameters], row[self.parameters :], epoch) for epoch, row in kept},
        )

    def snapshot(self) -> dict[str, Tensor]:
        """Everything training continues from, as tensors."""
        arrays = {name: torch.from_numpy(array.copy()) for name, array in self.arrays.items()}
        return {**arrays, "member": self._identity()}

    def load(self, snapshot: Mapping[str, Tensor]) -> None:
        """Continue from a ``snapshot`` of the same member. Raises ValueError if it is another one's or was changed."""
        wanted = self.snapshot()
        for name, own in wanted.items():
            tensor = snapshot.get(name)
            if not isinstance(tensor, Tensor) or tensor.shape != own.shape or tensor.dtype != own.dtype:
                raise ValueError("this snapshot is of another member")
        counts = dict(zip(layout.COUNTS, snapshot["counts"].tolist(), strict=True))
        if not torch.equal(snapshot["member"], wanted["member"]) or not self._may_be(counts):
            raise ValueError("this snapshot is of another member")
        for name, array in self.arrays.items():
            array[...] = snapshot[name].numpy()

    def _identity(self) -> Tensor:
        """Digest of what decides the member's numbers."""
        names = [field.name for field in fields(Member) if field.name not in ("dataset", "time_limit")]
        values = {name: getattr(self.member, name) for name in names}
        text = json.dumps({**values, "data": self.member.dataset.digest}, sort_keys=True, default=str)
        return torch.tensor(list(hashlib.sha256(text.encode()).digest()), dtype=torch.uint8)

    def _may_be(self, counts: Mapping[str, int]) -> bool:
        """Whether training can have reached these counts, which native code uses as positions in arrays."""
        diverged = counts["bad_column"] >= 0  # at a log point that does not count as logged
        logged = max(0, bisect.bisect_right(self.log_epochs, counts["epoch"]) - diverged)
        kept = sum(epoch in self.moments for epoch in self.log_epochs[:logged])
        return (
            0 <= counts["epoch"] <= self.member.epochs
            and 0 <= counts["batch"] < self.member.steps_per_epoch
            and -1 <= counts["bad_column"] < len(self.columns)
            and (counts["logged"], counts["kept"]) == (logged, kept)
        )

    def _final(self, params: int, buffers: int) -> Metrics:
        """All metrics of every split for the weights at these addresses."""
        found = (ctypes.c_double * (layout.FINAL_METRICS * len(self.samples.splits)))()
        self._check(self.library.finish(self.spec, params, buffers, found))
        metrics = {}
        for i, split in enumerate(self.member.dataset.splits):
            for place, name in final_metrics(self.member):
                value = found[i * layout.FINAL_METRICS + place]
                if name != "r2" or self.samples.splits[i].n > 1:  # r2 of one sample is not defined
                    metrics[f"{split}/{name}"] = value
        return self.member.own_units(metrics)

    def _check(self, answer: int) -> int:
        if answer == layout.NO_MEMORY:
            raise MemoryError("there is not enough memory to train this member")
        return answer

    def _initialise(self) -> None:
        """Put torch's initial weights into the arrays, and note where each tensor of the state dict lies in them."""
        sizes, option = self.member.widths, self.member.option
        drawn = initial_numbers(sizes, option("init"), option("bias"), self.member.seed)
        self.arrays["params"][: len(drawn)] = drawn
        self._places = places(tuple(sizes), option("bias"), option("norm"))
        for name, array, at, shape in self._places:
            if name.startswith("norms") and name.endswith(("weight", "running_var")):
                self.arrays[array][at : at + shape[0]] = 1

    def _best_epoch(self) -> int:
        """Of the log epochs so far the first with the best objective, as native code keeps it."""
        choose = max if self.member.mode == "max" else min
        return choose(self.history, key=lambda point: point[1][self.member.metric])[0]

    def _state_dict(self, params: np.ndarray, buffers: np.ndarray, epoch: int) -> dict[str, Tensor]:
        arrays = {"params": params.copy(), "buffers": buffers.copy()}
        return {
            name: torch.from_numpy(arrays[array][at : at + math.prod(shape)].reshape(shape))
            if array
            else torch.tensor(epoch * self.member.steps_per_epoch)  # weights are looked at after whole epochs
            for name, array, at, shape in self._places
        }

    def _diagnoses(self) -> list[str]:
        """Names of the diagnoses in a row of the history; empty where a layer has none."""
        if not self.member.diagnostics:
            return []
        *acts, _ = self.member.acts
        layers = range(len(acts) + 1)
        kinds = {"relu": "dead", "sigmoid": "saturated", "tanh": "saturated", "hardtanh": "saturated"}
        stopped = [f"{kinds[act]}/layers.{i}" if act in kinds else "" for i, act in enumerate(acts)]
        return [f"gradient/layers.{i}" for i in layers] + [f"update/layers.{i}" for i in layers] + stopped


Place = tuple[str, str, int, tuple[int, ...]]


@lru_cache(maxsize=64)
def places(widths: tuple[int, ...], bias: bool, norm: str) -> list[Place]:
    """Of each tensor of a state dict its name, its array ("": none has it), its position there and its shape."""
    found: list[Place] = []
    ends = {"params": 0, "buffers": 0}

    def place(name: str, array: str, *shape: int) -> None:
        found.append((name, array, ends[array], shape))
        ends[array] += math.prod(shape)

    for i, (fan_in, fan_out) in enumerate(itertools.pairwise(widths)):
        place(f"layers.{i}.weight", "params", fan_out, fan_in)
        if bias:
            place(f"layers.{i}.bias", "params", fan_out)
    for i, width in enumerate(widths[1:-1] if norm != "none" else []):
        place(f"norms.{i}.weight", "params", width)
        place(f"norms.{i}.bias", "params", width)
        if norm == "batch":
            place(f"norms.{i}.running_mean", "buffers", width)
            place(f"norms.{i}.running_var", "buffers", width)
            found.append((f"norms.{i}.num_batches_tracked", "", 0, ()))
    return found
