"""Trains a recorded run again and compares every number with those in its directory."""

import json
import math
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from omegaconf import OmegaConf

from neuronsweep.config.secret_values import HIDDEN
from neuronsweep.data.build import build_dataset
from neuronsweep.engine.member import member
from neuronsweep.engine.train import Training
from neuronsweep.errors import Diverged
from neuronsweep.launch.member_run import MemberRun
from neuronsweep.runs import contents, record
from neuronsweep.runs.run import COMPLETE, Run
from neuronsweep.runs.trim import TRIMMED

RESUME = Path(__file__).resolve().parents[2] / "scripts" / "resume.py"


@dataclass(frozen=True)
class Difference:
    """One thing that is not what it was: in words or, of numbers, the largest relative difference and where it is."""

    what: str
    was: str
    now: str
    largest: float = math.inf


def train_again(directory: Path, into: Path) -> None:
    """Train the run of a directory again in an empty one, from its record alone and with the engine that trained it.

    A member is trained by itself, as it always is. Raises Diverged as the run itself would.
    """
    status, asked = Run(directory).status(), Run(directory).record()
    config = {**asked["config"], "time_limit": None}
    dataset = build_dataset(config["data"])
    torch.set_num_threads(config["threads"])
    if status["engine"] == "native":
        run = MemberRun(0, into, asked["overrides"], config, config, member(config, dataset))
        run.begin()
        training = Training(run.member)
        training.advance()
        run.end(training.result(), 0.0)
    elif config["trainer"]["devices"] > 1:  # its processes are copies of a command
        again = record.record(asked["overrides"], config, dataset.digest, dataset.prepared)
        Run(into).begin("lightning", record.fingerprint(config, dataset.digest), again, "")
        subprocess.run([sys.executable, str(RESUME), str(into), "--trust"], check=False, stdout=subprocess.DEVNULL)
        if Run(into).status()["state"] != COMPLETE:
            raise Diverged(Run(into).status()["error"] or "its processes ended early")
    else:
        from neuronsweep.training.run import train_run  # late: members need no Lightning

        train_run(OmegaConf.create({**config, "logger": {"_target_": None}}), into, asked["overrides"], show=False)


def compare(directory: Path, again: Path, tolerance: float) -> list[Difference]:
    """What differs between two run directories: data, every row of the history, final metrics, weights.

    Args:
        tolerance: numbers are equal when they differ by at most so much of the larger one; 0 means the same bits.
    """
    found = [*_digest(directory, again), *_config(directory)]
    histories = [Run(run).history() for run in (directory, again)]
    epochs = [[epoch for epoch, _ in history] for history in histories]
    if epochs[0] != epochs[1]:
        found.append(Difference("log epochs", str(len(epochs[0])), str(len(epochs[1]))))
    columns: list[dict[str, list[float]]] = [{}, {}]
    for column, history in zip(columns, histories, strict=True):
        for _, row in history:
            for name, value in row.items():
                column.setdefault(name, []).append(value)
    found += _numbers("history", columns[0], columns[1], tolerance)
    final = [{name: [value] for name, value in Run(run).metrics().items()} for run in (directory, again)]
    found += _numbers("metric", final[0], final[1], tolerance)
    if trimmed := Run(directory).status().get(TRIMMED):
        was, now = trimmed[contents.MODEL], Run(again).status()["files"][contents.MODEL]
        # of weights that are gone there is a digest only, which knows no tolerance
        return found + ([Difference("weights (digest)", was[:12], now[:12])] if was != now and not tolerance else [])
    weights = [torch.load(run / contents.MODEL, weights_only=True)["state_dict"] for run in (directory, again)]
    flat = [{name: tensor.double().flatten().tolist() for name, tensor in state.items()} for state in weights]
    return found + list(_numbers("weights", flat[0], flat[1], tolerance))


def surroundings(asked: Mapping[str, Any]) -> list[Difference]:
    """What of code and environment is not what a record says."""
    was = record.flatten(asked["environment"])
    now = record.flatten(record.environment(asked["config"]["threads"], asked["config"]["trainer"]["accelerator"]))
    was |= {name: asked[name] for name in ("git_sha", "source_digest", "constraints_digest")}
    origin = record.origin(asked["config"]["threads"], asked["config"]["trainer"]["accelerator"])
    now |= {name: origin[name] for name in ("git_sha", "source_digest", "constraints_digest")}
    for found, sources in ((was, asked.get("sources", {})), (now, record.sources(asked["config"]))):
        found |= {f"source of {name}": digest[:12] for name, digest in sources.items()}
    keys = [key for key in {**was, **now} if was.get(key) != now.get(key)]
    return [Difference(key, str(was.get(key)), str(now.get(key))) for key in keys]


def _config(directory: Path) -> Iterator[Difference]:
    """Whether the record is the one with which the run was started."""
    asked, begun = Run(directory).record(), Run(directory).status()["fingerprint"]
    own = asked.get("sources")
    if own is None or HIDDEN in json.dumps(asked["config"]):  # older, or not all of it: nobody can tell
        return
    recorded = record.fingerprint_of(asked["config"], asked["source_digest"], own, asked["data_digest"])
    if begun != recorded:
        yield Difference("record (fingerprint)", begun[:12], recorded[:12])


def _digest(directory: Path, again: Path) -> Iterator[Difference]:
    digests = [Run(run).record()["data_digest"] for run in (directory, again)]
    if digests[0] != digests[1]:
        yield Difference("data digest", digests[0][:12], digests[1][:12])


def _numbers(
    what: str, was: Mapping[str, list[float]], now: Mapping[str, list[float]], tolerance: float
) -> Iterator[Difference]:
    for name in {**was, **now}:
        if name not in was or name not in now or len(was[name]) != len(now[name]):
            shapes = [str(len(values[name])) if name in values else "missing" for values in (was, now)]
            yield Difference(f"{what} {name}", shapes[0], shapes[1])
            continue
        apart = [_apart(a, b) for a, b in zip(was[name], now[name], strict=True)]
        place = max(range(len(apart)), key=apart.__getitem__, default=0)
        if apart and apart[place] > tolerance:
            yield Difference(f"{what} {name}", repr(was[name][place]), repr(now[name][place]), apart[place])


def _apart(a: float, b: float) -> float:
    """How far two numbers are apart as a share of the larger one; 0 for the same bits, a zero's sign aside."""
    if a == b or (math.isnan(a) and math.isnan(b)):
        return 0.0
    return abs(a - b) / max(abs(a), abs(b)) if math.isfinite(a) and math.isfinite(b) else math.inf
