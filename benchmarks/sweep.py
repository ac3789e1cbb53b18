"""What a sweep costs as a command, as ratios of commands run in turn.

python benchmarks/sweep.py            # all of it: about half an hour
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
# Epochs of the headline and of the grid, seeds of the grid, jobs of one epoch, repeats, jobs of Lightning.
WHOLE = (2000, 200, 8, 1000, 3, 4)
QUICK = (20, 2, 1, 4, 1, 2)

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

# The grid of 12 networks times seeds, as one would train them by oneself on all cores: what is imported once is forked.
POOL = """
import itertools, multiprocessing, os, torch
from sklearn.datasets import make_moons
torch.set_num_threads(1)
x, y = make_moons(200, noise=.2, random_state=42)
x, y = torch.tensor(x, dtype=torch.float32), torch.tensor(y, dtype=torch.float32)[:, None]
ACTS = (torch.nn.ReLU, torch.nn.Tanh, torch.nn.Sigmoid, torch.nn.GELU)

def train(job):
    hidden, act, seed = job
    torch.manual_seed(seed)
    network = torch.nn.Sequential(torch.nn.Linear(2, hidden), act(), torch.nn.Linear(hidden, 1))
    optimizer = torch.optim.Adam(network.parameters(), lr=.01)
    for epoch in range(EPOCHS):
        for batch in torch.randperm(200).split(32):
            optimizer.zero_grad()
            torch.nn.functional.binary_cross_entropy_with_logits(network(x[batch]), y[batch]).backward()
            optimizer.step()
    return network(x).mean().item()

with multiprocessing.get_context("fork").Pool(len(os.sched_getaffinity(0))) as pool:
    pool.map(train, itertools.product((2, 8, 32), ACTS, range(SEEDS)), chunksize=1)
"""

# Runs of the grid with Lightning as templates set it up: a DataLoader, a logger, checkpoints of the best and a bar.
LIGHTNING = """
import lightning as L, torch
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.loggers import TensorBoardLogger
from sklearn.datasets import make_moons
from torch.utils.data import DataLoader, TensorDataset

def split(n, seed):
    x, y = make_moons(n, noise=.2, random_state=seed)
    return TensorDataset(torch.tensor(x, dtype=torch.float32), torch.tensor(y, dtype=torch.float32)[:, None])

class Module(L.LightningModule):
    def __init__(self):
        super().__init__()
        self.net = torch.nn.Sequential(torch.nn.Linear(2, 8), torch.nn.ReLU(), torch.nn.Linear(8, 1))
    def loss(self, batch, name):
        x, y = batch
        loss = torch.nn.functional.binary_cross_entropy_with_logits(self.net(x), y)
        self.log(name, loss, on_step=False, on_epoch=True, prog_bar=True)
        return loss
    def training_step(self, batch, i):
        return self.loss(batch, "train/loss")
    def validation_step(self, batch, i):
        self.loss(batch, "val/loss")
    def configure_optimizers(self):
        return torch.optim.Adam(self.parameters(), lr=.01)

for run in range(RUNS):
    L.seed_everything(run)
    checkpoints = ModelCheckpoint(f"{run}", monitor="val/loss", save_last=True)
    logger = TensorBoardLogger(f"logs{run}")
    trainer = L.Trainer(max_epochs=EPOCHS, accelerator="cpu", devices=1, logger=logger, callbacks=[checkpoints])
    trainer.fit(Module(), DataLoader(split(200, 42), 32, shuffle=True), DataLoader(split(1000, 7), 32))
"""


class Commands:
    """Runs Python processes, each in a new directory that stays until the end.

    Nothing is deleted in between: ext4 without a journal does not use the inodes of deleted files again for some
    seconds and searches past them for each new file, so a command would pay for the directory of the one before it.
    """

    def __init__(self, directory: str) -> None:
        self.directory = Path(directory)
        self.count = 0

    def seconds(self, *command: str) -> float:
        """Wall time of a Python process in an empty directory."""
        self.count += 1
        directory = self.directory / str(self.count)
        directory.mkdir()
        start = time.perf_counter()
        subprocess.run(
            [sys.executable, *command], cwd=directory, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        return time.perf_counter() - start

    def sweep(self, *words: str) -> float:
        return self.seconds(str(ROOT / "train.py"), "-m", *words)


def row(what: str, ours: float, theirs: float | None, figure: str, target: str) -> None:
    """Prints a measurement as soon as it is known."""
    against = "" if theirs is None else f"{theirs:.1f}"
    console.say(f"{what:62} {ours:8.1f} {against:>8}  {figure:>14}  {target}")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true", help="few jobs of few epochs, to see that it works")
    quick = parser.parse_args().quick
    console.say(f"{len(os.sched_getaffinity(0))} cores")
    console.say(f"{'command | against':62} {'seconds':>8} {'against':>8}  {'figure':>14}  target")
    with tempfile.TemporaryDirectory() as directory:
        measure(Commands(directory), quick)


def measure(commands: Commands, quick: bool) -> None:
    seconds, sweep = commands.seconds, commands.sweep
    long, grid, seeds, count, repeats, runs = QUICK if quick else WHOLE
    less = ("log_points=2", "logger=none", "~hydra.callbacks.report") if quick else ()
    code = f"EPOCHS = {long}\n{BARE}"
    headline = (*HEADLINE, f"epochs={long}", *less)
    pairs = [(sweep(*headline), seconds("-c", code)) for _ in range(repeats)]
    ours, bare = (statistics.median(side) for side in zip(*pairs, strict=True))
    row("headline, 6 runs | import torch and one plain loop", ours, bare, f"{ours / bare:.2f}x", "<= .9x")

    jobs = (*GRID, f"epochs={grid}", f"seed=range({seeds})", *less)
    ours = min(sweep(*jobs, "model.hidden=2,8,32") for _ in range(min(2, repeats)))
    n = 12 * seeds
    third = sweep(*jobs, "model.hidden=8", "hydra/launcher=basic")
    row(f"{n} runs | basic launcher, 3 x a third of them", ours, 3 * third, f"{3 * third / ours:.0f}x", ">= 30x")
    pool = seconds("-c", f"EPOCHS, SEEDS = {grid}, {seeds}\n{POOL}")
    row(f"{n} runs | a forked pool of plain loops", ours, pool, f"{pool / ours:.1f}x", ">= 8x")
    lightning = seconds("-c", f"EPOCHS, RUNS = {grid}, {runs}\n{LIGHTNING}") * n / runs
    row(f"{n} runs | Lightning, from {runs} of them", ours, lightning, f"{lightning / ours:.0f}x", ">= 300x")

    for pictures, target in (("0", "<= 2.5 ms"), ("all", "<= 6 ms"))[: 1 if quick else 2]:
        logger = "none" if pictures == "0" else "tensorboard"
        words = (*SHORT, "epochs=1", f"logger={logger}", f"logger.pictures={pictures}", "~hydra.callbacks.report")
        few, many = (sweep(*words, f"seed=range({k})") for k in (2, count))
        each = f"{1e3 * (many - few) / (count - 2):.1f} ms a run"
        row(f"{count} runs of one epoch, logger.pictures={pictures} | 2 of them", many, few, each, target)

    if not quick:
        ten = sweep(*SHORT, "epochs=1", "seed=range(10000)")
        row("10 000 runs of one epoch", ten, None, f"{ten:.0f} s", "<= 35 s")
        trained = sweep(*SHORT, "batch_size=32", "epochs=200", "seed=range(10000)")
        row("10 000 runs of 200 epochs, batch 32", trained, None, f"{trained:.0f} s", "<= 60 s")
        hundred = sweep(*SHORT, "epochs=1", "seed=range(100000)")
        growth = (hundred - few) / 100_000 / ((ten - few) / 10_000) - 1
        row("100 000 runs of one epoch | 10 000", hundred, ten, f"{growth:+.0%} a run", "+-20%")
        peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1e6
        console.say(f"largest process of all these: {peak:.2f} GB; target <= 1.5 GB")


if __name__ == "__main__":
    main()
