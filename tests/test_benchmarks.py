"""Every benchmark works: with --quick it ends in seconds and prints its table."""

import re
import sys

import pytest

from benchmarks.postgres_workers import PROGRAMS
from tests.commands import ROOT, run

BENCHMARKS = sorted(path.stem for path in (ROOT / "benchmarks").glob("*.py"))


@pytest.mark.parametrize("name", BENCHMARKS)
def test_a_benchmark_works(name, tmp_path):
    if name == "postgres_workers" and not PROGRAMS:
        pytest.skip("PostgreSQL is not installed: apt-get install postgresql")
    if name == "engine_jax":
        pytest.importorskip("jax", reason="JAX has an environment of its own")
    done = run(f"benchmarks/{name}.py", "--quick", cwd=tmp_path, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"\d", done.stdout)
    assert not list(tmp_path.iterdir())


def test_a_server_that_is_not_there_is_one_line(monkeypatch, capsys):
    from benchmarks import postgres_workers

    monkeypatch.setattr(postgres_workers, "PROGRAMS", [])
    monkeypatch.setattr(sys, "argv", ["postgres_workers.py"])
    with pytest.raises(SystemExit, match="2"):
        postgres_workers.main()
    assert "PostgreSQL is not installed" in capsys.readouterr().err.splitlines()[-1]
