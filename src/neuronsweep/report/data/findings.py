"""What a report computes of a sweep's networks and data, besides what the runs say themselves."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from neuronsweep.report.data.learnt import Learnt, learnt
from neuronsweep.report.data.search import SearchResults
from neuronsweep.report.data.sweep import SweepReport
from neuronsweep.report.data.winner import Tested, winners
from neuronsweep.report.data.yardstick import Yardstick, yardsticks


@dataclass(frozen=True)
class Findings:
    """By the name of a data set; empty where there is nothing to compute.

    Attributes:
        yardsticks: what is reached without a network.
        winners: the test scores of the best configurations.
        learnt: what those make of many inputs.
    """

    yardsticks: Mapping[str, list[Yardstick]] = field(default_factory=dict)
    winners: Mapping[str, Tested] = field(default_factory=dict)
    learnt: Mapping[str, Learnt] = field(default_factory=dict)


def findings(sweep: SweepReport, search: SearchResults | None) -> Findings:
    """Everything, computed or read from what an earlier report has kept of it."""
    if search and len(search.metrics) > 1:  # a front has no best
        return Findings()
    return Findings(yardsticks(sweep), winners(sweep, search), learnt(sweep))
