"""The score of a sweep's winner on the test rows, which nothing has looked at before: computed once, and kept.

Of each data set the best configuration alone is tested, when all runs have ended. A sweep whose winner changes after
that has looked at its test rows, and the next report says so.
"""

import contextlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from neuronsweep.errors import UserError
from neuronsweep.report.data.configurations import REDRAWN, Configuration
from neuronsweep.report.data.replicates import Fitted, fitted, scored, table_of
from neuronsweep.report.data.search import SearchResults
from neuronsweep.report.data.sweep import SweepReport
from neuronsweep.runs import files
from neuronsweep.runs.contents import TEST
from neuronsweep.runs.run import COMPLETE, FAILED, PRUNED, Run

if TYPE_CHECKING:
    from torch import Tensor

# Replicates that are tested at most.
REPLICATES = 64
# What is said of a winner besides its objective.
MORE = {"classification": ("acc",), "regression": ("rmse", "r2")}


@dataclass(frozen=True)
class Score:
    """A metric on the test rows with its 95% interval by the bootstrap over them, (low, high).

    Attributes:
        mean: of the networks' own scores.
        together: of their mean prediction, with ``together_interval``; of one network the same.
    """

    metric: str
    mean: float
    interval: tuple[float, float]
    together: float
    together_interval: tuple[float, float]


@dataclass(frozen=True)
class Tested:
    """What the test rows say of a winner.

    Attributes:
        rows, networks: how many there are.
        earlier: names of configurations that these rows were looked at for before.
    """

    name: str
    rows: int
    networks: int
    scores: list[Score]
    earlier: list[str]


def winners(sweep: SweepReport, search: SearchResults | None) -> dict[str, Tested]:
    """The winner of every data set that has test rows, by the data set's name; empty while runs are going on."""
    kept = _kept(sweep)
    if not _has_ended(sweep, search):
        return {}
    found: dict[str, Tested] = {}
    computed = False
    for data, those in sweep.by_data.items():
        best = those[0]
        table = table_of(sweep, best.best)
        if not table or not table["source"]["rows"].get("test"):
            continue
        identity = sorted(str(Run(sweep.path(row)).status()["fingerprint"]) for row in best.rows)
        before = kept.get(data)
        if before and before[0] == identity:
            found[data] = before[1]
            continue
        with contextlib.suppress(UserError):  # the file of the rows is gone
            if replicates := _fitted(sweep, best):
                found[data] = _test(best, replicates, [*before[1].earlier, before[1].name] if before else [])
                kept[data] = identity, found[data]
                computed = True
    if computed:
        values = {data: {"runs": identity, **asdict(tested)} for data, (identity, tested) in kept.items()}
        files.write_json(sweep.directory / TEST, values)
    return found


def _has_ended(sweep: SweepReport, search: SearchResults | None) -> bool:
    over = sum(row["state"] in (COMPLETE, FAILED, PRUNED) for row in sweep.rows)
    return over + (search.duplicates * search.replicates if search else 0) == sweep.jobs


def _kept(sweep: SweepReport) -> dict[str, tuple[list[str], Tested]]:
    """What was computed before; nothing of what is damaged."""
    found = {}
    with contextlib.suppress(UserError):
        for data, value in files.read_json(sweep.directory / TEST).items():
            with contextlib.suppress(KeyError, TypeError, ValueError):
                names = list(map(str, value["earlier"]))
                scores = list(map(_score_of, value["scores"]))
                tested = Tested(str(value["name"]), int(value["rows"]), int(value["networks"]), scores, names)
                if scores:
                    found[data] = list(map(str, value["runs"])), tested
    return found


def _score_of(value: Mapping[str, Any]) -> Score:
    numbers = [value["mean"], *value["interval"], value["together"], *value["together_interval"]]
    mean, low, high, together, *ends = map(float, numbers)
    return Score(str(value["metric"]), mean, (low, high), together, (ends[0], ends[1]))


def _fitted(sweep: SweepReport, best: Configuration) -> list[Fitted]:
    """Its replicates whose test rows are the same: those that data.seed draws otherwise are others."""
    draw = min(str(row.get(REDRAWN, "")) for row in best.rows)
    rows = [row for row in best.rows if str(row.get(REDRAWN, "")) == draw]
    return list(fitted(sweep, Configuration(best.values, rows, best.metric), REPLICATES))


def _test(best: Configuration, replicates: Sequence[Fitted], earlier: list[str]) -> Tested:
    from neuronsweep.data.table import test_split

    splits = [test_split(one.config["data"]) for one in replicates]
    outputs = [one.outputs(split) for one, split in zip(replicates, splits, strict=True)]
    asked = scored(best.metric)
    metrics = dict.fromkeys([*([asked[1]] if asked else []), *MORE[replicates[0].dataset.task]])
    scores = [_score(name, replicates, outputs, [split.y for split in splits]) for name in metrics]
    return Tested(best.name, len(splits[0].y), len(replicates), scores, earlier)


def _score(
    metric: str, replicates: Sequence[Fitted], outputs: "Sequence[Tensor]", targets: "Sequence[Tensor]"
) -> Score:
    import numpy as np

    from neuronsweep.analysis.bootstrap import drawn, interval

    first = replicates[0]
    those = [*zip(replicates, outputs, targets, strict=True), (first, _together(replicates, outputs), targets[0])]
    exact = [one.value(metric, out, y) for one, out, y in those]
    units = np.array([one.in_own_units(metric, 1.0) for one, _, _ in those])
    samples = drawn(metric, [(out, one.targets(y), one.loss) for one, out, y in those]) * units
    of_each, of_all = interval(samples[:, :-1].mean(1)), interval(samples[:, -1])
    return Score(f"test/{metric}", math.fsum(exact[:-1]) / len(replicates), of_each, exact[-1], of_all)


def _together(replicates: Sequence[Fitted], outputs: "Sequence[Tensor]") -> "Tensor":
    """The mean prediction, or the logits of the mean probabilities, as the first replicate has its outputs."""
    import torch

    from neuronsweep.analysis.scores import of_logits

    if replicates[0].dataset.classes:
        p = torch.stack([torch.from_numpy(of_logits(out)) for out in outputs]).mean(0).clamp_min(1e-300)
        return p[:, 1:].log() - p[:, :1].log() if outputs[0].shape[1] == 1 else p.log()
    own = torch.stack([one.own_units(out) for one, out in zip(replicates, outputs, strict=True)]).mean(0)
    table = replicates[0].dataset.table
    assert table
    return (own - torch.tensor(table.centre, dtype=own.dtype)) / torch.tensor(table.scale, dtype=own.dtype)
