"""Sweeps in chunks: on submitit and Ray, with machines that are wanted back and machines that die."""

import inspect
import os
import signal

import pytest
from hydra.utils import instantiate
from hypothesis import given
from hypothesis import strategies as st
from omegaconf import OmegaConf

from neuronsweep.errors import UserError
from neuronsweep.launch import clusters
from neuronsweep.launch.chunks import CHUNK, split
from neuronsweep.runs import contents
from tests.commands import ROOT, Script, wait_until
from tests.launch.test_processes import numbers, processes_of

HEADLINE = ("model.hidden=2,8,32", "model.act=relu,tanh", "log_points=20", "logger=none")


@given(st.integers(0, 40), st.integers(1, 50))
def test_chunks_hold_every_number_once_and_are_of_one_size(count, chunks):
    found = split(range(count), chunks)
    assert [number for chunk in found for number in chunk] == list(range(count))
    assert len(found) == min(count, chunks)
    assert max(map(len, found), default=0) - min(map(len, found), default=0) <= 1


def test_chunks_have_the_bits_of_the_default_launcher_and_tell_what_failed(command, tmp_path):
    words: tuple[str, ...] = ("data=moons", "model.hidden=2,4", "seed=range(2)", "epochs=5", "log_points=2")
    words += ("optimizer=sgd", "optimizer.lr=0.1,1e30", "logger=none")
    launcher = ("hydra/launcher=submitit_local", "hydra.launcher.chunks=2")
    done = command("train.py", "-m", *words, *launcher, "hydra.sweep.dir=chunks")
    assert done.returncode == 1
    assert "4 of 8 runs did not complete: 1, 3, 5, 7" in done.stderr, done.stderr
    assert command("train.py", "-m", *words, "hydra.sweep.dir=default").returncode == 1
    assert numbers(tmp_path / "chunks") == numbers(tmp_path / "default")
    assert not list((tmp_path / "chunks").glob(f"{CHUNK}*"))


def test_a_chunk_whose_machine_is_wanted_back_goes_on_from_its_snapshots(command, tmp_path):
    words = (*HEADLINE, "epochs=60000", "batch_size=50", "engine.snapshot_seconds=0.05")
    directory = tmp_path / "sweep"
    launcher = ("hydra/launcher=submitit_local", "hydra.launcher.chunks=2", f"hydra.sweep.dir={directory}")
    process = Script("train.py", "-m", *words, *launcher, cwd=tmp_path)
    wait_until(lambda: list(directory.glob(f"*/{contents.CHECKPOINT}")), process)
    # the processes that submitit runs on the machines, where Slurm's signal arrives
    for pid in {*processes_of("submitit.core._submit")} & {*processes_of(str(directory))}:
        if leaf(pid):
            os.kill(pid, signal.SIGUSR2)
    _, err = process.communicate(timeout=240)
    assert process.returncode == 0, err
    assert "preempted" in "".join(path.read_text() for path in (directory / ".submitit").glob("*.err"))
    assert command("train.py", "-m", *words, "hydra.sweep.dir=whole").returncode == 0
    assert numbers(directory) == numbers(tmp_path / "whole")
    assert not list(directory.glob(f"{CHUNK}*"))


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
        clusters._needed("no_such_library", "slurm")


def test_a_machine_of_a_ray_cluster_dies_and_the_sweep_completes(command, tmp_path, monkeypatch):
    pytest.importorskip("ray", reason="Ray is not installed: pip install -c constraints.txt -e '.[ray]'")
    # nothing is told to anybody, nothing is written in the home directory, all machines are 127.0.0.1
    environment = {"USAGE_STATS_ENABLED": "0", "AUTH_TOKEN": "0" * 64, "ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"}
    for name, value in environment.items():
        monkeypatch.setenv(f"RAY_{name}", value)
    from ray.cluster_utils import Cluster

    words = (*HEADLINE, "epochs=100000", "batch_size=50", "engine.snapshot_seconds=0.05")
    node = {"num_cpus": 1, "include_dashboard": False, "object_store_memory": 80_000_000}
    process = None
    cluster = Cluster(initialize_head=True, head_node_args=node)
    try:
        other = cluster.add_node(num_cpus=1, object_store_memory=80_000_000)
        launcher = ("hydra/launcher=ray", f"hydra.launcher.address={cluster.address}", "hydra.launcher.chunks=4")
        process = Script("train.py", "-m", *words, *launcher, "hydra.sweep.dir=sweep", cwd=tmp_path)
        wait_until(lambda: len(list(tmp_path.glob(f"sweep/*/{contents.CHECKPOINT}"))) >= 2, process)
        cluster.remove_node(other, allow_graceful=False)
        _, err = process.communicate(timeout=240)
    finally:
        if process:
            process.kill()
        cluster.shutdown()
    assert process.returncode == 0, err
    assert command("train.py", "-m", *words, "hydra.sweep.dir=whole").returncode == 0
    assert numbers(tmp_path / "sweep") == numbers(tmp_path / "whole")
