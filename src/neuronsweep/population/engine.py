"""Trains a population from its members to their results, with callbacks, snapshots and an estimate of memory."""

import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import torch

from neuronsweep.population.layout import ROW, rows_per_member, shape_of
from neuronsweep.population.member import Member, variant
from neuronsweep.population.optim import state_names
from neuronsweep.population.population import Metrics, Population, Result
from neuronsweep.population.snapshot import write

OnResult = Callable[[int, Result], None]
OnLog = Callable[[int, Mapping[int, Metrics]], Iterable[int] | None]


class Interrupted(Exception):
    """Training was asked to stop; the snapshot, where one was asked for, is written."""


def train(
    members: Sequence[Member],
    *,
    on_log: OnLog | None = None,
    on_result: OnResult | None = None,
    snapshot: Path | None = None,
    snapshot_seconds: float = 5.0,
    should_stop: Callable[[], bool] = lambda: False,
    device: str | torch.device = "cpu",
) -> list[Result]:
    """Train members together and return their results in the same order.

    A member's numbers are the same bits in any company on a CPU with one thread; on a GPU the same members have the
    same bits again.

    Args:
        members: of one ``group_key``, none of them ``unsupported``.
        on_log: called after each log epoch with the epoch and the metrics of the members (by index) that logged; may
            return members to stop, which are PRUNED unless that epoch was their last. After a restart it is called
            for the log epochs before it again; what it returns then has had its effect already.
        on_result: called once for every member, with its index and result, as soon as it is done; after a restart
            also for the members that were done before.
        snapshot: a file from which training goes on if it exists, rewritten every ``snapshot_seconds`` and before
            Interrupted is raised, left for the caller to delete.
        should_stop: asked at log epochs and about twice a second; when true, Interrupted is raised.

    Raises ValueError for members that cannot be trained together and for a snapshot of other members.
    """
    with deterministic(torch.device(device)):
        population = Population(members, device)
        if snapshot is not None and snapshot.exists():
            population.load(torch.load(snapshot, weights_only=True, map_location="cpu"))
            for epoch, logged in population.logged() if on_log else ():
                on_log(epoch, logged)  # type: ignore[misc]
        told: set[int] = set()

        def tell() -> None:
            for i in sorted(population.results.keys() - told):
                told.add(i)
                if on_result:
                    on_result(i, population.results[i])

        tell()
        saved = time.monotonic()
        while population.alive:
            logged = population.advance()
            stopped = on_log(population.epoch, logged) if on_log and logged else None
            population.close(stopped or ())
            tell()
            stop = should_stop()
            if snapshot is not None and (stop or time.monotonic() - saved >= snapshot_seconds):
                write(snapshot, population.state())
                saved = time.monotonic()
            if stop and population.alive:
                raise Interrupted(f"stopped after epoch {population.epoch}")
        return [population.results[i] for i in range(len(members))]


def refused(members: Sequence[Member], device: str | torch.device = "cpu") -> dict[int, Exception]:
    """The members that cannot be trained even alone, by index, each with what is raised when its training begins."""
    found: dict[int, Exception] = {}
    for i, member in enumerate(members):
        try:
            Population([member], device)
        except Exception as error:
            found[i] = error
    return found


@contextmanager
def deterministic(device: torch.device) -> Iterator[None]:
    """Have CUDA give the same bits again; a CPU does so by itself."""
    if device.type != "cuda":
        yield
        return
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # read when cuBLAS begins
    before = torch.are_deterministic_algorithms_enabled()
    torch.use_deterministic_algorithms(True)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before)


def member_bytes(member: Member) -> int:
    """An estimate of the memory a member needs while it is trained, its place in the evaluation included."""
    shape = shape_of(member)
    states = len(state_names(variant(member), member.optimizer["_target_"]))
    # parameters, state and best weights, twice during compaction; gradients, scratch and what marks the padding
    tensors = 2 * (1 + states + (member.keep == "best")) + 5 + 5 * member.diagnostics
    tensors += min(member.pictures, member.log_points) - 1
    numbers = rows_per_member(shape) * (ROW * tensors + 12)
    train = len(member.dataset.splits["train"].x)
    samples = train if member.batch_size == "full" else min(int(member.batch_size), train)
    batch = (samples + 32) * (shape.inputs + member.dataset.outputs)
    # the order of an epoch: permutations, then indices for every step
    orders = 3 * 8 * train if member.steps_per_epoch > 1 else 0
    own = sum(split.x.numel() + split.y.numel() for split in member.dataset.splits.values())
    history = 500 * min(member.log_points, member.epochs)
    # data of its own is held by the population, the stepper and the evaluator
    return (numbers + batch + 3 * own) * member.dtype.itemsize + orders + history + 20_000
