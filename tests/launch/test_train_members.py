"""Members trained log point by log point: a pruner hears the same in the same order, whoever is faster or restarted."""

import pytest
import torch

from neuronsweep.config.check import plain
from neuronsweep.data.curves import line
from neuronsweep.data.planes import moons
from neuronsweep.engine.member import member
from neuronsweep.engine.train import Training
from neuronsweep.launch.member_run import MemberRun
from neuronsweep.launch.train_members import Crew
from neuronsweep.launch.trainee import Advanced, Ended, Trainee
from neuronsweep.runs import contents
from neuronsweep.runs.run import COMPLETE, PRUNED, RUNNING, Run
from neuronsweep.runs.sweep import run_directory

# Runs with log points of their own, which meet now and then.
WORDS = ("data=moons", "batch_size=64", "logger.pictures=3")
EACH = (
    *(("epochs=12", "log_points=12"), ("epochs=5", "log_points=5", "model.act=tanh"), ("epochs=9", "log_points=3")),
    *(("epochs=12", "log_points=12", "model.hidden=40"), ("epochs=12", "log_points=2"), ("epochs=6", "log_points=6")),
    *(("epochs=12", "log_points=12", "trainer.early_stopping.patience=1", "optimizer.lr=0.5"),),
    *(("epochs=30", "log_points=5"),),
)


class Recorder:
    """Stands for Pruning: keeps what it is told, and stops every third run at epoch 6."""

    metric, replicates = "val/loss", 1

    def __init__(self, interrupt_after=None):
        self.reports, self.interrupt_after = [], interrupt_after

    def report(self, number, epoch, value):
        if len(self.reports) == self.interrupt_after:
            raise KeyboardInterrupt
        self.reports.append((epoch, number, value))
        return epoch == 6 and number % 3 == 0

    def publish(self):
        pass


@pytest.fixture
def runs(composed, tmp_path):
    """Runs of members in a directory of this name: runs("first", [0, 2])."""
    configs = [plain(composed(*WORDS, f"seed={number}", *words)) for number, words in enumerate(EACH)]
    dataset = moons()

    def runs(name, numbers=None):
        made = []
        for number in range(len(EACH)) if numbers is None else numbers:
            config, directory = configs[number], run_directory(tmp_path / name, number)
            made.append(MemberRun(number, directory, [], config, config, member(config, dataset)))
        return made

    return runs


def train(runs, threads=2, past=None, recorder=None):
    """Train runs in rounds; returns the recorder and how each ended."""
    recorder = recorder or Recorder()
    told = list(Crew(threads, 1e9).train_in_rounds(runs, recorder, past or {}))
    return recorder, {one.number: one for one in told if isinstance(one, Ended)}


def histories(runs):
    return [(run.directory / contents.HISTORY).read_bytes() for run in runs]


@pytest.fixture
def whole(runs):
    """All runs trained at once: the runs, what was reported and how they ended."""
    trained = runs("whole")
    recorder, ended = train(trained)
    return trained, recorder.reports, ended


def test_reports_come_in_the_order_of_epochs_and_run_numbers_on_any_number_of_threads(runs, whole):
    trained, reports, ended = whole
    assert reports == sorted(reports)
    assert len({(epoch, number) for epoch, number, _ in reports}) == len(reports)
    for run in trained:
        history = Run(run.directory).history()
        assert [(epoch, row["val/loss"]) for epoch, row in history] == [
            (e, v) for e, n, v in reports if n == run.number
        ]
    for threads in (1, 7):
        others = runs(f"threads{threads}")
        again = train(others, threads)
        assert again[0].reports == reports
        assert again[1] == ended
        assert histories(others) == histories(trained)


def test_pruned_runs_end_at_that_epoch(whole):
    trained, _, ended = whole
    states = {run.number: Run(run.directory).verified()["state"] for run in trained}
    # run 6 has stopped early before, and 1, 2, 4, 5 and 7 are not asked for
    assert [number for number, state in states.items() if state == PRUNED] == [0, 3]
    assert Run(trained[6].directory).history()[-1][0] < 12
    assert sum(state == COMPLETE for state in states.values()) == 6
    for run in trained:
        pruned = states[run.number] == PRUNED
        assert (ended[run.number].objective is None) == pruned
        if pruned:
            assert Run(run.directory).history()[-1][0] == 6


def test_a_member_has_the_bits_that_it_has_without_a_pruner(runs, whole):
    alone = [run for run in runs("alone") if run.number in (1, 2, 4, 5, 6, 7)]
    ended = {one.number: one for one in Crew(2, 1e9).train(alone) if isinstance(one, Ended)}
    assert ended == {number: end for number, end in whole[2].items() if number in ended}
    assert histories(alone) == histories([whole[0][run.number] for run in alone])


def test_runs_that_ended_before_are_reported_again_in_their_place(runs, whole):
    trained, reports, _ = whole
    past = {
        run.number: [(epoch, row["val/loss"]) for epoch, row in Run(run.directory).history()]
        for run in trained
        if run.number in (0, 2, 5, 7)
    }
    rest = runs("rest", [1, 3, 4, 6])
    recorder, ended = train(rest, past=past)
    assert recorder.reports == reports
    assert set(ended) == {1, 3, 4, 6}
    assert histories(rest) == histories([trained[number] for number in (1, 3, 4, 6)])


def test_what_ended_before_is_reported_even_when_the_others_end_early_or_there_are_none(runs):
    recorder, _ = train(runs("one", [5]), past={8: [(2, 0.5), (80, 0.25)]})
    assert [report[:2] for report in recorder.reports] == [
        (1, 5),
        (2, 5),
        (2, 8),
        (3, 5),
        (4, 5),
        (5, 5),
        (6, 5),
        (80, 8),
    ]
    assert train([], past={8: [(2, 0.5), (80, 0.25)]})[0].reports == [(2, 8, 0.5), (80, 8, 0.25)]


@pytest.mark.parametrize("share", [0.1, 0.4, 0.7, 0.95])
def test_a_restarted_run_reports_its_earlier_log_points_again(runs, whole, share):
    trained, reports, ended = whole
    stopped = Recorder(interrupt_after=int(share * len(reports)))
    with pytest.raises(KeyboardInterrupt):
        train(runs("again"), recorder=stopped)
    assert stopped.reports == reports[: stopped.interrupt_after]
    again = runs("again")
    states = {run.number: Run(run.directory).status()["state"] for run in again}
    left = [run for run in again if states[run.number] == RUNNING]
    assert all((run.directory / contents.CHECKPOINT).exists() for run in left)
    past = {
        run.number: [(epoch, row["val/loss"]) for epoch, row in Run(run.directory).history()]
        for run in again
        if run not in left
    }
    recorder, rest = train(left, past=past)
    assert recorder.reports == reports
    assert rest == {run.number: ended[run.number] for run in left}
    assert histories(again) == histories(trained)


def test_the_bar_hears_of_every_member(runs):
    told = list(Crew(2, 1e9).train_in_rounds(runs("bar", [0, 4]), Recorder(), {}))
    assert {one.number for one in told if isinstance(one, Advanced)} == {0, 4}


def test_a_member_that_diverges_fails_alone_and_its_reports_are_those_before(composed, tmp_path):
    words = ("data=line", "optimizer=sgd", "model.act=identity", "epochs=40", "log_points=20")
    made = []
    for number, rate in enumerate(("0.001", "1", "0.002")):
        config = plain(composed(*words, f"optimizer.lr={rate}"))
        directory = run_directory(tmp_path, number)
        made.append(MemberRun(number, directory, [], config, config, member(config, line())))
    recorder, ended = train(made)
    assert [end.error is None for _, end in sorted(ended.items())] == [True, False, True]
    assert ended[1].diverged
    assert Run(made[1].directory).status()["error"] == ended[1].error
    history = Run(made[1].directory).history()
    assert [(epoch, row["val/loss"]) for epoch, row in history] == [(e, v) for e, n, v in recorder.reports if n == 1]


# what training goes on from ------------------------------------------------------------------------------------------


def test_a_member_that_is_over_stays_so_when_it_goes_on(composed, tmp_path):
    for number, words in enumerate(
        [
            ("epochs=3",),
            ("epochs=300", "trainer.early_stopping.patience=1", "optimizer.lr=0.5"),
            ("optimizer=sgd", "optimizer.lr=1e9"),
        ]
    ):
        config = plain(composed("data=moons", "log_points=3", *words))
        one = Training(member(config, moons()))
        one.advance()
        other = Training(member(config, moons()))
        other.load(one.snapshot())
        assert other.over, number
        assert other.advance()
        assert other.error == one.error
        assert other.history == one.history


@pytest.mark.parametrize("count", ["epoch", "batch", "logged", "kept", "bad_column"])
@pytest.mark.parametrize("value", [-2, 9, 10**12])
def test_counts_that_no_member_has_are_refused(composed, count, value):
    """Native code writes where they say."""
    config = plain(composed("data=moons", "epochs=9", "log_points=3", "batch_size=64", "logger.pictures=3"))
    one = Training(member(config, moons()))
    one.advance(log_point=True)
    snapshot = one.snapshot()
    at = ("epoch", "batch", "steps", "logged", "kept", "stopped", "bad_column").index(count)
    snapshot["counts"][at] = value
    with pytest.raises(ValueError, match="of another member"):
        Training(member(config, moons())).load(snapshot)


@pytest.mark.parametrize("content", [b"", b"PK", {"counts": 1}, [1, 2], {"state_dict": {}, "loops": {}}, "other"])
def test_a_foreign_snapshot_begins_the_run_anew(runs, capsys, content):
    (run,) = runs("foreign", [1])
    run.begin()
    path = run.directory / contents.CHECKPOINT
    if content == "other":
        (other,) = runs("other", [3])
        torch.save(Training(other.member).snapshot(), path)
    elif isinstance(content, bytes):
        path.write_bytes(content)
    else:
        torch.save(content, path)
    crew = Crew(1, 1e9)
    ended = [one for one in crew.train([run]) if isinstance(one, Ended)]
    assert (
        "resume.ckpt is damaged or of another run: the run starts again from the beginning" in capsys.readouterr().out
    )
    assert ended[0].error is None
    assert not path.exists()
    (clean,) = runs("clean", [1])
    assert [one for one in Crew(1, 1e9).train([clean]) if isinstance(one, Ended)] == ended


def test_a_trainee_saves_as_often_as_asked(runs):
    (run,) = runs("saves", [7])
    crew = Crew(1, 0.0)
    from neuronsweep.launch.train_members import SharedSamples

    trainee = Trainee(run, SharedSamples()(run.member.dataset, run.member.dtype), crew.stop, 0.0)
    next(iter(trainee.advance(log_point=True)), None)
    assert (run.directory / contents.CHECKPOINT).exists()
