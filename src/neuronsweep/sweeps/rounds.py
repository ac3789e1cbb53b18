"""One order for what concurrent populations report: by epoch, then by number of the run."""

from collections.abc import Iterator, Mapping, Sequence

from neuronsweep.sweeps.pruning import Prunes

Reports = Sequence[tuple[int, float]]


class Rounds:
    """Waits at every log epoch for all populations, and asks the pruner when nobody can report anything earlier.

    So what is pruned depends neither on how runs are grouped nor on who is faster. Populations that wait for each
    other must be trained at the same time, in a process each.

    Args:
        populations: how many there are.
        past: (epoch, value) of runs that ended in an earlier try: reported again, for the pruner to compare with.
    """

    def __init__(self, pruning: Prunes, populations: int, past: Mapping[int, Reports]):
        self.pruning = pruning
        self.training = set(range(populations))
        self.waiting: dict[int, tuple[int, Mapping[int, float]]] = {}
        self.past = sorted((epoch, number, value) for number, reports in past.items() for epoch, value in reports)

    def reach(self, population: int, epoch: int, values: Mapping[int, float]) -> Iterator[tuple[int, list[int]]]:
        """A population waits after an epoch; yields those that go on, each with the runs that it stops."""
        self.waiting[population] = (epoch, values)
        yield from self._decide()

    def finish(self, population: int) -> Iterator[tuple[int, list[int]]]:
        """A population has ended: nobody waits for it any more."""
        self.training.discard(population)
        self.waiting.pop(population, None)
        yield from self._decide()

    def end(self) -> None:
        """Report what is left of the past."""
        self._report(None, {})

    def _decide(self) -> Iterator[tuple[int, list[int]]]:
        if not self.training:
            self.end()
        if not self.training or self.training != self.waiting.keys():
            return
        epoch = min(reached for reached, _ in self.waiting.values())
        together = [population for population, (reached, _) in self.waiting.items() if reached == epoch]
        stopped = self._report(epoch, {n: v for population in together for n, v in self.waiting[population][1].items()})
        for population in sorted(together):
            _, values = self.waiting.pop(population)
            yield population, sorted(stopped & values.keys())

    def _report(self, epoch: int | None, values: Mapping[int, float]) -> set[int]:
        """Report what belongs before the end of an epoch (None: everything); returns the runs to stop."""
        due = [report for report in self.past if epoch is None or report[0] <= epoch]
        self.past = self.past[len(due) :]
        now = [] if epoch is None else [(epoch, number, value) for number, value in values.items()]
        prunes = {number: self.pruning.report(number, at, value) for at, number, value in sorted(due + now)}
        return {number for number in values if prunes[number]}
