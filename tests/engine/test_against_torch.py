"""Parts of the native engine against what they re-write: torch.optim, schedules, losses, gradients, metrics."""

import dataclasses
import math
import re
from itertools import product
from typing import Any

import pytest
import torch
import torchmetrics.functional as tm

from neuronsweep.data.dataset import Dataset, Split
from neuronsweep.engine import build as compiling
from neuronsweep.engine import layout
from neuronsweep.engine.member import Member, unsupported
from neuronsweep.engine.train import Training
from neuronsweep.models.mlp import ACTIVATIONS, MLP
from neuronsweep.philox import kept
from tests.engine.drawn import LOSSES, exact, made
from tests.engine.reference import ADAM, build, loss_of, plain_loop, trained

SGD = {"_target_": "torch.optim.SGD", "lr": 1.0}
CURVE = made(1, 0, 3, 40, 12)
DATA = {0: CURVE, **{classes: made(1, classes, 3, 40, 12) for classes in (2, 3, 5)}}


def member(**changes: Any) -> Member:
    """A linear model that sees all samples in each of 50 steps, and whose weights after each of them are kept."""
    base = Member(CURVE, {"depth": 0}, 1, ADAM, epochs=50, log_points=50, pictures=50, dtype=torch.float64)
    return dataclasses.replace(base, **changes)


@pytest.fixture
def default_double():
    """torch's NAdam keeps a product of its momenta in the default dtype, whatever the dtype of the weights."""
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


ADAMS: list[dict[str, Any]] = [
    {"lr": 0.1, "weight_decay": 0.0},
    {"lr": 0.2, "weight_decay": 0.1, "betas": [0.5, 0.8]},
    {"lr": 0.05, "amsgrad": True, "eps": 1e-3},
    {"lr": 0.05, "eps": 0.0, "betas": [0.0, 0.99]},
]
OPTIMIZERS: list[dict[str, Any]] = [
    {"_target_": "torch.optim.SGD", "lr": 0.1},
    {"_target_": "torch.optim.SGD", "lr": 0.1, "weight_decay": 0.1},
    {"_target_": "torch.optim.SGD", "lr": 0.1, "momentum": 0.5, "dampening": 0.3},
    {"_target_": "torch.optim.SGD", "lr": 0.1, "momentum": 0.9, "nesterov": True, "weight_decay": 0.01},
    *({"_target_": f"torch.optim.{name}", **numbers} for name, numbers in product(("Adam", "AdamW"), ADAMS)),
    {"_target_": "torch.optim.RMSprop", "lr": 0.1},
    {"_target_": "torch.optim.RMSprop", "lr": 0.2, "alpha": 0.5, "weight_decay": 0.1, "eps": 1e-3},
    {"_target_": "torch.optim.RMSprop", "lr": 0.01, "centered": True, "eps": 1e-2},
    {"_target_": "torch.optim.RMSprop", "lr": 0.005, "momentum": 0.9, "centered": True, "eps": 1e-2},
    {"_target_": "torch.optim.Adagrad", "lr": 0.1},
    {"_target_": "torch.optim.Adagrad", "lr": 0.2, "lr_decay": 0.1, "weight_decay": 0.1},
    {"_target_": "torch.optim.Adagrad", "lr": 0.2, "initial_accumulator_value": 0.5, "eps": 1e-3},
    {"_target_": "torch.optim.NAdam", "lr": 0.05},
    {"_target_": "torch.optim.NAdam", "lr": 0.05, "momentum_decay": 0.1, "weight_decay": 0.1, "betas": [0.5, 0.8]},
    {"_target_": "torch.optim.NAdam", "lr": 0.05, "decoupled_weight_decay": True, "weight_decay": 0.1, "eps": 1e-3},
    {"_target_": "torch.optim.RAdam", "lr": 0.05},
    {"_target_": "torch.optim.RAdam", "lr": 0.05, "betas": [0.5, 0.8], "weight_decay": 0.1},
    {"_target_": "torch.optim.RAdam", "lr": 0.05, "decoupled_weight_decay": True, "weight_decay": 0.1, "eps": 1e-3},
]


@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=str)
def test_optimizers_are_those_of_torch(default_double, optimizer):
    one = member(optimizer=optimizer)
    result = trained(one)
    path = {**result.moments, 50: result.state_dict}
    for epoch in (1, 2, 5, 17, 50):  # 1e-12 after each step; the plain loop is trained anew to each
        network, _ = plain_loop(dataclasses.replace(one, epochs=epoch, log_points=1))
        for name, expected in network.state_dict().items():
            torch.testing.assert_close(path[epoch][name], expected, rtol=1e-12, atol=1e-13)


SCHEDULERS = [
    {"_target_": "torch.optim.lr_scheduler.StepLR", "step_size": 3, "gamma": 0.3},
    {"_target_": "torch.optim.lr_scheduler.ExponentialLR", "gamma": 0.9},
    {"_target_": "torch.optim.lr_scheduler.CosineAnnealingLR", "T_max": 7, "eta_min": 1e-3},
    {"_target_": "torch.optim.lr_scheduler.CosineAnnealingLR", "T_max": 1},
    {"_target_": "torch.optim.lr_scheduler.LinearLR", "start_factor": 0.25, "total_iters": 10},
    {"_target_": "torch.optim.lr_scheduler.LinearLR", "start_factor": 1.0, "end_factor": 0.1, "total_iters": 1},
    *(
        {"_target_": "torch.optim.lr_scheduler.OneCycleLR", "cycle_momentum": False, "total_steps": 40, **numbers}
        for numbers in (
            {"max_lr": 0.2},
            {"max_lr": 0.2, "anneal_strategy": "linear", "pct_start": 0.11, "div_factor": 7.0},
            {"max_lr": 0.3, "pct_start": 0.99, "final_div_factor": 10.0},
            {"max_lr": 0.3, "pct_start": 0.01},
        )
    ),
    *(
        {
            "_target_": "torch.optim.lr_scheduler.ReduceLROnPlateau",
            "factor": 0.5,
            "patience": 2,
            "mode": "min",
            "threshold": 0.1,
            "cooldown": 3,
            "min_lr": 0.01,
            **numbers,
        }
        for numbers in ({}, {"patience": 0, "cooldown": 0}, {"threshold": 0.9, "eps": 0.02})
    ),
]


@pytest.mark.parametrize("scheduler", SCHEDULERS, ids=str)
def test_schedules_are_those_of_torch(scheduler):
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.1)
    theirs = build(scheduler, optimizer)
    training = Training(member(epochs=40, log_points=40, scheduler=scheduler, optimizer={**SGD, "lr": 0.1}))
    rates = [optimizer.param_groups[0]["lr"]]
    for epoch in range(40):
        assert training.arrays["values"][0] == pytest.approx(optimizer.param_groups[0]["lr"], rel=1e-13, abs=1e-18)
        assert training.advance(log_point=True) == (epoch == 39)
        optimizer.step()
        if "Plateau" in scheduler["_target_"]:
            theirs.step(training.history[-1][1]["val/loss"])
        else:
            theirs.step()
        rates.append(optimizer.param_groups[0]["lr"])
    assert training.arrays["values"][0] == pytest.approx(rates[-1], rel=1e-13, abs=1e-18)
    assert len(set(rates)) > 1


@pytest.mark.parametrize("mode", ["min", "max"])
def test_plateau_and_early_stopping_are_those_of_torch_and_lightning(mode):
    from lightning.pytorch.callbacks import EarlyStopping

    scheduler = {**SCHEDULERS[-1], "patience": 1, "threshold": 0.01, "mode": mode, "min_lr": 0.0}
    metric = "val/loss" if mode == "min" else "val/acc"
    lengths = set()
    for seed in range(6):
        one = member(
            dataset=DATA[3],
            network={"hidden": 6},
            seed=seed,
            scheduler=scheduler,
            metric=metric,
            optimizer={**SGD, "lr": 3.0},
            mode=mode,
            patience=4,
            min_delta=0.005,
            pictures=1,
        )
        training = Training(one)
        optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=3.0)
        theirs, stopping = build(scheduler, optimizer), EarlyStopping("m", patience=4, mode=mode, min_delta=0.005)
        over = stop = False
        while not over:
            over = training.advance(log_point=True)
            value = training.history[-1][1][metric]
            theirs.step(value)
            stop, _ = stopping._evaluate_stopping_criteria(torch.tensor(value))
            assert training.arrays["values"][0] == optimizer.param_groups[0]["lr"]
            assert over == (stop or training.count("epoch") == 50)
        lengths.add(training.count("epoch"))
    assert len(lengths) > 1


@pytest.mark.parametrize(
    ("classes", "loss"), [(classes, loss) for classes in DATA for loss in LOSSES[classes]], ids=str
)
def test_losses_are_those_of_torch(classes, loss):
    one = member(dataset=DATA[classes], loss=loss, optimizer={**SGD, "lr": 0.1})
    result = trained(one)
    network, history = plain_loop(one)
    assert len(history) == 50
    for (_, ours), (_, theirs) in zip(result.history, history, strict=True):
        for name, value in theirs.items():
            assert ours[name] == pytest.approx(value, rel=1e-12)
    for name, expected in network.state_dict().items():
        torch.testing.assert_close(result.state_dict[name], expected, rtol=1e-12, atol=1e-13)


# Gradients: one step of SGD with the rate 1 takes the gradient away from the weights --------------------------------


def gradient_of(one: Member) -> dict[str, torch.Tensor]:
    training = Training(one)
    before = training.result().state_dict
    assert training.advance()
    after = training.result().state_dict
    return {name: before[name] - after[name] for name in before}


def assert_gradient_is_of_finite_differences(one: Member) -> None:
    network = MLP(one.dataset.inputs, one.dataset.outputs, **one.network, seed=one.seed).double()
    x, y = one.dataset.splits["train"]
    x, y = x.double(), y if one.dataset.classes else y.double()
    if one.option("dropout"):
        network.set_dropout(one.seed, 1, range(len(x)))

    def loss() -> float:
        with torch.no_grad():
            return loss_of(one, network(x), y).item()

    found, h = gradient_of(one), 1e-5
    for name, parameter in network.named_parameters():
        flat, ours = parameter.data.view(-1), found[name].reshape(-1)
        for i in range(0, len(flat), 1 + len(flat) // 12):
            value, losses = flat[i].item(), []
            for step in (-2, -1, 1, 2):
                flat[i] = value + step * h
                losses.append(loss())
            flat[i] = value
            expected = (losses[0] - 8 * losses[1] + 8 * losses[2] - losses[3]) / (12 * h)
            assert ours[i].item() == pytest.approx(expected, rel=1e-7, abs=1e-9), (name, i)


def one_step(**changes: Any) -> Member:
    return member(epochs=1, log_points=1, pictures=1, optimizer=SGD, seed=3, **changes)


@pytest.mark.parametrize("act", ACTIVATIONS)
@pytest.mark.parametrize("place", ["act", "out_act"])
def test_gradients_of_every_activation(act, place):
    for dataset, depth in product((DATA[0], DATA[2]), (1, 2)):
        assert_gradient_is_of_finite_differences(
            one_step(dataset=dataset, network={"hidden": 5, "depth": depth, "act": "tanh", place: act})
        )


@pytest.mark.parametrize(
    ("classes", "loss"), [(classes, loss) for classes in DATA for loss in LOSSES[classes]], ids=str
)
def test_gradients_of_every_loss(classes, loss):
    network = {"hidden": [7, 4], "depth": 2, "act": ["tanh", "silu"]}
    assert_gradient_is_of_finite_differences(one_step(dataset=DATA[classes], loss=loss, network=network))


@pytest.mark.parametrize("norm", ["none", "batch", "layer"])
@pytest.mark.parametrize("dropout", [0.0, 0.4])
@pytest.mark.parametrize("skip", [False, True])
def test_gradients_through_norms_dropout_and_skips(norm, dropout, skip):
    for n, bias, depth in ((40, True, 3), (300, False, 2)):
        shape = {"hidden": 6, "depth": depth, "act": "tanh", "norm": norm, "dropout": dropout, "skip": skip}
        dataset = made(2, 3, 3, n, 5)
        assert_gradient_is_of_finite_differences(one_step(dataset=dataset, network={**shape, "bias": bias}))


def test_gradients_of_weights_of_torch_for_many_units_and_samples():
    # more weights than are summed at once, more samples than a cache holds
    one = one_step(dataset=made(0, 0, 600, 1100, 3), network={"hidden": [70, 33], "depth": 2, "act": "tanh"})
    network = MLP(600, 1, **one.network, seed=3).double()
    x, y = (part.double() for part in one.dataset.splits["train"])
    loss_of(one, network(x), y).backward()
    found = gradient_of(one)
    for name, parameter in network.named_parameters():
        torch.testing.assert_close(found[name], parameter.grad, rtol=1e-9, atol=1e-13)


def test_dropout_has_the_masks_of_numpy():
    # gradients of a linear network through dropout: of the samples and units that it keeps
    n = 40
    one = one_step(dataset=DATA[0], network={"hidden": 9, "act": "identity", "dropout": 0.4, "bias": False})
    network = MLP(3, 1, **one.network, seed=3).double()
    x, y = (part.double() for part in one.dataset.splits["train"])
    mask = torch.from_numpy(kept(0.4, 3, 1, range(n), 0, 9)).double() / 0.6
    weight, out = (layer.weight.detach() for layer in network.layers)
    h = (x @ weight.T) * mask
    error = 2 * (h @ out.T - y) / n
    torch.testing.assert_close(gradient_of(one)["layers.1.weight"], error.T @ h, rtol=1e-12, atol=1e-15)


# Metrics at the end of a run ----------------------------------------------------------------------------------------


def scored(dataset: Dataset, **network: Any) -> tuple[dict[str, float], torch.Tensor, torch.Tensor]:
    """Final metrics of a member in its first weights, with its network's outputs and targets on val."""
    one = member(dataset=dataset, network={"hidden": 5, "act": "tanh", **network})
    metrics = Training(one).result().metrics
    trained = MLP(dataset.inputs, dataset.outputs, **one.network, seed=1).double()
    x, y = dataset.splits["val"]
    with torch.no_grad():
        return metrics, trained(x.double()), y


@pytest.mark.parametrize("n", [2, 3, 61, 1000])
def test_regression_metrics_are_those_of_torchmetrics(n):
    metrics, out, y = scored(made(0, 0, 2, 9, n))
    out, y = out[:, 0], y[:, 0].double()
    assert metrics["val/loss"] == pytest.approx(tm.mean_squared_error(out, y).item(), rel=1e-12)
    assert metrics["val/mae"] == pytest.approx(tm.mean_absolute_error(out, y).item(), rel=1e-12)
    assert metrics["val/r2"] == pytest.approx(tm.r2_score(out, y).item(), rel=1e-10)


def test_r2_of_one_sample_of_constants_and_of_a_perfect_fit():
    assert "val/r2" not in scored(made(0, 0, 2, 9, 1))[0]
    x = torch.from_numpy(exact(0, 20, 1)).float()
    for y in (torch.zeros(20, 1), torch.full((20, 1), 3.0)):
        dataset = Dataset({"train": Split(x, y), "val": Split(x, y)})
        for init in ("zeros", "default"):
            metrics, out, y = scored(dataset, init=init)
            assert metrics["val/r2"] == pytest.approx(tm.r2_score(out[:, 0], y[:, 0].double()).item(), abs=1e-12)


@pytest.mark.parametrize("n", [5, 61, 1000])
@pytest.mark.parametrize("shape", [{}, {"act": "hardtanh", "init": "zeros"}, {"out_act": "relu"}], ids=str)
def test_binary_metrics_are_those_of_torchmetrics(n, shape):
    metrics, out, y = scored(made(0, 2, 2, 9, n), **shape)  # with ties, and with nothing but ties
    probability = torch.sigmoid(out[:, 0])
    assert metrics["val/acc"] == pytest.approx(tm.classification.binary_accuracy(probability, y).item(), rel=1e-6)
    assert metrics["val/auroc"] == pytest.approx(tm.classification.binary_auroc(probability, y).item(), rel=1e-6)


def test_metrics_of_one_class_alone():
    x = torch.from_numpy(exact(0, 20, 2)).float()
    for label in (0, 1):
        y = torch.full((20,), label)
        metrics, *_ = scored(Dataset({"train": Split(x, y), "val": Split(x, y)}, classes=2))
        assert metrics["val/auroc"] == 0


@pytest.mark.parametrize("n", [5, 61, 1000])
@pytest.mark.parametrize("classes", [3, 5])
def test_multiclass_metrics_are_those_of_torchmetrics(n, classes):
    data = made(0, classes, 2, 9, n)
    y = data.splits["val"].y
    y[y == 1] = 0  # a class that is not there
    metrics, out, y = scored(data)
    acc = tm.classification.multiclass_accuracy(out, y, classes, average="micro")
    auroc = tm.classification.multiclass_auroc(torch.softmax(out, 1), y, classes, average="macro")
    assert metrics["val/acc"] == pytest.approx(acc.item(), rel=1e-6)
    assert metrics["val/auroc"] == pytest.approx(auroc.item(), rel=1e-6)


# What both sides have to know ---------------------------------------------------------------------------------------


def enum(name: str) -> list[str]:
    """The names of an enum in the headers, in their order."""
    text = "".join(path.read_text() for path in sorted(compiling.NATIVE.glob("*.h")))
    (names,) = re.findall(rf"enum {name} {{([^}}]*)}}", text)
    return [word.strip() for word in names.split(",")]


def test_enums_are_in_the_order_of_the_tuples():
    assert [name.lower() for name in enum("Activation")] == list(layout.ACTIVATIONS)
    assert [name.lower().split("_")[0].replace("no", "none") for name in enum("Norm")] == list(layout.NORMS)
    words = {"squared": "mse", "absolute": "mae"}
    assert [words.get(name.lower(), name.lower()) for name in enum("Loss")] == list(layout.LOSSES)
    targets = [target.rpartition(".")[2].upper() for target in layout.OPTIMIZERS]
    assert enum("Optimizer") == targets
    starts = {"CONSTANT": "None", "WARMUP": "LinearLR", "PLATEAU": "ReduceLROnPlateau"}
    for name, target in zip(enum("Schedule"), layout.SCHEDULERS, strict=True):
        own = starts.get(name, name.title().replace("_", ""))
        assert str(target).rpartition(".")[2].startswith(own)
    assert [name.lower() for name in enum("Count")] == [*layout.COUNTS, "counts"]
    assert len(enum("Number")) - 1 == layout.VALUES


def test_numbers_are_in_the_order_of_the_tuples():
    same = {"decay": "weight_decay", "amsgrad": "amsgrad", "start": "initial_accumulator_value"}
    same |= {"decoupled": "decoupled_weight_decay", "rate_decay": "lr_decay"}
    for name in ("Sgd", "Adam", "Rmsprop", "Adagrad"):
        ours = [number.split("_", 1)[1].lower() for number in enum(f"{name}Number")]
        ours = [same.get(number, number) for number in ours]
        kin = {"Adam": ("NAdam", "RAdam", "AdamW", "Adam"), "Sgd": ("SGD",), "Rmsprop": ("RMSprop",)}.get(name, (name,))
        for target in kin:
            theirs = layout.OPTIMIZERS[f"torch.optim.{target}"]
            assert all(number in ("", own) for number, own in zip(theirs, ours, strict=False)), (target, ours)
            assert len(theirs) <= len(ours)
    lengths = {"Step": "StepLR", "Exponential": "ExponentialLR", "Cosine": "CosineAnnealingLR"}
    lengths |= {"Plateau": "ReduceLROnPlateau", "Warmup": "LinearLR", "OneCycle": "OneCycleLR"}
    for name, target in lengths.items():
        assert len(enum(f"{name}Number")) == len(layout.SCHEDULERS[f"torch.optim.lr_scheduler.{target}"])


def test_a_library_of_other_structs_is_refused():
    class Other:
        def struct_bytes(self, which: int) -> int:
            return 8

    with pytest.raises(ImportError, match="structs"):
        layout.declare(Other())  # type: ignore[arg-type]


def test_initial_weights_are_those_of_the_network():
    networks: list[dict[str, Any]] = [
        {"hidden": 3, "depth": 2, "init": "xavier"},
        {"hidden": [40, 3], "depth": 2, "norm": "layer"},
        {"depth": 0, "bias": False},
        {"hidden": 8, "depth": 3, "skip": True, "norm": "batch"},
    ]
    for seed, network in enumerate(networks):
        expected = MLP(3, 1, **network, seed=seed).double().state_dict()
        ours = Training(member(network=network, seed=seed)).result().state_dict
        assert list(ours) == list(expected)
        for name, tensor in expected.items():
            assert torch.equal(ours[name], tensor)
            assert ours[name].dtype == tensor.dtype


def test_why_a_member_cannot_be_trained_natively():
    def why(**changes: Any) -> str:
        return unsupported(member(**changes)) or ""

    assert why() == ""
    assert "torch.optim.LBFGS" in why(optimizer={"_target_": "torch.optim.LBFGS"})
    assert "optimizer.maximize" in why(optimizer={**ADAM, "maximize": True})
    assert "optimizer.eps" in why(optimizer={**ADAM, "eps": math.nan})
    assert "val/mae" in why(metric="val/mae", keep="best")
    assert "mish" in why(network={"act": "mish"})
    assert "three_phase" in why(scheduler={**SCHEDULERS[6], "three_phase": True})
    assert "one sample" in why(network={"norm": "batch"}, batch_size=39)
    assert why(network={"norm": "batch"}, batch_size=38) == why(metric="val/mae") == ""
    with pytest.raises(ValueError, match=r"torch\.optim\.LBFGS"):
        Training(member(optimizer={"_target_": "torch.optim.LBFGS"}))
