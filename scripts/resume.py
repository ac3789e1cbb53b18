"""Go on with an interrupted run, to the same bits as if it had not been interrupted.

python scripts/resume.py RUN_DIR
"""

from pathlib import Path

from omegaconf import OmegaConf

from neuronsweep.cli import Parser, command
from neuronsweep.config import check_targets
from neuronsweep.errors import UserError
from neuronsweep.sweeps import ledger


def main() -> None:
    parser = Parser(description="Go on with an interrupted run.")
    parser.add_argument("directory", type=Path, metavar="RUN_DIR")
    parser.add_argument("--trust", action="store_true", help="build classes that are not neuronsweep's or torch's, too")
    arguments = parser.parse_args()
    directory = arguments.directory
    status = ledger.status(directory)
    if status["state"] == ledger.COMPLETE:
        print(f"{directory} is {ledger.COMPLETE}: nothing to do")
        return
    if status["state"] == ledger.FAILED:
        raise UserError(f"{directory} is {ledger.FAILED} and would fail again: {status['error'].splitlines()[-1]}")
    if ledger.living(directory):
        raise UserError(f"{directory} is being trained by process {status['pid']} on {status['host']}")
    record = ledger.read_json(directory / ledger.RECORD)
    if not arguments.trust:
        check_targets(record["config"])

    from neuronsweep.training import resume_run  # late: the errors above need no torch

    resume_run(OmegaConf.create(record["config"]), directory, record["overrides"], status["fingerprint"])


if __name__ == "__main__":
    with command():
        main()
