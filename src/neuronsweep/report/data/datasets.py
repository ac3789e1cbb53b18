"""Groups the configurations of a sweep by data and loss, because results on different ones are not comparable."""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from neuronsweep.config.metric_names import is_loss
from neuronsweep.report.data.configurations import Configuration
from neuronsweep.report.data.formatting import short
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
    # other values need not make other data, as of experiments: they are the same where a common seed has one digest
    merged: list[tuple[tuple[str, str], dict[str, str], list[Configuration]]] = []
    for those in groups.values():
        generator, digests = _trained_on(directory, those)
        for other, known, company in merged:
            if other == generator and any(known.get(seed) == digest for seed, digest in digests.items()):
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


def _trained_on(directory: Path, those: Sequence[Configuration]) -> tuple[tuple[str, str], dict[str, str]]:
    """What generated the data of some configurations with the same values and whose loss it is; the digest by seed."""
    digests: dict[str, str] = {}
    for seed, row in (pair for configuration in those for pair in configuration.by_seed.items()):
        if seed not in digests:
            record = Run(directory / row["directory"]).record()
            loss = (record["config"].get("module", {}).get("_target_"), record["config"].get("loss"))
            same_loss = json.dumps(loss, sort_keys=True) if is_loss(those[0].metric) else ""
            generator, digests[seed] = target(record), record["data_digest"]
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


def target(record: Mapping[str, Any]) -> str:
    """The name of what generates a run's data."""
    return str(record["config"]["data"]["_target_"]).rpartition(".")[2]
