"""What runs with ``diagnostics=true`` saw inside their networks, layer by layer: medians over seeds, and charts."""

import statistics
from collections.abc import Mapping
from dataclasses import dataclass

from neuronsweep.report.charts.axes import COLOURS, DARK_TO_LIGHT, DASHES, Chart, line_mode, value_axis
from neuronsweep.report.data.configurations import Configuration
from neuronsweep.report.data.formatting import spread_out
from neuronsweep.report.data.sweep import Sweep
from neuronsweep.runs import ledger

# Configurations, replicates of each, log points and layers that are shown of more.
CONFIGURATIONS, REPLICATES, MOMENTS, LAYERS = 24, 10, 40, 12
KINDS = {
    "gradient": ("Norm of the gradient", "Of the loss on all train samples by a layer's weights"),
    "update": ("Update to weight", "What the last step changed of a layer's weights, as a share of their size"),
    "dead": ("Dead units", "Share of a layer's ReLU units that are 0 on every train sample"),
    "saturated": ("Saturated units", "Share of a layer's units that are nearly flat on nine of ten train samples"),
}


@dataclass(frozen=True)
class Inside:
    """The medians of one configuration.

    Attributes:
        values: one a log point in ``epochs``, by kind and layer, the first layer first.
    """

    configuration: Configuration
    epochs: list[int]
    values: Mapping[str, Mapping[str, list[float]]]

    @property
    def reaches(self) -> float:
        """The first layer's gradient at the first log point, as a share of the last layer's."""
        layers = list(self.values["gradient"].values())
        return layers[0][0] / layers[-1][0] if layers[-1][0] else 1.0

    def at_end(self, kind: str) -> float | None:
        """A share of units at the last log point, over all layers."""
        layers = self.values.get(kind)
        return statistics.fmean(values[-1] for values in layers.values()) if layers else None


def inside(sweep: Sweep) -> list[Inside]:
    """What is known of the inside of a sweep's configurations, first those whose first layer gets least gradient."""
    found = [_read(sweep, configuration) for configuration in spread_out(sweep.configurations, CONFIGURATIONS)]
    return sorted((one for one in found if one), key=lambda one: one.reaches)


def inside_charts(found: list[Inside]) -> dict[str, list[Chart]]:
    """The values of each kind over the epochs, a line a layer, by the name of the configuration."""
    return {one.configuration.name: [_over_epochs(one, kind) for kind in one.values] for one in found}


def layers_chart(found: list[Inside]) -> Chart | None:
    """The gradient of every layer at the first log point, a line a configuration."""
    if not found:
        return None
    data: list[Chart] = []
    for i, one in enumerate(found):
        layers = one.values["gradient"]
        data.append(
            {
                "x": [_number(layer) for layer in layers],
                "y": [values[0] for values in layers.values()],
                "mode": "lines+markers",
                "name": one.configuration.short,
                "line": {"color": COLOURS[i % len(COLOURS)], "dash": DASHES[i // len(COLOURS) % len(DASHES)]},
                "hovertemplate": "layer %{x}: %{y:.3g}",
            }
        )
    axes = {"xaxis": {"title": {"text": "layer, from the input"}, "dtick": 1 if _deepest(found) < LAYERS else None}}
    axes["yaxis"] = value_axis("norm of the gradient", [value for trace in data for value in trace["y"]])
    text = f"Median over seeds after epoch {found[0].epochs[0]}; where a line falls towards the input, gradients vanish"
    return {"title": "Gradient, layer by layer", "text": text, "data": data, "layout": axes}


def _read(sweep: Sweep, configuration: Configuration) -> Inside | None:
    histories = [dict(ledger.read_history(sweep.path(row))) for row in spread_out(configuration.rows, REPLICATES)]
    epochs = spread_out([epoch for epoch in histories[0] if all(epoch in h for h in histories)], MOMENTS)
    if not epochs:
        return None
    values: dict[str, dict[str, list[float]]] = {}
    for kind in KINDS:
        names = [name for name in histories[0][epochs[0]] if name.startswith(f"{kind}/")]
        if names:
            values[kind] = {
                name: [_median([h[epoch][name] for h in histories]) for epoch in epochs]
                for name in spread_out(sorted(names, key=_number), LAYERS)
            }
    return Inside(configuration, epochs, values) if "gradient" in values else None


def _over_epochs(one: Inside, kind: str) -> Chart:
    title, what = KINDS[kind]
    layers = one.values[kind]
    data = [
        {
            "x": one.epochs,
            "y": values,
            "mode": line_mode(values),
            "name": f"layer {_number(layer)}",
            "line": {"color": DARK_TO_LIGHT[round(i * (len(DARK_TO_LIGHT) - 1) / max(1, len(layers) - 1))]},
            "hovertemplate": "epoch %{x}: %{y:.3g}",
        }
        for i, (layer, values) in enumerate(layers.items())
    ]
    shares = kind in ("dead", "saturated")
    y = {"range": [-0.02, 1.02], "tickformat": ".0%"}
    axis = y if shares else value_axis("", [value for values in layers.values() for value in values])
    return {
        "title": title,
        "text": what,
        "data": data,
        "layout": {"xaxis": {"title": {"text": "epoch"}}, "yaxis": axis},
    }


def _median(values: list[float]) -> float:
    """With the digits that a chart can show: a page has many of these."""
    return float(f"{statistics.median(values):.3g}")


def _number(layer: str) -> int:
    return int(layer.rpartition(".")[2]) + 1


def _deepest(found: list[Inside]) -> int:
    return max(_number(layer) for one in found for layer in one.values["gradient"])
