"""Compares two sweeps: command, config, code, versions and results."""

import base64
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from neuronsweep.report.data.configurations import Configuration, Row, replicate_of
from neuronsweep.report.data.formatting import number
from neuronsweep.report.data.search import search_of
from neuronsweep.report.data.sweep import SweepReport, read
from neuronsweep.report.text.answer import sentences
from neuronsweep.report.text.markdown import GALLERY, escaped, table
from neuronsweep.runs import files, record
from neuronsweep.runs.run import Run

SHOWN = 40
SAME = "Command, config, code, data and versions are the same."


@dataclass(frozen=True)
class Comparison:
    """What there is to say of two sweeps.

    Attributes:
        sentences: what each found.
        origins: what differs, and its value in each; empty where they were got in the same way.
        columns, results: of the configurations that both have; ``nothing`` says why there are no results.
    """

    names: list[str]
    sentences: list[list[str]]
    origins: list[tuple[str, str, str]]
    columns: list[str]
    results: list[tuple[str, str, str, str, str]]
    nothing: str


def compare_sweeps(first: Path, second: Path) -> list[Path]:
    """Write the comparison, a page and Markdown, beside the first sweep's report and return their paths.

    Raises UserError for what is no sweep.
    """
    from neuronsweep.report.page import template

    found = compared(read(first), read(second))
    galleries = [_encoded(directory / GALLERY) for directory in (first, second)]
    page = template("comparison.html.jinja").render(galleries=galleries, same=SAME, **vars(found))
    written = {".html": page, ".md": markdown(found)}
    paths = []
    for ending, text in written.items():
        paths.append(first / f"comparison-with-{second.resolve().name}{ending}")
        files.write(paths[-1], text)
    return paths


def compared(a: SweepReport, b: SweepReport) -> Comparison:
    """Compare two sweeps; sweeps of the same name are distinguished by their parent directories."""
    names = [sweep.name for sweep in (a, b)]
    if names[0] == names[1]:
        names = [f"{sweep.directory.resolve().parent.name}/{name}" for sweep, name in zip((a, b), names, strict=True)]
    results = list(_results(a, b)) if a.metric == b.metric else []
    nothing = "They have no configuration in common that was trained on the same data."
    if a.metric != b.metric:
        nothing = f"Their objectives differ, {a.metric} and {b.metric}: no result is compared."
    return Comparison(
        names=names,
        sentences=[sentences(sweep, search_of(sweep)) for sweep in (a, b)],
        origins=list(_origins(a, b)),
        columns=["configuration", *(f"{name}: {a.metric}" for name in names), "second / first", ""],
        results=results,
        nothing=nothing,
    )


def markdown(found: Comparison) -> str:
    """The comparison as GitHub shows it."""
    parts = [f"# {' and '.join(map(escaped, found.names))}"]
    for name, told in zip(found.names, found.sentences, strict=True):
        parts.append(f"{escaped(name)}: {' '.join(map(escaped, told))}")
    if found.origins:
        parts += ["## What differs", table(["what", *found.names], found.origins)]
    else:
        parts.append(SAME)
    if found.results:
        parts += ["## Results of the configurations that both have", table(found.columns, found.results[:SHOWN])]
        if len(found.results) > SHOWN:
            parts.append(f"... and {len(found.results) - SHOWN} more")
    else:
        parts.append(escaped(found.nothing))
    return "\n\n".join(parts) + "\n"


def _encoded(picture: Path) -> str | None:
    return base64.b64encode(picture.read_bytes()).decode() if picture.exists() else None


def _origins(a: SweepReport, b: SweepReport) -> Iterator[tuple[str, str, str]]:
    """What of the command and of the first runs' records differs; swept keys show all their values."""
    if a.description["command"] != b.description["command"]:
        yield "command", a.description["command"], b.description["command"]
    if not a.record or not b.record:
        was, now = ("there" if sweep.record else "no run has one" for sweep in (a, b))
        yield "record", was, now
        return
    swept = {*a.swept, *b.swept}
    for name in ("git_sha", "source_digest", "constraints_digest", "data_digest"):
        if a.record[name] != b.record[name]:
            yield name, str(a.record[name])[:12], str(b.record[name])[:12]
    flat = [record.flatten({"config": s.record["config"], "environment": s.record["environment"]}) for s in (a, b)]
    for key in {**flat[0], **flat[1]}:
        was, now = (str(values.get(key, "not set")) for values in flat)
        if was != now and key.removeprefix("config.") not in swept:
            yield key.removeprefix("config."), was, now


def _results(a: SweepReport, b: SweepReport) -> Iterator[tuple[str, str, str, str, str]]:
    """Configurations with the same data and values of all that either sweep varies, in the order of the first one's."""
    keys = sorted({*a.keys, *b.keys})
    both = {*a.swept} & {*b.swept}
    others = {_values(b, c, keys, both): c for c in b.configurations}
    for mine in a.configurations:
        theirs = others.get(_values(a, mine, keys, both))
        if theirs is None or not _same_data(a, mine, b, theirs):
            continue
        one, two = mine.summary, theirs.summary
        ratio = number(two.mean / one.mean) if one.mean else ""
        several = one.has_interval and two.has_interval
        apart = "intervals do not overlap" if several and (one.high < two.low or two.high < one.low) else ""
        yield (
            replace(mine, values={**mine.values, **theirs.values}).name,
            mine.told,
            theirs.told,
            ratio,
            "same" if one == two else apart,
        )


def _values(
    sweep: SweepReport, configuration: Configuration, keys: Sequence[str], both: Collection[str]
) -> tuple[str, ...]:
    """What a configuration has of some keys, swept or not; a group that one sweep alone varies is all that is in it."""
    row = configuration.best
    flat = record.flatten(_record(sweep, row)["config"])
    found = []
    for key in keys:
        group = {name: value for name, value in flat.items() if name.startswith(f"{key}.")}
        found.append(str(flat[key] if key in flat else group if group and key not in both else row.get(key)))
    return tuple(found)


def _same_data(a: SweepReport, mine: Configuration, b: SweepReport, theirs: Configuration) -> bool:
    """Whether two configurations were trained on the same data, with a replicate that both have where there is one."""
    others = {replicate_of(row): row for row in theirs.rows}
    pairs = [(row, others[replicate_of(row)]) for row in mine.rows if replicate_of(row) in others]
    one, other = pairs[0] if pairs else (mine.best, theirs.best)
    return _record(a, one)["data_digest"] == _record(b, other)["data_digest"]


def _record(sweep: SweepReport, row: Row) -> dict[str, Any]:
    return Run(sweep.path(row)).record()
