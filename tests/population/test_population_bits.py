"""A member's numbers are the same bits in any company."""

import dataclasses
import random
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from neuronsweep.population.engine import Interrupted, Population, train
from neuronsweep.population.member import Member
from reference import assert_same_bits

from neuronsweep.data.curves import sine
from neuronsweep.data.planes import moons, spirals

DATA = {
    "moons": [moons(n=72, n_val=40), moons(n=72, n_val=40, noise=0.3)],
    "sine": [sine(n=480), sine(n=480, noise=0.3)],  # splits of odd sizes, and the sums of r2 and mae
    "spirals": [spirals(n=60, n_val=45), spirals(n=60, n_val=45, seed=1)],
}
ACTS = ("identity", "relu", "leaky_relu", "elu", "gelu", "silu", "softplus", "sigmoid", "tanh", "hardtanh")
OPTIMIZERS = {
    "SGD": {"momentum": (0.0, 0.9), "weight_decay": (0.0, 0.01)},
    "Adam": {"weight_decay": (0.0, 0.01), "amsgrad": (False, True), "betas": ([0.9, 0.999], [0.8, 0.99])},
    "AdamW": {"weight_decay": (0.0, 0.01), "eps": (1e-8, 0.0)},
    "RMSprop": {"momentum": (0.0, 0.9), "centered": (False, True), "alpha": (0.9, 0.99)},
    "Adagrad": {"lr_decay": (0.0, 0.01), "initial_accumulator_value": (0.0, 0.1)},
}
SCHEDULERS = (
    None,
    {"_target_": "torch.optim.lr_scheduler.StepLR", "step_size": 2, "gamma": 0.5},
    {"_target_": "torch.optim.lr_scheduler.ExponentialLR", "gamma": 0.9},
    {"_target_": "torch.optim.lr_scheduler.CosineAnnealingLR", "T_max": 5},
    {"_target_": "torch.optim.lr_scheduler.ReduceLROnPlateau", "patience": 0, "mode": "min"},
)


def some_member(rng: random.Random, data: str, optimizer: str, batch_size: int | str, dtype=torch.float32) -> Member:
    """A member drawn from everything that members of one population may differ in."""
    numbers = {name: rng.choice(values) for name, values in OPTIMIZERS[optimizer].items()}
    network = {
        "hidden": rng.choice([1, 2, 3, 8, 9, 16, 20, 32, 40]),
        "depth": rng.choice([0, 1, 1, 2, 3]),
        "act": rng.choice(ACTS),
        "out_act": rng.choice(["identity", "identity", *ACTS]),
        "init": rng.choice(["default", "default", "xavier", "kaiming", "zeros"]),
        "norm": rng.choice(["none", "none", "layer"]),
        "skip": rng.choice([False, True]),
        "bias": rng.choice([True, True, False]),
    }
    return Member(
        dataset=rng.choice(DATA[data]),
        network=network,
        seed=rng.randrange(100),
        optimizer={"_target_": f"torch.optim.{optimizer}", "lr": 10 ** rng.uniform(-3, -1), **numbers},
        scheduler=rng.choice(SCHEDULERS),
        epochs=rng.randint(1, 8),
        batch_size=batch_size,
        log_points=rng.randint(1, 5),
        clip=rng.choice([None, 0.1, 1.0]),
        patience=rng.choice([None, None, 1]),
        keep=rng.choice(["last", "best"]),
        dtype=dtype,
    )


@settings(max_examples=25, suppress_health_check=list(HealthCheck))
@given(
    seed=st.integers(0, 10**6),
    count=st.integers(2, 7),
    data=st.sampled_from(sorted(DATA)),
    optimizer=st.sampled_from(sorted(OPTIMIZERS)),
    batch_size=st.sampled_from(["full", 32, 7]),
    dtype=st.sampled_from([torch.float32, torch.float64]),
)
def test_alone_is_in_company(seed, count, data, optimizer, batch_size, dtype):
    rng = random.Random(seed)
    members = [some_member(rng, data, optimizer, batch_size, dtype) for _ in range(count)]
    together = train(members)
    backwards = train(members[::-1])[::-1]
    for member, result, other_order in zip(members, together, backwards, strict=True):
        assert_same_bits(train([member])[0], result)
        assert_same_bits(other_order, result)


@pytest.mark.parametrize("batch_size", ["full", 32])
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_alone_is_in_company_in_double_precision(optimizer, batch_size):
    # where a last bit of numbers computed on the host, such as powers of betas, is not rounded away
    rng = random.Random(f"{optimizer} {batch_size}")
    members = [some_member(rng, "moons", optimizer, batch_size, torch.float64) for _ in range(13)]
    together = train(members)
    for member, result in zip(members[:6], together, strict=False):
        assert_same_bits(train([member])[0], result)


@pytest.mark.parametrize(("count", "optimizer"), [(64, "Adam"), (64, "SGD"), (512, "Adam")])
def test_alone_is_in_a_crowd(count, optimizer):
    rng = random.Random(count)
    members = [some_member(rng, "moons", optimizer, 32) for _ in range(count)]
    together = train(members)
    for index in rng.sample(range(count), 24):
        assert_same_bits(train([members[index]])[0], together[index])


def test_replicates_alone_are_in_company():
    member = Member(DATA["moons"][0], {"hidden": 8}, 0, {"_target_": "torch.optim.Adam"}, epochs=6, batch_size=32)
    members = [dataclasses.replace(member, seed=seed) for seed in range(300)]
    together = train(members)
    for index in (0, 1, 150, 299):
        assert_same_bits(train([members[index]])[0], together[index])


@pytest.mark.parametrize("batch_size", ["full", 32])
def test_shared_data_is_data_of_ones_own(batch_size):
    member = Member(
        DATA["moons"][0],
        {"hidden": 5, "act": "tanh"},
        1,
        {"_target_": "torch.optim.Adam"},
        None,
        20,
        batch_size=batch_size,
    )
    other = dataclasses.replace(member, dataset=DATA["moons"][1])
    shared = train([member, member])
    stacked = train([other, member])
    assert_same_bits(shared[0], shared[1])
    assert_same_bits(shared[0], stacked[1])
    assert_same_bits(train([other])[0], stacked[0])


@pytest.mark.parametrize("optimizer", ["SGD", "Adam", "RMSprop"])
def test_resumed_is_uninterrupted(tmp_path: Path, optimizer):
    rng = random.Random(optimizer)
    members = [some_member(rng, "moons", optimizer, 32) for _ in range(9)]
    through = train(members)
    snapshot = tmp_path / "snapshot.pt"
    interruptions = 0
    while True:
        try:
            resumed = train(members, snapshot=snapshot, should_stop=lambda: True)
            break
        except Interrupted:
            interruptions += 1
    assert interruptions > 3
    for a, b in zip(through, resumed, strict=True):
        assert_same_bits(a, b)


def test_moments_are_the_weights_of_shorter_runs_and_survive_a_stop(tmp_path: Path):
    adam = {"_target_": "torch.optim.Adam", "lr": 0.01}
    member = Member(DATA["moons"][0], {"hidden": 5}, 0, adam, epochs=20, batch_size=32, log_points=5, pictures=3)
    other = dataclasses.replace(member, network={"hidden": 8, "act": "tanh"}, pictures=1)
    try:
        train([member, other], snapshot=tmp_path / "snapshot.pt", should_stop=lambda: True)
    except Interrupted:
        resumed, alone = train([member, other], snapshot=tmp_path / "snapshot.pt")
    assert list(resumed.moments) == [1, 6]
    assert alone.moments == {}
    for epoch, weights in resumed.moments.items():
        (shorter,) = train([dataclasses.replace(member, epochs=epoch)])
        assert all(torch.equal(weights[name], value) for name, value in shorter.state_dict.items())


def test_a_population_that_stops_between_log_epochs_is_uninterrupted():
    member = Member(DATA["moons"][0], {}, 0, {"_target_": "torch.optim.Adam"}, epochs=700, log_points=1, batch_size=7)
    through = train([member])
    first = Population([member])
    assert first.advance() == {}
    second = Population([member])
    second.load(first.state())
    while second.alive:
        second.advance()
        second.close()
    assert_same_bits(through[0], second.results[0])


def test_a_member_that_diverges_is_never_noticed():
    good = Member(DATA["moons"][0], {"hidden": 8}, 3, {"_target_": "torch.optim.SGD", "lr": 0.1}, epochs=12)
    bad = dataclasses.replace(
        good, network={"hidden": 8, "act": "identity", "out_act": "softplus"}, optimizer={**good.optimizer, "lr": 1e30}
    )
    alone, crowd = train([good]), train([bad, good, bad, good])
    assert crowd[0].state == crowd[2].state == "FAILED"
    assert_same_bits(alone[0], crowd[1])
    assert_same_bits(alone[0], crowd[3])
