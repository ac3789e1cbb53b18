"""Sweeps in chunks: on submitit, joblib and Ray, with machines that are wanted back and machines that die."""

import csv
import inspect
import os
import signal
import subprocess
import sys

import pytest
from hydra.utils import instantiate
from hypothesis import given
from hypothesis import strategies as st
from omegaconf import OmegaConf

from neuronsweep.errors import UserError
from neuronsweep.sweeps import ledger, pools
from neuronsweep.sweeps.chunks import CHUNK, split
from tests.commands import ROOT
from tests.sweeps.test_processes import numbers, processes_of, wait_for

HEADLINE = ("model.hidden=2,8,32", "model.act=relu,tanh", "log_points=20", "logger=none")


@given(st.integers(0, 40), st.integers(1, 50))
def test_chunks_hold_every_number_once_and_are_of_one_size(count, chunks):
    found = split(range(count), chunks)
    assert [number for chunk in found for number in chunk] == list(range(count))
    assert len(found) == min(count, chunks)
    assert max(map(len, found), default=0) - min(map(len, found), default=0) <= 1


@pytest.mark.parametrize("launcher", ["submitit_local", "joblib"])
def test_chunks_have_the_bits_of_the_default_launcher(command, tmp_path, launcher):
    words = ("-m", *HEADLINE, "epochs=60", "model.dropout=0,0.1" if launcher == "joblib" else "seed=0")
    assert command("train.py", *words, "hydra.sweep.dir=default").returncode == 0
    done = command(
        "train.py", *words, f"hydra/launcher={launcher}", "hydra.sweep.dir=chunks", "hydra.launcher.chunks=2"
    )
    assert done.returncode == 0, done.stderr
    assert numbers(tmp_path / "default") == numbers(tmp_path / "chunks")
    assert not list((tmp_path / "chunks").glob(f"{CHUNK}*"))


def test_what_fails_in_a_chunk_is_told_by_the_sweep(command, tmp_path):
    words = ("data=quadratic", "optimizer=sgd", "model.act=identity", "epochs=30", "optimizer.lr=1e6,0.001")
    user = ("data.n=1000,40", "data=moons")  # of 40 samples a batch of 39 leaves one, which batch norm cannot take
    launcher = ("hydra/launcher=joblib", "hydra.launcher.chunks=1")
    done = command("train.py", "-m", *words, *launcher, "hydra.sweep.dir=sweep")
    assert done.returncode == 1
    assert "#0 data=quadratic optimizer=sgd" in done.stderr
    assert "FAILED: train/loss is" in done.stderr
    with (tmp_path / "sweep" / ledger.RESULTS).open() as file:
        assert [row["state"] for row in csv.DictReader(file)] == ["FAILED", "COMPLETE"]
    words = (*user, "model.norm=batch", "batch_size=39", "epochs=2")
    done = command("train.py", "-m", *words, *launcher, "hydra.sweep.dir=user")
    assert done.returncode == 1
    assert "1 of 2 runs did not complete: 1" in done.stderr
    assert "#1" in done.stderr
    assert "batch" in done.stderr


def test_a_chunk_whose_machine_is_wanted_back_goes_on_from_its_snapshots(command, tmp_path):
    words = (*HEADLINE, "epochs=4000", "batch_size=50", "population.snapshot_seconds=0.05")
    directory = tmp_path / "sweep"
    launcher = ("hydra/launcher=submitit_local", "hydra.launcher.chunks=1", f"hydra.sweep.dir={directory}")
    process = subprocess.Popen(
        [sys.executable, str(ROOT / "train.py"), "-m", *words, *launcher],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    wait_for(lambda: list(directory.glob(f"{ledger.POPULATION}*")), process)
    # the process that submitit runs on the machine, where Slurm's signal arrives
    (task,) = (
        pid for pid in processes_of("submitit.core._submit") if pid in processes_of(str(directory)) and leaf(pid)
    )
    os.kill(task, signal.SIGUSR2)
    _, err = process.communicate(timeout=240)
    assert process.returncode == 0, err
    assert "preempted" in "".join(path.read_text() for path in (directory / ".submitit").glob("*.err"))
    status = ledger.status(directory / "0000")
    assert status["state"] == "COMPLETE"
    assert command("train.py", "-m", *words, "hydra.sweep.dir=whole").returncode == 0
    assert numbers(directory) == numbers(tmp_path / "whole")


def leaf(pid: int) -> bool:
    """Whether a process of submitit's trains: the other one watches it."""
    with open(f"/proc/{pid}/task/{pid}/children") as file:
        children = map(int, file.read().split())
    return not any(child in processes_of("submitit.core._submit") for child in children)


@pytest.mark.parametrize("path", sorted((ROOT / "conf/hydra/launcher").glob("*.yaml")), ids=lambda path: path.stem)
def test_every_launcher_file_names_a_launcher_and_keys_that_its_pool_takes(path, tmp_path):
    launcher = instantiate(OmegaConf.load(path))
    launcher.given = (None, OmegaConf.create({"hydra": {"sweep": {"dir": str(tmp_path)}}}), None)
    pool = launcher.pool()
    inspect.signature(pool.func).bind([], *pool.args, **pool.keywords)  # raises TypeError


def test_a_library_that_is_not_there_is_named_with_its_extra():
    with pytest.raises(UserError, match=r"needs no_such_library: pip install .*\[slurm\]"):
        pools._needed("no_such_library", "slurm")


def test_a_machine_of_a_ray_cluster_dies_and_the_sweep_completes(command, tmp_path, monkeypatch):
    pytest.importorskip("ray", reason="Ray is not installed: pip install -c constraints.txt -e '.[ray]'")
    # nothing is told to anybody, nothing is written in the home directory, all machines are 127.0.0.1
    environment = {"USAGE_STATS_ENABLED": "0", "AUTH_TOKEN": "0" * 64, "ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"}
    for name, value in environment.items():
        monkeypatch.setenv(f"RAY_{name}", value)
    from ray.cluster_utils import Cluster

    words = (*HEADLINE, "epochs=2500", "batch_size=50", "population.snapshot_seconds=0.05")
    node = {"num_cpus": 1, "include_dashboard": False, "object_store_memory": 80_000_000}
    process = None
    cluster = Cluster(initialize_head=True, head_node_args=node)
    try:
        other = cluster.add_node(num_cpus=1, object_store_memory=80_000_000)
        launcher = ("hydra/launcher=ray", f"hydra.launcher.address={cluster.address}", "hydra.launcher.chunks=4")
        process = subprocess.Popen(
            [sys.executable, str(ROOT / "train.py"), "-m", *words, *launcher, "hydra.sweep.dir=sweep"],
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        wait_for(lambda: len(list(tmp_path.glob(f"sweep/{ledger.POPULATION}*"))) == 2, process)
        cluster.remove_node(other, allow_graceful=False)
        _, err = process.communicate(timeout=240)
    finally:
        if process:
            process.kill()
        cluster.shutdown()
    assert process.returncode == 0, err
    assert command("train.py", "-m", *words, "hydra.sweep.dir=whole").returncode == 0
    assert numbers(tmp_path / "sweep") == numbers(tmp_path / "whole")
