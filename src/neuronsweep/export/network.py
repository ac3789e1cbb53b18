"""A trained network as plain arrays, with the scaling of its inputs and outputs; and as the pieces of its graph.

Shape suffixes: N samples, D inputs, H units, K outputs.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, Protocol, Self, TypeVar

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from neuronsweep.analysis.neurons import NAMES
from neuronsweep.analysis.piecewise import is_piecewise_linear, linear_layers, pieces
from neuronsweep.data.preparation import Number, Preparation
from neuronsweep.models.mlp import ACTIVATIONS, MLP

Array = NDArray[np.float64]

AnyForm = TypeVar("AnyForm", bound="Form")

# A number with so many digits is itself again when it is read.
ALL_DIGITS = 17
# Kinks are looked for up to so many times the width of the middle, by steps of a power of ten: the exactness of a
# kink's place is a share of the interval.
FAR = 9


class Form(Protocol):
    """What can be written with fewer digits and still predicts: x (N, D) in its own units to (N, K)."""

    def __call__(self, x_ND: Array) -> Array: ...

    def rounded(self, digits: int) -> Self: ...


@dataclass(frozen=True)
class Layer:
    """weight and bias, then a layer norm (weight, bias, epsilon) or none, the activation, and with ``skip`` its input.

    A batch norm is part of weight and bias.
    """

    weight_HD: Array
    bias_H: Array
    act: str
    skip: bool = False
    norm: tuple[Array, Array, float] | None = None


@dataclass(frozen=True)
class Exported:
    """A network of plain arrays: x (N, D) in the units of the data to predictions, or to logits of classes, (N, K).

    Attributes:
        inputs: what each input is called, and ``blanks`` what stands for a missing one of a table.
        outputs: what each target or class is called.
        classes: whether the outputs are logits of classes; of two classes that of the second.
        mean_D, scale_D: x is (input - mean) / scale.
        centre_K, size_K: a prediction is centre + size * output.
    """

    layers: tuple[Layer, ...]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    classes: bool
    mean_D: Array
    scale_D: Array
    centre_K: Array
    size_K: Array
    blanks: tuple[float | None, ...] = ()

    def __call__(self, x_ND: Array) -> Array:
        h = torch.from_numpy((x_ND - self.mean_D) / self.scale_D)
        for layer in self.layers:
            z = h @ torch.from_numpy(layer.weight_HD).T + torch.from_numpy(layer.bias_H)
            if layer.norm:
                weight_H, bias_H, epsilon = layer.norm
                z = F.layer_norm(z, z.shape[1:], torch.from_numpy(weight_H), torch.from_numpy(bias_H), epsilon)
            new = ACTIVATIONS[layer.act](z)
            h = h + new if layer.skip else new
        return self.centre_K + self.size_K * h.numpy()

    def folded(self) -> "Exported":
        """The same function with its scaling inside of weights and biases, where no activation is in between."""
        first, *rest = self.layers
        bias_H = first.bias_H - first.weight_HD @ (self.mean_D / self.scale_D)
        layers = [replace(first, weight_HD=first.weight_HD / self.scale_D, bias_H=bias_H), *rest]
        nothing, one = np.zeros_like, np.ones_like
        found = replace(self, layers=tuple(layers), mean_D=nothing(self.mean_D), scale_D=one(self.scale_D))
        last = layers[-1]
        if last.act != "identity":
            return found
        weight_HD, bias_H = self.size_K[:, None] * last.weight_HD, self.centre_K + self.size_K * last.bias_H
        layers[-1] = replace(last, weight_HD=weight_HD, bias_H=bias_H)
        return replace(found, layers=tuple(layers), centre_K=nothing(self.centre_K), size_K=one(self.size_K))

    def rounded(self, digits: int) -> "Exported":
        """Every number with so many significant digits."""
        layers = tuple(
            replace(
                layer,
                weight_HD=significant(layer.weight_HD, digits),
                bias_H=significant(layer.bias_H, digits),
            )
            for layer in self.layers
        )
        centre_K, size_K = significant(self.centre_K, digits), significant(self.size_K, digits)
        return replace(self, layers=layers, centre_K=centre_K, size_K=size_K)


@dataclass(frozen=True)
class Graph:
    """A piecewise-linear function of one input: slope[k] x + offset[k] from knots[k - 1] to knots[k]."""

    knots: Array
    slope: Array
    offset: Array

    def __call__(self, x_ND: Array) -> Array:
        piece_N = np.searchsorted(self.knots, x_ND[:, 0], side="right")
        return (self.slope[piece_N] * x_ND[:, 0] + self.offset[piece_N])[:, None]

    def rounded(self, digits: int) -> "Graph":
        """Every number with so many significant digits."""
        return Graph(*(significant(numbers, digits) for numbers in (self.knots, self.slope, self.offset)))


def exported(network: MLP, table: Preparation | None, classes: bool) -> Exported:
    """The arrays of a network in evaluation mode.

    Args:
        table: how the inputs and targets of the run were made of a table's columns, where they were.
    """
    linear = linear_layers(network)
    acts = [NAMES[act] for act in [*network.acts, network.out_act]]
    layers = []
    for i, (layer, act) in enumerate(zip(linear, acts, strict=True)):
        weight_HD = _array(layer.weight)
        bias_H = np.zeros(len(weight_HD)) if layer.bias is None else _array(layer.bias)
        skip, norm = network.skip and 0 < i < len(linear) - 1, None
        of_layer = network.norms[i] if i < len(linear) - 1 else None
        if isinstance(of_layer, nn.BatchNorm1d):
            assert of_layer.running_mean is not None
            assert of_layer.running_var is not None
            factor_H = _array(of_layer.weight) / np.sqrt(_array(of_layer.running_var) + of_layer.eps)
            weight_HD = factor_H[:, None] * weight_HD
            bias_H = factor_H * (bias_H - _array(of_layer.running_mean)) + _array(of_layer.bias)
        elif isinstance(of_layer, nn.LayerNorm):
            norm = _array(of_layer.weight), _array(of_layer.bias), of_layer.eps
        layers.append(Layer(weight_HD, bias_H, act, skip, norm))
    inputs, outputs = network.inputs, network.outputs
    if table is None:
        names = ("x",) if inputs == 1 else tuple(f"x{i + 1}" for i in range(inputs))
        targets = tuple(map(str, range(max(outputs, 2)))) if classes else _numbered("y", outputs)
        one, none = np.ones(outputs), np.zeros(outputs)
        return Exported(tuple(layers), names, targets, classes, np.zeros(inputs), np.ones(inputs), none, one)
    mean: list[float] = []
    scale: list[float] = []
    blanks: list[float | None] = []
    for feature in table.features:
        count = len(feature.inputs)
        mean += [feature.mean] if isinstance(feature, Number) else [0.0] * count
        scale += [feature.scale] if isinstance(feature, Number) else [1.0] * count
        blanks += [feature.median] if isinstance(feature, Number) else [None] * count
    centre_K, size_K = np.array(table.centre or [0.0] * outputs), np.array(table.scale or [1.0] * outputs)
    targets = table.classes if classes else table.targets
    scaling = np.array(mean), np.array(scale), centre_K, size_K
    return Exported(tuple(layers), table.inputs, targets, classes, *scaling, blanks=tuple(blanks))


def graph(network: MLP, of: Exported, low: float, high: float) -> Graph | None:
    """The pieces of a piecewise-linear network of one input on the line of real numbers, or None for any other.

    Args:
        low, high: where most kinks are; ``pieces`` of the network's own x.
    """
    if not is_piecewise_linear(network):
        return None
    width = high - low
    far = [0.0, *(width * 10.0**i for i in range(FAR + 1))]
    ends = [*(low - distance for distance in reversed(far)), *(high + distance for distance in far)]
    knots: list[float] = []
    slope: list[float] = []
    offset: list[float] = []
    for start, end in pairwise(ends):
        found = pieces(network, start, end)
        tolerance = 1e-6 * found.scale
        for k in range(len(found.slope)):
            if slope and abs(found.slope[k] - slope[-1]) <= tolerance:
                continue
            knots.append(found.knots[k])
            slope.append(found.slope[k])
            offset.append(found.offset[k])
    mean, scale, centre, size = (float(one[0]) for one in (of.mean_D, of.scale_D, of.centre_K, of.size_K))
    slope_v = size * np.array(slope) / scale
    return Graph(mean + scale * np.array(knots[1:]), slope_v, centre + size * np.array(offset) - slope_v * mean)


def with_few_digits(form: AnyForm, losses: Callable[[AnyForm], Sequence[float]]) -> AnyForm:
    """The form with the fewest significant digits that change no loss in its fourth digit."""
    expected = _fourth(losses(form))
    for digits in range(2, ALL_DIGITS):
        fewer = form.rounded(digits)
        if _fourth(losses(fewer)) == expected:
            return fewer
    return form


def _fourth(losses: Sequence[float]) -> list[str]:
    return [f"{loss:.4g}" for loss in losses]


def significant(values: Array, digits: int) -> Array:
    """Numbers rounded to so many significant decimal digits."""
    rounded = [float(f"{value:.{digits}g}") for value in values.ravel().tolist()]
    return np.array(rounded, np.float64).reshape(values.shape)


def _numbered(name: str, count: int) -> tuple[str, ...]:
    return (name,) if count == 1 else tuple(f"{name}{k + 1}" for k in range(count))


def _array(tensor: Tensor | Any) -> Array:
    return tensor.detach().cpu().double().numpy()
