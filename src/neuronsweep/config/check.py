"""Checks a composed config before anything is trained or written. Imports neither torch nor lightning."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import fields, is_dataclass
from functools import cache
from typing import Any

from hydra.core.config_store import ConfigStore
from hydra.utils import get_method
from omegaconf import DictConfig, OmegaConf

from neuronsweep.config.allowed import BOOL, Allowed, nearest
from neuronsweep.config.metric_names import LOGGED, NOT_NAMED, at_the_end, is_logged, mode_of
from neuronsweep.config.schemas import SCHEMAS
from neuronsweep.config.schemas.config import MODULES, Config
from neuronsweep.config.schemas.data import Description
from neuronsweep.config.schemas.loss import check_loss
from neuronsweep.config.schemas.model import activations, widths
from neuronsweep.config.schemas.optimizer import LBFGS
from neuronsweep.config.schemas.scheduler import OneCycle, Plateau
from neuronsweep.config.secret_values import from_environment
from neuronsweep.errors import UserError


def register() -> None:
    """Store every schema, so that a YAML file of its group can name it: ``defaults: [schema_adam]``."""
    store = ConfigStore.instance()
    store.store(name="schema", node=Config)
    OmegaConf.register_new_resolver("job_dir", lambda number: f"{number:04d}", replace=True)
    OmegaConf.register_new_resolver("oc.env", from_environment, replace=True)
    OmegaConf.register_new_resolver("mode_of", lambda metric: mode_of(metric) or NOT_NAMED, replace=True)
    for group, schemas in SCHEMAS.items():
        for name, node in schemas.items():
            store.store(group=group, name=f"schema_{name}", node=node)


def check(cfg: DictConfig) -> None:
    """Raise UserError for the first value that is not allowed; the message names key, value and what is allowed."""
    added = _added(cfg)
    if added:
        raise UserError(f"+{added} is not allowed: the config has no key {added}, and nothing would read it")
    check_values(cfg.data, "data.")  # which metrics there are depends on them
    _check_metric(cfg)
    check_values(cfg)
    _check_together(cfg)


def check_mode(key: str, metric: str, mode: str) -> None:
    """Raise UserError for a mode that is not that of its metric, or not given where that of the metric is not known."""
    if mode == NOT_NAMED:
        raise UserError(
            f"{key} must be given with {metric}, for which it is not known whether less or more is "
            "better: it is min or max"
        )
    if mode not in ("min", "max"):
        raise UserError(f"{key}={mode} is not allowed: it is min or max{nearest(mode, ('min', 'max'))}")
    known = mode_of(metric)
    if known and mode != known:
        better = "less" if known == "min" else "more"
        raise UserError(f"{key}={mode} is not allowed with {metric}, of which {better} is better: its mode is {known}")


def _check_metric(cfg: DictConfig) -> None:
    metric, known = cfg.objective.metric, known_metrics(cfg)
    if known and metric not in known:
        raise UserError(
            f"objective.metric={metric} is not allowed: with this data it is one of "
            f"{', '.join(known)}{nearest(metric, known)}"
        )
    check_mode("objective.mode", metric, cfg.objective.mode)


def check_values(cfg: DictConfig, prefix: str = "") -> None:
    """Raise UserError for the first value that its schema does not allow; ``prefix`` is where ``cfg`` lies."""
    for key, value, allowed in _constrained(cfg, prefix):
        if not _passes(value, allowed):
            wrong = [one for one in value if one not in allowed.choices] if _is_list(value) else [value]
            near = nearest(str(wrong[0]), allowed.choices) if wrong else ""
            raise UserError(f"{key}={shown(value)} is not allowed: {key} is {allowed.words}{near}")


def _passes(value: Any, allowed: Allowed) -> bool:
    try:
        return allowed.test(value)
    except TypeError:  # a word for a number, in a file without a schema
        return False


def _is_list(value: Any) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str)


def shown(value: Any) -> str:
    """A value of a key as messages and pictures show it: ``null``, ``true``, ``[64,16]``."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return f"[{','.join(map(shown, value))}]" if _is_list(value) else str(value)


@cache
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
            allowed: Allowed | None = item.metadata.get("allowed", BOOL if item.type is bool else None)
            yield prefix + item.name, allowed.kind if allowed and allowed.kind else item.type, allowed


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
    """A key that was added to a config with a schema, or None."""
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
    """The schema of a group's config; of a user's own file the one that it is like, None where there is none."""
    schema = OmegaConf.get_type(cfg)
    if is_dataclass(schema):
        return schema
    return _schema_like(cfg, SCHEMAS.get(group, {}).values())


def _constrained(cfg: DictConfig, prefix: str = "") -> Iterator[tuple[str, Any, Allowed]]:
    schema = _schema(cfg, prefix.rstrip("."))
    if schema is None:
        return
    for item in fields(schema):
        if item.name not in cfg and OmegaConf.get_type(cfg) is not schema:  # a user's own file leaves it out
            continue
        value = cfg[item.name]
        if isinstance(value, DictConfig) and "allowed" not in item.metadata:
            yield from _constrained(value, f"{prefix}{item.name}.")
        elif "allowed" in item.metadata and (value is not None or item.type is Any):  # else OmegaConf refused null
            yield prefix + item.name, value, item.metadata["allowed"]


def _schema_like(cfg: DictConfig, known: Iterable[type]) -> type | None:
    """The schema with the ``_target_`` of this node, or its ``name``, or the only one that its group has."""
    known = list(known)
    for tag in ("_target_", "name"):
        if tag in cfg:
            return next((one for one in known if getattr(one, tag, None) == cfg[tag]), None)
    return known[0] if len(known) == 1 else None


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
    _check_layers(cfg.model)
    if OmegaConf.get_type(cfg.scheduler) is OneCycle:
        _check_one_cycle(cfg)
    if data := described(cfg):
        check_loss(plain(cfg.loss), data.task, data.classes)
    _check_objective(cfg)


def _check_layers(model: DictConfig) -> None:
    hidden, depth, act = model.get("hidden", 8), model.get("depth", 1), model.get("act", "relu")
    try:
        each = widths(hidden if isinstance(hidden, int) else list(hidden), depth)
    except ValueError:
        raise UserError(
            f"model.depth={depth} is not allowed with model.hidden={shown(hidden)}: a list of widths is the depth, "
            f"{len(hidden)} here; leave model.depth out"
        ) from None
    try:
        activations(act if isinstance(act, str) else list(act), len(each))
    except ValueError:
        raise UserError(
            f"model.act={shown(act)} is not allowed with {len(each)} hidden layer{'s' if len(each) != 1 else ''}: "
            "a list has one activation for each hidden layer"
        ) from None
    if model.get("skip") and len(set(each)) > 1:
        raise UserError(
            f"model.skip=true is not allowed with model.hidden={shown(hidden)}: "
            "a layer adds its input to its output, so all hidden layers have the same width"
        )


def _check_one_cycle(cfg: DictConfig) -> None:
    scheduler = cfg.scheduler
    if scheduler.total_steps < cfg.epochs:
        raise UserError(
            f"scheduler.total_steps={scheduler.total_steps} is not allowed: "
            f"scheduler.total_steps is a whole number >= epochs, which is {cfg.epochs}"
        )
    if scheduler.pct_start * scheduler.total_steps == 1:  # torch divides by the length of the way up, 0 epochs
        raise UserError(
            f"scheduler.pct_start={scheduler.pct_start} is not allowed with scheduler.total_steps="
            f"{scheduler.total_steps}: the way up is one epoch, which begins and ends at once"
        )


def described(cfg: DictConfig) -> Description | None:
    """What the data of a config are; None of a user's own, before they are built.

    Raises UserError where they are a table or a formula that nothing can be learnt from.
    """
    schema = _schema(cfg.data, "data")
    if schema is None:
        return None
    if describe := getattr(schema, "describe", None):
        return get_method(describe)(plain(cfg.data))  # found by its name, as a _target_ is: it is no part of a config
    task = schema.task  # type: ignore[attr-defined]
    classes = cfg.data.get("classes", 2) if task == "classification" else 0
    return Description(task, classes, schema.splits)  # type: ignore[attr-defined]


def _check_objective(cfg: DictConfig) -> None:
    metric, trainer, scheduler = cfg.objective.metric, cfg.trainer, cfg.scheduler
    plateau = scheduler.get("_target_") == Plateau._target_
    if plateau and (mode := scheduler.get("mode", "min")) != cfg.objective.mode:  # torch's default is min
        raise UserError(
            f"scheduler.mode={mode} is not allowed with objective.metric={metric}, whose "
            f"mode is {cfg.objective.mode}: scheduler.mode is ${{objective.mode}}"
        )
    readers = {
        "trainer.keep=best": trainer.keep == "best",
        "trainer.early_stopping": trainer.early_stopping.patience is not None,
        "scheduler=plateau": plateau,
    }
    for reader, reads in readers.items():
        if reads and not is_logged(metric):
            raise UserError(
                f"objective.metric={metric} is not allowed with {reader}, which reads it at every log point, "
                f"where only {' and '.join(LOGGED)} are computed"
            )


def known_metrics(cfg: DictConfig) -> list[str]:
    """All metrics that runs of a config may have at the end; none where its data or module may have others."""
    data = described(cfg) if cfg.module._target_ in MODULES else None
    return at_the_end(data.splits, data.task, cfg.loss.name) if data else []
