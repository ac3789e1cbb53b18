"""Print the predictions of a finished run, or of the best configuration of a sweep, as CSV.

python scripts/predict.py RUN_DIR --x 2.5 10
python scripts/predict.py RUN_DIR --csv points.csv
python scripts/predict.py SWEEP_DIR --ensemble --csv points.csv
"""

import neuronsweep.starting  # noqa: F401

# isort: split

import csv
import math
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from neuronsweep.cli import Parser, command
from neuronsweep.config.targets import TRUSTED, trust
from neuronsweep.data.new_rows import inputs, read_rows, row_of_numbers
from neuronsweep.data.preparation import Number, Preparation
from neuronsweep.errors import UserError
from neuronsweep.runs import contents, files
from neuronsweep.runs.run import COMPLETE, Run
from neuronsweep.runs.trim import check_weights


def main() -> None:
    parser = Parser(description="Predictions of a finished run, or of the best configuration of a sweep, as CSV.")
    parser.add_argument("directory", type=Path, metavar="DIR")
    points = parser.add_mutually_exclusive_group(required=True)
    points.add_argument("--x", nargs="+", metavar="NUMBER", help="inputs; with two inputs a sample: x1 x2 x1 x2 ...")
    points.add_argument(
        "--csv", type=Path, metavar="FILE", help="a file with a column for each input: x, or x1 and x2, or the table's"
    )
    average = "of a sweep: the mean over the best configuration's replicates and folds, and their standard deviation"
    parser.add_argument("--ensemble", action="store_true", help=average)
    parser.add_argument("--trust", action="store_true", help=TRUSTED)
    arguments = parser.parse_args()
    if arguments.trust:
        trust()
    is_sweep = (arguments.directory / contents.SWEEP).exists()
    if arguments.ensemble != is_sweep:
        what = (
            "is a sweep: --ensemble averages its best configuration"
            if is_sweep
            else "is no sweep: --ensemble needs one"
        )
        raise UserError(f"{arguments.directory} {what}")
    directories = best_runs(arguments.directory) if is_sweep else [arguments.directory]
    for directory in directories:
        state = Run(directory).verified()["state"]
        if state != COMPLETE:
            raise UserError(f"{directory} cannot predict: its run is {state}, not {COMPLETE}")
        check_weights(directory)
    records = [Run(directory).record() for directory in directories]

    from neuronsweep.predictor import load_recorded  # late: the errors above need no torch

    recorded = [load_recorded(directory) for directory in directories]
    width = recorded[0].inputs
    names = ["x"] if width == 1 else [f"x{i + 1}" for i in range(width)]
    of_tables = [Preparation.from_json(record["table"]) if "table" in record else None for record in records]
    header, rows, each = samples(arguments, names, of_tables)
    is_classes = "train/acc" in files.read_json(directories[0] / contents.METRICS)
    found = [predictions(one.module, x_ND, is_classes) for one, x_ND in zip(recorded, each, strict=True)]
    if not is_classes:
        found = [table.own_units(out) if table else out for table, out in zip(of_tables, found, strict=True)]
    writer = csv.writer(sys.stdout, lineterminator="\n")
    columns, values = named(np.stack(found), is_classes, of_tables[0], arguments.ensemble, header)
    writer.writerow([*header, *columns])
    writer.writerows([*row, *more] for row, more in zip(rows, zip(*values, strict=True), strict=True))


def best_runs(sweep: Path) -> list[Path]:
    """The directories of the complete runs of a sweep's best configuration: its replicates and folds."""
    from neuronsweep.report.data.sweep import read

    configurations = read(sweep).configurations
    if not configurations:
        raise UserError(f"{sweep} cannot predict: none of its runs is {COMPLETE}")
    return [sweep / str(row["directory"]) for row in configurations[0].rows]


Rows = list[list[Any]]


def samples(arguments: Any, names: list[str], tables: list[Preparation | None]) -> tuple[list[str], Rows, list[Any]]:
    """The names of what was given, its rows as they are written again, and the inputs (N, D) of each network."""
    table = tables[0]
    if table is None:
        rows = from_words(arguments.x, len(names)) if arguments.x else from_file(arguments.csv, names)
        return names, rows, [np.array(rows)] * len(tables)
    if arguments.csv:
        file = read_rows(str(arguments.csv), table)
        needed = {one.name for one in table.features}
        if others := [name for name in file.columns if name not in needed]:
            print(f"{file.name}: not used: {', '.join(others)}", file=sys.stderr)
        columns, where = file.columns, str(arguments.csv)
        rows = list(map(list, zip(*map(shown, file.columns.values()), strict=True)))
    else:
        if words := [one.name for one in table.features if not isinstance(one, Number)]:
            raise UserError(f"--x is not allowed: {words[0]} is a feature of words; --csv reads them")
        rows = from_words(arguments.x, len(table.features))
        columns, where = row_of_numbers(table, rows), "--x"
    return list(columns), rows, [inputs(one, columns, where) for one in tables if one]


def shown(column: Any) -> Iterator[str]:
    """The values of a column as they are written; blanks are empty."""
    words = column.as_words()
    levels = [*words.levels, ""]
    return (levels[code] for code in words.values)


def predictions(network: Any, x_ND: Any, is_classes: bool) -> Any:
    """Predictions (N, K), or the probabilities (N, C) of classes."""
    import torch

    with torch.no_grad():
        out = network(torch.from_numpy(np.asarray(x_ND)).to(next(network.parameters()).dtype))
        if is_classes and out.shape[1] == 1:
            one = torch.sigmoid(out)
            out = torch.cat([1 - one, one], dim=1)
        elif is_classes:
            out = torch.softmax(out, dim=1)
    return out.numpy()


def named(
    found_MNK: Any, is_classes: bool, table: Preparation | None, ensemble: bool, given: list[str]
) -> tuple[list[str], list[list[Any]]]:
    """Names and values of the columns of predictions by several networks; the spread is their standard deviation."""
    mean_NK, spread_NK = found_MNK.mean(axis=0), found_MNK.std(axis=0, ddof=len(found_MNK) > 1)
    outputs = mean_NK.shape[1]
    if is_classes:
        best_N = mean_NK.argmax(axis=1)
        classes = table.classes if table else range(outputs)
        names = [f"p({name})" if table else f"p{name}" for name in classes]
        names += [_new(table.targets[0], given) if table else "class"]
        values = [*mean_NK.T.tolist(), [classes[k] for k in best_N.tolist()]]
        spreads = {"spread of p": spread_NK[np.arange(len(best_N)), best_N].tolist()}
    else:
        targets = table.targets if table else ["y"] if outputs == 1 else [f"y{k + 1}" for k in range(outputs)]
        names = [_new(name, given) for name in targets]
        values = mean_NK.T.tolist()
        spreads = {f"spread of {name}": spread.tolist() for name, spread in zip(names, spread_NK.T, strict=True)}
    return (names + list(spreads), values + list(spreads.values())) if ensemble else (names, values)


def _new(name: str, given: list[str]) -> str:
    """A name for a column beside others."""
    return f"predicted {name}" if name in given else name


def from_words(words: list[str], width: int) -> list[list[float]]:
    """Samples from the numbers on the command line."""
    numbers = [number(word, "--x") for word in words]
    if len(numbers) % width:
        raise UserError(
            f"--x has {len(numbers)} numbers: this network has {width} inputs, so give a multiple of {width}"
        )
    return [numbers[i : i + width] for i in range(0, len(numbers), width)]


def from_file(path: Path, names: list[str]) -> list[list[float]]:
    """Samples from the columns of a CSV file that carry the inputs' names."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            missing = [name for name in names if name not in (reader.fieldnames or [])]
            if missing:
                found = ", ".join(reader.fieldnames or []) or "none"
                raise UserError(f"{path} has no column {missing[0]}: needed are {', '.join(names)}, found are {found}")
            rows = [[number(row[name], f"{path} line {reader.line_num}") for name in names] for row in reader]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{path} cannot be read: {error}") from None
    if not rows:
        raise UserError(f"{path} has no samples")
    return rows


def number(word: str | None, where: str) -> float:
    """A finite number, or a UserError that says where it stands."""
    try:
        value = float(word or "")  # a short line lacks its last words
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise UserError(f"{where}: {word!r} is not a finite number")
    return value


if __name__ == "__main__":
    with command():
        main()
