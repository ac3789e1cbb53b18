"""Draw the pictures of finished runs that have none, and write the events of TensorBoard that lack them.

python scripts/draw.py DIR [DIR ...]
"""

import neuronsweep.starting  # noqa: F401

# isort: split

import os
from pathlib import Path

from neuronsweep.cli import Parser, command
from neuronsweep.config.targets import TRUSTED, trust
from neuronsweep.errors import UserError
from neuronsweep.runs import contents, lock
from neuronsweep.runs.results import Results
from neuronsweep.runs.run import Run
from neuronsweep.runs.sweep import run_directory


def main() -> None:
    parser = Parser(description="Draw the pictures of finished runs that have none.")
    parser.add_argument("directories", nargs="+", type=Path, metavar="DIR", help="run or sweep directories")
    parser.add_argument("--trust", action="store_true", help=TRUSTED)
    arguments = parser.parse_args()
    if arguments.trust:
        trust()
    runs = [run for directory in arguments.directories for run in runs_of(directory)]
    for run in runs:
        if Run(run).has_begun:
            Run(run).record()  # what may not be built is refused before anything is drawn
    for directory in arguments.directories:
        lock.take(directory)

    from neuronsweep.launch.pictures import illustrate, unillustrated  # late: torch

    missing = unillustrated(runs)
    for _ in illustrate(missing, len(os.sched_getaffinity(0))):
        lock.beat()
    drawn = len(missing) - len(unillustrated(missing))
    print(f"drawn: {drawn} of {len(runs)} runs; the others have their pictures, or are not complete")


def runs_of(directory: Path) -> list[Path]:
    """The run directories that a directory is or has. Raises UserError where it is neither a run's nor a sweep's."""
    if (directory / contents.SWEEP).exists():
        results = Results(directory)
        return [run_directory(directory, number) for number in results.numbers]
    if not Run(directory).has_begun:
        raise UserError(f"{directory} is neither a run directory nor a sweep directory")
    return [directory]


if __name__ == "__main__":
    with command():
        main()
