"""The parts of the engine against what they re-write: torch.nn, torch.optim, torchmetrics."""

import math

import numpy as np
import pytest
import torch
import torchmetrics.functional as tm
from neuronsweep.population import activations
from neuronsweep.population.engine import Population, member_bytes
from neuronsweep.population.layout import Layout
from neuronsweep.population.member import Member, group_key, unsupported
from neuronsweep.population.metrics import evaluate
from neuronsweep.population.optim import Optimizer
from neuronsweep.population.schedule import Schedule, Stopping
from reference import ADAM, build

from neuronsweep.data.curves import line, sine
from neuronsweep.data.planes import moons, spirals
from neuronsweep.models.mlp import ACTIVATIONS, MLP

LINE = line()


@pytest.mark.parametrize("act", [act for act in ACTIVATIONS if act != "identity"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_activations_have_the_bits_of_autograd(act, dtype):
    z = torch.cat([torch.linspace(-30, 30, 992, dtype=dtype), torch.tensor([0.0, -0.0, 1.0, -1.0] * 8, dtype=dtype)])
    z.requires_grad_(True)
    torch.manual_seed(0)
    h = ACTIVATIONS[act](z)
    g = torch.randn_like(h)
    h.backward(g)
    mine, kept, gradient = z.detach().clone(), torch.empty_like(z), g.clone()
    activations.forward[act](mine, kept)
    activations.backward[act](gradient, mine, kept)
    assert torch.equal(mine, h)
    assert torch.equal(gradient, z.grad)


def lone(optimizer, **changes) -> Member:
    return Member(LINE, {"hidden": 3}, 0, optimizer, dtype=torch.float64, **changes)


@pytest.mark.parametrize(
    "specs",
    [
        [
            {"_target_": "torch.optim.SGD", "lr": 0.1},
            {"_target_": "torch.optim.SGD", "lr": 0.2, "weight_decay": 0.1},
            {"_target_": "torch.optim.SGD", "lr": 0.2, "momentum": 0.5, "dampening": 0.3},
            {"_target_": "torch.optim.SGD", "lr": 0.2, "momentum": 0.9, "nesterov": True, "weight_decay": 0.01},
        ],
        *[
            [
                {"_target_": f"torch.optim.{name}", "lr": 0.1, "weight_decay": 0.0},
                {"_target_": f"torch.optim.{name}", "lr": 0.2, "weight_decay": 0.1, "betas": [0.5, 0.8]},
                {"_target_": f"torch.optim.{name}", "lr": 0.05, "amsgrad": True, "eps": 1e-3},
                {"_target_": f"torch.optim.{name}", "lr": 0.05, "eps": 0.0, "betas": [0.0, 0.99]},
            ]
            for name in ("Adam", "AdamW")
        ],
        [
            {"_target_": "torch.optim.RMSprop", "lr": 0.1},
            {"_target_": "torch.optim.RMSprop", "lr": 0.2, "alpha": 0.5, "weight_decay": 0.1, "eps": 1e-3},
            {"_target_": "torch.optim.RMSprop", "lr": 0.2, "centered": True},
            {"_target_": "torch.optim.RMSprop", "lr": 0.05, "momentum": 0.9, "centered": True},
        ],
        [
            {"_target_": "torch.optim.Adagrad", "lr": 0.1},
            {"_target_": "torch.optim.Adagrad", "lr": 0.2, "lr_decay": 0.1, "weight_decay": 0.1},
            {"_target_": "torch.optim.Adagrad", "lr": 0.2, "initial_accumulator_value": 0.5, "eps": 1e-3},
        ],
    ],
    ids=lambda specs: specs[0]["_target_"].rpartition(".")[2],
)
def test_optimizers_are_those_of_torch(specs):
    generator = torch.Generator().manual_seed(0)
    members = [lone(spec) for spec in specs]
    layout = Layout(members)
    states = [MLP(1, 1, hidden=3, seed=k).double().state_dict() for k in range(len(members))]
    optimizer = Optimizer(layout, layout.pack(states, torch.float64))
    theirs = []
    for spec, state in zip(specs, states, strict=True):
        parameters = {name: tensor.clone().requires_grad_(True) for name, tensor in state.items()}
        theirs.append((parameters, build(spec, parameters.values())))
    rates = np.array([m.number("lr") for m in layout.standing])
    for _ in range(50):
        gradients = []
        for parameters, torch_optimizer in theirs:
            for parameter in parameters.values():
                parameter.grad = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
            gradients.append({name: parameter.grad for name, parameter in parameters.items()})
            torch_optimizer.step()
        optimizer.set_rates(rates, 1)
        # what a backward pass leaves in the padding must not matter
        optimizer.gradients.fill_(math.nan)
        packed = layout.pack(gradients, torch.float64)
        optimizer.gradients.copy_(packed.masked_fill(optimizer.padding, math.nan))
        optimizer.step()
    assert torch.all(optimizer.params[optimizer.padding] == 0)
    for k, (parameters, _) in enumerate(theirs):
        for name, tensor in layout.unpack(optimizer.params, k).items():
            torch.testing.assert_close(tensor, parameters[name].detach(), rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize(
    "spec",
    [
        {"_target_": "torch.optim.lr_scheduler.StepLR", "step_size": 3, "gamma": 0.3},
        {"_target_": "torch.optim.lr_scheduler.ExponentialLR", "gamma": 0.9},
        {"_target_": "torch.optim.lr_scheduler.CosineAnnealingLR", "T_max": 7, "eta_min": 1e-3},
        {"_target_": "torch.optim.lr_scheduler.CosineAnnealingLR", "T_max": 1},
    ],
)
def test_schedules_are_those_of_torch(spec):
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.1)
    theirs = build(spec, optimizer)
    schedule = Schedule([lone(ADAM), lone({**ADAM, "lr": 0.1}, scheduler=spec)])
    for _ in range(40):
        optimizer.step()
        theirs.step()
        schedule.end_epoch()
        assert schedule.rates[1] == pytest.approx(optimizer.param_groups[0]["lr"], rel=1e-13, abs=1e-18)
        assert schedule.rates[0] == ADAM["lr"]


@pytest.mark.parametrize("mode", ["min", "max"])
def test_plateau_is_that_of_torch(mode):
    spec = {
        "_target_": "torch.optim.lr_scheduler.ReduceLROnPlateau",
        "mode": mode,
        "factor": 0.5,
        "patience": 2,
        "threshold": 0.1,
        "cooldown": 3,
        "min_lr": 0.01,
    }
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.1)
    theirs = build(spec, optimizer)
    schedule = Schedule([lone({**ADAM, "lr": 0.1}, scheduler=spec)])
    rng = np.random.default_rng(0)
    for value in rng.uniform(0.5, 1, 60).tolist():
        theirs.step(value)
        schedule.end_log_epoch(0, {"val/loss": value})
        assert schedule.rates[0] == optimizer.param_groups[0]["lr"]


@pytest.mark.parametrize("mode", ["min", "max"])
def test_early_stopping_is_that_of_lightning(mode):
    from lightning.pytorch.callbacks import EarlyStopping

    rng = np.random.default_rng(1)
    for _ in range(30):
        theirs = EarlyStopping("m", patience=3, mode=mode, min_delta=0.05)
        ours = Stopping(lone(ADAM, patience=3, min_delta=0.05, mode=mode))
        for value in rng.uniform(0, 1, 20).tolist():
            stop, _ = theirs._evaluate_stopping_criteria(torch.tensor(value))
            assert ours.step(value) == stop
            if stop:
                break


def test_regression_metrics_are_those_of_torchmetrics():
    torch.manual_seed(0)
    out, y = torch.randn(3, 64, 1), torch.randn(1, 64, 1)
    out[2] = y[0]
    ours = evaluate("regression", out, y, 50, final=True)
    for k in range(3):
        prediction, target = out[k, :50, 0], y[0, :50, 0]
        assert ours["loss"][k].item() == pytest.approx(tm.mean_squared_error(prediction, target).item(), rel=1e-6)
        assert ours["mae"][k].item() == pytest.approx(tm.mean_absolute_error(prediction, target).item(), rel=1e-6)
        assert ours["r2"][k].item() == pytest.approx(tm.r2_score(prediction, target).item(), rel=1e-5)
    constant = torch.ones(1, 64, 1)
    for close in (out[:1], constant):
        ours = evaluate("regression", close, constant, 50, final=True)["r2"].item()
        assert ours == tm.r2_score(close[0, :50, 0], constant[0, :50, 0]).item()
    assert "r2" not in evaluate("regression", out, y, 1, final=True)


def test_binary_metrics_are_those_of_torchmetrics():
    torch.manual_seed(0)
    out, y = torch.randn(4, 64, 1) * 10, (torch.rand(1, 64, 1) > 0.4).float()
    out[1] = out[1].round()  # ties
    out[2] = 0
    ours = evaluate("binary", out, y, 60, final=True)
    for k in range(4):
        logits, target = out[k, :60, 0], y[0, :60, 0]
        loss = torch.nn.functional.binary_cross_entropy_with_logits(logits, target)
        # of the whole tensor: a last few elements have other bits, and near one they are ties or not by their last bit
        probability = torch.sigmoid(out)[k, :60, 0]
        assert ours["loss"][k].item() == pytest.approx(loss.item(), rel=1e-6)
        assert ours["acc"][k].item() == tm.classification.binary_accuracy(probability, target.int()).item()
        theirs = tm.classification.binary_auroc(probability, target.int()).item()
        assert ours["auroc"][k].item() == pytest.approx(theirs, rel=1e-6)
    one_class = evaluate("binary", out, torch.ones_like(y), 60, final=True)
    assert one_class["auroc"].tolist() == [0, 0, 0, 0]


@pytest.mark.parametrize("classes", [3, 5])
def test_multiclass_metrics_are_those_of_torchmetrics(classes):
    torch.manual_seed(0)
    out, labels = torch.randn(3, 64, classes) * 3, torch.randint(classes, (64,))
    labels[labels == 1] = 0  # a class that is not there
    y = torch.nn.functional.one_hot(labels, classes)[None].float()
    ours = evaluate("multiclass", out, y, 61, final=True)
    for k in range(3):
        logits, target = out[k, :61], labels[:61]
        loss = torch.nn.functional.cross_entropy(logits, target)
        assert ours["loss"][k].item() == pytest.approx(loss.item(), rel=1e-6)
        acc = tm.classification.multiclass_accuracy(logits, target, classes, average="micro")
        assert ours["acc"][k].item() == pytest.approx(acc.item())
        auroc = tm.classification.multiclass_auroc(logits, target, classes, average="macro")
        assert ours["auroc"][k].item() == pytest.approx(auroc.item(), rel=1e-6)


def test_initial_weights_are_those_of_the_network():
    networks = [
        {"hidden": 3, "depth": 2, "init": "xavier"},
        {"hidden": 40, "norm": "layer"},
        {"depth": 0, "bias": False},
        {"hidden": 8, "depth": 3, "skip": True},
    ]
    data = spirals(n=60)
    members = [Member(data, network, seed, ADAM) for seed, network in enumerate(networks)]
    population = Population(members)
    for k, member in enumerate(members):
        expected = MLP(2, 3, **member.network, seed=member.seed).state_dict()
        ours = population.layout.unpack(population.optimizer.params, k)
        assert list(ours) == list(expected)
        for name, tensor in expected.items():
            assert torch.equal(ours[name], tensor)


def test_why_a_member_cannot_join():
    assert unsupported(lone(ADAM)) is None
    assert unsupported(Member(LINE, {"dropout": 0.1}, 0, ADAM)) == "model.dropout=0.1"
    assert unsupported(Member(LINE, {"norm": "batch"}, 0, ADAM)) == "model.norm=batch"
    assert "torch.optim.LBFGS" in (unsupported(lone({"_target_": "torch.optim.LBFGS"})) or "")
    assert "optimizer.maximize" in (unsupported(lone({**ADAM, "maximize": True})) or "")
    assert "val/mae" in (unsupported(lone(ADAM, metric="val/mae", keep="best")) or "")
    assert unsupported(lone(ADAM, metric="val/mae")) is None


def test_members_share_shapes_task_batches_and_optimizer():
    one = Member(sine(), {}, 0, ADAM)
    assert group_key(one) == group_key(Member(sine(noise=0.5), {"hidden": 3}, 1, {**ADAM, "lr": 1}, epochs=3))
    assert group_key(one) == group_key(Member(sine(), {}, 0, ADAM, batch_size=10_000))
    for other in (
        Member(sine(), {}, 0, ADAM, batch_size=32),
        Member(sine(n=500), {}, 0, ADAM),
        Member(sine(), {}, 0, {"_target_": "torch.optim.SGD"}),
        Member(sine(), {}, 0, ADAM, dtype=torch.float64),
    ):
        assert group_key(one) != group_key(other)
        with pytest.raises(ValueError, match="do not share"):
            Population([one, other])


def test_memory_is_estimated():
    small, large = Member(moons(), {"hidden": 2}, 0, ADAM), Member(moons(), {"hidden": 256, "depth": 3}, 0, ADAM)
    assert 10_000 < member_bytes(small) < 200_000
    assert 8 * 4 * 2 * 256**2 < member_bytes(large) < 16 * 4 * 2 * 256**2
