"""Pictures and TensorBoard events of members, written when all results are on disk."""

import os
import shutil
import signal
from unittest import mock

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from neuronsweep import figures
from neuronsweep.data.planes import moons
from neuronsweep.launch.pictures import EVERY, has_pictures, illustrate, unillustrated
from neuronsweep.models.checkpoint import load_network
from neuronsweep.runs import contents, files
from neuronsweep.runs.run import FAILED, PRUNED, Run
from neuronsweep.runs.sweep import run_directory
from tests import commands

WORDS = ("data=moons", "epochs=20", "log_points=5", "model.hidden=2,8", "model.act=relu,tanh")


@pytest.fixture
def sweep(command, tmp_path):
    """Train WORDS by a launcher and return the directory: sweep("basic")."""

    def sweep(launcher: str):
        words = (*WORDS, "diagnostics=true", "logger.pictures=3")
        done = command("train.py", "-m", *words, f"hydra/launcher={launcher}", f"hydra.sweep.dir={launcher}")
        assert done.returncode == 0, done.stderr
        return tmp_path / launcher

    return sweep


def events(directory):
    """What TensorBoard reads of a run, times and file names aside."""
    (path,) = directory.glob("events.out.tfevents.*")
    content = EventAccumulator(str(path), size_guidance={"scalars": 0}).Reload()
    scalars = {tag: [(e.step, e.value) for e in content.Scalars(tag)] for tag in content.Tags()["scalars"]}
    images = [(e.step, e.width, e.height) for e in content.Images("fit")] if content.Tags()["images"] else []
    graph = [(node.name, node.op, list(node.input)) for node in content.Graph().node]
    return scalars, images, graph, set(content.PluginTagToContent("hparams"))


def test_members_have_the_events_of_lightning_runs(sweep):
    sweeps = sweep("native"), sweep("basic")
    for number in range(4):
        ours, theirs = (events(run_directory(sweep, number)) for sweep in sweeps)
        assert ours[1:] == theirs[1:]
        assert [step for step, *_ in ours[1]] == [1, 6, 20]
        assert not (run_directory(sweeps[0], number) / contents.MOMENTS).exists()
        assert ours[0].keys() == theirs[0].keys()
        assert {"gradient/layers.0", "update/layers.1"} < ours[0].keys()
        for tag, points in ours[0].items():
            assert [step for step, _ in points] == [step for step, _ in theirs[0][tag]]
            assert [value for _, value in points] == pytest.approx([value for _, value in theirs[0][tag]], rel=1e-3)


def test_what_is_missing_is_written_and_nothing_else(sweep):
    directory = sweep("native")
    runs = [run_directory(directory, number) for number in range(4)]
    png = (runs[1] / contents.FIGURE).read_bytes()
    assert png == figures.fit_png(load_network(runs[1] / contents.MODEL), moons(), _title(runs[1]))
    for run in runs[1:3]:
        (run / contents.FIGURE).unlink()
    whole = events(runs[2])
    for path in runs[2].glob("events.*"):
        path.unlink()
    Run(runs[2]).update(state=FAILED)
    shutil.rmtree(runs[3])
    assert unillustrated(runs) == [runs[1], runs[2]]
    assert list(illustrate(runs[1:3], workers=1)) == [1, 2]
    assert (runs[1] / contents.FIGURE).read_bytes() == png
    failed = events(runs[2])  # one file, as before: with the scalars of the history, and no picture
    assert failed[0] == {tag: points[:5] for tag, points in whole[0].items() if len(points) >= 5}
    assert failed[1:] == ([], *whole[2:])
    assert len(list(runs[1].glob("events.*"))) == 1  # killed between events and picture, it has the events only once
    assert not (runs[2] / contents.FIGURE).exists()
    assert unillustrated(runs) == []
    without_tensorboard(runs[0])
    assert unillustrated(runs) == []


def test_runs_of_a_large_sweep_have_scalars_and_get_their_pictures_later(sweep):
    directory = sweep("native")
    runs = [run_directory(directory, number) for number in range(4)]
    whole = [events(run) for run in runs]
    for run in runs:
        for path in (run / contents.FIGURE, *run.glob("events.*")):
            path.unlink()
    assert unillustrated(runs, pictures=False) == runs
    assert list(illustrate(runs, workers=2, pictures=False))[-1] == 4
    assert unillustrated(runs, pictures=False) == []
    for run, (scalars, *_, hparams) in zip(runs, whole, strict=True):
        (path,) = run.glob("events.*")
        content = EventAccumulator(str(path), size_guidance={"scalars": 0}).Reload()
        assert {tag: len(content.Scalars(tag)) for tag in content.Tags()["scalars"]} == {
            tag: len(points) for tag, points in scalars.items()
        }
        assert (content.Tags()["images"], content.Tags()["graph"]) == ([], False)
        assert set(content.PluginTagToContent("hparams")) == hparams
    assert unillustrated(runs) == runs
    assert list(illustrate(runs, workers=2))[-1] == 4
    assert [events(run)[0] for run in runs] == [scalars for scalars, *_ in whole]
    assert all(len(events(run)[1]) == 1 and (run / contents.FIGURE).exists() for run in runs)


def test_how_many_runs_have_pictures():
    assert has_pictures(EVERY, {})
    assert not has_pictures(EVERY + 1, {})
    assert has_pictures(EVERY + 1, {"pictures": "all"})
    assert not has_pictures(1, {"pictures": 0})


def test_what_has_no_runs_is_not_drawn(command):
    done = command("scripts/draw.py", "nowhere")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)


def without_tensorboard(run):
    """Make a run one that was PRUNED without TensorBoard."""
    for path in (run / contents.FIGURE, *run.glob("events.*")):
        path.unlink()
    written = files.read_json(run / contents.RECORD)
    written["config"]["logger"]["_target_"] = None
    files.write_json(run / contents.RECORD, written)
    Run(run).update(state=PRUNED)


def _title(run) -> str:
    config, metrics = files.read_json(run / contents.RECORD)["config"], files.read_json(run / contents.METRICS)
    return figures.title(config, "val/loss", metrics["val/loss"])


def test_a_process_that_dies_while_it_draws_is_told(tmp_path):
    before = die
    words = ("-m", "data=line", "seed=0,1", "epochs=2", "log_points=1", "hydra.sweep.dir=sweep", commands.NO_REPORT)
    done = commands.run("train.py", *words, cwd=tmp_path, before=before)
    assert done.returncode == 0, done.stderr
    assert "2 pictures were not drawn: a process died; to draw them: python scripts/resume.py sweep" in done.stdout


def die() -> None:
    """Have every process that draws be killed."""
    from neuronsweep.launch import pictures

    def draw(directory: object) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    mock.patch.object(pictures, "Illustrator", return_value=draw).start()
