"""Sweeps whose runs differ in overrides only, as one: its jobs, their numbers, and the command that trains them."""

import itertools
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from neuronsweep.errors import UserError
from neuronsweep.runs import record

Jobs = Sequence[Sequence[str]]
SHARD = "hydra.sweeper.shard="


def description(descriptions: Mapping[Path, dict[str, Any]]) -> dict[str, Any]:
    """The sweep.json of all jobs of some sweeps; those of the first keep their numbers, the further ones follow.

    Raises UserError for sweeps of which other things than jobs differ.
    """
    first, *others = descriptions
    found = without_shard(descriptions[first])
    for sweep in others:
        for key in ("objective", "source_digest", "config_words"):
            if descriptions[sweep].get(key) != found.get(key):
                raise UserError(f"{sweep} and {first} make no union: they differ in more than overrides: in {key}")
    jobs = [list(job) for job in found["jobs"]]
    for sweep in others:
        missing = Counter(map(tuple, descriptions[sweep]["jobs"])) - Counter(map(tuple, jobs))
        for job in map(tuple, descriptions[sweep]["jobs"]):
            if missing[job]:
                jobs.append(list(job))
                missing[job] -= 1
    if jobs == found["jobs"]:
        return found
    values = _values(jobs)
    named = dict.fromkeys(key for one in descriptions.values() for key in one["swept"])
    varied = [key for key, given in values.items() if len(given) > 1 or any(key not in _keys(job) for job in jobs)]
    swept = list(dict.fromkeys([*named, *(key.lstrip("+") for key in varied)]))
    commands = dict.fromkeys(one["command"] for one in descriptions.values())
    words = _words(values, jobs)
    return {
        **found,
        "jobs": jobs,
        "swept": swept,
        "command": "; ".join(commands),
        "overrides": words or [],
        # whether one command trains all of it
        "one_command": words is not None,
    }


def without_shard(found: dict[str, Any]) -> dict[str, Any]:
    """The sweep.json of the whole sweep that a shard is of."""
    words = [word for word in found.get("hydra_overrides", []) if not word.startswith(SHARD)]
    return {**{key: value for key, value in found.items() if key != "shard"}, "hydra_overrides": words}


def places(jobs: Jobs, among: Jobs) -> list[int]:
    """The position of every job among others that have them all; equal jobs are told apart by their order."""
    numbers: dict[tuple[str, ...], list[int]] = defaultdict(list)
    for number, job in enumerate(among):
        numbers[tuple(job)].append(number)
    return [numbers[tuple(job)].pop(0) for job in jobs]


def check(runs: Iterable[tuple[Path, Mapping[str, Any], Sequence[str]]]) -> None:
    """Raise UserError for a run whose config differs from the first one's in what no override of theirs says.

    Args:
        runs: directory, resolved config and overrides of each.
    """
    first: tuple[Path, Mapping[str, Any], Sequence[str]] | None = None
    for directory, config, overrides in runs:
        flat = record.flatten(config)
        if first is None:
            first = directory, flat, overrides
            continue
        said = [word.lstrip("+~").partition("=")[0].replace("/", ".") for word in [*overrides, *first[2]]]
        if "experiment" in said:  # sets any of them
            continue
        for key in sorted(flat.keys() | first[1].keys()):
            own = record.is_bookkeeping(key) or any(key == one or key.startswith(f"{one}.") for one in said)
            if not own and flat.get(key) != first[1].get(key):
                raise UserError(
                    f"{directory} and {first[0]} make no union: they differ in more than overrides: {key} is "
                    f"{flat.get(key, 'not set')} and {first[1].get(key, 'not set')}"
                )


def _values(jobs: Jobs) -> dict[str, dict[str, None]]:
    """Every key of the jobs with its values, in the order in which they come."""
    values: dict[str, dict[str, None]] = {}
    for job in jobs:
        for word in job:
            key, _, value = word.partition("=")
            values.setdefault(key, {})[value] = None
    return values


def _keys(job: Sequence[str]) -> set[str]:
    return {word.partition("=")[0] for word in job}


def _words(values: Mapping[str, Mapping[str, None]], jobs: Jobs) -> list[str] | None:
    """The overrides of a sweep with just these jobs, or None where they are no grid."""
    grid = itertools.product(*([f"{key}={value}" for value in given] for key, given in values.items()))
    size = 1
    for given in values.values():
        size *= len(given)
    if size != len(jobs) or {tuple(job) for job in jobs} != set(grid):
        return None
    return [f"{key}={','.join(given)}" for key, given in values.items()]
