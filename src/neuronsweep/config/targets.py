"""Builds what ``_target_`` names, with errors of one line; from a foreign directory only what the schemas name."""

import contextlib
import logging
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from hydra.errors import InstantiationException
from hydra.utils import get_class, instantiate
from omegaconf import DictConfig, OmegaConf

from neuronsweep.config.schemas import SCHEMAS
from neuronsweep.config.schemas.config import Config
from neuronsweep.config.schemas.search import SearchOptions
from neuronsweep.errors import UserError

# What a script says of its option.
TRUSTED = "also build and run what the directory names that is not part of neuronsweep"
TRUST = "--trust allows it; use it only for directories whose author you trust"
# The nodes of a recorded config, and what may be built for each from a foreign directory: what the
# schemas name, and the two modules. Nothing else of any package: a package has functions that do anything.
NODES: dict[str, frozenset[str]] = {
    group: frozenset(str(target) for schema in schemas.values() if (target := getattr(schema, "_target_", None)))
    for group, schemas in SCHEMAS.items()
}
NODES["module"] = frozenset(f"neuronsweep.models.modules.{name}Module" for name in ("Regression", "Classification"))

# Keys of a sweep's command that say how it is trained, and no more. Storage and space are not among them: the one may
# be anybody's server or file, the other any function.
OF_A_SEARCH = {item.name for item in fields(SearchOptions)} - {"_target_", "space", "storage"} | {"shard"}
OF_A_LAUNCHER = re.compile(r"hydra\.launcher\.(slots|retries|chunks|cpus)=(null|\d+)")
PLAIN_KEYS = {item.name for item in fields(Config)} - NODES.keys()


class Untrusted(UserError):
    """A foreign directory names something that is built or run only with --trust."""


@dataclass
class Granted:
    """What this process may build from directories besides ``NODES``.

    Attributes:
        everything: --trust was given.
        targets, words: what this process's own command names, whose runs it reads back.
    """

    everything: bool = False
    targets: set[str] = field(default_factory=set)
    words: set[str] = field(default_factory=set)


GRANTED = Granted()

# get_class logs what it raises
logging.getLogger("hydra.utils").setLevel(logging.CRITICAL)


def built(key: str, node: Mapping[str, Any], **arguments: Any) -> Any:
    """The object that a node of the config describes. Raises UserError where its ``_target_`` gives none."""
    try:
        return instantiate(node, **arguments)
    except InstantiationException as error:
        if isinstance(error.__cause__, UserError):
            raise error.__cause__ from None
        raise UserError(f"{key}._target_={node['_target_']} is not allowed: {error.__cause__ or error}") from error


def named_class(key: str, target: str) -> type:
    """The class of this name. Raises UserError where there is none."""
    try:
        return get_class(target)
    except Exception as error:  # whatever the import of a user's module raises
        raise UserError(f"{key}._target_={target} is not allowed: {error}") from error


def trust() -> None:
    """Let this process build whatever a directory names: --trust was given."""
    GRANTED.everything = True


def grant(cfg: DictConfig) -> None:
    """Let this process build from its own runs what a config names that its own command has composed."""
    for key in NODES:
        node = cfg.get(key)
        if isinstance(node, DictConfig):
            GRANTED.targets.update(map(str, _targets(OmegaConf.to_container(node, resolve=True))))


def grant_words(words: Sequence[str]) -> None:
    """Let this process read back the words of its own command from the directory where it has written them."""
    GRANTED.words.update(words)


@contextlib.contextmanager
def as_anybody() -> Iterator[None]:
    """Check inside what a process may build that has been granted nothing."""
    granted = vars(GRANTED).copy()
    GRANTED.everything, GRANTED.targets, GRANTED.words = False, set(), set()
    try:
        yield
    finally:
        vars(GRANTED).update(granted)


def check_config(config: Mapping[str, Any], directory: Path) -> None:
    """Raise Untrusted where a config that a directory has recorded names what may not be built, wherever it does.

    A node names one of its own group's; nothing below a node names anything.
    """
    if GRANTED.everything:
        return
    allowed = {key: {*NODES.get(key, ()), *GRANTED.targets} for key in config}
    for key, node in config.items():
        for target in _targets(node):
            own = isinstance(node, Mapping) and target == node.get("_target_")
            if str(target) not in (allowed[key] if own else GRANTED.targets):
                among = f", which is not {_listed(NODES[key])}" if NODES.get(key) else ""
                raise Untrusted(f"{directory} names {key}._target_={target}{among}; {TRUST}")
        if text := next(_interpolations(node), None):
            raise Untrusted(f"{directory} has {text}, an interpolation, which a recorded config does not have; {TRUST}")
    if config.get("_target_"):
        raise Untrusted(f"{directory} names _target_={config['_target_']} for a whole config; {TRUST}")


def check_words(words: Sequence[str], directory: Path) -> None:
    """Raise Untrusted where the recorded words of a command do more than a sweep needs.

    They may set keys of the config, choose among the files of the user's own conf by their names, name what
    ``check_config`` allows, and say how a sweep is trained.
    """
    for word in words:
        if not (GRANTED.everything or word in GRANTED.words or _is_harmless(word)):
            raise Untrusted(f"{directory} asks for {word}, which a directory may not make a command do; {TRUST}")


def check_flags(words: Sequence[str], directory: Path) -> None:
    """Raise Untrusted where Hydra's flags of a recorded command lead to another directory's config."""
    if GRANTED.everything or set(words) <= GRANTED.words:
        return
    text = " ".join(words)
    if not re.fullmatch(r"((--config-name|-cn)[ =][\w-]+(\.yaml)?( |$))*", text):
        raise Untrusted(f"{directory} asks for {text}, which a directory may not make a command do; {TRUST}")


def _is_harmless(word: str) -> bool:
    found = re.fullmatch(r"(?s)(\+{0,2}|~)([A-Za-z_]\w*(?:[./][\w-]+)*)(?:=(.*))?", word)
    if not found:  # a flag of Hydra's, a key with a package, anything that is no KEY=VALUE
        return False
    how, key, value = found[1], found[2], found[3] or ""
    if _resolves(value) or "_target_" in value:
        return False
    if how == "~":
        return True
    if key.endswith("_target_"):
        names = [name for name in re.split(r"[,()\[\]\s'\"]+", value) if name not in ("", "choice", "null")]
        group = key.removesuffix("._target_")
        return group in NODES and NODES[group].issuperset(names)
    if key in ("hydra/launcher", "hydra/sweeper"):
        return _is_choice(value)
    if key == "hydra" or key.startswith("hydra/"):
        return False
    if "." not in key and key not in PLAIN_KEYS:
        return _is_choice(value)
    if key.startswith("hydra.sweeper.params."):
        return _is_harmless(f"{key.removeprefix('hydra.sweeper.params.')}={value}")
    if key.startswith("hydra.sweeper."):
        return key.split(".")[2] in OF_A_SEARCH - {"params"}
    return not key.startswith("hydra") or key == "hydra.mode" or bool(OF_A_LAUNCHER.fullmatch(f"{key}={value}"))


def _is_choice(value: str) -> bool:
    """Whether a value chooses files of conf by names, which lead nowhere else."""
    return bool(re.fullmatch(r"[\w\s,()'\"-]*", value))


def _targets(value: Any) -> Iterator[Any]:
    """Everything that plain values name as a ``_target_``, wherever it stands."""
    if isinstance(value, Mapping):
        if value.get("_target_"):
            yield value["_target_"]
        for item in value.values():
            yield from _targets(item)
    elif isinstance(value, list):
        for item in value:
            yield from _targets(item)


def _interpolations(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        if "${" in value:
            yield value
    elif isinstance(value, Mapping | list):
        for item in value.values() if isinstance(value, Mapping) else value:
            yield from _interpolations(item)


def _listed(names: frozenset[str]) -> str:
    return " or ".join(sorted(names))


def _resolves(value: str) -> bool:
    """Whether a value has an interpolation that does more than read another key of the config, as in ${oc.env:NAME}."""
    return "${" in re.sub(r"\$\{\.*[A-Za-z_][\w.]*\}", "", value)
