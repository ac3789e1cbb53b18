"""The jobs of a sweep: their overrides, and their configs without composing each anew."""

import itertools
from collections.abc import Sequence

from hydra._internal.config_loader_impl import get_overrides_dirname
from hydra.core.config_loader import ConfigLoader
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import ConfigCompositionException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

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
            values[key] = [f"{key}={override.get_value_element_as_str()}"]
        elif override.is_discrete_sweep():
            values[key] = [f"{key}={value}" for value in override.sweep_string_iterator()]
            swept.append(key.lstrip("+"))
        else:
            raise UserError(f"{override.input_line} is not allowed: a grid sweeps over lists and ranges of values")
    return [list(job) for job in itertools.product(*values.values())], swept


class Composer:
    """Composes the configs of jobs; a job that differs from the one before in plain values only costs Hydra nothing.

    Hydra takes 30 ms to compose a job and parse its overrides, which for hundreds of jobs is more than their training.
    """

    def __init__(self, loader: ConfigLoader, config: DictConfig):
        self.loader, self.config = loader, config
        self.parser = OverridesParser.create(config_loader=loader)
        self.parsed: dict[str, tuple[Override, bool]] = {}
        self.shape: list[str] | None = None
        self.cfg = DictConfig({})

    def __call__(self, overrides: Sequence[str]) -> DictConfig:
        """The job's config with its ``hydra`` node, changed in place by the next call."""
        parsed = [self._parse(word) for word in overrides]
        shape = [
            override.key_or_group if is_value else word
            for word, (override, is_value) in zip(overrides, parsed, strict=True)
        ]
        if shape != self.shape:
            self.cfg, self.shape = self.loader.load_sweep_config(self.config, list(overrides)), shape
        for override, is_value in parsed:
            if is_value:
                _set(self.cfg, override)
        names = self.cfg.hydra.job.config.override_dirname
        self.cfg.hydra.overrides.task = list(overrides)
        self.cfg.hydra.job.override_dirname = get_overrides_dirname(
            [override for override, _ in parsed], names.exclude_keys, names.item_sep, names.kv_sep
        )
        return self.cfg

    def _parse(self, word: str) -> tuple[Override, bool]:
        """An override and whether it does no more than set a key to a plain value."""
        if word not in self.parsed:
            (override,) = self.parser.parse_overrides([word])
            plain = not (override.is_delete() or override.is_add() or override.is_force_add())
            is_group = self.loader.get_group_options(override.key_or_group) != []
            self.parsed[word] = override, plain and not is_group and not isinstance(override.value(), dict)
        return self.parsed[word]


def _set(cfg: DictConfig, override: Override) -> None:
    try:
        OmegaConf.update(cfg, override.key_or_group, override.value(), merge=True)
    except OmegaConfBaseException as error:
        raise ConfigCompositionException(f"Error merging override {override.input_line}") from error
