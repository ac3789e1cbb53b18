"""Activations and their derivatives in place.

``forward[act](z, kept)`` overwrites z by act(z); ``backward[act](g, h, kept)`` overwrites the gradient g of act(z) by
that of z. The derivative is read from h = act(z) where it can be, else from ``kept``, a copy of z: ``KEEPS_INPUT``. All
of these are the kernels that autograd calls, so the bits are autograd's.
"""

from collections.abc import Callable

import torch
from torch import Tensor

aten = torch.ops.aten
KEEPS_INPUT = frozenset({"elu", "gelu", "silu", "softplus"})

forward: dict[str, Callable[[Tensor, Tensor], object]] = {
    "relu": lambda z, kept: torch.relu_(z),
    "leaky_relu": lambda z, kept: aten.leaky_relu_(z, 0.01),
    "elu": lambda z, kept: aten.elu.out(kept.copy_(z), out=z),
    "gelu": lambda z, kept: aten.gelu.out(kept.copy_(z), out=z),
    "silu": lambda z, kept: aten.silu.out(kept.copy_(z), out=z),
    "softplus": lambda z, kept: aten.softplus.out(kept.copy_(z), out=z),
    "sigmoid": lambda z, kept: torch.sigmoid_(z),
    "tanh": lambda z, kept: torch.tanh_(z),
    "hardtanh": lambda z, kept: aten.hardtanh_(z),
}

backward: dict[str, Callable[[Tensor, Tensor, Tensor], object]] = {
    "relu": lambda g, h, kept: aten.threshold_backward.grad_input(g, h, 0, grad_input=g),
    "leaky_relu": lambda g, h, kept: aten.leaky_relu_backward.grad_input(g, h, 0.01, True, grad_input=g),
    "elu": lambda g, h, kept: aten.elu_backward.grad_input(g, 1, 1, 1, False, kept, grad_input=g),
    "gelu": lambda g, h, kept: aten.gelu_backward.grad_input(g, kept, grad_input=g),
    "silu": lambda g, h, kept: aten.silu_backward.grad_input(g, kept, grad_input=g),
    "softplus": lambda g, h, kept: aten.softplus_backward.grad_input(g, kept, 1, 20, grad_input=g),
    "sigmoid": lambda g, h, kept: aten.sigmoid_backward.grad_input(g, h, grad_input=g),
    "tanh": lambda g, h, kept: aten.tanh_backward.grad_input(g, h, grad_input=g),
    "hardtanh": lambda g, h, kept: aten.hardtanh_backward.grad_input(g, h, -1, 1, grad_input=g),
}
