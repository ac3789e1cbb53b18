"""From the config's ``data`` to a data set."""

from collections.abc import Mapping
from typing import Any

from hydra.errors import InstantiationException
from hydra.utils import instantiate

from neuronsweep.data.dataset import Dataset
from neuronsweep.errors import UserError


def build_dataset(config: Mapping[str, Any]) -> Dataset:
    """The data set that ``_target_`` and its arguments describe. Raises UserError where they describe none."""
    try:
        dataset = instantiate(config)
    except InstantiationException as error:
        raise error.__cause__ if isinstance(error.__cause__, UserError) else error from None
    if not isinstance(dataset, Dataset):
        raise UserError(f"data._target_={config['_target_']} is not allowed: it returned no Dataset")
    return dataset
