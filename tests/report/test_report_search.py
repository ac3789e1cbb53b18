"""A search in its report: what is shown is what the runs and the study say."""

import json
import shutil
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
import yaml

from neuronsweep.errors import UserError
from neuronsweep.report.build import TEXT, build
from neuronsweep.report.charts.all import charts
from neuronsweep.report.data.search import search_of
from neuronsweep.report.data.sweep import read
from neuronsweep.report.text.answer import sentences
from neuronsweep.runs import contents
from neuronsweep.runs.run import COMPLETE, Run


@pytest.fixture
def study(searched):
    """What the study itself says."""
    return yaml.safe_load((searched / contents.SEARCH).read_text())


def test_the_front_and_the_counts_are_the_studys(searched, study):
    sweep = read(searched)
    search = search_of(sweep)
    assert search is not None
    assert [row["run"] for row in search.best] == [entry["trial"] for entry in study["front"]]
    first, *_, last = sentences(sweep, search)
    complete = f"{len(search.satisfying)} complete trials (model.hidden "
    assert first.startswith(f"On the moons, {len(study['front'])} of {complete}")
    assert {c.best["run"] for c in sweep.configurations} == {row["run"] for row in search.satisfying}
    assert "make the front of val/loss and params with val/acc >= .6: val/loss " in first
    states = study["states"] | {"FAILED": study["states"]["FAIL"]}
    told = ", ".join(f"{states[state]} {state}" for state in ("COMPLETE", "FAILED", "PRUNED"))
    assert last.removeprefix("24 trials: ").startswith(told)


def test_the_charts_have_every_trial_where_it_ended(searched, study):
    sweep = read(searched)
    drawn = charts(sweep, search_of(sweep))
    traces = {trace["name"]: trace for trace in drawn["history-0"]["data"]}
    rows = {state: [row for row in sweep.rows if row["state"] == state] for state in ("COMPLETE", "PRUNED", "FAILED")}
    shown = {n: y for name in ("complete", "not as asked") for n, y in zip(*points(traces.get(name)), strict=True)}
    assert shown == {row["run"]: row["val/loss"] for row in rows["COMPLETE"]}
    pruned = dict(zip(*points(traces["pruned at"]), strict=True))
    assert pruned == {row["run"]: Run(sweep.path(row)).history()[-1][1]["val/loss"] for row in rows["PRUNED"]}
    assert traces["failed"]["x"] == [row["run"] for row in rows["FAILED"]]
    best = traces["best so far"]["y"]
    assert best == sorted(best, reverse=True)
    assert best[-1] == min(entry["values"]["val/loss"] for entry in study["front"])
    front = drawn["front-0-1"]["data"][1]
    assert sorted(front["customdata"]) == sorted(entry["trial"] for entry in study["front"])
    for i, metric in enumerate(("val/loss", "params")):
        bars = {bar["name"]: dict(zip(bar["y"], bar["x"], strict=True)) for bar in drawn[f"importances-{i}"]["data"]}
        assert bars == {
            name: study["importances"][metric][method]
            for name, method in (("PED-ANOVA", "ped_anova"), ("fANOVA", "fanova"))
        }


def test_a_front_of_thousands_of_trials_has_its_own_values(searched):
    sweep = read(searched)
    rows = [row for row in sweep.rows if row["state"] == COMPLETE]
    trials: list[Mapping[str, Any]] = [
        {**rows[i % len(rows)], "run": i, "val/loss": 1 + i, "params": 5000 - i} for i in range(5000)
    ]
    many = replace(sweep, rows=trials)
    found = search_of(sweep)
    assert found is not None
    search = replace(found, trials=many.rows, satisfying=many.rows, best=many.rows[:3])
    for trace in charts(many, search)["front-0-1"]["data"]:
        assert trace["x"] == [run + 1 for run in trace["customdata"]]
        assert trace["y"] == [5000 - run for run in trace["customdata"]]


def points(trace):
    return (trace["x"], trace["y"]) if trace else ((), ())


def test_the_text_has_it_too_and_stays_the_same(searched, study):
    build(searched)
    text = (searched / TEXT).read_bytes()
    picture = (searched / "report-search.svg").read_bytes()
    build(searched)
    assert (searched / TEXT).read_bytes() == text
    assert (searched / "report-search.svg").read_bytes() == picture
    assert "| importance for val/loss | PED-ANOVA | fANOVA |" in text.decode()
    for entry in study["front"]:
        assert f"| \\#{entry['trial']} |" in text.decode()


def test_a_search_that_goes_on_with_one_objective(searched, tmp_path):
    copy = shutil.copytree(searched, tmp_path / "search")
    (copy / contents.SEARCH).unlink()
    description = json.loads((copy / contents.SWEEP).read_text())
    description["search"] |= {"objectives": [["val/acc", "max"]], "constraints": []}
    (copy / contents.SWEEP).write_text(json.dumps(description))
    sweep = read(copy)
    search = search_of(sweep)
    assert search is not None
    best = max((row for row in sweep.rows if row["state"] == COMPLETE), key=lambda row: row["val/acc"])
    assert search.best[0]["val/acc"] == best["val/acc"]
    assert f"is the best of {len(sweep.complete())} complete trials (model.hidden " in sentences(sweep, search)[0]
    drawn = charts(sweep, search)
    assert {"history-0", "metric", "parallel"} < drawn.keys()
    assert not any(name.startswith(("front", "importances")) for name in drawn)
    build(copy)
    for row in sweep.rows:
        Run(sweep.path(row)).discard()
    assert "No trial is complete yet." in build(copy).read_text()


@pytest.mark.parametrize("text", ["- one", "{", "states: [}"])
def test_a_damaged_file_of_the_study_is_named(searched, tmp_path, text):
    copy = shutil.copytree(searched, tmp_path / "search")
    (copy / contents.SEARCH).write_text(text)
    with pytest.raises(UserError, match=r"optimization_results.yaml is damaged"):
        build(copy)
