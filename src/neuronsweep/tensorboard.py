"""TensorBoard events besides scalars, for both engines: hyperparameters, graph, pictures, layout."""

import struct
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import google_crc32c
from tensorboard.compat.proto.attr_value_pb2 import AttrValue
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.graph_pb2 import GraphDef
from tensorboard.compat.proto.node_def_pb2 import NodeDef
from tensorboard.compat.proto.summary_pb2 import Summary, SummaryMetadata
from tensorboard.compat.proto.tensor_pb2 import TensorProto
from tensorboard.compat.proto.tensor_shape_pb2 import TensorShapeProto
from tensorboard.plugins.custom_scalar import layout_pb2
from tensorboard.plugins.custom_scalar import metadata as custom_scalar
from tensorboard.plugins.hparams import api_pb2, metadata, plugin_data_pb2

from neuronsweep.config.check import known_keys, shown
from neuronsweep.config.schemas.model import activations, widths
from neuronsweep.runs.run import COMPLETE, FAILED

FIGURE_TAG = "fit"
# Title of the custom scalars, and what a chart of them compares.
LAYOUT, SPLITS = "train, val, outer", ("train", "val", "outer")

# What the column of a key is called that has lists, beside the one that has numbers.
LIST = " (list)"


@dataclass(frozen=True)
class Session:
    """What is known of a run when it starts.

    Attributes:
        config: the resolved config with dotted keys.
        graph: see graph; empty where there is none.
        names: of the metrics at log points, such as ``val/loss``.
    """

    config: Mapping[str, Any]
    graph: bytes
    names: Sequence[str]

    def events(self) -> list[Event]:
        """The hyperparameters of the run, the graph of its network and the layout of its scalars."""
        graphs = [Event(graph_def=self.graph)] if self.graph else []
        return [Event(summary=_session_start(self.config)), *graphs, Event(summary=_layout(self.names))]


def begin(writer: Any, session: Session) -> None:
    """Write what is known of a run that starts.

    Args:
        writer: a torch.utils.tensorboard.SummaryWriter.
    """
    for event in session.events():
        writer.file_writer.add_event(event)


def show(writer: Any, epoch: int, png: bytes) -> None:
    """Write the picture of a fit that is still being learnt."""
    writer.file_writer.add_summary(_picture(png), epoch)


def finish(writer: Any, metrics: Mapping[str, float], epoch: int, png: bytes | None) -> None:
    """Write the final metrics under the tags of the scalars, the end of the session, and the fit's picture if any."""
    for summary in (_scalars(metrics), _session_end(COMPLETE), *([_picture(png)] if png else [])):
        writer.file_writer.add_summary(summary, epoch)
    writer.flush()


def end(writer: Any, state: str) -> None:
    """Write the end of the session of a run that is FAILED or PRUNED."""
    writer.file_writer.add_summary(_session_end(state))
    writer.flush()


def file(
    state: str,
    session: Session,
    history: Sequence[tuple[int, Mapping[str, float]]],
    metrics: Mapping[str, float],
    pictures: Mapping[int, bytes],
    seconds: float,
) -> bytes:
    """Contents of the events file of a run that has ended: what begin, its log points and finish or end had written.

    Args:
        state: COMPLETE, FAILED or PRUNED.
        history, metrics: empty where the run did not come to them.
        pictures: PNG files by their epochs.
        seconds: the time that every event gets, since 1970.
    """
    last = history[-1][0] if history else 0
    points = [Event(step=epoch, summary=_scalars(row)) for epoch, row in history]
    end = [Event(step=last, summary=summary) for summary in (_scalars(metrics), _session_end(state))]
    begin = [Event(file_version="brain.Event:2"), *session.events()]
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


def graph(inputs: int, outputs: int, model: Mapping[str, Any]) -> bytes:
    """The serialised GraphDef of an MLP: a node for each step of a layer, with the number of values that leave it.

    Args:
        model: the resolved ``model`` group of a config.
    """
    each = widths(model["hidden"], model["depth"])
    nodes: list[NodeDef] = []

    def add(name: str, op: str, width: int, *before: str) -> str:
        shape = TensorShapeProto(dim=[TensorShapeProto.Dim(size=size) for size in (-1, width)])
        shapes = AttrValue(list=AttrValue.ListValue(shape=[shape]))
        nodes.append(NodeDef(name=name, op=op, input=before, attr={"_output_shapes": shapes}))
        return name

    last = add("input", "Placeholder", inputs)
    for i, (width, act) in enumerate(zip(each, activations(model["act"], len(each)), strict=True)):
        layer, before = f"hidden{i + 1}", last
        steps = ["linear", f"{model['norm']}_norm", act, "dropout"]
        present = [True, model["norm"] != "none", True, model["dropout"] > 0]
        for step in (step for step, there in zip(steps, present, strict=True) if there):
            last = add(f"{layer}/{step}", step, width, last)
        if model["skip"] and i:
            last = add(f"{layer}/add", "add", width, before, last)
    last = add("output/linear", "linear", outputs, last)
    if model["out_act"] != "identity":
        add(f"output/{model['out_act']}", model["out_act"], outputs, last)
    return GraphDef(node=nodes).SerializeToString()


def _scalars(values: Mapping[str, float]) -> Summary:
    return Summary(value=[Summary.Value(tag=name, simple_value=value) for name, value in values.items()])


def _session_start(config: Mapping[str, Any]) -> Summary:
    # Only the session: without a summary of the experiment TensorBoard shows every scalar that the runs have.
    info = plugin_data_pb2.SessionStartInfo()
    for key, value in hyperparameters(config).items():
        kind = "bool_value" if isinstance(value, bool) else "string_value" if isinstance(value, str) else "number_value"
        setattr(info.hparams[key], kind, value)
    return _session(metadata.SESSION_START_INFO_TAG, session_start_info=info)


def _session_end(state: str) -> Summary:
    # PRUNED has no word there: the run is no failure, and "success" is for those whose metrics are final
    status = {COMPLETE: api_pb2.STATUS_SUCCESS, FAILED: api_pb2.STATUS_FAILURE}
    info = plugin_data_pb2.SessionEndInfo(status=status.get(state, api_pb2.STATUS_UNKNOWN))
    return _session(metadata.SESSION_END_INFO_TAG, session_end_info=info)


def _session(tag: str, **info: Any) -> Summary:
    content = plugin_data_pb2.HParamsPluginData(version=metadata.PLUGIN_DATA_VERSION, **info).SerializeToString()
    plugin = SummaryMetadata.PluginData(plugin_name=metadata.PLUGIN_NAME, content=content)
    return Summary(value=[Summary.Value(tag=tag, metadata=SummaryMetadata(plugin_data=plugin))])


def _layout(names: Iterable[str]) -> Summary:
    """The custom scalars: for each metric one chart with all splits."""
    charts: dict[str, layout_pb2.Chart] = {}
    for name in names:
        split, _, metric = name.partition("/")
        if split in SPLITS:
            charts.setdefault(metric, layout_pb2.Chart(title=metric)).multiline.tag.append(name)
    category = layout_pb2.Category(title=LAYOUT, chart=charts.values())
    content = layout_pb2.Layout(category=[category]).SerializeToString()
    tensor = TensorProto(dtype="DT_STRING", string_val=[content], tensor_shape=TensorShapeProto())
    plugin = SummaryMetadata(plugin_data=SummaryMetadata.PluginData(plugin_name=custom_scalar.PLUGIN_NAME))
    return Summary(value=[Summary.Value(tag=custom_scalar.CONFIG_SUMMARY_TAG, tensor=tensor, metadata=plugin)])


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
