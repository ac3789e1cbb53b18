"""scripts/gallery.py: sweeps that compose, answers in two sentences with numbers of the runs."""

import dataclasses
import importlib.util
import re

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser

from neuronsweep.studies.gallery.entry import where
from neuronsweep.studies.gallery.fits import FITS
from neuronsweep.studies.gallery.training import TRAINING, _halved, _reached
from neuronsweep.studies.runs import Finished
from tests.commands import ROOT

ENTRIES = {entry.name: entry for entry in (*FITS, *TRAINING)}


def script():
    spec = importlib.util.spec_from_file_location("gallery_script", ROOT / "scripts" / "gallery.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_names_are_different():
    assert len(ENTRIES) == len(FITS) + len(TRAINING) >= 10


@pytest.mark.parametrize("name", ENTRIES)
def test_sweeps_compose(composed, name):
    parser = OverridesParser.create()
    for words in ENTRIES[name].sweeps:
        for pick in (0, -1):
            job = []
            for override in parser.parse_overrides(list(words)):
                values = list(override.sweep_string_iterator()) if override.is_sweep_override() else [None]
                value = override.get_value_element_as_str() if values[pick] is None else values[pick]
                job.append(f"{override.get_key_element()}={value}")
            composed(*job)


def test_what_never_happened_is_not_said_to_have_happened_at_first():
    assert _halved({"tanh": 3.0, "relu": 5.0}) == "The median loss has halved after 3 and 5 epochs"
    assert _halved({"tanh": 3.0, "relu": None}) == (
        "The median loss has halved after 3 epochs (tanh) and has not halved (relu)"
    )
    assert "after 2 passes and then walks" in _reached([False, True, False])
    assert "does not come within 0.1 of the least-squares line in 3 passes" in _reached([False] * 3)


@pytest.mark.parametrize("name", ["vanishing", "optimum"])
def test_an_answer_comes_from_its_runs(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    entry = ENTRIES[name]
    sweeps = tuple((*(word for word in words if not word.startswith("epochs")), "epochs=30") for words in entry.sweeps)
    picture, words = script().answered(dataclasses.replace(entry, sweeps=sweeps), tmp_path)
    assert picture.startswith(b"\x89PNG")
    assert len(picture) < 150_000
    assert re.search(r"\d", words)
    assert 2 <= len(re.findall(r"[a-z0-9)][.](?= [A-Z]|$)", words)) <= 3


def test_where_picks_complete_runs_by_what_was_set(tmp_path):
    values = [{"model.act": "relu", "seed": "1"}, {"model.act": "tanh", "seed": "1"}]
    runs = [Finished(i, "COMPLETE", each, {}, tmp_path) for i, each in enumerate(values)]
    runs.append(Finished(2, "FAILED", values[0], {}, tmp_path))
    assert [run.number for run in where(runs, model_act="relu", seed=1)] == [0]
    assert [run.number for run in where(runs, seed=1)] == [0, 1]


def test_an_unknown_name_is_one_line(command):
    done = command("scripts/gallery.py", "--only", "sime")
    assert done.returncode == 2
    assert done.stderr.startswith("error: --only sime is not allowed: it is one of sine, ")
    assert done.stderr.rstrip().endswith("did you mean sine?")
