"""Sweeps by Hydra's basic launcher, from the command line to results.csv."""

import csv
import json

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from hypothesis import given, settings
from hypothesis import strategies as st

from neuronsweep.config.check import register, run_config
from neuronsweep.launch.jobs import Composer, quoted, stretches

QUICK = ("hydra/launcher=basic", "epochs=5", "data=line", "hydra.sweep.dir=sweep")


def rows(tmp_path) -> list[dict[str, str]]:
    return list(csv.DictReader((tmp_path / "sweep" / "results.csv").open()))


def test_sweep_keeps_a_row_a_run_and_ranks_them_by_their_mean(command, tmp_path):
    done = command("train.py", "-m", *QUICK, "model.hidden=2,8", "seed=0,1", "logger=none")
    assert done.returncode == 0, done.stderr
    table = rows(tmp_path)
    assert list(table[0])[:4] == ["run", "state", "model.hidden", "seed"]
    assert list(table[0])[-2:] == ["seconds", "directory"]
    assert [row["directory"] for row in table] == ["0000", "0001", "0002", "0003"]
    assert {row["state"] for row in table} == {"COMPLETE"}
    metrics = json.loads((tmp_path / "sweep" / "0003" / "metrics.json").read_text())
    assert all(float(table[3][name]) == value for name, value in metrics.items())
    assert "spread" in done.stdout
    means = [sum(float(row["val/loss"]) for row in table[i : i + 2]) / 2 for i in (0, 2)]
    first = next(line for line in done.stdout.splitlines() if line.startswith("1 "))
    assert first.split()[1] == ("2", "8")[means.index(min(means))]
    description = json.loads((tmp_path / "sweep" / "sweep.json").read_text())
    assert description["state"] == "COMPLETE"
    assert description["swept"] == ["model.hidden", "seed"]


def test_lists_are_swept_and_kept_as_they_are_typed(command, tmp_path):
    swept = ("model.hidden=[6,4],8,[6,6]", "loss=huber,mae")
    done = command("train.py", "-m", *QUICK, *swept, "objective.metric=val/mse", "logger=none")
    assert done.returncode == 0, done.stderr
    table = rows(tmp_path)
    assert [row["model.hidden"] for row in table] == ["[6,4]", "[6,4]", "8", "8", "[6,6]", "[6,6]"]
    assert [row["loss"] for row in table] == ["huber", "mae"] * 3
    assert [row["params"] for row in table[::2]] == ["45", "25", "61"]  # 6+6 + 24+4 + 4+1, 8+8 + 8+1, 6+6 + 36+6 + 6+1
    assert "[6,4]" in done.stdout


def test_failing_runs_are_told_at_once_and_do_not_stop_the_others(command, tmp_path):
    (tmp_path / "their_modules.py").write_text(
        "from neuronsweep.models.modules import RegressionModule\n"
        "class Broken(RegressionModule):\n"
        "    def loss(self, prediction, y):\n"
        "        raise RuntimeError('a broken loss')\n"
    )
    swept = "module._target_=their_modules.Broken,neuronsweep.models.modules.RegressionModule"
    done = command("train.py", "-m", *QUICK, swept, "optimizer.lr=1e30,0.01", "optimizer=sgd", PYTHONPATH=str(tmp_path))
    assert done.returncode == 1
    assert "RuntimeError: a broken loss" in done.stderr
    assert "Traceback" in done.stderr
    assert "3 of 4 runs did not complete: 0, 1, 2" in done.stderr
    assert [row["state"] for row in rows(tmp_path)] == ["FAILED", "FAILED", "FAILED", "COMPLETE"]
    status = json.loads((tmp_path / "sweep" / "0000" / "status.json").read_text())
    assert "a broken loss" in status["error"]
    status = json.loads((tmp_path / "sweep" / "0002" / "status.json").read_text())
    assert status["error"].startswith("train/loss is")


def test_the_same_sweep_again_trains_nothing_and_another_is_refused(command, tmp_path):
    assert command("train.py", "-m", *QUICK, "seed=0,1").returncode == 0
    before = (tmp_path / "sweep" / "results.csv").read_bytes()
    assert command("train.py", "-m", *QUICK, "seed=0,1").returncode == 0
    done = command("train.py", "-m", *QUICK, "seed=0,2")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "it contains another sweep: seed was 0,1 and is 0,2" in done.stderr
    assert (tmp_path / "sweep" / "results.csv").read_bytes() == before


@given(st.text("ab '\"\\,={}()[]", min_size=1))
def test_what_is_quoted_is_read_as_it_was(text):
    assert OverridesParser.create().parse_override(f"hydra.sweep.dir={quoted(text)}").value() == text


@given(st.sets(st.integers(0, 20)))
def test_stretches_have_every_job_once_and_no_gap(numbers):
    found = list(stretches({number: [f"seed={number}"] for number in sorted(numbers, reverse=True)}))
    assert [job for _, stretch in found for job in stretch] == [[f"seed={number}"] for number in sorted(numbers)]
    assert all(stretch[0] == [f"seed={first}"] for first, stretch in found)
    assert all(first - 1 not in numbers for first, _ in found)


@pytest.fixture(scope="module")
def loader():
    from hydra import initialize_config_dir
    from hydra.core.global_hydra import GlobalHydra
    from hydra.types import RunMode

    from tests.commands import ROOT

    register()
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        loader = GlobalHydra.instance().config_loader()
        yield loader, loader.load_configuration("train", [], run_mode=RunMode.MULTIRUN)


VALUES = {
    "model.hidden": st.sampled_from([1, 64, "[64,16]", "[8]"]),
    "model.act": st.sampled_from(["relu", "tanh", "[relu,tanh]"]),
    "loss": st.sampled_from(["auto", "huber", "cross_entropy"]),
    "optimizer.lr": st.floats(1e-6, 1e3),
    "optimizer.betas": st.sampled_from(["[0.9,0.99]", "[0.5,0.9]"]),
    "epochs": st.integers(1, 10**6),
    "batch_size": st.sampled_from(["full", 1, 32]),
    "trainer.gradient_clip_val": st.sampled_from(["null", 1.5]),
    "data": st.sampled_from(["moons", "sine", "line"]),
    "scheduler": st.sampled_from(["cosine", "none", "plateau"]),
    "objective.mode": st.sampled_from(["min", "max"]),
}


@settings(max_examples=12)
@given(data=st.data(), keys=st.lists(st.sampled_from(sorted(VALUES)), min_size=1, max_size=5, unique=True))
def test_jobs_are_composed_as_hydra_composes_them(loader, data, keys):
    jobs = [[f"{key}={data.draw(VALUES[key])}" for key in keys] for _ in range(3)]
    config_loader, config = loader
    compose = Composer(config_loader, config)
    for job in jobs:
        cfg = compose(job)
        expected = config_loader.load_sweep_config(config, job)
        for one in (cfg, expected):
            one._set_flag("struct", False)
        assert run_config(cfg) == run_config(expected)
        assert cfg.hydra.overrides.task == expected.hydra.overrides.task
        assert cfg.hydra.job.override_dirname == expected.hydra.job.override_dirname
