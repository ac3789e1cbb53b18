"""Runs a search from its command to optimization_results.yaml: checks, begins, trains, sums up."""

from collections.abc import Sequence

from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig

from neuronsweep.errors import Unwritable, unwritable
from neuronsweep.launch.begin import stopped
from neuronsweep.search.definition import Search
from neuronsweep.stopping import heeded


def sweep(context: HydraContext, config: DictConfig, task: TaskFunction, arguments: Sequence[str]) -> None:
    """Search what a command describes, until its study has all its trials.

    Raises UserError, before anything is proposed or written, for what cannot be searched.
    """
    search = Search(context, config, task, arguments)
    search.check()

    from neuronsweep.search import begin, outcomes, train  # late: the errors above need neither torch nor Optuna

    study = begin.begin(search)
    try:
        with heeded():
            train.train(search, study)
    except KeyboardInterrupt:
        stopped(search.directory)
        raise KeyboardInterrupt("told") from None
    except (Unwritable, OSError) as error:
        if isinstance(error, OSError):
            error = unwritable(error)
        stopped(search.directory)
        raise error from None
    about = {name: search.options[name] for name in ("sampler", "seed", "pruner")}
    outcomes.write(search.directory, outcomes.summary(study, search, about))
