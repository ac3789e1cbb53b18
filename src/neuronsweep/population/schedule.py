"""torch.optim.lr_scheduler's schedules and early stopping, for every member of a population, in float64 on the host."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch

from neuronsweep.population.member import Member


class Schedule:
    """Learning rates ``rates`` (M,) of all members, by chained updates like torch's."""

    def __init__(self, members: Sequence[Member]):
        self.members = members
        self.base = np.array([m.number("lr") for m in members], dtype=np.float64)
        self.rates = self.base.copy()
        self.epoch = 0
        self._of: dict[str, np.ndarray] = {}
        kinds = [m.scheduler["_target_"].rpartition(".")[2] if m.scheduler else "" for m in members]
        for kind in set(kinds) - {""}:
            self._of[kind] = np.array([i for i, own in enumerate(kinds) if own == kind])
        self._numbers: dict[tuple[str, str], np.ndarray] = {}
        self.plateaus = {int(i): Plateau(members[i]) for i in self._of.pop("ReduceLROnPlateau", ())}

    def end_epoch(self) -> None:
        """Step the schedules that step after every epoch."""
        self.epoch += 1
        for kind, index in self._of.items():
            get = {name: self._get(kind, name) for name in NAMES[kind]}
            self.rates[index] = UPDATES[kind](self.epoch, self.rates[index], self.base[index], **get)

    def end_log_epoch(self, member: int, metrics: dict[str, float]) -> None:
        """Step a member's ReduceLROnPlateau, if it has one."""
        if member in self.plateaus:
            self.rates[member] = self.plateaus[member].step(metrics[self.members[member].metric], self.rates[member])

    def state(self) -> dict[str, Any]:
        plateaus = {i: plateau.state() for i, plateau in self.plateaus.items()}
        return {"rates": self.rates.tolist(), "epoch": self.epoch, "plateaus": plateaus}

    def load(self, state: dict[str, Any]) -> None:
        self.rates, self.epoch = np.array(state["rates"], dtype=np.float64), state["epoch"]
        for i, plateau in state["plateaus"].items():
            self.plateaus[i].load(plateau)

    def _get(self, kind: str, name: str) -> np.ndarray:
        if (kind, name) not in self._numbers:
            numbers = [self.members[i].schedule_number(name) for i in self._of[kind]]
            self._numbers[kind, name] = np.array(numbers, dtype=np.float64)
        return self._numbers[kind, name]


def _step(epoch: int, rates: np.ndarray, base: np.ndarray, step_size: np.ndarray, gamma: np.ndarray) -> np.ndarray:
    return np.where(epoch % step_size == 0, rates * gamma, rates)


def _exponential(epoch: int, rates: np.ndarray, base: np.ndarray, gamma: np.ndarray) -> np.ndarray:
    return rates * gamma


def _cosines(epoch: int, T_max: np.ndarray) -> np.ndarray:
    """cos(pi epoch / T_max) by Python: the last bit of numpy's cosines depends on a number's neighbours."""
    distinct, which = np.unique(T_max, return_inverse=True)
    return np.array([math.cos(math.pi * epoch / t) for t in distinct.tolist()])[which]


def _cosine(epoch: int, rates: np.ndarray, base: np.ndarray, T_max: np.ndarray, eta_min: np.ndarray) -> np.ndarray:
    restart = (epoch - 1 - T_max) % (2 * T_max) == 0
    before = 1 + _cosines(epoch - 1, T_max)
    ratio = (1 + _cosines(epoch, T_max)) / np.where(restart, 1, before)
    up = rates + (base - eta_min) * (1 - _cosines(1, T_max)) / 2
    return np.where(restart, up, ratio * (rates - eta_min) + eta_min)


NAMES = {"StepLR": ("step_size", "gamma"), "ExponentialLR": ("gamma",), "CosineAnnealingLR": ("T_max", "eta_min")}
UPDATES: dict[str, Callable[..., np.ndarray]] = {
    "StepLR": _step,
    "ExponentialLR": _exponential,
    "CosineAnnealingLR": _cosine,
}


class Plateau:
    """torch.optim.lr_scheduler.ReduceLROnPlateau of one member, with its relative threshold."""

    def __init__(self, member: Member):
        self.mode, self.factor = member.schedule_number("mode"), member.schedule_number("factor")
        self.patience, self.threshold = member.schedule_number("patience"), member.schedule_number("threshold")
        self.cooldown, self.min_lr = member.schedule_number("cooldown"), member.schedule_number("min_lr")
        self.eps = member.schedule_number("eps")
        self.best = math.inf if self.mode == "min" else -math.inf
        self.bad, self.cooling = 0, 0

    def step(self, value: float, rate: float) -> float:
        """The learning rate after a log epoch whose objective was ``value``."""
        if self.mode == "min":
            better = value < self.best * (1.0 - self.threshold)
        else:
            better = value > self.best * (self.threshold + 1.0)
        self.best, self.bad = (value, 0) if better else (self.best, self.bad + 1)
        if self.cooling > 0:
            self.cooling, self.bad = self.cooling - 1, 0
        if self.bad <= self.patience:
            return rate
        self.cooling, self.bad = self.cooldown, 0
        reduced = max(rate * self.factor, self.min_lr)
        return reduced if rate - reduced > self.eps else rate

    def state(self) -> list:
        return [self.best, self.bad, self.cooling]

    def load(self, state: list) -> None:
        self.best, self.bad, self.cooling = state


class Stopping:
    """lightning.pytorch.callbacks.EarlyStopping of one member, counted in log points."""

    def __init__(self, member: Member):
        self.member = member
        self.best = math.inf if member.mode == "min" else -math.inf
        self.wait = 0

    def step(self, value: float) -> bool:
        """Whether to stop after a log epoch whose objective was ``value``."""
        if self.member.patience is None:
            return False
        # Lightning logs and compares in single precision, whatever the run's own precision is
        number = torch.tensor(value, dtype=torch.float32)
        if self.member.mode == "min":
            improved = (number + self.member.min_delta).item() < self.best
        else:
            improved = (number - self.member.min_delta).item() > self.best
        self.best, self.wait = (number.item(), 0) if improved else (self.best, self.wait + 1)
        return self.wait >= self.member.patience

    def state(self) -> list:
        return [self.best, self.wait]

    def load(self, state: list) -> None:
        self.best, self.wait = state
