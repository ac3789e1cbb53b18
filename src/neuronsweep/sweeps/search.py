"""A search from the command line to optimization_results.yaml: read, checked, begun, trained, summed up."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf

from neuronsweep import console, record
from neuronsweep.config import check_values, plain, run_config
from neuronsweep.errors import Unwritable, UserError, mask
from neuronsweep.sweeps import goals, ledger, lock, resume, space_words
from neuronsweep.sweeps.compose import Composer
from neuronsweep.sweeps.launch import check_job, describe, make_directory, stopped

# Trials asked for at once where they are trained together, alone, and by each of several workers.
TOGETHER, ALONE, EACH = 32, 1, 8
# Launchers whose runs report to a pruner while they train.
PRUNING_LAUNCHERS = ("vectorized", "basic", "process")


def sweep(context: HydraContext, config: DictConfig, task: TaskFunction, arguments: Sequence[str]) -> None:
    """Search what a command asks for, until its study has all its trials.

    Raises UserError, before anything is asked or written, for what cannot be searched.
    """
    search = Search(context, config, task, arguments)
    search.check()
    study = search.begin()

    from neuronsweep.sweeps.placing import train  # late: the errors above need neither torch nor, most of them, Optuna

    try:
        train(search, study)
    except KeyboardInterrupt:
        stopped(search.directory)
        raise KeyboardInterrupt("told") from None
    except Unwritable:
        stopped(search.directory)
        raise
    search.sum_up(study)


class Search:
    """What a command searches, read from its config and words; every process of a search makes its own.

    Attributes:
        space, fixed: what is asked for, and the overrides that all runs have.
        batch: how many trials are asked for at once.
    """

    def __init__(self, context: HydraContext, config: DictConfig, task: TaskFunction, arguments: Sequence[str]):
        self.context, self.config, self.task, self.arguments = context, config, task, list(arguments)
        self.options = config.hydra.sweeper
        check_values(self.options, "hydra.sweeper.")
        self.space, self.fixed = space_words.read(
            context.config_loader, plain(self.options.params), self.options.space, arguments
        )
        self.goals = goals.read(config)
        self.directory = Path(config.hydra.sweep.dir)
        self.compose = Composer(context.config_loader, config)
        self.launcher: str = config.hydra.runtime.choices["hydra/launcher"]
        alone = self.launcher == "basic" or config.trainer.devices > 1
        together = EACH if self.options.workers > 1 else ALONE if alone else TOGETHER
        self.batch: int = self.options.batch or together

    @property
    def vectorized(self) -> bool:
        return self.launcher == "vectorized"

    def overrides(self, params: Mapping[str, Any]) -> list[str]:
        """The overrides of the run with these parameters."""
        return [*self.fixed, *self.space.overrides(params)]

    def check_overrides(self, overrides: Sequence[str]) -> None:
        """Raise UserError for overrides that no run can have."""
        check_job(self.compose(overrides), self.launcher)

    def check(self) -> None:
        """Raise UserError for what can be seen to go wrong before the first trial."""
        if self.options.workers > 1 and not self.vectorized:
            raise UserError(
                f"hydra.sweeper.workers={self.options.workers} is not allowed with hydra/launcher={self.launcher}: "
                "workers are processes of hydra/launcher=vectorized"
            )
        if self.goals.prune_on and self.launcher not in PRUNING_LAUNCHERS:
            raise UserError(
                f"hydra.sweeper.pruner={self.options.pruner} is not allowed with hydra/launcher={self.launcher}, whose "
                f"jobs cannot be asked while they train: hydra/launcher is {', '.join(PRUNING_LAUNCHERS)}"
            )
        if self.options.retry_failed:
            raise UserError("--retry-failed is not for a search, which has learnt from its failures; raise n_trials")
        for probe in self.space.probes():
            cfg = self.compose([*self.fixed, *probe])
            check_job(cfg, self.launcher)
            goals.check(self.goals, cfg)
        for guess in self._guesses():
            self.space.check_guess(guess)
        if len(self._guesses()) > self.options.n_trials:
            raise UserError(
                f"hydra.sweeper.n_trials={self.options.n_trials} is not allowed: hydra.sweeper.enqueue alone has "
                f"{len(self._guesses())} trials"
            )
        written = OmegaConf.to_container(self.options, resolve=False)["storage"]  # type: ignore[call-overload,index]
        if written and mask(written) != written:
            raise UserError(
                "hydra.sweeper.storage is not allowed with a password in a file of conf, which is copied to every run: "
                "give it in the environment as NEURONSWEEP_STORAGE_PASSWORD or by ${oc.env:NAME}"
            )

    def begin(self) -> Any:
        """Own the sweep directory and begin the study, or find both as an earlier command has left them."""
        from neuronsweep.sweeps import samplers
        from neuronsweep.sweeps.storage import open_storage, place
        from neuronsweep.sweeps.study import PRUNING, begin, check_search

        self.sampling()
        samplers.pruner(self.options.pruner, self.options.pruner_options, self._epochs())
        if self.options.sampler == "grid" and self._guesses():
            raise UserError(
                "hydra.sweeper.enqueue is not allowed with hydra.sweeper.sampler=grid, which tries everything"
            )
        asked = self._identity(), self.options.accept_changes
        self._check_directory()
        if self.options.storage:
            check_search(open_storage(self.options.storage), self.options.study_name, *asked)
        make_directory(self.directory)
        lock.take(self.directory)
        self._check_directory()
        storage = open_storage(place(self.options.storage, self.directory))
        known = check_search(storage, self.options.study_name, *asked)
        if not known and list(self.directory.glob(f"[0-9]*/{ledger.STATUS}")):
            raise UserError(
                f"{self.directory} is not allowed as output directory: it holds runs of a study that is gone from "
                f"{self._study()[0]}"
            )
        metric, mode = self.goals.objectives[0]
        described = {
            "swept": list(self.space.keys),
            "trials": self.total(),
            "objective": {"metric": metric, "mode": mode},
            "search": self._identity(),
            "study": self._study(),
        }
        describe(self.directory, self.config, described)
        directions = self.goals.directions
        study = begin(storage, self.options.study_name, self.total(), *asked, directions, self._guesses())
        if self.goals.prune_on:
            metric, mode = self.goals.prune_on
            study.optuna.set_user_attr(PRUNING, {"metric": metric, "mode": mode, "epochs": self._epochs()})
        self._prepare(study)
        return study

    def sampling(self) -> Any:
        """The sampler of each trial, by its number."""
        from neuronsweep.sweeps.samplers import sampling

        options = self.options
        return sampling(options.sampler, plain(options.sampler_options), options.seed, self.space, self.goals)

    def sum_up(self, study: Any) -> None:
        """Write optimization_results.yaml."""
        from neuronsweep.sweeps import outcomes

        about = {"sampler": self.options.sampler, "seed": self.options.seed, "pruner": self.options.pruner}
        outcomes.write(self.directory, outcomes.summary(study, self.goals, self.overrides, self.directory, about))

    def _guesses(self) -> list[dict[str, Any]]:
        guesses = OmegaConf.to_container(self.options.enqueue)
        assert isinstance(guesses, list)
        if not all(isinstance(guess, dict) for guess in guesses):
            raise UserError("hydra.sweeper.enqueue is not allowed: it is a list of {key: value, ...}")
        return [record.flatten(guess) for guess in guesses]

    def total(self) -> int:
        """How many trials there will be: an exhaustive sampler has no more than there are."""
        if self.options.sampler not in ("grid", "brute"):
            return self.options.n_trials
        return self.space.size(self.options.n_trials) or self.options.n_trials

    def _epochs(self) -> int:
        """The longest run that may be asked for."""
        longest = [max(map(int, d.edges())) for d in self.space.dimensions if d.key == "epochs"]  # type: ignore[arg-type]
        return longest[0] if longest else self.config.epochs

    def _identity(self) -> dict[str, Any]:
        """What makes this search another one than the next, and its trials comparable."""
        config = record.flatten(run_config(self.compose(self.fixed)))
        kept = {
            key: value
            for key, value in record.without_secrets(config).items()
            if key not in self.space.keys and not record.is_bookkeeping(key)
        }
        return {
            "space": self.space.describe(),
            "objectives": list(map(list, self.goals.objectives)),
            "constraints": [constraint.text for constraint in self.goals.constraints],
            "config": kept,
            "source": record.source_digest(),
        }

    def _study(self) -> list[str]:
        """Where its trials are, and their study's name."""
        return [mask(self.options.storage) if self.options.storage else ledger.JOURNAL, self.options.study_name]

    def _check_directory(self) -> None:
        if not (self.directory / ledger.SWEEP).exists():
            return
        try:
            before = ledger.read_json(self.directory / ledger.SWEEP)
        except ledger.Damaged:
            console.say(f"{self.directory / ledger.SWEEP} is damaged: it is written anew")
            return
        refused = f"{self.directory} is not allowed as output directory: it holds another"
        if "search" not in before:
            raise UserError(f"{refused} sweep, of a grid")
        if told := resume.changed_search(before["search"], self._identity(), self.options.accept_changes):
            raise UserError(f"{refused} search, {told}")
        if before["study"] != self._study():
            raise UserError(f"{refused} search, whose study is {before['study'][1]} in {before['study'][0]}")

    def _prepare(self, study: Any) -> None:
        """Make the runs of trials that have not ended ready to go on."""
        from optuna.trial import TrialState

        begun = [
            trial
            for trial in study.trials(TrialState.WAITING, TrialState.RUNNING)
            if trial.params and (ledger.run_directory(self.directory, trial.number) / ledger.STATUS).exists()
        ]
        configs = ((trial.number, run_config(self.compose(self.overrides(trial.params)))) for trial in begun)
        resume.prepare(self.directory, configs, False, self.options.accept_changes)
