"""Train recorded runs again and print EQUAL, or what differs.

python scripts/replay.py RUN_DIR [RUN_DIR ...] [--tolerance 1e-6]
python scripts/replay.py SWEEP_DIR --sample 5

A run that is named and that trim.py has trimmed has its weights back afterwards.
"""

import neuronsweep.starting  # noqa: F401

# isort: split

import math
import random
import tempfile
from pathlib import Path

from neuronsweep import console
from neuronsweep.cli import Parser, command
from neuronsweep.config.targets import TRUSTED, trust
from neuronsweep.errors import Diverged, UserError
from neuronsweep.runs import contents
from neuronsweep.runs.run import COMPLETE, Run
from neuronsweep.runs.sweep import read_description
from neuronsweep.runs.trim import is_trimmed, own, restore


def main() -> None:
    parser = Parser(description="Train recorded runs again and say EQUAL, or what differs.")
    parser.add_argument("directories", nargs="+", type=Path, metavar="DIR", help="run directories, sweep directories")
    parser.add_argument("--sample", type=int, metavar="N", help="replay only N runs of a sweep, always the same ones")
    tolerance = "how far numbers may be apart, as a share of the larger one (0: the same bits)"
    parser.add_argument("--tolerance", type=float, default=0.0, metavar="T", help=tolerance)
    parser.add_argument("--trust", action="store_true", help=TRUSTED)
    arguments = parser.parse_args()
    if arguments.sample is not None and arguments.sample < 1:
        raise UserError(f"--sample={arguments.sample} is not allowed: it is a whole number >= 1")
    if not 0 <= arguments.tolerance < math.inf:
        raise UserError(f"--tolerance={arguments.tolerance} is not allowed: it is a number >= 0")
    if arguments.trust:
        trust()
    runs = [run for directory in arguments.directories for run in chosen(directory, arguments.sample)]
    for run in runs:
        if Run(run).verified()["state"] != COMPLETE:
            raise UserError(f"{run} cannot be replayed: its run is {Run(run).status()['state']}")
        Run(run).record()
    # of a whole sweep they were removed to have room
    back = {directory for directory in arguments.directories if directory in runs and is_trimmed(directory)}
    for run in back:
        own(run)
    equal = [replay(run, arguments.tolerance, run in back) for run in runs]
    if len(runs) > 1:
        print(f"{sum(equal)} of {len(runs)} EQUAL")
    if not all(equal):
        raise SystemExit(1)


def chosen(directory: Path, sample: int | None) -> list[Path]:
    """The runs that a directory stands for: itself, or those of its sweep that are COMPLETE."""
    if not (directory / contents.SWEEP).exists():
        return [directory]
    read_description(directory)
    runs = sorted(path.parent for path in directory.glob(f"*/{contents.STATUS}"))
    runs = [run for run in runs if Run(run).status()["state"] == COMPLETE]
    if not runs:
        raise UserError(f"{directory} has no run that is {COMPLETE}")
    return sorted(random.Random(0).sample(runs, sample)) if sample and sample < len(runs) else runs


def replay(run: Path, tolerance: float, back: bool) -> bool:
    """Train one run again, print what came out, and return whether it is equal.

    Args:
        back: whether the weights, which trim.py has removed, are put back where they are.
    """
    from neuronsweep.replay import compare, surroundings, train_again  # late: errors above need no torch

    with tempfile.TemporaryDirectory() as temporary:
        again = Path(temporary) / "run"
        again.mkdir()
        try:
            train_again(run, again)
        except Diverged as error:
            print(f"DIFFERS  {run}: trained again, it failed: {error}")
            return False
        differences = compare(run, again, tolerance)
        if back and not differences:
            restore(run, again)
    if not differences:
        within = f"  within {tolerance:g}" if tolerance else ""
        print(f"EQUAL  {run}{within}{'  its weights are back' if back else ''}")
        return True
    print(f"DIFFERS  {run}")
    rows = [(d.what, d.was, d.now, "" if d.largest == float("inf") else f"{d.largest:.2g}") for d in differences]
    console.table("what", ["was", "is", "largest difference"], rows, needed=["was", "is"])
    around = surroundings(Run(run).record())
    if around:
        console.table("environment", ["was", "is"], [(d.what, d.was, d.now) for d in around], needed=["was", "is"])
    else:
        print("code and environment are the recorded ones")
    return False


if __name__ == "__main__":
    with command():
        main()
