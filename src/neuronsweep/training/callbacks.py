"""Lightning callbacks between two blocks of epochs: evaluation, checkpoints, pruning, pictures, the live bar."""

import math
import time
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Callback, Trainer
from lightning.pytorch import callbacks as lightning_callbacks
from torch.optim.lr_scheduler import ReduceLROnPlateau
from torch.utils.tensorboard import SummaryWriter

from neuronsweep import console, figures, stopping, tensorboard
from neuronsweep.data.dataset import Dataset
from neuronsweep.data.module import data_of
from neuronsweep.errors import Diverged, Unwritable, UserError
from neuronsweep.launch.pruning import Asked, Prunes
from neuronsweep.models.modules import in_own_units
from neuronsweep.runs import contents, files, lock
from neuronsweep.runs.run import Run


class SameConfig(Callback):
    """Refuses to train where the processes of a DDP run do not have the same config, source and data.

    Args:
        fingerprint: of this process's.
    """

    def __init__(self, fingerprint: str):
        self.fingerprint = fingerprint

    def on_fit_start(self, trainer: Trainer, pl_module: Any) -> None:
        if trainer.world_size == 1:
            return
        same = trainer.strategy.broadcast(self.fingerprint) == self.fingerprint
        if not trainer.strategy.reduce_boolean_decision(same, all=True):
            raise UserError("the processes of this run do not have the same config, package source and data")


class LogPoint(Callback):
    """At the end of every block: evaluates the complete splits, keeps the history, and ends a run that diverged.

    Args:
        metric, mode: the objective, read by plateau schedules, early stopping and ``keep``.
        keep: ``last``, or ``best`` to end with the weights of the log point that has the best objective.
    """

    def __init__(self, metric: str, mode: str, keep: str = "last"):
        self.metric, self.keep = metric, keep
        self.sign = 1 if mode == "min" else -1
        self.history: list[tuple[int, dict[str, float]]] = []
        self.best = math.inf
        self.best_weights: dict[str, torch.Tensor] = {}

    def on_train_epoch_end(self, trainer: Trainer, pl_module: Any) -> None:
        stopping.look()
        data = data_of(trainer)
        epoch = data.log_epochs[len(self.history)]
        row = in_own_units(pl_module, data.dataset, pl_module.evaluate(data.splits))
        for name, value in row.items():
            if not math.isfinite(value):
                raise Diverged(f"{name} is {value} after epoch {epoch}")
        seen = pl_module.diagnose(data.splits["train"]) if pl_module.diagnostics else {}
        self.history.append((epoch, row | seen))
        if trainer.logger:
            trainer.logger.log_metrics(row | seen, step=epoch)
        if self.metric not in row:
            return
        value = row[self.metric]
        if self.keep == "best" and self.sign * value < self.best:
            self.best = self.sign * value
            self.best_weights = {name: tensor.clone() for name, tensor in pl_module.state_dict().items()}
        scheduler = pl_module.lr_schedulers()
        if isinstance(scheduler, ReduceLROnPlateau):
            scheduler.step(value)
        if trainer.early_stopping_callback:
            pl_module.log(self.metric, value, logger=False)

    def on_train_end(self, trainer: Trainer, pl_module: Any) -> None:
        if self.best_weights:
            pl_module.load_state_dict(self.best_weights)

    def state_dict(self) -> dict[str, Any]:
        return {"history": self.history, "best": self.best, "best_weights": self.best_weights}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.history = [(epoch, row) for epoch, row in state_dict["history"]]
        self.best, self.best_weights = state_dict["best"], state_dict["best_weights"]


class Pruner(Callback):
    """Reports the metric that is pruned on at every log point, and stops the run when the pruner says so.

    It stands after the run's LogPoint. A run that continues from a checkpoint reports the log points before it again.
    Of several processes the first reports, and all stop.

    Args:
        asked: the trial; its study is opened once, by the process that reports.
    """

    def __init__(self, asked: Asked, log_point: LogPoint):
        self.asked, self.log_point = asked, log_point
        self.pruning: Prunes | None = None
        self.reported = 0
        self.stopped = False

    def on_train_epoch_end(self, trainer: Trainer, pl_module: Any) -> None:
        history = self.log_point.history
        stop = trainer.strategy.broadcast(trainer.is_global_zero and self._report(history))
        if stop and len(history) < len(data_of(trainer).log_epochs):
            self.stopped = trainer.should_stop = True

    def _report(self, history: list[tuple[int, dict[str, float]]]) -> bool:
        """Report the log points that were not; returns whether the last one's answer was to stop."""
        if self.pruning is None:
            from neuronsweep.search.pruner import open_pruning  # late: other runs need no Optuna

            self.pruning = open_pruning(self.asked)
        for epoch, row in history[self.reported :]:
            stop = self.pruning.report(self.asked.number, epoch, row[self.pruning.metric])
        self.reported = len(history)
        return stop


class Pictures(Callback):
    """Draws the fit at some log points for TensorBoard, all but the last, whose picture is drawn when the run ends.

    It stands after the run's LogPoint.
    """

    def __init__(
        self,
        config: Mapping[str, Any],
        dataset: Dataset,
        epochs: Collection[int],
        writer: SummaryWriter,
        log_point: LogPoint,
    ):
        self.config, self.epochs, self.writer, self.log_point = config, set(epochs), writer, log_point
        self.painter = figures.Painter(dataset)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: Any) -> None:
        epoch, row = self.log_point.history[-1]
        if epoch in self.epochs:
            tensorboard.show(
                self.writer, epoch, self.painter.png(pl_module.predictor, figures.title_then(self.config, row))
            )


class Checkpoint(lightning_callbacks.Checkpoint):
    """Writes the snapshot from which an interrupted run continues, at the first log point after every ``seconds``.

    Lightning calls its own kind of checkpoint callback last, when early stopping has counted the log point too.
    """

    def __init__(self, directory: Path, seconds: float, log_point: LogPoint):
        self.directory, self.seconds, self.log_point = directory, seconds, log_point
        self.began = self.saved = time.monotonic()
        self.earlier = 0.0

    def on_fit_start(self, trainer: Trainer, pl_module: Any) -> None:
        self.began = self.saved = time.monotonic()

    def on_train_epoch_end(self, trainer: Trainer, pl_module: Any) -> None:
        lock.beat()
        due = time.monotonic() - self.saved >= self.seconds
        if trainer.world_size > 1:  # saving is collective: the ranks' clocks must not disagree
            due = trainer.strategy.broadcast(due)
        if not due:
            return
        path = self.directory / contents.CHECKPOINT
        temporary = path.with_name(f".{path.name}{contents.TEMPORARY}")
        try:
            trainer.save_checkpoint(temporary)
        except (OSError, RuntimeError) as error:  # torch's writer makes a RuntimeError of a full disk
            raise Unwritable(f"{path} cannot be written: {error}") from None
        if trainer.is_global_zero:
            files.move(temporary, path)
            Run(self.directory).write_history(self.log_point.history)
            Run(self.directory).update(seconds=self.spent())
        self.saved = time.monotonic()

    def spent(self) -> float:
        """Seconds of training so far, those of interrupted tries included."""
        return self.earlier + time.monotonic() - self.began


class Bar(Callback):
    """A live bar with the current losses."""

    def __init__(self, log_point: LogPoint):
        self.log_point = log_point

    def on_fit_start(self, trainer: Trainer, pl_module: Any) -> None:
        self.bar = console.Bar("epochs", data_of(trainer).log_epochs[-1])

    def on_train_epoch_end(self, trainer: Trainer, pl_module: Any) -> None:
        epoch, row = self.log_point.history[-1]
        objective = self.log_point.metric
        names = sorted((name for name in row if name.endswith("/loss") or name == objective), key=objective.__ne__)
        losses = [f"{name} {console.number(row[name])}" for name in names]
        self.bar.advance_to(epoch, "  ".join(losses))

    def teardown(self, trainer: Trainer, pl_module: Any, stage: str) -> None:
        self.bar.close()
