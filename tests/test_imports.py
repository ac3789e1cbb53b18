"""Which room imports which, and that commands which must start fast do not import what is slow."""

import ast
import re
import subprocess
import sys
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

from tests.commands import ROOT

SOURCE = ROOT / "src" / "neuronsweep"
FILES = sorted(path.relative_to(SOURCE) for path in SOURCE.rglob("*.py"))
LIGHTNING = ("data/module.py", "models/modules.py", "training/build.py", "training/run.py", "training/callbacks.py")


# The rooms of the package from top to bottom, and what each may import: only what stands below it.
ROOMS = {
    "hydra_callbacks": "report launch runs cli config console stopping errors",
    "report": "search figures predictor models analysis data runs config console stopping errors",
    "studies": "launch figures predictor analysis models data runs errors",
    "replay": "training launch engine data runs config errors",
    "training": "search launch tensorboard figures analysis models data runs config console stopping errors",
    "search": "launch runs cli config console stopping errors",
    "launch": "engine tensorboard figures predictor analysis models data runs cli config console stopping errors",
    "engine": "models data config",
    "tensorboard": "runs config",
    "figures": "data config",
    "predictor": "models runs config errors",
    "export": "analysis models data errors",
    "analysis": "models data config",
    "models": "data config philox errors",
    "data": "config philox errors",
    "runs": "config console stopping errors",
    "cli": "config stopping errors",
    "config": "errors",
    "console": "stopping errors",
    "philox": "",
    "stopping": "",
    "starting": "",
    "errors": "",
}


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


def module_of(path) -> str:
    return ".".join(("neuronsweep", *path.with_suffix("").parts)).removesuffix(".__init__")


MODULES = {module_of(path): path for path in FILES}


def ours(path) -> set[str]:
    """Names of the modules of the package that a file imports."""
    found = {name if name in MODULES else name.rpartition(".")[0] for name in imported(path)}
    return found & MODULES.keys() - {"neuronsweep", module_of(path)}


@pytest.mark.parametrize("path", FILES, ids=str)
def test_only_a_single_run_needs_lightning(path):
    uses = any(name.split(".")[0] == "lightning" for name in imported(path))
    assert uses == (path.as_posix() in LIGHTNING)


@pytest.mark.parametrize("path", FILES, ids=str)
def test_a_room_imports_only_those_below_that_it_may(path):
    assert not any(name.split(".")[0] in ("train", "scripts", "tests") for name in imported(path))
    if path.name != "__init__.py" or len(path.parts) > 1:
        room = path.parts[0].removesuffix(".py")
        assert {name.split(".")[1] for name in ours(path)} <= {room, *ROOMS[room].split()}


def test_the_rooms_stand_in_order_and_may_import_nothing_that_they_do_not():
    order = list(ROOMS)
    for room, below in ROOMS.items():
        assert all(order.index(other) > order.index(room) for other in below.split()), room
        files = [path for path in FILES if path.parts[0].removesuffix(".py") == room]
        used = {name.split(".")[1] for path in files for name in ours(path)} - {room}
        assert used == set(below.split()), room


def test_no_files_import_each_other_in_a_circle():
    TopologicalSorter({module_of(path): ours(path) for path in FILES}).prepare()  # raises CycleError, which names it


def test_the_architecture_page_has_the_table_of_rooms():
    text = (ROOT / "docs" / "architecture.md").read_text()
    rows = re.findall(r"^\| `(\w+)(?:/|\.py)` \|.*\| ([\w ,]*) \|$", text, re.MULTILINE)
    assert {room: may.replace(",", "") for room, may in rows} == {
        room: below or "nothing" for room, below in ROOMS.items()
    }


def test_what_keeps_runs_stands_on_little():
    for name in ("files.py", "run.py", "sweep.py", "record.py"):
        rooms = {module.split(".")[1] for module in ours(Path("runs", name))}
        assert rooms <= {"errors", "runs", "config"}


@pytest.mark.parametrize(
    "module",
    [
        "neuronsweep.config.check",
        "neuronsweep.cli",
        "neuronsweep.launch.begin",
        "neuronsweep.report.text.ranking",
        "neuronsweep.engine.library",
        "neuronsweep.philox",
    ],
)
def test_what_every_command_imports_does_not_import_torch(module):
    code = f"import sys, {module}; sys.exit(any(m in sys.modules for m in ('torch', 'lightning', 'matplotlib')))"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
