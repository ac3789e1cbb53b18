"""Who imports whom: arrows point one way, and what must start fast does not import what is slow."""

import ast
import subprocess
import sys

import pytest

from tests.commands import ROOT

SOURCE = ROOT / "src" / "neuronsweep"
FILES = sorted(path.relative_to(SOURCE) for path in SOURCE.rglob("*.py"))
LIGHTNING = ("data/module.py", "models/modules.py", "training/build.py", "training/run.py", "training/callbacks.py")


def imported(path, late: bool = True) -> set[str]:
    """Names of the modules that a file imports, at its top or, if ``late``, anywhere."""
    tree = ast.parse((SOURCE / path).read_text())
    nodes = ast.walk(tree) if late else tree.body
    found = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


@pytest.mark.parametrize("path", FILES, ids=str)
def test_only_a_single_run_needs_lightning(path):
    uses = any(name.split(".")[0] == "lightning" for name in imported(path))
    assert uses == (path.as_posix() in LIGHTNING)


@pytest.mark.parametrize("path", FILES, ids=str)
def test_arrows_point_one_way(path):
    names = imported(path)
    assert not any(name.split(".")[0] in ("train", "scripts", "tests") for name in names)
    if path.parts[0] != "report":
        assert not any(name.startswith("neuronsweep.report") for name in names)
    if path.parts[0] in ("engine", "models", "data", "figures", "analysis"):
        above = ("neuronsweep.training", "neuronsweep.launch", "neuronsweep.search", "neuronsweep.config.check")
        assert not any(name.startswith(above) for name in names)
    if path.name in ("ledger.py", "record.py"):
        ours = {name.split(".")[1] for name in names if name.startswith("neuronsweep.")}
        if path.name == "ledger.py":
            ours -= {"config"}
        assert ours <= {"errors", "runs", "config"}


@pytest.mark.parametrize(
    "module",
    [
        "neuronsweep.config.check",
        "neuronsweep.cli",
        "neuronsweep.launch.begin",
        "neuronsweep.report.text.ranking",
        "neuronsweep.engine.library",
        "neuronsweep.engine.random",
    ],
)
def test_what_every_command_imports_does_not_import_torch(module):
    code = f"import sys, {module}; sys.exit(any(m in sys.modules for m in ('torch', 'lightning', 'matplotlib')))"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
