"""Prints the ranking of a sweep: its configurations from best to worst, with mean and spread over replicates."""

import math
import statistics
from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from neuronsweep import console
from neuronsweep.report.data.configurations import FOLD, REDRAWN
from neuronsweep.report.data.sweep import SweepReport, sweep_of
from neuronsweep.report.text.answer import lost
from neuronsweep.runs import contents
from neuronsweep.runs.results import Results

SHOWN = 20


def print_ranking(results: Results) -> None:
    """Print the ranked table of a sweep that has ended, or the best trials of a search."""
    if "search" in results.description:
        _print_search(yaml.safe_load((results.sweep / contents.SEARCH).read_text()), results.swept)
    else:
        _print_ranking(sweep_of(results))
    console.say(f"sweep directory: {console.directory_name(results.sweep)}")


def _print_ranking(sweep: SweepReport) -> None:
    replicated = any(key in sweep.swept and key not in sweep.keys for key in ("seed", FOLD, REDRAWN))
    columns = [*sweep.keys, sweep.metric, *(["spread", "runs", "best", "of run"] if replicated else [])]
    for those in sweep.by_data.values() or [[]]:
        lines = []
        for rank, configuration in enumerate(those[:SHOWN], start=1):
            cells = [*configuration.values.values(), console.number(configuration.mean)]
            if replicated:
                results = configuration.results
                several = len(results) > 1 and math.isfinite(configuration.mean)
                spread = console.number(statistics.stdev(results)) if several else ""
                cells += [spread, configuration.count, console.number(results[0]), f"#{configuration.best['run']}"]
            lines.append((str(rank), *cells))
        console.table("rank", columns, lines, needed=[sweep.metric])
        if len(those) > SHOWN:
            console.say(f"... and {len(those) - SHOWN} more in {contents.RESULTS}")
    for sentence in lost(sweep):
        console.say(sentence)


def _print_search(found: Mapping[str, Any], keys: Sequence[str]) -> None:
    """The best trials of a search or its front, how many ended in each state, and how the best is trained again."""
    objectives = [objective["metric"] for objective in found["objectives"]]
    several = len(objectives) > 1
    entries = found.get("front" if several else "ranking", [])
    keys = [key for key in keys if any(key in entry["params"] for entry in entries)]
    lines = [
        (
            f"#{entry['trial']}",
            *(_cell(entry["params"].get(key, "")) for key in keys),
            *(console.number(entry["values"][metric]) for metric in objectives),
        )
        for entry in entries
    ]
    console.table("front" if several else "trial", [*keys, *objectives], lines, needed=objectives)
    states = ", ".join(f"{count} {state}" for state, count in found["states"].items())
    again = f"; {found['duplicates']} repeated an earlier trial" if found["duplicates"] else ""
    console.say(f"{found['n_trials']} trials: {states}{again}")
    if not entries:
        console.say("no trial is COMPLETE and satisfies the constraints")
    elif several:
        console.say(f"the front has {len(entries)} trials; how to train each again is in {contents.SEARCH}")
    else:
        console.say(f"best: #{found['best_trial']}, {objectives[0]} {console.number(found['best_value'])}")
        console.say(f"train it again: {found['command']}")


def _cell(value: Any) -> str:
    return console.number(value) if isinstance(value, float) else str(value)
