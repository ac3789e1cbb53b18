"""The state of a population in training: log epochs, failures, early stopping, compaction and results."""

import math
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from neuronsweep.data.batches import log_epochs, picture_epochs
from neuronsweep.models.mlp import MLP
from neuronsweep.population.diagnose import Diagnoser
from neuronsweep.population.evaluate import Evaluator
from neuronsweep.population.layout import Layout
from neuronsweep.population.member import Member, group_key, unsupported
from neuronsweep.population.optim import Optimizer
from neuronsweep.population.schedule import Schedule, Stopping
from neuronsweep.population.snapshot import identity
from neuronsweep.population.step import Samples, Stepper

KEEP = 7 / 8  # tensors are compacted when less than this share of their members is alive
LOOK = 0.5  # seconds of training between two looks at the clock, or one epoch where that is longer
Metrics = dict[str, float]


@dataclass
class Result:
    """What became of a member.

    Attributes:
        state: COMPLETE, FAILED (a loss is not finite; ``error`` says which and when) or PRUNED.
        history: (epoch, metrics) of every log epoch.
        metrics: all metrics of every split for the weights in ``state_dict``; empty for a FAILED member.
        state_dict: names and shapes of ``MLP``'s; the last weights or the best, as ``keep`` says.
        epoch, steps: how long the member was trained.
        moments: the weights at the epochs before the last of which a picture is wanted.
    """

    state: str
    history: list[tuple[int, Metrics]]
    metrics: Metrics
    state_dict: dict[str, Tensor]
    epoch: int
    steps: int
    error: str | None = None
    moments: dict[int, dict[str, Tensor]] = field(default_factory=dict)


class Progress:
    """What one member has logged so far."""

    def __init__(self, member: Member):
        self.member = member
        self.history: list[tuple[int, Metrics]] = []
        self.best = math.inf
        self.stopping = Stopping(member)
        self.pending = log_epochs(member.epochs, member.log_points)[::-1]
        self.pictured = set(picture_epochs(self.pending[::-1], member.pictures)[:-1])
        self.moments: dict[int, dict[str, Tensor]] = {}

    def state(self) -> dict[str, Any]:
        return {
            "history": self.history,
            "best": self.best,
            "stopping": self.stopping.state(),
            "pending": self.pending,
            "moments": self.moments,
        }

    def load(self, state: dict[str, Any]) -> None:
        self.history = [(epoch, metrics) for epoch, metrics in state["history"]]
        self.best, self.pending, self.moments = state["best"], list(state["pending"]), state["moments"]
        self.stopping.load(state["stopping"])


class Population:
    """Members in training; call ``advance`` and ``close`` in turn until nobody is ``alive``."""

    def __init__(self, members: Sequence[Member], device: str | torch.device = "cpu"):
        _check(members)
        self.members = list(members)
        self.device = torch.device(device)
        self.epoch = 0
        self._stretch = 1  # epochs between two looks at the clock
        self.alive = list(range(len(members)))
        self.results: dict[int, Result] = {}
        self.progress = [Progress(member) for member in members]
        self.schedule = Schedule(members)
        self.samples = Samples(members, self.device)
        self.layout = Layout(members)
        params = self.layout.pack([_initial(member) for member in members], members[0].dtype).to(self.device)
        self.best = params.clone() if any(member.keep == "best" for member in members) else None
        self._place(Optimizer(self.layout, params), self.alive)

    @torch.no_grad()
    def advance(self) -> dict[int, Metrics]:
        """Train until the next log epoch, or for about LOOK seconds.

        Returns the metrics of the members that log in this epoch and are not FAILED, empty between log epochs.
        """
        due = min(self.progress[i].pending[-1] for i in self.alive)
        target = min(due, self.epoch + self._stretch)
        start = time.monotonic()
        self.stepper.advance(self.epoch + 1, target, self.schedule, self.before if target == due else None)
        seconds = (time.monotonic() - start) / (target - self.epoch)
        self._stretch = max(1, min(int(LOOK / max(seconds, 1e-9)), 2 * self._stretch))
        self.epoch = target
        return self._log() if target == due else {}

    @torch.no_grad()
    def close(self, pruned: Iterable[int] = ()) -> None:
        """Give results to the members that are done and take them out of the tensors."""
        states = {i: "PRUNED" for i in pruned if i in self.alive}
        for i in self.alive:
            progress = self.progress[i]
            if i in self._failed:
                states[i] = "FAILED"
            elif not progress.pending or i in self._stopped:
                states[i] = "COMPLETE"
        if not states:
            return
        self._finish(states)
        self.alive = [i for i in self.alive if i not in states]
        # Compaction costs as much as some dozens of steps, so a few members that are done may train on unseen.
        if self.alive and len(self.alive) < KEEP * len(self.placed):
            self._compact()

    def logged(self) -> list[tuple[int, dict[int, Metrics]]]:
        """What ``advance`` has returned until now, log epoch by log epoch."""
        epochs: dict[int, dict[int, Metrics]] = {}
        for i, progress in enumerate(self.progress):
            for epoch, metrics in progress.history:
                epochs.setdefault(epoch, {})[i] = metrics
        return sorted(epochs.items())

    def state(self) -> dict[str, Any]:
        """Everything training goes on from, as tensors and plain values, between ``close`` and ``advance``."""
        return {
            "members": identity(self.members),
            "epoch": self.epoch,
            "alive": self.alive,
            "placed": self.placed,
            "params": self.optimizer.params,
            "optimizer": self.optimizer.state,
            "steps": self.optimizer.steps,
            "best": self.best,
            "schedule": self.schedule.state(),
            "progress": [progress.state() for progress in self.progress],
            "results": {i: vars(result) for i, result in self.results.items()},
        }

    def load(self, state: Mapping[str, Any]) -> None:
        """Go on from a ``state`` of the same members; raises ValueError if they are others."""
        if state["members"] != identity(self.members):
            raise ValueError("this snapshot is of other members")
        self.epoch, self.alive = state["epoch"], list(state["alive"])
        self.schedule.load(state["schedule"])
        for progress, saved in zip(self.progress, state["progress"], strict=True):
            progress.load(saved)
        self.results = {i: Result(**saved) for i, saved in state["results"].items()}
        if not self.alive:
            return
        placed = list(state["placed"])
        self.layout = Layout([self.members[i] for i in placed])
        self.best = None if state["best"] is None else state["best"].to(self.device)
        tensors = {name: tensor.to(self.device) for name, tensor in state["optimizer"].items()}
        self._place(Optimizer(self.layout, state["params"].to(self.device), tensors, state["steps"]), placed)

    def _place(self, optimizer: Optimizer, placed: list[int]) -> None:
        self.optimizer = optimizer
        self.placed = placed
        self.stepper = Stepper(self.layout, self.samples, placed, optimizer)
        self.evaluator: Evaluator | None = None
        # parameters before the last step, for members with diagnostics
        diagnosed = any(self.members[i].diagnostics for i in placed)
        self.before = torch.empty_like(optimizer.params) if diagnosed else None
        self.diagnoser: tuple[list[int], Tensor, Diagnoser] | None = None
        self._failed: dict[int, str] = {}
        self._stopped: set[int] = set()

    def _log(self) -> dict[int, Metrics]:
        due = [i for i in self.alive if self.progress[i].pending[-1] == self.epoch]
        improved, logged = [], {}
        diagnoses = self._diagnose([i for i in due if self.members[i].diagnostics])
        for i, metrics in zip(due, self._evaluate(due), strict=True):
            member, progress = self.members[i], self.progress[i]
            progress.pending.pop()
            error = _not_finite(metrics)
            if error:
                self._failed[i] = f"{error} after epoch {self.epoch}"
                continue
            logged[i] = metrics
            progress.history.append((self.epoch, metrics | diagnoses.get(i, {})))
            if member.metric not in metrics:
                continue
            value = metrics[member.metric]
            signed = value if member.mode == "min" else -value
            if signed < progress.best:
                progress.best = signed
                improved.append(i)
            self.schedule.end_log_epoch(i, metrics)
            if progress.stopping.step(value):
                self._stopped.add(i)
        if self.best is not None and improved:
            self.best = torch.where(self._rows_of(set(improved)), self.optimizer.params, self.best)
        self._keep_moments([i for i in logged if self.epoch in self.progress[i].pictured])
        return logged

    def _keep_moments(self, ids: list[int]) -> None:
        """Keep what these members' weights are now, for their pictures."""
        if not ids:
            return
        layout, rows = self._sublayout(ids)
        flat = self.optimizer.params.index_select(0, rows).cpu()
        for k, i in enumerate(ids):
            self.progress[i].moments[self.epoch] = layout.unpack(flat, k)

    def _evaluate(self, due: list[int]) -> list[Metrics]:
        if len(due) < len(self.placed) / 2:
            layout, rows = self._sublayout(due)
            flat = self.optimizer.params.index_select(0, rows)
            return Evaluator(layout, self.samples, due, flat)(final=False)
        if self.evaluator is None:
            self.evaluator = Evaluator(self.layout, self.samples, self.placed, self.optimizer.params)
        metrics = dict(zip(self.placed, self.evaluator(final=False), strict=True))
        return [metrics[i] for i in due]

    def _diagnose(self, ids: list[int]) -> dict[int, Metrics]:
        """Diagnostics of these members; no number that training depends on."""
        if not ids or self.before is None:
            return {}
        if self.diagnoser is None or self.diagnoser[0] != ids:
            layout, rows = self._sublayout(ids)
            self.diagnoser = ids, rows, Diagnoser(layout, self.samples, ids)
        _, rows, diagnoser = self.diagnoser
        found = diagnoser(self.optimizer.params.index_select(0, rows), self.before.index_select(0, rows))
        return dict(zip(ids, found, strict=True))

    def _finish(self, states: Mapping[int, str]) -> None:
        leaving = list(states)
        layout, rows = self._sublayout(leaving)
        flat = self.optimizer.params
        best = {i for i in leaving if self.members[i].keep == "best" and self.progress[i].history}
        if best and self.best is not None:
            flat = torch.where(self._rows_of(best), self.best, flat)
        flat = flat.index_select(0, rows)
        metrics = Evaluator(layout, self.samples, leaving, flat)(final=True)
        flat = flat.cpu()
        for k, i in enumerate(leaving):
            state, error = states[i], self._failed.get(i)
            if not error:
                not_finite = _not_finite(metrics[k])
                error = f"{not_finite} at the end of training" if not_finite else None
            state = "FAILED" if error else state
            self.results[i] = Result(
                state,
                self.progress[i].history,
                {} if error else metrics[k],
                layout.unpack(flat, k),
                self.epoch,
                self.optimizer.steps,
                error,
                self.progress[i].moments,
            )

    def _compact(self) -> None:
        """Take the members that are done out of the tensors."""
        layout, rows = self._sublayout(self.alive)
        state = {name: tensor.index_select(0, rows) for name, tensor in self.optimizer.state.items()}
        params = self.optimizer.params.index_select(0, rows)
        if self.best is not None:
            self.best = self.best.index_select(0, rows)
        optimizer = Optimizer(layout, params, state, self.optimizer.steps)
        self.layout = layout
        self._place(optimizer, list(self.alive))

    def _sublayout(self, ids: Sequence[int]) -> tuple[Layout, Tensor]:
        """A layout of these members alone, and for each of its rows the row of the present layout."""
        layout = Layout([self.members[i] for i in ids])
        index = {member: k for k, member in enumerate(self.placed)}
        return layout, self.layout.rows_for(layout, [index[i] for i in ids]).to(self.device)

    def _rows_of(self, ids: set[int]) -> Tensor:
        """True (R, 1) for the rows of these members."""
        inside = torch.tensor([self.placed[k] in ids for k in self.layout.order])
        return inside[self.layout.row_positions()].unsqueeze(1).to(self.device)


def _check(members: Sequence[Member]) -> None:
    if not members:
        raise ValueError("a population has at least one member")
    for i, member in enumerate(members):
        reason = unsupported(member)
        if reason:
            raise ValueError(f"member {i} cannot be trained in a population: {reason}")
    if len({group_key(member) for member in members}) > 1:
        raise ValueError("these members do not share data shapes, task, batch size, optimiser class and dtype")


def _initial(member: Member) -> dict[str, Tensor]:
    network = MLP(member.dataset.inputs, member.dataset.outputs, **member.network, seed=member.seed)
    return network.state_dict()


def _not_finite(metrics: Metrics) -> str | None:
    for name, value in metrics.items():
        if not math.isfinite(value):
            return f"{name} is {value}"
    return None
