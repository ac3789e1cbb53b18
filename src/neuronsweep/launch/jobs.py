"""Expands a sweep's command into jobs and composes their configs quickly."""

import itertools
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from hydra._internal.config_loader_impl import get_overrides_dirname
from hydra.core.config_loader import ConfigLoader
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override, Quote, QuotedString
from hydra.core.utils import JobReturn, JobStatus
from hydra.errors import ConfigCompositionException
from omegaconf import DictConfig, OmegaConf, open_dict
from omegaconf.errors import OmegaConfBaseException

from neuronsweep import stopping
from neuronsweep.errors import UserError


def expand(loader: ConfigLoader, arguments: Sequence[str]) -> tuple[list[list[str]], list[str]]:
    """The overrides of every job of a sweep, in the order of the grid, and the swept keys.

    Raises UserError for a sweep over an interval, which only a sweeper that samples can do.
    """
    values: dict[str, list[str]] = {}
    swept: list[str] = []
    for override in OverridesParser.create(config_loader=loader).parse_overrides(list(arguments)):
        key = override.get_key_element()
        if not override.is_sweep_override():
            line = override.input_line or ""
            # Hydra's own text of an interpolation is full of backslashes
            value = line.partition("=")[2] if "${" in line else override.get_value_element_as_str()
            values[key] = [f"{key}={value}"]
        elif override.is_discrete_sweep():
            values[key] = [f"{key}={value}" for value in override.sweep_string_iterator()]
            swept.append(key.lstrip("+"))
        else:
            raise UserError(f"{override.input_line} is not allowed: a grid sweeps over lists and ranges of values")
    return [list(job) for job in itertools.product(*values.values())], swept


def stretches(jobs: Mapping[int, Sequence[str]]) -> Iterator[tuple[int, list[Sequence[str]]]]:
    """Jobs in stretches of numbers without a gap, as Hydra's launchers take them: the first number, the overrides."""
    for _, stretch in itertools.groupby(enumerate(sorted(jobs)), lambda place: place[1] - place[0]):
        numbers = [number for _, number in stretch]
        yield numbers[0], [jobs[number] for number in numbers]


def launch(launcher: Any, jobs: Mapping[int, Sequence[str]]) -> list[JobReturn]:
    """Have a launcher train jobs by their numbers; one that is not ours takes them in stretches."""
    if hasattr(launcher, "launch_numbered"):
        return launcher.launch_numbered(jobs)
    return [found for first, stretch in stretches(jobs) for found in launcher.launch(stretch, first)]


def quoted(text: str) -> str:
    """A text as one would type it after KEY=, whatever is in it."""
    return QuotedString(text, Quote.single).with_quotes()


class Composer:
    """Composes the configs of jobs; a job that differs from the one before in plain values only costs Hydra nothing.

    Hydra takes 30 ms to compose a job and parse its overrides, which for hundreds of jobs is more than their training.

    Attributes:
        cfg: the config composed last, with its ``hydra`` node; changed in place by the next call.
        shape: what of the overrides needs Hydra to compose; while it is the same, only values of ``cfg`` change.
    """

    def __init__(self, loader: ConfigLoader, config: DictConfig):
        self.loader, self.config = loader, config
        self.parsed: dict[str, tuple[Override, bool]] = {}
        self.shape: list[str] | None = None
        self.task: list[str] = []
        self.values: dict[str, str | None] = {}
        self.cfg = DictConfig({})

    def __call__(self, overrides: Sequence[str]) -> DictConfig:
        """The config of a job."""
        parsed = [self._parse(word) for word in overrides]
        shape = [
            override.key_or_group if is_value else word
            for word, (override, is_value) in zip(overrides, parsed, strict=True)
        ]
        if shape != self.shape:
            self.cfg, self.shape = self.loader.load_sweep_config(self.config, list(overrides)), shape
            self.values, self.task = {}, list(overrides)
            self.cfg.hydra.overrides.task = self.task
            names = self.cfg.hydra.job.config.override_dirname
            self.names = names.exclude_keys, names.item_sep, names.kv_sep
        for override, is_value in parsed:
            if is_value and self.values.get(override.key_or_group) != override.input_line:
                _set(self.cfg, override)
                self.values[override.key_or_group] = override.input_line
        for i, word in enumerate(overrides):  # OmegaConf takes longer for a list than for what changes in it
            if word != self.task[i]:
                self.cfg.hydra.overrides.task[i] = self.task[i] = word
        self.cfg.hydra.job.override_dirname = get_overrides_dirname([override for override, _ in parsed], *self.names)
        return self.cfg

    def job(self, number: int, overrides: Sequence[str], directory: Path) -> DictConfig:
        """The config of a job as Hydra's callbacks see it, with its number and directory."""
        cfg = self(overrides)
        with open_dict(cfg.hydra):
            cfg.hydra.job.id = str(number)
            cfg.hydra.job.num = number
            cfg.hydra.runtime.output_dir = str(directory.absolute())
        HydraConfig.instance().cfg = cfg  # type: ignore[assignment]  # what ${hydra:...} reads: that of this job
        return cfg

    def _parse(self, word: str) -> tuple[Override, bool]:
        """An override, and whether it does no more than set a key to a plain value."""
        if word not in self.parsed:
            (override,) = OverridesParser.create().parse_overrides([word])
            more = override.is_delete() or override.is_add() or override.is_force_add()
            more = more or isinstance(override.value(), dict)
            more = more or _is_group(self.loader, override.key_or_group)
            self.parsed[word] = override, not more
        return self.parsed[word]


@cache  # Hydra copies its repository of configs to find out
def _is_group(loader: ConfigLoader, key: str) -> bool:
    return loader.get_group_options(key) != []


def _set(cfg: DictConfig, override: Override) -> None:
    try:
        OmegaConf.update(cfg, override.key_or_group, override.value(), merge=True)
    except OmegaConfBaseException as error:
        raise ConfigCompositionException(f"Error merging override {override.input_line}") from error


def job_return(cfg: DictConfig, overrides: Sequence[str], value: Callable[[], Any]) -> JobReturn:
    """What Hydra's sweepers expect of a job whose task function has returned ``value()`` or raised what that raises."""
    made = JobReturn(overrides=overrides, working_dir=os.getcwd(), task_name=cfg.hydra.job.name)
    try:
        made.return_value, made.status = value(), JobStatus.COMPLETED
    except Exception as error:
        stopping.look()  # an error that comes of a stop is that stop
        made.return_value, made.status = error, JobStatus.FAILED
    return made
