"""What the engine does besides steps: log epochs, failures, early stopping, pruning, the weights it keeps."""

import dataclasses
import subprocess
import sys

import pytest
import torch
from neuronsweep.population.engine import Interrupted, Population, train
from neuronsweep.population.member import Member
from reference import ADAM, assert_same_bits, plain_loop

from neuronsweep.data.batches import log_epochs
from neuronsweep.data.curves import line, sine
from neuronsweep.data.planes import moons

SINE = sine(n=90)
MEMBER = Member(SINE, {"hidden": 4}, 0, ADAM, epochs=30, log_points=7)


def test_a_member_is_complete_with_all_metrics():
    result = train([MEMBER])[0]
    names = {f"{split}/{name}" for split in ("train", "val", "outer") for name in ("loss", "mae", "r2")}
    assert (result.state, result.epoch, result.steps, result.error) == ("COMPLETE", 30, 30, None)
    assert [epoch for epoch, _ in result.history] == log_epochs(30, 7)
    assert list(result.history[0][1]) == ["train/loss", "val/loss", "outer/loss"]
    assert set(result.metrics) == names
    assert result.metrics["val/loss"] == result.history[-1][1]["val/loss"]


def test_a_split_of_one_sample_has_no_r2():
    result = train([Member(line(), {}, 0, ADAM, epochs=2)])[0]
    assert "outer/r2" not in result.metrics
    assert "val/r2" in result.metrics


def test_classification_logs_losses_and_accuracies():
    result = train([Member(moons(), {}, 0, ADAM, epochs=2)])[0]
    assert set(result.history[0][1]) == {"train/loss", "train/acc", "val/loss", "val/acc"}
    assert set(result.metrics) == {f"{s}/{m}" for s in ("train", "val") for m in ("loss", "acc", "auroc")}


def test_a_loss_that_is_not_finite_fails_its_member_only():
    bad = dataclasses.replace(
        MEMBER, optimizer={**ADAM, "lr": 1e30}, network={"hidden": 4, "act": "identity", "depth": 3}
    )
    good, failed = train([MEMBER, bad])
    assert good.state == "COMPLETE"
    assert failed.state == "FAILED"
    assert failed.epoch == 1
    assert failed.error in ("train/loss is inf after epoch 1", "train/loss is nan after epoch 1")
    assert failed.metrics == {}
    assert failed.history == []


def test_only_the_loss_of_a_split_can_be_bad():
    # a huge linear model fits its training points exactly once they are all zero, and nothing else
    data = dataclasses.replace(
        SINE, splits={**SINE.splits, "outer": type(SINE.splits["outer"])(torch.full((3, 1), 1e38), torch.zeros(3, 1))}
    )
    result = train([dataclasses.replace(MEMBER, dataset=data)])[0]
    assert result.error == "outer/loss is inf after epoch 1"


def test_early_stopping_counts_log_points():
    stuck = dataclasses.replace(MEMBER, optimizer={**ADAM, "lr": 1e-12}, patience=3, min_delta=0.01)
    stopped, other = train([stuck, MEMBER])
    assert stopped.state == "COMPLETE"
    assert stopped.epoch == log_epochs(30, 7)[3]
    assert len(stopped.history) == 4
    assert other.epoch == 30


def test_pruned_members_leave():
    seen = []

    def on_log(epoch, metrics):
        seen.append((epoch, sorted(metrics)))
        return [1] if epoch >= 11 else None

    kept, pruned = train([MEMBER, dataclasses.replace(MEMBER, seed=1)], on_log=on_log)
    assert kept.state == "COMPLETE"
    assert pruned.state == "PRUNED"
    assert pruned.epoch == 11
    assert pruned.history[-1][0] == 11
    assert "val/r2" in pruned.metrics
    assert seen[0] == (1, [0, 1])
    assert seen[-1] == (30, [0])


def test_results_are_told_as_members_end(tmp_path):
    members = [MEMBER, dataclasses.replace(MEMBER, epochs=5), dataclasses.replace(MEMBER, epochs=9)]
    told = []
    results = train(members, on_result=lambda i, result: told.append((i, result.epoch)))
    assert told == [(1, 5), (2, 9), (0, 30)]
    path = tmp_path / "population.pt"
    with pytest.raises(Interrupted):
        train(members, snapshot=path, should_stop=lambda: len(told) > 3, on_result=lambda i, _: told.append(i))
    again = []
    resumed = train(members, snapshot=path, on_result=lambda i, _: again.append(i))
    assert again == [1, 2, 0]
    for a, b in zip(results, resumed, strict=True):
        assert_same_bits(a, b)


def test_a_member_that_is_done_is_not_pruned():
    assert train([MEMBER], on_log=lambda epoch, _: [0] if epoch == 30 else None)[0].state == "COMPLETE"


@pytest.mark.parametrize("mode", ["min", "max"])
def test_the_best_weights_are_kept(mode):
    wild = dataclasses.replace(MEMBER, optimizer={**ADAM, "lr": 0.5}, mode=mode, keep="best", dtype=torch.float64)
    best, last = train([wild, dataclasses.replace(wild, keep="last")])
    losses = {epoch: metrics["val/loss"] for epoch, metrics in best.history}
    chosen = min(losses, key=losses.__getitem__) if mode == "min" else max(losses, key=losses.__getitem__)
    assert chosen != 30
    assert best.metrics["val/loss"] == losses[chosen]
    assert last.metrics["val/loss"] == losses[30]
    network, _ = plain_loop(dataclasses.replace(wild, epochs=chosen))
    for name, tensor in network.state_dict().items():
        torch.testing.assert_close(best.state_dict[name], tensor, rtol=1e-9, atol=1e-12)


def test_a_snapshot_of_others_is_refused():
    state = Population([MEMBER]).state()
    with pytest.raises(ValueError, match="other members"):
        Population([dataclasses.replace(MEMBER, seed=5)]).load(state)


def test_being_stopped_leaves_a_snapshot_that_loads_safely(tmp_path):
    path = tmp_path / "population.pt"
    with pytest.raises(Interrupted):
        train([MEMBER], snapshot=path, should_stop=lambda: True)
    assert torch.load(path, weights_only=True)["epoch"] == 1
    assert [file.name for file in tmp_path.iterdir()] == ["population.pt"]


def test_unsupported_members_are_refused():
    with pytest.raises(ValueError, match=r"member 1 .*model\.dropout=0\.5"):
        train([MEMBER, dataclasses.replace(MEMBER, network={"dropout": 0.5})])
    with pytest.raises(ValueError, match="at least one"):
        train([])


def test_nothing_heavy_is_imported():
    heavy = ("lightning", "hydra", "omegaconf", "matplotlib", "torchmetrics")
    code = f"import neuronsweep.population.engine, sys; print([m for m in {heavy} if m in sys.modules])"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert out.strip() == "[]"
