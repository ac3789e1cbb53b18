"""Remove weights, pictures and events of all runs of a sweep but the best; results, histories and records stay.

python scripts/trim.py SWEEP_DIR --keep best:20 [--yes]
"""

import neuronsweep.starting  # noqa: F401

# isort: split

import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from neuronsweep import console
from neuronsweep.cli import Parser, command
from neuronsweep.config.targets import TRUSTED, trust
from neuronsweep.errors import UserError
from neuronsweep.runs import contents, lock
from neuronsweep.runs.results import Results
from neuronsweep.runs.run import COMPLETE, FAILED, PRUNED
from neuronsweep.runs.sweep import read_description, run_directory
from neuronsweep.runs.trim import bulk, ended, is_trimmed, trim


def main() -> None:
    parser = Parser(description="Remove weights, pictures and events of a sweep's runs; all numbers stay.")
    parser.add_argument("sweep", type=Path, metavar="SWEEP_DIR")
    parser.add_argument("--keep", required=True, metavar="best:N", help="how many of the best runs keep everything")
    parser.add_argument("--yes", action="store_true", help="do not ask")
    parser.add_argument("--trust", action="store_true", help=TRUSTED)
    arguments = parser.parse_args()
    if arguments.trust:
        trust()
    if not re.fullmatch(r"best:\d+", arguments.keep):
        raise UserError(f"--keep={arguments.keep} is not allowed: it is best:N, such as best:20")
    if not (arguments.sweep / contents.SWEEP).is_file():
        raise UserError(f"{arguments.sweep} is not a sweep directory: it has no {contents.SWEEP}")
    read_description(arguments.sweep)  # whose directory it is
    lock.take(arguments.sweep)
    results = Results(arguments.sweep)
    rows = results.rows()
    best = best_first(rows, results.description)[: int(arguments.keep.removeprefix("best:"))]
    gone = [run for run in best if is_trimmed(run_directory(arguments.sweep, run))]
    over = (COMPLETE, FAILED, PRUNED)
    runs = ended(arguments.sweep, [row["run"] for row in rows if row["state"] in over and row["run"] not in best])
    size = sum(path.stat().st_size for run in runs for path in bulk(run))
    metric = results.description["objective"]["metric"]
    told = f"weights, pictures and events of {len(runs)} of {len(rows)} runs ({size / 1e6:.1f} MB)"
    kept = f"those of the {len(best)} best by {metric} stay" + (f", but for {len(gone)} removed before" if gone else "")
    if not runs:
        print(f"nothing to remove: {kept}")
        return
    if not arguments.yes:
        agree(f"remove {told}? {kept}, and so do all results, histories and records [y/N] ")
    for run in runs:
        lock.beat()
        trim(run)
    print(f"removed {told}; {kept}")


def best_first(rows: Sequence[Mapping[str, Any]], description: Mapping[str, Any]) -> list[int]:
    """Numbers of the runs that are COMPLETE, the best first; of a search those that satisfy its constraints.

    Of several objectives the front comes first.
    """
    from neuronsweep.config.metric_names import mode_of  # late: a mistake in the command needs none of them
    from neuronsweep.search.objectives import Goals, recorded

    goal = description["objective"]
    goals = Goals(((goal["metric"], mode_of(goal["metric"]) or goal["mode"]),), ())
    if "search" in description:
        goals = recorded(description["search"])
    metrics = [metric for metric, _ in goals.objectives]
    complete = [row for row in rows if row["state"] == COMPLETE and all(name in row for name in metrics)]
    rest = {row["run"]: [row[name] for name in metrics] for row in complete if goals.satisfied(row)}
    front = goals.best(rest) if len(metrics) > 1 else []
    sign = -1 if goals.objectives[0][1] == "max" else 1
    others = sorted(rest.keys() - set(front), key=lambda run: (sign * rest[run][0], run))
    return [*front, *others]


def agree(question: str) -> None:
    """Ask in the terminal; end the command where the answer is no. Raises UserError where nobody can answer."""
    if not sys.stdin.isatty():
        raise UserError(f"nobody can be asked here, and nothing was removed: {question.partition('?')[0]} with --yes")
    if input(console.printable(question)).strip().lower() not in ("y", "yes"):
        print("nothing was removed")
        raise SystemExit(0)


if __name__ == "__main__":
    with command():
        main()
