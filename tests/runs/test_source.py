"""What the fingerprint covers of the package: a change of each counted file is noticed, of each other one is not."""

import ast
import shutil
from pathlib import Path

import pytest

from neuronsweep.config.check import plain
from neuronsweep.runs import record, source
from tests.commands import ROOT

PACKAGE = ROOT / "src" / "neuronsweep"
# Every file and folder of the package: does it decide numbers? Who adds one says so here.
DECIDES = {
    *("analysis", "data", "engine", "models", "philox.py", "training"),
}
# Of the native engine: how it is compiled and found decides none, every build has the same bits.
ENGINE, NOT_OF_ENGINE = (
    {"description.py", "layout.py", "member.py", "train.py", "native"},
    {"__init__.py", "build.py", "library.py"},
)
DOES_NOT = {
    *("config", "export", "figures", "launch", "report", "runs", "search", "studies"),
    *(
        "__init__.py",
        "cli.py",
        "console.py",
        "errors.py",
        "hydra_callbacks.py",
        "predictor.py",
        "py.typed",
        "replay.py",
    ),
    *("starting.py", "stopping.py", "tensorboard.py"),
}
# What counted files import of the others, and why no number depends on it.
IMPORTED = {
    "console": "messages",
    "errors": "messages",
    "tensorboard": "TensorBoard",
    "figures": "pictures",
    "engine.library": "compiles and finds the engine: every build has the same bits",
    "config": "reads a config, which the fingerprint has",
    "stopping": "ends a command, or does not",
    "launch": "whoever asked for a run: it stops runs, and computes nothing",
    "search": "the pruner: it stops runs, and computes nothing",
    "runs": "files, locks, records: they keep runs, and compute nothing",
}
SAMPLE = ("data=moons", "data=spirals", "model.act=tanh", "model.out_act=sigmoid")


@pytest.fixture
def copied(tmp_path, monkeypatch):
    """A copy of the package that is asked for its digests in place of it."""
    copy = tmp_path / "neuronsweep"
    shutil.copytree(PACKAGE, copy, ignore=shutil.ignore_patterns("__pycache__", "*.so"))
    monkeypatch.setattr(source, "SOURCE", copy)
    forget()
    yield copy
    monkeypatch.undo()
    forget()


def forget() -> None:
    for function in (source.source_digest, source._activations, source._drawn):
        function.cache_clear()


@pytest.fixture
def fingerprints(composed):
    configs = {words: plain(composed(*words.split())) for words in ("", *SAMPLE)}

    def fingerprints() -> dict[str, str]:
        forget()
        return {words: record.fingerprint(config, "data") for words, config in configs.items()}

    return fingerprints


def files(package):
    return [path for path in sorted(package.rglob("*")) if path.is_file() and "__pycache__" not in path.parts]


def test_every_file_of_the_package_is_said_to_decide_numbers_or_not():
    names = {path.name for path in PACKAGE.iterdir() if path.name != "__pycache__"}
    assert names == DECIDES | DOES_NOT
    assert {path.name for path in (PACKAGE / "engine").iterdir()} - {"__pycache__"} == ENGINE | NOT_OF_ENGINE
    assert not DECIDES & DOES_NOT


def test_a_change_of_each_counted_file_is_noticed_and_of_each_other_is_not(copied, fingerprints):
    before = fingerprints()
    noticed = set()
    for path in files(copied):
        content = path.read_bytes()
        path.write_bytes(content + b"\n# a word more\n")
        after = fingerprints()
        assert after == before or not set(after.values()) & set(before.values()), path  # all runs, or none
        if after != before:
            noticed.add(path.relative_to(copied))
        path.write_bytes(content)
    assert fingerprints() == before
    drawers = {name.removeprefix("data/") for name in source.DRAWERS}  # of which functions count, as below
    expected = {
        path.relative_to(copied)
        for path in files(copied)
        if path.relative_to(copied).parts[0] in DECIDES and path.suffix in (".py", ".c", ".h")
    }
    expected -= {Path("engine", name) for name in NOT_OF_ENGINE}
    assert noticed == {path for path in expected if path.name not in drawers}


def test_what_counted_files_import_is_counted_or_computes_nothing():
    for path in source.counted():
        for node in ast.walk(ast.parse(path.read_text()) if path.suffix == ".py" else ast.Module([], [])):
            if not isinstance(node, ast.ImportFrom) or not node.module or not node.module.startswith("neuronsweep"):
                continue
            within = [f"{node.module}.{one.name}" for one in node.names]  # a module of a package, or of a module's
            exist = [name for name in within if (PACKAGE.parent / f"{name.replace('.', '/')}.py").exists()]
            names = exist or ([node.module] if node.module != "neuronsweep" else within)
            for name in (name.removeprefix("neuronsweep.") for name in names):
                whole = {source.SOURCE / f"{name.replace('.', '/')}{end}" for end in (".py", "/__init__.py")}
                known = name in IMPORTED or name.partition(".")[0] in IMPORTED
                assert known or whole & set(source.counted()), f"{path.name} imports {name}"


def changed(path, fingerprints, old: str, new: str) -> set[str]:
    """The samples whose fingerprints change with a piece of a file."""
    before, text = fingerprints(), path.read_text()
    assert text.count(old) == 1
    path.write_text(text.replace(old, new))
    after = fingerprints()
    path.write_text(text)
    return {words for words, found in before.items() if after[words] != found}


def test_an_activation_counts_where_it_is_used(copied, fingerprints):
    network = copied / "models" / "mlp.py"
    entry = '    "tanh": torch.tanh,\n'
    assert changed(network, fingerprints, entry, entry + '    "mish": F.mish,\n') == set()
    assert changed(network, fingerprints, '"tanh": torch.tanh', '"tanh": lambda x: 1.1 * torch.tanh(x)') == {
        "model.act=tanh"
    }
    assert changed(network, fingerprints, '"sigmoid": torch.sigmoid', '"sigmoid": F.silu') == {"model.out_act=sigmoid"}
    # one of a network with an activation a layer
    config = {"model": {"act": ["tanh", "relu"], "out_act": "identity"}}
    assert set(source.own_digests(config)) == {f"the activation {name}" for name in ("tanh", "relu", "identity")}


def test_a_data_set_counts_where_it_is_used_with_what_it_calls(copied, fingerprints):
    planes = copied / "data" / "planes.py"
    assert changed(planes, fingerprints, "def spirals(", "def mine():\n    pass\n\n\ndef spirals(") == set()
    # what draws moons calls it from within
    assert changed(planes, fingerprints, "rng.shuffle(order)", "rng.shuffle(order[::-1])") == {"data=moons"}
    assert changed(planes, fingerprints, "def spirals(", "def spirals(more=0, ") == {"data=spirals"}


def test_a_record_names_the_sources_that_its_config_names(composed, tmp_path, monkeypatch):
    (tmp_path / "houses.py").write_text("def houses():\n    pass\n")
    monkeypatch.syspath_prepend(tmp_path)
    config = plain(composed("data=moons"))
    config["data"] = {"_target_": "houses.houses"}
    asked = record.record([], config, "digest")
    assert list(asked["sources"]) == ["the activation identity", "the activation relu", "houses.houses"]
    begun = record.fingerprint(config, "digest")
    assert begun == record.fingerprint_of(asked["config"], asked["source_digest"], asked["sources"], "digest")
    (tmp_path / "houses.py").write_text("def houses():\n    pass  # a comment\n")
    record._file_digest.cache_clear()
    record._source_of.cache_clear()
    assert record.fingerprint(config, "digest") != begun
    assert record.differences(asked, config, "digest") == ["the source of houses.houses changed"]
