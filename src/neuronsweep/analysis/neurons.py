"""What each hidden unit of a trained network does, and how many of them its fit needs. All in float64.

Shape suffixes: N samples, D inputs, H hidden units, K outputs.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from neuronsweep.analysis.fit import fixed_copy
from neuronsweep.analysis.piecewise import BENDS, linear_layers
from neuronsweep.analysis.refit import Refit
from neuronsweep.data.dataset import Dataset
from neuronsweep.models.diagnostics import FLAT, SLOPES, stopped
from neuronsweep.models.mlp import ACTIVATIONS, MLP

Array = NDArray[np.float64]

# Places at which it is looked whether a unit of one input is on.
GRID = 2001
# Units whose values on the training samples correlate by more than this are duplicates, whatever the sign.
SAME = 0.9999
# Values that differ by less than this share of their size are constant: float32 weights say no more.
CONSTANT = 1e-6
# Fewer neurons are enough while the loss is within this share of the network's.
ENOUGH = 0.01

NAMES = {function: name for name, function in ACTIVATIONS.items()}


@dataclass(frozen=True)
class Neuron:
    """One hidden unit.

    Attributes:
        layer, number: counted from 0.
        out_K: its weights into the outputs, for a unit of the last hidden layer; else empty.
        bends: for one input, where its activation's input is at a kink of the activation, or at 0 where it has none
            (the centre of a sigmoid); ascending, in the range of all samples.
        share_on: of the training samples, on which it is on: the activation's input is positive, or for sigmoid, tanh
            and hardtanh the slope is a tenth of the greatest or more.
        on: for one input, the intervals of the range of all samples in which it is on.
        dead: its output is the same on every training sample.
        saturated: it is flat on nine in ten training samples, as in ``models.diagnostics``.
        duplicate_of: number of the first unit of its layer with which it correlates on the training samples.
    """

    layer: int
    number: int
    out_K: tuple[float, ...]
    bends: tuple[float, ...]
    share_on: float
    on: tuple[tuple[float, float], ...]
    dead: bool
    saturated: bool
    duplicate_of: int | None


@torch.no_grad()
def hidden_layers(network: MLP, x_ND: Tensor) -> list[tuple[Tensor, Tensor]]:
    """Of each hidden layer the inputs of its activations and what it passes on, both (N, H), in evaluation mode."""
    fixed = fixed_copy(network)
    inputs: list[Tensor] = []
    passed: list[Tensor] = []

    def watched(act):
        def seen(z_NH: Tensor) -> Tensor:
            inputs.append(z_NH)
            return act(z_NH)

        return seen

    fixed.acts = [watched(act) for act in fixed.acts]
    for layer in list(fixed.layers)[1:]:
        layer.register_forward_pre_hook(lambda _, given: passed.append(given[0]))
    fixed(x_ND.double())
    return list(zip(inputs, passed, strict=True))


def contributions(network: MLP, x_ND: Array) -> tuple[Array, Array]:
    """What each unit of the last hidden layer adds to each output (N, H, K), and the output layer's bias (K,).

    Their sum is the output before the output activation. Without a hidden layer the units are the inputs.
    """
    layers = hidden_layers(network, torch.from_numpy(x_ND))
    last_NH = layers[-1][1].numpy() if layers else x_ND
    out = linear_layers(network)[-1]
    weight_KH = _array(out.weight)
    bias_K = np.zeros(len(weight_KH)) if out.bias is None else _array(out.bias)
    return last_NH[:, :, None] * weight_KH.T, bias_K


def neurons(network: MLP, dataset: Dataset) -> list[Neuron]:
    """All hidden units, layer by layer."""
    train = hidden_layers(network, dataset.splits["train"].x)
    grid_G, on_grid = np.empty(0), []
    if dataset.inputs == 1:
        x = torch.cat([split.x for split in dataset.splits.values()])
        grid_G = np.linspace(x.min().item(), x.max().item(), GRID)
        on_grid = hidden_layers(network, torch.from_numpy(grid_G[:, None]))
    out_KH = _array(linear_layers(network)[-1].weight)
    found = []
    for layer, (z_NH, h_NH) in enumerate(train):
        act = network.acts[layer]
        name = NAMES.get(act, "")
        which = stopped(name, act(z_NH))
        twin_H = _duplicates(h_NH.numpy())
        on_NH = is_on(name, z_NH)
        dead_H = _constant(h_NH.numpy())
        for unit in range(h_NH.shape[1]):
            bends: Sequence[float] = ()
            on: tuple[tuple[float, float], ...] = ()
            if dataset.inputs == 1:
                z_G = on_grid[layer][0][:, unit]
                at = BENDS[act].at.tolist() if act in BENDS and len(BENDS[act].at) else [0.0]
                bends = sorted(place for level in at for place in _crossings(grid_G, z_G.numpy() - level))
                on = _intervals(grid_G, is_on(name, z_G).numpy(), bends)
            found.append(
                Neuron(
                    layer,
                    unit,
                    tuple(out_KH[:, unit].tolist()) if layer == len(train) - 1 else (),
                    tuple(bends),
                    on_NH[:, unit].double().mean().item(),
                    on,
                    bool(dead_H[unit]),
                    bool(which and which[0] == "saturated" and which[1][unit]),
                    None if dead_H[unit] else twin_H[unit],
                )
            )
    return found


def is_on(act: str, z: Tensor) -> Tensor:
    """Where a unit is on, of the inputs of its activation; see ``Neuron``."""
    return SLOPES[act](ACTIVATIONS[act](z)) >= FLAT if act in SLOPES else z > 0


def neurons_kept(network: MLP, dataset: Dataset) -> list[tuple[float, tuple[int, ...]]] | None:
    """The least train loss with 0, 1, ..., H units of the last hidden layer, and which those are.

    Units are removed one by one, each time the one whose loss rises least, and the output layer is fitted again: by
    least squares for a regression, where the rise is exact, and by Newton's method for classes, where it is estimated
    from the loss's second derivatives. The losses are mean squared error, in the unit of the table's target where
    there is one, and cross-entropy. None where the network has no hidden layer or an output activation.
    """
    if not network.acts or network.out_act is not ACTIVATIONS["identity"]:
        return None
    x, y = dataset.splits["train"]
    refit = Refit(hidden_layers(network, x)[-1][1].numpy(), y.numpy(), dataset.classes)
    found = refit.elimination()
    unit = dataset.table.scale[0] ** 2 if dataset.table and len(dataset.table.scale) == 1 else 1.0
    return [(loss * unit, kept) for loss, kept in found]


def enough(kept: Sequence[tuple[float, tuple[int, ...]]], loss: float) -> int:
    """How many neurons the fit needs: the fewest whose loss is within ENOUGH of the network's train loss."""
    return next((count for count, (least, _) in enumerate(kept) if least <= loss * (1 + ENOUGH)), len(kept) - 1)


def _array(tensor: Tensor) -> Array:
    return tensor.detach().cpu().double().numpy()


def _constant(h_NH: Array) -> NDArray[np.bool_]:
    return np.ptp(h_NH, axis=0) <= CONSTANT * np.abs(h_NH).max(axis=0)


def _duplicates(h_NH: Array) -> list[int | None]:
    deviation = h_NH - h_NH.mean(axis=0)
    length = np.linalg.norm(deviation, axis=0)
    alive = ~_constant(h_NH)
    unit_NH = np.where(alive, deviation / np.where(length > 0, length, 1), 0)
    same_HH = np.triu(np.abs(unit_NH.T @ unit_NH) > SAME, 1)
    return [int(column.argmax()) if column.any() else None for column in same_HH.T]


def _crossings(x_G: Array, z_G: Array) -> list[float]:
    """Where a function is 0, between the points of a grid on a straight line, which first layers' inputs are."""
    i = np.flatnonzero(np.sign(z_G[:-1]) * np.sign(z_G[1:]) < 0)
    between = x_G[i] - z_G[i] * (x_G[i + 1] - x_G[i]) / (z_G[i + 1] - z_G[i])
    return sorted([*between.tolist(), *x_G[1:-1][z_G[1:-1] == 0].tolist()])


def _intervals(x_G: Array, on_G: NDArray[np.bool_], bends: Sequence[float]) -> tuple[tuple[float, float], ...]:
    edges = np.flatnonzero(np.diff(np.concatenate([[False], on_G, [False]]).astype(int)))
    step, found = x_G[1] - x_G[0], []
    for first, after in edges.reshape(-1, 2).tolist():
        ends = [x_G[first], x_G[after - 1]]
        for side in (0, 1):  # the exact place, where the end is a bend
            near = [bend for bend in bends if abs(bend - ends[side]) <= step]
            ends[side] = near[0] if near and 0 < (first, after)[side] < len(x_G) else ends[side]
        found.append((float(ends[0]), float(ends[1])))
    return tuple(found)
