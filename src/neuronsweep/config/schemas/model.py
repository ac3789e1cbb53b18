"""conf/model: the shape of the network, its activations and its initialisation."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from neuronsweep.config.allowed import FRACTION, key, one_of, one_or_each, whole

ACTIVATIONS = ("identity", "relu", "leaky_relu", "elu", "gelu", "silu", "softplus", "sigmoid", "tanh", "hardtanh")
# A width or a name for all hidden layers, or a list with one for each.
WIDTHS = one_or_each(lambda value: type(value) is int and value >= 1, int, "a whole number >= 1")
NAMES = one_or_each(lambda value: value in ACTIVATIONS, str, f"one of {', '.join(ACTIVATIONS)}", ACTIVATIONS)


@dataclass
class Model:
    """``depth`` hidden layers of ``hidden`` units, or as many as ``hidden`` is a list of widths for."""

    hidden: Any = key(8, WIDTHS)
    depth: int = key(1, whole(0))
    act: Any = key("relu", NAMES)
    out_act: str = key("identity", one_of(*ACTIVATIONS))
    init: str = key("default", one_of("default", "xavier", "kaiming", "zeros"))
    norm: str = key("none", one_of("none", "batch", "layer"))
    dropout: float = key(0.0, FRACTION)
    skip: bool = False
    bias: bool = True


def widths(hidden: int | Sequence[int], depth: int) -> list[int]:
    """The width of every hidden layer. Raises ValueError where a list and a depth other than its default disagree."""
    if isinstance(hidden, int):
        return [hidden] * depth
    if depth not in (1, len(hidden)):
        raise ValueError(f"depth={depth} with {len(hidden)} widths: a list of widths is the depth")
    return list(hidden)


def activations(act: str | Sequence[str], depth: int) -> list[str]:
    """The activation of each of so many hidden layers. Raises ValueError for a list of another length."""
    if isinstance(act, str):
        return [act] * depth
    if len(act) != depth:
        raise ValueError(f"{len(act)} activations for {depth} hidden layers")
    return list(act)
