"""Two sweeps side by side: what differs in command, config, code and versions, and in results."""

from collections.abc import Iterator
from pathlib import Path

from neuronsweep import record
from neuronsweep.report.answer import number, sentences
from neuronsweep.report.markdown import escaped, table
from neuronsweep.report.read import Configuration, Sweep, read
from neuronsweep.sweeps import ledger

SHOWN = 40


def compare_sweeps(first: Path, second: Path) -> Path:
    """Write the comparison beside the first sweep's report and return its path. Raises UserError for no sweep."""
    sweeps = read(first), read(second)
    path = first / f"comparison-with-{second.resolve().name}.md"
    ledger.write(path, comparison(*sweeps))
    return path


def comparison(a: Sweep, b: Sweep) -> str:
    """The comparison as Markdown."""
    names = [sweep.directory.resolve().name for sweep in (a, b)]
    parts = [f"# {escaped(names[0])} and {escaped(names[1])}"]
    for name, sweep in zip(names, (a, b), strict=True):
        parts.append(f"{escaped(name)}: {' '.join(map(escaped, sentences(sweep)))}")
    differences = list(_origins(a, b))
    if differences:
        parts += ["## What differs", table(["what", *names], differences)]
    else:
        parts.append("Command, config, code, data and versions are the same.")
    if a.metric != b.metric:
        parts.append(f"Their objectives differ, {escaped(a.metric)} and {escaped(b.metric)}: no result is compared.")
        return "\n\n".join(parts) + "\n"
    rows = list(_results(a, b))
    if rows:
        columns = ["configuration", *(f"{name}: {a.metric}" for name in names), "second / first", ""]
        parts += ["## Results of the configurations that both have", table(columns, rows[:SHOWN])]
        if len(rows) > SHOWN:
            parts.append(f"... and {len(rows) - SHOWN} more")
    else:
        parts.append("They have no configuration in common.")
    return "\n\n".join(parts) + "\n"


def _origins(a: Sweep, b: Sweep) -> Iterator[tuple[str, str, str]]:
    """What of the command and of the first runs' records differs; swept keys show all their values."""
    if a.description["command"] != b.description["command"]:
        yield "command", a.description["command"], b.description["command"]
    if not a.record or not b.record:
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


def _results(a: Sweep, b: Sweep) -> Iterator[tuple[str, str, str, str, str]]:
    """Configurations with the same values of all swept keys, in the order of the first sweep's ranking."""
    others = {tuple(sorted(c.values.items())): c for c in b.configurations}
    for mine in a.configurations:
        theirs = others.get(tuple(sorted(mine.values.items())))
        if theirs is None:
            continue
        one, two = mine.summary, theirs.summary
        ratio = number(two.mean / one.mean) if one.mean else ""
        several = one.n > 1 and two.n > 1
        apart = "intervals do not overlap" if several and (one.high < two.low or two.high < one.low) else ""
        yield mine.name, _told(mine), _told(theirs), ratio, "same" if one == two else apart


def _told(configuration: Configuration) -> str:
    found = configuration.summary
    if found.n < 2:
        return number(found.mean)
    return f"{number(found.mean)} ({number(found.low)} to {number(found.high)}, {found.n} seeds)"
