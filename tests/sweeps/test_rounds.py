"""Reports of concurrent populations come to the pruner in one order, whoever is faster."""

import random

from neuronsweep.sweeps.rounds import Rounds


class Recorder:
    """Stands for Pruning: keeps what it is told, and stops every third run at epoch 6."""

    def __init__(self):
        self.reports = []

    def report(self, number, epoch, value):
        self.reports.append((epoch, number, value))
        return epoch == 6 and number % 3 == 0


def trained(groups, epochs, seed, past=None):
    """Run populations to their ends in a random order of arrival; returns the reports and who was stopped when."""
    recorder, chance = Recorder(), random.Random(seed)
    rounds = Rounds(recorder, len(groups), past or {})
    alive = [set(group) for group in groups]
    pending = [list(epochs[i]) for i in range(len(groups))]
    free, stopped = set(range(len(groups))), {}
    while free:
        population = chance.choice(sorted(free))
        free.remove(population)
        if alive[population] and pending[population]:
            epoch = pending[population].pop(0)
            decided = rounds.reach(population, epoch, {n: n / epoch for n in alive[population]})
        else:
            decided = rounds.finish(population)
        for other, runs in decided:
            stopped |= dict.fromkeys(runs, recorder.reports[-1][0])
            alive[other] -= set(runs)
            free.add(other)
    return recorder.reports, stopped


def test_order_of_arrival_changes_nothing():
    groups, epochs = [[0, 3, 4], [1, 2], [5, 6, 7]], [[2, 4, 6, 8], [3, 6, 9], [6, 8]]
    first = trained(groups, epochs, 0)
    assert first[0] == sorted(first[0])
    assert first[1] == {0: 6, 3: 6, 6: 6}
    assert all(trained(groups, epochs, seed) == first for seed in range(1, 20))


def test_grouping_changes_nothing():
    every = [2, 4, 6, 8]
    together = trained([list(range(8))], [every], 0)
    assert trained([[n] for n in range(8)], [every] * 8, 1) == together
    assert trained([[0, 7], [1, 2, 3], [4, 5, 6]], [every] * 3, 2) == together


def test_runs_that_ended_before_are_reported_again_in_their_place():
    every = [2, 4, 6]
    whole = trained([[0, 1, 2, 3]], [every], 0)
    past = {0: [(epoch, 0 / epoch) for epoch in every], 2: [(epoch, 2 / epoch) for epoch in every]}
    assert trained([[1, 3]], [every], 0, past)[0] == whole[0]


def test_what_ended_before_is_reported_even_when_the_others_end_early():
    recorder = Recorder()
    rounds = Rounds(recorder, 1, {4: [(2, 0.5), (8, 0.25)]})
    assert list(rounds.reach(0, 2, {5: 1.0})) == [(0, [])]
    assert list(rounds.finish(0)) == []
    assert recorder.reports == [(2, 4, 0.5), (2, 5, 1.0), (8, 4, 0.25)]
