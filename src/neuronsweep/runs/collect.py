"""Copies the runs of one sweep from several file systems into one sweep directory, after checking them."""

import os
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from neuronsweep.config.secret_values import without_secrets
from neuronsweep.errors import Unwritable, UserError
from neuronsweep.runs import contents, files, lock, union
from neuronsweep.runs.run import COMPLETE, FAILED, RUNNING, Run
from neuronsweep.runs.sweep import check_sweep_place, read_description, run_directory

Jobs = Sequence[Sequence[str]]


@dataclass(frozen=True)
class Found:
    """A run that has ended in one of the directories."""

    directory: Path
    state: str
    fingerprint: str
    metrics: Mapping[str, float]
    config: Mapping[str, Any]
    overrides: Sequence[str]


def collect(sources: Sequence[Path], sweep: Path, as_union: bool = False) -> tuple[int, int]:
    """Copy the ended runs of the sweeps in ``sources`` into ``sweep``; returns how many were copied, and were there.

    Sources hold the same jobs (a sweep begun on each machine, of which each trained a part, or shards of it), and a run
    keeps its number. With ``as_union`` they may hold different jobs: the runs that are in ``sweep``, or else in the
    first source, keep their numbers, and those of the others follow. Every file is proved by its digest before and
    after it is copied, and nothing is overwritten: a run that is there already, or in two sources, must have the same
    fingerprint and metrics.

    Raises UserError, before anything is copied, for sources of other jobs, for runs that are not what was written and
    for two runs of one number that differ.
    """
    if sweep.exists():
        check_sweep_place(sweep)
    there = [sweep] if (sweep / contents.SWEEP).exists() else []
    descriptions = {one: _description(one) for one in [*there, *sources]}
    description = union.description(descriptions) if as_union else _same(descriptions)
    jobs = description["jobs"]
    kept = _runs(sweep, jobs, jobs) if sweep.exists() else {}
    chosen = dict(kept)
    for source in sources:
        for number, found in _runs(source, descriptions[source]["jobs"], jobs).items():
            chosen[number] = _one_of(number, chosen[number], found) if number in chosen else found
    if as_union:
        union.check([(found.directory, found.config, found.overrides) for found in chosen.values()])
    new = {number: found for number, found in chosen.items() if found is not kept.get(number)}
    for number in new:
        if (place := run_directory(sweep, number)).exists():
            state = kept[number].state if number in kept else "not ended"
            raise UserError(f"{place} is not overwritten: its run is {state}, and {new[number].directory} has another")
    sweep.mkdir(parents=True, exist_ok=True)
    lock.take(sweep)
    contents.remove_temporary(sweep)
    # first, so that the numbers of what is copied are known whatever happens
    files.write_json(sweep / contents.SWEEP, {**description, "state": RUNNING})
    for number in sorted(new):
        lock.beat()
        _copy(new[number].directory, run_directory(sweep, number))
    ended = chosen.keys() == set(range(len(jobs)))
    complete = ended and all(found.state == COMPLETE for found in chosen.values())
    state = COMPLETE if complete else FAILED if ended else RUNNING
    files.write_json(sweep / contents.SWEEP, {**description, "state": state}, durable=True)
    return len(new), len(kept)


def _description(sweep: Path) -> dict[str, Any]:
    if not (sweep / contents.SWEEP).is_file():
        raise UserError(f"{sweep} is not a sweep directory: it has no {contents.SWEEP}")
    found = read_description(sweep)
    if "jobs" not in found:
        raise UserError(f"{sweep} holds a search, whose runs are those of one study: it is not collected")
    return found


def _same(descriptions: Mapping[Path, dict[str, Any]]) -> dict[str, Any]:
    """The description of the sweep that all directories hold a part of."""
    first = next(iter(descriptions))
    for sweep, description in descriptions.items():
        for key in ("jobs", "swept", "objective", "source_digest"):
            if description.get(key) != descriptions[first].get(key):
                more = "; sweeps of other values become one with --union" if key in ("jobs", "swept") else ""
                raise UserError(f"{sweep} and {first} are not of one sweep: their {key} differ{more}")
    return union.without_shard(descriptions[first])


def _runs(sweep: Path, jobs: Jobs, numbered: Jobs) -> dict[int, Found]:
    """The runs of a sweep that have ended, proved, by the numbers that their jobs have in ``numbered``."""
    runs = {}
    for number, (overrides, as_number) in enumerate(zip(jobs, union.places(jobs, numbered), strict=True)):
        directory = run_directory(sweep, number)
        if not Run(directory).has_begun:
            continue
        status = Run(directory).verified()
        if status["state"] == RUNNING:
            continue
        begun = Run(directory).record()
        if begun["overrides"] != without_secrets(list(overrides)):
            raise UserError(f"{directory} is not run #{number} of its sweep: it was {' '.join(begun['overrides'])}")
        complete = status["state"] == COMPLETE
        metrics = Run(directory).metrics() if complete else {}
        told = begun["config"], begun["overrides"]
        runs[as_number] = Found(directory, status["state"], status["fingerprint"], metrics, *told)
    return runs


def _one_of(number: int, one: Found, other: Found) -> Found:
    """One of two runs of a number: they are the same, or one is COMPLETE where the other FAILED."""
    both = f"{one.directory} and {other.directory} are two runs #{number}"
    if one.fingerprint != other.fingerprint:
        raise UserError(f"{both}, of another config, package source or data: their fingerprints differ")
    if one.state != other.state:
        return one if one.state == COMPLETE else other
    differing = [name for name, value in one.metrics.items() if other.metrics.get(name) != value]
    if differing:
        raise UserError(f"{both} whose {differing[0]} differ")
    return one


def _copy(run: Path, to: Path) -> None:
    """Copy what a run wrote, completely or not at all; what else lies in its directory stays there."""
    try:
        # killed in the middle it is not taken for a run
        copy = Path(tempfile.mkdtemp(prefix=f"{contents.COPYING}.", suffix=contents.TEMPORARY, dir=to.parent))
        copy.chmod(to.parent.stat().st_mode & 0o777)
        try:
            for path in contents.run_files(run):
                if not path.name.endswith(contents.TEMPORARY):
                    there = copy / path.relative_to(run)
                    there.parent.mkdir(exist_ok=True)
                    shutil.copy2(path, there)
            Run(copy).verified()
            os.rename(copy, to)
        finally:
            if copy.exists():
                contents.remove_run(copy)
    except OSError as error:
        raise Unwritable(f"{to} cannot be written: {error.strerror or error}") from None
