"""Checks of a config before anything is trained or written. Imports neither torch nor lightning."""

import difflib
from collections.abc import Iterable, Iterator
from dataclasses import fields, is_dataclass
from typing import Any

from hydra.core.config_store import ConfigStore
from omegaconf import DictConfig, OmegaConf

from neuronsweep.allowed import BOOL, Allowed
from neuronsweep.errors import UserError
from neuronsweep.metric_names import LOGGED, METRICS
from neuronsweep.schemas import SCHEMAS
from neuronsweep.schemas.config import Config
from neuronsweep.schemas.optimizer import LBFGS
from neuronsweep.schemas.scheduler import Plateau


def register() -> None:
    """Store every schema, so that a YAML file of its group can name it: ``defaults: [schema_adam]``."""
    store = ConfigStore.instance()
    store.store(name="schema", node=Config)
    OmegaConf.register_new_resolver("job_dir", lambda number: f"{number:04d}", replace=True)
    for group, schemas in SCHEMAS.items():
        for name, node in schemas.items():
            store.store(group=group, name=f"schema_{name}", node=node)


def check(cfg: DictConfig) -> None:
    """Raise UserError for the first value that is not allowed; the message names key, value and what is allowed."""
    added = _added(cfg)
    if added:
        raise UserError(f"+{added} is not allowed: the config has no key {added}, and nothing would read it")
    check_values(cfg)
    _check_together(cfg)


def check_values(cfg: DictConfig, prefix: str = "") -> None:
    """Raise UserError for the first value that its schema does not allow; ``prefix`` is where ``cfg`` lies."""
    for key, value, allowed in _constrained(cfg, prefix):
        if value is not None and not _passes(value, allowed):
            near = nearest(str(value), allowed.choices)
            raise UserError(f"{key}={value} is not allowed: {key} is {allowed.words}{near}")


def _passes(value: Any, allowed: Allowed) -> bool:
    try:
        return allowed.test(value)
    except TypeError:  # a word for a number, in a file without a schema
        return False


def nearest(word: str, words: Iterable[str]) -> str:
    """``; did you mean X?`` for the word that is most like this one, or nothing."""
    match = difflib.get_close_matches(word, list(words), n=1, cutoff=0.5)
    return f"; did you mean {match[0]}?" if match else ""


def known_keys() -> list[tuple[str, Any, Allowed | None]]:
    """Every dotted key that some config has, with its type and what is allowed; sorted by name."""
    keys = list(_dotted(Config))
    for group, schemas in SCHEMAS.items():
        for schema in schemas.values():
            keys += _dotted(schema, f"{group}.")
    named = {key: (key, kind, allowed) for key, kind, allowed in keys if key not in SCHEMAS}
    return [named[key] for key in sorted(named)]


def _dotted(schema: type, prefix: str = "") -> Iterator[tuple[str, Any, Allowed | None]]:
    for item in fields(schema):
        if isinstance(item.type, type) and is_dataclass(item.type):
            yield from _dotted(item.type, f"{prefix}{item.name}.")
        else:
            yield prefix + item.name, item.type, BOOL if item.type is bool else item.metadata.get("allowed")


def plain(cfg: DictConfig, resolve: bool = True) -> dict[str, Any]:
    """A config as nested dictionaries."""
    container = OmegaConf.to_container(cfg, resolve=resolve, enum_to_str=True)
    assert isinstance(container, dict)
    return container  # type: ignore[return-value]


def run_config(cfg: DictConfig, resolve: bool = True) -> dict[str, Any]:
    """The config of a run, composed with Hydra's own node, as nested dictionaries without it."""
    nodes = ((str(key), node) for key, node in cfg.items_ex(resolve=resolve) if key != "hydra")
    return {key: plain(node, resolve) if isinstance(node, DictConfig) else node for key, node in nodes}


def _added(cfg: DictConfig, prefix: str = "") -> str | None:
    """A key that somebody added to a config with a schema, or None."""
    schema = OmegaConf.get_type(cfg)
    if not is_dataclass(schema):
        return None
    names = {item.name for item in fields(schema)}
    for name, value in cfg.items_ex(resolve=False):
        key = f"{prefix}{name!s}"
        if key == "hydra":
            continue
        if name not in names:
            return key
        if isinstance(value, DictConfig) and (found := _added(value, f"{key}.")):
            return found
    return None


def _schema(cfg: DictConfig, group: str) -> type | None:
    """The schema of a group's config; of a user's own file that of its ``_target_``, None where there is none."""
    schema = OmegaConf.get_type(cfg)
    if is_dataclass(schema):
        return schema
    known = SCHEMAS.get(group, {}).values()
    return next((one for one in known if cfg.get("_target_") == getattr(one, "_target_", ())), None)


def _constrained(cfg: DictConfig, prefix: str = "") -> Iterator[tuple[str, Any, Allowed]]:
    schema = _schema(cfg, prefix.rstrip("."))
    if schema is None:
        return
    for item in fields(schema):
        if (
            item.name not in cfg and OmegaConf.get_type(cfg) is not schema
        ):  # a user's own file leaves it to the function
            continue
        value = cfg[item.name]
        if isinstance(value, DictConfig):
            yield from _constrained(value, f"{prefix}{item.name}.")
        elif "allowed" in item.metadata:
            yield prefix + item.name, value, item.metadata["allowed"]


def _check_together(cfg: DictConfig) -> None:
    data, optimizer, trainer = cfg.data, cfg.optimizer, cfg.trainer
    schema = _schema(data, "data")  # what a user's own data may be is known to their function alone
    drawn = {item.name: data.get(item.name, item.default) for item in fields(schema)} if schema else {}
    if "low" in drawn and not drawn["low"] < drawn["high"]:
        raise UserError(
            f"data.low={drawn['low']} is not allowed: data.low is a number < data.high, which is {drawn['high']}"
        )
    if "classes" in drawn and drawn["classes"] > min(drawn["n"], drawn["n_val"]):
        raise UserError(f"data.classes={drawn['classes']} is not allowed: train and val have a sample of every class")
    if optimizer.get("nesterov") and not (optimizer.momentum > 0 and optimizer.dampening == 0):
        raise UserError("optimizer.nesterov=true is not allowed: it needs optimizer.momentum > 0 and dampening 0")
    if cfg.model.norm == "batch" and cfg.batch_size == 1:
        raise UserError("model.norm=batch is not allowed with batch_size=1: a batch's statistics need 2 samples")
    if trainer.devices > 1 and trainer.strategy != "ddp":
        raise UserError(
            f"trainer.devices={trainer.devices} is not allowed with trainer.strategy={trainer.strategy}: "
            "several devices are trainer=ddp or trainer=ddp_cpu"
        )
    if trainer.devices > 1 and cfg.model.norm == "batch":
        raise UserError(
            "model.norm=batch is not allowed with several devices: each would normalise its own part of a batch"
        )
    if trainer.devices > 1 and OmegaConf.get_type(optimizer) is LBFGS:
        raise UserError("optimizer=lbfgs is not allowed with several devices: each would search along its own loss")
    _check_objective(cfg)


def _check_objective(cfg: DictConfig) -> None:
    metric, trainer = cfg.objective.metric, cfg.trainer
    readers = {
        "trainer.keep=best": trainer.keep == "best",
        "trainer.early_stopping": trainer.early_stopping.patience is not None,
        "scheduler=plateau": OmegaConf.get_type(cfg.scheduler) is Plateau,
    }
    for reader, reads in readers.items():
        if reads and metric.rpartition("/")[2] not in LOGGED:
            raise UserError(
                f"objective.metric={metric} is not allowed with {reader}, which reads it at every log point: "
                f"computed there are {' and '.join(LOGGED)}"
            )
    schema = OmegaConf.get_type(cfg.data)
    if not isinstance(schema, type) or not hasattr(schema, "task"):  # a user's own data: known when it is built
        return
    metrics = [f"{split}/{metric}" for split in schema.splits for metric in METRICS[schema.task]]
    if cfg.objective.metric not in metrics:
        raise UserError(
            f"objective.metric={cfg.objective.metric} is not allowed: with this data it is one of "
            f"{', '.join(metrics)}{nearest(cfg.objective.metric, metrics)}"
        )
