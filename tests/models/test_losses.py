"""The losses against torch's own functions and against their definitions, in float64."""

from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from neuronsweep.config.schemas import SCHEMAS
from neuronsweep.data.planes import spirals
from neuronsweep.models.losses import is_least_squares_or_logistic, loss_function, of_dataset
from neuronsweep.models.modules import ClassificationModule, RegressionModule

GENERATOR = torch.Generator().manual_seed(0)
PREDICTION, TARGET = torch.randn(2, 40, 1, generator=GENERATOR, dtype=torch.float64) * 2
PREDICTION[0] = TARGET[0]  # where a slope has a jump
LOGIT, LOGITS = (torch.randn(40, k, generator=GENERATOR, dtype=torch.float64) * 2 for k in (1, 3))
LABEL, LABELS = (torch.randint(k, (40,), generator=GENERATOR) for k in (2, 3))
W2, W3 = [1.0, 3.0], [0.5, 2.0, 4.0]


def pinball(q):
    return lambda out, y: torch.max(q * (y - out), (q - 1) * (y - out)).mean()


def two_logits(weights):
    """torch's weighted cross-entropy of k logits, on 0 and the one logit."""
    weight = None if weights is None else torch.tensor(weights, dtype=torch.float64)
    return lambda out, y: F.cross_entropy(torch.cat([torch.zeros_like(out), out], dim=1), y, weight)


CASES = {
    "auto": ({"name": "auto"}, "regression", F.mse_loss, PREDICTION, TARGET),
    "none": (None, "regression", F.mse_loss, PREDICTION, TARGET),
    "mse": ({"name": "mse"}, "regression", F.mse_loss, PREDICTION, TARGET),
    "mae": ({"name": "mae"}, "regression", F.l1_loss, PREDICTION, TARGET),
    "huber": ({"name": "huber", "delta": 1.0}, "regression", F.huber_loss, PREDICTION, TARGET),
    "narrow huber": (
        {"name": "huber", "delta": 0.3},
        "regression",
        lambda out, y: F.huber_loss(out, y, delta=0.3),
        PREDICTION,
        TARGET,
    ),
    "median": ({"name": "quantile", "q": 0.5}, "regression", pinball(0.5), PREDICTION, TARGET),
    "quantile": ({"name": "quantile", "q": 0.9}, "regression", pinball(0.9), PREDICTION, TARGET),
    "auto of two classes": ({"name": "auto"}, "classification", two_logits(None), LOGIT, LABEL),
    "auto of three": ({"name": "auto"}, "classification", F.cross_entropy, LOGITS, LABELS),
    "two classes": ({"name": "cross_entropy", "class_weights": None}, "classification", two_logits(None), LOGIT, LABEL),
    "weighted": ({"name": "cross_entropy", "class_weights": W2}, "classification", two_logits(W2), LOGIT, LABEL),
    "three weighted": (
        {"name": "cross_entropy", "class_weights": W3},
        "classification",
        lambda out, y: F.cross_entropy(out, y, torch.tensor(W3, dtype=torch.float64)),
        LOGITS,
        LABELS,
    ),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_losses_and_their_gradients_are_torchs(case):
    loss, task, expected, out, y = case
    out = out.clone().requires_grad_()
    values = [function(out, y) for function in (loss_function(loss, task), expected)]
    gradients = [torch.autograd.grad(value, out)[0] for value in values]
    assert values[0].item() == pytest.approx(values[1].item(), rel=1e-12)
    torch.testing.assert_close(gradients[0], gradients[1], rtol=1e-12, atol=1e-15)


def test_every_loss_of_the_config_is_compared():
    assert {case[0]["name"] for case in CASES.values() if case[0]} == set(SCHEMAS["loss"])


def test_a_weighted_mean_is_over_the_weights_of_its_samples():
    out, y = np.array([-1.0, 0.5, 2.0]), np.array([1, 0, 1])
    each = np.log1p(np.exp(np.where(y == 1, -out, out)))
    weight = np.where(y == 1, 3.0, 1.0)
    loss = loss_function({"name": "cross_entropy", "class_weights": W2}, "classification")
    got = loss(torch.from_numpy(out)[:, None], torch.from_numpy(y)).item()
    assert got == pytest.approx((weight * each).sum() / weight.sum(), rel=1e-12)


@pytest.mark.parametrize("q", [0.1, 0.5, 0.9])
def test_the_quantile_loss_is_least_at_the_quantile(q):
    y = torch.arange(101, dtype=torch.float64)[:, None]
    loss = loss_function({"name": "quantile", "q": q}, "regression")
    values = [loss(torch.full_like(y, guess), y).item() for guess in range(101)]
    assert int(np.argmin(values)) == pytest.approx(100 * q, abs=1)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_what_was_trained_before_there_were_losses_keeps_its_bits(dtype):
    out, logit, logits = PREDICTION.to(dtype), LOGIT.to(dtype), LOGITS.to(dtype)
    y = TARGET.to(dtype)
    assert torch.equal(RegressionModule().loss(out, y), F.mse_loss(out, y))
    binary = F.binary_cross_entropy_with_logits(logit[:, 0], LABEL.to(dtype))
    assert torch.equal(ClassificationModule().loss(logit, LABEL), binary)
    assert torch.equal(ClassificationModule().loss(logits, LABELS), F.cross_entropy(logits, LABELS))


def test_final_metrics_have_the_squared_error_beside_another_loss():
    for loss, names in (("mse", ["loss", "mae", "r2"]), ("mae", ["loss", "mae", "mse", "r2"])):
        found = RegressionModule(loss={"name": loss}).final_metrics(PREDICTION, TARGET)
        assert sorted(found) == sorted(names)
    assert found["mse"].item() == pytest.approx(F.mse_loss(PREDICTION, TARGET).item())
    assert found["loss"].item() == pytest.approx(found["mae"].item())


def test_the_best_fits_are_known_of_two_losses():
    assert is_least_squares_or_logistic(None)
    known: list[dict[str, Any]] = [{"name": "auto"}, {"name": "mse"}, {"name": "cross_entropy", "class_weights": None}]
    assert all(map(is_least_squares_or_logistic, known))
    others: list[dict[str, Any]] = [{"name": "mae"}, {"name": "huber", "delta": 1.0}]
    assert not any(map(is_least_squares_or_logistic, [*others, {"name": "cross_entropy", "class_weights": W2}]))


def test_balanced_classes_count_the_same():
    """As scikit-learn balances them."""
    from sklearn.utils.class_weight import compute_class_weight

    dataset = spirals(n=31, n_val=9)
    y = dataset.splits["train"].y.numpy()
    found = of_dataset({"name": "cross_entropy", "class_weights": "balanced"}, dataset)
    assert found is not None
    assert found["class_weights"] == pytest.approx(compute_class_weight("balanced", classes=np.unique(y), y=y).tolist())
    for loss in (None, {"name": "auto"}, {"name": "cross_entropy", "class_weights": [1, 2, 3]}):
        assert of_dataset(loss, dataset) == loss
