"""What ``_target_`` in a config names: found and called with errors of one line, and only where it may be."""

import logging
from collections.abc import Mapping
from typing import Any

from hydra.errors import InstantiationException
from hydra.utils import get_class, instantiate

from neuronsweep.errors import UserError

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


def check_targets(config: Mapping[str, Any]) -> None:
    """Raise UserError when a config names a class or function that is not of the trusted packages."""
    for key, value in config.items():
        if isinstance(value, Mapping):
            check_targets(value)
        elif key == "_target_" and value and not str(value).startswith(TRUSTED):
            raise UserError(
                f"_target_={value} is not one of {', '.join(name + '*' for name in TRUSTED)}; "
                "--trust runs it all the same: only with a directory whose author you trust"
            )
