"""Commands as a stranger types them: every mistake is one line and exit status 2, and nothing is written."""

import pytest

from neuronsweep.config.schemas.model import ACTIVATIONS
from tests.commands import run_fresh

# what is typed, and the words that the one line must hold
MISTAKES = {
    "epoch=3": ("epoch is not a key", "did you mean epochs?"),
    "model.hiden=3": ("model.hiden is not a key", "did you mean model.hidden?"),
    "hidden=3": ("hidden is not a key", "did you mean model.hidden?"),
    "trainer.early_stopping.patence=3": ("did you mean trainer.early_stopping.patience?",),
    "optimizer.momentum=0.9": ("optimizer.momentum is not a key of the optimizer chosen here",),
    "data=line data.noise=1": ("data.noise is not a key of the data chosen here",),
    "+model.size=3": ("model.size", "nothing would read it"),
    "model.hidden=abc": ("model.hidden=abc", "a whole number >= 1"),
    "model.hidden=2.5": ("model.hidden=2.5", "a whole number >= 1"),
    "model.skip=maybe": ("model.skip=maybe", "true or false"),
    "model.hidden=0": ("model.hidden=0", "a whole number >= 1"),
    "model.depth=-1": ("model.depth=-1", "a whole number >= 0"),
    "model.dropout=1": ("model.dropout=1.0", "a number >= 0 and < 1"),
    "optimizer.lr=0": ("optimizer.lr=0.0", "a finite number > 0"),
    "optimizer.lr=-1": ("optimizer.lr=-1.0", "a finite number > 0"),
    "optimizer.lr=nan": ("optimizer.lr=nan", "a finite number > 0"),
    "optimizer.lr=inf": ("optimizer.lr=inf", "a finite number > 0"),
    "data.noise=-1": ("data.noise=-1.0", "a finite number >= 0"),
    "batch_size=0": ("batch_size=0", "full or a whole number >= 1"),
    "batch_size=half": ("batch_size=half", "full or a whole number >= 1"),
    "data.low=3": ("data.low=3.0", "data.high", "2.5"),
    "data.n=0": ("data.n=0",),
    "epochs=0": ("epochs=0", "a whole number >= 1"),
    "model.act=rleu": ("model.act=rleu", *ACTIVATIONS, "did you mean relu?"),
    "model.hidden=[64,0]": ("model.hidden=[64,0]", "a whole number >= 1, or a list with one for each hidden layer"),
    "model.hidden=[]": ("model.hidden=[]", "a list with one for each hidden layer"),
    "model.hidden={a:1}": ("model.hidden=", "a whole number >= 1"),
    "model.hidden=null": ("model.hidden=null", "a whole number >= 1"),
    "model.hidden=[64,16] model.depth=3": ("model.depth=3", "model.hidden=[64,16]", "2 here"),
    "model.hidden=[64,16] model.skip=true": ("model.skip=true", "model.hidden=[64,16]", "the same width"),
    "model.hidden=[64,16] model.act=[relu,tahn]": ("model.act=[relu,tahn]", *ACTIVATIONS, "did you mean tanh?"),
    "model.act=[relu,tanh]": ("model.act=[relu,tanh]", "1 hidden layer:"),
    "loss=hubber": ("loss=hubber", "quantile", "did you mean huber?"),
    "loss=huber loss.dleta=1": ("loss.dleta", "did you mean loss.delta?"),
    "loss=huber loss.delta=0": ("loss.delta=0.0", "a finite number > 0"),
    "loss=huber loss.q=0.9": ("loss.q is not a key of the loss chosen here",),
    "loss=quantile loss.q=1": ("loss.q=1.0", "a number > 0 and < 1"),
    "loss.name=huber": ("loss.name=huber", "auto in the file chosen here"),
    "loss=cross_entropy": ("loss=cross_entropy", "one of auto, mse, mae, huber, quantile"),
    "data=moons loss=mse": ("loss=mse", "one of auto, cross_entropy"),
    "data=spirals loss=cross_entropy loss.class_weights=[1,3]": ("loss.class_weights=[1,3]", "3 classes"),
    "data=moons loss=cross_entropy loss.class_weights=[1,-3]": ("loss.class_weights=[1,-3]", "numbers > 0"),
    "data=moons loss=cross_entropy loss.class_weights=balance": (
        "loss.class_weights=balance ",
        "did you mean balanced?",
    ),
    "data=moons loss=cross_entropy loss.class_weights=[1,x]": ("loss.class_weights=[1,x]", "one a class"),
    "objective.metric=val/mse": ("objective.metric=val/mse", "val/loss"),
    "scheduler=one_cicle": ("scheduler=one_cicle", "did you mean one_cycle?"),
    "scheduler=one_cycle scheduler.total_steps=5": ("scheduler.total_steps=5", ">= epochs, which is 2000"),
    "scheduler=one_cycle epochs=10 scheduler.pct_start=0.1": ("scheduler.pct_start=0.1", "one epoch"),
    "scheduler=one_cycle scheduler.cycle_momentum=true": ("scheduler.cycle_momentum=true",),
    "scheduler=warmup scheduler.start_factor=0": ("scheduler.start_factor=0.0", "a number > 0 and <= 1"),
    "optimizer=nadm": ("optimizer=nadm", "did you mean nadam?"),
    "trainer.gradient_clip_value=0": ("trainer.gradient_clip_value=0.0", "a finite number > 0"),
    "-m model.hidden=[8,8],[8,0]": ("job 1", "model.hidden=[8,0]"),
    "data=mons": ("data=mons", "did you mean moons?"),
    "experiment=moons_liner": ("experiment=moons_liner", "did you mean moons_linear?"),
    "optimizer=adm": ("optimizer=adm", "did you mean adam?"),
    "optimizer.lrr=1": ("optimizer.lrr", "did you mean optimizer.lr?"),
    "optimizer=sgd optimizer.nesterov=true": ("optimizer.nesterov=true", "momentum > 0"),
    "objective.metric=val/los": ("objective.metric=val/los", "did you mean val/loss?"),
    "data=moons objective.metric=outer/loss": ("objective.metric=outer/loss", "val/auroc"),
    "trainer.keep=best objective.metric=val/r2": ("objective.metric=val/r2", "trainer.keep=best", "loss and acc"),
    "objective.metric=optimum/los": ("did you mean optimum/loss?",),
    "-m model.hidden=2,8 model.act=tanh objective.metric=optimum/loss": ("job 0", "with this data and network", "mae"),
    "data=line objective.metric=outer/r2": ("with this data and network it is one of", "val/r2"),
    "trainer.keep=best objective.metric=optimum/loss": ("trainer.keep=best", "loss and acc"),
    "scheduler=plateau objective.metric=val/mae": ("objective.metric=val/mae", "scheduler=plateau"),
    "model.norm=batch batch_size=1": ("model.norm=batch", "batch_size=1"),
    "trainer.devices=2": ("trainer.devices=2", "ddp_cpu"),
    "trainer=ddp_cpu trainer.devices=2 optimizer=lbfgs": ("optimizer=lbfgs", "several devices"),
    "trainer=gpu": ("gpu", "CUDA devices"),
    "model.hidden": ("model.hidden", "KEY=VALUE"),
    "hydra.run.dir=/proc/nowhere": ("/proc/nowhere", "output directory"),
    "hydra.run.dir=a_file/run": ("a_file/run", "output directory"),
    # under -m all jobs are checked before the first is trained
    "-m model.hidden=2,0": ("job 1", "model.hidden=0"),
    "-m model.hidden=2,4 model.act=relu,thanh": ("job 1", "did you mean tanh?"),
    "-m experiment=moons_linear,moons_liner": ("did you mean moons_linear?",),
    "-m model.hiden=2,4": ("did you mean model.hidden?",),
    "-m model.hidden=2,x": ("model.hidden=x", "a whole number >= 1"),
    "-m optimizer.lr=${nothing},0.1": ("job 0", "'nothing' not found"),
    "-m optimizer.lr=interval(0.1,1)": ("interval", "a grid"),
    "-m seed=0,1 hydra/launcher=vectorized": ("hydra/launcher=vectorized", "native"),
    "-m seed=0,1 population.workers=2": ("population is not a key", "engine.threads"),
    "-m seed=0,1 population.snapshot_seconds=2": ("population is not a key", "engine.snapshot_seconds"),
    "-m seed=0,1 trainer=ddp_cpu trainer.devices=2 hydra/launcher=basic": (
        "trainer.devices=2",
        "native or process",
    ),
    "data=/data/a.csv": (
        "data=/data/a.csv is not allowed: data is one of breast_cancer, circles",
        "--config-dir DIR data=NAME",
    ),
    "data=./a.csv": ("data=./a.csv is not allowed: data is one of breast_cancer, circles",),
    "--foo": ("--foo is not an option", "--hydra-help"),
    "--config-dri=a": ("did you mean --config-dir?",),
    "--cfg nothing": ("--cfg", "'job', 'hydra', 'all'"),
    "-m --cfg job": ("-m and --cfg are not allowed together",),
    "--resolve": ("--resolve is not allowed without --cfg",),
    "--config-dir nowhere": ("nowhere is not allowed: it is not a directory",),
    "--config-name nothing": ("--config-name=nothing is not allowed",),
    "~model.act": ("~model.act is not allowed: the config needs all of its keys",),
    "~model.act=tanh": ("~model.act=tanh is not allowed: model.act is relu",),
    "~hydra.callbacks.nothing": ("the config has no hydra.callbacks.nothing",),
    "+experiment=moons_linear": ("which is changed by experiment=moons_linear",),
    "+epochs=3": ("which is changed by epochs=3",),
    "+experiment=moons_liner": ("experiment=moons_liner", "did you mean moons_linear?"),
    "epochs=1,2": ("python train.py -m epochs=1,2 trains a run for each value",),
    "hydra.run.dir=é": ("""typed in quotes: 'hydra.run.dir="é"'""",),
    "-m objective.metric=val/loss,é": ("""typed in quotes: 'objective.metric=val/loss,"é"'""",),
    "model.act=sin(3*x)": ("""typed in quotes: 'model.act="sin(3*x)"'""",),
    "model.hidden=[1": ("model.hidden=[1", "a bracket is not closed"),
    "é=3": ("é=3 is not KEY=VALUE: é is not a key",),
    "-m epochs=1,": ("nothing follows the last comma",),
    "-m hydra.sweep.dir=/proc/nowhere seed=0,1": ("/proc/nowhere", "output directory"),
}


@pytest.mark.parametrize("words", MISTAKES)
def test_a_mistake_is_one_line_and_leaves_nothing(command, tmp_path, words):
    (tmp_path / "a_file").write_text("")
    done = command("train.py", *words.split())
    assert done.returncode == 2, done.stderr
    lines = done.stderr.strip().splitlines()
    assert len(lines) == 1, done.stderr
    assert lines[0].startswith("error: ")
    assert all(word in lines[0] for word in MISTAKES[words]), lines[0]
    assert [path.name for path in tmp_path.iterdir()] == ["a_file"]


@pytest.mark.parametrize("words", ["--help", "model.hidden=0", "-m model.hidden=2,0", "--cfg job"])
def test_help_and_mistakes_do_not_import_torch(tmp_path, words):
    (tmp_path / "torch.py").write_text("raise SystemExit('torch was imported')")
    done = run_fresh("train.py", *words.split(), cwd=tmp_path, environment={"PYTHONPATH": str(tmp_path)})
    assert "torch was imported" not in done.stdout + done.stderr
    assert done.returncode in (0, 2)


def test_hydra_full_error_shows_the_traceback(command):
    done = command("train.py", "epoch=3", HYDRA_FULL_ERROR="1")
    assert "Traceback" in done.stderr


def test_a_run_directory_is_not_written_twice(command):
    words = ("epochs=3", "data=line", "hydra.run.dir=run")
    assert command("train.py", *words).returncode == 0
    done = command("train.py", *words)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "it contains a run that is COMPLETE" in done.stderr


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["data=null"], "data=null is not allowed: a group is chosen by a name"),
        (["-m", "seed=0,1", "data=sine,null"], "data=sine,null is not allowed: a group is chosen by a name"),
        (["=3"], "=3 is not allowed"),
        (["-m", "hydra.sweeper=5"], "hydra.sweeper=5 is not allowed: a group of Hydra's is chosen by a name"),
        (["-m", "epoch=3,4"], "epoch is not a key of the config; did you mean epochs?"),
        (["~epochs"], "~epochs is not allowed: the config needs all of its keys"),
        (["~trainer"], "~trainer is not allowed: the config needs all of its keys"),
        (["data._target_=os.nope"], "data._target_=os.nope is not allowed: Error loading 'os.nope'"),
        (["data=spirals", "data.classes=400"], "data.classes=400 is not allowed"),
        (["data.low=2.4", "data.n=3"], "none of the 3 samples lies between them"),
        (["model.norm=batch", "batch_size=479"], "the last batch has 1 sample"),
        (["-m", "model.norm=batch", "batch_size=7,479"], "batch_size=479: the last batch has 1 sample"),
    ],
)
def test_what_no_config_has_is_one_line_and_leaves_nothing(command, tmp_path, words, message):
    done = command("train.py", *words)
    assert (done.returncode, done.stderr.count("\n"), done.stdout) == (2, 1, ""), done.stderr
    assert message in done.stderr
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("module._target_=os.path", "module._target_=os.path is not allowed: Located non-class"),
        ("module._target_=neuronsweep.models.modules.ClassificationModule", "with this data it is a RegressionModule"),
        ("optimizer._target_=torch.optim.Nope", "optimizer._target_=torch.optim.Nope is not allowed"),
        ("scheduler._target_=x.y", "scheduler._target_=x.y is not allowed: Error loading 'x.y'"),
    ],
)
def test_a_target_that_is_none_is_one_line(command, word, message):
    done = command("train.py", word, "logger=none")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1), done.stderr
    assert message in done.stderr


def test_a_job_whose_data_cannot_be_built_fails_by_its_number(command):
    done = command("train.py", "-m", "data.n=3,100", "data.low=2.4", "epochs=2", "logger=none")
    assert done.returncode == 1
    assert "#0 data.n=3 data.low=2.4 epochs=2 logger=none  FAILED: data.low=2.4 data.high=2.5 is not" in done.stderr
    assert "1 of 2 runs did not complete: 0" in done.stderr


OWN_DATA = """
import torch
from neuronsweep.data.dataset import Dataset, Split


def mine(low, high=0.0):
    x = torch.linspace(low, 1.0, 8)[:, None]
    return Dataset({"train": Split(x, x), "val": Split(x, x)})
"""


def test_data_of_ones_own_may_have_keys_that_mean_something_elsewhere(command, tmp_path):
    (tmp_path / "conf" / "data").mkdir(parents=True)
    (tmp_path / "theirs.py").write_text(OWN_DATA)
    (tmp_path / "conf" / "data" / "own.yaml").write_text("_target_: theirs.mine\nlow: 2.0\nhigh: 1.0\n")
    words = ("--config-dir", "conf", "data=own", "epochs=2", "log_points=1", "logger=none")
    environment = {"PYTHONPATH": str(tmp_path)}
    done = command("train.py", *words, "data.low=a", **environment)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1), done.stderr
    assert "data._target_=theirs.mine is not allowed: linspace()" in done.stderr
    assert command("train.py", *words, **environment).returncode == 0
    assert command("train.py", *words, "~data.high", "hydra.run.dir=other", **environment).returncode == 0
    (tmp_path / "conf" / "data" / "own.yaml").write_text("_target_: neuronsweep.data.curves.sine\nlow: 1\nhigh: 2\n")
    done = command("train.py", *words, "data.low=a")
    assert (done.returncode, done.stderr) == (2, "error: data.low=a is not allowed: data.low is a finite number\n")


@pytest.mark.parametrize("environment", [{"PYTHONIOENCODING": "ascii"}, {"LC_ALL": "POSIX"}])
def test_a_terminal_without_some_letter_fails_nobody(tmp_path, environment):
    words = ("data=line", "epochs=2", "log_points=1", "logger=none", "hydra.run.dir='ü ö'")
    done = run_fresh("train.py", *words, cwd=tmp_path, environment=environment)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "ü ö" / "metrics.json").exists()
    again = run_fresh("scripts/resume.py", "ü ö", cwd=tmp_path, environment=environment)
    assert "is COMPLETE: nothing to do" in again.stdout


def test_a_bar_on_a_narrow_terminal_without_an_ellipsis(monkeypatch):
    import io

    from neuronsweep import console

    file = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(console, "CONSOLE", console.Terminal(file=file, force_terminal=True, width=12))
    bar = console.Bar("epochs", 1000)
    bar.advance_to(500, "train/loss 0.1234  val/loss 0.1234")
    bar.progress.refresh()
    bar.close()


def test_a_directory_whose_name_libraries_cannot_write_is_one_line(command, tmp_path):
    from neuronsweep.errors import UserError
    from neuronsweep.launch.begin import make_directory

    with pytest.raises(UserError, match=r"\\udce4 cannot be used as output directory: its name is not UTF-8"):
        make_directory(tmp_path / "\udce4")
    assert not list(tmp_path.iterdir())
