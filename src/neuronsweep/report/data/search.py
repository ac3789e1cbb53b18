"""Reads what a search found from its sweep directory, without opening its study."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from neuronsweep.report.data.configurations import Row
from neuronsweep.report.data.sweep import SweepReport
from neuronsweep.report.data.trials import complete_trials
from neuronsweep.runs import contents, files
from neuronsweep.runs.run import PRUNED, Run
from neuronsweep.search.objectives import Goals, recorded

# The best trials of a search with one objective that are shown.
SHOWN = 6
# How the authors of the methods of importances write their names.
METHODS = {"ped_anova": "PED-ANOVA", "fanova": "fANOVA"}


@dataclass(frozen=True)
class SearchResults:
    """A search, which may still be going on.

    Attributes:
        total: how many trials it has when it has ended.
        replicates: how many runs a trial has.
        trials: a row for each that is COMPLETE, of one with several runs the first run's with their means.
        satisfying: those that satisfy all constraints, in the order of their numbers.
        best: of those the front, or the SHOWN best where there is one objective.
        importances: by metric, method and key; empty before the search has ended.
        duplicates: trials that repeated an earlier one: they have its result and no run.
    """

    goals: Goals
    total: int
    replicates: int
    trials: list[Row]
    satisfying: list[Row]
    best: list[Row]
    importances: Mapping[str, Mapping[str, Mapping[str, float]]]
    duplicates: int

    @property
    def metrics(self) -> list[str]:
        return [metric for metric, _ in self.goals.objectives]


def search_of(sweep: SweepReport) -> SearchResults | None:
    """The search that a sweep is, if it is one."""
    if not sweep.is_search:
        return None
    description = sweep.description
    goals = recorded(description["search"])
    trials = complete_trials(sweep.rows, description.get("replicates", 1))
    satisfying = [row for row in trials if goals.satisfied(row)]
    by_number = {row["run"]: row for row in satisfying}
    best = goals.best({row["run"]: [row[metric] for metric, _ in goals.objectives] for row in satisfying}, SHOWN)
    found = _found(sweep.directory / contents.SEARCH)
    return SearchResults(
        goals=goals,
        total=description["trials"],
        replicates=description.get("replicates", 1),
        trials=trials,
        satisfying=satisfying,
        best=[by_number[number] for number in best],
        importances=found.get("importances", {}),
        duplicates=found.get("duplicates", 0),
    )


def _found(path: Path) -> dict[str, Any]:
    """What the study said when the search ended; empty before. Raises Damaged where it cannot be read."""
    if not path.exists():
        return {}
    try:
        found = yaml.safe_load(path.read_text())
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise files.Damaged(path, f"damaged: {str(error).splitlines()[0]}") from None
    if not isinstance(found, dict) or not isinstance(found.get("importances", {}), dict):
        raise files.Damaged(path, "damaged: it does not hold what a study has")
    return found


def best_so_far(search: SearchResults, objective: int) -> list[tuple[int, float]]:
    """Run and value of every trial that was better in one objective than all before it."""
    metric, mode = search.goals.objectives[objective]
    better: list[tuple[int, float]] = []
    for row in search.satisfying:
        if not better or (row[metric] < better[-1][1] if mode == "min" else row[metric] > better[-1][1]):
            better.append((row["run"], row[metric]))
    return better


def pruned_at(sweep: SweepReport, metric: str) -> list[tuple[Row, float]]:
    """The runs that were PRUNED, with what they had reached of a metric that is computed at log points."""
    found = []
    for row in sweep.rows:
        if row["state"] != PRUNED:
            continue
        history = Run(sweep.path(row)).history()
        if history and metric in history[-1][1]:
            found.append((row, history[-1][1][metric]))
    return found
