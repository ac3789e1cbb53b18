"""Builds what trains one run from its config: module, logger and Lightning's Trainer."""

import inspect
import re
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
from lightning.fabric.plugins.environments import ClusterEnvironment, LightningEnvironment, TorchElasticEnvironment
from lightning.pytorch import Callback, Trainer
from lightning.pytorch.callbacks import EarlyStopping
from lightning.pytorch.loggers import Logger, TensorBoardLogger
from lightning.pytorch.strategies import DDPStrategy
from omegaconf import DictConfig

from neuronsweep.config.targets import built, named_class
from neuronsweep.data.dataset import Dataset
from neuronsweep.data.module import TensorDataModule
from neuronsweep.errors import UserError
from neuronsweep.models.checkpoint import module_arguments
from neuronsweep.models.modules import ClassificationModule, NetworkModule, RegressionModule
from neuronsweep.runs.run import Run
from neuronsweep.training.callbacks import LogPoint

# How long a process of a DDP run waits for the others before the run fails. One that dies is noticed at once, or by
# Lightning within 5 seconds; this is for one that hangs, and more than starting Python takes on a busy machine.
PATIENCE = timedelta(minutes=2)


def build_module(config: Mapping[str, Any], dataset: Dataset) -> NetworkModule:
    """The module of a resolved config: for the data's task, or the user's own that ``module._target_`` names."""
    default = RegressionModule if dataset.task == "regression" else ClassificationModule
    target = config["module"]["_target_"]
    kind = named_class("module", target) if target else default
    if not issubclass(kind, default):
        raise UserError(f"module._target_={target} is not allowed: with this data it is a {default.__name__}")
    module = kind(**module_arguments(config, dataset))
    module.diagnostics = config["diagnostics"]
    return module


def build_logger(cfg: DictConfig, directory: Path, checkpoint: Path | None) -> Logger | None:
    """The logger that cfg.logger names; TensorBoard's events lie in the run directory itself."""
    if not cfg.logger._target_:
        return None
    kind = named_class("logger", cfg.logger._target_)
    if kind is not TensorBoardLogger:
        return built("logger", cfg.logger, **_version(kind, cfg.logger, directory))
    # a resumed run writes the points after its checkpoint again: TensorBoard must forget the first ones
    purge = _last_epoch(checkpoint) + 1 if checkpoint else None
    return RunLogger(directory, name="", version="", default_hp_metric=False, purge_step=purge)


def _version(kind: type, node: DictConfig, directory: Path) -> dict[str, str]:
    """What a logger shall call its run where the config does not say: version_0, version_1, ... would be nobody's.

    It is the end of the run directory's path, DATE-TIME-NUMBER, and another one each time that the run continues: some
    loggers delete what is there.
    """
    if node.get("version") is not None or "version" not in inspect.signature(kind).parameters:
        return {}
    name = re.sub(r"[^A-Za-z0-9_-]", "-", "-".join(directory.absolute().parts[-3:])).strip("-")
    try:
        again = len(Run(directory).status()["continued"])
    except UserError:  # of a further process of the run, which writes nothing
        again = 0
    return {"version": f"{name}-continued-{again}" if again else name}


class RunLogger(TensorBoardLogger):
    """TensorBoardLogger without hparams.yaml (the config is in .hydra), left open by the Trainer for the picture."""

    def save(self) -> None:
        self.experiment.flush()

    def finalize(self, status: str) -> None:
        self.experiment.flush()


def process_environment() -> ClusterEnvironment:
    """Who starts the processes of a run: torchrun where it has started this one, else the run itself.

    Never Slurm: what it says in the environment is of the job in which a sweep, or only its shell, was started, and
    Lightning would wait for as many processes as that has tasks.
    """
    return TorchElasticEnvironment() if TorchElasticEnvironment.detect() else LightningEnvironment()


def build_trainer(cfg: DictConfig, data: TensorDataModule, logger: Logger | None, callbacks: list[Callback]) -> Trainer:
    """A Trainer whose epoch is the passes between two log points, with nothing in it that costs per step.

    ``callbacks`` hold a Checkpoint, or Lightning adds one of its own.
    """
    keys = cfg.trainer
    if keys.early_stopping.patience:
        stopping = EarlyStopping(
            cfg.objective.metric,
            mode=cfg.objective.mode,
            patience=keys.early_stopping.patience,
            min_delta=keys.early_stopping.min_delta,
        )
        callbacks = [*callbacks, stopping]
    return Trainer(
        accelerator=keys.accelerator,
        devices=keys.devices,
        strategy=DDPStrategy(timeout=PATIENCE) if keys.strategy == "ddp" else keys.strategy,
        precision=keys.precision,
        plugins=[process_environment()],
        # a CPU is so by itself; "warn" because a module of the user's may need what has no such form
        deterministic="warn" if keys.accelerator == "gpu" else None,
        max_epochs=len(data.log_epochs),
        logger=logger or False,
        callbacks=callbacks,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        use_distributed_sampler=False,
    )


def _last_epoch(checkpoint: Path) -> int:
    callbacks = torch.load(checkpoint, weights_only=True, map_location="cpu")["callbacks"]
    return callbacks[LogPoint.__qualname__]["history"][-1][0]
