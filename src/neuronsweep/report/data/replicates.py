"""The replicates of a configuration with their networks and data, for what a report computes of them."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from neuronsweep.config.metric_names import is_of_split
from neuronsweep.report.data.configurations import Configuration, Row, replicate_of
from neuronsweep.report.data.formatting import spread_out
from neuronsweep.report.data.statistics import Replicate
from neuronsweep.report.data.sweep import SweepReport
from neuronsweep.runs.run import Run
from neuronsweep.runs.trim import is_trimmed

if TYPE_CHECKING:
    from torch import Tensor, nn

    from neuronsweep.data.dataset import Dataset, Split


@dataclass(frozen=True)
class Fitted:
    """A replicate: a trained network in float64 and the data that it was trained on.

    Attributes:
        loss: the config's, its class weights as numbers.
    """

    replicate: Replicate
    config: Mapping[str, Any]
    dataset: "Dataset"
    network: "nn.Module"
    loss: Mapping[str, Any]

    def outputs(self, split: "Split") -> "Tensor":
        """Predictions or logits (N, K) for a split's inputs."""
        from neuronsweep.analysis.scores import outputs

        return outputs(self.network, split.x)

    def targets(self, y: "Tensor") -> "Tensor":
        """Targets in float64, or class numbers."""
        return y if self.dataset.classes else y.double()

    def value(self, metric: str, out: "Tensor", y: "Tensor") -> float:
        """A metric of predictions or logits, by its name without a split, in the target's own units."""
        from neuronsweep.analysis.scores import value

        return self.in_own_units(metric, value(metric, out, self.targets(y), self.loss))

    def in_own_units(self, metric: str, value: float) -> float:
        """A value of a metric in the units of the table's target."""
        return self.dataset.own_units({metric: value}, self.loss["name"])[metric]

    def own_units(self, y: "Tensor") -> "Tensor":
        """Targets or predictions (N, K) of a regression in the units of the table."""
        import torch

        table = self.dataset.table
        return torch.from_numpy(table.own_units(y.double().numpy())) if table else y.double()


def fitted(sweep: SweepReport, configuration: Configuration, at_most: int) -> Iterator[Fitted]:
    """So many replicates of a configuration whose weights are there, in the order of their splits."""
    from neuronsweep.data.build import build_dataset
    from neuronsweep.models.losses import of_dataset
    from neuronsweep.predictor import load_recorded

    rows = spread_out([row for row in configuration.rows if not is_trimmed(sweep.path(row))], at_most)
    for row in sorted(rows, key=replicate_of):  # those of one split share its data
        config = Run(sweep.path(row)).record()["config"]
        dataset = build_dataset(config["data"])
        loss = of_dataset(config["loss"], dataset) or {"name": "auto"}
        network = load_recorded(sweep.path(row)).module.double()
        yield Fitted(replicate_of(row), config, dataset, network, loss)


def table_of(sweep: SweepReport, row: Row) -> Mapping[str, Any] | None:
    """What the record of a run says of the table that it learnt from; None where its data are none."""
    return Run(sweep.path(row)).record().get("table")


def scored(metric: str) -> tuple[str, str] | None:
    """A metric's split and name where it scores predictions on train or val rows, else None."""
    split, _, name = metric.rpartition("/")
    return (split, name) if is_of_split(metric) and split in ("train", "val") else None
