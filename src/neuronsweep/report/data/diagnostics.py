"""Diagnostics of runs with ``diagnostics=true``, layer by layer, as medians over seeds."""

import statistics
from collections.abc import Mapping
from dataclasses import dataclass

from neuronsweep.report.data.configurations import Configuration
from neuronsweep.report.data.formatting import spread_out
from neuronsweep.report.data.sweep import SweepReport
from neuronsweep.runs.contents import HISTORY
from neuronsweep.runs.run import Run

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
        values: one for each log point in ``epochs``, by kind and layer, the first layer first.
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


def inside(sweep: SweepReport) -> list[Inside]:
    """What is known of the inside of a sweep's configurations, first those whose first layer gets least gradient."""
    found = [_read(sweep, configuration) for configuration in spread_out(sweep.configurations, CONFIGURATIONS)]
    return sorted((one for one in found if one), key=lambda one: one.reaches)


def _read(sweep: SweepReport, configuration: Configuration) -> Inside | None:
    with (sweep.path(configuration.best) / HISTORY).open() as file:
        if ",gradient/" not in file.readline():
            return None
    histories = [dict(Run(sweep.path(row)).history()) for row in spread_out(configuration.rows, REPLICATES)]
    epochs = spread_out([epoch for epoch in histories[0] if all(epoch in h for h in histories)], MOMENTS)
    if not epochs:
        return None
    values: dict[str, dict[str, list[float]]] = {}
    for kind in KINDS:
        names = [name for name in histories[0][epochs[0]] if name.startswith(f"{kind}/")]
        if names:
            values[kind] = {
                name: [_median([h[epoch][name] for h in histories]) for epoch in epochs]
                for name in spread_out(sorted(names, key=layer_number), LAYERS)
            }
    return Inside(configuration, epochs, values) if "gradient" in values else None


def _median(values: list[float]) -> float:
    """With the digits that a chart can show: a page has many of these."""
    return float(f"{statistics.median(values):.3g}")


def layer_number(layer: str) -> int:
    """Number of a layer in the name of its metric, from 1."""
    return int(layer.rpartition(".")[2]) + 1
