"""Hydra's callback around jobs: checks single runs, prints results as runs end, and writes results.csv."""

import os
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.core.utils import JobReturn, JobStatus
from hydra.experimental.callback import Callback
from hydra.types import RunMode
from omegaconf import DictConfig, open_dict
from omegaconf.errors import OmegaConfBaseException

from neuronsweep import console, stopping
from neuronsweep.cli import explain
from neuronsweep.config import targets
from neuronsweep.config.check import check, plain
from neuronsweep.errors import Diverged, TookTooLong, Unwritable, UserError, WorkerError, stop
from neuronsweep.launch.begin import begin_single, end_sweep, no_room
from neuronsweep.launch.checks import check_hydra, check_machine, say_notes
from neuronsweep.runs import contents, lock
from neuronsweep.runs.results import Results
from neuronsweep.runs.run import PRUNED
from neuronsweep.runs.sweep import run_directory
from neuronsweep.runs.watcher import Watcher
from neuronsweep.runs.words import resume_command

# Sweepers that check all jobs, rank them and can continue.
SWEEPERS = ("grid", "optuna")
# A sweep of up to so many runs tells of each as it ends; a larger one of failures only.
TOLD = 20


class Bookkeeper(Callback):
    """Hydra's hooks: checks a single run before it is made; keeps the results of a sweep and tells of its runs.

    At the end of a sweep results.csv, the ranking and the report are made of what it has read of every run once.
    """

    def __init__(self) -> None:
        self.results: Results | None = None

    def on_run_start(self, config: DictConfig, **kwargs: Any) -> None:
        # Hydra turns exceptions of callbacks into warnings, so this one ends the process itself
        try:
            with stopping.heeded():
                check(config)
                check_hydra(config)
                with open_dict(config.hydra):  # what ${hydra:...} reads before Hydra begins the job
                    config.hydra.runtime.output_dir = os.path.abspath(config.hydra.run.dir)
                HydraConfig.instance().cfg = config  # type: ignore[assignment]
                targets.grant(config)
                check_machine(config.trainer.accelerator, config.trainer.devices)
                if not lock.further_process():
                    say_notes(config)
                    begin_single(config)
        except (UserError, OmegaConfBaseException) as error:
            stop(str(error) if isinstance(error, UserError) else explain(error))
        except Exception as error:  # an unexpected error must not become a run without checks
            traceback.print_exc()
            stop(f"the run was not started: {error}", status=1)

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        sweeper = config.hydra.runtime.choices["hydra/sweeper"]
        if sweeper not in SWEEPERS:  # another one would begin nothing that this class can end
            stop(
                f"hydra/sweeper={sweeper} is not allowed: hydra/sweeper is {' or '.join(SWEEPERS)}, chosen by "
                f"{' or '.join(f'sweep={name}' for name in SWEEPERS)}"
            )
        watcher = Watcher(Path(config.hydra.sweep.dir))
        lock.besides.append(lambda: _say_how_far(watcher))

    def on_job_start(self, config: DictConfig, **kwargs: Any) -> None:
        stopping.look()

    @stopping.heeded()
    def on_job_end(self, config: DictConfig, job_return: JobReturn, **kwargs: Any) -> None:
        stopping.look()  # before a run is said to have failed
        if config.hydra.mode != RunMode.MULTIRUN:
            _end_single(job_return, Path(config.hydra.run.dir))
            return
        results = self._results(config)
        name = f"#{config.hydra.job.num} {' '.join(config.hydra.overrides.task)}"
        failed = job_return.status is JobStatus.FAILED
        if failed and isinstance(job_return._return_value, Unwritable):
            no_room(job_return._return_value, results.sweep)
        if failed:
            print(f"{name}  FAILED: {_tell(job_return._return_value)}", file=sys.stderr, flush=True)
        elif results.jobs <= TOLD and job_return.return_value is None:
            console.say(f"{name}  {PRUNED}")
        elif results.jobs <= TOLD:
            console.say(f"{name}  {config.objective.metric} {console.number(job_return.return_value)}")
        lock.beat()
        try:
            results.write_now_and_then()
            if failed and config.fail_fast:
                results.write()
                again = resume_command(results.sweep)
                again += " --retry-failed" if results.overrides is not None else ""  # a search has learnt from it
                stop(f"stopped at the first failure because of fail_fast=true; continue with: {again}", status=1)
        except Unwritable as error:
            no_room(error, results.sweep)

    def on_multirun_end(self, config: DictConfig, **kwargs: Any) -> None:
        from neuronsweep.report.build import write_report  # late: a single run needs neither
        from neuronsweep.report.text.ranking import print_ranking

        results = self._results(config)
        try:
            with stopping.heeded():
                rows = results.rows()
                failed = results.failed(rows)
                results.write(rows)
                end_sweep(results.sweep, failed)
                if "ranking" in config.hydra.callbacks:
                    print_ranking(results)
                report = write_report if "report" in config.hydra.callbacks else None
                _report_and_illustrate(results, plain(config.logger), report)
        except Unwritable as error:
            no_room(error, results.sweep)
        except KeyboardInterrupt:
            again = resume_command(results.sweep)
            console.say_last(f"\nstopped; all results are there; for the report and the pictures: {again}")
            raise KeyboardInterrupt("told") from None
        except Exception as error:  # Hydra would make a warning of it, and a success of the sweep
            traceback.print_exc()
            stop(f"the sweep ended with an error: {error}", status=1)
        if failed:
            again = f"; to try them again: {resume_command(results.sweep)} --retry-failed"
            again = again if results.overrides is not None else f"; why is in {contents.SEARCH}"
            stop(f"{len(failed)} of {results.jobs} runs did not complete: {console.numbers(failed)}{again}", status=1)

    def _results(self, config: DictConfig) -> Results:
        if self.results is None:
            self.results = Results(Path(config.hydra.sweep.dir))
        return self.results


def _say_how_far(watcher: Watcher) -> None:
    """Say it every half minute, where no live bar does."""
    with suppress(UserError, OSError):  # files that are written or removed just now
        console.now_and_then(lambda: watcher.look().line())


def _report_and_illustrate(
    results: Results, logger: Mapping[str, Any], report: Callable[[Results], Sequence[Path]] | None
) -> None:
    """Draw the pictures that are missing beside the report; of a large sweep only the runs that it shows get one.

    Whoever does not want to wait stops the command: all results are there.
    """
    from neuronsweep.launch.pictures import has_pictures  # late: needs torch

    every = has_pictures(results.jobs, logger)
    with _drawing(results, [run_directory(results.sweep, number) for number in results.numbers], every) as finish:
        shown = report(results) if report else ()
        finish()
    if not every and logger.get("pictures", 1) != 0:
        with _drawing(results, shown, True) as finish:
            finish()


@contextmanager
def _drawing(results: Results, runs: Sequence[Path], pictures: bool) -> Iterator[Callable[[], None]]:
    """Processes that draw what runs lack; gives what waits for them, with a bar."""
    from neuronsweep.launch.pictures import illustrating, unillustrated

    missing = unillustrated(runs, pictures)
    with illustrating(missing, len(os.sched_getaffinity(0)), pictures) as counts:

        def finish() -> None:
            bar = console.Bar("pictures" if pictures else "events", len(missing))
            done = 0
            try:
                for done in counts:
                    lock.beat()
                    bar.advance_to(done, "")
            finally:
                bar.close()
            if done < len(missing):
                again = resume_command(results.sweep)
                console.say(f"{len(missing) - done} pictures were not drawn: a process died; to draw them: {again}")

        yield finish if missing else lambda: None


def _end_single(job_return: JobReturn, directory: Path) -> None:
    """End a single run that failed here, before Hydra adds lines of its own."""
    if job_return.status is JobStatus.FAILED:
        error = job_return._return_value
        if isinstance(error, UserError):
            stop(str(error))
        if isinstance(error, Unwritable):
            no_room(error, directory)
        stop(f"the run failed: {_tell(error)}", status=1)


def _tell(error: Exception) -> str:
    """What to say of a failed run in a line; its traceback is printed first, unless the line says all."""
    if not isinstance(error, Diverged | TookTooLong | UserError):
        trace = str(error) if isinstance(error, WorkerError) else "".join(traceback.format_exception(error))
        print(trace.rstrip(), file=sys.stderr)
    return (str(error).strip() or type(error).__name__).splitlines()[-1]
