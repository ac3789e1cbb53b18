"""Runs whose weights, pictures and events were removed; their results, histories and records stay."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from neuronsweep.errors import UserError
from neuronsweep.runs import contents, files, lock
from neuronsweep.runs.run import Run
from neuronsweep.runs.sweep import run_directory
from neuronsweep.runs.words import script_command

# The key of status.json that says when a run was trimmed, and which bits its weights had.
TRIMMED = "trimmed"


def bulk(run: Path) -> list[Path]:
    """The files of a run that trimming removes: everything that its replay makes again."""
    names = (contents.MODEL, contents.FIGURE, contents.MOMENTS)
    return [
        path
        for path in contents.run_files(run)
        if path.parent == run and (path.name in names or path.name.startswith(contents.EVENTS))
    ]


def trim(run: Path) -> None:
    """Remove the weights, pictures and events of a run that has ended.

    Its status says so first: killed in the middle it is trimmed, and what is left of it goes when it is trimmed again.
    """
    status = Run(run).verified()
    if not status.get(TRIMMED):
        digests = status["files"]
        said = {"at": datetime.now(UTC).isoformat(timespec="seconds"), contents.MODEL: digests.get(contents.MODEL)}
        kept = {name: digest for name, digest in digests.items() if name != contents.MODEL}
        Run(run).update(**{TRIMMED: said, "files": kept})
    for path in bulk(run):
        contents.remove(path)


def is_trimmed(run: Path) -> bool:
    """Whether the weights of a run were removed."""
    return bool(Run(run).status().get(TRIMMED))


def check_weights(run: Path) -> None:
    """Raise UserError for a run whose weights were removed, with the command that gets them again."""
    if found := Run(run).status().get(TRIMMED):
        again = script_command("replay.py", run)
        raise UserError(f"{run} has no weights: trim.py removed them {found['at'][:10]}; to get them again: {again}")


def own(run: Path) -> None:
    """Own the directory of a run, or the sweep that it is of, to put its weights back. Raises UserError where another
    process does."""
    sweep = run.resolve().parent
    lock.take(sweep if (sweep / contents.SWEEP).exists() else run)


def restore(run: Path, again: Path) -> None:
    """Put the weights that a run came to when it was trained again where they were."""
    files.write(run / contents.MODEL, (again / contents.MODEL).read_bytes())
    digests = {**Run(run).status()["files"], contents.MODEL: Run(again).status()["files"][contents.MODEL]}
    Run(run).update(**{TRIMMED: None, "files": digests})


def ended(sweep: Path, numbers: Sequence[int]) -> list[Path]:
    """The directories of those runs that have something to remove."""
    runs = (run_directory(sweep, number) for number in numbers)
    return [run for run in runs if bulk(run) or not is_trimmed(run)]
