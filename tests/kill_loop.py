"""Kills sweeps again and again, resumes them, and counts what was lost, repeated or different.

python -m tests.kill_loop --kills 200     # make soak

Every command is forked from a process that has imported the libraries, so that a kill costs the seconds of a short
sweep and not those of an import.
"""

import argparse
import csv
import os
import random
import signal
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import partial
from pathlib import Path

from neuronsweep.runs import contents, files
from neuronsweep.runs.run import COMPLETE, Run
from tests.commands import Script

TRAIN, RESUME = "train.py", "scripts/resume.py"
COLLECT, TRIM = "scripts/collect.py", "scripts/trim.py"

NATIVE = (
    "data=moons",
    "batch_size=50",
    "model.hidden=2,8",
    "model.act=relu,tanh",
    "seed=range(6)",
    "epochs=20000",
    "log_points=20",
    "engine.snapshot_seconds=0.1",
)
BASIC = (
    "hydra/launcher=basic",
    "model.hidden=2",
    "model.act=relu,tanh",
    "seed=range(6)",
    "epochs=200",
    "trainer.checkpoint_seconds=0.05",
)
# A sweep that is trained in shards, each of which is extended, merged, and trimmed.
GROWN = ("data=moons", "batch_size=50", "epochs=20000", "log_points=20", "engine.snapshot_seconds=0.1")
SMALL, LARGE = ("model.hidden=2,8", "seed=range(4)"), ("model.hidden=2,8,32", "seed=range(6)")
KEPT = 5


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
    found = [path.parent for path in sweep.glob(f"*/{contents.STATUS}") if not path.parent.name.startswith(".")]
    statuses = [Run(path).status() | {"run": path.name} for path in found]
    return {status["run"]: status["ended"] for status in statuses if status["state"] == COMPLETE}


def kill_loop(name: str, words: Sequence[str], kills: int, directory: Path, rng: random.Random, counts: Counts) -> None:
    """Kill and resume the sweep of these words so many times, and compare it with one that was never killed.

    A third of the kills come in the middle of a write, the others at a random moment; half of these reach the parent
    process alone. A sweep that ends is compared and begun anew. Prints a line for every kill.
    """
    begun = time.monotonic()
    undisturbed = directory / "undisturbed"
    _end(Script(TRAIN, "-m", *words, f"hydra.sweep.dir={undisturbed}", cwd=directory))
    seconds, jobs = time.monotonic() - begun, len(complete(undisturbed))
    print(f"{name}: {jobs} runs take {seconds:.1f} s when nobody kills them", flush=True)
    last, rounds = counts.kills + kills, 0
    sweep = directory / "sweep0"
    ended: dict[str, str] = {}
    while True:
        started = (sweep / contents.SWEEP).exists()
        script = (RESUME, str(sweep)) if started else (TRAIN, "-m", *words, f"hydra.sweep.dir={sweep}")
        counts.resumes += started
        how = None
        if counts.kills < last:
            how = _killed(script, directory, seconds, rng)
        else:
            _end(Script(*script, cwd=directory))
        now = complete(sweep) if sweep.exists() else {}
        counts.runs_repeated += _repeated(script, ended, now)
        ended = now
        if how:
            counts.kills += 1
            print(f"{name}: kill {counts.kills - last + kills} of {kills} {how}: {len(now)}/{jobs} runs", flush=True)
            continue
        _compare(sweep, undisturbed, counts)
        if counts.kills >= last:
            return
        rounds += 1
        sweep, ended = directory / f"sweep{rounds}", {}


def die_in_write(number: int) -> None:
    """Have this process and its group die when the number-th file from now is about to be put in its place."""
    left = number

    def before_rename(path: Path) -> None:
        nonlocal left
        left -= 1
        if left == 0:
            os.killpg(0, signal.SIGKILL)

    files.before_rename = before_rename


def grown_kill_loop(words: Sequence[str], kills: int, directory: Path, rng: random.Random, counts: Counts) -> None:
    """Kill the commands that train shards of a sweep, extend, merge and trim them; compare with a sweep of one command.

    Every command is killed as often as the others, and then left in peace until it has ended.
    """
    begun = time.monotonic()
    whole, merged = directory / "whole", directory / "merged"
    _end(Script(TRAIN, "-m", *words, *LARGE, f"hydra.sweep.dir={whole}", cwd=directory))
    seconds = (time.monotonic() - begun) / 2
    shards = [directory / f"shard{i}" for i in (1, 2)]
    steps: list[tuple[Path, list[str]]] = [
        (shard, [TRAIN, "-m", *words, *values, f"hydra.sweep.dir={shard}", f"hydra.sweeper.shard={shard.name[-1]}/2"])
        for shard in shards
        for values in (SMALL, LARGE)
    ]
    steps += [
        (merged, [COLLECT, *map(str, (merged, *shards)), "--union"]),
        (merged, [TRIM, str(merged), "--keep", f"best:{KEPT}", "--yes"]),
    ]
    for i, (sweep, script) in enumerate(steps):
        last, ended = counts.kills + kills * (i + 1) // len(steps) - kills * i // len(steps), dict[str, str]()
        while True:
            killed = counts.kills < last and _killed(script, directory, seconds, rng)
            if not killed:
                _end(Script(*script, cwd=directory))
            now = complete(sweep) if sweep.exists() else {}
            counts.runs_repeated += _repeated(script, ended, now)
            ended = now
            if killed:
                counts.kills += 1
                print(f"grown: {script[0]} killed {killed}", flush=True)
            if counts.kills >= last and not killed:
                break
    counts.runs_trained += len(complete(merged))
    counts.runs_lost += len(complete(whole)) - len(complete(merged))
    counts.differences += _without_numbers(merged) != _without_numbers(whole)
    counts.differences += len(list(merged.glob(f"*/{contents.MODEL}"))) != KEPT
    counts.leftovers += len([path for path in merged.rglob(".*") if path.name != ".hydra"])


def _repeated(script: Sequence[str], before: dict[str, str], now: dict[str, str]) -> int:
    """How many runs that had ended a command has trained again, each of them printed."""
    again = [run for run, ended in before.items() if now.get(run) != ended]
    for run in again:
        print(f"{' '.join(script)}: {run} ended {before[run]} and then {now.get(run)}", flush=True)
    return len(again)


def _without_numbers(sweep: Path) -> list[tuple[str, ...]]:
    """The rows of results.csv without times and numbers: an extended sweep has other ones."""
    return sorted(
        tuple(row[name] for name in sorted(row) if name not in ("run", "directory")) for row in results(sweep)
    )


def _end(process: Script) -> None:
    printed, error = process.communicate(timeout=600)
    for line in (printed + error).splitlines():
        if "trained again" in line:
            print(line, flush=True)
    if process.returncode:
        raise RuntimeError(f"{' '.join(process.words)} ended with {process.returncode}: {error}")


def _killed(script: Sequence[str], cwd: Path, seconds: float, rng: random.Random) -> str | None:
    """Run a command and kill it; returns how, or None when it had ended before."""
    if rng.random() < 1 / 3:
        number = rng.randrange(1, 60)
        process = Script(*script, cwd=cwd, before=partial(die_in_write, number))
        how = f"in write {number}"
        process.process.join(600)
    else:
        process = Script(*script, cwd=cwd)
        after, alone = rng.uniform(0, 1.2 * seconds), rng.random() < 0.5
        how = f"after {after:.1f} s, {'the parent alone' if alone else 'the group'}"
        process.process.join(after)
        if alone:
            process.kill()
            process.process.join()
        else:
            process.end()
    if process.returncode == -signal.SIGKILL:
        return how
    _end(process)
    return None


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
    rng, counts, begun = random.Random(arguments.seed), Counts(), time.monotonic()
    for name, words, share in (("native", NATIVE, 1 / 2), ("basic launcher", BASIC, 3 / 10)):
        with tempfile.TemporaryDirectory() as directory:
            kill_loop(name, words, round(share * arguments.kills), Path(directory), rng, counts)
    with tempfile.TemporaryDirectory() as directory:
        grown_kill_loop(GROWN, round(0.2 * arguments.kills), Path(directory), rng, counts)
    print(f"{counts}; {(time.monotonic() - begun) / 60:.1f} minutes", flush=True)
    if counts.runs_lost or counts.runs_repeated or counts.differences or counts.leftovers:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
