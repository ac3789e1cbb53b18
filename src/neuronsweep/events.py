"""TensorBoard events of a run beside its scalars, for both engines: hyperparameters, the graph, the fit picture."""

import warnings
from collections.abc import Mapping
from typing import Any

from torch import nn

from neuronsweep.config import known_keys
from neuronsweep.data.dataset import Dataset

FIGURE_TAG = "fit"


def begin(writer: Any, config: Mapping[str, Any], network: nn.Module, dataset: Dataset) -> None:
    """Write the graph of a network and the hyperparameters of a run that starts.

    Args:
        writer: a torch.utils.tensorboard.SummaryWriter.
        config: the resolved config with dotted keys.
    """
    from torch.utils.tensorboard.summary import hparams

    # Only the session: without a summary of the experiment TensorBoard shows every scalar that the runs have.
    _, session, _ = hparams(hyperparameters(config), {})
    writer.file_writer.add_summary(session)
    parameter = next(network.parameters())
    x = dataset.splits["train"].x[:1].to(parameter.device, parameter.dtype)
    network.eval()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        writer.add_graph(network, x)
    network.train()


def finish(writer: Any, metrics: Mapping[str, float], epoch: int, png: bytes) -> None:
    """Write the final metrics under the tags of the scalars, the picture of the fit, and the end of the session."""
    from tensorboard.compat.proto.summary_pb2 import Summary
    from torch.utils.tensorboard.summary import hparams

    for name, value in metrics.items():
        writer.add_scalar(name, value, epoch)
    _, _, end = hparams({}, {})
    writer.file_writer.add_summary(end)
    width, height = (int.from_bytes(png[start : start + 4], "big") for start in (16, 20))  # PNG's IHDR chunk
    image = Summary.Image(height=height, width=width, colorspace=4, encoded_image_string=png)
    writer.file_writer.add_summary(Summary(value=[Summary.Value(tag=FIGURE_TAG, image=image)]), epoch)
    writer.flush()


def hyperparameters(config: Mapping[str, Any]) -> dict[str, bool | float | str]:
    """The config for TensorBoard's HParams: for every run the same keys with the same types.

    A key that this run's groups do not have, or null, is -1, an empty string or false.
    """
    values: dict[str, bool | float | str] = {}
    for key, kind, _ in known_keys():
        value = config.get(key)
        if kind is bool:
            values[key] = bool(value)
        elif kind in (int, float, int | None, float | None):
            values[key] = -1.0 if value is None else float(value)
        else:
            values[key] = "" if value is None else str(value)
    return values
