"""Begins a search: makes its directory and study, or finds those of an earlier command."""

from optuna.trial import TrialState

from neuronsweep import console
from neuronsweep.config.check import run_config
from neuronsweep.errors import UserError
from neuronsweep.launch import resume
from neuronsweep.launch.begin import describe, make_directory
from neuronsweep.runs import contents, files, lock
from neuronsweep.runs.run import Run
from neuronsweep.runs.sweep import check_sweep_place, run_directory, study_storage
from neuronsweep.search import samplers, study
from neuronsweep.search.definition import Search
from neuronsweep.search.storage import open_storage
from neuronsweep.search.study import Study


def begin(search: Search) -> Study:
    """Own the sweep directory of a search that was checked, and begin or continue its study.

    Raises UserError before anything is written, and for a directory or study that is another search's.
    """
    options = search.options
    # both say now what they cannot do
    search.sampling(0)
    samplers.pruner(options.pruner, options.pruner_options, search.epochs)
    if options.sampler == "grid" and search.guesses:
        raise UserError("hydra.sweeper.enqueue is not allowed with hydra.sweeper.sampler=grid, which tries everything")
    asked = search.identity, options.accept_changes
    _check_directory(search)
    check_sweep_place(search.directory)
    if options.storage:
        study.check_search(open_storage(options.storage), options.study_name, *asked)
    make_directory(search.directory)
    lock.take(search.directory)
    _check_directory(search)  # again: whoever owned it may have begun it meanwhile
    storage = open_storage(study_storage(options.storage, search.directory))
    known = study.check_search(storage, options.study_name, *asked)
    if (
        not known
        and not options.storage
        and not (search.directory / contents.SWEEP).exists()
        and len(storage.get_all_studies())
    ):
        raise UserError(
            f"{search.directory} cannot be used as output directory: its {contents.JOURNAL} contains studies of "
            "another program"
        )
    if not known and list(search.directory.glob(f"[0-9]*/{contents.STATUS}")):
        raise UserError(
            f"cannot use {search.directory} as output directory: it contains runs of a study that is gone from "
            f"{search.study[0]}"
        )
    metric, mode = search.goals.objectives[0]
    described = {
        "swept": [*search.space.keys, *search.replicates.keys],
        "trials": search.total,
        **({"replicates": search.replicates.count} if search.replicates.text else {}),
        "objective": {"metric": metric, "mode": mode},
        "search": search.identity,
        "study": search.study,
    }
    describe(search.directory, search.config, described)
    study.create(storage, options.study_name, *asked, search.goals.directions)
    begun = study.fill(storage, options.study_name, search.total, search.guesses)
    if search.goals.prune_on:
        metric, mode = search.goals.prune_on
        begun.optuna.set_user_attr(study.PRUNING, {"metric": metric, "mode": mode, "epochs": search.epochs})
    _prepare(search, begun)
    return begun


def _check_directory(search: Search) -> None:
    """Raise UserError for a directory that holds something else."""
    description = search.directory / contents.SWEEP
    if not description.exists():
        return
    try:
        before = files.read_json(description)
    except files.Damaged:
        console.say(f"{description} is damaged and is written again")
        return
    refused = f"cannot use {search.directory} as output directory: it contains another"
    if "search" not in before:
        raise UserError(f"{refused} sweep, of a grid")
    if told := study.changed_search(before["search"], search.identity, search.options.accept_changes):
        raise UserError(f"{refused} search, {told}")
    if before["study"] != search.study:
        raise UserError(f"{refused} search, whose study is {before['study'][1]} in {before['study'][0]}")


def _prepare(search: Search, begun: Study) -> None:
    """Make the runs of trials that have not ended ready to continue."""
    trials = [trial for trial in begun.trials(TrialState.WAITING, TrialState.RUNNING) if trial.params]
    configs = (
        (number, run_config(config))
        for trial in trials
        if any(Run(run_directory(search.directory, run)).has_begun for run in search.replicates.runs(trial.number))
        for number, config in search.jobs(trial)
        if Run(run_directory(search.directory, number)).has_begun
    )
    resume.prepare(search.directory, configs, False, search.options.accept_changes)
