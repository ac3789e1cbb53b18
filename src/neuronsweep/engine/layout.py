"""The structs and enums of the C headers as ctypes and as tuples of names."""

import ctypes
from ctypes import POINTER, c_double, c_int32, c_int64, c_uint64, c_void_p

# Positions are the numbers of the enums in spec.h.
ACTIVATIONS = ("identity", "relu", "leaky_relu", "elu", "gelu", "silu", "softplus", "sigmoid", "tanh", "hardtanh")
NORMS = ("none", "batch", "layer")
LOSSES = ("mse", "mae", "huber", "quantile", "binary", "multiclass")
COUNTS = (
    "epoch",
    "batch",
    "steps",
    "logged",
    "kept",
    "stopped",
    "bad_column",
    "plateau_bad",
    "plateau_cooling",
    "waited",
)
VALUES = 8  # NUMBERS

# The numbers of each optimiser and schedule in the order of spec->numbers and spec->schedule_numbers.
OPTIMIZERS: dict[str, tuple[str, ...]] = {
    "torch.optim.SGD": ("weight_decay", "momentum", "dampening", "nesterov"),
    "torch.optim.Adam": ("weight_decay", "beta1", "beta2", "eps", "amsgrad"),
    "torch.optim.AdamW": ("weight_decay", "beta1", "beta2", "eps", "amsgrad"),
    "torch.optim.RMSprop": ("weight_decay", "alpha", "eps", "momentum", "centered"),
    "torch.optim.Adagrad": ("weight_decay", "lr_decay", "initial_accumulator_value", "eps"),
    "torch.optim.NAdam": ("weight_decay", "beta1", "beta2", "eps", "", "momentum_decay", "decoupled_weight_decay"),
    "torch.optim.RAdam": ("weight_decay", "beta1", "beta2", "eps", "", "", "decoupled_weight_decay"),
}
_SCHEDULERS = "torch.optim.lr_scheduler."
SCHEDULERS: dict[str | None, tuple[str, ...]] = {
    None: (),
    f"{_SCHEDULERS}StepLR": ("step_size", "gamma"),
    f"{_SCHEDULERS}ExponentialLR": ("gamma",),
    f"{_SCHEDULERS}CosineAnnealingLR": ("T_max", "eta_min"),
    f"{_SCHEDULERS}ReduceLROnPlateau": ("factor", "patience", "threshold", "cooldown", "min_lr", "eps"),
    f"{_SCHEDULERS}LinearLR": ("start_factor", "end_factor", "total_iters"),
    f"{_SCHEDULERS}OneCycleLR": (
        "max_lr",
        "total_steps",
        "pct_start",
        "div_factor",
        "final_div_factor",
        "linear",
    ),
}

FINAL_METRICS = 4
# What ``advance`` and the others answer.
NO_MEMORY, PAUSED, LOG_POINT, DONE, DIVERGED = -1, 0, 1, 2, 3


class Split(ctypes.Structure):
    _fields_ = (("n", c_int64), ("x", c_void_p), ("y", c_void_p), ("tiled_x", c_void_p), ("tiled_y", c_void_p))


class Spec(ctypes.Structure):
    _fields_ = (
        ("widths", c_void_p),
        ("acts", c_void_p),
        ("splits", POINTER(Split)),
        ("class_weights", c_void_p),
        ("log_epochs", c_void_p),
        ("moments", c_void_p),
        ("seed", c_uint64),
        ("batch_size", c_int64),
        ("layers", c_int32),
        ("bias", c_int32),
        ("norm", c_int32),
        ("skip", c_int32),
        ("split_count", c_int32),
        ("loss", c_int32),
        ("optimizer", c_int32),
        ("schedule", c_int32),
        ("log_count", c_int32),
        ("metric", c_int32),
        ("maximize", c_int32),
        ("keep_best", c_int32),
        ("diagnostics", c_int32),
        ("patience", c_int32),
        ("min_delta", c_double),
        ("dropout", c_double),
        ("loss_number", c_double),
        ("clip_norm", c_double),
        ("clip_value", c_double),
        ("rate", c_double),
        ("numbers", c_double * 8),
        ("schedule_numbers", c_double * 8),
    )


class State(ctypes.Structure):
    _fields_ = tuple(
        (name, c_void_p)
        for name in ("counts", "values", "params", "slots", "buffers", "best", "best_buffers", "history", "kept")
    )


def declare(library: ctypes.CDLL) -> None:
    """Tell ctypes the types of what a library exports. Raises ImportError where its structs are not these."""
    if [library.struct_bytes(which) for which in range(3)] != [ctypes.sizeof(kind) for kind in (Split, Spec, State)]:
        raise ImportError("the structs of the native engine are not those of engine/layout.py")
    spec, state = POINTER(Spec), POINTER(State)
    library.tile_samples.restype = c_int64
    library.sizes.argtypes = (spec, POINTER(c_int64))
    library.fill_tiles.argtypes = (c_int64, c_int64, c_void_p, c_void_p)
    library.fill_tiles.restype = None
    library.begin.argtypes = (spec, state, c_int64)
    library.begin.restype = None
    library.advance.argtypes = (spec, state, POINTER(c_int32), c_double, c_int32)
    library.finish.argtypes = (spec, c_void_p, c_void_p, POINTER(c_double))
    library.predict.argtypes = (spec, c_void_p, c_void_p, c_int32, c_void_p)
