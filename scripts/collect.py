"""Collect the runs of one sweep that several machines trained, each on a file system of its own, or several sweeps.

python scripts/collect.py SWEEP_DIR SOURCE_DIR... [--union]
"""

import neuronsweep.starting  # noqa: F401

# isort: split

from pathlib import Path

from neuronsweep.cli import Parser, command
from neuronsweep.config.output_paths import check_directory, check_file
from neuronsweep.config.targets import TRUSTED, trust
from neuronsweep.runs.collect import collect
from neuronsweep.runs.contents import PARQUET, RESULTS, SWEEP
from neuronsweep.runs.results import Results


def main() -> None:
    parser = Parser(description="Copy the ended runs of sweep directories into one, proved, and nothing overwritten.")
    parser.add_argument("sweep", type=Path, metavar="SWEEP_DIR")
    parser.add_argument("sources", type=Path, nargs="+", metavar="SOURCE_DIR")
    more = "sources may be sweeps of other values, such as seed=range(8) and seed=range(8,16)"
    parser.add_argument("--union", action="store_true", help=more)
    parser.add_argument("--trust", action="store_true", help=TRUSTED)
    arguments = parser.parse_args()
    if arguments.trust:
        trust()
    check_directory(str(arguments.sweep), arguments.sweep)
    for name in (SWEEP, RESULTS, PARQUET):
        check_file(str(arguments.sweep), arguments.sweep / name)
    copied, kept = collect(arguments.sources, arguments.sweep, arguments.union)
    results = Results(arguments.sweep)
    results.write()
    print(f"{copied} runs copied, {kept} were there; {copied + kept} of {results.jobs} runs in {arguments.sweep}")


if __name__ == "__main__":
    with command():
        main()
