"""model.ckpt: the file both engines write and Lightning's load_from_checkpoint reads."""

import io
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

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
