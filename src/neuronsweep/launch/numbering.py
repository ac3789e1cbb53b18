"""Which number every job of a sweep has, which it keeps when the sweep is extended, and what a shard may be."""

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

from neuronsweep import console
from neuronsweep.config import targets
from neuronsweep.config.secret_values import without_secrets
from neuronsweep.errors import UserError
from neuronsweep.launch.resume import difference
from neuronsweep.runs import contents, files
from neuronsweep.runs.run import Run
from neuronsweep.runs.sweep import run_numbers

Job = Sequence[str]


def numbered(directory: Path, jobs: Sequence[Job], shard: str | None) -> list[Job]:
    """The jobs in the order of their numbers: those that the directory's sweep has keep theirs, further ones follow.

    Raises UserError where the directory holds a search, another shard, or a sweep with jobs that are not among these.
    """
    before = _before(directory, shard)
    found = _placed(before, jobs)
    if found is None:
        was = [before[number] for number in sorted(before)]
        raise UserError(
            f"cannot use {directory} as output directory: it contains another sweep: {difference(was, jobs)}; "
            "a command with more values extends a sweep, one without some of its values does not"
        )
    if before and len(jobs) > len(before) and (directory / contents.SWEEP).exists():
        console.say(
            f"extends the sweep of {len(before)} runs in {console.directory_name(directory)} to {len(jobs)}: what is "
            "there is kept, under its numbers"
        )
    return found


def check_shard(shard: str | None, words: Sequence[str]) -> None:
    """Raise UserError for a shard that is none of the sweep of these words."""
    if shard is None:
        return
    said = re.fullmatch(r"([1-9]\d*)/([1-9]\d*)", shard)
    if not said or int(said[1]) > int(said[2]):
        raise UserError(
            f"hydra.sweeper.shard={shard} is not allowed: hydra.sweeper.shard is I/N, such as 2/4 for the second of "
            "four shards"
        )
    if shuffled := [word for word in words if "shuffle(" in word]:
        raise UserError(
            f"hydra.sweeper.shard={shard} is not allowed with {shuffled[0]}: every shard would have another order"
        )


def _before(directory: Path, shard: str | None) -> Mapping[int, Job]:
    """The jobs that a directory's sweep has, by number; where its sweep.json cannot be read those of its runs."""
    try:
        description = files.read_json(directory / contents.SWEEP)
        if "trials" in description:
            raise UserError(f"cannot use {directory} as output directory: it contains a search")
        if description.get("shard") != shard:
            held = f"shard {description['shard']} of a sweep" if description.get("shard") else "all of a sweep"
            raise UserError(
                f"cannot use {directory} as output directory: it contains {held}, and hydra.sweeper.shard is "
                f"{shard or 'not set'}; every shard has a directory of its own, and collect.py makes one sweep of them"
            )
        return dict(enumerate(description["jobs"]))
    except (files.Damaged, KeyError):
        console.say(f"{directory / contents.SWEEP} is damaged and is written again")
    except UserError:
        if (directory / contents.SWEEP).exists():
            raise
    return _of_runs(directory)


def _of_runs(directory: Path) -> dict[int, Job]:
    found: dict[int, Job] = {}
    for number, run in run_numbers(directory):
        try:
            found[number] = Run(run).record()["overrides"]
        except targets.Untrusted:
            raise
        except UserError:  # it is trained again, whatever it was
            continue
    return found


def _placed(before: Mapping[int, Job], jobs: Sequence[Job]) -> list[Job] | None:
    """The jobs, those of before at their numbers; None where one of those is not among them."""
    waiting: dict[tuple[str, ...], list[Job]] = defaultdict(list)
    for job in jobs:
        waiting[_key(job)].append(job)
    places: dict[int, Job] = {}
    for number, job in before.items():
        if number >= len(jobs) or not waiting[tuple(job)]:
            return None
        places[number] = waiting[tuple(job)].pop(0)
    rest = iter([waiting[key].pop(0) for job in jobs if waiting[key := _key(job)]])
    return [places[number] if number in places else next(rest) for number in range(len(jobs))]


def _key(job: Job) -> tuple[str, ...]:
    """A job as it is recorded."""
    return tuple(without_secrets(list(job)))
