"""The runs of a trial: one, or one for every value of a key that splits or seeds the same configuration otherwise."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from hydra.core.config_loader import ConfigLoader
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import ChoiceSweep, RangeSweep
from hydra.errors import HydraException

from neuronsweep.errors import UserError

# The keys by which replicates of a configuration differ.
KEYS = ("data.fold", "data.seed", "seed")


@dataclass(frozen=True)
class Replicates:
    """What every trial is trained with.

    Attributes:
        text: ``KEY=VALUES`` as it was typed; empty where a trial is one run.
        words: the override of each run.
    """

    text: str = ""
    words: tuple[str, ...] = ()

    @property
    def count(self) -> int:
        """How many runs a trial has."""
        return max(1, len(self.words))

    @property
    def keys(self) -> list[str]:
        """The key by which the runs of a trial differ."""
        return [self.text.partition("=")[0]] if self.text else []

    def runs(self, trial: int) -> range:
        """Numbers of the runs of a trial."""
        return range(trial * self.count, (trial + 1) * self.count)

    def jobs(self, trials: Mapping[int, Sequence[str]]) -> dict[int, list[str]]:
        """The overrides of every run of these trials, by its number."""
        return {
            number: [*overrides, *self.words[i : i + 1]]
            for trial, overrides in trials.items()
            for i, number in enumerate(self.runs(trial))
        }


def read(loader: ConfigLoader, text: str | None, taken: Sequence[str]) -> Replicates:
    """What hydra.sweeper.replicates says. Raises UserError for what is no list of values of one of KEYS.

    Args:
        taken: the words of the command, and the keys of the space.
    """
    if not text:
        return Replicates()
    refused = f"hydra.sweeper.replicates={text} is not allowed: "
    allowed = f"it is KEY=VALUES, as data.fold=range(5), with {', '.join(KEYS[:-1])} or {KEYS[-1]}"
    try:
        override = OverridesParser.create(config_loader=loader).parse_override(text)
        key, value = override.get_key_element(), override.value()
        if key not in KEYS or not isinstance(value, ChoiceSweep | RangeSweep) or getattr(value, "shuffle", False):
            raise UserError(refused + allowed)
        words = tuple(dict.fromkeys(f"{key}={one}" for one in override.sweep_string_iterator()))
    except (HydraException, ValueError):
        raise UserError(refused + allowed) from None
    if not words:
        raise UserError(f"{refused}there is nothing to choose from")
    if key in [word.lstrip("+").partition("=")[0] for word in taken]:
        raise UserError(f"{refused}{key} has a value or is searched for already")
    return Replicates(text, words)
