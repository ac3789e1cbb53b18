"""The space of a search: its parameters, and those that a user's function suggests; checked before the first trial."""

import itertools
import math
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from neuronsweep.errors import Unwritable, UserError
from neuronsweep.search.parameters import Choice, Dimension, Numbers, Suggests, as_typed, words

# A conditional space is looked at along so many of its paths before the first trial.
PATHS = 1000


@dataclass(frozen=True)
class Space:
    """What a search may try.

    Attributes:
        dimensions: suggested for every trial.
        function: suggests further keys; ``name`` is its path.
        keys: of the dimensions, then those that the function suggested on any path that was tried.
    """

    dimensions: tuple[Dimension, ...]
    function: Callable[[Any], object] | None
    name: str | None
    keys: tuple[str, ...]

    def suggest(self, trial: Suggests) -> dict[str, Any]:
        """Ask a trial for all its parameters. Raises UserError where the function fails."""
        for dimension in self.dimensions:
            dimension.suggest(trial)
        if self.function:
            try:
                self.function(trial)
            except (UserError, Unwritable):
                raise
            except (Exception, SystemExit) as error:
                from optuna.exceptions import StorageInternalError  # late: most errors of a space need no Optuna

                if isinstance(error, StorageInternalError):
                    raise
                raise UserError(f"hydra.sweeper.space={self.name} raised {error!r}") from error
        return dict(trial.params)

    def overrides(self, params: Mapping[str, Any]) -> list[str]:
        """Parameters as one would type them, always in the same order."""
        known = {dimension.key: dimension for dimension in self.dimensions}
        # a study may be in a file of somebody else's: only a function can ask for more than is known here
        strange = [key for key in params if key not in self.keys and not self.function]
        strange += [key for key, dimension in known.items() if key in params and not dimension.holds(params[key])]
        if strange:
            raise UserError(f"the study has {strange[0]}={params[strange[0]]}, which is not in the space of the search")
        order = [*self.keys, *sorted(params.keys() - set(self.keys))]
        return [
            f"{key}={(known[key].text if key in known else as_typed)(params[key])}" for key in order if key in params
        ]

    def asked(self) -> list[str]:
        """Keys that are suggested on any path that was tried. Raises UserError where the function fails."""
        return [dimension.key for path in self._paths("edges", PATHS) for dimension, _ in path]

    def probes(self) -> list[list[str]]:
        """Jobs that together have every choice and both ends of every range."""
        seen: set[str] = set()
        probes = []
        for path in self._paths("edges", PATHS):
            job = self.overrides({dimension.key: value for dimension, value in path})
            if not seen.issuperset(job):
                seen.update(job)
                probes.append(job)
        return probes

    def size(self, most: int) -> int | None:
        """How many different trials there are, at most ``most``; None where they cannot be counted."""
        if not self.function:
            sizes = [dimension.all() for dimension in self.dimensions]
            counts = [len(values) for values in sizes if values is not None]
            return min(most, math.prod(counts)) if len(counts) == len(sizes) else None
        paths = list(itertools.islice(self._paths("all", most), most))
        countable = all(dimension.all() is not None for path in paths for dimension, _ in path)
        return len(paths) if countable else None

    def check_guess(self, guess: Mapping[str, Any]) -> None:
        """Raise UserError for a first guess that is not in the space."""
        for key in guess:
            if key not in self.keys:
                raise UserError(
                    f"hydra.sweeper.enqueue is not allowed: {key} is not in the space {', '.join(self.keys)}"
                )
        self.suggest(_Path([], "edges", guess))

    def describe(self) -> list[dict[str, Any]]:
        """The space as plain values, equal for equal spaces."""
        described = [{**asdict(dimension)} for dimension in self.dimensions]
        for one in described:
            one.pop("values", None)
        named = [{"function": self.name}] if self.name else []
        return [{k: list(v) if isinstance(v, tuple) else v for k, v in one.items()} for one in [*described, *named]]

    def _paths(self, which: str, most: int) -> Iterator[list[tuple[Dimension, Any]]]:
        """Sequences of answers to a trial's suggestions, those near the first answers first."""
        waiting: deque[list[int]] = deque([[]])
        for _ in range(most):
            if not waiting:
                return
            answers = waiting.popleft()
            path = _Path(answers, which)
            self.suggest(path)
            yield path.taken
            if not self.function and which == "edges":
                # without conditions the other values of each dimension are enough, beside the first of the rest
                if not answers:
                    counts = enumerate(path.counts)
                    waiting.extend([0] * at + [i] for at, count in counts for i in range(1, count))
                continue
            for at in range(len(answers), len(path.counts)):
                waiting.extend([*answers, *[0] * (at - len(answers)), i] for i in range(1, path.counts[at]))


class _Path:
    """Stands for a trial while a space is explored: gives its ``answers``, then always the first value.

    Args:
        answers: which value to answer with, question by question.
        which: the ``edges`` of a dimension, or ``all`` of its values where they can be counted.
        given: values of keys, whether they are in the space or not.
    """

    number = 0

    def __init__(self, answers: Sequence[int], which: str, given: Mapping[str, Any] | None = None):
        self.answers, self.which, self.given = answers, which, given or {}
        self.params: dict[str, Any] = {}
        self.taken: list[tuple[Dimension, Any]] = []
        self.counts: list[int] = []

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        return self._answer(Choice(name, tuple(choices), tuple(map(as_typed, choices))))

    def suggest_int(self, name: str, low: int, high: int, *, step: int = 1, log: bool = False) -> int:
        return self._answer(Numbers(name, low, high, step, log, whole=True))

    def suggest_float(
        self, name: str, low: float, high: float, *, step: float | None = None, log: bool = False
    ) -> float:
        return self._answer(Numbers(name, low, high, step, log, whole=False))

    def _answer(self, dimension: Dimension) -> Any:
        before = [one for one, _ in self.taken if one.key == dimension.key]
        if before:
            if before[0] != dimension:
                raise UserError(f"{dimension.key} is suggested as {words(before[0])} and as {words(dimension)}")
            return self.params[dimension.key]
        values = (dimension.all() if self.which == "all" else None) or dimension.edges()
        values = tuple(dict.fromkeys(values))
        at = len(self.taken)
        value = self.given.get(dimension.key, values[self.answers[at] if at < len(self.answers) else 0])
        if dimension.key in self.given and not dimension.holds(value):
            told = f"{dimension.key}={value} is not in {words(dimension)}"
            raise UserError(f"hydra.sweeper.enqueue is not allowed: {told}")
        self.params[dimension.key] = value
        self.taken.append((dimension, value))
        self.counts.append(len(values))
        return value
