"""What ``_target_`` in a config names: found and called with errors of one line, and only where it may be."""

import logging
import re
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from hydra.errors import InstantiationException
from hydra.utils import get_class, instantiate

from neuronsweep.errors import UserError

TRUST = "--trust runs it all the same: only with a directory whose author you trust"
# Packages whose classes may be built from a directory that somebody else wrote.
TRUSTED = ("neuronsweep.", "torch.optim.", "torch.nn.", "lightning.")

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
    except Exception as error:  # whatever the import of somebody's module raises
        raise UserError(f"{key}._target_={target} is not allowed: {error}") from error


def check_targets(value: Any) -> None:
    """Raise UserError when plain values of a config name what is not of the trusted packages, wherever they do."""
    if isinstance(value, Mapping):
        for key, item in value.items():
            if key == "_target_" and item and not _trusted(str(item)):
                raise UserError(f"_target_={item} is not one of {', '.join(name + '*' for name in TRUSTED)}; {TRUST}")
            check_targets(item)
    elif isinstance(value, list):
        for item in value:
            check_targets(item)
    elif isinstance(value, str) and "${" in value:
        raise UserError(f"{value} is an interpolation, which a recorded config does not have; {TRUST}")


def check_words(words: Sequence[str]) -> None:
    """Raise UserError when recorded overrides do more than a sweep needs: name a ``_target_``, or change Hydra."""
    for word in words:
        if word.startswith("~"):
            continue
        key, _, value = word.lstrip("+~").partition("=")
        own = key.startswith(("hydra.sweeper", "hydra.launcher", "hydra.sweep.", "hydra/sweeper", "hydra/launcher"))
        calls = key == "hydra.sweeper.space" and value != "null" and not _trusted(value)
        if calls or _resolves(value) or (key.startswith("hydra") and not own and key != "hydra.mode"):
            raise UserError(f"{word} is not run from a directory unasked; {TRUST}")
        targets = value.split(",") if key.endswith("_target_") else re.findall(r"_target_\s*:\s*([^,}\s]+)", value)
        for target in targets:
            if not _trusted(target.strip("'\" ")):
                raise UserError(f"{word} is not one of {', '.join(name + '*' for name in TRUSTED)}; {TRUST}")


def _resolves(value: str) -> bool:
    """Whether a value has an interpolation that does more than read another key of the config, as in ${oc.env:NAME}."""
    return "${" in re.sub(r"\$\{\.*[A-Za-z_][\w.]*\}", "", value)


def _trusted(target: str) -> bool:
    """Whether a name is of a trusted package and does not lead out of it, as in neuronsweep.record.subprocess.run."""
    parts = target.split(".")
    return target.startswith(TRUSTED) and not any(part in sys.stdlib_module_names for part in parts[1:-1])
