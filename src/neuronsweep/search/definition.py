"""The Search class: what a command searches, read from its config and checked before anything is trained."""

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf

from neuronsweep.config.check import check_values, plain, run_config
from neuronsweep.config.metric_names import is_loss
from neuronsweep.config.secret_values import HIDDEN, without_secrets
from neuronsweep.errors import UserError, mask
from neuronsweep.launch.checks import check_job
from neuronsweep.launch.jobs import Composer
from neuronsweep.runs import contents, record
from neuronsweep.runs.sweep import run_directory
from neuronsweep.runs.words import absolute
from neuronsweep.search import objectives, replicates, space_parser
from neuronsweep.search.parameters import Choice, as_typed

# Trials proposed at once where they are trained together, one by one, and by each of several workers.
TOGETHER, ALONE, EACH = 32, 1, 8
# Options that decide which trials a search proposes.
SAMPLING = ("sampler", "sampler_options", "seed", "pruner", "pruner_options", "prune_on")
# Launchers whose runs report to a pruner while they train.
PRUNING_LAUNCHERS = ("native", "basic", "process")


class Search:
    """What a command searches, read from its config and words; every process of a search makes its own.

    Attributes:
        space, fixed: what is searched, and the overrides that all runs have.
        batch: how many trials are proposed at once.
    """

    def __init__(self, context: HydraContext, config: DictConfig, task: TaskFunction, arguments: Sequence[str]):
        self.context, self.config, self.task, self.arguments = context, config, task, list(arguments)
        self.options = config.hydra.sweeper
        if not OmegaConf.is_interpolation(self.options, "storage"):
            self.options.storage = absolute(self.options.storage)
        check_values(self.options, "hydra.sweeper.")
        self.space, self.fixed = space_parser.read(
            context.config_loader, plain(self.options.params), self.options.space, arguments
        )
        taken = [*self.fixed, *self.space.keys]
        self.replicates = replicates.read(context.config_loader, self.options.replicates, taken)
        self.goals = objectives.read(config)
        self.directory = Path(config.hydra.sweep.dir)
        self.compose = Composer(context.config_loader, config)
        self.launcher: str = config.hydra.runtime.choices["hydra/launcher"]
        alone = self.launcher == "basic" or config.trainer.devices > 1
        together = EACH if self.options.workers > 1 else ALONE if alone else TOGETHER
        self.batch: int = self.options.batch or together

    @property
    def native(self) -> bool:
        return self.launcher == "native"

    def overrides(self, params: Mapping[str, Any]) -> list[str]:
        """The overrides of the run with these parameters."""
        return [*self.fixed, *self.space.overrides(params)]

    def _probe(self, overrides: Sequence[str]) -> DictConfig:
        """The config of a run with these overrides, whichever number it will have."""
        one = [*overrides, *self.replicates.words[:1]]
        return self.compose.job(0, one, run_directory(self.directory, 0))

    def jobs(self, trial: Any) -> Iterator[tuple[int, DictConfig]]:
        """The config of every run of a trial, with its number."""
        for number, overrides in self.replicates.jobs({trial.number: self.overrides(trial.params)}).items():
            yield number, self.compose.job(number, overrides, run_directory(self.directory, number))

    def check_overrides(self, overrides: Sequence[str]) -> None:
        """Raise UserError for overrides that no run can have."""
        check_job(self._probe(overrides), self.config)

    def check(self) -> None:
        """Raise UserError for what can be seen to go wrong before the first trial."""
        if self.options.workers > 1 and not self.native:
            raise UserError(
                f"hydra.sweeper.workers={self.options.workers} is not allowed with hydra/launcher={self.launcher}: "
                "workers are processes of hydra/launcher=native"
            )
        if self.goals.prune_on and self.launcher not in PRUNING_LAUNCHERS:
            raise UserError(
                f"hydra.sweeper.pruner={self.options.pruner} is not allowed with hydra/launcher={self.launcher}, whose "
                f"runs cannot report to a pruner while they train: hydra/launcher is {', '.join(PRUNING_LAUNCHERS)}"
            )
        if self.goals.prune_on and self.replicates.text and not self.native:
            raise UserError(
                f"hydra.sweeper.replicates={self.replicates.text} is not allowed with hydra.sweeper.pruner="
                f"{self.options.pruner} and hydra/launcher={self.launcher}: hydra/launcher=native trains the runs of a "
                "trial together, so that their mean is known while they train"
            )
        if self.options.retry_failed:
            raise UserError(
                "--retry-failed is not allowed for a search, whose later trials depend on its failures; raise "
                "n_trials instead"
            )
        losses = [metric for metric, _ in self.goals.objectives if is_loss(metric)]
        for key in self.space.keys:
            if losses and key.partition(".")[0] in ("loss", "module"):
                raise UserError(
                    f"{key} is not allowed in the space of a search for {losses[0]}: different losses are not "
                    "compared; objective.metric may be one that all have, such as val/mae or val/acc"
                )
        for probe in self.space.probes():
            cfg = self._probe([*self.fixed, *probe])
            check_job(cfg, self.config)
            objectives.check(self.goals, cfg)
        for guess in self.guesses:
            self.space.check_guess(guess)
        if len(self.guesses) > self.options.n_trials:
            raise UserError(
                f"hydra.sweeper.n_trials={self.options.n_trials} is not allowed: hydra.sweeper.enqueue alone has "
                f"{len(self.guesses)} trials"
            )
        written = plain(self.options, resolve=False)["storage"]
        if written and mask(written) != written:
            raise UserError(
                "hydra.sweeper.storage is not allowed with a password in a file of conf, which is copied to every run: "
                "give it in the environment as NEURONSWEEP_STORAGE_PASSWORD or by ${oc.env:NAME}"
            )

    @cached_property
    def sampling(self) -> Any:
        """The sampler of each trial, by its number. Raises UserError for what the sampler cannot do."""
        from neuronsweep.search.samplers import sampling

        options = self.options
        return sampling(options.sampler, plain(options.sampler_options), options.seed, self.space, self.goals)

    @cached_property
    def guesses(self) -> list[dict[str, Any]]:
        """Parameters of the first trials."""
        guesses = OmegaConf.to_container(self.options.enqueue)
        assert isinstance(guesses, list)
        if not all(isinstance(guess, dict) for guess in guesses):
            raise UserError("hydra.sweeper.enqueue is not allowed: it is a list of {key: value, ...}")
        # a list is one of a choice's values as it is typed
        return [
            {key: as_typed(value) if isinstance(value, list) else value for key, value in record.flatten(guess).items()}
            for guess in guesses
        ]

    @property
    def total(self) -> int:
        """How many trials there will be: an exhaustive sampler has no more than there are."""
        if self.options.sampler not in ("grid", "brute"):
            return self.options.n_trials
        return self.space.size(self.options.n_trials) or self.options.n_trials

    @property
    def epochs(self) -> int:
        """The most epochs that a run of the search may have."""
        longest = [max(map(int, d.edges())) for d in self.space.dimensions if d.key == "epochs"]  # type: ignore[arg-type]
        return longest[0] if longest else self.config.epochs

    @cached_property
    def identity(self) -> dict[str, Any]:
        """What makes this search another one than the next, and its trials comparable."""
        cfg = self._probe(self.fixed)
        written = record.flatten(run_config(cfg, resolve=False))
        config = record.flatten(run_config(cfg))
        # what follows another key, or the environment, is another search than one with the value that it has now
        follows = {
            key: f"{text} = {config[key]}" for key, text in written.items() if "${" in str(text) and key in config
        }
        kept = {
            key: value if value == HIDDEN else follows.get(key, value)
            for key, value in without_secrets(config).items()
            if key not in self.space.keys and not record.is_bookkeeping(key)
        }
        return {
            "space": self.space.describe(),
            "objectives": list(map(list, self.goals.objectives)),
            "constraints": [constraint.text for constraint in self.goals.constraints],
            **({"replicates": self.replicates.text} if self.replicates.text else {}),
            "config": kept,
            "sampling": {key: plain(self.options)[key] for key in SAMPLING},
            "source": {"package": record.source_digest(), **record.sources(self._with_all_activations())},
        }

    def _with_all_activations(self) -> dict[str, Any]:
        """The config of its runs, with every activation that any of them may have."""
        config = run_config(self.compose(self.fixed))
        for dimension in self.space.dimensions:
            group, _, key = dimension.key.partition(".")
            if group == "model" and isinstance(dimension, Choice):
                config["model"] |= {key: list(dimension.values)}
        return config

    @property
    def study(self) -> list[str]:
        """Where its trials are, without a password, and their study's name."""
        return [mask(self.options.storage) if self.options.storage else contents.JOURNAL, self.options.study_name]
