"""Sweeps for the tests of reports, trained once."""

from pathlib import Path

import numpy as np
import pytest

from tests.commands import run


@pytest.fixture(scope="session")
def swept(tmp_path_factory):
    """Train a sweep without a report of its own and return its directory: swept("moons", "data=moons", ...)."""
    made: dict[tuple[str, ...], Path] = {}

    def swept(name: str, *words: str) -> Path:
        if (name, *words) not in made:
            directory = tmp_path_factory.mktemp("swept") / name
            more = ("logger=none", "~hydra.callbacks.report", f"hydra.sweep.dir='{directory}'")
            done = run("train.py", "-m", *words, *more, cwd=directory.parent)
            assert done.returncode in (0, 1), done.stderr
            made[name, *words] = directory
        return made[name, *words]

    return swept


@pytest.fixture(scope="session")
def sine(swept):
    """Widths by activations by seeds on the sine, seen from inside."""
    words = ("model.hidden=2,8", "model.act=relu,tanh", "seed=range(3)", "epochs=200", "log_points=10")
    return swept("sine", *words, "diagnostics=true")


@pytest.fixture(scope="session")
def houses(swept, tmp_path_factory):
    """Folds by seeds on a file with words, blanks and markup, whose best network is tested on rows left out."""
    rng = np.random.default_rng(0)
    size, colour = rng.uniform(0, 5, 150), rng.choice(["red", "blue"], 150)
    price = 100 - 20 * abs(size - 2) + 40 * (colour == "blue") + rng.normal(0, 5, 150)
    rows = [f"{i % 7},{'' if i % 9 == 0 else f'{size[i]:.3f}'},{colour[i]},{price[i]:.2f}" for i in range(150)]
    file = tmp_path_factory.mktemp("tables") / "houses.csv"
    file.write_text("\n".join(["noise <i>,size,colour,price", *rows]))
    words: tuple[str, ...] = ("data=table", f"data.file={file}", "data.target=price", "data.test=.2", "data.folds=3")
    words = (*words, "data.fold=range(3)", "seed=0,1", "model.hidden=1,8", "optimizer.lr=0.03")
    return swept("houses", *words, "epochs=60", "log_points=2", "batch_size=32", "data.yardstick=boosting")


@pytest.fixture(scope="session")
def searched(swept):
    """A search of two objectives with a constraint, pruned runs and diverged ones."""
    goals = "hydra.sweeper.objectives=[{metric: val/loss, mode: min}, {metric: params, mode: min}]"
    pruner = ("hydra.sweeper.pruner=median", "hydra.sweeper.prune_on=val/loss", "hydra.sweeper.batch=8")
    space = ("model.hidden=range(2,40)", "optimizer=sgd", "optimizer.lr=tag(log,interval(1e-3,1e12))")
    words = ("sweep=optuna", "data=moons", "epochs=30", "log_points=10", "hydra.sweeper.n_trials=24")
    return swept("searched", *words, goals, *pruner, *space, 'hydra.sweeper.constraints=["val/acc >= .6"]')


@pytest.fixture(scope="session")
def harmed(swept):
    """A sweep with failures, words that are markup, and one damaged run."""
    from neuronsweep.runs import contents
    from neuronsweep.runs.run import FAILED, Run

    words = ("data=moons", "optimizer=sgd", "optimizer.lr=0.1,1e30", "model.act=relu", "epochs=20", "seed=0,1,2")
    directory = swept("harmed <img src=x onerror=alert(1)>", *words, "log_points=4")
    (directory / "0001" / contents.METRICS).write_text("{}")
    status = Run(directory / "0003").status()
    assert status["state"] == FAILED
    Run(directory / "0003").update(error="Traceback: <script>document.title = 'broken'</script> & <b>bold</b>")
    return directory
