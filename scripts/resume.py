"""Continue an interrupted run or sweep, to the same bits as without the interruption.

python scripts/resume.py DIR [--retry-failed] [--accept-changes]
"""

import neuronsweep.starting  # noqa: F401

# isort: split

from pathlib import Path

from omegaconf import OmegaConf

from neuronsweep.cli import Parser, become, command
from neuronsweep.config.secret_values import HIDDEN
from neuronsweep.config.targets import TRUSTED, trust
from neuronsweep.errors import UserError
from neuronsweep.launch.jobs import quoted
from neuronsweep.runs import contents, files, lock
from neuronsweep.runs.record import differences
from neuronsweep.runs.run import COMPLETE, FAILED, RUNNING, Run
from neuronsweep.runs.sweep import read_description
from neuronsweep.runs.words import resume_command


def main() -> None:
    parser = Parser(description="Go on with an interrupted run or sweep.")
    parser.add_argument("directory", type=Path, metavar="DIR")
    parser.add_argument("--retry-failed", action="store_true", help="train FAILED runs again")
    again = "train what was begun with another config, package source or data again"
    parser.add_argument("--accept-changes", action="store_true", help=again)
    parser.add_argument("--trust", action="store_true", help=TRUSTED)
    arguments = parser.parse_args()
    if arguments.trust:
        trust()
    resume = resume_sweep if (arguments.directory / contents.SWEEP).exists() else resume_single
    resume(arguments.directory, arguments.retry_failed, arguments.accept_changes)


def resume_single(directory: Path, retry_failed: bool, accept_changes: bool) -> None:
    """Continue with one run in this process."""
    sweep = directory.resolve().parent
    if (sweep / contents.SWEEP).exists():
        whole = resume_command(sweep)
        raise UserError(f"{directory} is a run of a sweep, which is continued by {whole}")
    if not (directory / contents.RECORD).exists():
        raise UserError(
            f"{directory} is not a run directory: it has no {contents.RECORD}, and no {contents.SWEEP} either"
        )
    Run(directory).record()  # whose directory it is, before anything is written into it
    Run(directory).check_kinds()
    if not lock.further_process():
        lock.take(directory)
    record = Run(directory).record()
    config = OmegaConf.create(record["config"])
    state, error = RUNNING, ""
    try:
        if Run(directory).has_begun:
            state, error = (Run(directory).verified()[key] for key in ("state", "error"))
    except files.Damaged as damaged:
        if damaged.path.name == contents.RECORD:
            raise
        print(f"{damaged}: the run is trained again")
        Run(directory).begin_anew()

    from neuronsweep.data.build import build_dataset  # late: the errors above need no torch

    changes = differences(record, record["config"], build_dataset(config.data).digest)
    if changes and not accept_changes:
        raise UserError(f"{directory} cannot continue: {'; '.join(changes)}; to train it again: --accept-changes")
    if changes:
        print(f"{'; '.join(changes)}: the run is trained again")
        Run(directory).begin_anew()
    elif state == COMPLETE:
        print(f"{directory} is {COMPLETE}: nothing to do")
        return
    elif state == FAILED and not retry_failed:
        raise UserError(f"{directory} is {FAILED}: {error.splitlines()[-1]}; to try again: --retry-failed")
    elif state == FAILED:
        Run(directory).begin_anew()

    from neuronsweep.training.run import train_run

    train_run(config, directory, record["overrides"])


def resume_sweep(directory: Path, retry_failed: bool, accept_changes: bool) -> None:
    """Run the sweep's command again in its directory: what is complete there is read, not trained."""
    by_hand = f"run its command again with hydra.sweep.dir={directory}"
    try:
        sweep = read_description(directory)
    except files.Damaged as damaged:
        raise UserError(f"{damaged}; {by_hand}") from None
    if not {"overrides", "hydra_overrides", "config_words"} <= sweep.keys():
        raise UserError(f"{directory / contents.SWEEP} is damaged: {by_hand}")
    if not sweep.get("one_command", True):
        raise UserError(
            f"{directory} is a union of sweeps that no one command trains: go on with its parts, and collect them again"
        )
    words = [*sweep["overrides"], *sweep["hydra_overrides"]]
    if any(HIDDEN in word for word in words):
        raise UserError(f"{directory} was started with a secret, which is not stored: {by_hand}")
    asked = {"retry_failed": retry_failed, "accept_changes": accept_changes}
    words += [f"hydra.sweeper.{name}=true" for name, wanted in asked.items() if wanted]
    train = Path(__file__).resolve().parents[1] / "train.py"
    become([str(train), *sweep["config_words"], "-m", *words, f"hydra.sweep.dir={quoted(str(directory))}"])


if __name__ == "__main__":
    with command():
        main()
