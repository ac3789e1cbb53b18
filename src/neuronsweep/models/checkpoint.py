"""model.ckpt: written for both engines, and readable by Lightning's load_from_checkpoint."""

import io
import warnings
from collections.abc import Mapping
from pathlib import Path
from pickle import UnpicklingError
from typing import Any
from zipfile import ZipFile

import torch
from torch import Tensor

from neuronsweep.data.dataset import Dataset
from neuronsweep.errors import UserError
from neuronsweep.models.losses import of_dataset
from neuronsweep.models.mlp import MLP

# The oldest Lightning whose checkpoint layout this is; load_from_checkpoint migrates from it.
LAYOUT = "2.5.0"


def model_bytes(state_dict: Mapping[str, Tensor], hyper_parameters: Mapping[str, Any], epoch: int, step: int) -> bytes:
    """Contents of a model.ckpt: weights under the LightningModule's names, and its arguments (plain values)."""
    buffer = io.BytesIO()
    torch.save(
        {
            "pytorch-lightning_version": LAYOUT,
            "epoch": epoch,
            "global_step": step,
            "state_dict": {name: tensor.detach().cpu().clone() for name, tensor in state_dict.items()},
            "hyper_parameters": dict(hyper_parameters),
        },
        buffer,
    )
    return buffer.getvalue()


def module_arguments(config: Mapping[str, Any], dataset: Dataset) -> dict[str, Any]:
    """Arguments of a run's LightningModule, from its resolved config: what model.ckpt holds beside the weights."""
    return {
        "inputs": dataset.inputs,
        "outputs": dataset.outputs,
        "model": config["model"],
        "optimizer": config["optimizer"],
        "scheduler": config["scheduler"] if config["scheduler"]["_target_"] else None,
        "gradient_clip_val": config["trainer"]["gradient_clip_val"],
        "seed": config["seed"],
        "loss": of_dataset(config["loss"], dataset),
        "gradient_clip_value": config["trainer"]["gradient_clip_value"],
    }


def readable(path: Path) -> bool:
    """Whether a checkpoint or snapshot is what was written, and holds tensors and plain values only."""
    try:
        with ZipFile(path) as archive:  # torch.load does not look at the checksums that torch.save writes
            if archive.testzip():
                return False
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            torch.load(path, map_location="cpu", weights_only=True)
    except Exception:  # a damaged file fails in the unpickler or the zip reader, each in its way
        return False
    return True


def load_network(path: Path) -> MLP:
    """The trained network in a model.ckpt, in evaluation mode; without importing lightning.

    Raises UserError for a file that is missing, damaged, or holds more than tensors and plain values.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what torch notices of a file that it then refuses
            content = torch.load(path, map_location="cpu", weights_only=True)
        arguments, weights = content["hyper_parameters"], content["state_dict"]
        network = MLP(arguments["inputs"], arguments["outputs"], **arguments["model"])
        prefix = "network."
        weights = {name.removeprefix(prefix): value for name, value in weights.items() if name.startswith(prefix)}
        network.to(next(iter(weights.values())).dtype)
        network.load_state_dict(weights)
    except FileNotFoundError:
        raise UserError(f"{path} does not exist") from None
    except UnpicklingError:
        raise UserError(f"{path} is damaged: it contains something other than tensors and plain values") from None
    except Exception as error:  # a damaged file fails in the unpickler, the zip reader or the network, each in its way
        raise UserError(f"{path} is damaged: {type(error).__name__} {str(error).strip()[:80]}") from None
    return network.eval()
