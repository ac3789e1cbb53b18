"""The charts of runs with ``diagnostics=true``: gradients and units layer by layer."""

from neuronsweep.report.charts.axes import COLOURS, DARK_TO_LIGHT, DASHES, Chart, line_mode, value_axis
from neuronsweep.report.data.diagnostics import KINDS, LAYERS, Inside, layer_number


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
                "x": [layer_number(layer) for layer in layers],
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


def _over_epochs(one: Inside, kind: str) -> Chart:
    title, what = KINDS[kind]
    layers = one.values[kind]
    data = [
        {
            "x": one.epochs,
            "y": values,
            "mode": line_mode(values),
            "name": f"layer {layer_number(layer)}",
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


def _deepest(found: list[Inside]) -> int:
    return max(layer_number(layer) for one in found for layer in one.values["gradient"])
