"""The seam to the pruner: equal reports get equal answers, here or through the storage, for any objectives."""

import optuna
import pytest
from optuna.trial import TrialState

from neuronsweep.search import samplers, study
from neuronsweep.search.pruner import Pruning
from neuronsweep.search.storage import open_storage
from neuronsweep.search.study import Outcome

EPOCHS = range(1, 28)


def curve(number: int, epoch: int) -> float:
    """A loss that falls, to a level that is another one for every run."""
    level = (number * 7) % 10 / 10
    return level + (1 - level) / epoch


@pytest.fixture
def begun(tmp_path):
    def begun(total=20, directions=("minimize",), name="journal"):
        storage = open_storage(str(tmp_path / name))
        study.create(storage, "sweep", {"space": []}, False, directions)
        return study.fill(storage, "sweep", total, [])

    return begun


def pruner(name):
    return samplers.pruner(name, {"patience": 3} if name == "patient" else {}, 27)


def train(found, pruning, numbers):
    """Report all runs epoch by epoch; returns at which epoch each was stopped."""
    stopped: dict[int, int] = {}
    for epoch in EPOCHS:
        for number in numbers:
            if number not in stopped and pruning.report(number, epoch, curve(number, epoch)):
                stopped[number] = epoch
    pruning.publish()
    several = len(found.optuna.directions) > 1
    for number in numbers:
        values = [curve(number, EPOCHS[-1])] * (2 if several else 1)
        done = Outcome(TrialState.PRUNED) if number in stopped else Outcome(TrialState.COMPLETE, values)
        found.tell(number, done)
    return stopped


def batches(found, name, shared=False, size=10):
    stopped: dict[int, int] = {}
    while numbers := found.claim(size):
        stopped |= train(found, Pruning(found, pruner(name), "val/loss", "min", numbers, shared), numbers)
    return stopped


@pytest.mark.parametrize("name", ["median", "percentile", "halving", "hyperband", "wilcoxon", "patient"])
def test_every_pruner_prunes_and_repeats_itself(begun, name):
    found = begun()
    stopped = batches(found, name)
    assert stopped == batches(begun(name="again"), name)
    # the runs' means are ordered as their ends are: only patience has nothing to say, for all of them improve
    assert bool(stopped) == (name != "patient")
    best = min(range(20), key=lambda number: (curve(number, 27), number))
    assert best not in stopped or name == "hyperband"
    for trial in found.trials():
        assert trial.state == (TrialState.PRUNED if trial.number in stopped else TrialState.COMPLETE)
        last = stopped.get(trial.number, 27)
        assert trial.intermediate_values == {e: curve(trial.number, e) for e in range(1, last + 1)}
        assert trial.value == curve(trial.number, last)


def test_patience_stops_a_run_that_no_longer_improves(begun):
    found = begun(1)
    pruning = Pruning(found, pruner("patient"), "val/loss", "min", found.claim(1))
    assert [epoch for epoch in EPOCHS if pruning.report(0, epoch, abs(epoch - 5))][:1] == [9]


@pytest.mark.parametrize("name", ["median", "halving", "hyperband"])
def test_through_the_storage_the_answers_are_the_same(begun, name):
    assert batches(begun(), name) == batches(begun(name="shared"), name, shared=True)


@pytest.mark.parametrize("name", ["median", "hyperband"])
def test_several_objectives_are_pruned_on_one_metric(begun, name):
    one = batches(begun(), name)
    several = begun(directions=("minimize", "maximize"), name="several")
    assert batches(several, name) == one
    assert {trial.number for trial in several.trials(TrialState.PRUNED)} == one.keys()


def test_what_an_interrupted_try_has_stored_does_not_count_twice(begun):
    expected = batches(begun(name="whole"), "hyperband")
    found = begun()
    numbers = found.claim(10)
    pruning = Pruning(found, pruner("hyperband"), "val/loss", "min", numbers)
    for epoch in EPOCHS[:12]:
        for number in numbers:
            pruning.report(number, epoch, curve(number, epoch))
    pruning.publish()
    for number in numbers:  # the process dies
        found.release(number)
    assert batches(found, "hyperband") == expected


def test_maximising_prunes_the_smallest(begun):
    found = begun(10)
    numbers = found.claim(10)
    halving = samplers.pruner("halving", {"min_resource": 4}, 27)
    assert halving is not None
    pruning = Pruning(found, halving, "val/acc", "max", numbers)
    stopped = {number for number in numbers if pruning.report(number, 4, number / 10)}
    assert stopped < set(range(9))
    assert 9 not in stopped
    falling = {number for number in reversed(numbers) if pruning.report(number, 16, number / 10)}
    assert falling == set(range(9))


def test_the_hyperband_of_optuna_gives_the_same_brackets(begun):
    """The copy in memory is called as the study is: brackets are drawn from its name and the trials' numbers."""
    theirs = pruner("hyperband")
    plain = optuna.create_study(study_name="sweep", pruner=theirs, sampler=optuna.samplers.RandomSampler(0))
    stopped = {}
    for _ in range(2):
        trials = [plain.ask() for _ in range(10)]
        for epoch in EPOCHS:
            for trial in trials:
                if trial.number not in stopped:
                    trial.report(curve(trial.number, epoch), epoch)
                    if trial.should_prune():
                        stopped[trial.number] = epoch
        for trial in trials:
            if trial.number in stopped:
                plain.tell(trial, state=TrialState.PRUNED)
            else:
                plain.tell(trial, curve(trial.number, EPOCHS[-1]))
    assert batches(begun(), "hyperband") == stopped
