"""A member follows the trajectory of a plain torch loop: 1e-9 relative in float64 over 200 steps."""

import dataclasses

import pytest
import torch
from neuronsweep.population.engine import train
from neuronsweep.population.member import Member
from reference import ADAM, assert_close

from neuronsweep.data.curves import line, sine
from neuronsweep.data.planes import moons, spirals
from neuronsweep.models.mlp import ACTIVATIONS

SINE = sine(n=90)
OPTIMIZERS = {
    "sgd": {"_target_": "torch.optim.SGD", "lr": 0.05},
    "momentum": {
        "_target_": "torch.optim.SGD",
        "lr": 0.02,
        "momentum": 0.9,
        "dampening": 0.1,
        "weight_decay": 1e-3,
    },
    "nesterov": {"_target_": "torch.optim.SGD", "lr": 0.02, "momentum": 0.9, "nesterov": True},
    "adam": ADAM,
    "amsgrad": {**ADAM, "amsgrad": True, "weight_decay": 1e-3, "betas": [0.8, 0.99], "eps": 1e-6},
    "adamw": {"_target_": "torch.optim.AdamW", "lr": 0.01, "weight_decay": 0.1},
    "rmsprop": {"_target_": "torch.optim.RMSprop", "lr": 0.005, "alpha": 0.9, "weight_decay": 1e-3},
    "centered": {"_target_": "torch.optim.RMSprop", "lr": 0.002, "centered": True, "momentum": 0.5},
    "adagrad": {"_target_": "torch.optim.Adagrad", "lr": 0.05, "lr_decay": 0.01, "initial_accumulator_value": 0.1},
}
SCHEDULERS = {
    "none": None,
    "step": {"_target_": "torch.optim.lr_scheduler.StepLR", "step_size": 7, "gamma": 0.5},
    "exponential": {"_target_": "torch.optim.lr_scheduler.ExponentialLR", "gamma": 0.97},
    "cosine": {"_target_": "torch.optim.lr_scheduler.CosineAnnealingLR", "T_max": 30, "eta_min": 1e-4},
    "plateau": {
        "_target_": "torch.optim.lr_scheduler.ReduceLROnPlateau",
        "mode": "min",
        "factor": 0.5,
        "patience": 1,
        "threshold": 0.05,
        "cooldown": 1,
        "min_lr": 1e-4,
    },
}


def member(**changes) -> Member:
    """200 steps: 67 epochs of 3 batches, the last one short."""
    base = Member(
        SINE,
        {"hidden": 5, "depth": 2, "act": "tanh"},
        seed=1,
        optimizer=ADAM,
        epochs=67,
        batch_size=len(SINE.splits["train"].x) // 3 + 1,
        log_points=20,
        dtype=torch.float64,
    )
    return dataclasses.replace(base, **changes)


@pytest.mark.parametrize("scheduler", SCHEDULERS)
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_every_optimizer_and_schedule(optimizer, scheduler):
    acts = list(ACTIVATIONS)
    # an activation each, and all of them together: every triple without a loop for each
    turn = (list(OPTIMIZERS).index(optimizer) + list(SCHEDULERS).index(scheduler)) % 5
    members = [
        member(
            network={"hidden": 5, "act": act}, optimizer=OPTIMIZERS[optimizer], scheduler=SCHEDULERS[scheduler], seed=k
        )
        for k, act in enumerate(acts[2 * turn : 2 * turn + 2])
    ]
    for one, result in zip(members, train(members), strict=True):
        assert_close(one, result, 1e-9)


NETWORKS = [
    {"depth": 0},
    {"depth": 0, "out_act": "relu"},
    {"hidden": 3, "depth": 1, "bias": False},
    {"hidden": 8, "depth": 3, "skip": True},
    {"hidden": 9, "depth": 3, "skip": True, "norm": "layer"},
    {"hidden": 40, "depth": 2, "norm": "layer", "act": "sigmoid"},
    {"hidden": 6, "depth": 2, "norm": "layer", "act": "softplus", "bias": False, "skip": True},
    {"hidden": 16, "depth": 1, "init": "kaiming", "act": "gelu", "out_act": "tanh"},
    {"hidden": 8, "depth": 1, "init": "zeros", "act": "sigmoid"},
]


@pytest.mark.parametrize("clip", [None, 0.2])
@pytest.mark.parametrize("data", ["regression", "binary", "multiclass"])
def test_every_network(data, clip):
    dataset = {"regression": SINE, "binary": moons(n=90, n_val=20), "multiclass": spirals(n=90, n_val=20)}[data]
    # at lr 0.01 one of these is chaotic: two plain loops that start 1e-15 apart end 1e-7 apart
    slow = {**ADAM, "lr": 0.003}
    members = [
        member(dataset=dataset, network={"act": "tanh", **network}, seed=k, clip=clip, batch_size=32, optimizer=slow)
        for k, network in enumerate(NETWORKS)
    ]
    for one, result in zip(members, train(members), strict=True):
        assert_close(one, result, 1e-9)


@pytest.mark.parametrize("out_act", [act for act in ACTIVATIONS if act != "identity"])
def test_every_activation_inside_and_at_the_end(out_act):
    one = member(network={"hidden": 5, "depth": 1, "act": out_act, "out_act": out_act}, epochs=20)
    assert_close(one, train([one])[0], 1e-9)


def test_full_batches_of_few_samples():
    one = member(dataset=line(), network={"hidden": 1}, batch_size="full", epochs=200)
    assert_close(one, train([one])[0], 1e-9)


def test_members_of_different_length_leave_when_they_are_done():
    members = [member(epochs=epochs, log_points=points, seed=epochs) for epochs, points in [(3, 3), (40, 7), (11, 1)]]
    for one, result in zip(members, train(members), strict=True):
        assert result.epoch == one.epochs
        assert result.steps == 3 * one.epochs
        assert_close(one, result, 1e-9)


def test_float32_starts_where_the_loop_starts():
    one = member(dtype=torch.float32, epochs=1, log_points=1)
    assert_close(one, train([one])[0], 1e-5)
