"""Diagnostics of training, layer by layer: gradients, sizes of updates, dead and saturated units.

Names of the values, one for each layer that has it, as history.csv has them:

``gradient/layers.0``: Euclidean norm of the gradient of the loss on all train samples by the layer's weight and bias.
``update/layers.0``: norm of what the last step before the log point changed of them, over their norm after it.
``dead/layers.0``: share of the layer's ReLU units that are 0 on every train sample.
``saturated/layers.0``: share of its sigmoid, tanh and hardtanh units that are flat, with a slope below FLAT of the
greatest, on MOST of the train samples or more.
"""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from neuronsweep.data.dataset import Split
from neuronsweep.models.mlp import ACTIVATIONS, MLP, Activation

FLAT = 0.1
MOST = 9, 10  # nine in ten, in whole numbers: no rounding decides

# Slopes as shares of the activation's greatest slope, from its value h.
SLOPES: dict[str, Callable[[Tensor], Tensor]] = {
    "sigmoid": lambda h: 4 * (h * (1 - h)),
    "tanh": lambda h: 1 - h * h,
    "hardtanh": lambda h: (h.abs() < 1).to(h.dtype),
}


def stopped(act: str, h: Tensor) -> tuple[str, Tensor] | None:
    """Which of the units (..., H) with these values (..., N, H) on N samples are ``dead`` or ``saturated``, if any can.

    Counts only, so that the answer for one network does not depend on what else is in the tensor.
    """
    if act == "relu":
        return "dead", (h == 0).all(dim=-2)
    if act in SLOPES:
        flat = (SLOPES[act](h) < FLAT).sum(dim=-2)
        return "saturated", flat * MOST[1] >= h.shape[-2] * MOST[0]
    return None


def diagnose(
    network: MLP, loss: Callable[[Tensor, Tensor], Tensor], train: Split, before: Mapping[str, Tensor]
) -> dict[str, float]:
    """All values of one network in evaluation mode; it is left as it was, its gradients included.

    Args:
        loss: of predictions and targets.
        before: the network's state dict before the last step.
    """
    acts: list[Activation] = network.acts
    seen: list[Tensor] = []

    def watched(act: Activation) -> Activation:
        def act_seen(z: Tensor) -> Tensor:
            seen.append(act(z))
            return seen[-1]

        return act_seen

    network.acts = [watched(act) for act in acts]
    mode = network.training
    network.eval()
    try:
        with torch.enable_grad():
            parameters = dict(network.named_parameters())
            value = loss(network(train.x), train.y)
            gradients = torch.autograd.grad(value, list(parameters.values()), allow_unused=True)
    finally:
        network.acts = acts
        network.train(mode)
    gradient = dict(zip(parameters, gradients, strict=True))
    found: dict[str, float] = {}
    with torch.no_grad():
        layers = [[name for name in parameters if name.startswith(f"layers.{i}.")] for i in range(len(network.layers))]
        for i, names in enumerate(layers):
            found[f"gradient/layers.{i}"] = norm([gradient[name] for name in names]).item()
        for i, names in enumerate(layers):
            change = norm([parameters[name] - before[name] for name in names]).item()
            found[f"update/layers.{i}"] = share(change, norm([parameters[name] for name in names]).item())
        known = {function: name for name, function in ACTIVATIONS.items()}
        for i, (act, h_NH) in enumerate(zip(acts, seen, strict=True)):
            which = stopped(known.get(act, ""), h_NH)  # unknown: a module's own
            if which:
                found[f"{which[0]}/layers.{i}"] = which[1].sum().item() / h_NH.shape[1]
    return found


def norm(tensors: list[Tensor]) -> Tensor:
    """Euclidean norm of all numbers in these tensors."""
    return torch.stack([(tensor * tensor).sum() for tensor in tensors]).sum().sqrt()


def share(change: float, size: float) -> float:
    """How large a change is beside a size, 0 where nothing changed."""
    return change / size if size else 0.0
