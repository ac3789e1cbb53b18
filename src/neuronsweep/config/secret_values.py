"""Recognises secrets in configs and words, so that they are never written to a file."""

import os
import re
from collections.abc import Mapping
from typing import Any

from omegaconf.resolvers import oc

from neuronsweep.errors import mask

# Names of keys whose values are secrets; n_tokens is none of them. Then such a key with its value in a word of the
# command line, by itself and within a mapping.
SECRET = (
    r"password|passwd|passphrase|secret|secret_key|private_key|credentials?|api_?key|(?:access_|auth_)?token|access_key"
)
KEY = re.compile(SECRET, re.IGNORECASE)
ASSIGNED = re.compile(rf"(?is)^([+]*(?:[^=\s]*\.)?(?:{SECRET})=).*")
WITHIN = re.compile(rf"(?i)(?<![\w.])((?:{SECRET})\s*:\s*)[^,}}\s]+")
HIDDEN = "***"

# What configs took from the environment by ${oc.env:NAME} in this process, to distinguish it from what was typed.
FROM_ENVIRONMENT: set[str] = set()


def from_environment(name: str, *default: str | None) -> str | None:
    """OmegaConf's ``oc.env``, whose answers are remembered."""
    found = oc.env(name, *default)
    if os.environ.get(name):
        FROM_ENVIRONMENT.add(os.environ[name])
    return found


def without_secrets(value: Any) -> Any:
    """Plain values without secrets: those of keys that are exactly a word such as password, and passwords in URLs.

    And of loggers what came from the environment; of anything else that may be a number, without which nothing can be
    trained again.
    """
    if isinstance(value, Mapping):
        found = {key: HIDDEN if _is_secret(key, item) else without_secrets(item) for key, item in value.items()}
        return {key: _without_environment(item) if key == "logger" else item for key, item in found.items()}
    if isinstance(value, list):
        return [without_secrets(item) for item in value]
    if isinstance(value, str):
        return mask(WITHIN.sub(rf"\1{HIDDEN}", ASSIGNED.sub(rf"\1{HIDDEN}", value)))
    return value


def _is_secret(key: object, value: object) -> bool:
    return value is not None and bool(KEY.fullmatch(str(key).rpartition(".")[2]))


def _without_environment(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _without_environment(item) for key, item in value.items()}
    return HIDDEN if isinstance(value, str) and value in FROM_ENVIRONMENT else value
