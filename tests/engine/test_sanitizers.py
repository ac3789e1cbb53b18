"""The native engine under the address and undefined-behaviour sanitizers: no leak, nothing out of bounds."""

import random
from typing import Any

import pytest
import torch

from neuronsweep.engine.member import Member
from neuronsweep.engine.train import Training
from tests.engine.drawn import made, some_member
from tests.engine.driver import compile_driver, needed, run, start_without_torch, write
from tests.engine.reference import ADAM

FLAGS = ("-g", "-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-fno-omit-frame-pointer")
DTYPES = {32: torch.float32, 64: torch.float64}


def smallest_and_largest(dtype: torch.dtype) -> list[Member]:
    """Widths of one, data of one sample, batches larger than the data, one log point, no hidden layer, wide layers."""
    one, few, many = made(0, 0, 1, 1, 1), made(0, 0, 2, 5, 1, 3), made(0, 0, 3, 1100, 600)
    networks: list[dict[str, Any]] = [
        {"depth": 0},
        {"depth": 0, "bias": False, "out_act": "gelu"},
        {"hidden": 1, "depth": 3, "skip": True, "dropout": 0.5},
        {"hidden": 1, "norm": "layer"},
        {"hidden": [1, 40, 1], "depth": 3, "act": ["relu", "tanh", "elu"], "dropout": 0.2},
    ]
    members = [
        Member(data, network, 1, ADAM, None, None, 4, size, points, diagnostics=size != 1, keep="best", dtype=dtype)
        for data in (one, few)
        for network in networks
        for size, points in (("full", 1), (1, 4), (10_000, 2))
    ]
    wide = [
        {"hidden": [300, 70], "depth": 2},
        {"hidden": 33, "depth": 2, "norm": "batch", "skip": True},
        {"hidden": 530, "norm": "layer", "dropout": 0.1},
    ]
    members += [
        Member(many, network, 1, ADAM, None, None, 2, size, 2, diagnostics=True, dtype=dtype)
        for network in wide
        for size in ("full", 600)
    ]
    five, two = made(0, 5, 11, 700, 33), made(0, 2, 2, 4, 4)
    members += [
        Member(data, {"hidden": 9, "norm": norm}, 1, ADAM, None, None, 3, size, 3, diagnostics=True, dtype=dtype)
        for data in (five, two)
        for norm in ("none", "batch")
        for size in ("full", 2)
    ]
    # a rate that overflows within a few steps, and epochs of nothing
    diverging = {"_target_": "torch.optim.SGD", "lr": 1e30}
    members.append(Member(few, {"act": "identity", "depth": 2}, 1, diverging, None, None, 9, 2, 9, dtype=dtype))
    members.append(Member(one, {"hidden": 1, "init": "zeros"}, 1, ADAM, None, None, 20_000, "full", 2, dtype=dtype))
    return members


@pytest.mark.parametrize("bits", DTYPES)
def test_no_sanitizer_complains(tmp_path, bits):
    compiler = needed("gcc", "clang")
    program, members = tmp_path / "driver", tmp_path / "members.bin"
    compile_driver([compiler], FLAGS, bits, program)
    rng = random.Random(13)
    drawn = [some_member(rng, DTYPES[bits]) for _ in range(150)]
    trainings = [Training(member) for member in [*drawn, *smallest_and_largest(DTYPES[bits])]]
    for training in trainings:
        start_without_torch(training)
    write(members, trainings)
    assert len(run([program], members)) == len(trainings)
