"""Sweeps whose jobs are processes: fresh ones, watched, and read where they have ended."""

import csv
import json
import os
import signal
import textwrap
from functools import partial

from neuronsweep.runs import contents
from neuronsweep.runs.run import Run
from neuronsweep.runs.sweep import run_directory
from tests.commands import NO_REPORT, Script, wait_until

QUICK = ("data=line", "epochs=20", "log_points=4", "logger=none")
# Modules whose runs end as jobs may end. One that was killed after a checkpoint is left alone when it goes on.
THEIRS = """
import os, pathlib, signal, time
from hydra.core.hydra_config import HydraConfig
from neuronsweep.models.modules import RegressionModule
from neuronsweep.runs import contents
from neuronsweep.runs.run import Run

class Killed(RegressionModule):
    def loss(self, prediction, y):
        run = pathlib.Path(HydraConfig.get().runtime.output_dir)
        if (run / contents.CHECKPOINT).exists() and not Run(run).status()["continued"]:
            print("these are its last words", flush=True)
            os.kill(os.getpid(), signal.SIGKILL)
        return super().loss(prediction, y)

class Slow(RegressionModule):
    def loss(self, prediction, y):
        time.sleep(60)

class Diverges(RegressionModule):
    def loss(self, prediction, y):
        return super().loss(prediction, y) * float("nan")
"""


def rows(sweep) -> list[dict[str, str]]:
    return list(csv.DictReader((sweep / contents.RESULTS).read_text().splitlines()))


def numbers(sweep) -> list[dict[str, str]]:
    return [{key: value for key, value in row.items() if key != "seconds"} for row in rows(sweep)]


def processes_of(word: str) -> list[int]:
    """Processes with this word in their command lines."""
    found = []
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{name}/cmdline", "rb") as file:
                found += [int(name)] if word.encode() in file.read() else []
        except OSError:
            continue
    return found


def wait_until_gone(word: str) -> None:
    wait_until(lambda: not processes_of(word), seconds=10)


def test_jobs_have_the_bits_of_a_single_run_and_each_fails_alone_and_is_tried_again(command, alone, tmp_path):
    (tmp_path / "theirs.py").write_text(THEIRS)
    words = (*QUICK, "time_limit=5", "trainer.checkpoint_seconds=0", "hydra.sweep.dir=sweep")
    modules = "module._target_=theirs.Killed,theirs.Slow,null,theirs.Diverges"
    # what the processes of another program would leave in the environment
    ranks = {"LOCAL_RANK": "1", "WORLD_SIZE": "2", "MASTER_PORT": "1", "PL_GLOBAL_SEED": "7", "OMP_NUM_THREADS": "5"}
    launcher = ("hydra/launcher=process", "hydra.launcher.retries=1")
    done = command("train.py", "-m", *words, modules, *launcher, PYTHONPATH=str(tmp_path), **ranks)
    assert done.returncode == 1
    found = rows(tmp_path / "sweep")
    assert [row["state"] for row in found] == ["COMPLETE", "FAILED", "COMPLETE", "FAILED"], done.stderr
    assert "FAILED: it took longer than time_limit=5 seconds" in done.stderr
    assert "FAILED: train/loss is nan" in done.stderr
    runs = [run_directory(tmp_path / "sweep", number) for number in range(4)]
    said = [(run / "output.log").read_text() for run in runs]
    assert "these are its last words" in said[0]
    # a run that says why it failed would say it again
    assert [text.count("if this stops: ") for text in said] == [2, 1, 1, 1]
    assert len(Run(runs[0]).status()["continued"]) == 1
    whole = alone(*QUICK)
    for run in (runs[0], runs[2]):
        assert (run / contents.HISTORY).read_bytes() == (whole / contents.HISTORY).read_bytes()
    assert (runs[2] / contents.METRICS).read_bytes() == (whole / contents.METRICS).read_bytes()
    # of a loss of one's own neither the least that is possible is known, nor whether it is a squared error
    known = {k: v for k, v in Run(whole).metrics().items() if not k.startswith("optimum/") and not k.endswith("/rmse")}
    assert Run(runs[0]).metrics() == known
    again = command("scripts/resume.py", "sweep", "--trust", PYTHONPATH=str(tmp_path))
    assert again.returncode == 1
    assert [(run / "output.log").read_text() for run in runs] == said  # read, not started


def test_a_sweep_that_is_ended_leaves_no_process_and_goes_on_to_the_same_bits(alone, tmp_path):
    words: tuple[str, ...] = ("data=moons", "batch_size=50", "epochs=150", "log_points=150", "logger=none", "seed=1")
    words = (*words, "trainer.checkpoint_seconds=0")
    run = tmp_path / "sweep" / "0000"
    launcher = ("hydra/launcher=process", f"hydra.sweep.dir={tmp_path}/sweep", NO_REPORT)
    process = Script("train.py", "-m", *words, *launcher, cwd=tmp_path)
    seen: object = None
    for how in (signal.SIGTERM, signal.SIGKILL):
        wait_until(partial(checkpointed, run, seen), process)
        process.send_signal(how)
        out, _ = process.communicate(timeout=30)
        assert how is signal.SIGKILL or (process.returncode == 143 and "continue with: python scripts/resume.py" in out)
        wait_until_gone(f"{tmp_path}/sweep/")
        assert Run(run).status()["state"] == "RUNNING"
        seen = times(run)
        process = Script("scripts/resume.py", "sweep", cwd=tmp_path)
    _, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    assert len(Run(run).status()["continued"]) == 2
    whole = alone(*words)
    assert (run / contents.HISTORY).read_bytes() == (whole / contents.HISTORY).read_bytes()
    assert (run / contents.METRICS).read_bytes() == (whole / contents.METRICS).read_bytes()


def times(run) -> int:
    return (run / contents.CHECKPOINT).stat().st_mtime_ns


def checkpointed(run, before) -> bool:
    """Whether it has a checkpoint that is another than before."""
    return (run / contents.CHECKPOINT).exists() and times(run) != before


def test_a_script_of_the_users_own_runs_too_and_what_it_said_before_it_died_is_shown(command, tmp_path):
    (tmp_path / "own.py").write_text(
        textwrap.dedent("""
            import hydra, os, pathlib, signal
            @hydra.main(version_base="1.3", config_path=None, config_name="own")
            def main(cfg):
                print("pid", os.getpid(), flush=True)
                if cfg.x == 2:
                    os.kill(os.getpid(), signal.SIGKILL)
                return cfg.x * 2
            if __name__ == "__main__":
                main()
        """)
    )
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs" / "own.yaml").write_text("x: 1\n")
    words = ("-m", "--config-dir", "configs", "x=1,2,3", "hydra/launcher=process", "hydra.launcher.retries=1")
    done = command(str(tmp_path / "own.py"), *words, "hydra.sweep.dir=sweep")
    assert done.returncode == 1
    said = [(tmp_path / "sweep" / f"000{i}" / "output.log").read_text().split() for i in range(3)]
    assert [len(set(words)) for words in said] == [2, 3, 2]
    assert f"pid {said[1][-1]}" in done.stderr
    assert "it was killed by SIGKILL; its output is in sweep/0001/output.log" in done.stderr
    returned = [json.loads((tmp_path / "sweep" / f"000{i}" / "returned.json").read_text()) for i in (0, 2)]
    assert returned == [2, 6]
