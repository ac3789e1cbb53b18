"""The Claim class, and how a claim is judged seed by seed."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

Metrics = Mapping[str, float]


@dataclass(frozen=True)
class Claim:
    """One claim about one experiment, decided seed by seed.

    Attributes:
        topic: the heading it stands under.
        says: the claim, or with ``ours`` what we ask beside the article.
        setting: the network, optimiser and epochs, in short.
        measure, value: name of the number that is shown, and the number of a run.
        holds: whether it holds for a seed, from that run's metrics and those of the other experiments with its seed.
        finding: what the numbers mean, for a reader who knows the article; three where that hangs on the verdict: said
            of a claim that holds in every seed, in some, in none.
        beside: the other experiments that ``holds`` looks at.
        overrides: what differs from the experiment's file.
    """

    topic: str
    experiment: str
    says: str
    setting: str
    measure: str
    value: Callable[[Metrics], float]
    holds: Callable[[Metrics, Mapping[str, Metrics]], bool]
    finding: str | tuple[str, str, str] = ""
    ours: bool = False
    beside: tuple[str, ...] = ()
    overrides: str = ""

    @property
    def name(self) -> str:
        """The experiment, with what differs from its file."""
        return f"{self.experiment} {self.overrides}".strip()

    def number(self, run: Metrics) -> float:
        """The number that is shown of a run; nan for one that failed and has none."""
        try:
            return self.value(run)
        except KeyError:
            return math.nan

    def judge(self, run: Metrics, others: Mapping[str, Metrics]) -> bool:
        """Whether the claim holds for a seed; of a run that failed only a claim about failing holds."""
        try:
            return self.holds(run, others)
        except KeyError:
            return False

    def found(self, holds: int, seeds: int) -> str:
        """What to say of it beside its verdict."""
        if isinstance(self.finding, str):
            return self.finding
        every, some, none = self.finding
        return every if holds == seeds else some if holds else none


def metric(name: str) -> Callable[[Metrics], float]:
    """What takes this metric from a run."""
    return lambda run: run[name]


def verdict(holds: int, seeds: int) -> str:
    """What to say of a claim that holds in so many seeds of so many."""
    if holds == seeds:
        return "holds"
    return f"holds in {holds} of {seeds}" if holds else "does not hold"
