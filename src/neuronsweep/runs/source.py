"""Which source files of the package decide the numbers of a run, and digests of them.

Most files count as wholes. Of those that grow by what other runs do not use, a table of activations or a file of data
sets, only what a config names counts: who adds an activation does not want to train all finished sweeps again.
"""

import ast
import hashlib
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

SOURCE = Path(__file__).parents[1]

# Files that compute data, weights and metrics. Schemas are not among them, for a fingerprint has the values; nor is
# what keeps, shows or explains numbers. tests/runs/test_source.py says why nothing else that these files import counts.
COUNTED = (
    *("analysis/*.py", "data/*.py", "models/*.py", "training/*.py"),
    # not how it is compiled and found: every build has the same bits
    *("philox.py", "engine/description.py", "engine/layout.py", "engine/member.py", "engine/train.py"),
    "engine/native/*.[ch]",
)
# Of these only the function that draws a run's data, and what that calls, counts.
DRAWERS = ("data/curves.py", "data/planes.py")
# Of this table only a run's own entries count.
NETWORK, TABLE = "models/mlp.py", "ACTIVATIONS"


def counted() -> list[Path]:
    """The files whose text decides the numbers of every run, sorted."""
    files = {path for pattern in COUNTED for path in SOURCE.glob(pattern)}
    return sorted(files - {SOURCE / name for name in DRAWERS})


@cache
def source_digest() -> str:
    """SHA-256 of what decides the numbers of every run, by relative name."""
    sha = hashlib.sha256()
    for path in counted():
        name = path.relative_to(SOURCE).as_posix()
        content = _activations()[0].encode() if name == NETWORK else path.read_bytes()
        sha.update(f"{name}\n".encode())
        sha.update(content)
    return sha.hexdigest()


def own_digests(config: Mapping[str, Any]) -> dict[str, str]:
    """SHA-256 of what decides the numbers of runs with this resolved config only, by what it is called there."""
    network, data = config.get("model", {}), config.get("data", {}).get("_target_")
    names = [network.get(key) for key in ("act", "out_act")]
    flat = [str(one) for name in names for one in (name if isinstance(name, list) else [name])]
    found = {f"the activation {name}": _activations()[1][name] for name in sorted({*flat} & _activations()[1].keys())}
    drawn = _drawn(data) if data else ""
    found |= {f"the data set {data}": drawn} if drawn else {}
    return {name: hashlib.sha256(text.encode()).hexdigest() for name, text in found.items()}


@cache
def _activations() -> tuple[str, dict[str, str]]:
    """The text of the network's file without its table of activations, and the table's entries by name."""
    text = (SOURCE / NETWORK).read_text()
    for node in ast.parse(text).body:
        if isinstance(node, ast.AnnAssign) and isinstance(node.value, ast.Dict) and ast.unparse(node.target) == TABLE:
            pairs = zip(node.value.keys, node.value.values, strict=True)
            entries = {str(ast.literal_eval(key)): _text(text, value) for key, value in pairs if key}
            return text.replace(_text(text, node.value), "", 1), entries
    return text, {}


@cache
def _drawn(target: str) -> str:
    """The text of the function that draws a data set of ours with all definitions of its file that it needs."""
    module, _, name = target.rpartition(".")
    path = SOURCE.parent / f"{module.replace('.', '/')}.py"
    if path not in {SOURCE / drawer for drawer in DRAWERS}:
        return ""
    text = path.read_text()
    nodes = {name: node for node in ast.parse(text).body for name in _defines(node)}
    needed, new = set[str](), {name}
    while new := new & nodes.keys() - needed:
        needed |= new
        new = {part.id for one in new for part in ast.walk(nodes[one]) if isinstance(part, ast.Name)}
    return "\n".join(_text(text, nodes[one]) for one in sorted(needed))


def _defines(node: ast.stmt) -> Iterator[str]:
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        yield node.name
    elif isinstance(node, ast.Assign | ast.AnnAssign):
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        yield from (part.id for target in targets for part in ast.walk(target) if isinstance(part, ast.Name))


def _text(text: str, node: ast.AST) -> str:
    decorators = [ast.get_source_segment(text, one) or "" for one in getattr(node, "decorator_list", ())]
    return "\n".join([*decorators, ast.get_source_segment(text, node) or ""])
