"""The exact linear pieces of a piecewise linear network with one input, computed from its weights in float64."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from neuronsweep.models.mlp import ACTIVATIONS, MLP

Array = NDArray[np.float64]

# Breakpoints nearer to each other than this share of the interval are one.
SAME_PLACE = 1e-9

# A slope that changes by less than this share of what adds up to it has not changed: float32 weights say no more.
SAME_SLOPE = 1e-6


class Pieces(NamedTuple):
    """A piecewise-linear function: slope[k] * x + offset[k] from knots[k] to knots[k + 1].

    ``scale`` is the size of the terms that the slopes are sums of.
    """

    knots: Array
    slope: Array
    offset: Array
    scale: float

    def kinks(self) -> list[float]:
        """The knots at which the slope changes, without the two ends."""
        changes = np.abs(np.diff(self.slope)) > SAME_SLOPE * self.scale
        return self.knots[1:-1][changes].tolist()


class Bends(NamedTuple):
    """A piecewise-linear activation: slope[i] * z + offset[i] between at[i - 1] and at[i]."""

    at: Array
    slope: Array
    offset: Array


def _bends(at: list[float], slope: list[float], offset: list[float]) -> Bends:
    return Bends(np.array(at), np.array(slope), np.array(offset))


BENDS = {
    ACTIVATIONS["identity"]: _bends([], [1], [0]),
    ACTIVATIONS["relu"]: _bends([0], [0, 1], [0, 0]),
    ACTIVATIONS["leaky_relu"]: _bends([0], [0.01, 1], [0, 0]),
    ACTIVATIONS["hardtanh"]: _bends([-1, 1], [0, 1, 0], [-1, 0, 1]),
}


def is_piecewise_linear(network: MLP) -> bool:
    """One number to one number, through piecewise-linear activations only."""
    layers = linear_layers(network)
    return (
        layers[0].in_features == layers[-1].out_features == 1
        and all(isinstance(norm, nn.Identity) for norm in network.norms)
        and all(act in BENDS for act in network.acts)
        and network.out_act in BENDS
    )


def pieces(network: MLP, low: float, high: float) -> Pieces:
    """The network between low and high, layer by layer: on each of K pieces, H units are slope_KH * x + offset_KH."""
    knots = np.array([low, high])
    slope_KH, offset_KH, scale = np.ones((1, 1)), np.zeros((1, 1)), 1.0
    layers = linear_layers(network)
    last = len(layers) - 1
    acts = [*network.acts, network.out_act]
    with np.errstate(all="ignore"):  # what overflows is not finite at the end
        for i, layer in enumerate(layers):
            weight, bias = _array(layer.weight), 0.0 if layer.bias is None else _array(layer.bias)
            bends = BENDS[acts[i]]
            scale = (np.abs(slope_KH) @ np.abs(weight).T).max()
            knots, old, slope, offset = _bend(knots, slope_KH @ weight.T, offset_KH @ weight.T + bias, bends)
            if network.skip and 0 < i < last:
                slope, offset = slope + slope_KH[old], offset + offset_KH[old]
            slope_KH, offset_KH = slope, offset
    return Pieces(knots, slope_KH[:, 0], offset_KH[:, 0], float(scale))


def _bend(
    knots: Array, slope_KH: Array, offset_KH: Array, bends: Bends
) -> tuple[Array, NDArray[np.intp], Array, Array]:
    """Apply an activation: the finer knots, the old piece that each new one lies in, the new slopes and offsets."""
    cross_AKH = (bends.at[:, None, None] - offset_KH) / slope_KH
    inside = (cross_AKH > knots[:-1, None]) & (cross_AKH < knots[1:, None])
    finer = np.unique(np.concatenate([knots, cross_AKH[inside]]))
    high = knots[-1]
    finer = finer[np.append(True, np.diff(finer) > SAME_PLACE * (high - knots[0]))]
    finer[-1] = high
    middle = (finer[:-1] + finer[1:]) / 2
    old = np.searchsorted(knots, middle) - 1
    slope, offset = slope_KH[old], offset_KH[old]
    # no unit crosses a bend within a piece, so the middle stands for all of it
    at_middle = slope * middle[:, None] + offset
    part = np.searchsorted(bends.at, at_middle)
    return finer, old, slope * bends.slope[part], offset * bends.slope[part] + bends.offset[part]


def linear_layers(network: MLP) -> list[nn.Linear]:
    """The layers of a network that have weights, the last one makes its output."""
    return list(network.layers)


def _array(tensor: Tensor) -> Array:
    return tensor.detach().cpu().double().numpy()
