"""Build the reports of sweeps again, also of running ones; compare two sweeps.

python scripts/report.py SWEEP_DIR [SWEEP_DIR ...]
"""

import neuronsweep.starting  # noqa: F401

# isort: split

from pathlib import Path

from neuronsweep.cli import Parser, command
from neuronsweep.config.output_paths import check_file
from neuronsweep.config.targets import TRUSTED, trust
from neuronsweep.report.build import build
from neuronsweep.runs.contents import PARQUET, REPORTS, RESULTS


def main() -> None:
    parser = Parser(description="(Re)build report.html, report.md and results.csv of sweeps.")
    parser.add_argument("directories", nargs="+", type=Path, metavar="SWEEP_DIR")
    parser.add_argument("--trust", action="store_true", help=TRUSTED)
    arguments = parser.parse_args()
    if arguments.trust:
        trust()
    for directory in arguments.directories:
        for name in (RESULTS, PARQUET, *REPORTS):
            check_file(str(directory), directory / name)
    for directory in arguments.directories:
        print(build(directory))
    if len(arguments.directories) == 2:
        from neuronsweep.report.compare import compare_sweeps

        for path in compare_sweeps(*arguments.directories):
            print(path)


if __name__ == "__main__":
    with command():
        main()
