"""Writes the reports of a sweep: report.html, report.md with its pictures, results.csv; also at a sweep's end."""

import sys
from pathlib import Path

from neuronsweep import console, stopping
from neuronsweep.errors import UserError
from neuronsweep.report.data.search import search_of
from neuronsweep.report.data.sweep import Sweep, read, sweep_of
from neuronsweep.report.text import markdown
from neuronsweep.runs import files
from neuronsweep.runs.contents import PAGE, TEXT
from neuronsweep.runs.results import Results, write_results


def build(directory: Path, results: Results | None = None) -> Path:
    """Write all reports of a sweep, which may still be running, and return the page's path.

    Args:
        results: of its runs, where they have been read before.

    Raises UserError for a directory that is no sweep's, and where a package is missing.
    """
    try:
        return _build(sweep_of(results) if results else read(directory))
    except ModuleNotFoundError as error:  # an environment that is older than what a report needs
        package = str(error.name).partition(".")[0]
        raise UserError(f"a report needs the package {package}, which is not installed here: make env") from None


def _build(sweep: Sweep) -> Path:
    from neuronsweep.report.page import page
    from neuronsweep.report.pngs.fits import gallery_png, metric_png
    from neuronsweep.report.pngs.search import search_png

    directory = sweep.directory
    search = search_of(sweep)
    drawn = {
        markdown.GALLERY: gallery_png(sweep, search),
        markdown.SEARCH: search_png(sweep, search),
        markdown.METRIC: metric_png(sweep),
    }
    pictures = {name: content for name, content in drawn.items() if content}
    write_results(directory, sweep.swept, sweep.rows)
    for name, content in pictures.items():
        files.write(directory / name, content)
    files.write(directory / TEXT, markdown.markdown(sweep, search, pictures))
    files.write(directory / PAGE, page(sweep, search, pictures))
    return directory / PAGE


def write_report(results: Results) -> None:
    """Write the reports when a sweep has ended; where that fails a line on stderr says why."""
    try:
        path = build(results.sweep, results)
    except UserError as error:
        print(f"no report was written: {error}", file=sys.stderr)
    except Exception as error:  # all results are written: no report is worth a failed sweep
        stopping.look()
        print(f"no report was written: {type(error).__name__}: {error}", file=sys.stderr)
    else:
        console.say(f"report: {console.directory_name(path)}")
