"""The words of a sweep's command, as they were typed and as another process in another directory needs them."""

import os
import re
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from neuronsweep import console
from neuronsweep.config.targets import Untrusted, as_anybody
from neuronsweep.errors import UserError
from neuronsweep.runs import contents
from neuronsweep.runs.run import Run
from neuronsweep.runs.sweep import read_description

# Where the config of train.py is unless a command says otherwise, and its name.
CONF, NAME = Path(__file__).parents[3] / "conf", "train"


def typed(words: Any) -> list[str]:
    """Overrides in a node of Hydra's as they were typed: reading them one by one would resolve ``${...}`` in them."""
    found = OmegaConf.to_container(words, resolve=False)
    assert isinstance(found, list)
    return [str(word) for word in found]


def config_words(config: DictConfig) -> list[str]:
    """The flags with which train.py composes from the files that this config was composed from, in any directory.

    They are read from what Hydra has composed, because argparse lets users shorten flags and write them in many ways.
    """
    hydra = config.hydra
    found = [] if hydra.job.config_name == NAME else ["--config-name", hydra.job.config_name]
    for source in hydra.runtime.config_sources:
        path = os.path.abspath(source.path) if source.schema == "file" else f"{source.schema}://{source.path}"
        if source.provider == "main" and os.path.realpath(path) != os.path.realpath(CONF):
            found += ["--config-path", path]
        if source.provider == "command-line":
            found += ["--config-dir", path]
    return found


def absolute(storage: str | None) -> str | None:
    """hydra.sweeper.storage so that it means the same file in another working directory."""
    if not storage:
        return storage
    url, colon, path = storage.partition(":///") if storage.startswith("sqlite") else ("", "", storage)
    if "://" in path or path.startswith((":memory:", "file:", "/")) or not path:
        return storage
    return f"{url}{colon}{os.path.abspath(path)}"


def anywhere(word: str) -> str:
    """An override of Hydra's own as it must be given in another working directory."""
    key, _, value = word.partition("=")
    if key == "hydra.sweeper.storage" and "${" not in value and value[:1] not in ("'", '"') and value != "null":
        return f"{key}={absolute(value)}"
    if key == "hydra.searchpath":
        return re.sub(r"file://(?=[^/])", lambda _: f"file://{os.getcwd()}/", word)
    return word


def train_command(words: Sequence[str], description: Mapping[str, Any]) -> str:
    """The command line that trains one run of a sweep with this sweep.json by itself."""
    return shlex.join(["python", "train.py", *description.get("config_words", []), *words])


def resume_command(directory: Path) -> str:
    """The command line that goes on with a run or sweep."""
    return script_command("resume.py", directory)


def script_command(script: str, directory: Path) -> str:
    """The command line of a script about a run or sweep, with ``--trust`` where it asks for that."""
    trust = ["--trust"] if needs_trust(directory) else []
    return shlex.join(["python", f"scripts/{script}", console.directory_name(directory), *trust])


def needs_trust(directory: Path) -> bool:
    """Whether scripts ask for ``--trust`` before they build what this run or sweep directory names."""
    with as_anybody():
        try:
            if (directory / contents.SWEEP).exists():
                read_description(directory)
            elif (directory / contents.RECORD).exists():
                Run(directory).record()
        except Untrusted:
            return True
        except UserError:
            return False
    return False
