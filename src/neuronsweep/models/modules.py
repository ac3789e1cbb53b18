"""The LightningModules: network, loss, metrics, and the training of one block of epochs."""

from collections.abc import Mapping
from typing import Any

import torch
import torchmetrics.functional as metrics
from lightning.pytorch import LightningModule
from torch import Tensor, nn
from torch.nn.utils import clip_grad_norm_, clip_grad_value_
from torch.optim.lr_scheduler import ReduceLROnPlateau

from neuronsweep.config.metric_names import SQUARED
from neuronsweep.config.targets import built
from neuronsweep.data.dataset import Dataset, Split
from neuronsweep.data.module import Block, data_of
from neuronsweep.models.diagnostics import diagnose
from neuronsweep.models.losses import AUTO, loss_function, weights_of
from neuronsweep.models.mlp import MLP


class NetworkModule(LightningModule):
    """What both tasks share. Arguments are plain values, so that ``load_from_checkpoint`` builds the module again.

    Args:
        inputs, outputs: widths of the data.
        model: arguments of ``MLP``.
        optimizer, scheduler: ``_target_`` and arguments of a torch.optim class; the scheduler steps after every epoch,
            ReduceLROnPlateau at log points.
        gradient_clip_val: largest norm of the gradient.
        seed: of the initial weights and of dropout.
        loss: the config's ``loss``, None: ``auto``.
        gradient_clip_value: largest size of each number of the gradient, which comes before its norm.
    """

    task: str

    # whether training remembers what ``diagnose`` needs
    diagnostics = False

    def __init__(
        self,
        inputs: int = 1,
        outputs: int = 1,
        model: Mapping[str, Any] | None = None,
        optimizer: Mapping[str, Any] | None = None,
        scheduler: Mapping[str, Any] | None = None,
        gradient_clip_val: float | None = None,
        seed: int = 0,
        loss: Mapping[str, Any] | None = None,
        gradient_clip_value: float | None = None,
    ):
        super().__init__()
        self.save_hyperparameters(logger=False)
        # A training step is a block of many optimiser steps, so the loop over them is ours.
        self.automatic_optimization = False
        self.network = MLP(inputs, outputs, **(model or {}), seed=seed)
        self.loss_function = loss_function(loss, self.task)
        self.before_last_step: dict[str, Tensor] = {}

    def forward(self, x_ND: Tensor) -> Tensor:
        return self.network(x_ND)

    @property
    def predictor(self) -> nn.Module:
        """What maps x to predictions: the MLP, or the module itself where a subclass makes more of its network."""
        plain = type(self).forward is NetworkModule.forward and type(self.network) is MLP
        return self.network if plain else self

    def loss(self, prediction: Tensor, y: Tensor) -> Tensor:
        """What training makes small, of a batch or a complete split."""
        return self.loss_function(prediction, y)

    def log_metrics(self, prediction: Tensor, y: Tensor) -> dict[str, Tensor]:
        """Metrics of a complete split at a log point."""
        return {"loss": self.loss(prediction, y)}

    def final_metrics(self, prediction: Tensor, y: Tensor) -> dict[str, Tensor]:
        """Metrics of a complete split at the end of a run."""
        raise NotImplementedError

    def configure_optimizers(self) -> Any:
        if not self.hparams["optimizer"]:
            raise ValueError("this module was built without an optimizer, so it can predict but not train")
        optimizer = built("optimizer", self.hparams["optimizer"], params=list(self.parameters()), _convert_="all")
        if not self.hparams["scheduler"]:
            return optimizer
        scheduler = built("scheduler", self.hparams["scheduler"], optimizer=optimizer, _convert_="all")
        return {"optimizer": optimizer, "lr_scheduler": scheduler}

    def on_fit_start(self) -> None:
        data_of(self.trainer).place(self.device, next(self.parameters()).dtype)

    def training_step(self, block: Block, block_index: int) -> None:
        """Train for all epochs of a block, with one optimiser step a batch."""
        optimizer: Any = self.optimizers(use_pl_optimizer=False)
        scheduler: Any = self.lr_schedulers()
        data = data_of(self.trainer)
        parameters = list(self.parameters())
        clip, clip_value = self.hparams["gradient_clip_val"], self.hparams["gradient_clip_value"]
        for epoch in range(block.first, block.last + 1):
            for x, y, share, positions in data.batches(epoch):
                if isinstance(self.network, MLP):  # not a subclass's own
                    self.network.set_dropout(self.hparams["seed"], epoch, positions)

                def closure(x: Tensor = x, y: Tensor = y, share: float = share) -> Tensor:
                    optimizer.zero_grad()
                    prediction = self(x)
                    # a rank without samples still takes part in the sum of gradients, with zeros
                    loss = self.loss(prediction, y) if share else prediction.sum()
                    share = self.weighted_share(y, share)
                    self.manual_backward(loss if share == 1 else loss * share)
                    if clip_value:
                        clip_grad_value_(parameters, clip_value)
                    if clip:
                        clip_grad_norm_(parameters, clip)
                    return loss

                if self.diagnostics and epoch == block.last:
                    self.before_last_step = {name: p.detach().clone() for name, p in self.network.named_parameters()}
                optimizer.step(closure)
            if scheduler and not isinstance(scheduler, ReduceLROnPlateau):
                scheduler.step()

    def weighted_share(self, y: Tensor, share: float) -> Any:
        """Of a rank's part of a batch with targets ``y`` and this share of its samples, the share of their weights."""
        return share

    @torch.no_grad()
    def evaluate(self, splits: Mapping[str, Split], final: bool = False) -> dict[str, float]:
        """Metrics ``split/name`` of complete splits: those of a log point, or all of them at the end."""
        self.eval()
        compute = self.final_metrics if final else self.log_metrics
        values = {}
        for name, (x, y) in splits.items():
            for metric, value in compute(self(x), y).items():
                values[f"{name}/{metric}"] = value.item()
        self.train()
        return values

    def diagnose(self, train: Split) -> dict[str, float]:
        """The values of ``models.diagnostics`` after a block of training."""
        return diagnose(self.network, self.loss, train, self.before_last_step)


def in_own_units(module: NetworkModule, dataset: Dataset, metrics: Mapping[str, float]) -> dict[str, float]:
    """Metrics of ``evaluate`` in the units of a table's target; a loss that is a subclass's own stays as it is."""
    own_loss = type(module).loss is not NetworkModule.loss
    return dataset.own_units(metrics, "" if own_loss else (module.hparams["loss"] or AUTO)["name"])


class RegressionModule(NetworkModule):
    """Predicts y (N, K); its loss is the mean squared error unless ``loss`` says otherwise."""

    task = "regression"

    def final_metrics(self, prediction: Tensor, y: Tensor) -> dict[str, Tensor]:
        values = {"loss": self.loss(prediction, y), "mae": metrics.mean_absolute_error(prediction, y)}
        if (self.hparams["loss"] or AUTO)["name"] not in SQUARED:
            values["mse"] = metrics.mean_squared_error(prediction, y)
        if len(y) > 1:  # r2 of one sample is not defined
            values["r2"] = metrics.r2_score(prediction, y)
        return values


class ClassificationModule(NetworkModule):
    """Predicts one logit (N, 1) for two classes, or k logits (N, k); its loss is the cross-entropy in nats.

    ``loss`` may weight the classes.
    """

    task = "classification"

    def weighted_share(self, y: Tensor, share: float) -> Any:
        weights = (self.hparams["loss"] or AUTO).get("class_weights")
        if not weights or self.trainer.world_size == 1:
            return share
        weight = weights_of(weights, next(self.parameters()))[y].sum()
        return weight / self.trainer.strategy.reduce(weight.clone(), reduce_op="mean")

    def log_metrics(self, prediction: Tensor, y: Tensor) -> dict[str, Tensor]:
        return {"loss": self.loss(prediction, y), "acc": self._accuracy(prediction, y)}

    def final_metrics(self, prediction: Tensor, y: Tensor) -> dict[str, Tensor]:
        return {**self.log_metrics(prediction, y), "auroc": self._auroc(prediction, y)}

    def _accuracy(self, logits: Tensor, y: Tensor) -> Tensor:
        if logits.shape[1] == 1:
            # torchmetrics takes values outside [0, 1] for logits; given none, they would be read as probabilities
            return metrics.classification.binary_accuracy(torch.sigmoid(logits[:, 0]), y, validate_args=False)
        classes = logits.shape[1]
        return metrics.classification.multiclass_accuracy(logits, y, classes, average="micro", validate_args=False)

    def _auroc(self, logits: Tensor, y: Tensor) -> Tensor:
        if logits.shape[1] == 1:
            return metrics.classification.binary_auroc(torch.sigmoid(logits[:, 0]), y, validate_args=False)
        probabilities = torch.softmax(logits, dim=1)
        return metrics.classification.multiclass_auroc(probabilities, y, logits.shape[1], validate_args=False)
