"""Writes the reports of a sweep: report.html, report.md with its pictures, results.csv; also at a sweep's end."""

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hydra.experimental.callback import Callback
from omegaconf import DictConfig

from neuronsweep import console, stopping
from neuronsweep.errors import UserError
from neuronsweep.report.data.diagnostics import inside
from neuronsweep.report.data.search import search_of
from neuronsweep.report.data.sweep import Sweep, read
from neuronsweep.report.text import markdown
from neuronsweep.runs import files, lock
from neuronsweep.runs.contents import PAGE, TEXT
from neuronsweep.runs.results import Results


def build(directory: Path) -> Path:
    """Write all reports of a sweep, which may still be running, and return the page's path.

    Raises UserError for a directory that is no sweep's, and where a package is missing.
    """
    try:
        return _build(directory)
    except ModuleNotFoundError as error:  # an environment that is older than what a report needs
        package = str(error.name).partition(".")[0]
        raise UserError(f"a report needs the package {package}, which is not installed here: make env") from None


def _build(directory: Path) -> Path:
    from neuronsweep.report.page import page
    from neuronsweep.report.svgs.fits import gallery
    from neuronsweep.report.svgs.metric import metric_svg
    from neuronsweep.report.svgs.search import search_svg

    sweep = read(directory)
    search = search_of(sweep)
    fits = gallery(sweep, search)
    drawn = {
        markdown.GALLERY: fits.file() if fits else None,
        markdown.SEARCH: search_svg(sweep, search),
        markdown.METRIC: metric_svg(sweep),
    }
    pictures = {name: content for name, content in drawn.items() if content}
    insides = inside(sweep)
    Results(directory).write(sweep.rows)
    for name, content in pictures.items():
        files.write(directory / name, content)
    files.write(directory / TEXT, markdown.markdown(sweep, search, pictures, insides))
    files.write(directory / PAGE, page(sweep, search, fits, insides))
    if fits:
        _draw(sweep, fits.runs)
    return directory / PAGE


def _draw(sweep: Sweep, runs: Sequence[Path]) -> None:
    """Draw the pictures of the runs that the report of a large sweep shows; those of a smaller one are drawn before."""
    from neuronsweep.launch.pictures import has_pictures, illustrate, unillustrated

    logger = sweep.record["config"]["logger"]
    if logger.get("pictures", 1) != 0 and not has_pictures(sweep.jobs, logger):
        for _ in illustrate(unillustrated(runs), len(os.sched_getaffinity(0))):
            lock.beat()


class WriteReport(Callback):
    """Writes the reports when a sweep has ended; ``~hydra.callbacks.report`` leaves them out."""

    @stopping.heeded()
    def on_multirun_end(self, config: DictConfig, **kwargs: Any) -> None:
        try:
            path = build(Path(config.hydra.sweep.dir))
        except UserError as error:
            print(f"no report was written: {error}", file=sys.stderr)
            return
        except Exception as error:  # all results are written: no report is worth a failed sweep
            stopping.look()
            print(f"no report was written: {type(error).__name__}: {error}", file=sys.stderr)
            return
        console.say(f"report: {console.directory_name(path)}")
