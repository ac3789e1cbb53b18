"""Writes the report of a sweep: report.html, report.md with its pictures, and results.csv."""

import sys
from collections.abc import Sequence
from pathlib import Path

from neuronsweep import console, stopping
from neuronsweep.errors import UserError
from neuronsweep.report.data.diagnostics import inside
from neuronsweep.report.data.findings import findings
from neuronsweep.report.data.search import search_of
from neuronsweep.report.data.sweep import SweepReport, read, sweep_of
from neuronsweep.report.text import markdown
from neuronsweep.runs import files
from neuronsweep.runs.contents import PAGE, TEXT
from neuronsweep.runs.results import Results, write_results


def build(directory: Path) -> Path:
    """Write all reports of a sweep, which may still be running, and return the page's path.

    Raises UserError for a directory that is no sweep's, and where a package is missing.
    """
    return _built(read(directory))[0]


def _built(sweep: SweepReport) -> tuple[Path, Sequence[Path]]:
    """Write all reports of a sweep; returns the page's path and the directories of the runs whose fits it shows."""
    try:
        return _build(sweep)
    except ModuleNotFoundError as error:  # an environment that is older than what a report needs
        package = str(error.name).partition(".")[0]
        raise UserError(f"a report needs the package {package}, which is not installed here: make env") from None


def _build(sweep: SweepReport) -> tuple[Path, Sequence[Path]]:
    from neuronsweep.report.page import page
    from neuronsweep.report.svgs.fits import gallery
    from neuronsweep.report.svgs.metric import metric_svg
    from neuronsweep.report.svgs.search import search_svg

    directory = sweep.directory
    search = search_of(sweep)
    found = findings(sweep, search)
    fits = gallery(sweep, search)
    drawn = {
        markdown.GALLERY: fits.file() if fits else None,
        markdown.SEARCH: search_svg(sweep, search),
        markdown.METRIC: metric_svg(sweep),
    }
    pictures = {name: content for name, content in drawn.items() if content}
    insides = inside(sweep)
    write_results(directory, sweep.swept, sweep.rows)
    for name, content in pictures.items():
        files.write(directory / name, content)
    files.write(directory / TEXT, markdown.markdown(sweep, search, pictures, insides, found))
    files.write(directory / PAGE, page(sweep, search, fits, insides, found))
    return directory / PAGE, fits.runs if fits else []


def write_report(results: Results) -> Sequence[Path]:
    """Write the reports when a sweep has ended; where that fails a line on stderr says why.

    Returns the directories of the runs whose fits it shows.
    """
    try:
        path, runs = _built(sweep_of(results))
    except UserError as error:
        print(f"no report was written: {error}", file=sys.stderr)
    except Exception as error:  # all results are written: no report is worth a failed sweep
        stopping.look()
        print(f"no report was written: {type(error).__name__}: {error}", file=sys.stderr)
    else:
        console.say(f"report: {console.directory_name(path)}")
        return runs
    return ()
