"""Where no compiler works Lightning trains, a line says why, and no run of a sweep FAILs for it."""

from pathlib import Path

import pytest

from tests.commands import NO_REPORT, run

WORDS = ("-m", NO_REPORT, "data=line", "epochs=5", "log_points=2", "logger=none")


def no_compiler() -> None:
    from neuronsweep.engine import build, library

    library.directories = list
    build.compilers = list


def broken_compiler() -> None:
    from neuronsweep.engine import build, library

    library.directories = list
    build.compilers = lambda: [["false"]]


def lines_with(text: str, out: str) -> list[str]:
    return [line for line in out.splitlines() if text in line]


@pytest.mark.parametrize(
    ("before", "why"), [(no_compiler, "there is no C compiler: neither gcc"), (broken_compiler, "false: made nothing")]
)
def test_lightning_trains_and_one_line_says_why(tmp_path: Path, before, why):
    done = run("train.py", *WORDS, "seed=0,1", cwd=tmp_path, before=before)
    assert done.returncode == 0, done.stderr
    (line,) = lines_with(why, done.stdout)
    assert line.startswith("2 runs (0, 1) are trained by Lightning: ")
    assert "Traceback" not in done.stdout + done.stderr


@pytest.mark.parametrize("workers", [1, 2])
def test_a_search_says_it_once_however_many_batches_it_has(tmp_path: Path, workers):
    search = ("sweep=optuna", "hydra.sweeper.n_trials=4", "hydra.sweeper.batch=1", f"hydra.sweeper.workers={workers}")
    done = run("train.py", *WORDS, *search, "seed=choice(0,1,2,3)", cwd=tmp_path, before=broken_compiler)
    assert done.returncode == 0, done.stderr
    assert len(lines_with("false: made nothing", done.stdout)) == 1, done.stdout
