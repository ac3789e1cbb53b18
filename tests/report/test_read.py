"""Configurations: replicates of one set of values, ranked by their mean."""

import math

import pytest

from neuronsweep.report.data.configurations import best_in_places, configurations
from neuronsweep.report.data.statistics import summary
from tests.report.made import made, row

ROWS = [
    row(3.0, h=2, seed=0),
    row(1.0, h=2, seed=1),
    row(1.7, h=8, seed=0),
    row(1.5, h=8, seed=1),
    row(0.0, "FAILED", h=32, seed=0),
]


@pytest.mark.parametrize(
    ("mode", "expected"), [("min", [("8", "10"), ("2", "10")]), ("max", [("2", "01"), ("8", "01")])]
)
def test_configurations_are_ranked_by_the_mean_of_their_complete_replicates(mode, expected):
    ranked = configurations(ROWS, ["model.hidden"], "val/loss", mode)
    assert [(c.values["model.hidden"], "".join(r["seed"] for r in c.rows)) for c in ranked] == expected


def test_a_seed_is_no_replicate_of_itself():
    (found,) = configurations([row(1.0, h=2, seed=0), row(1.0, h=2, seed=0)], ["model.hidden"], "val/loss", "min")
    assert found.summary.n == 1
    assert not found.summary.has_interval


def test_what_is_not_finite_is_worst():
    rows = [row(math.nan, h=2, seed=0), row(1.0, h=8, seed=0), row(math.inf, h=32, seed=0)]
    for mode in ("min", "max"):
        ranked = configurations([rows[0], rows[1]], ["model.hidden"], "val/loss", mode)
        assert [c.values["model.hidden"] for c in ranked] == ["8", "2"]
    assert configurations(rows, ["model.hidden"], "val/loss", "min")[0].mean == 1.0


def test_a_failure_is_worse_than_any_result():
    rows = [row(5.0, h=2, seed=0), row(6.0, h=2, seed=1), row(0.1, h=8, seed=0), row(0.0, "FAILED", h=8, seed=1)]
    first, second = configurations(rows, ["model.hidden"], "val/loss", "min")
    assert (first.values["model.hidden"], first.count) == ("2", "2")
    assert (second.values["model.hidden"], second.count) == ("8", "1 of 2")


def test_the_median_run_of_two_is_the_better_one():
    (found,) = configurations(ROWS[:2], ["model.hidden"], "val/loss", "min")
    assert found.median["val/loss"] == 1.0


@pytest.mark.parametrize(
    ("metric", "results", "least", "most"),
    [
        ("val/loss", (0.1, 0.3), 0.0, math.inf),
        ("val/loss", (-1.0, 0.1), -math.inf, math.inf),
        ("val/acc", (0.8, 1), 0, 1),
    ],
)
def test_intervals_end_where_a_metric_does(metric, results, least, most):
    rows = [{**row(0.0, h=2, seed=seed), metric: result} for seed, result in enumerate(results)]
    (found,) = configurations(rows, ["model.hidden"], metric, "min")
    plain = summary(results)
    assert (found.summary.low, found.summary.high) == (max(plain.low, least), min(plain.high, most))


def test_a_place_shows_its_best_configuration_and_not_a_mean_over_others():
    rows = [
        row(loss + seed / 10, h=h, lr=lr, seed=seed)
        for h, lr, loss in ((2, 0.1, 1.0), (2, 0.01, 5.0), (8, 0.1, 3.0), (8, 0.01, 2.0))
        for seed in range(3)
    ]
    places = best_in_places(made(rows, "model.hidden", "optimizer.lr").configurations, ["model.hidden"])
    assert {place: (c.values["optimizer.lr"], c.summary.n) for place, c in places.items()} == {
        ("2",): ("0.1", 3),
        ("8",): ("0.01", 3),
    }
