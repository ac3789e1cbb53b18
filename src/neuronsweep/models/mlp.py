"""The multilayer perceptron, its activations and its initialisations."""

import itertools
import math
from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn

from neuronsweep.schemas.model import activations, widths

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


def _default(linear: nn.Linear, generator: Generator) -> None:
    # torch.nn.Linear.reset_parameters, with a generator of our own
    nn.init.kaiming_uniform_(linear.weight, a=math.sqrt(5), generator=generator)
    if linear.bias is not None:
        bound = 1 / math.sqrt(linear.in_features)
        nn.init.uniform_(linear.bias, -bound, bound, generator=generator)


def _xavier(linear: nn.Linear, generator: Generator) -> None:
    nn.init.xavier_uniform_(linear.weight, generator=generator)
    _zero_bias(linear)


def _kaiming(linear: nn.Linear, generator: Generator) -> None:
    nn.init.kaiming_normal_(linear.weight, nonlinearity="relu", generator=generator)
    _zero_bias(linear)


def _zeros(linear: nn.Linear, generator: Generator) -> None:
    nn.init.zeros_(linear.weight)
    _zero_bias(linear)


def _zero_bias(linear: nn.Linear) -> None:
    if linear.bias is not None:
        nn.init.zeros_(linear.bias)


INITS: dict[str, Callable[[nn.Linear, Generator], None]] = {
    "default": _default,
    "xavier": _xavier,
    "kaiming": _kaiming,
    "zeros": _zeros,
}

NORMS: dict[str, Callable[[int], nn.Module]] = {
    "none": lambda width: nn.Identity(),
    "batch": nn.BatchNorm1d,
    "layer": nn.LayerNorm,
}


class Linear(nn.Linear):
    """torch's without its initialisation, which draws from the global generator. (skip_init imports sympy: .4 s.)"""

    def reset_parameters(self) -> None:
        pass


class Dropout(nn.Module):
    """Inverted dropout whose masks come from a generator of its own, so that a resumed run draws the same ones."""

    def __init__(self, p: float):
        super().__init__()
        self.p = p
        self.generator: Generator | None = None

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            return x
        # drawn on the CPU wherever x is, so that masks do not depend on the device
        keep = (torch.rand(x.shape, generator=self.generator) >= self.p).to(x.device)
        return x * keep / (1 - self.p)


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
        generator = Generator().manual_seed(seed)
        each = widths(hidden, depth)
        if skip and len(set(each)) > 1:
            raise ValueError(f"skip with hidden={hidden}: a layer's input has not the width of its output")
        self.layers = nn.ModuleList()
        for fan_in, fan_out in itertools.pairwise([inputs, *each, outputs]):
            linear = Linear(fan_in, fan_out, bias=bias)
            INITS[init](linear, generator)
            self.layers.append(linear)
        self.norms = nn.ModuleList(NORMS[norm](width) for width in each)
        self.dropout = Dropout(dropout) if dropout else nn.Identity()
        self.acts = [ACTIVATIONS[name] for name in activations(act, len(each))]
        self.out_act, self.skip = ACTIVATIONS[out_act], skip

    def forward(self, x_ND: Tensor) -> Tensor:
        h = x_ND
        *hidden, out = self.layers
        for i, (linear, norm, act) in enumerate(zip(hidden, self.norms, self.acts, strict=True)):
            new = self.dropout(act(norm(linear(h))))
            h = h + new if self.skip and i else new
        return self.out_act(out(h))

    def seed_dropout(self, *numbers: int) -> None:
        """Draw the next dropout masks from a generator seeded by these numbers (seed, epoch, rank)."""
        if isinstance(self.dropout, Dropout):
            seed = hash(numbers) % 2**63  # Python's hash of integers is the same in every process
            self.dropout.generator = Generator().manual_seed(seed)
