"""Makes report.html: one file that opens offline."""

import base64
import gzip
import importlib.util
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, Template
from markupsafe import Markup

from neuronsweep.report.charts.all import charts
from neuronsweep.report.charts.axes import Chart
from neuronsweep.report.charts.diagnostics import inside_charts, layers_chart
from neuronsweep.report.charts.learnt import learnt_charts
from neuronsweep.report.charts.metric import best_of
from neuronsweep.report.charts.pairs import heat_maps
from neuronsweep.report.data.configurations import Configuration
from neuronsweep.report.data.diagnostics import Inside
from neuronsweep.report.data.findings import Findings
from neuronsweep.report.data.formatting import number, short
from neuronsweep.report.data.search import SearchResults
from neuronsweep.report.data.sweep import SweepReport
from neuronsweep.report.svgs.gallery import Gallery
from neuronsweep.report.svgs.plot import STYLE
from neuronsweep.report.text import findings as text
from neuronsweep.report.text import markdown
from neuronsweep.report.text.answer import failures, sentences, states
from neuronsweep.report.text.verdicts import against, compared, counted, method, spreads
from neuronsweep.runs import contents, record

# Failures whose tracebacks the page shows.
SHOWN = 20
# Of the compression of plotly.js: a higher one takes twice the time for a thirtieth of its size.
LEVEL = 4


def template(name: str) -> Template:
    """A template whose values are escaped."""
    templates = Environment(
        loader=PackageLoader("neuronsweep.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        extensions=["jinja2.ext.loopcontrols"],
    )
    templates.filters |= {"number": number, "short": short, "zip": zip, "drawn": Markup}
    return templates.get_template(name)


def page(
    sweep: SweepReport, search: SearchResults | None, fits: Gallery | None, insides: list[Inside], found: Findings
) -> str:
    """The page as HTML. All text of configs and files is escaped."""
    layers = layers_chart(insides)
    failed = failures(sweep)
    drawn = charts(sweep, search) | ({"layers": layers} if layers else {})
    choices = {
        "learnt": {data: learnt_charts(one) for data, one in found.learnt.items()},
        "heat": heat_maps(sweep),
        "inside": inside_charts(insides),
    }
    return template("report.html.jinja").render(
        sweep=sweep,
        search=search,
        sentences=[*sentences(sweep, search), *text.sentences(found, sweep.metric)],
        states=states(sweep, search),
        fits=fits,
        style=STYLE,
        best_of=best_of(sweep),
        rankings={data: _ranking(sweep, those) for data, those in list(sweep.by_data.items())[: markdown.SETS]},
        replicated=any(configuration.summary.n + configuration.failed > 1 for configuration in sweep.configurations),
        counted=counted(sweep),
        spreads=spreads(sweep),
        method=method(sweep),
        yardsticks={data: text.yardstick_rows(those) for data, those in found.yardsticks.items()},
        scores={data: text.score_rows(tested) for data, tested in found.winners.items()},
        titles=text,
        failures=failed[:SHOWN],
        more_failures=len(failed) - SHOWN,
        charts={name: _as_text(chart) for name, chart in drawn.items()},
        choices={
            id: {name: list(map(_as_text, shown)) for name, shown in those.items()} for id, those in choices.items()
        },
        table=_table(sweep),
        time=markdown.time_of(sweep),
        config=record.flatten(sweep.record.get("config", {})),
        patch=_patch(sweep),
        plotly=_plotly(),
    )


def _as_text(chart: Chart) -> Chart:
    """A chart whose values plotly.js shows as they are: it reads markup in them."""
    return {**chart, **{part: _escaped(chart[part]) for part in ("data", "layout")}}


def _escaped(value: Any) -> Any:
    if isinstance(value, str):
        return value.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace("\n", "<br>")
    if isinstance(value, list):
        return [_escaped(one) for one in value]
    if isinstance(value, dict):
        # templates are ours: their values come from the other keys
        return {key: one if key == "hovertemplate" else _escaped(one) for key, one in value.items()}
    return value


def _ranking(sweep: SweepReport, those: Sequence[Configuration]) -> list[dict[str, Any]]:
    """The configurations of one data set that the page compares, best first."""
    comparisons = [None, *compared(sweep, those)]
    return [
        {"rank": rank, "configuration": configuration, "against": against(those, rank, comparison)}
        for rank, (configuration, comparison) in enumerate(zip(those, comparisons, strict=False), start=1)
    ]


def _table(sweep: SweepReport) -> dict[str, Any]:
    """Columns and rows of results.csv, and the command that trains each run again."""
    columns = ["run", "state", *sweep.swept, *sweep.metrics, "seconds", "directory"]
    rows = [[row.get(column, "") for column in columns] for row in sweep.rows]
    commands = [sweep.command(row) for row in sweep.rows]
    return {"columns": columns, "rows": rows, "commands": commands, "trust": sweep.trust}


def _patch(sweep: SweepReport) -> str:
    """The uncommitted changes that the runs were trained with."""
    if not sweep.record.get("git_dirty"):
        return ""
    paths = (sweep.path(row) / contents.PATCH for row in sweep.rows)
    found = next((path for path in paths if path.exists()), None)
    return found.read_text() if found else ""


def _plotly() -> str:
    """plotly.js as plotly's package brings it, compressed: a page then has 2 MB instead of 5.

    To import the package takes longer than all the rest of a report.
    """
    found = importlib.util.find_spec("plotly")
    if found is None or found.submodule_search_locations is None:
        raise ModuleNotFoundError(name="plotly")
    script = Path(found.submodule_search_locations[0]) / "package_data" / "plotly.min.js"
    return base64.b64encode(gzip.compress(script.read_bytes(), LEVEL, mtime=0)).decode()
