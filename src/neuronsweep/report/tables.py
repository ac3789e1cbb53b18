"""The ranked table of a sweep: its configurations from best to worst, with mean and spread over replicates."""

import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from hydra.experimental.callback import Callback
from omegaconf import DictConfig

from neuronsweep import console
from neuronsweep.sweeps import ledger
from neuronsweep.sweeps.results import Results

SHOWN = 20


Row = Mapping[str, Any]


def ranking(rows: Sequence[Row], keys: Sequence[str], metric: str, mode: str) -> list[list[Row]]:
    """The complete runs of each configuration (one set of values of ``keys``), best mean first, each best run first."""
    groups: dict[tuple, list[Row]] = {}
    for row in rows:
        if row["state"] == ledger.COMPLETE and metric in row:
            groups.setdefault(tuple(row[key] for key in keys), []).append(row)
    reverse = mode == "max"
    for replicates in groups.values():
        replicates.sort(key=lambda row: float(row[metric]), reverse=reverse)
    return sorted(groups.values(), key=lambda replicates: _mean(replicates, metric), reverse=reverse)


class PrintRanking(Callback):
    """Prints the ranked table when a sweep has ended."""

    def on_multirun_end(self, config: DictConfig, **kwargs: Any) -> None:
        sweep = Path(config.hydra.sweep.dir)
        description = ledger.read_json(sweep / ledger.SWEEP)
        if "search" in description:
            _print_search(yaml.safe_load((sweep / ledger.SEARCH).read_text()), description["swept"])
        else:
            _print_ranking(Results(sweep).rows(), description)
        console.say(f"sweep directory: {console.directory_name(sweep)}")


def _print_ranking(rows: Sequence[Row], description: Mapping[str, Any]) -> None:
    metric, mode = description["objective"]["metric"], description["objective"]["mode"]
    replicated = "seed" in description["swept"]
    keys = [key for key in description["swept"] if key != "seed"]
    ranked = ranking(rows, keys, metric, mode)
    columns = [*keys, metric, *(["spread", "runs", "best", "of run"] if replicated else [])]
    lines = []
    for rank, replicates in enumerate(ranked[:SHOWN], start=1):
        best = replicates[0]
        cells = [*(str(best[key]) for key in keys), console.number(_mean(replicates, metric))]
        if replicated:
            results = [float(row[metric]) for row in replicates]
            spread = console.number(statistics.stdev(results)) if len(results) > 1 else ""
            cells += [spread, str(len(results)), console.number(results[0]), f"#{best['run']}"]
        lines.append((str(rank), *cells))
    console.table("rank", columns, lines)
    if len(ranked) > SHOWN:
        console.say(f"... and {len(ranked) - SHOWN} more in {ledger.RESULTS}")


def _print_search(found: Mapping[str, Any], keys: Sequence[str]) -> None:
    """The best trials of a search or its front, what became of all of them, and how the best is trained again."""
    objectives = [objective["metric"] for objective in found["objectives"]]
    several = len(objectives) > 1
    entries = found.get("front" if several else "ranking", [])
    lines = [
        (
            f"#{entry['trial']}",
            *(_cell(entry["params"].get(key, "")) for key in keys),
            *(console.number(entry["values"][metric]) for metric in objectives),
        )
        for entry in entries
    ]
    console.table("front" if several else "trial", [*keys, *objectives], lines)
    states = ", ".join(f"{count} {state}" for state, count in found["states"].items())
    again = f"; {found['duplicates']} told again" if found["duplicates"] else ""
    console.say(f"{found['n_trials']} trials: {states}{again}")
    if not entries:
        console.say("none of them is COMPLETE and satisfies the constraints")
    elif several:
        console.say(f"the front has {len(entries)} trials; how to train each again is in {ledger.SEARCH}")
    else:
        console.say(f"best: #{found['best_trial']}, {objectives[0]} {console.number(found['best_value'])}")
        console.say(f"train it again: {found['command']}")


def _cell(value: Any) -> str:
    return console.number(value) if isinstance(value, float) else str(value)


def _mean(rows: Sequence[Row], metric: str) -> float:
    return statistics.fmean(float(row[metric]) for row in rows)
