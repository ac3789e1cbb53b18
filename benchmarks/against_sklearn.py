"""A sweep over a table against scikit-learn's grid search: the same grid, folds, epochs and batches, both cores.

python benchmarks/against_sklearn.py            # all of it: about two minutes
python benchmarks/against_sklearn.py --quick    # that it works, in seconds: few configurations and epochs

Both are processes of their own from the command line to the last file, our report included; the grid search writes
none and fits no best network again. Its networks begin with other weights than ours: accuracies agree where the mean
difference over the configurations has a 95% interval with 0 in it.
"""

import argparse
import csv
import itertools
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from neuronsweep import console

ROOT = Path(__file__).resolve().parents[1]
FOLDS = 5
Grid = Mapping[str, Sequence[str]]
GRID: Grid = {"model.hidden": ("2", "8", "32"), "model.act": ("relu", "tanh"), "optimizer.lr": ("0.001", "0.01")}
QUICK: Grid = {**GRID, "model.hidden": ("2", "4")}
Place = tuple[str, ...]


def timed(command: Sequence[str], cwd: str) -> tuple[float, float, str]:
    """Seconds by the wall clock and of processors that a process and its children took, and what it printed."""
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    # no MLPClassifier converges before its last epoch, and each would say so
    environment = {**os.environ, "PYTHONWARNINGS": "ignore"}
    done = subprocess.run(
        [sys.executable, *command], cwd=cwd, env=environment, check=True, stdout=subprocess.PIPE, text=True
    )
    wall, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, done.stdout


def ours(grid: Grid, epochs: int, seeds: int) -> tuple[float, float, dict[Place, float]]:
    """Seconds of a sweep, and the mean accuracy of every configuration."""
    words = ["data=breast_cancer", f"data.folds={FOLDS}", f"data.fold=range({FOLDS})", f"epochs={epochs}"]
    words += [
        "batch_size=32",
        "logger=none",
        "hydra.sweep.dir=sweep",
        *(f"{key}={','.join(grid[key])}" for key in grid),
    ]
    words += [f"seed=range({seeds})"] if seeds > 1 else []
    with tempfile.TemporaryDirectory() as directory:
        wall, cpu, _ = timed([str(ROOT / "train.py"), "-m", *words], directory)
        with (Path(directory) / "sweep" / "results.csv").open() as file:
            rows = list(csv.DictReader(file))
    accuracies: dict[Place, list[float]] = {}
    for row in rows:
        accuracies.setdefault(tuple(row[key] for key in grid), []).append(float(row["val/acc"]))
    assert all(len(found) == FOLDS * seeds for found in accuracies.values())
    return wall, cpu, {place: float(np.mean(found)) for place, found in accuracies.items()}


def theirs(grid: Grid, epochs: int) -> tuple[float, float, dict[Place, float]]:
    """The same of a grid search in a process of its own."""
    with tempfile.TemporaryDirectory() as directory:
        asked = json.dumps({"grid": grid, "epochs": epochs})
        wall, cpu, printed = timed([str(Path(__file__).resolve()), "--search", asked], directory)
    return wall, cpu, dict(zip(itertools.product(*grid.values()), json.loads(printed), strict=True))


def search(grid: Grid, epochs: int) -> list[float]:
    """The mean accuracies of GridSearchCV over a scaled MLPClassifier that stops after no fewer epochs."""
    from sklearn.datasets import load_breast_cancer
    from sklearn.model_selection import GridSearchCV, StratifiedKFold
    from sklearn.neural_network import MLPClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    x, y = load_breast_cancer(return_X_y=True)
    network = MLPClassifier(batch_size=32, max_iter=epochs, n_iter_no_change=epochs, tol=0, alpha=0, random_state=0)
    hidden, acts, rates = grid.values()
    parameters = {
        "mlpclassifier__hidden_layer_sizes": [(int(width),) for width in hidden],
        "mlpclassifier__activation": list(acts),
        "mlpclassifier__learning_rate_init": [float(rate) for rate in rates],
    }
    # the folds that data.folds draws
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=42)
    cores = len(os.sched_getaffinity(0))
    found = GridSearchCV(make_pipeline(StandardScaler(), network), parameters, cv=folds, n_jobs=cores, refit=False)
    results = found.fit(x, y).cv_results_
    means = {
        (
            p["mlpclassifier__hidden_layer_sizes"][0],
            p["mlpclassifier__activation"],
            p["mlpclassifier__learning_rate_init"],
        ): score
        for p, score in zip(results["params"], results["mean_test_score"], strict=True)
    }
    return [means[int(width), act, float(rate)] for width, act, rate in itertools.product(hidden, acts, rates)]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true", help="few configurations and epochs, to see that it works")
    parser.add_argument("--search", metavar="JSON", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.search:
        asked = json.loads(arguments.search)
        print(json.dumps(search(asked["grid"], asked["epochs"])))
        return
    from scipy.stats import t

    grid, epochs, seeds = (QUICK, 3, 2) if arguments.quick else (GRID, 100, 16)
    wall, cpu, accuracies = ours(grid, epochs, 1)
    wall_theirs, cpu_theirs, accuracies_theirs = theirs(grid, epochs)
    wall_many, cpu_many, accuracies_many = ours(grid, epochs, seeds)
    fits = len(accuracies) * FOLDS
    rows = []
    for name, mine, other, wanted in (
        (f"{fits} fits, seconds", wall, wall_theirs, ">= 6x"),
        (f"{fits} fits, seconds of cores", cpu, cpu_theirs, ""),
        (f"{seeds * fits} fits, seconds ({seeds} x the search)", wall_many, seeds * wall_theirs, ">= 30x"),
        (f"{seeds * fits} fits, seconds of cores", cpu_many, seeds * cpu_theirs, ""),
    ):
        rows.append((name, f"{mine:.1f}", f"{other:.1f}", f"{other / mine:.1f}x", wanted))
    for name, found in (("one seed", accuracies), (f"{seeds} seeds", accuracies_many)):
        differences = np.array([found[place] - accuracies_theirs[place] for place in found])
        half = t.ppf(0.975, len(differences) - 1) * differences.std(ddof=1) / len(differences) ** 0.5
        ends = f"{differences.mean() - half:+.4f} to {differences.mean() + half:+.4f}"
        means = [f"{np.mean(list(one.values())):.4f}" for one in (found, accuracies_theirs)]
        rows.append((f"mean accuracy, {name}", means[0], means[1], ends, "0 in it"))
    console.say(f"{len(os.sched_getaffinity(0))} cores, load {os.getloadavg()[0]:.1f}")
    console.table("breast_cancer", ["sweep", "GridSearchCV", "figure", "target"], rows)


if __name__ == "__main__":
    main()
