"""Go on with an interrupted run or sweep, to the same bits as if it had not been interrupted.

python scripts/resume.py RUN_DIR
python scripts/resume.py SWEEP_DIR [--retry-failed]
"""

import os
import shutil
import sys
from pathlib import Path

from omegaconf import OmegaConf

from neuronsweep.cli import Parser, command
from neuronsweep.config import check_targets
from neuronsweep.errors import UserError
from neuronsweep.sweeps import ledger


def main() -> None:
    parser = Parser(description="Go on with an interrupted run or sweep.")
    parser.add_argument("directory", type=Path, metavar="DIR")
    parser.add_argument("--retry-failed", action="store_true", help="train the failed runs of a sweep again")
    parser.add_argument("--trust", action="store_true", help="build classes that are not neuronsweep's or torch's, too")
    arguments = parser.parse_args()
    if (arguments.directory / ledger.SWEEP).exists():
        resume_sweep(arguments.directory, arguments.retry_failed)
    else:
        resume_single(arguments.directory, arguments.trust)


def resume_single(directory: Path, trust: bool) -> None:
    """Go on with one run in this process."""
    status = ledger.status(directory)
    if status["state"] == ledger.COMPLETE:
        print(f"{directory} is {ledger.COMPLETE}: nothing to do")
        return
    if status["state"] == ledger.FAILED:
        raise UserError(f"{directory} is {ledger.FAILED} and would fail again: {status['error'].splitlines()[-1]}")
    if "LOCAL_RANK" not in os.environ and ledger.living(directory):
        raise UserError(f"{directory} is being trained by process {status['pid']} on {status['host']}")
    record = ledger.read_json(directory / ledger.RECORD)
    if not trust:
        check_targets(record["config"])

    from neuronsweep.training import resume_run  # late: the errors above need no torch

    resume_run(OmegaConf.create(record["config"]), directory, record["overrides"], status["fingerprint"])


def resume_sweep(directory: Path, retry_failed: bool) -> None:
    """Run the sweep's command again in its directory: what is complete there is read, not trained."""
    sweep = ledger.read_json(directory / ledger.SWEEP)
    for number in range(len(sweep["jobs"])):
        run = ledger.run_directory(directory, number)
        if not (run / ledger.STATUS).exists():
            continue
        if ledger.living(run):
            raise UserError(f"{directory} is being trained: run {number} by process {ledger.status(run)['pid']}")
        if retry_failed and ledger.status(run)["state"] == ledger.FAILED:
            shutil.rmtree(run)
    words = [*sweep["overrides"], *sweep["hydra_overrides"], f"hydra.sweep.dir={directory}"]
    train = Path(__file__).resolve().parents[1] / "train.py"
    os.execv(sys.executable, [sys.executable, str(train), "-m", *words])


if __name__ == "__main__":
    with command():
        main()
