"""A data set of the user's own is refused where its shapes are not those of a data set."""

import pytest
import torch

from neuronsweep.data.build import build_dataset
from neuronsweep.data.dataset import Dataset, Split
from neuronsweep.errors import UserError


def own(y_shape: tuple[int, ...], classes: int) -> Dataset:
    kind = torch.int64 if classes else torch.float32
    return Dataset({"train": Split(torch.zeros(5, 1), torch.zeros(y_shape, dtype=kind))}, classes=classes)


@pytest.mark.parametrize(("shape", "classes"), [((5, 0), 0), ((5,), 0), ((4, 1), 0), ((5, 1), 2), ((4,), 2)])
def test_other_shapes_of_targets_are_refused(monkeypatch, shape, classes):
    monkeypatch.setattr("neuronsweep.data.build.built", lambda group, config: own(shape, classes))
    with pytest.raises(UserError, match=r"train has x \(5, 1\) and y .*allowed: x \(N, D\), y \(N"):
        build_dataset({"_target_": "mine.data"})


@pytest.mark.parametrize(("shape", "classes"), [((5, 1), 0), ((5, 3), 0), ((5,), 2)])
def test_shapes_of_a_data_set_are_allowed(monkeypatch, shape, classes):
    monkeypatch.setattr("neuronsweep.data.build.built", lambda group, config: own(shape, classes))
    assert build_dataset({"_target_": "mine.data"}).classes == classes
