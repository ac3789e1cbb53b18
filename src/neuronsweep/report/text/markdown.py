"""Makes report.md: the answer, tables, and pictures beside it; the same results give the same bytes."""

import re
from collections.abc import Iterable, Sequence

from neuronsweep.report.charts.metric import axes_of
from neuronsweep.report.data.configurations import Configuration
from neuronsweep.report.data.diagnostics import Inside
from neuronsweep.report.data.findings import Findings
from neuronsweep.report.data.formatting import number, short
from neuronsweep.report.data.search import METHODS, SearchResults
from neuronsweep.report.data.sweep import SweepReport
from neuronsweep.report.text import findings as text
from neuronsweep.report.text.answer import failures, sentences
from neuronsweep.report.text.verdicts import against, compared, counted, method, spreads
from neuronsweep.runs.contents import GALLERY, METRIC
from neuronsweep.runs.contents import SEARCH_PICTURE as SEARCH

SHOWN = 20
# Data sets whose rankings are shown.
SETS = 12


def markdown(
    sweep: SweepReport,
    search: SearchResults | None,
    pictures: Iterable[str],
    insides: Sequence[Inside],
    found: Findings,
) -> str:
    """The report as GitHub shows it.

    Args:
        pictures: those of GALLERY, METRIC and SEARCH that there are.
        insides: what is known of the inside of its networks.
    """
    told = [*sentences(sweep, search), *text.sentences(found, sweep.metric)]
    parts = [f"# {escaped(sweep.name)}", " ".join(map(escaped, told))]
    have = set(pictures)
    if GALLERY in have:
        parts.append(f"![Fits, one panel a configuration]({GALLERY})")
    if search:
        parts += _search(sweep, search, SEARCH in have)
    if not search or len(search.metrics) == 1:
        several = len(sweep.by_data) > 1
        for data, those in list(sweep.by_data.items())[:SETS]:
            parts += [f"## The {escaped(data)}"] if several else []
            parts.append(ranking(sweep, those))
            parts += _findings(found, data, sweep.metric)
        if len(sweep.by_data) > SETS:
            parts.append(f"... and {len(sweep.by_data) - SETS} more data sets in results.csv")
    if METRIC in have:
        parts.append(f"![{escaped(sweep.metric)} against {escaped(str(axes_of(sweep)[0]))}]({METRIC})")
    parts.append(_insides(insides))
    failed = failures(sweep)
    if failed:
        rows = [(run, asked, error.strip().splitlines()[-1]) for run, asked, error in failed[:SHOWN]]
        parts += ["## Failures", table(["run", "values", "error"], rows)]
        if len(failed) > SHOWN:
            parts.append(f"... and {len(failed) - SHOWN} more")
    parts += ["## Got by", fenced(sweep.description["command"]), record(sweep)]
    if sweep.complete():
        parts.append("Five of the runs trained again, and every number compared:")
        parts.append(fenced("python scripts/replay.py SWEEP_DIR --sample 5"))
    return "\n\n".join(part for part in parts if part) + "\n"


def _findings(found: Findings, data: str, metric: str) -> Iterable[str]:
    """What was computed of one data set."""
    if those := found.yardsticks.get(data):
        name, *titles = text.YARDSTICKS
        yield table([name, metric, *titles], text.yardstick_rows(those))
    if tested := found.winners.get(data):
        yield table(text.SCORES, text.score_rows(tested))
    if one := found.learnt.get(data):
        if one.classes:
            yield table(["true \\ predicted", *one.classes], text.confusion_rows(one))
        yield table(["feature", f"change of val/{one.metric} without it", "sd"], text.importance_rows(one))


def _search(sweep: SweepReport, search: SearchResults, picture: bool) -> Iterable[str]:
    """The history as a picture, the front of several objectives, and the importance of each key."""
    if picture:
        yield f"![Every trial of the search and the best so far]({SEARCH})"
    if len(search.metrics) > 1:
        rows = [
            [f"#{row['run']}", *(short(str(row[key])) for key in sweep.keys), *(number(row[m]) for m in search.metrics)]
            for row in search.best[:SHOWN]
        ]
        yield table(["front", *sweep.keys, *search.metrics], rows)
        if len(search.best) > SHOWN:
            yield f"... and {len(search.best) - SHOWN} more"
    for metric, methods in search.importances.items():
        keys = dict.fromkeys(key for weights in methods.values() for key in weights)
        shares = [[key, *(f"{weights.get(key, 0):.0%}" for weights in methods.values())] for key in keys]
        if shares:
            yield table([f"importance for {metric}", *(METHODS.get(name, name) for name in methods)], shares)


def _insides(insides: Sequence[Inside]) -> str:
    """What runs with diagnostics saw, for the configurations whose first layer gets least of the gradient."""
    found = insides[:SHOWN]
    if not found:
        return ""
    first = f"first layer's gradient / last layer's, epoch {found[0].epochs[0]}"
    rows = [
        (one.configuration.name, number(one.reaches), *(_share(one.at_end(kind)) for kind in ("dead", "saturated")))
        for one in found
    ]
    return table(["inside", first, "dead units at the end", "saturated units at the end"], rows)


def _share(value: float | None) -> str:
    return "" if value is None else f"{value:.0%}"


def ranking(sweep: SweepReport, those: Sequence[Configuration]) -> str:
    """The best configurations of a data set with interval, best run and comparison with the first."""
    comparisons = [None, *compared(sweep, those)]
    rows = []
    for rank, configuration in enumerate(those[:SHOWN], start=1):
        found = configuration.summary
        interval = f"{number(found.low)} to {number(found.high)}" if found.has_interval else ""
        values = [short(configuration.values[key]) for key in sweep.keys]
        best = f"{number(configuration.results[0])} (#{configuration.best['run']})"
        verdict = against(those, rank, comparisons[rank - 1] if rank <= len(comparisons) else None)
        own = configuration.spread
        apart = [number(own.splits), number(own.seeds)] if own else ["", ""]
        apart = apart if spreads(sweep) else []
        rows.append([str(rank), *values, number(found.mean), interval, configuration.count, *apart, best, *verdict])
    columns = [
        "rank",
        *sweep.keys,
        sweep.metric,
        "95% interval",
        counted(sweep),
        *(spreads(sweep) or ()),
        "best (run)",
        "against rank 1",
        "95% interval",
        "p",
        "",
    ]
    more = len(those) - SHOWN
    parts = [table(columns, rows)]
    parts += [f"... and {more} more in results.csv"] if more > 0 else []
    parts += [escaped(method(sweep))] if sweep.is_split else []
    return "\n\n".join(parts)


def record(sweep: SweepReport) -> str:
    """Code, versions and data of the sweep, as a table."""
    if not sweep.record:
        return ""
    environment = sweep.record["environment"]
    rows = [
        ("commit", f"{sweep.record['git_sha']}{' with changes' if sweep.record['git_dirty'] else ''}"),
        ("versions", ", ".join(f"{name} {version}" for name, version in environment["packages"].items())),
        ("machine", f"{environment['cpu']}, {environment['device']}, {environment['threads']} thread(s) a run"),
        ("data digest (first run)", sweep.record["data_digest"]),
        ("training time of all runs", time_of(sweep)),
    ]
    return table(["record", ""], rows)


def table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table of GitHub's Markdown; every text is shown as it is."""
    lines = [columns, ["---"] * len(columns), *rows]
    shown = [[cell if cell == "---" else escaped(cell) for cell in line] for line in lines]
    return "\n".join(f"| {' | '.join(line)} |" for line in shown)


def time_of(sweep: SweepReport) -> str:
    """The training time of all runs; damaged ones have lost theirs."""
    unknown = sum(row["seconds"] == "" for row in sweep.rows)
    seconds = sum(float(row["seconds"] or 0) for row in sweep.rows)
    return f"{seconds:.1f} s" + (f", without that of damaged runs ({unknown}), which is lost" if unknown else "")


def fenced(text: str) -> str:
    """Text as a block of code, whatever it holds."""
    fence = "`" * max(3, *(len(ticks) + 1 for ticks in re.findall("`+", text)), 3)
    return f"{fence}\n{text}\n{fence}"


def escaped(text: str) -> str:
    """Text that Markdown shows as it is, in one line."""
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return " ".join(re.sub(r"([\\`*_\[\]|#~$])", r"\\\1", text).split())
