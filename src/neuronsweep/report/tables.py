"""The ranked table of a sweep: its configurations from best to worst, with mean and spread over replicates."""

import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

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
        metric, mode = description["objective"]["metric"], description["objective"]["mode"]
        replicated = "seed" in description["swept"]
        keys = [key for key in description["swept"] if key != "seed"]
        ranked = ranking(Results(sweep).rows(), keys, metric, mode)
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
        console.say(f"sweep directory: {console.directory_name(sweep)}")


def _mean(rows: Sequence[Row], metric: str) -> float:
    return statistics.fmean(float(row[metric]) for row in rows)
