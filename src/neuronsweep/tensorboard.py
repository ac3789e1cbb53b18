"""TensorBoard events besides scalars, for both engines: hyperparameters, graph, pictures, layout."""

import struct
import warnings
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import google_crc32c
import torch
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary

from neuronsweep.config.check import known_keys, shown
from neuronsweep.models.mlp import MLP
from neuronsweep.runs.run import COMPLETE, FAILED

FIGURE_TAG = "fit"
# Title of the custom scalars, and what a chart of them compares.
LAYOUT, SPLITS = "train, val, outer", ("train", "val", "outer")

# What the column of a key is called that has lists, beside the one that has numbers.
LIST = " (list)"


def begin(writer: Any, config: Mapping[str, Any], network: MLP | None, names: Iterable[str]) -> None:
    """Write the hyperparameters of a run that starts, the layout of its scalars and the graph of its network.

    Args:
        writer: a torch.utils.tensorboard.SummaryWriter.
        config: the resolved config with dotted keys.
        names: of the metrics at log points, such as ``val/loss``.
    """
    writer.file_writer.add_summary(_session_start(config))
    writer.file_writer.add_summary(_layout(names))
    if network is not None:
        writer.file_writer.add_event(Event(graph_def=graph(network)))


def show(writer: Any, epoch: int, png: bytes) -> None:
    """Write the picture of a fit that is still being learnt."""
    writer.file_writer.add_summary(_picture(png), epoch)


def finish(writer: Any, metrics: Mapping[str, float], epoch: int, png: bytes) -> None:
    """Write the final metrics under the tags of the scalars, the picture of the fit, and the end of the session."""
    for summary in (_scalars(metrics), _session_end(COMPLETE), _picture(png)):
        writer.file_writer.add_summary(summary, epoch)
    writer.flush()


def end(writer: Any, state: str) -> None:
    """Write the end of the session of a run that is FAILED or PRUNED."""
    writer.file_writer.add_summary(_session_end(state))
    writer.flush()


def file(
    state: str,
    config: Mapping[str, Any],
    graph: bytes,
    names: Iterable[str],
    history: Sequence[tuple[int, Mapping[str, float]]],
    metrics: Mapping[str, float],
    pictures: Mapping[int, bytes],
    seconds: float,
) -> bytes:
    """Contents of the events file of a run that has ended: what begin, its log points and finish or end had written.

    Args:
        state: COMPLETE, FAILED or PRUNED.
        config, names: see begin.
        graph: see graph; empty where there is none.
        history, metrics: empty where the run did not come to them.
        pictures: PNG files by their epochs.
        seconds: the time that every event gets, since 1970.
    """
    last = history[-1][0] if history else 0
    points = [Event(step=epoch, summary=_scalars(row)) for epoch, row in history]
    end = [Event(step=last, summary=summary) for summary in (_scalars(metrics), _session_end(state))]
    begin = [Event(file_version="brain.Event:2"), Event(summary=_session_start(config))]
    begin += [Event(graph_def=graph)] if graph else []
    begin.append(Event(summary=_layout(names)))
    drawn = [Event(step=epoch, summary=_picture(png)) for epoch, png in pictures.items()]
    records = []
    for event in (*begin, *points, *drawn, *end):
        event.wall_time = seconds
        records.append(_record(event.SerializeToString()))
    return b"".join(records)


def _record(data: bytes) -> bytes:
    """A record of TensorBoard's files: its length and its bytes, with the checksum of each (TFRecord)."""
    length = struct.pack("<Q", len(data))
    return b"".join((length, _checksum(length), data, _checksum(data)))


def _checksum(data: bytes) -> bytes:
    found = google_crc32c.value(data)
    return struct.pack("<I", ((found >> 15 | found << 17) + 0xA282EAD8) & 0xFFFFFFFF)


def graph(network: MLP) -> bytes:
    """The serialised GraphDef of a network; it depends on the architecture alone."""
    from torch.utils.tensorboard._pytorch_graph import graph

    parameter = next(network.parameters())
    x_1D = torch.zeros(1, network.inputs, device=parameter.device, dtype=parameter.dtype)
    mode = network.training
    network.eval()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        # traced here, because TensorBoard would have two traces compared, for which torch imports .5 s of itself
        definition, _ = graph(torch.jit.trace(network, x_1D, check_trace=False), x_1D)
    network.train(mode)
    return definition.SerializeToString()


def _scalars(values: Mapping[str, float]) -> Summary:
    return Summary(value=[Summary.Value(tag=name, simple_value=value) for name, value in values.items()])


def _session_start(config: Mapping[str, Any]) -> Summary:
    # Only the session: without a summary of the experiment TensorBoard shows every scalar that the runs have.
    from torch.utils.tensorboard.summary import hparams

    return hparams(hyperparameters(config), {})[1]


def _session_end(state: str) -> Summary:
    from tensorboard.compat.proto.summary_pb2 import SummaryMetadata
    from tensorboard.plugins.hparams import api_pb2, metadata, plugin_data_pb2

    # PRUNED has no word there: the run is no failure, and "success" is for those whose metrics are final
    status = {COMPLETE: api_pb2.STATUS_SUCCESS, FAILED: api_pb2.STATUS_FAILURE}
    session = plugin_data_pb2.SessionEndInfo(status=status.get(state, api_pb2.STATUS_UNKNOWN))
    content = plugin_data_pb2.HParamsPluginData(session_end_info=session, version=metadata.PLUGIN_DATA_VERSION)
    plugin = SummaryMetadata.PluginData(plugin_name=metadata.PLUGIN_NAME, content=content.SerializeToString())
    value = Summary.Value(tag=metadata.SESSION_END_INFO_TAG, metadata=SummaryMetadata(plugin_data=plugin))
    return Summary(value=[value])


def _layout(names: Iterable[str]) -> Summary:
    """The custom scalars: for each metric one chart with all splits."""
    from torch.utils.tensorboard.summary import custom_scalars

    charts: dict[str, list[str]] = {}
    for name in names:
        split, _, metric = name.partition("/")
        if split in SPLITS:
            charts.setdefault(metric, []).append(name)
    return custom_scalars({LAYOUT: {metric: ["Multiline", tags] for metric, tags in charts.items()}})


def _picture(png: bytes) -> Summary:
    width, height = (int.from_bytes(png[start : start + 4], "big") for start in (16, 20))  # PNG's IHDR chunk
    image = Summary.Image(height=height, width=width, colorspace=3, encoded_image_string=png)
    return Summary(value=[Summary.Value(tag=FIGURE_TAG, image=image)])


def hyperparameters(config: Mapping[str, Any]) -> dict[str, bool | float | str]:
    """The config for TensorBoard's HParams: for every run the same keys with the same types.

    A key that this run's groups do not have, or null, is -1, an empty string or false. Where a number may also be a
    list with one for each layer, a list has a column of its own, as text: TensorBoard cannot sort a column of both.
    """
    values: dict[str, bool | float | str] = {}
    for key, kind, allowed in known_keys():
        value = config.get(key)
        if allowed and allowed.kind is int:
            listed, value = (value, None) if isinstance(value, list) else (None, value)
            values[key + LIST] = shown(listed) if listed else ""
        if kind is bool:
            values[key] = bool(value)
        elif kind in (int, float, int | None, float | None):
            values[key] = -1.0 if value is None else float(value)
        else:
            values[key] = "" if value is None else shown(value)
    return values
