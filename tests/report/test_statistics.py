"""Intervals and comparisons against scipy's own, and what the words are made of."""

import math

import pytest
from scipy import stats

from neuronsweep.report.data.statistics import compare, summary

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
    (found,) = compare(best, [worse | {"3": 0.5}], ratios=True)
    ratios = [math.log(value / best[seed]) for seed, value in (worse | {"3": 0.5}).items()]
    assert found.p == pytest.approx(stats.ttest_1samp(ratios, 0).pvalue)
    assert found.ratio
    assert found.effect.mean == pytest.approx(stats.gmean([math.exp(ratio) for ratio in ratios]))
    low, high = stats.t.interval(0.95, len(ratios) - 1, loc=sum(ratios) / 5, scale=stats.sem(ratios))
    assert (found.effect.low, found.effect.high) == pytest.approx((math.exp(low), math.exp(high)))


@pytest.mark.parametrize(("mode", "shift"), [("min", 0.1), ("max", -0.1)])
def test_only_the_side_of_the_ranking_is_separable(mode, shift):
    best = {str(i): value for i, value in enumerate(VALUES)}
    worse = {seed: value + shift + int(seed) / 1000 for seed, value in best.items()}
    (found,) = compare(best, [worse], mode)
    assert (found.separable, found.contradicts) == (True, False)
    (found,) = compare(worse, [best], mode)
    assert (found.separable, found.contradicts) == (False, True)


def test_a_mean_that_one_bad_seed_makes_is_contradicted_by_the_others():
    best = {str(i): value for i, value in enumerate(VALUES * 4)}
    typically_better = {seed: value / 2 for seed, value in best.items()} | {"0": 4.0}
    (found,) = compare(best, [typically_better], ratios=True)
    assert sum(typically_better.values()) > sum(best.values())
    assert (found.separable, found.contradicts) == (False, True)


def test_results_that_are_not_finite_have_no_interval_and_no_p():
    assert math.isinf(summary([1.0, math.inf]).mean)
    assert not summary([1.0, math.inf]).has_interval
    (found,) = compare({"0": 1.0, "1": 1.0}, [{"0": math.inf, "1": 2.0}])
    assert math.isnan(found.p)


def test_an_interval_does_not_reach_below_what_a_metric_can_be():
    assert summary([0.1, 0.3]).low < 0
    assert summary([0.1, 0.3], least=0.0).low == 0


def test_only_common_seeds_are_compared():
    (found,) = compare({"0": 1.0, "1": 2.0, "2": 3.0}, [{"1": 2.5, "2": 3.5, "9": 100.0}])
    assert (found.effect.n, found.effect.mean, found.p) == (2, 0.5, 0.0)
    (none,) = compare({"0": 1.0}, [{"0": 2.0}])
    assert math.isnan(none.p)
    assert not none.separable
