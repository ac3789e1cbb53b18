"""Builds the data set that a config describes, and checks it."""

from collections.abc import Mapping
from typing import Any

from neuronsweep.config.schemas.loss import check_loss
from neuronsweep.config.targets import built
from neuronsweep.data.batches import sizes
from neuronsweep.data.dataset import Dataset
from neuronsweep.errors import UserError


def build_dataset(config: Mapping[str, Any]) -> Dataset:
    """The data set that ``_target_`` and its arguments describe. Raises UserError where they describe none."""
    dataset = built("data", config)
    if not isinstance(dataset, Dataset):
        raise UserError(f"data._target_={config['_target_']} is not allowed: it did not return a Dataset")
    for name, (x, y) in dataset.splits.items():
        # native code would read targets of another shape as if they were of this one
        shape = (len(x),) if dataset.classes else (len(x), *dataset.splits["train"].y.shape[1:2])
        if x.ndim != 2 or y.ndim != (1 if dataset.classes else 2) or y.shape != shape or not y.numel():
            found = f"{name} has x {tuple(x.shape)} and y {tuple(y.shape)}"
            allowed = "(N,)" if dataset.classes else "(N, K)"
            raise UserError(
                f"data._target_={config['_target_']} is not allowed: {found}, allowed: x (N, D), y {allowed}"
            )
    return dataset


def check_dataset(config: Mapping[str, Any], dataset: Dataset) -> None:
    """Raise UserError where a run cannot be trained on this data with its config's loss or size of batches."""
    check_loss(config["loss"], dataset.task, dataset.classes)
    if config["model"]["norm"] == "batch" and 1 in sizes(len(dataset.splits["train"].x), config["batch_size"]):
        raise UserError(
            f"model.norm=batch is not allowed with batch_size={config['batch_size']}: the last batch has 1 sample"
        )
