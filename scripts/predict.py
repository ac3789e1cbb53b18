"""Predictions of a finished run, as CSV.

python scripts/predict.py RUN_DIR --x 2.5 10
python scripts/predict.py RUN_DIR --csv points.csv
"""

import neuronsweep.starting  # noqa: F401

# isort: split

import csv
import math
import sys
from pathlib import Path

from neuronsweep.cli import Parser, command
from neuronsweep.config.targets import TRUSTED, trust
from neuronsweep.errors import UserError
from neuronsweep.runs import contents, files
from neuronsweep.runs.run import COMPLETE, Run
from neuronsweep.runs.trim import check_weights


def main() -> None:
    parser = Parser(description="Predictions of a finished run, as CSV.")
    parser.add_argument("directory", type=Path, metavar="RUN_DIR")
    points = parser.add_mutually_exclusive_group(required=True)
    points.add_argument("--x", nargs="+", metavar="NUMBER", help="inputs; with two inputs a sample: x1 x2 x1 x2 ...")
    points.add_argument("--csv", type=Path, metavar="FILE", help="a file with a column for each input: x, or x1 and x2")
    parser.add_argument("--trust", action="store_true", help=TRUSTED)
    arguments = parser.parse_args()
    if arguments.trust:
        trust()
    state = Run(arguments.directory).verified()["state"]
    if state != COMPLETE:
        raise UserError(f"{arguments.directory} cannot predict: its run is {state}, not {COMPLETE}")

    Run(arguments.directory).record()
    check_weights(arguments.directory)

    from neuronsweep.predictor import load_recorded  # late: the errors above need no torch

    recorded = load_recorded(arguments.directory)
    network, width = recorded.module, recorded.inputs
    names = ["x"] if width == 1 else [f"x{i + 1}" for i in range(width)]
    rows = from_words(arguments.x, width) if arguments.x else from_file(arguments.csv, names)
    task = "classification" if "train/acc" in files.read_json(arguments.directory / contents.METRICS) else "regression"
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerows(predictions(network, names, rows, task))


def predictions(network, names: list[str], rows: list[list[float]], task: str):
    """A header, then for each sample its inputs with y, or with the probabilities of its classes and the likeliest."""
    import torch

    x_ND = torch.tensor(rows, dtype=next(network.parameters()).dtype)
    with torch.no_grad():
        out = network(x_ND)
    if task == "regression":
        yield [*names, "y"]
        yield from ([*x, *y] for x, y in zip(rows, out.tolist(), strict=True))
        return
    if out.shape[1] == 1:
        one = torch.sigmoid(out)
        p = torch.cat([1 - one, one], dim=1)
    else:
        p = torch.softmax(out, dim=1)
    yield [*names, *(f"p{k}" for k in range(p.shape[1])), "class"]
    for x, probabilities in zip(rows, p.tolist(), strict=True):
        yield [*x, *probabilities, probabilities.index(max(probabilities))]


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
