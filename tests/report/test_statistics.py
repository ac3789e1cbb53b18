"""Intervals and comparisons against scipy's own, and what the words are made of."""

import math

import numpy as np
import pytest
from scipy import stats

from neuronsweep.report.data.statistics import Replicate, compare, means, spread, summary


def by_seed(values):
    """Results of one split."""
    return {Replicate("", str(seed)): value for seed, value in dict(values).items()}


VALUES = [0.31, 0.28, 0.35, 0.30, 0.29]


def test_the_interval_is_students():
    found = summary(VALUES)
    low, high = stats.t.interval(0.95, len(VALUES) - 1, loc=sum(VALUES) / 5, scale=stats.sem(VALUES))
    assert (found.low, found.high) == pytest.approx((low, high))
    alone = summary([0.3])
    assert (alone.n, alone.low, alone.high) == (1, 0.3, 0.3)


def test_p_is_that_of_a_paired_test_with_holms_correction():
    best = by_seed(enumerate(VALUES))
    others = [by_seed({i: value + shift * (1 + i) for i, value in enumerate(VALUES)}) for shift in (0.01, 0.001)]
    others.append(by_seed({i: value + (-1) ** i * 0.02 for i, value in enumerate(VALUES)}))
    raw = [stats.ttest_rel(list(other.values()), VALUES).pvalue for other in others]
    found = compare(best, others)
    assert [c.p for c in found[:2]] == pytest.approx([3 * raw[0], 3 * raw[0]], rel=1e-6) or found[0].p <= found[2].p
    assert found[2].p == pytest.approx(raw[2])
    assert [c.separable for c in found] == [raw[0] * 3 < 0.05, raw[1] * 2 < 0.05, False]


def test_one_bad_seed_does_not_hide_that_all_are_worse():
    best = by_seed(enumerate(VALUES))
    worse = {one: value * (2 if one.seed != "4" else 400) for one, value in best.items()}
    assert not compare(best, [worse])[0].separable
    bad = worse | by_seed({3: 0.5})
    (found,) = compare(best, [bad], ratios=True)
    ratios = [math.log(value / best[seed]) for seed, value in bad.items()]
    assert found.p == pytest.approx(stats.ttest_1samp(ratios, 0).pvalue)
    assert found.ratio
    assert found.effect.mean == pytest.approx(stats.gmean([math.exp(ratio) for ratio in ratios]))
    low, high = stats.t.interval(0.95, len(ratios) - 1, loc=sum(ratios) / 5, scale=stats.sem(ratios))
    assert (found.effect.low, found.effect.high) == pytest.approx((math.exp(low), math.exp(high)))


@pytest.mark.parametrize(("mode", "shift"), [("min", 0.1), ("max", -0.1)])
def test_only_the_side_of_the_ranking_is_separable(mode, shift):
    best = by_seed(enumerate(VALUES))
    worse = {one: value + shift + int(one.seed) / 1000 for one, value in best.items()}
    (found,) = compare(best, [worse], mode)
    assert (found.separable, found.contradicts) == (True, False)
    (found,) = compare(worse, [best], mode)
    assert (found.separable, found.contradicts) == (False, True)


def test_a_mean_that_one_bad_seed_makes_is_contradicted_by_the_others():
    best = by_seed(enumerate(VALUES * 4))
    typically_better = {seed: value / 2 for seed, value in best.items()} | by_seed({0: 4.0})
    (found,) = compare(best, [typically_better], ratios=True)
    assert sum(typically_better.values()) > sum(best.values())
    assert (found.separable, found.contradicts) == (False, True)


def test_results_that_are_not_finite_have_no_interval_and_no_p():
    assert math.isinf(summary([1.0, math.inf]).mean)
    assert not summary([1.0, math.inf]).has_interval
    (found,) = compare(by_seed({0: 1.0, 1: 1.0}), [by_seed({0: math.inf, 1: 2.0})])
    assert math.isnan(found.p)


def test_an_interval_does_not_reach_below_what_a_metric_can_be():
    assert summary([0.1, 0.3]).low < 0
    assert summary([0.1, 0.3], least=0.0).low == 0


def test_only_common_seeds_are_compared():
    (found,) = compare(by_seed({0: 1.0, 1: 2.0, 2: 3.0}), [by_seed({1: 2.5, 2: 3.5, 9: 100.0})])
    assert (found.effect.n, found.effect.mean, found.p) == (2, 0.5, 0.0)
    (none,) = compare(by_seed({0: 1.0}), [by_seed({0: 2.0})])
    assert math.isnan(none.p)
    assert not none.separable


def test_an_interval_over_folds_is_corrected_for_the_training_rows_that_they_share():
    results = {Replicate(f"/{i}", seed): value + int(seed) / 100 for i, value in enumerate(VALUES) for seed in "012"}
    found = summary(means(results), overlap=1 / 4)
    folds = [value + 0.01 for value in VALUES]
    low, high = stats.t.interval(0.95, 4, loc=sum(folds) / 5, scale=stats.tstd(folds) * math.sqrt(1 / 5 + 1 / 4))
    assert (found.n, found.low, found.high) == (5, pytest.approx(low), pytest.approx(high))
    worse = {one: value + 0.02 * (1 + int(one.seed)) + (one.split == "/1") / 50 for one, value in results.items()}
    (compared,) = compare(results, [worse], overlap=1 / 4)
    differences = [0.04 + 0.02 * (i == 1) for i in range(5)]
    t = sum(differences) / 5 / (stats.tstd(differences) * math.sqrt(1 / 5 + 1 / 4))
    assert (compared.effect.n, compared.p) == (5, pytest.approx(2 * stats.t.sf(t, 4)))


def test_seeds_on_one_split_have_nothing_to_correct():
    best, worse = by_seed(enumerate(VALUES)), by_seed((i, value + i / 100) for i, value in enumerate(VALUES))
    assert compare(best, [worse], overlap=0.25) == compare(best, [worse])


def test_folds_and_seeds_are_told_apart():
    """Against the mean squares that scipy's analysis of variance has."""
    groups = {"/0": [0.30, 0.32, 0.28], "/1": [0.40, 0.43, 0.41], "/2": [0.35, 0.33, 0.31]}
    results = {Replicate(split, str(i)): value for split, values in groups.items() for i, value in enumerate(values)}
    found = spread(results)
    assert found is not None
    within = sum(stats.tvar(values) for values in groups.values()) / 3
    ratio = stats.f_oneway(*groups.values()).statistic
    assert found.seeds == pytest.approx(math.sqrt(within))
    assert found.splits == pytest.approx(math.sqrt((ratio - 1) * within / 3))
    assert spread(by_seed(enumerate(VALUES))) is None
    assert spread({one: value for one, value in results.items() if one.seed == "0"}) is None
    same = {Replicate(str(split), str(i)): value for split in range(3) for i, value in enumerate(VALUES)}
    found = spread(same)
    assert found is not None
    assert found.splits == 0


ROWS, SWEEPS = 60, 2000


def equally_good(rng, splits):
    """Losses (sweeps, 2, splits, seeds) on validation rows of two learners, neither of which is better.

    y = x1 + x2 + noise; one learner fits a slope to x1 alone, the other to x2, and every seed disturbs its slope.

    Args:
        splits: (splits, rows), true where a row is validated on; every sweep draws its own rows.
    """
    x = rng.normal(size=(SWEEPS, ROWS, 2))
    y = x.sum(2) + rng.normal(size=(SWEEPS, ROWS))
    train = ~splits.T.astype(bool)
    slopes = np.einsum("brl,br,rs->bls", x, y, train) / np.einsum("brl,rs->bls", x**2, train)
    slopes = slopes[..., None] + 0.3 * rng.normal(size=(*slopes.shape, 4))
    yy, xy, xx = (
        np.einsum(f"{terms},sr->{out}", *arrays, splits / splits.sum(1, keepdims=True))
        for terms, out, arrays in (("br,br", "bs", (y, y)), ("brl,br", "bls", (x, y)), ("brl,brl", "bls", (x, x)))
    )
    return yy[:, None, :, None] - 2 * slopes * xy[..., None] + slopes**2 * xx[..., None]


def share_of(found, overlap):
    """The share of sweeps in which one of two learners is called worse: by our test, and by a plain paired t test."""
    ours = 0
    for one, other in found:
        results = [{Replicate(str(s), str(i)): v for (s, i), v in np.ndenumerate(each)} for each in (one, other)]
        ours += compare(results[0], results[1:], overlap=overlap)[0].p < 0.05
    pairs = found.reshape(SWEEPS, 2, -1)
    return ours / SWEEPS, np.mean(stats.ttest_rel(pairs[:, 0], pairs[:, 1], axis=1).pvalue < 0.05)


def test_where_there_is_no_difference_it_calls_one_rarely():
    """At most 7 of 100 sweeps, where the plain paired t test over the same results calls one in a third or more."""
    rng = np.random.default_rng(0)
    folds = np.arange(ROWS) % 5 == np.arange(5)[:, None]
    redraws = np.argsort(rng.random((15, ROWS)), axis=1) < ROWS // 5
    for name, splits in (("5 folds", folds), ("15 redraws", redraws)):
        corrected, plain = share_of(equally_good(rng, splits), overlap=1 / 4)
        print(f"{name} by 4 seeds: corrected {corrected:.1%}, plain {plain:.1%}")
        assert corrected <= 0.07
        assert plain > 0.3
