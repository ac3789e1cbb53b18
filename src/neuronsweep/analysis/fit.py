"""Metrics of a finished fit: errors against the truth, kinks, dead units, distance from the best possible fit."""

import copy
import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from neuronsweep.analysis import best_possible
from neuronsweep.analysis.piecewise import BENDS, is_piecewise_linear, linear_layers, pieces
from neuronsweep.data.dataset import Dataset
from neuronsweep.models.losses import is_least_squares_or_logistic, loss_function
from neuronsweep.models.mlp import ACTIVATIONS, MLP

# A grid over all of a curve's inputs, by which errors against the truth are means over x and not over drawn samples.
# 1600 steps are 0.005 on the sine's [-3.5, 4.5].
GRID = 1601

# The best fit with more kinks than this takes seconds, which a sweep would not like to spend (optima.kinks finds it).
MOST_KINKS = 32


def analyse(
    network: MLP, dataset: Dataset, loss: Mapping[str, Any] | None = None, own_loss: bool = False
) -> dict[str, float]:
    """Metrics of a trained network, by name; only those that exist for this network, data and loss and are finite.

    ``own_loss`` says that it was trained on a loss of the user's, whose least possible value is not known.

    ``params``: number of trainable parameters.
    ``truth/inside``, ``truth/outside``, ``truth/outside_over_inside``: mean squared errors against the truth and their
    ratio, for a curve on its range of samples (truth_errors), for more inputs on the train and the outer samples.
    ``slope``, ``intercept``: of a network with one input that is affine whatever its weights, from the weights.
    ``kinks``: how many kinks a piecewise-linear network with one input has in the range of all samples (kinks).
    ``optimum/linear``: train loss of the best linear model. ``optimum/loss``: least train loss that any network of this
    shape can have, where that is known (optimum). ``optimum/ratio``: this network's train loss over it. All three are
    of the mean squared error and of the unweighted cross-entropy, and absent with any other loss.
    ``dead``: share of the hidden ReLU units that are 0 on every train sample; without hidden layers, of ReLU outputs.

    Args:
        loss: the config's ``loss`` that the network was trained with.
    """
    return analyse_fixed(fixed_copy(network), dataset, loss, own_loss)


def analyse_fixed(
    fixed: MLP, dataset: Dataset, loss: Mapping[str, Any] | None = None, own_loss: bool = False
) -> dict[str, float]:
    """As ``analyse``, of a network in float64 and evaluation mode that nobody needs any more: it is changed."""
    found: dict[str, float] = {"params": sum(p.numel() for p in fixed.parameters() if p.requires_grad)}
    if not all(torch.isfinite(tensor).all() for tensor in fixed.parameters()):
        return found
    if dataset.truth is not None and dataset.task == "regression":
        found |= _against_truth(fixed, dataset)
    if is_piecewise_linear(fixed):
        found |= _shape(fixed, *_range(dataset))
    if is_least_squares_or_logistic(loss) and not own_loss:
        found |= _beside_the_best(fixed, dataset)
    # last, for it changes the network
    found |= _dead(fixed, dataset.splits["train"].x.double())
    own_units = dataset.own_units(found, "")
    return {name: value for name, value in own_units.items() if math.isfinite(value)}


def optimum(network: MLP, dataset: Dataset) -> float | None:
    """Least train loss that any network of this shape can have, or None where it is not known.

    Known for linear models of any depth, a ReLU after a linear model of one input, and one hidden layer of units that
    bend on one input, which cannot be better than as many kinks as its units can make (up to MOST_KINKS).
    """
    identity, relu = ACTIVATIONS["identity"], ACTIVATIONS["relu"]
    if any(not isinstance(norm, nn.Identity) for norm in network.norms):
        return None
    is_linear = all(act is identity for act in network.acts)
    if is_linear and network.out_act is identity:
        return best_possible.linear(dataset)
    if dataset.classes or dataset.inputs > 1 or dataset.outputs > 1:
        return None
    if is_linear:
        return best_possible.relu_neuron(dataset) if network.out_act is relu else None
    if len(network.layers) > 2 or network.acts[0] not in BENDS or network.out_act is not identity:
        return None
    count = linear_layers(network)[0].out_features * len(BENDS[network.acts[0]].at)
    return best_possible.kinks(dataset, count) if count <= MOST_KINKS else None


def kinks(network: MLP, low: float, high: float) -> list[float]:
    """Where the slope of a piecewise-linear network with one input changes, strictly between low and high, ascending.

    Exact from the weights at any depth, in float64: every layer adds the places where its units' inputs cross a bend of
    the activation. Places where the slope stays the same are left out (units without effect, or that cancel).
    Raises ValueError when the network has several inputs or outputs, a norm, an activation that is not piecewise linear
    or weights that are not finite.
    """
    if not is_piecewise_linear(network):
        raise ValueError("kinks need one input, one output, no norm, and only identity, relu, leaky_relu and hardtanh")
    if not low < high:
        raise ValueError(f"kinks between low={low} and high={high}: low must be less than high")
    found = pieces(network, low, high)
    if not np.isfinite(found.slope).all():
        raise ValueError("kinks need finite weights")
    return found.kinks()


def kinks_among_samples(network: MLP, dataset: Dataset) -> list[float]:
    """The kinks of a network within the range of all splits' samples; see ``kinks``, whose errors it raises."""
    return kinks(network, *_range(dataset))


def truth_errors(
    network: MLP, truth: Callable[[Tensor], Tensor], inside: tuple[float, float], whole: tuple[float, float]
) -> tuple[float, float]:
    """Mean squared errors of a network with one input against the truth, inside an interval and in the rest of a whole.

    Means over the points of an even grid on ``whole``, in float64; nan where no grid point lies.
    """
    return _truth_errors(fixed_copy(network), truth, inside, whole)


def _truth_errors(
    fixed: MLP, truth: Callable[[Tensor], Tensor], inside: tuple[float, float], whole: tuple[float, float]
) -> tuple[float, float]:
    x_N1 = torch.linspace(*whole, GRID, dtype=torch.float64)[:, None]
    error_NK = _squared_error(fixed, truth, x_N1)
    is_inside_N = ((x_N1 >= inside[0]) & (x_N1 <= inside[1]))[:, 0]
    return error_NK[is_inside_N].mean().item(), error_NK[~is_inside_N].mean().item()


def fixed_copy(network: MLP) -> MLP:
    """A copy for evaluation on the CPU in float64; the network keeps its mode and its generators."""
    return copy.deepcopy(network).to("cpu", torch.float64).eval()


def _range(dataset: Dataset, *names: str) -> tuple[float, float]:
    """Least and greatest first input of these splits, of all when none is named."""
    x = torch.cat([dataset.splits[name].x[:, 0] for name in names or dataset.splits])
    return x.min().item(), x.max().item()


@torch.no_grad()
def _squared_error(network: nn.Module, truth: Callable[[Tensor], Tensor], x_ND: Tensor) -> Tensor:
    return (network(x_ND) - truth(x_ND)) ** 2


def _against_truth(network: MLP, dataset: Dataset) -> dict[str, float]:
    """On the range of the samples for a curve, on the samples themselves for more inputs."""
    assert dataset.truth is not None
    if dataset.inputs == 1:
        training = dataset.training_range or _range(dataset, "train")
        inside, outside = _truth_errors(network, dataset.truth, training, dataset.whole_range or _range(dataset))
    else:
        errors = {
            name: _squared_error(network, dataset.truth, split.x.double()).mean().item()
            for name, split in dataset.splits.items()
        }
        inside, outside = errors["train"], errors.get("outer", math.nan)
    if "outer" not in dataset.splits:
        return {"truth/inside": inside}
    ratio = outside / inside if inside else math.nan
    return {"truth/inside": inside, "truth/outside": outside, "truth/outside_over_inside": ratio}


@torch.no_grad()
def _beside_the_best(network: MLP, dataset: Dataset) -> dict[str, float]:
    found = {"optimum/linear": best_possible.linear(dataset)}
    best = optimum(network, dataset)
    if best is None:
        return found
    x, y = dataset.splits["train"]
    loss = loss_function(None, dataset.task)(network(x.double()), y if dataset.classes else y.double())
    return {**found, "optimum/loss": best, "optimum/ratio": loss.item() / best if best else math.nan}


@torch.no_grad()
def _dead(network: MLP, x_ND: Tensor) -> dict[str, float]:
    relu = ACTIVATIONS["relu"]
    alive: list[Tensor] = []

    def watched(z_NH: Tensor) -> Tensor:
        h_NH = relu(z_NH)
        alive.append((h_NH != 0).any(dim=0))
        return h_NH

    if relu in network.acts:
        network.acts = [watched if act is relu else act for act in network.acts]
    elif not network.acts and network.out_act is relu:
        network.out_act = watched
    else:
        return {}
    network(x_ND)
    return {"dead": 1 - torch.cat(alive).double().mean().item()}


def _shape(network: MLP, low: float, high: float) -> dict[str, float]:
    """Slope and intercept of a line, number of kinks of anything else that is piecewise linear."""
    if not low < high:
        return {}
    found = pieces(network, low, high)
    if not np.isfinite(found.slope).all():
        return {}
    identity = ACTIVATIONS["identity"]
    shape: dict[str, float] = {"kinks": len(found.kinks())}
    if network.out_act is identity and all(act is identity for act in network.acts):
        shape |= {"slope": float(found.slope[0]), "intercept": float(found.offset[0])}
    return shape
