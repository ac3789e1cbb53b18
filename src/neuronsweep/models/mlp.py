"""The multilayer perceptron, its activations and its initialisations."""

import itertools
import math
from collections.abc import Callable, Sequence
from typing import cast

import numpy as np
import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn

from neuronsweep.config.schemas.model import activations, widths
from neuronsweep.philox import kept

Activation = Callable[[Tensor], Tensor]

ACTIVATIONS: dict[str, Activation] = {
    "identity": lambda x: x,
    "relu": F.relu,
    "leaky_relu": F.leaky_relu,
    "elu": F.elu,
    "gelu": F.gelu,
    "silu": F.silu,
    "softplus": F.softplus,
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
    "hardtanh": F.hardtanh,
}


GAIN = nn.init.calculate_gain("leaky_relu", math.sqrt(5))  # of torch.nn.Linear.reset_parameters


def _default(fan_in: int, fan_out: int) -> tuple[float, float]:
    # torch.nn.Linear.reset_parameters
    return math.sqrt(3.0) * GAIN / math.sqrt(fan_in), 1 / math.sqrt(fan_in)


def _xavier(fan_in: int, fan_out: int) -> tuple[float, float]:
    # torch.nn.init.xavier_uniform_
    return math.sqrt(3.0) * math.sqrt(2.0 / (fan_in + fan_out)), 0.0


def _zeros(fan_in: int, fan_out: int) -> tuple[float, float]:
    return 0.0, 0.0


# Of a layer's weights, and of its biases, the largest that may be drawn, as likely as every other; 0: all are 0.
UNIFORM = {"default": _default, "xavier": _xavier, "zeros": _zeros}
INITS = (*UNIFORM, "kaiming")


def initial_numbers(sizes: Sequence[int], init: str, bias: bool, seed: int) -> np.ndarray:
    """Weight and bias of every linear layer from the inputs to the outputs, one behind the other, float32.

    Uniform ones have the bits of torch's ``uniform_`` where the processor multiplies and adds in one. Where not,
    torch rounds twice; in double precision the product is exact, and all processors round once.
    """
    generator = Generator().manual_seed(seed)
    layers = list(itertools.pairwise(sizes))
    if init == "kaiming":
        return _kaiming(layers, bias, generator)
    counts, bounds = [], []
    for fan_in, fan_out in layers:
        of_weights, of_biases = UNIFORM[init](fan_in, fan_out)
        counts += [fan_in * fan_out, fan_out * bias]
        bounds += [of_weights, of_biases]
    bound = np.repeat(np.array(bounds, np.float32).astype(np.float64), counts)
    drawn = torch.rand(int(np.count_nonzero(bound)), generator=generator).numpy()
    if len(drawn) < len(bound):
        chosen, drawn = drawn, np.zeros(len(bound), np.float32)
        drawn[bound > 0] = chosen
    return (drawn * (2 * bound) - bound).astype(np.float32)


def _kaiming(layers: Sequence[tuple[int, int]], bias: bool, generator: Generator) -> np.ndarray:
    # as torch.nn.init.kaiming_normal_, in double precision: torch draws single ones in another way on each processor
    numbers = []
    for fan_in, fan_out in layers:
        drawn = torch.randn(fan_in * fan_out, generator=generator, dtype=torch.float64)
        numbers += [(drawn * math.sqrt(2 / fan_in)).numpy(), np.zeros(fan_out * bias)]
    return np.concatenate(numbers).astype(np.float32)


def initial_weights(sizes: Sequence[int], init: str, bias: bool, seed: int) -> list[tuple[Tensor, Tensor | None]]:
    """Weight (fan_out, fan_in) and bias (fan_out,) of every linear layer from the inputs to the outputs."""
    rest = torch.from_numpy(initial_numbers(sizes, init, bias, seed))
    layers: list[tuple[Tensor, Tensor | None]] = []
    for fan_in, fan_out in itertools.pairwise(sizes):
        weight, of_layer, rest = rest.split([fan_in * fan_out, fan_out * bias, len(rest) - (fan_in + bias) * fan_out])
        layers.append((weight.reshape(fan_out, fan_in).clone(), of_layer.clone() if bias else None))
    return layers


NORMS: dict[str, Callable[[int], nn.Module]] = {
    "none": lambda width: nn.Identity(),
    "batch": nn.BatchNorm1d,
    "layer": nn.LayerNorm,
}


class Linear(nn.Linear):
    """torch's with weights that are given: its own are drawn from the global generator."""

    def __init__(self, weight: Tensor, bias: Tensor | None):
        super().__init__(weight.shape[1], weight.shape[0], bias=bias is not None)
        self.weight = nn.Parameter(weight)
        if bias is not None:
            self.bias = nn.Parameter(bias)

    def reset_parameters(self) -> None:
        pass


class Dropout(nn.Module):
    """Inverted dropout of a hidden layer, counted from 0, whose masks depend on (seed, epoch, position, unit) alone.

    So whatever trains, continues or shares a batch with others drops the same units. Until ``drawn`` is set, the masks
    are torch's.

    Attributes:
        drawn: seed, epoch and the positions in the epoch of the samples that come next; see ``data.batches.Batch``.
    """

    def __init__(self, p: float, layer: int):
        super().__init__()
        self.p, self.layer = p, layer
        self.drawn: tuple[int, int, Sequence[int]] | None = None

    def forward(self, x_NH: Tensor) -> Tensor:
        if not self.training:
            return x_NH
        if self.drawn is None:
            return F.dropout(x_NH, self.p)
        seed, epoch, positions = self.drawn
        if len(positions) != len(x_NH):
            raise ValueError(f"dropout has masks for {len(positions)} samples, not for {len(x_NH)}")
        kept_NH = kept(self.p, seed, epoch, positions, self.layer, x_NH.shape[1])
        return x_NH * (torch.from_numpy(kept_NH).to(x_NH) * (1 / (1 - self.p)))


class MLP(nn.Module):
    """``depth`` hidden layers of ``hidden`` units and a linear output layer; depth 0 is a linear model.

    ``hidden`` may be a list of widths, whose length is the depth, and ``act`` a list with a name for each hidden layer.
    A hidden layer is linear -> norm -> act -> dropout; with ``skip`` every hidden layer after the first adds its
    input to its output. ``out_act`` follows the output layer. The initial weights depend on ``seed`` alone.
    Maps x (N, inputs) to (N, outputs). Raises ValueError where the lists and ``depth`` do not fit, and for ``skip``
    between layers of different widths.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        hidden: int | Sequence[int] = 8,
        depth: int = 1,
        act: str | Sequence[str] = "relu",
        out_act: str = "identity",
        init: str = "default",
        norm: str = "none",
        dropout: float = 0.0,
        skip: bool = False,
        bias: bool = True,
        seed: int = 0,
    ):
        super().__init__()
        self.inputs, self.outputs = inputs, outputs
        each = widths(hidden, depth)
        if skip and len(set(each)) > 1:
            raise ValueError(f"skip with hidden={hidden}: a layer's input has not the width of its output")
        layers = nn.ModuleList(Linear(*drawn) for drawn in initial_weights([inputs, *each, outputs], init, bias, seed))
        self.layers = cast(Sequence[Linear], layers)  # torch does not say of what a list is
        self.norms = nn.ModuleList(NORMS[norm](width) for width in each)
        self.dropouts = nn.ModuleList(Dropout(dropout, i) if dropout else nn.Identity() for i in range(len(each)))
        self.acts = [ACTIVATIONS[name] for name in activations(act, len(each))]
        self.out_act, self.skip = ACTIVATIONS[out_act], skip

    def forward(self, x_ND: Tensor) -> Tensor:
        h = x_ND
        *hidden, out = self.layers
        layers = zip(hidden, self.norms, self.acts, self.dropouts, strict=True)
        for i, (linear, norm, act, dropout) in enumerate(layers):
            new = dropout(act(norm(linear(h))))
            h = h + new if self.skip and i else new
        return self.out_act(out(h))

    def set_dropout(self, seed: int, epoch: int, positions: Sequence[int]) -> None:
        """Say which dropout masks come next: those of the samples at these positions in the order of an epoch."""
        for dropout in self.dropouts:
            if isinstance(dropout, Dropout):
                dropout.drawn = seed, epoch, positions
