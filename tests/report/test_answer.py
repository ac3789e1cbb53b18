"""The answer in words: what it names best, what it counts, and what it does not claim."""

import math
from dataclasses import replace

import pytest

from neuronsweep.report.charts.all import _curves
from neuronsweep.report.charts.metric import axes_of, lines, metric_chart, optimum_chart
from neuronsweep.report.charts.pairs import heat_maps
from neuronsweep.report.svgs.metric import metric_svg
from neuronsweep.report.text.answer import sentences
from neuronsweep.report.text.verdicts import against, compared
from neuronsweep.runs.run import Run
from tests.report.made import made, row

HIDDEN = "model.hidden"


def seeds(losses, **values):
    return [row(loss, **values, seed=seed) for seed, loss in enumerate(losses)]


def test_the_best_is_separable_from_the_other_one():
    told = sentences(made([*seeds([0.1, 0.11, 0.12], h=8), *seeds([0.2, 0.215, 0.22], h=2)], HIDDEN))
    assert told[0] == (
        "On the sine, model.hidden=8 is best of 2 configurations (model.hidden 2, 8): "
        "val/loss 0.11 on average (95% interval 0.08516 to 0.1348)."
    )
    assert told[-1] == "The best one is separable from the other one."


def test_a_configuration_that_is_typically_better_is_not_called_separable():
    steady, wild = [0.1 + i / 1000 for i in range(20)], [0.05 + i / 1000 for i in range(19)] + [1.7]
    sweep = made([*seeds(steady, h=8), *seeds(wild, h=2)], HIDDEN)
    told = sentences(sweep)
    assert told[0].startswith("On the sine, model.hidden=8 is best")
    assert told[1].startswith("With most seeds model.hidden=2 did better")
    assert not any("separable" in sentence for sentence in told)
    effect, *_, verdict = against(sweep.configurations, 2, compared(sweep, sweep.configurations)[0])
    assert effect.startswith("×0.")
    assert verdict == "typically better"


def test_runs_that_have_not_begun_are_counted_and_their_values_named():
    sweep = made([row(0.1, h=2, seed=0), row(0.2, "RUNNING", h=8, seed=0)], HIDDEN, jobs=6)
    told = sentences(sweep)
    assert told[0] == (
        "On the sine, model.hidden=2 is the only configuration that has a result (model.hidden 2, 8): val/loss 0.1."
    )
    assert told[-1] == "Of 6 runs 1 COMPLETE, 1 interrupted, 4 missing or not begun."
    ended = made([row(0.1, "FAILED", h=h, seed=0) for h in (2, 8)], HIDDEN)
    assert sentences(ended) == ["No run is complete: 2 FAILED."]
    assert sentences(made([], HIDDEN, jobs=3)) == ["No run is complete yet: 3 missing or not begun."]


def test_the_same_result_is_nobodys_victory():
    rows = [row(0.0, h=h, seed=0) for h in (2, 8, 32)] + [row(1.0, h=1, seed=0)]
    told = sentences(made(rows, HIDDEN))
    assert told[0].startswith(
        "On the sine, model.hidden=2, model.hidden=8 and model.hidden=32 have the same result, the best of 4"
    )


def test_results_on_different_data_are_not_compared():
    rows = [
        row(loss, data=data, h=h, seed=0)
        for data, h, loss in (("sine", 2, 0.3), ("sine", 8, 0.2), ("moons", 2, 0.01), ("moons", 8, 0.02))
    ]
    sweep = made(rows, HIDDEN, "data", data=lambda values: values["data"])
    told = sentences(sweep)
    assert told[0] == "On the moons, model.hidden=2 is best of 2 configurations (model.hidden 2, 8): val/loss 0.01."
    assert "On the sine, model.hidden=8 is best of 2 configurations (model.hidden 2, 8): val/loss 0.2." in told
    assert list(lines(sweep, "val/loss", "min")) == ["sine", "moons"]


def test_what_reaches_beyond_the_data_is_the_median_of_the_best_configuration():
    rows = seeds([0.1, 0.11, 0.12], h=8)
    for one, ratio in zip(rows, (2.0, 400.0, 90.0), strict=True):
        one["truth/outside_over_inside"] = ratio
    told = sentences(made(rows, HIDDEN))
    assert told[1].startswith("Outside its training range the best one's squared error to the truth is 90 times ")
    assert told[1].endswith(" that inside (median of 3 seeds).")


def test_bands_are_over_seeds_of_one_configuration():
    rows = [
        row(loss + seed / 100, h=h, lr=lr, seed=seed)
        for h, lr, loss in ((2, 0.1, 1.0), (2, 0.01, 5.0), (8, 0.1, 3.0), (8, 0.01, 2.0))
        for seed in range(3)
    ]
    sweep = made(
        [{**one, "model.act": act} for one in rows for act in ("relu", "tanh")], HIDDEN, "model.act", "optimizer.lr"
    )
    for line in lines(sweep, "val/loss", "min").values():
        assert [c.values["optimizer.lr"] for c in line.values()] == ["0.1", "0.01"]
        assert all(c.summary.n == 3 for c in line.values())
    chart = metric_chart(sweep)
    assert chart is not None
    assert "with the best optimizer.lr for it; shaded its 95% interval over seeds" in chart["text"]
    (means,) = heat_maps(sweep)["model.hidden x optimizer.lr"]
    assert means["data"][0]["customdata"][0] == [5.01, 2.01]


def test_results_that_are_not_finite_are_drawn_and_told():
    rows = [
        row(loss, h=h, seed=seed)
        for h, seed, loss in ((2, 0, 0.5), (2, 1, 0.6), (8, 0, math.inf), (8, 1, 0.1), (32, 0, math.nan), (32, 1, 0.1))
    ]
    sweep = made(rows, HIDDEN)
    assert sentences(sweep)[0].startswith("On the sine, model.hidden=2 is best of 3")
    assert metric_svg(sweep)
    assert metric_chart(sweep)


def test_who_survives_is_not_best():
    rows = [
        row(4.9, h=2, seed=0),
        *(row(0.0, "FAILED", h=2, seed=seed) for seed in range(1, 8)),
        *seeds([5.0] * 8, h=8),
    ]
    told = sentences(made(rows, HIDDEN))
    assert told[0].startswith("On the sine, model.hidden=8 is best of 2")
    assert told[1] == "Seeds that failed rank these last: model.hidden=2 (7 of 8)."
    rows = [row(4.9, h=2, seed=0), row(0.0, "FAILED", h=2, seed=1), row(0.0, "FAILED", h=8, seed=0)]
    assert "val/loss 4.9, with 1 of 2 seeds: the others failed." in sentences(made(rows, HIDDEN))[0]


def test_only_some_of_many_are_said_to_be_compared():
    rows = [one for h in range(30) for one in seeds([1 + h / 1000, 1.1, 1.2], h=h)]
    assert "Of the next 10 not separable from the best one with these seeds: " in sentences(made(rows, HIDDEN))[1]


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        (("data.noise",), ("data.noise", None)),
        (("model.act", "data.noise"), ("model.act", "data.noise")),
        (("model.act", "data.noise", HIDDEN), (HIDDEN, "data.noise")),
        (("data.n", "data.noise", HIDDEN), ("data.noise", "data.n")),
        (("data", "data.n", "data.noise", HIDDEN), (None, None)),
    ],
)
def test_no_best_is_taken_over_data(keys, expected):
    rows = [{**row(float(i), seed=0), **{key: str(i % (k + 2)) for k, key in enumerate(keys)}} for i in range(60)]
    sweep = made(rows, *keys, data=lambda values: " ".join(v for key, v in values.items() if key.startswith("data")))
    assert axes_of(sweep) == expected
    assert all(set(sweep.data_keys) <= set(name.split(" x ")) for name in heat_maps(sweep))
    metric_chart(sweep)
    metric_svg(sweep)


def test_the_least_possible_is_said_to_be_that_of_those_that_have_one():
    rows = [
        {**row(1.0, h=h, seed=0), "model.act": act, "train/loss": 0.5, "optimum/linear": 0.9}
        for h in (2, 8)
        for act in ("relu", "tanh")
    ]
    for one in rows:
        if one["model.act"] == "relu":
            one["optimum/loss"] = 0.4
    chart = optimum_chart(made(rows, HIDDEN, "model.act"))
    assert chart is not None
    assert [trace["name"] for trace in chart["data"]] == [
        "relu",
        "tanh",
        "least possible with relu",
        "best linear model",
    ]


def test_a_configuration_all_of_whose_seeds_failed_is_named():
    rows = [*seeds([0.1, 0.2], h=2), *seeds([0.3, 0.4], h=8), *(row(0.0, "FAILED", h=32, seed=seed) for seed in (0, 1))]
    told = sentences(made(rows, HIDDEN))
    assert told[0].startswith("On the sine, model.hidden=2 is best of 3 configurations (model.hidden 2, 8, 32): ")
    assert "Worse than any result, for all of their runs failed: model.hidden=32 (2 runs)." in told
    running = made([*rows, row(0.0, "RUNNING", h=32, seed=2)], HIDDEN, jobs=9)
    assert not any(sentence.startswith("Worse than any") for sentence in sentences(running))
    begun = sentences(made(rows, HIDDEN, jobs=9))
    assert "Worse than any result, for all of their runs so far failed: model.hidden=32 (2 runs)." in begun


def curves_of(sweep, monkeypatch, epochs):
    history = [(epoch, {"val/loss": 1.0 / epoch}) for epoch in range(1, epochs + 1)]
    monkeypatch.setattr(Run, "history", lambda run: history)
    return _curves(sweep)


def test_every_curve_is_seen_and_named(monkeypatch):
    rows = [{**row(1.0 + h, h=h, seed=0), "directory": "0000"} for h in range(13)]
    few, many = (curves_of(made(those, HIDDEN), monkeypatch, 5) for those in (rows[:12], rows))
    assert [len(chart["data"]) for chart in (few, many)] == [12, 12]
    assert not any("showlegend" in curve for curve in many["data"])
    assert (many["data"][0]["name"], many["data"][-1]["name"]) == ("0", "12")
    assert "of the best run of each configuration" in few["text"]
    assert "of the best run of 12 of 13 configurations" in many["text"]


def test_a_curve_of_one_point_is_a_point(monkeypatch):
    sweep = made([{**row(1.0, h=h, seed=0), "directory": "0000"} for h in (2, 8)], HIDDEN)
    assert {curve["mode"] for curve in curves_of(sweep, monkeypatch, 1)["data"]} == {"lines+markers"}
    assert {curve["mode"] for curve in curves_of(sweep, monkeypatch, 2)["data"]} == {"lines"}
    bound = made([{**row(1.0, h=2, seed=0), "train/loss": 0.5, "optimum/linear": 0.9}], HIDDEN)
    chart = optimum_chart(bound)
    assert chart is not None
    assert chart["data"][-1]["mode"] == "lines+markers"


def test_runs_that_have_not_ended_are_told_of_with_what_they_logged(tmp_path):
    rows = [row(0.5, h=2, seed=0), row(0.25, "RUNNING", h=8, seed=0), row(0.25, "RUNNING", h=8, seed=1)]
    rows = [{**one, "directory": f"000{number}"} for number, one in enumerate(rows)]
    sweep = replace(made(rows, "model.hidden"), directory=tmp_path)
    for number in range(3):
        (tmp_path / f"000{number}").mkdir()
    Run(tmp_path / "0001").write_history([(5, {"val/loss": 0.75}), (10, {"val/loss": 0.625})])  # the other has none yet
    assert sentences(sweep)[-1] == "Not ended yet: #1 model.hidden=8 seed=0 after epoch 10, val/loss 0.625."
    Run(tmp_path / "0000").write_history([(10, {"val/loss": 0.5})])
    chart = _curves(sweep)
    assert chart is not None
    (line,) = [line for line in chart["data"] if "not ended" in line["name"]]
    assert (line["name"], line["x"], line["y"]) == ("8 (#1, not ended)", [5, 10], [0.75, 0.625])
