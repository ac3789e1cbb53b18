"""Kills sweeps again and again, resumes them, and counts what was lost, repeated or came out differently.

python -m tests.kill_loop --kills 200     # make soak
"""

import argparse
import csv
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path

from neuronsweep.runs import contents
from neuronsweep.runs.run import COMPLETE, Run

ROOT = Path(__file__).resolve().parents[1]
TRAIN, RESUME = ROOT / "train.py", ROOT / "scripts" / "resume.py"

NATIVE = (
    "data=moons",
    "batch_size=50",
    "model.hidden=2,8,32",
    "model.act=relu,tanh",
    "seed=range(8)",
    "epochs=150000",
    "log_points=20",
    "engine.snapshot_seconds=0.1",
)
BASIC = (
    "hydra/launcher=basic",
    "model.hidden=2,8",
    "model.act=relu,tanh",
    "seed=range(6)",
    "epochs=800",
    "trainer.checkpoint_seconds=0.2",
)

# Runs a script that dies with its whole process group when one of its processes is about to put its Nth file in place.
DYING = """
import os, runpy, signal, sys
from neuronsweep.runs import files
left = int(sys.argv[1])
def before_rename(path):
    global left
    left -= 1
    if left == 0:
        os.killpg(0, signal.SIGKILL)
files.before_rename = before_rename
sys.argv = sys.argv[2:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


@dataclass
class Counts:
    """What a kill loop has seen."""

    kills: int = 0
    resumes: int = 0
    runs_trained: int = 0
    runs_lost: int = 0
    runs_repeated: int = 0
    differences: int = 0
    leftovers: int = 0

    def __str__(self) -> str:
        return ", ".join(f"{field.name.replace('_', ' ')} {getattr(self, field.name)}" for field in fields(self))


def results(sweep: Path) -> list[dict[str, str]]:
    """The rows of results.csv without times."""
    with (sweep / contents.RESULTS).open() as file:
        return [{name: value for name, value in row.items() if name != "seconds"} for row in csv.DictReader(file)]


def complete(sweep: Path) -> dict[str, str]:
    """When each run that is COMPLETE ended."""
    statuses = [Run(path.parent).status() | {"run": path.parent.name} for path in sweep.glob(f"*/{contents.STATUS}")]
    return {status["run"]: status["ended"] for status in statuses if status["state"] == COMPLETE}


def kill_loop(words: Sequence[str], kills: int, directory: Path, rng: random.Random, counts: Counts) -> None:
    """Kill and resume the sweep of these words so many times, and compare it with one that was left in peace.

    A third of the kills come in the middle of a write, the others at a random moment; of these a half reach the parent
    process alone. A sweep that ends is compared and begun anew.
    """
    begun = time.monotonic()
    whole = directory / "whole"
    _run([TRAIN, "-m", *words, f"hydra.sweep.dir={whole}"])
    seconds = time.monotonic() - begun
    last, rounds = counts.kills + kills, 0
    sweep = directory / "sweep0"
    ended: dict[str, str] = {}
    while True:
        started = (sweep / contents.SWEEP).exists()
        script = [RESUME, sweep] if started else [TRAIN, "-m", *words, f"hydra.sweep.dir={sweep}"]
        counts.resumes += started
        killed = counts.kills < last and _killed(script, seconds, rng)
        if counts.kills >= last:
            _run(script)
        now = complete(sweep) if sweep.exists() else {}
        counts.runs_repeated += sum(now.get(run) != when for run, when in ended.items())
        ended = now
        if killed:
            counts.kills += 1
            continue
        _compare(sweep, whole, counts)
        if counts.kills >= last:
            return
        rounds += 1
        sweep, ended = directory / f"sweep{rounds}", {}


def _run(script: Sequence[str | Path]) -> None:
    done = subprocess.run([sys.executable, *map(str, script)], capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{' '.join(map(str, script))} ended with {done.returncode}: {done.stderr}")


def _killed(script: Sequence[str | Path], seconds: float, rng: random.Random) -> bool:
    """Run a command and kill it; False when it had ended before."""
    middle_of_write = rng.random() < 1 / 3
    dying = ["-c", DYING, str(rng.randrange(1, 60))] if middle_of_write else []
    command = [sys.executable, *dying, *map(str, script)]
    process = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    try:
        _, error = process.communicate(timeout=None if middle_of_write else rng.uniform(0, 1.2 * seconds))
    except subprocess.TimeoutExpired:
        if rng.random() < 0.5:
            os.killpg(process.pid, signal.SIGKILL)
        else:
            process.kill()
        # not communicate: what still lives of it holds the pipe, and the next command has to cope with it
        process.wait()
        process.stderr.close()
        return True
    if process.returncode not in (0, -signal.SIGKILL):
        raise RuntimeError(f"{' '.join(command)} ended with {process.returncode}: {error}")
    return process.returncode != 0


def _compare(sweep: Path, whole: Path, counts: Counts) -> None:
    counts.runs_trained += len(complete(sweep))
    counts.runs_lost += len(complete(whole)) - len(complete(sweep))
    counts.differences += results(sweep) != results(whole)
    for path in whole.glob(f"*/{contents.METRICS}"):
        again = sweep / path.parent.name / contents.METRICS
        counts.differences += not again.exists() or again.read_bytes() != path.read_bytes()
    hidden = [path for path in sweep.rglob(".*") if path.name != ".hydra"]
    counts.leftovers += len(hidden) + len(list(sweep.glob(f"*/{contents.CHECKPOINT}")))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    rng, counts = random.Random(arguments.seed), Counts()
    shares = (("48 runs, native", NATIVE, 3 / 5), ("24 runs, basic launcher", BASIC, 2 / 5))
    for name, words, share in shares:
        with tempfile.TemporaryDirectory() as directory:
            kill_loop(words, round(share * arguments.kills), Path(directory), rng, counts)
        print(f"{name}: {counts}", flush=True)
    if counts.runs_lost or counts.runs_repeated or counts.differences or counts.leftovers:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
