"""Writes which configurations differ from the best one by more than chance, for tables and sentences."""

import math
from collections.abc import Sequence

from neuronsweep.report.data.configurations import FOLD, REDRAWN, Configuration
from neuronsweep.report.data.formatting import named, number, scale
from neuronsweep.report.data.statistics import Comparison, compare
from neuronsweep.report.data.sweep import SweepReport

# How many configurations are compared with the best one.
COMPARED = 10
TOO_FEW = "Too few runs are complete in both to compare it with the others."
ONE_SEED = "One seed each says nothing about chance: add seed=range(10)."


def compared(sweep: SweepReport, those: Sequence[Configuration]) -> list[Comparison]:
    """The configurations of one data set after the best one, against it, in their order."""
    if not those:
        return []
    best, *others = (c.by_replicate for c in those[: COMPARED + 1])
    results = [result for results in (best, *others) for result in results.values()]
    ratios = sweep.mode == "min" and scale(results) == "log"
    # an accuracy cannot grow by factors as losses do
    return compare(best, others, sweep.mode, ratios, those[0].overlap)


def method(sweep: SweepReport) -> str:
    """What the intervals and tests of a ranking are, as a note below it."""
    interval, test = "Student's t over seeds", "paired t test of it over common seeds"
    if sweep.is_split:
        seeds = ", each a mean over seeds" if "seed" in sweep.swept else ""
        interval = (
            f"Student's t over {sweep.replicates.partition(' ')[0]}{seeds}, corrected for the training rows that they "
            "share (Nadeau and Bengio, 2003)"
        )
        test = f"corrected resampled t test of it over common {sweep.replicates}"
    return (
        f"Small: 95% intervals of {interval}. Against rank 1: mean difference, or × the mean factor where losses "
        f"differ by factors. p: {test} (of logarithms where it is a factor), corrected by Holm for all comparisons of "
        f"a table. Not separable with these {sweep.replicates}: p of .05 or more. Typically better: p below .05, but "
        f"the other way round than the means, which a few bad {sweep.replicates} decide. Configurations with "
        f"{sweep.replicates} that failed come last, whatever the others reached."
    )


def counted(sweep: SweepReport) -> str:
    """The header of the column that has the number of replicates."""
    return sweep.replicates if " " not in sweep.replicates else "runs"


def spreads(sweep: SweepReport) -> tuple[str, str] | None:
    """Headers of the columns that tell splits and seeds apart; None where a sweep cannot."""
    if not any(configuration.spread for configuration in sweep.configurations):
        return None
    return f"sd of {sweep.replicates.partition(' ')[0]}", "sd of seeds"


def against(those: Sequence[Configuration], rank: int, comparison: Comparison | None) -> tuple[str, str, str, str]:
    """Effect, its interval, p and verdict of a configuration beside the best one, as tables show them."""
    fails = "fails more often" if those[rank - 1].failing > those[0].failing else ""
    if comparison is None or math.isnan(comparison.p):
        return "", "", "", fails
    effect, sign = comparison.effect, "×" if comparison.ratio else "+" if comparison.effect.mean > 0 else ""
    interval = f"{number(effect.low)} to {number(effect.high)}" if effect.has_interval else ""
    p = "< .001" if comparison.p < 0.001 else f"{comparison.p:.3f}"
    verdict = "separable" if comparison.separable else "typically better" if comparison.contradicts else "not separable"
    return f"{sign}{number(effect.mean)}", interval, p, fails or verdict


def apart(sweep: SweepReport, those: Sequence[Configuration]) -> str:
    """Which of the others the replicates cannot tell from the best one; nothing of those that have its very result."""
    ours = sweep.replicates
    best, fixed = those[0], fixed_by_data(sweep, those)
    pairs = list(zip(those[1:], compared(sweep, those), strict=False))
    fails = [f"{c.named(fixed)} ({c.failed} of {c.failed + len(c.rows)})" for c, _ in pairs if c.failing > best.failing]
    told = [f"{ours.capitalize()} that failed rank these last: {named(fails)}."] if fails else []
    pairs = [(c, comparison) for c, comparison in pairs if c.failing == best.failing and c.mean != best.mean]
    if not pairs:
        return " ".join(told)
    if all(math.isnan(comparison.p) for _, comparison in pairs):
        return " ".join([*told, TOO_FEW if {"seed", FOLD, REDRAWN} & {*sweep.swept} - {*sweep.keys} else ONE_SEED])
    typically = [c.named(fixed) for c, comparison in pairs if comparison.contradicts]
    alike = [c.named(fixed) for c, comparison in pairs if not comparison.separable and not comparison.contradicts]
    more = len(those) - 1 > COMPARED
    if typically:
        told.append(f"With most {ours} {named(typically)} did better, and worse only on average, for a few bad {ours}.")
    if alike:
        start = f"Of the next {COMPARED} not" if more else "Not"
        told.append(f"{start} separable from the best one with these {ours}: {named(alike)}.")
    elif rest := len(pairs) - len(typically):
        others = "the other one" if len(those) == 2 else f"the {'next' if more else 'other'} {rest}"
        told.append(f"The best one is separable from {others}.")
    return " ".join(told)


def fixed_by_data(sweep: SweepReport, those: Sequence[Configuration]) -> list[str]:
    """Keys that name the data set of some configurations, and so need not name them, too."""
    return [key for key in sweep.data_keys if len({configuration.values[key] for configuration in those}) == 1]
