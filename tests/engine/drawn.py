"""Members drawn from everything that the native engine knows, over data whose numbers are exact on every machine."""

import random
from typing import Any

import numpy as np
import torch

from neuronsweep.data.dataset import Dataset, Split
from neuronsweep.engine.layout import ACTIVATIONS
from neuronsweep.engine.member import Member
from neuronsweep.philox import words

PURPOSE = 99  # none of philox's
TORCH = "torch.optim."

OPTIMIZERS: dict[str, dict[str, tuple]] = {
    "SGD": {"momentum": (0.0, 0.9), "weight_decay": (0.0, 0.01)},
    "Adam": {"weight_decay": (0.0, 0.01), "amsgrad": (False, True), "betas": ([0.9, 0.999], [0.8, 0.99])},
    "AdamW": {"weight_decay": (0.0, 0.01), "eps": (1e-8, 1e-4)},
    "RMSprop": {"momentum": (0.0, 0.9), "centered": (False, True), "alpha": (0.9, 0.99)},
    "Adagrad": {"lr_decay": (0.0, 0.01), "initial_accumulator_value": (0.0, 0.1)},
    "NAdam": {"momentum_decay": (0.004, 0.1), "decoupled_weight_decay": (False, True), "weight_decay": (0.0, 0.01)},
    "RAdam": {
        "decoupled_weight_decay": (False, True),
        "weight_decay": (0.0, 0.01),
        "betas": ([0.9, 0.999], [0.5, 0.9]),
    },
}
SCHEDULERS: tuple[dict[str, Any] | None, ...] = (
    None,
    {"_target_": f"{TORCH}lr_scheduler.StepLR", "step_size": 2, "gamma": 0.5},
    {"_target_": f"{TORCH}lr_scheduler.ExponentialLR", "gamma": 0.9},
    {"_target_": f"{TORCH}lr_scheduler.CosineAnnealingLR", "T_max": 5, "eta_min": 0.0001},
    {"_target_": f"{TORCH}lr_scheduler.ReduceLROnPlateau", "patience": 0, "mode": "min", "threshold": 0.05},
    {"_target_": f"{TORCH}lr_scheduler.LinearLR", "start_factor": 0.1, "end_factor": 1.0, "total_iters": 4},
    {
        "_target_": f"{TORCH}lr_scheduler.OneCycleLR",
        "max_lr": 0.05,
        "total_steps": 9,
        "pct_start": 0.3,
        "cycle_momentum": False,
    },
)
LOSSES: dict[int, tuple[dict[str, Any], ...]] = {
    0: (
        {"name": "mse"},
        {"name": "mae"},
        {"name": "huber", "delta": 0.25},
        {"name": "quantile", "q": 0.75},
    ),
    2: ({"name": "auto"}, {"name": "cross_entropy", "class_weights": [0.5, 2.0]}),
    3: ({"name": "auto"}, {"name": "cross_entropy", "class_weights": [0.5, 2.0, 1.25]}),
    5: ({"name": "auto"},),
}


def exact(seed: int, *shape: int) -> np.ndarray:
    """Doubles in [-1, 1), multiples of 2**-31."""
    count = int(np.prod(shape))
    drawn = words(seed, PURPOSE, 0, np.arange(-(-count // 4))).reshape(-1)[:count]
    return (drawn.astype(np.float64) / 2**31 - 1).reshape(shape)


def made(seed: int, classes: int, inputs: int, *sizes: int) -> Dataset:
    """Splits of so many samples: a parabola of the first input less half the last, or classes by the first input."""
    splits = {}
    for i, (name, n) in enumerate(zip(("train", "val", "outer"), sizes, strict=False)):
        x = torch.from_numpy(exact(100 * seed + i, n, inputs)).float()
        y = x[:, :1] * x[:, :1] - x[:, -1:] / 2
        if classes:
            y = ((x[:, 0] + 1) * (classes / 2)).long().clamp(0, classes - 1)
        splits[name] = Split(x, y)
    return Dataset(splits, classes=classes)


def some_member(rng: random.Random, dtype: torch.dtype = torch.float32, **changes: Any) -> Member:
    """A member drawn from everything that a config can say, small and short."""
    classes = rng.choice([0, 0, 2, 2, 3, 5])
    sizes = rng.choice([(1, 1), (4, 3, 1), (33, 40), (61, 17, 20), (200, 65), (700, 90)])
    depth = rng.choice([0, 1, 1, 2, 3])
    hidden: Any = rng.choice([1, 2, 3, 8, 9, 16, 20, 33])
    skip = rng.choice([False, False, True])
    act: Any = rng.choice(ACTIVATIONS)
    if depth and not skip and rng.random() < 0.4:
        hidden = [rng.choice([1, 2, 5, 8, 19, 40]) for _ in range(depth)]
    if depth and rng.random() < 0.4:
        act = [rng.choice(ACTIVATIONS) for _ in range(depth)]
    norm = rng.choice(["none", "none", "layer", "batch"])
    batch_size: Any = rng.choice([1, 7, 32, 32, "full", 10_000])
    if norm == "batch" and (sizes[0] == 1 or batch_size == 1 or (batch_size != "full" and sizes[0] % batch_size == 1)):
        norm = "layer"  # a batch of one sample has no statistics
    optimizer = rng.choice(list(OPTIMIZERS))
    chosen = {
        "dataset": made(rng.randrange(3), classes, rng.choice([1, 2, 3, 11]), *sizes),
        "network": {
            "hidden": hidden,
            "depth": depth,
            "act": act,
            "skip": skip,
            "norm": norm,
            "out_act": rng.choice(["identity", "identity", "identity", *ACTIVATIONS]),
            "init": rng.choice(["default", "default", "xavier", "kaiming"]),
            "dropout": rng.choice([0.0, 0.0, 0.25, 0.5]),
            "bias": rng.choice([True, True, False]),
        },
        "seed": rng.choice([rng.randrange(100), 2**40 + rng.randrange(100)]),
        "optimizer": {
            "_target_": TORCH + optimizer,
            "lr": rng.choice([0.001, 0.003, 0.01, 0.03]),
            **{name: rng.choice(values) for name, values in OPTIMIZERS[optimizer].items()},
        },
        "scheduler": rng.choice(SCHEDULERS),
        "loss": rng.choice(LOSSES[classes]),
        "epochs": rng.randint(1, 9),
        "batch_size": batch_size,
        "log_points": rng.randint(1, 5),
        "clip": rng.choice([None, None, 0.1, 1.0]),
        "clip_value": rng.choice([None, None, 0.05]),
        "patience": rng.choice([None, None, None, 1]),
        "keep": rng.choice(["last", "best"]),
        "diagnostics": rng.choice([False, True]),
        "pictures": rng.choice([1, 1, 3]),
    }
    return Member(**{**chosen, **changes}, dtype=dtype)
