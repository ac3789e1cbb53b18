"""Trains one run with Lightning: ``fit`` takes built objects, ``train`` reads the config and writes the files."""

import logging
import math
import signal
import traceback
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from lightning.pytorch import Callback, Trainer
from lightning.pytorch.loggers import Logger, TensorBoardLogger
from lightning.pytorch.utilities import rank_zero_only
from omegaconf import DictConfig

from neuronsweep import console, figures, stopping, tensorboard
from neuronsweep.analysis.fit import analyse
from neuronsweep.analysis.scores import scores
from neuronsweep.config.check import plain
from neuronsweep.config.metric_names import at_log_points
from neuronsweep.data.batches import picture_epochs
from neuronsweep.data.build import build_dataset, check_dataset
from neuronsweep.data.module import TensorDataModule
from neuronsweep.errors import Diverged, TookTooLong, Unwritable, UserError
from neuronsweep.launch import pruning
from neuronsweep.launch.die_with_parent import die_with_parent
from neuronsweep.models.checkpoint import model_bytes, readable
from neuronsweep.models.losses import AUTO
from neuronsweep.models.modules import NetworkModule, in_own_units
from neuronsweep.runs import contents, record
from neuronsweep.runs.run import FAILED, PRUNED, Run
from neuronsweep.runs.words import resume_command, typed
from neuronsweep.training.build import build_logger, build_module, build_trainer, process_environment
from neuronsweep.training.callbacks import Bar, Checkpoint, LogPoint, Pictures, Pruner, SameConfig

# Lightning's advice and the products it names are no news to a user of a sweep.
for name in ("lightning.pytorch", "lightning.fabric"):
    logging.getLogger(name).setLevel(logging.ERROR)
warnings.filterwarnings("ignore", module=r"lightning\..*")


def fit(module: NetworkModule, data: TensorDataModule, trainer: Trainer, checkpoint: Path | None = None) -> None:
    """Train a module on a data module, from a checkpoint where there is one.

    Raises Diverged when a loss stops being finite, KeyboardInterrupt when the user stops it.
    """
    try:
        trainer.fit(module, datamodule=data, ckpt_path=checkpoint, weights_only=True)
    except SystemExit:  # what Lightning makes of Ctrl-C
        raise KeyboardInterrupt from None


@stopping.heeded()
def train(cfg: DictConfig) -> float | None:
    """Train the run that a Hydra job describes, in the job's output directory.

    Returns its objective, None when it was PRUNED.
    """
    hydra = HydraConfig.get()
    directory, overrides = Path(hydra.runtime.output_dir), typed(hydra.overrides.task)
    if hydra.mode == RunMode.RUN:
        return train_run(cfg, directory, overrides, asked=pruning.asked_of_process())
    run = Run(directory)
    if run.has_begun and run.ended(record.fingerprint(plain(cfg), build_dataset(cfg.data).digest)):
        return run.result(cfg.objective.metric)
    return train_run(cfg, directory, overrides, show=False, asked=pruning.asked(hydra, hydra.job.num))


@stopping.heeded()
def train_run(
    cfg: DictConfig, directory: Path, overrides: list[str], show: bool = True, asked: pruning.Asked | None = None
) -> float | None:
    """Train one run in its directory, from its checkpoint where one is left, and return its objective.

    ``show`` prints the network, a bar and the metrics. A run that fails is FAILED in status.json and raises; one that
    the pruner of the search that ``asked`` for it stops is PRUNED and returns None.
    """
    torch.set_num_threads(cfg.threads)
    dataset, config, run = build_dataset(cfg.data), plain(cfg), Run(directory)
    check_dataset(cfg, dataset)
    fingerprint = record.fingerprint(config, dataset.digest)
    module = build_module(config, dataset)
    if cfg.trainer.precision == "64-true":
        module.double()  # now, because Lightning would do it after it has restored a checkpoint, rounded
    data = TensorDataModule(dataset, cfg.batch_size, cfg.epochs, cfg.log_points, cfg.seed)
    log_point = LogPoint(cfg.objective.metric, cfg.objective.mode, cfg.trainer.keep)
    pruner = Pruner(asked, log_point) if asked else None
    keeper = Checkpoint(directory, cfg.trainer.checkpoint_seconds, log_point)
    # of several processes that train one run, the first writes and prints; Lightning would take Slurm's word for it
    rank_zero_only.rank = process_environment().local_rank()  # type: ignore[attr-defined]
    first = rank_zero_only.rank == 0  # type: ignore[attr-defined]
    trainer = logger = None
    if not first:
        die_with_parent()
    if first:
        begun = record.record(overrides, config, dataset.digest, dataset.prepared)
        run.begin("lightning", fingerprint, begun, record.git_state()[1])
        keeper.earlier = run.status()["seconds"]
    try:
        checkpoint = _checkpoint(directory)
        logger = build_logger(cfg, directory, checkpoint)
        if first and show:
            console.say(f"if this stops: {resume_command(directory)}")
            console.parameters(module.predictor)
        callbacks: list[Callback] = [SameConfig(fingerprint), log_point, keeper]
        if pruner:
            callbacks.append(pruner)
        if first and isinstance(logger, TensorBoardLogger):
            names = at_log_points(dataset.splits, dataset.task)
            is_mlp = module.predictor is module.network
            graph = tensorboard.graph(dataset.inputs, dataset.outputs, config["model"]) if is_mlp else b""
            tensorboard.begin(logger.experiment, tensorboard.Session(record.flatten(config), graph, names))
            if epochs := picture_epochs(data.log_epochs, cfg.logger.pictures)[:-1]:
                callbacks.append(Pictures(config, dataset, epochs, logger.experiment, log_point))
        if first and show:
            callbacks.append(Bar(log_point))
        trainer = build_trainer(cfg, data, logger, callbacks)
        with time_limit(cfg.time_limit if first else None):
            fit(module, data, trainer, checkpoint)
        if pruner and pruner.stopped:
            if first:
                _end_events(logger, PRUNED)
                run.write_history(log_point.history)
                run.end(PRUNED, keeper.spent())
                contents.remove(directory / contents.CHECKPOINT)
            return None
        metrics = final_metrics(module, data)
        objective = _objective(cfg, metrics)
        if first:
            epoch, title = log_point.history[-1][0], figures.title(config, cfg.objective.metric, objective)
            png = figures.fit_png(module.predictor, dataset, title) if config["logger"].get("pictures", 1) else None
            _finish(logger, config, metrics, epoch, png)
            model = model_bytes(module.state_dict(), module.hparams, epoch, epoch * data.steps_per_epoch)
            run.complete(log_point.history, metrics, model, png, keeper.spent())
    except Unwritable:  # no fault of the run's: it goes on when there is room
        raise
    except (Exception, KeyboardInterrupt) as error:
        if stopping.asked() or isinstance(error, KeyboardInterrupt):
            if first and show:
                console.say_last(f"\nstopped; continue with: {resume_command(directory)}")
            raise KeyboardInterrupt("told") from None
        told = isinstance(error, Diverged | TookTooLong | UserError)
        if first:
            text = str(error) if told else traceback.format_exc()
            _end_events(logger, FAILED)
            run.write_history(log_point.history)
            run.end(FAILED, keeper.spent(), text)
            _end_ranks(trainer)
        elif told:  # on all processes: the first one says it, and an exit status of 0 leaves it the time to
            raise SystemExit(0) from None
        raise
    if first and show:
        console.metrics(metrics, dataset.splits, directory, cfg.objective.metric)
    return objective


@contextmanager
def time_limit(seconds: float | None) -> Iterator[None]:
    """Raise TookTooLong inside when so many seconds have passed; None: never. For the main thread only."""
    if seconds is None:
        yield
        return

    error = TookTooLong(f"it took longer than time_limit={seconds:g} seconds")
    over = False

    def late(*_: object) -> None:
        nonlocal over
        over = True
        raise error

    before = signal.signal(signal.SIGALRM, late)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    except Exception:
        if over:  # whatever the library that was at work has made of it
            raise error from None
        raise
    else:
        if over:
            raise error
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def _end_ranks(trainer: Trainer | None) -> None:
    """End the further processes of a run that failed, which would say that the first one is gone."""
    launcher = trainer.strategy.launcher if trainer else None
    if launcher:
        launcher.kill(signal.SIGKILL)


def final_metrics(module: NetworkModule, data: TensorDataModule) -> dict[str, float]:
    """All metrics of a trained module, and what the fit is."""
    data.place(module.device, next(module.parameters()).dtype)
    metrics = in_own_units(module, data.dataset, module.evaluate(data.splits, final=True))
    for name, value in metrics.items():
        if not math.isfinite(value):
            raise Diverged(f"{name} is {value} at the end of training")
    if module.predictor is not module.network:  # nothing is known of what a subclass makes of its network
        return {**metrics, "params": sum(p.numel() for p in module.parameters() if p.requires_grad)}
    own_loss = type(module).loss is not NetworkModule.loss
    loss = module.hparams["loss"] or AUTO
    metrics |= scores(module.network, data.dataset, metrics, "" if own_loss else loss["name"])
    return {**metrics, **analyse(module.network, data.dataset, loss, own_loss)}


def _objective(cfg: DictConfig, metrics: dict[str, float]) -> float:
    if cfg.objective.metric not in metrics:
        raise UserError(f"objective.metric={cfg.objective.metric} is not allowed: a run has {', '.join(metrics)}")
    return metrics[cfg.objective.metric]


def _finish(
    logger: Logger | None, config: Mapping[str, Any], metrics: Mapping[str, float], epoch: int, png: bytes | None
) -> None:
    """Give TensorBoard, or another logger, the final metrics of a run."""
    if isinstance(logger, TensorBoardLogger):
        tensorboard.finish(logger.experiment, metrics, epoch, png)
        logger.experiment.close()
    elif logger:
        logger.log_hyperparams(record.flatten(config))
        logger.finalize("success")


def _end_events(logger: Logger | None, state: str) -> None:
    """Tell TensorBoard, or another logger, how a run ended that is not COMPLETE."""
    if isinstance(logger, TensorBoardLogger):
        tensorboard.end(logger.experiment, state)
        logger.experiment.close()
    elif logger and state == PRUNED:  # after a failure the Trainer has done so
        logger.finalize("success")


def _checkpoint(directory: Path) -> Path | None:
    path = directory / contents.CHECKPOINT
    if not path.exists():
        return None
    if not readable(path):
        console.say(f"{path} is damaged: the run starts again from the beginning")
        contents.remove(path)
        return None
    return path
