"""The LightningModules: a network, its loss, its metrics and how one block of epochs is trained."""

from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
import torchmetrics.functional as metrics
from lightning.pytorch import LightningModule
from torch import Tensor, nn
from torch.nn.utils import clip_grad_norm_
from torch.optim.lr_scheduler import ReduceLROnPlateau

from neuronsweep.data.dataset import Split
from neuronsweep.data.module import Block, data_of
from neuronsweep.models.diagnostics import diagnose
from neuronsweep.models.mlp import MLP
from neuronsweep.targets import built


class NetworkModule(LightningModule):
    """What both tasks share. Arguments are plain values, so that ``load_from_checkpoint`` builds the module again.

    Args:
        inputs, outputs: widths of the data.
        model: arguments of ``MLP``.
        optimizer, scheduler: ``_target_`` and arguments of a torch.optim class; the scheduler steps after every epoch,
            ReduceLROnPlateau at log points.
        gradient_clip_val: largest norm of the gradient.
        seed: of the initial weights and of dropout.
    """

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
    ):
        super().__init__()
        self.save_hyperparameters(logger=False)
        # A training step is a block of many optimiser steps, so the loop over them is ours.
        self.automatic_optimization = False
        self.network = MLP(inputs, outputs, **(model or {}), seed=seed)
        self.before_last_step: dict[str, Tensor] = {}

    def forward(self, x_ND: Tensor) -> Tensor:
        return self.network(x_ND)

    @property
    def predictor(self) -> nn.Module:
        """What maps x to predictions: the MLP, or the module itself where a subclass makes more of its network."""
        plain = type(self).forward is NetworkModule.forward and type(self.network) is MLP
        return self.network if plain else self

    def loss(self, prediction: Tensor, y: Tensor) -> Tensor:
        raise NotImplementedError

    def log_metrics(self, prediction: Tensor, y: Tensor) -> dict[str, Tensor]:
        """Metrics of a whole split at a log point."""
        return {"loss": self.loss(prediction, y)}

    def final_metrics(self, prediction: Tensor, y: Tensor) -> dict[str, Tensor]:
        """Metrics of a whole split at the end of a run."""
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
        clip = self.hparams["gradient_clip_val"]
        for epoch in range(block.first, block.last + 1):
            if isinstance(self.network, MLP):  # not a subclass's own
                self.network.seed_dropout(self.hparams["seed"], epoch, self.global_rank)
            for x, y, share in data.batches(epoch):

                def closure(x: Tensor = x, y: Tensor = y, share: float = share) -> Tensor:
                    optimizer.zero_grad()
                    prediction = self(x)
                    # a rank without samples still takes part in the sum of gradients, with zeros
                    loss = self.loss(prediction, y) if share else prediction.sum()
                    self.manual_backward(loss if share == 1 else loss * share)
                    if clip:
                        clip_grad_norm_(parameters, clip)
                    return loss

                if self.diagnostics and epoch == block.last:
                    self.before_last_step = {name: p.detach().clone() for name, p in self.network.named_parameters()}
                optimizer.step(closure)
            if scheduler and not isinstance(scheduler, ReduceLROnPlateau):
                scheduler.step()

    @torch.no_grad()
    def evaluate(self, splits: Mapping[str, Split], final: bool = False) -> dict[str, float]:
        """Metrics ``split/name`` of whole splits: those of a log point, or all of them at the end."""
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


class RegressionModule(NetworkModule):
    """Predicts y (N, 1); its loss is the mean squared error."""

    def loss(self, prediction: Tensor, y: Tensor) -> Tensor:
        return F.mse_loss(prediction, y)

    def final_metrics(self, prediction: Tensor, y: Tensor) -> dict[str, Tensor]:
        values = {"loss": self.loss(prediction, y), "mae": metrics.mean_absolute_error(prediction, y)}
        if len(y) > 1:  # r2 of one sample is not defined
            values["r2"] = metrics.r2_score(prediction[:, 0], y[:, 0])
        return values


class ClassificationModule(NetworkModule):
    """Predicts one logit (N, 1) for two classes, or k logits (N, k); its loss is the cross-entropy in nats."""

    def loss(self, prediction: Tensor, y: Tensor) -> Tensor:
        if prediction.shape[1] == 1:
            return F.binary_cross_entropy_with_logits(prediction[:, 0], y.to(prediction.dtype))
        return F.cross_entropy(prediction, y)

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
