"""Groups the configurations of a sweep by data and loss, because results on different ones are not comparable."""

import json
import statistics
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from neuronsweep.config.metric_names import is_loss
from neuronsweep.report.data.configurations import Configuration, Row, replicate_of
from neuronsweep.report.data.formatting import short
from neuronsweep.report.data.statistics import Replicate
from neuronsweep.runs.run import Run


def by_data(directory: Path, ranked: Sequence[Configuration], keys: Sequence[str]) -> dict[str, list[Configuration]]:
    """Configurations by the data that they were trained on, in the order of their runs; named by what differs.

    Where their metric is a loss, those of another loss or module are apart, too.
    """
    if not keys:
        return {"data": list(ranked)} if ranked else {}
    groups: dict[tuple[str, ...], list[Configuration]] = {}
    for configuration in ranked:
        groups.setdefault(tuple(configuration.values[key] for key in keys), []).append(configuration)
    # other values need not make other data, as of experiments: they do not where a common replicate has one digest
    merged: list[tuple[tuple[str, str], dict[Replicate, str], list[Configuration]]] = []
    for those in groups.values():
        generator, digests = _trained_on(directory, those)
        for other, known, company in merged:
            if other == generator and any(known.get(one) == digest for one, digest in digests.items()):
                known |= digests
                company += those
                break
        else:
            merged.append((generator, digests, list(those)))
    merged.sort(key=lambda group: min(row["run"] for c in group[2] for row in c.rows))
    order = {id(configuration): place for place, configuration in enumerate(ranked)}
    for _, _, those in merged:
        those.sort(key=lambda configuration: order[id(configuration)])
    named = _named([(generator, those) for (generator, _), _, those in merged], keys)
    return dict(zip(named, (those for _, _, those in merged), strict=True))


def _trained_on(directory: Path, those: Sequence[Configuration]) -> tuple[tuple[str, str], dict[Replicate, str]]:
    """What made the data of some configurations with the same values and whose loss it is; digests by replicate."""
    digests: dict[Replicate, str] = {}
    for row in (row for configuration in those for row in configuration.rows):
        if (one := replicate_of(row)) not in digests:
            record = Run(directory / row["directory"]).record()
            loss = (record["config"].get("module", {}).get("_target_"), record["config"].get("loss"))
            same_loss = json.dumps(loss, sort_keys=True) if is_loss(those[0].metric) else ""
            generator, digests[one] = target(record), record["data_digest"]
    return (generator, same_loss), digests


def _named(groups: Sequence[tuple[str, Sequence[Configuration]]], keys: Sequence[str]) -> list[str]:
    """A name for each group of configurations: in as few words as distinguish them."""
    own = [key for key in keys if key.startswith(("data.", "module.", "loss"))]
    for said, shown in ((own, short), (keys, short), (keys, str)):
        names = []
        for generator, those in groups:
            values = (f"{key}={', '.join(different(shown(c.values[key]) for c in those))}" for key in said)
            names.append(" ".join([generator, *(["with"] if said else []), *values]))
        if len(set(names)) == len(names):
            return names
    return [f"{name} ({place})" for place, name in enumerate(names, start=1)]


def different(values: Iterable[str]) -> list[str]:
    """In the order of the command; a run whose files are damaged may have none."""
    return [value for value in dict.fromkeys(values) if value != ""]


def overlap(config: Mapping[str, Any], row: Row) -> float:
    """Rows validated on by rows trained on.

    Args:
        config: ``data`` of one of the sweep's runs, where the run's own row has no other value; empty: of no table.
    """
    if not config:
        return 0.0
    own: dict[str, Any] = {
        key: row[f"data.{key}"] if row.get(f"data.{key}") else config.get(key) for key in ("fold", "folds", "val")
    }
    if own["fold"] in (None, "", "null"):
        return float(own["val"]) / (1 - float(own["val"]))
    folds = int(own["folds"])
    if config.get("time"):  # an expanding window: the k-th fold is validated on after k others
        return statistics.fmean(1 / (k + 1) for k in range(folds))
    return 1 / (folds - 1)


def target(record: Mapping[str, Any]) -> str:
    """The name of what generates a run's data, or of the file that they are."""
    data = record["config"]["data"]
    name = str(data["_target_"]).rpartition(".")[2]
    return f"{name} {Path(str(data['file'])).name}" if "table" in record and data.get("file") else name
