"""What a sweep costs as a command, as ratios of commands run in turn.

python benchmarks/sweep.py            # all of it: about ten minutes
python benchmarks/sweep.py --quick    # that it works, in seconds: few jobs of few epochs

Every command is a process of its own, start-up, pictures and TensorBoard events included.
"""

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from neuronsweep import console

ROOT = Path(__file__).resolve().parents[1]
GRID = ("data=moons", "batch_size=32", "model.act=relu,tanh,sigmoid,gelu")
HEADLINE = ("model.hidden=2,8,32", "model.act=relu,tanh")
SHORT = ("data=moons", "model.hidden=4")
# Epochs of the headline and of the grid, seeds of the grid, jobs of one epoch, repeats.
WHOLE = (2000, 200, 8, 512, 3)
QUICK = (20, 2, 1, 4, 1)

# One of the headline's six models, as anybody would train it.
BARE = """
import numpy as np, torch
torch.set_num_threads(1)
r = np.random.default_rng(42)
x = r.uniform(-3.5, 4.5, 1000); y = np.sin(x) + .1 * r.normal(size=1000)
inside = (x >= -1.5) & (x <= 2.5)
x, y = (torch.tensor(v[inside], dtype=torch.float32)[:, None] for v in (x, y))
torch.manual_seed(0)
network = torch.nn.Sequential(torch.nn.Linear(1, 8), torch.nn.ReLU(), torch.nn.Linear(8, 1))
optimizer = torch.optim.Adam(network.parameters(), lr=.01)
for epoch in range(EPOCHS):
    optimizer.zero_grad()
    torch.nn.functional.mse_loss(network(x), y).backward()
    optimizer.step()
"""


def seconds(*command: str) -> float:
    """Wall time of a Python process in an empty directory."""
    with tempfile.TemporaryDirectory() as directory:
        start = time.perf_counter()
        subprocess.run([sys.executable, *command], cwd=directory, check=True, stdout=subprocess.DEVNULL)
        return time.perf_counter() - start


def sweep(*words: str) -> float:
    return seconds(str(ROOT / "train.py"), "-m", *words)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true", help="few jobs of few epochs, to see that it works")
    quick = parser.parse_args().quick
    long, grid, seeds, count, repeats = QUICK if quick else WHOLE
    less = ("log_points=2", "logger=none", "~hydra.callbacks.report") if quick else ()
    rows = []

    def row(what: str, ours: float, theirs: float | None, figure: str, target: str) -> None:
        rows.append((what, f"{ours:.1f}", "" if theirs is None else f"{theirs:.1f}", figure, target))

    code = f"EPOCHS = {long}\n{BARE}"
    headline = (*HEADLINE, f"epochs={long}", *less)
    pairs = [(sweep(*headline), seconds("-c", code)) for _ in range(repeats)]
    ours, bare = (statistics.median(side) for side in zip(*pairs, strict=True))
    row("headline, 6 jobs | import torch and one bare loop", ours, bare, f"{ours / bare:.2f}x", "<= 2x")

    jobs = (*GRID, f"epochs={grid}", f"seed=range({seeds})", *less)
    ours = min(sweep(*jobs, "model.hidden=2,8,32") for _ in range(min(2, repeats)))
    third = sweep(*jobs, "model.hidden=8", "hydra/launcher=basic")
    what = f"{12 * seeds} jobs | basic launcher, 3 x a third of them"
    row(what, ours, 3 * third, f"{3 * third / ours:.0f}x", ">= 50x")

    few, many = (sweep(*SHORT, "epochs=1", f"seed=range({n})", *less) for n in (2, count))
    each = f"{1e3 * (many - few) / (count - 2):.1f} ms a job"
    row(f"{count} jobs of one epoch | 2 of them", many, few, each, "<= 10 ms")

    if not quick:
        thousand, ten = (sweep(*SHORT, "epochs=50", f"seed=range({n})") for n in (1000, 10_000))
        growth = (ten - few) / 10_000 / ((thousand - few) / 1000) - 1
        row("10 000 jobs | 1000 jobs", ten, thousand, f"{growth:+.0%} a job", "<= +15%")
        peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1e6
        rows.append(("largest process of all these", "", "", f"{peak:.2f} GB", "2 GB"))
    console.say(f"{len(os.sched_getaffinity(0))} cores")
    console.table("command | against", ["seconds", "against", "figure", "target"], rows)


if __name__ == "__main__":
    main()
