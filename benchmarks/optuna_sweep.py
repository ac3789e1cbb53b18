"""A search with Optuna as a command, against study.optimize around a plain loop and against the basic launcher.

python benchmarks/optuna_sweep.py [--seeds 5]
python benchmarks/optuna_sweep.py --quick    # that it works, in seconds: 8 trials of 2 epochs

256 TPE trials in batches of 64 on moons, batch 32, 200 epochs. The basic launcher trains 16 of them, and its time is
scaled. Then what proposing and reporting cost when nothing is trained, and hyperband against the same search without a
pruner: its best value, and its share of the member-epochs.
"""

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import yaml
from optuna.trial import TrialState

from neuronsweep import console
from neuronsweep.runs import contents
from neuronsweep.runs.run import Run
from neuronsweep.search import samplers, study
from neuronsweep.search.objectives import Goals
from neuronsweep.search.parameters import Choice, Numbers
from neuronsweep.search.space import Space
from neuronsweep.search.storage import open_storage

ROOT = Path(__file__).resolve().parents[1]
# Trials, how many of them at once and for the basic launcher, epochs.
WHOLE = (256, 64, (2, 18), 200)
QUICK = (8, 4, (1, 2), 2)
WORDS = ("sweep=optuna", "data=moons", "batch_size=32", "logger=none", "~hydra.callbacks.report")

# The same search as anybody would write it.
PLAIN = """
import optuna, torch
from sklearn.datasets import make_moons
optuna.logging.set_verbosity(optuna.logging.WARNING)
torch.set_num_threads(1)
def data(n, seed):
    x, y = make_moons(n, noise=.2, random_state=seed)
    return torch.tensor(x, dtype=torch.float32), torch.tensor(y, dtype=torch.float32)[:, None]
(x, y), (x_val, y_val) = data(200, 42), data(1000, 7)
acts = {"relu": torch.nn.ReLU, "tanh": torch.nn.Tanh, "gelu": torch.nn.GELU, "silu": torch.nn.SiLU}
loss = torch.nn.functional.binary_cross_entropy_with_logits
def objective(trial):
    hidden, depth = trial.suggest_int("hidden", 2, 64, log=True), trial.suggest_int("depth", 1, 3)
    act = acts[trial.suggest_categorical("act", list(acts))]
    lr = trial.suggest_float("lr", 1e-4, 1e-1, log=True)
    torch.manual_seed(0)
    layers, width = [], 2
    for _ in range(depth):
        layers += [torch.nn.Linear(width, hidden), act()]
        width = hidden
    network = torch.nn.Sequential(*layers, torch.nn.Linear(width, 1))
    optimizer = torch.optim.Adam(network.parameters(), lr=lr)
    for _ in range(EPOCHS):
        for part in torch.randperm(200).split(32):
            optimizer.zero_grad()
            loss(network(x[part]), y[part]).backward()
            optimizer.step()
    with torch.no_grad():
        return loss(network(x_val), y_val).item()
study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=0))
study.optimize(objective, n_trials=TRIALS)
"""


def search(*words: str) -> tuple[float, Path, tempfile.TemporaryDirectory]:
    """Seconds of a search, and its directory as long as the last is kept."""
    keep = tempfile.TemporaryDirectory()
    directory = Path(keep.name) / "sweep"
    start = time.perf_counter()
    command = [sys.executable, str(ROOT / "train.py"), "-m", *WORDS, *words, f"hydra.sweep.dir={directory}"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start, directory, keep


def asked(trials: int, batch: int) -> float:
    """Seconds of a search that trains nothing, whose outcome is the learning rate: sampling and storage."""
    space = Space(
        (
            Numbers("model.hidden", 2, 64, 1, True, True),
            Numbers("model.depth", 1, 3, 1, False, True),
            Numbers("optimizer.lr", 1e-4, 1e-1, None, True, False),
            Choice("model.act", ("relu", "tanh", "gelu", "silu"), ("relu", "tanh", "gelu", "silu")),
        ),
        None,
        None,
        ("model.hidden", "model.depth", "optimizer.lr", "model.act"),
    )
    sampling = samplers.sampling("tpe", {}, 0, space, Goals((("val/loss", "min"),)))
    with tempfile.TemporaryDirectory() as directory:
        start = time.perf_counter()
        storage = open_storage(f"{directory}/{contents.JOURNAL}")
        study.create(storage, "sweep", {}, False, ["minimize"])
        search = study.fill(storage, "sweep", trials, ())
        while numbers := search.claim(batch):
            params = {number: search.suggest(number, sampling(number), space.suggest) for number in numbers}
            for number in numbers:
                search.tell(number, study.Outcome(TrialState.COMPLETE, [params[number]["optimizer.lr"]]))
        return time.perf_counter() - start


def found(directory: Path) -> tuple[float, int]:
    """The best value of a search, and the epochs that its members were trained."""
    best = yaml.safe_load((directory / contents.SEARCH).read_text())["best_value"]
    histories = [Run(path.parent).history() for path in directory.glob(f"*/{contents.HISTORY}")]
    return best, sum(history[-1][0] for history in histories)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="8 trials of 2 epochs, one seed, to see that it works")
    given = parser.parse_args()
    trials, batch, (few, more), epochs = QUICK if given.quick else WHOLE
    seeds = 1 if given.quick else given.seeds
    length = (f"epochs={epochs}", f"log_points={min(100, epochs)}")
    rows = []

    whole = (*length, f"hydra.sweeper.n_trials={trials}", f"hydra.sweeper.batch={batch}")
    ours, _, keep = search(*whole)
    keep.cleanup()
    with tempfile.TemporaryDirectory() as empty:
        start = time.perf_counter()
        code = f"TRIALS, EPOCHS = {trials}, {epochs}\n{PLAIN}"
        subprocess.run([sys.executable, "-c", code], cwd=empty, check=True)
        plain = time.perf_counter() - start
    by_basic = [search("hydra/launcher=basic", *length, f"hydra.sweeper.n_trials={n}")[0] for n in (few, more)]
    basic = by_basic[0] + (by_basic[1] - by_basic[0]) / (more - few) * (trials - few)
    rows.append((f"{trials} trials | study.optimize, a bare loop each", ours, plain, f"{plain / ours:.1f}x", ">= 12x"))
    rows.append(
        (f"{trials} trials | basic launcher, {more - few} scaled", ours, basic, f"{basic / ours:.0f}x", ">= 50x")
    )
    asking = asked(trials, batch)
    each = f"{asking / trials * 1000:.1f} ms a trial"
    rows.append(("sampling and storage, nothing trained", asking, 0.0, each, "<= 10 ms"))

    shares, ratios = [], []
    for seed in range(seeds):
        results = []
        for pruner in ("none", "hyperband"):
            _, directory, keep = search(*whole, f"hydra.sweeper.seed={seed}", f"hydra.sweeper.pruner={pruner}")
            results.append(found(directory))
            keep.cleanup()
        (best, trained), (pruned_best, pruned_trained) = results
        shares.append(pruned_trained / trained)
        ratios.append(pruned_best / best - 1)
    share, ratio = statistics.median(shares), statistics.median(ratios)
    rows.append((f"hyperband, median of {seeds} seeds: member-epochs", 0.0, 0.0, f"{share:.0%}", "<= 40%"))
    rows.append(("hyperband: best value above the unpruned one's", 0.0, 0.0, f"{ratio:+.1%}", "<= 1%"))
    lines = [(what, *(f"{s:.1f}" if s else "" for s in (a, b)), figure, target) for what, a, b, figure, target in rows]
    console.table("search | against", ["seconds", "against", "figure", "target"], lines)


if __name__ == "__main__":
    main()
