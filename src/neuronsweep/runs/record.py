"""The record of a run (command, config, code, data, environment), and the fingerprint of what decides its numbers."""

import hashlib
import importlib.util
import json
import marshal
import os
import platform
import shlex
import subprocess
import sys
from collections.abc import Mapping
from functools import cache, lru_cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from neuronsweep.config.secret_values import without_secrets
from neuronsweep.runs.source import own_digests, source_digest

PACKAGES = ("neuronsweep", "torch", "lightning", "hydra-core", "omegaconf", "torchmetrics", "tensorboard", "numpy")

# Keys that change how a run is kept or shown, never a number of it.
# Where a table lies is no number of it: its digest is in that of the data.
# What networks are measured by in a report is none of theirs.
BOOKKEEPING = (
    "logger",
    "engine",
    "trainer.checkpoint_seconds",
    "time_limit",
    "fail_fast",
    "data.file",
    "data.yardstick",
)

# Packages whose versions or sources a record has anyway.
KNOWN = ("neuronsweep.", "torch.", "lightning.")

SOURCE = Path(__file__).parents[1]


def fingerprint(config: Mapping[str, Any], data_digest: str) -> str:
    """SHA-256 of what decides a run's numbers: its resolved config without bookkeeping keys, the source, the data."""
    return fingerprint_of(config, source_digest(), sources(config), data_digest)


def fingerprint_of(config: Mapping[str, Any], source: str, own: Mapping[str, str], data_digest: str) -> str:
    """The fingerprint of a config with these digests, such as a record has them.

    Args:
        source: ``source_digest``.
        own: ``sources``.
    """
    kept = {key: value for key, value in _flat(config).items() if not is_bookkeeping(key)}
    parts = [json.dumps(kept, sort_keys=True, default=str), source, json.dumps(own, sort_keys=True), data_digest]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def record(
    overrides: list[str], config: Mapping[str, Any], data_digest: str, table: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """How a run came to be, as a JSON object: command and config, data, and ``origin``.

    Args:
        table: how the data were made of a table, where they were: ``Dataset.prepared``.
    """
    seeds = {key: value for key, value in _flat(config).items() if key.rpartition(".")[2].endswith("seed")}
    without = {key: _without_secrets(key, one) for key, one in config.items()}
    asked = {"overrides": overrides, "config": {}, "seeds": seeds, "data_digest": data_digest}
    return {
        **without_secrets(asked),
        "config": without,
        **({"table": table} if table else {}),
        "sources": sources(config),
        **origin(config["threads"], config["trainer"]["accelerator"]),
    }


@cache
def origin(threads: int, device: str) -> dict[str, Any]:
    """The part of a record that all runs of a process share: command, code and environment."""
    sha, patch = git_state()
    return {
        "command": command(),
        "git_sha": sha,
        "git_dirty": bool(patch),
        "untracked": untracked(),
        "source_digest": source_digest(),
        "constraints_digest": _file_digest(SOURCE.parents[1] / "constraints.txt"),
        "environment": environment(threads, device),
    }


def differences(record: Mapping[str, Any], config: Mapping[str, Any], data_digest: str) -> list[str]:
    """What makes a run with this config and data another one than the record's, in words."""
    before, now = flatten(record["config"]), flatten(config)
    keys = sorted(key for key in before.keys() | now.keys() if not is_bookkeeping(key))
    found = [f"{key} was {_shown(before, key)} and is {_shown(now, key)}" for key in keys if _differ(before, now, key)]
    if record["source_digest"] != source_digest():
        found.append("the package's source changed")
    own, before_own = sources(config), record.get("sources", {})
    found += [f"the source of {name} changed" for name in own if name in before_own and before_own[name] != own[name]]
    if record["data_digest"] != data_digest and not any(text.startswith("data.") for text in found):
        file = config["data"].get("file")
        found.append(f"the file {file} changed" if file else "the data changed")
    return found


def _differ(before: Mapping[str, Any], now: Mapping[str, Any], key: str) -> bool:
    # as they are kept: a number that JSON does not tell from another is the same
    return json.dumps(before.get(key), default=str) != json.dumps(now.get(key), default=str)


def _shown(config: Mapping[str, Any], key: str) -> str:
    return str(config[key]) if key in config else "not set"


def command() -> str:
    """The command line of this process, as one would type it."""
    return shlex.join(without_secrets(["python", os.path.relpath(sys.argv[0]), *sys.argv[1:]]))


def flatten(config: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested mappings as one with dotted keys."""
    flat: dict[str, Any] = {}
    for key, value in config.items():
        if isinstance(value, Mapping):
            flat.update(flatten(value, f"{prefix}{key}."))
        else:
            flat[prefix + str(key)] = value
    return flat


def _flat(config: Mapping[str, Any]) -> dict[str, Any]:
    """``flatten`` of plain values, quickly for the many configs of a sweep that have most of their groups in common."""
    flat: dict[str, Any] = {}
    for key, value in config.items():
        if isinstance(value, dict):
            flat.update(_flat_group(key, marshal.dumps(value)))
        else:
            flat[str(key)] = value
    return flat


@lru_cache(4096)
def _flat_group(key: str, group: bytes) -> dict[str, Any]:
    return flatten(marshal.loads(group), f"{key}.")


def _without_secrets(key: str, value: Any) -> Any:
    """``without_secrets`` of what is under a key of a config."""
    if key == "logger" or not isinstance(value, dict):  # what came from the environment may still become known
        return without_secrets({key: value})[key]
    return _group_without_secrets(key, marshal.dumps(value))


@lru_cache(4096)
def _group_without_secrets(key: str, group: bytes) -> Any:
    return without_secrets({key: marshal.loads(group)})[key]


@cache
def git_state() -> tuple[str | None, str]:
    """Commit of the source's repository and the diff of its tracked files; (None, "") outside a repository."""
    sha = _git("rev-parse", "HEAD")
    return (sha.strip() or None, _git("diff", "HEAD")) if sha else (None, "")


@cache
def untracked() -> dict[str, str]:
    """Names and SHA-256 of the files under src and conf that git does not know: they are in no commit and no diff."""
    root = SOURCE.parents[1]
    names = _git("-C", str(root), "ls-files", "--others", "--exclude-standard", "-z", "src", "conf").split("\0")
    return {name: _file_digest(root / name) or "" for name in names if name}


def environment(threads: int, device: str) -> dict[str, Any]:
    """What the bits may depend on besides config, code and data."""
    return {
        "python": platform.python_version(),
        "packages": {name: _version(name) for name in PACKAGES},
        "platform": platform.platform(),
        "cpu": cpu_model(),
        "threads": threads,
        "device": device,
        **(_gpu() if device == "gpu" else {}),
    }


def _gpu() -> dict[str, Any]:
    # the driver's own words: torch's would begin CUDA in a process that forks workers, in which it then cannot begin
    driver = Path("/proc/driver/nvidia/version")
    cards = [path.read_text() for path in sorted(Path("/proc/driver/nvidia/gpus").glob("*/information"))]
    names = [
        line.partition(":")[2].strip() for card in cards for line in card.splitlines() if line.startswith("Model:")
    ]
    return {"gpus": names, "driver": driver.read_text().splitlines()[0] if driver.is_file() else None}


@cache
def cpu_model() -> str:
    """Name of the processor, as the system gives it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.machine())


def sources(config: Mapping[str, Any]) -> dict[str, str]:
    """Digests of the source that decides numbers only where a config names it, by what it is called there.

    That is its activations and data set, and the files of classes and functions that are neither ours nor a library's.
    """
    named = {key: str(value) for key, value in _flat(config).items() if key.rpartition(".")[2] == "_target_" and value}
    others = {target for key, target in named.items() if not target.startswith(KNOWN) and not is_bookkeeping(key)}
    return {**own_digests(config), **{target: _source_of(target) for target in sorted(others)}}


@cache
def _source_of(target: str) -> str:
    parts = target.split(".")
    for length in range(len(parts) - 1, 0, -1):
        try:
            found = importlib.util.find_spec(".".join(parts[:length]))
        except (ImportError, ValueError):
            continue
        if found and found.origin and Path(found.origin).is_file():
            return _file_digest(Path(found.origin)) or ""
    return ""


@lru_cache(4096)
def is_bookkeeping(key: str) -> bool:
    return any(key == name or key.startswith(f"{name}.") for name in BOOKKEEPING)


@cache
def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


@cache
def _file_digest(path: Path) -> str | None:
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else None


def _git(*arguments: str) -> str:
    try:
        done = subprocess.run(["git", *arguments], cwd=SOURCE, capture_output=True, text=True, timeout=20)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout if done.returncode == 0 else ""
