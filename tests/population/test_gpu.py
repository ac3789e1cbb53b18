"""Populations and single runs on a CUDA device: agreement with the CPU, equal bits, resuming, and the commands."""

import copy

import pytest
import torch
from neuronsweep.population.engine import Interrupted, train
from neuronsweep.population.member import Member
from reference import ADAM

from neuronsweep.data.planes import moons
from neuronsweep.sweeps import ledger
from tests.sweeps.test_processes import rows

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device"),
]

RUN = ("data=moons", "epochs=40", "log_points=5", "batch_size=50", "logger=none", "trainer=gpu")
# Sums are in another order on a GPU; in float64 that is far below this after so few steps.
TOLERANCE = 1e-9


def members(dtype: torch.dtype) -> list[Member]:
    """Members of several shapes, kinds of layers and schedules, with minibatches."""
    kinds = [
        {"hidden": 2, "act": "relu"},
        {"hidden": 33, "act": "tanh", "depth": 2, "skip": True},
        {"hidden": 8, "act": "gelu", "norm": "layer"},
        {"hidden": 8, "act": "sigmoid"},
    ]
    return [
        Member(
            moons(), kind, seed, ADAM, epochs=20, batch_size=50, log_points=5, dtype=dtype, clip=0.5 * seed, keep="best"
        )
        for seed, kind in enumerate(kinds)
    ]


def test_the_device_agrees_with_the_cpu():
    here, there = train(members(torch.float64)), train(members(torch.float64), device="cuda")
    for one, other in zip(here, there, strict=True):
        assert [epoch for epoch, _ in one.history] == [epoch for epoch, _ in other.history]
        for (_, row), (_, same) in zip(one.history, other.history, strict=True):
            assert row == pytest.approx(same, rel=TOLERANCE)
        for name, weight in one.state_dict.items():
            torch.testing.assert_close(weight, other.state_dict[name], rtol=TOLERANCE, atol=TOLERANCE)


def test_two_runs_on_the_device_have_the_same_bits():
    one, other = (train(members(torch.float32), device="cuda") for _ in range(2))
    same_bits(one, other)


def test_a_snapshot_goes_on_to_the_same_bits(tmp_path):
    whole = train(members(torch.float32), device="cuda")
    asked = iter([False, False, True])
    with pytest.raises(Interrupted):
        train(members(torch.float32), device="cuda", snapshot=tmp_path / "snapshot", should_stop=lambda: next(asked))
    same_bits(whole, train(members(torch.float32), device="cuda", snapshot=tmp_path / "snapshot"))


def same_bits(one, other) -> None:
    for a, b in zip(one, other, strict=True):
        assert copy.copy(a.history) == b.history
        assert a.metrics == b.metrics
        assert all(torch.equal(weight, b.state_dict[name]) for name, weight in a.state_dict.items())


def test_single_runs_repeat_themselves_and_sweeps_train_populations(command, tmp_path):
    for name in ("one", "two"):
        done = command("train.py", *RUN, f"hydra.run.dir={name}")
        assert done.returncode == 0, done.stderr
    for name in (ledger.METRICS, ledger.HISTORY):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()
    done = command("train.py", "-m", *RUN, "model.hidden=2,8", "seed=0,1", "hydra.sweep.dir=sweep")
    assert done.returncode == 0, done.stderr
    assert "training 4 runs in" in done.stdout
    assert [row["state"] for row in rows(tmp_path / "sweep")] == ["COMPLETE"] * 4
    assert ledger.status(tmp_path / "sweep" / "0000")["engine"] == "population"
    single = ledger.metrics(tmp_path / "one")["val/loss"]
    (same,) = (row for row in rows(tmp_path / "sweep") if (row["model.hidden"], row["seed"]) == ("8", "0"))
    assert float(same["val/loss"]) == pytest.approx(single, rel=1e-3)
