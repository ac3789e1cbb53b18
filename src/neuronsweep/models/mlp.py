"""The multilayer perceptron, its activations and its initialisations."""

import itertools
import math
from collections.abc import Callable, Sequence

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


def _default(weight: Tensor, bias: Tensor | None, generator: Generator) -> None:
    # torch.nn.Linear.reset_parameters
    fan_in = weight.shape[1]
    _uniform(weight, math.sqrt(3.0) * nn.init.calculate_gain("leaky_relu", math.sqrt(5)) / math.sqrt(fan_in), generator)
    if bias is not None:
        _uniform(bias, 1 / math.sqrt(fan_in), generator)


def _xavier(weight: Tensor, bias: Tensor | None, generator: Generator) -> None:
    # torch.nn.init.xavier_uniform_
    _uniform(weight, math.sqrt(3.0) * math.sqrt(2.0 / sum(weight.shape)), generator)
    _zero(bias)


def _kaiming(weight: Tensor, bias: Tensor | None, generator: Generator) -> None:
    # as torch.nn.init.kaiming_normal_, in double precision: torch draws single ones in another way on each processor
    drawn = torch.randn(weight.shape, generator=generator, dtype=torch.float64)
    weight.copy_(drawn * math.sqrt(2 / weight.shape[1]))
    _zero(bias)


def _uniform(tensor: Tensor, bound: float, generator: Generator) -> None:
    """Draw from -bound to bound, with the bits of torch's ``uniform_`` where the processor multiplies and adds in one.

    Where it does not, torch rounds twice; in double precision the product is exact, and all processors round once.
    """
    low, high = torch.tensor([-bound, bound]).unbind()
    drawn = torch.rand(tensor.shape, generator=generator).double()
    tensor.copy_(drawn * (high - low).double() + low.double())


def _zeros(weight: Tensor, bias: Tensor | None, generator: Generator) -> None:
    _zero(weight)
    _zero(bias)


def _zero(tensor: Tensor | None) -> None:
    if tensor is not None:
        nn.init.zeros_(tensor)


INITS: dict[str, Callable[[Tensor, Tensor | None, Generator], None]] = {
    "default": _default,
    "xavier": _xavier,
    "kaiming": _kaiming,
    "zeros": _zeros,
}


def initial_weights(sizes: Sequence[int], init: str, bias: bool, seed: int) -> list[tuple[Tensor, Tensor | None]]:
    """Weight (fan_out, fan_in) and bias (fan_out,) of every linear layer from the inputs to the outputs."""
    generator = Generator().manual_seed(seed)
    drawn = []
    for fan_in, fan_out in itertools.pairwise(sizes):
        pair = torch.empty(fan_out, fan_in), torch.empty(fan_out) if bias else None
        INITS[init](*pair, generator)
        drawn.append(pair)
    return drawn


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

    So whatever trains, goes on or shares a batch with others drops the same units. Until ``drawn`` is set, the masks
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

    ``hidden`` may be a list of widths, whose length is the depth, and ``act`` a list of names, one a hidden layer.
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
        self.layers = nn.ModuleList()
        for drawn in initial_weights([inputs, *each, outputs], init, bias, seed):
            self.layers.append(Linear(*drawn))
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
