"""Diagnostics in a report: medians over seeds of what the runs' histories say."""

import statistics

import pytest

from neuronsweep.report.charts.diagnostics import inside_charts, layers_chart
from neuronsweep.report.data.diagnostics import inside
from neuronsweep.report.data.sweep import read
from neuronsweep.runs.run import Run


def test_lines_are_medians_of_the_histories(sine):
    sweep = read(sine)
    found = inside(sweep)
    assert len(found) == 4
    assert [one.reaches for one in found] == sorted(one.reaches for one in found)
    for one in found:
        act = one.configuration.values["model.act"]
        stopped = "dead" if act == "relu" else "saturated"
        assert list(one.values) == ["gradient", "update", stopped]
        histories = [Run(sweep.path(row)).history() for row in one.configuration.rows]
        for name, values in one.values["gradient"].items():
            expected = [statistics.median(history[i][1][name] for history in histories) for i in range(10)]
            assert values == pytest.approx(expected, rel=5e-3)
        share = statistics.median(history[-1][1][f"{stopped}/layers.0"] for history in histories)
        assert one.at_end(stopped) == pytest.approx(share, rel=5e-3)
    charts = inside_charts(found)
    assert [chart["title"] for chart in charts["model.hidden=8 model.act=relu"]] == [
        "Norm of the gradient",
        "Update to weight",
        "Dead units",
    ]
    chart = layers_chart(found)
    assert chart is not None
    assert [trace["x"] for trace in chart["data"]] == [[1, 2]] * 4


def test_without_diagnostics_there_is_nothing(searched):
    assert inside(read(searched)) == []
    assert layers_chart([]) is None
