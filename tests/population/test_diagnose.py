"""Diagnostics of members: Lightning's numbers, the same bits in any company, and training that does not notice."""

import copy
import dataclasses
import math
import random
from itertools import product

import pytest
from hydra.utils import instantiate
from neuronsweep.population.engine import Interrupted, Result, train
from reference import assert_same_bits
from test_against_lightning import CURVE, PLANE, as_run, changed, lightning, together
from test_population_bits import some_member

WORDS = {
    "all samples": (*CURVE, "log_points=4", "epochs=60", "optimizer=sgd", "optimizer.lr=0.02"),
    "minibatches": (*PLANE, "log_points=4", "epochs=20"),
    "three classes, clipped": (*PLANE, "data=spirals", "data.n=60", "epochs=20", "trainer.gradient_clip_val=0.01"),
}
NAMES = ("gradient", "update", "dead", "saturated")


def plain_result(result: Result) -> Result:
    """The result as it would be without diagnostics."""
    result = copy.copy(result)
    result.history = [
        (epoch, {name: value for name, value in row.items() if name.split("/")[0] not in NAMES})
        for epoch, row in result.history
    ]
    return result


@pytest.mark.parametrize("words", WORDS.values(), ids=WORDS.keys())
def test_members_tell_what_lightning_tells(composed, words):
    cfg = composed(*words, "diagnostics=true")
    shapes = [
        {"act": act, "depth": depth, "norm": norm, "skip": depth == 3, "bias": act != "tanh", "hidden": hidden}
        for (act, hidden), depth, norm in product(
            (("relu", 5), ("sigmoid", 9), ("tanh", 20), ("hardtanh", 5), ("gelu", 5)), (0, 1, 3), ("none", "layer")
        )
    ]
    cfgs = [changed(cfg, **shape) for shape in shapes]
    dataset = instantiate(cfg.data)
    seen = set()
    for own, result in zip(cfgs, together(cfgs, [dataset] * len(cfgs)), strict=True):
        theirs, ours = lightning(own, dataset), as_run(own, dataset, result)
        assert [epoch for epoch, _ in ours.history] == [epoch for epoch, _ in theirs.history]
        for (epoch, a), (_, b) in zip(ours.history, theirs.history, strict=True):
            assert list(a) == list(b)
            seen |= {name.split("/")[0] for name in a}
            for name, value in b.items():
                where = own.model, epoch, name, a[name], value
                assert math.isclose(a[name], value, rel_tol=1e-9, abs_tol=1e-14), where
        assert ours.metrics.keys() == theirs.metrics.keys()
    assert set(NAMES) <= seen


@pytest.mark.parametrize("batch_size", ["full", 32, 7])
@pytest.mark.parametrize("optimizer", ["SGD", "Adam", "RMSprop"])
def test_alone_is_in_company(optimizer, batch_size):
    rng = random.Random(f"{optimizer} {batch_size}")
    members = [some_member(rng, "moons", optimizer, batch_size) for _ in range(14)]
    members = [dataclasses.replace(member, diagnostics=rng.random() < 0.8) for member in members]
    crowd = train(members)
    backwards = train(members[::-1])[::-1]
    for member, result, other in zip(members, crowd, backwards, strict=True):
        assert_same_bits(train([member])[0], result)
        assert_same_bits(other, result)
        told = {name.split("/")[0] for _, row in result.history for name in row}
        assert ("gradient" in told) == (member.diagnostics and bool(result.history))


@pytest.mark.parametrize("data", ["moons", "spirals"])
@pytest.mark.parametrize("batch_size", ["full", 32])
def test_training_does_not_notice(data, batch_size):
    rng = random.Random(f"{data} {batch_size}")
    members = [some_member(rng, data, "Adam", batch_size) for _ in range(12)]
    without = train(members)
    watched = train([dataclasses.replace(member, diagnostics=True) for member in members])
    for a, b in zip(without, watched, strict=True):
        assert_same_bits(a, plain_result(b))
        assert a.history == [] or set(a.history[0][1]) < set(b.history[0][1])


def test_resumed_is_uninterrupted(tmp_path):
    rng = random.Random(0)
    members = [dataclasses.replace(some_member(rng, "moons", "Adam", 32), diagnostics=True) for _ in range(7)]
    through = train(members)
    while True:
        try:
            resumed = train(members, snapshot=tmp_path / "snapshot.pt", should_stop=lambda: True)
            break
        except Interrupted:
            pass
    for a, b in zip(through, resumed, strict=True):
        assert_same_bits(a, b)


@pytest.mark.parametrize("words", [("batch_size=20", "model.dropout=0.2"), ("model.norm=batch",), ("optimizer=lbfgs",)])
def test_lightning_does_not_notice(composed, words):
    words = (*CURVE, "epochs=12", "model.depth=2", "trainer.gradient_clip_val=0.5", *words)
    off, on = composed(*words), composed(*words, "diagnostics=true")
    dataset = instantiate(off.data)
    without, watched = lightning(off, dataset), lightning(on, dataset)
    assert without.metrics == watched.metrics
    for (epoch, a), (_, b) in zip(without.history, watched.history, strict=True):
        assert a == {name: b[name] for name in a}, epoch
        assert {"gradient/layers.2", "update/layers.0", "dead/layers.1"} <= b.keys() - a.keys()
    for name, tensor in without.weights.items():
        assert tensor.numpy().tobytes() == watched.weights[name].numpy().tobytes()
