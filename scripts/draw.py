"""Draw the pictures of finished runs that have none, and write the events of TensorBoard that lack them.

With --output, draw one picture of one run: its fit, or with --neurons how its neurons add up to it.

python scripts/draw.py DIR [DIR ...]
python scripts/draw.py RUN_DIR --output fit.svg
python scripts/draw.py RUN_DIR --neurons --output neurons.png
"""

import neuronsweep.starting  # noqa: F401

# isort: split

import math
import os
import re
from pathlib import Path
from typing import Any

from neuronsweep.cli import Parser, command
from neuronsweep.config.check import nearest
from neuronsweep.config.output_paths import check_file
from neuronsweep.config.targets import TRUSTED, trust
from neuronsweep.errors import UserError
from neuronsweep.runs import contents, files, lock
from neuronsweep.runs.results import Results
from neuronsweep.runs.run import COMPLETE, Run
from neuronsweep.runs.sweep import run_directory

SUFFIXES = (".png", ".svg", ".pdf")
# Inches of a side, dots per inch.
SIDES, DPIS = (1.0, 60.0), (30, 1200)


def main() -> None:
    parser = Parser(description="Draw the pictures of finished runs that have none, or with --output one picture.")
    parser.add_argument("directories", nargs="+", type=Path, metavar="DIR", help="run or sweep directories")
    parser.add_argument("--output", type=Path, metavar="FILE", help=f"one picture of one run: {', '.join(SUFFIXES)}")
    parser.add_argument(
        "--neurons", action="store_true", help="with --output: the contributions that add up to the fit"
    )
    parser.add_argument(
        "--of", metavar="NAME", help="with --neurons: which class or target, of several; else the first"
    )
    parser.add_argument("--title", help="with --output: else data, network, seed and objective")
    parser.add_argument("--size", metavar="WxH", help="with --output: inches, such as 8x4.5")
    parser.add_argument("--dpi", type=int, default=150, metavar="N", help="with --output: dots per inch (150)")
    parser.add_argument("--dark", action="store_true", help="with --output: light on dark")
    parser.add_argument("--trust", action="store_true", help=TRUSTED)
    arguments = parser.parse_args()
    if arguments.trust:
        trust()
    if arguments.output:
        one_picture(arguments)
        return
    given = {name: getattr(arguments, name) for name in ("neurons", "of", "title", "size", "dark")}
    for name, value in given.items():
        if value:
            raise UserError(f"--{name} needs --output FILE, the picture to write")
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


def one_picture(arguments: Any) -> None:
    """Draw the fit of a run or its neurons, and say of its neurons what there is to say."""
    output, directory = arguments.output, arguments.directories[0]
    check_file(f"--output {output}", output)
    if output.suffix not in SUFFIXES:
        raise UserError(f"--output {output} is not allowed: it ends in one of {', '.join(SUFFIXES)}")
    if len(arguments.directories) > 1 or (directory / contents.SWEEP).exists():
        raise UserError("--output is not allowed with several runs: it is a picture of one run")
    if arguments.of and not arguments.neurons:
        raise UserError("--of is not allowed without --neurons: a fit has all classes and targets")
    if not DPIS[0] <= arguments.dpi <= DPIS[1]:
        raise UserError(f"--dpi {arguments.dpi} is not allowed: it is a whole number from {DPIS[0]} to {DPIS[1]}")
    size = sides(arguments.size) if arguments.size else None
    state = Run(directory).verified()["state"]
    if state != COMPLETE:
        raise UserError(f"{directory} cannot be drawn: its run is {state}, not {COMPLETE}")
    config = Run(directory).record()["config"]

    from neuronsweep.data.build import build_dataset  # late: torch
    from neuronsweep.figures.fit import title
    from neuronsweep.figures.neurons import Look, fit_picture
    from neuronsweep.predictor import load_recorded

    dataset, network = build_dataset(config["data"]), load_recorded(directory).module
    metrics, objective = files.read_json(directory / contents.METRICS), config["objective"]["metric"]
    words = title(config, objective, metrics[objective]) if arguments.title is None else arguments.title
    look = Look(words, size, arguments.dpi, arguments.dark, output.suffix)
    if not arguments.neurons:
        files.write(output, fit_picture(network, dataset, look))
        return
    picture, lines = of_neurons(directory, network, dataset, arguments.of, look)
    files.write(output, picture)
    print("\n".join(lines))


def of_neurons(directory: Path, network: Any, dataset: Any, of: str | None, look: Any) -> tuple[bytes, list[str]]:
    """The picture of a network's neurons, and lines about them. Raises UserError where there is none to draw."""
    import torch

    from neuronsweep.analysis.parts import described, parts_of, values
    from neuronsweep.figures.neurons import neurons_picture
    from neuronsweep.models.losses import loss_function
    from neuronsweep.models.mlp import MLP

    names = dataset.class_names if dataset.classes > 2 else dataset.target_names
    if of and of not in names:
        raise UserError(f"--of {of} is not allowed: it is one of {', '.join(names)}{nearest(of, names)}")
    if not isinstance(network, MLP):
        raise UserError(f"{directory} has no neurons to draw: its network is of a class of somebody's own")
    if not network.acts:
        raise UserError(f"{directory} has no neurons to draw: model.depth=0")
    if dataset.inputs > 2:
        raise UserError(
            f"--neurons is not allowed with {dataset.inputs} inputs: only functions of one or two are drawn"
        )
    if not all(parameter.isfinite().all() for parameter in network.parameters()):
        raise UserError(f"{directory} has no neurons to draw: weights are not finite")
    network, output = network.double(), names.index(of) if of else 0
    parts = parts_of(network, dataset, output)
    x, y = dataset.splits["train"]
    with torch.no_grad():
        loss = loss_function(None, dataset.task)(network(x.double()), y if dataset.classes else y.double()).item()
    loss = dataset.own_units({"train/mse": loss}, "")["train/mse"] if not dataset.classes else loss
    titles = [(part.name, part.title) for part in parts]
    picture = neurons_picture(network, dataset, titles, lambda x_ND: values(network, parts, output, x_ND), look)
    return picture, described(network, dataset, parts, output, loss)


def sides(word: str) -> tuple[float, float]:
    """Width and height in inches. Raises UserError for anything else."""
    found = re.fullmatch(r"([\d.]+)x([\d.]+)", word)
    try:
        width, height = map(float, found.groups() if found else ())
    except ValueError:
        width = height = math.nan
    if not all(SIDES[0] <= side <= SIDES[1] for side in (width, height)):
        raise UserError(
            f"--size {word} is not allowed: it is width x height in inches, each from 1 to 60, such as 8x4.5"
        )
    return width, height


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
