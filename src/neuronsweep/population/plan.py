"""Which runs may be trained together, and why the others may not."""

import itertools
from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from typing import Any

import torch

from neuronsweep.data.batches import sizes
from neuronsweep.data.dataset import Dataset
from neuronsweep.population.engine import member_bytes
from neuronsweep.population.layout import rows_per_member, shape_of
from neuronsweep.population.member import Member, group_key, unsupported, variant
from neuronsweep.schemas.config import MODULES

LOGGERS = (None, "lightning.pytorch.loggers.TensorBoardLogger")
DTYPES = {"32-true": torch.float32, "64-true": torch.float64}

# Fewer members than this to a worker gain nothing: a step costs the same for one as for a dozen.
WORTH_SPLITTING = 16
# The calls of a step for a block, whoever is in it, take as long as so many rows of parameters times samples.
CALLS = 6000


@dataclass(frozen=True)
class Limits:
    """Bounds of one population: how many members, and how many bytes the engine may need for them."""

    max_members: int
    max_bytes: float


def outside(config: Mapping[str, Any]) -> str | None:
    """Why a run cannot be a member whatever its network is, as far as its resolved config tells, or None."""
    module, logger = config["module"]["_target_"], config["logger"]["_target_"]
    if module not in MODULES:
        return f"module._target_={module} may do anything"
    if logger not in LOGGERS:
        return f"logger._target_={logger} wants its own Trainer"
    trainer = config["trainer"]
    if trainer["devices"] > 1:
        return f"trainer.devices={trainer['devices']}"
    if trainer["precision"] not in DTYPES:
        return f"trainer.precision={trainer['precision']}"
    if config["threads"] != 1:
        return f"threads={config['threads']} (members are computed by one thread each)"
    if config["time_limit"] is not None:
        return f"time_limit={config['time_limit']} (members have their time in common)"
    return None


def member(config: Mapping[str, Any], dataset: Dataset) -> Member:
    """The member that a run with this resolved config would be."""
    trainer, objective = config["trainer"], config["objective"]
    return Member(
        dataset=dataset,
        network=config["model"],
        seed=config["seed"],
        optimizer=config["optimizer"],
        scheduler=config["scheduler"] if config["scheduler"]["_target_"] else None,
        epochs=config["epochs"],
        batch_size=config["batch_size"],
        log_points=config["log_points"],
        clip=trainer["gradient_clip_val"],
        patience=trainer["early_stopping"]["patience"],
        min_delta=trainer["early_stopping"]["min_delta"],
        metric=objective["metric"],
        mode=objective["mode"],
        keep=trainer["keep"],
        dtype=DTYPES[trainer["precision"]],
        diagnostics=config["diagnostics"],
        pictures=config["logger"].get("pictures", 1),
    )


def plan(members: Mapping[int, Member], limits: Limits, workers: int) -> tuple[list[list[int]], dict[int, str]]:
    """Populations of at most ``limits``, as lists of job numbers, and why the other jobs are for Lightning.

    Args:
        members: by job number.
        workers: processes among which the members of a group are spread.
    """
    alone: dict[int, str] = {}
    groups: dict[Hashable, list[int]] = {}
    for number, candidate in members.items():
        if reason := unsupported(candidate):
            alone[number] = reason
        else:
            groups.setdefault(group_key(candidate), []).append(number)
    populations = [part for group in groups.values() for part in _split(group, members, limits, workers)]
    return populations, alone


def _split(group: Sequence[int], members: Mapping[int, Member], limits: Limits, workers: int) -> list[list[int]]:
    """As few parts as the limits allow, or a multiple of the workers where the group is worth spreading."""
    size = {number: member_bytes(members[number]) for number in group}
    by_seed = sorted(group, key=lambda number: members[number].seed)
    seeds = len({members[number].seed for number in group})
    step = workers if len(group) >= WORTH_SPLITTING * workers else 1
    least = max(ceil(len(group) / limits.max_members), ceil(sum(size.values()) / limits.max_bytes))
    parts = ceil(least / step) * step
    while True:
        parts = min(parts, len(group))
        split = _deal(by_seed, seeds, parts) if seeds >= parts else _deal_by_shape(group, members, parts)
        # parts of as many members are not parts of as many bytes: wide members may stand together
        fits = all(
            len(part) <= limits.max_members and sum(size[number] for number in part) <= limits.max_bytes
            for part in split
        )
        if fits or parts == len(group):
            return split
        parts += step


def _deal(by_seed: Sequence[int], seeds: int, parts: int) -> list[list[int]]:
    """Parts of as many members, with few different seeds in each, because members of a seed share their batches."""
    bounds = [len(by_seed) * part // parts for part in range(parts + 1)]
    return [list(by_seed[start:stop]) for start, stop in itertools.pairwise(bounds)]


def _deal_by_shape(group: Sequence[int], members: Mapping[int, Member], parts: int) -> list[list[int]]:
    """At most so many parts that take about as long, with few different shapes in each, because a shape is a block."""
    if parts == len(group):
        return [[number] for number in group]
    keys = {number: (variant(members[number]), shape_of(members[number])) for number in group}
    alike = Counter(keys.values())
    first = members[group[0]]
    samples = sizes(len(first.dataset.splits["train"].x), first.batch_size)[0]
    dealt: list[list[int]] = [[] for _ in range(parts)]
    cost = {n: rows_per_member(key[1]) * samples + CALLS / alike[key] for n, key in keys.items()}
    total, before = sum(cost.values()), 0.0
    for number in sorted(group, key=lambda number: keys[number]):
        dealt[int(parts * (before + cost[number] / 2) / total)].append(number)
        before += cost[number]
    return [part for part in dealt if part]
