"""A member and its data as native code reads them, the structs of native/spec.h."""

import ctypes
import math
from functools import lru_cache
from typing import Any

import numpy as np
import torch

from neuronsweep.data.batches import log_epochs, picture_epochs
from neuronsweep.data.dataset import Dataset
from neuronsweep.engine import layout
from neuronsweep.engine.library import library
from neuronsweep.engine.member import Member, log_metrics, numbers

CACHE_LINE = 64  # bytes; vectors need addresses that are a multiple of it


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
                tiles = (-(-len(x) // tile) * tile * values.shape[1],)
                block, address = aligned({"tiles": (tiles, kind)})
                self.library.fill_tiles(len(x), values.shape[1], values.ctypes.data, address["tiles"])
                self.arrays += [values, block["tiles"]]
                setattr(split, name, values.ctypes.data)
                setattr(split, f"tiled_{name}", address["tiles"])


@lru_cache(maxsize=64)
def log_points(epochs: int, points: int, pictures: int) -> tuple[list[int], list[int], ctypes.Array, ctypes.Array]:
    """Log epochs; those before the last of which a picture is wanted; both for native code, the latter as flags."""
    logged = log_epochs(epochs, points)
    pictured = picture_epochs(logged, pictures)[:-1]
    flags = np.isin(logged, pictured).tolist()
    return logged, pictured, (ctypes.c_int32 * len(logged))(*logged), (ctypes.c_uint8 * len(logged))(*flags)


def describe(member: Member, samples: Samples) -> tuple[layout.Spec, dict[str, ctypes.Array]]:
    """The struct of a member, and the arrays that it points to, which ctypes does not keep."""
    scheduler = member.scheduler or {"_target_": None}
    loss = member.loss or {}
    train = samples.splits[0].n
    columns = log_metrics(member)
    layers = len(member.acts)
    logged, _, epochs, pictured = log_points(member.epochs, member.log_points, member.pictures)
    held: dict[str, ctypes.Array] = {
        "widths": (ctypes.c_int32 * (layers + 1))(*member.widths),
        "acts": (ctypes.c_int32 * layers)(*map(layout.ACTIVATIONS.index, member.acts)),
        "log_epochs": epochs,
        "moments": pictured,
    }
    if member.dataset.classes and (weights := loss.get("class_weights")):
        held["class_weights"] = (ctypes.c_double * len(weights))(*weights)
    optimizer = member.optimizer["_target_"]
    spec = layout.Spec(
        **{name: ctypes.addressof(array) for name, array in held.items()},
        splits=samples.splits,
        seed=member.seed,
        batch_size=train if member.batch_size == "full" else min(int(member.batch_size), train),
        layers=layers,
        bias=member.option("bias"),
        norm=layout.NORMS.index(member.option("norm")),
        skip=member.option("skip"),
        split_count=len(samples.splits),
        loss=layout.LOSSES.index(member.loss_name),
        optimizer=list(layout.OPTIMIZERS).index(optimizer),
        schedule=list(layout.SCHEDULERS).index(scheduler["_target_"]),
        log_count=len(logged),
        metric=columns.index(member.metric) if member.metric in columns else -1,
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
        numbers=tuple(numbers(member.optimizer, layout.OPTIMIZERS[optimizer])),
        schedule_numbers=tuple(numbers(scheduler, layout.SCHEDULERS[scheduler["_target_"]])),
    )
    return spec, held


def aligned(shapes: dict[str, tuple[tuple[int, ...], Any]]) -> tuple[dict[str, np.ndarray], dict[str, int]]:
    """Arrays of zeros of these shapes and types, each from the start of a cache line, and their addresses."""
    sizes = {name: np.dtype(kind).itemsize * math.prod(shape) for name, (shape, kind) in shapes.items()}
    starts, end = {}, 0
    for name, size in sizes.items():
        starts[name] = end
        end += -(-size // CACHE_LINE) * CACHE_LINE
    block = np.zeros(end + CACHE_LINE, np.uint8)
    base = block.ctypes.data
    first = -base % CACHE_LINE
    arrays = {name: np.ndarray(shape, kind, block, first + starts[name]) for name, (shape, kind) in shapes.items()}
    return arrays, {name: base + first + start for name, start in starts.items()}
