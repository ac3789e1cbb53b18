"""What a member goes on from is its own: native code reads positions in arrays from it."""

import pytest
import torch

from neuronsweep.data.dataset import Dataset, Split
from neuronsweep.engine import layout
from neuronsweep.engine.member import Member
from neuronsweep.engine.train import Training

X = torch.linspace(-1, 1, 12)[:, None]
DATA = Dataset({"train": Split(X, X**2), "val": Split(X + 0.1, X)})
ADAM = {"_target_": "torch.optim.Adam", "lr": 0.01}


def training(seed: int = 1, **changes) -> Training:
    return Training(Member(DATA, {}, seed, ADAM, epochs=6, log_points=3, batch_size=5, **changes))


@pytest.fixture
def snapshot():
    one = training()
    one.advance(log_point=True)
    return one.snapshot()


def test_a_member_goes_on_from_its_own_snapshot_only(snapshot):
    training().load(snapshot)
    training(time_limit=9.0).load(snapshot)
    for other in (training(seed=2), training(clip=1.0)):
        with pytest.raises(ValueError, match="of another member"):
            other.load(snapshot)


@pytest.mark.parametrize(
    ("count", "value"),
    [
        ("epoch", -1),
        ("epoch", 7),
        ("batch", 3),
        ("batch", -1),
        ("logged", 10**6),
        ("logged", -4),
        ("kept", 9),
        ("bad_column", 2),
    ],
)
def test_counts_that_training_cannot_come_to_are_refused(snapshot, count, value):
    snapshot["counts"][layout.COUNTS.index(count)] = value
    with pytest.raises(ValueError, match="of another member"):
        training().load(snapshot)
