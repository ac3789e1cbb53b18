"""The ranked table of a sweep: its configurations from best to worst, with mean and spread over replicates."""

import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hydra.experimental.callback import Callback
from omegaconf import DictConfig

from neuronsweep import console
from neuronsweep.sweeps import ledger

SHOWN = 20


def ranking(
    rows: Sequence[Mapping[str, Any]], keys: Sequence[str], metric: str, mode: str
) -> list[tuple[dict[str, Any], list[float]]]:
    """Configurations (their values of ``keys``) with the metric of each complete replicate, best mean first."""
    groups: dict[tuple, list[float]] = {}
    for row in rows:
        if row["state"] == ledger.COMPLETE and metric in row:
            groups.setdefault(tuple(row[key] for key in keys), []).append(float(row[metric]))
    ranked = sorted(groups.items(), key=lambda item: statistics.fmean(item[1]), reverse=mode == "max")
    return [(dict(zip(keys, values, strict=True)), results) for values, results in ranked]


class PrintRanking(Callback):
    """Prints the ranked table when a sweep has ended."""

    def on_multirun_end(self, config: DictConfig, **kwargs: Any) -> None:
        sweep = Path(config.hydra.sweep.dir)
        description = ledger.read_json(sweep / ledger.SWEEP)
        metric, mode = description["objective"]["metric"], description["objective"]["mode"]
        replicated = "seed" in description["swept"]
        keys = [key for key in description["swept"] if key != "seed"]
        ranked = ranking(ledger.Results(sweep).write(), keys, metric, mode)
        columns = [*keys, metric, *(["spread", "runs"] if replicated else [])]
        lines = [(str(rank + 1), *_cells(*item, replicated)) for rank, item in enumerate(ranked[:SHOWN])]
        console.table("rank", columns, lines)
        if len(ranked) > SHOWN:
            console.say(f"... and {len(ranked) - SHOWN} more in {ledger.RESULTS}")


def _cells(values: Mapping[str, Any], results: Sequence[float], replicated: bool) -> tuple[str, ...]:
    spread = console.number(statistics.stdev(results)) if len(results) > 1 else ""
    shown = [*values.values(), console.number(statistics.fmean(results))]
    return (*map(str, shown), *([spread, str(len(results))] if replicated else []))
