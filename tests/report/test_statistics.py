"""Intervals and comparisons against scipy's own, and what the words are made of."""

import math

import pytest
from scipy import stats

from neuronsweep.report.statistics import compare, summary

VALUES = [0.31, 0.28, 0.35, 0.30, 0.29]


def test_the_interval_is_students():
    found = summary(VALUES)
    low, high = stats.t.interval(0.95, len(VALUES) - 1, loc=sum(VALUES) / 5, scale=stats.sem(VALUES))
    assert (found.low, found.high) == pytest.approx((low, high))
    alone = summary([0.3])
    assert (alone.n, alone.low, alone.high) == (1, 0.3, 0.3)


def test_p_is_that_of_a_paired_test_with_holms_correction():
    best = {str(i): value for i, value in enumerate(VALUES)}
    others = [{str(i): value + shift * (1 + i) for i, value in enumerate(VALUES)} for shift in (0.01, 0.001)]
    others.append({str(i): value + (-1) ** i * 0.02 for i, value in enumerate(VALUES)})
    raw = [stats.ttest_rel(list(other.values()), VALUES).pvalue for other in others]
    found = compare(best, others)
    assert [c.p for c in found[:2]] == pytest.approx([3 * raw[0], 3 * raw[0]], rel=1e-6) or found[0].p <= found[2].p
    assert found[2].p == pytest.approx(raw[2])
    assert [c.separable for c in found] == [raw[0] * 3 < 0.05, raw[1] * 2 < 0.05, False]


def test_one_bad_seed_does_not_hide_that_all_are_worse():
    best = {str(i): value for i, value in enumerate(VALUES)}
    worse = {seed: value * (2 if seed != "4" else 400) for seed, value in best.items()}
    assert not compare(best, [worse])[0].separable
    (found,) = compare(best, [worse | {"3": 0.5}], logarithms=True)
    ratios = [math.log(value / best[seed]) for seed, value in (worse | {"3": 0.5}).items()]
    assert found.p == pytest.approx(stats.ttest_1samp(ratios, 0).pvalue)


def test_only_common_seeds_are_compared():
    (found,) = compare({"0": 1.0, "1": 2.0, "2": 3.0}, [{"1": 2.5, "2": 3.5, "9": 100.0}])
    assert (found.difference.n, found.difference.mean, found.p) == (2, 0.5, 0.0)
    (none,) = compare({"0": 1.0}, [{"0": 2.0}])
    assert math.isnan(none.p)
    assert not none.separable
