"""Loads the network with which a finished run predicts, or the user's own module that it names."""

import warnings
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from neuronsweep.config.targets import NODES, named_class
from neuronsweep.errors import UserError
from neuronsweep.models.checkpoint import load_network
from neuronsweep.runs import contents
from neuronsweep.runs.run import Run
from neuronsweep.runs.trim import check_weights


@dataclass(frozen=True)
class Recorded:
    """A trained module in evaluation mode, on the CPU.

    Attributes:
        module: maps x (N, inputs) to predictions or logits (N, outputs).
    """

    module: nn.Module
    inputs: int


def load_recorded(directory: Path) -> Recorded:
    """The module that the run in a directory was trained with, its weights those of model.ckpt.

    A module of somebody's own is built and predicts itself: what it makes of its network no other class knows.
    Raises Untrusted where that module may not be built, UserError where it cannot be, or where model.ckpt is damaged
    or was removed.
    """
    check_weights(directory)
    target = Run(directory).record()["config"]["module"].get("_target_")
    path = directory / contents.MODEL
    if target is None or target in NODES["module"]:
        network = load_network(path)
        return Recorded(network, network.inputs)

    from neuronsweep.models.modules import NetworkModule  # late: lightning, which MLPs do not need

    kind = named_class("module", target)
    if not issubclass(kind, NetworkModule):
        raise UserError(
            f"{directory} cannot predict: module._target_={target} is not a subclass of a neuronsweep module"
        )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            module = kind.load_from_checkpoint(path, map_location="cpu", weights_only=True)
            weights = torch.load(path, map_location="cpu", weights_only=True)["state_dict"]
        module.to(next(iter(weights.values())).dtype).load_state_dict(weights)  # in float64 where they are
    except Exception as error:  # whatever a user's module raises that is no longer what it was
        why = f"{type(error).__name__} {' '.join(str(error).split())[:200]}"
        raise UserError(f"{directory} cannot predict: module._target_={target} does not load {path}: {why}") from None
    return Recorded(module.eval().predictor, int(module.hparams.get("inputs", 1)))
