"""Trains one member in native code: its arrays, its slices of training, its result."""

import bisect
import ctypes
import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from neuronsweep.data.batches import log_epochs, picture_epochs
from neuronsweep.data.dataset import Dataset
from neuronsweep.engine import layout
from neuronsweep.engine.library import library
from neuronsweep.engine.member import Member, final_metrics, log_metrics, numbers, unsupported
from neuronsweep.models.mlp import initial_weights

Metrics = dict[str, float]
FOREVER = 1e9


@dataclass
class Result:
    """What became of a member.

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


class Samples:
    """The splits of a data set as native code reads them; members that share data share the object."""

    def __init__(self, dataset: Dataset, dtype: torch.dtype):
        self.library = library(64 if dtype == torch.float64 else 32)
        layout.declare(self.library)
        kind = np.float64 if dtype == torch.float64 else np.float32
        tile = self.library.tile_samples()
        self.arrays: list[np.ndarray] = []
        self.splits = (layout.Split * len(dataset.splits))()
        for split, (x, y) in zip(self.splits, dataset.splits.values(), strict=True):
            split.n = len(x)
            for name, tensor in (("x", x), ("y", y)):
                values = np.ascontiguousarray(tensor.reshape(len(x), -1).numpy(), dtype=kind)
                tiled = _aligned(-(-len(x) // tile) * tile * values.shape[1], kind)
                self.library.fill_tiles(len(x), values.shape[1], _address(values), _address(tiled))
                self.arrays += [values, tiled]
                setattr(split, name, _address(values))
                setattr(split, f"tiled_{name}", _address(tiled))


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
        self.log_epochs = log_epochs(member.epochs, member.log_points)
        self.columns = log_metrics(member)
        self.kind = np.float64 if member.dtype == torch.float64 else np.float32
        self.spec = self._spec()
        sizes = (ctypes.c_int64 * 5)()
        self._check(self.library.sizes(self.spec, sizes))
        self.parameters, self.padded, slots, self.buffer_count, columns = sizes
        self.arrays = {
            "counts": np.zeros(len(layout.COUNTS), np.int64),
            "values": np.zeros(layout.VALUES),
            "params": _aligned(self.padded, self.kind),
            "slots": _aligned(slots * self.padded, self.kind),
            "buffers": _aligned(self.buffer_count, self.kind),
            "best": _aligned(self.padded if member.keep == "best" else 0, self.kind),
            "best_buffers": _aligned(self.buffer_count if member.keep == "best" else 0, self.kind),
            "history": np.zeros((len(self.log_epochs), columns)),
            "kept": np.zeros((len(self.moments), self.parameters + self.buffer_count), self.kind),
        }
        self.state = layout.State(**{name: _address(array) for name, array in self.arrays.items()})
        self._initialise()
        self.library.begin(self.spec, self.state, self.padded)

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
        return [self.log_point(i) for i in range(self.count("logged"))]

    def log_point(self, i: int) -> tuple[int, Metrics]:
        """(epoch, metrics and diagnostics) of one log epoch, counted from 0."""
        epoch, *values = self.arrays["history"][i].tolist()
        names = [*self.columns, *self._diagnoses()]
        row = {name: value for name, value in zip(names, values, strict=True) if name}
        return int(epoch), self.member.own_units(row)

    def result(self, pruned: bool = False) -> Result:
        """What became of the member, now."""
        best = self.member.keep == "best" and self.count("logged") > 0 and not self.error
        params, buffers = ("best", "best_buffers") if best else ("params", "buffers")
        weights = self.arrays[params][: self.parameters], self.arrays[buffers]
        epoch = self._best_epoch() if best else self.count("epoch")
        error = self.error
        metrics: Metrics = {}
        if not error:
            metrics = self._final(*weights)
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
        """Everything training goes on from, as tensors."""
        arrays = {name: torch.from_numpy(array.copy()) for name, array in self.arrays.items()}
        return {**arrays, "member": self._identity()}

    def load(self, snapshot: Mapping[str, Tensor]) -> None:
        """Go on from a ``snapshot`` of the same member. Raises ValueError if it is another one's or was changed."""
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
        values = {name: value for name, value in vars(self.member).items() if name not in ("dataset", "time_limit")}
        text = json.dumps({**values, "data": self.member.dataset.digest}, sort_keys=True, default=str)
        return torch.tensor(list(hashlib.sha256(text.encode()).digest()), dtype=torch.uint8)

    def _may_be(self, counts: Mapping[str, int]) -> bool:
        """Whether training can have come to these counts: native code takes them for positions in arrays."""
        diverged = counts["bad_column"] >= 0  # at a log point that does not count as logged
        logged = max(0, bisect.bisect_right(self.log_epochs, counts["epoch"]) - diverged)
        kept = sum(epoch in self.moments for epoch in self.log_epochs[:logged])
        return (
            0 <= counts["epoch"] <= self.member.epochs
            and 0 <= counts["batch"] < self.member.steps_per_epoch
            and -1 <= counts["bad_column"] < len(self.columns)
            and (counts["logged"], counts["kept"]) == (logged, kept)
        )

    def _final(self, params: np.ndarray, buffers: np.ndarray) -> Metrics:
        found = (ctypes.c_double * (layout.FINAL_METRICS * len(self.samples.splits)))()
        self._check(self.library.finish(self.spec, _address(params), _address(buffers), found))
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

    def _spec(self) -> layout.Spec:
        member = self.member
        pictured = picture_epochs(self.log_epochs, member.pictures)[:-1]
        self.moments = pictured
        scheduler = member.scheduler or {"_target_": None}
        loss = member.loss or {}
        train = len(member.dataset.splits["train"].x)
        weights = loss.get("class_weights") if member.dataset.classes else None
        # ctypes does not keep what it points to
        self._held: dict[str, np.ndarray] = {
            "widths": np.array(member.widths, np.int32),
            "acts": np.array([layout.ACTIVATIONS.index(act) for act in member.acts], np.int32),
            "log_epochs": np.array(self.log_epochs, np.int32),
            "moments": np.array([epoch in set(pictured) for epoch in self.log_epochs], np.uint8),
        }
        if weights:
            self._held["class_weights"] = np.array(weights, np.float64)
        optimizer = numbers(member.optimizer, layout.OPTIMIZERS[member.optimizer["_target_"]])
        schedule = numbers(scheduler, layout.SCHEDULERS[scheduler["_target_"]])
        return layout.Spec(
            **{name: _address(array) for name, array in self._held.items()},
            splits=self.samples.splits,
            seed=member.seed,
            batch_size=train if member.batch_size == "full" else min(int(member.batch_size), train),
            layers=len(member.acts),
            bias=member.option("bias"),
            norm=layout.NORMS.index(member.option("norm")),
            skip=member.option("skip"),
            split_count=len(self.samples.splits),
            loss=layout.LOSSES.index(member.loss_name),
            optimizer=list(layout.OPTIMIZERS).index(member.optimizer["_target_"]),
            schedule=list(layout.SCHEDULERS).index(scheduler["_target_"]),
            log_count=len(self.log_epochs),
            metric=self.columns.index(member.metric) if member.metric in self.columns else -1,
            maximize=member.mode == "max",
            keep_best=member.keep == "best",
            diagnostics=member.diagnostics,
            patience=member.patience or 0,
            min_delta=member.min_delta / member.own_units({member.metric: 1.0})[member.metric],
            dropout=member.option("dropout"),
            loss_number=loss.get({"huber": "delta", "quantile": "q"}.get(member.loss_name, ""), 0.0),
            clip_norm=member.clip or 0.0,
            clip_value=member.clip_value or 0.0,
            rate=numbers(member.optimizer, ("lr",))[0],
            numbers=(ctypes.c_double * 8)(*optimizer),
            schedule_numbers=(ctypes.c_double * 8)(*schedule),
        )

    def _initialise(self) -> None:
        """Put torch's initial weights into the arrays, and note where each tensor of the state dict lies in them."""
        sizes, option = self.member.widths, self.member.option
        drawn = initial_weights(sizes, option("init"), option("bias"), self.member.seed)
        # name, array, position and shape
        self._places: list[tuple[str, str, int, tuple[int, ...]]] = []
        ends = {"params": 0, "buffers": 0}

        def place(name: str, array: str, values: np.ndarray) -> None:
            self._places.append((name, array, ends[array], values.shape))
            self.arrays[array][ends[array] : ends[array] + values.size] = values.reshape(-1)
            ends[array] += values.size

        for i, (weight, bias) in enumerate(drawn):
            place(f"layers.{i}.weight", "params", weight.numpy())
            if bias is not None:
                place(f"layers.{i}.bias", "params", bias.numpy())
        norm = option("norm")
        for i, width in enumerate(sizes[1:-1] if norm != "none" else []):
            place(f"norms.{i}.weight", "params", np.ones(width))
            place(f"norms.{i}.bias", "params", np.zeros(width))
            if norm == "batch":
                place(f"norms.{i}.running_mean", "buffers", np.zeros(width))
                place(f"norms.{i}.running_var", "buffers", np.ones(width))
                self._places.append((f"norms.{i}.num_batches_tracked", "", 0, ()))

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


def _address(array: np.ndarray) -> int:
    return array.ctypes.data


def _aligned(size: int, kind: Any) -> np.ndarray:
    """Zeros whose address is a multiple of a cache line, which vectors need."""
    block = np.zeros(size * np.dtype(kind).itemsize + 64, np.uint8)
    start = -block.ctypes.data % 64
    return block[start : start + size * np.dtype(kind).itemsize].view(kind)
