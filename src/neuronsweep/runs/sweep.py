"""sweep.json and the places of the runs in a sweep directory."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from neuronsweep.config import targets
from neuronsweep.errors import UserError
from neuronsweep.runs import contents
from neuronsweep.runs.contents import JOURNAL, SWEEP
from neuronsweep.runs.files import Damaged, read_json
from neuronsweep.runs.run import Run


def run_directory(sweep: Path, number: int) -> Path:
    """Directory of a sweep's run; the same name as hydra.sweep.subdir gives it."""
    return sweep / f"{number:04d}"


def run_numbers(sweep: Path) -> list[tuple[int, Path]]:
    """Number and directory of every run that a sweep directory holds, in order."""
    names = [path.name for path in sweep.iterdir() if re.fullmatch(r"\d{4,}", path.name)]
    found = {int(name): sweep / name for name in names if run_directory(sweep, int(name)).name == name}
    return sorted((number, run) for number, run in found.items() if Run(run).has_begun)


def numbers(description: Mapping[str, Any]) -> range:
    """The numbers of the runs that a sweep.json is of: of a shard I/N every Nth, from the Ith on."""
    jobs = description.get("jobs")
    if jobs is None:
        return range(description["trials"] * description.get("replicates", 1))
    first, _, step = (description.get("shard") or "1/1").partition("/")
    return range(int(first) - 1, len(jobs), int(step))


def read_description(sweep: Path) -> dict[str, Any]:
    """The content of sweep.json.

    Raises UserError where there is none, Damaged where it cannot be read, Untrusted where its words do what a directory
    of somebody else's may not.
    """
    found = read_json(sweep / SWEEP)
    lacks = [key for key in ("swept", "objective", "overrides", "command") if key not in found]
    if lacks or not ("jobs" in found or {"trials", "search"} <= found.keys()):
        raise Damaged(sweep / SWEEP, f"damaged: it has no {lacks[0] if lacks else 'jobs'}")
    if any(type(found.get(key, 1)) is not int or found.get(key, 1) < 1 for key in ("trials", "replicates")):
        raise Damaged(sweep / SWEEP, "damaged: it does not say how many trials there are")
    for key in ("overrides", "hydra_overrides", "config_words"):
        words = found.get(key, [])
        if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
            raise Damaged(sweep / SWEEP, f"damaged: its {key} are not a list of words")
    if not re.fullmatch(r"[1-9]\d*/[1-9]\d*", found.get("shard") or "1/1"):
        raise Damaged(sweep / SWEEP, "damaged: its shard is none")
    targets.check_words([*found["overrides"], *found.get("hydra_overrides", [])], sweep)
    targets.check_flags(found.get("config_words", []), sweep)
    return found


def study_storage(storage: str | None, sweep: Path) -> str:
    """Where the study of a search is: hydra.sweeper.storage, or the journal of the sweep directory."""
    return storage or str((sweep / JOURNAL).absolute())


def check_sweep_place(directory: Path) -> None:
    """Raise UserError for a directory in which a sweep would begin among files that no sweep of neuronsweep wrote."""
    sweep = directory / SWEEP
    if sweep.is_symlink() or (sweep.exists() and not contents.is_file(sweep)):
        raise UserError(f"{sweep} is not a regular file, so no sweep wrote it and none replaces it: move it away")
    try:
        read_description(directory)
        return
    except targets.Untrusted:
        return
    except UserError:  # there is none, or half of one: then runs say whose directory it is
        pass
    found = list(contents.others(directory))
    if any(Run(directory / name).is_run() for name in found if re.fullmatch(r"\d{4,}", name)):
        return
    if found and found != [JOURNAL]:  # a search killed at its beginning has no more; whose it is its study says
        raise UserError(
            f"cannot use {directory} as output directory: it contains {found[0]}, which no sweep of neuronsweep "
            "wrote; choose a directory that is new or empty"
        )
