"""The neurons whose contributions add up to a fit, in an order and with names for people; and what is said of them."""

import string
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from neuronsweep.analysis.neurons import Array, Neuron, contributions, enough, hidden_layers, neurons, neurons_kept
from neuronsweep.data.dataset import Dataset
from neuronsweep.models.mlp import MLP

# So many parts have a picture; where there are more neurons, the last part has the rest of them.
MOST = 8


@dataclass(frozen=True)
class Part:
    """One neuron's contribution to an output, or that of several together.

    Attributes:
        name: A, B, ...
        numbers: of the units in the last hidden layer, counted from 0.
    """

    name: str
    numbers: tuple[int, ...]

    @property
    def title(self) -> str:
        """The name and which neurons it is."""
        if len(self.numbers) == 1:
            return f"{self.name}: neuron {self.numbers[0]}"
        return f"{self.name}: {len(self.numbers)} other neurons"


def parts_of(network: MLP, dataset: Dataset, output: int) -> list[Part]:
    """Up to MOST parts: by their centres with one input and one hidden layer, else by their size.

    Of more neurons those that change most on the training samples have a part of their own, and the others are one.
    """
    each_NH = contributions(network, dataset.splits["train"].x.double().numpy())[0][:, :, output]
    spread_H = each_NH.std(axis=0)
    order = [int(unit) for unit in np.argsort(-spread_H, kind="stable")]
    own = order if len(order) <= MOST else order[: MOST - 1]
    if dataset.inputs == 1 and len(network.acts) == 1:
        place_H = _centres(network)
        own = sorted(own, key=lambda unit: place_H[unit])
    names = string.ascii_uppercase
    found = [Part(name, (unit,)) for name, unit in zip(names, own, strict=False)]
    rest = order[len(own) :]
    return [*found, Part(names[len(own)], tuple(sorted(rest)))] if rest else found


def _centres(network: MLP) -> Array:
    """Where the input of each unit of the first layer is 0, which is a straight line of the one input."""
    at_0, at_1 = hidden_layers(network, torch.tensor([[0.0], [1.0]]))[0][0].numpy()
    with np.errstate(all="ignore"):
        return np.nan_to_num(-at_0 / (at_1 - at_0), nan=np.inf)


def values(network: MLP, parts: Sequence[Part], output: int, x_ND: Array) -> tuple[Array, float]:
    """What each part adds to an output at x, (N, parts), and the bias, with which they add up to it."""
    each_NHK, bias_K = contributions(network, x_ND)
    columns = [each_NHK[:, list(part.numbers), output].sum(axis=1) for part in parts]
    return np.stack(columns, axis=1), float(bias_K[output])


def described(network: MLP, dataset: Dataset, parts: Sequence[Part], output: int, loss: float) -> list[str]:
    """A table of all neurons and how many the fit needs, as lines.

    Args:
        loss: the network's train loss, mean squared error or cross-entropy.
    """
    names = {number: part.name for part in parts for number in part.numbers}
    found = neurons(network, dataset)
    deep = any(one.layer for one in found)
    rows = [["layer"] * deep + ["neuron", "part", "weight", "bends at", "on", "remarks"]]
    for one in found:
        weight = f"{one.out_K[output]:.4g}" if one.out_K else ""
        bends = ", ".join(f"{bend:.3g}" for bend in one.bends)
        name = names[one.number] if one.out_K else ""
        rows.append([str(one.layer)] * deep + [str(one.number), name, weight, bends, _on(one), _remarks(one)])
    if dataset.inputs != 1:
        rows = [[*row[:-3], *row[-2:]] for row in rows]
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = ["  ".join(word.ljust(width) for word, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    kept = neurons_kept(network, dataset)
    if kept is None:
        return lines
    curve = ", ".join(f"{least:.4g}" for least, _ in kept)
    count = enough(kept, loss)
    what = "cross-entropy" if dataset.classes else "mean squared error"
    lines.append(f"{what} on train: {loss:.4g}; with the output layer fitted again to the best 0, 1, 2, ... neurons:")
    lines.append(curve)
    return [*lines, f"neurons that the fit needs, within 1% of its loss: {count} of {len(kept) - 1}"]


def _on(one: Neuron) -> str:
    share = f"{100 * one.share_on:.0f}% of train"
    if not one.on:
        return share
    return ", ".join(f"{low:.3g} to {high:.3g}" for low, high in one.on[:3]) + f" ({share})"


def _remarks(one: Neuron) -> str:
    twin = "" if one.duplicate_of is None else f"duplicate of {one.duplicate_of}"
    return ", ".join(filter(None, ["dead" * one.dead, "saturated" * one.saturated, twin]))
