"""A member has the same bits whoever else is trained, on however many threads, and however often it is stopped."""

import ctypes
import random
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from neuronsweep.engine.member import Member
from neuronsweep.engine.train import Result, Samples, Training
from tests.engine.drawn import made, some_member
from tests.engine.reference import ADAM, assert_same_bits, trained

DTYPES = [torch.float32, torch.float64]


def in_pieces(member: Member, rng: random.Random) -> Result:
    """The member trained in slices, each by a new Training that goes on from the one before it."""
    training, slices = Training(member), 0
    while not training.advance(seconds=0, log_point=rng.random() < 0.5):
        slices += 1
        if rng.random() < 0.7:
            snapshot = training.snapshot()
            training = Training(member)
            training.load(snapshot)
    again = Training(member)
    again.load(training.snapshot())
    assert again.advance()  # it is over, and stays so
    assert_same_bits(again.result(), training.result())
    return training.result()


@settings(max_examples=60)
@given(seed=st.integers(0, 10**6), dtype=st.sampled_from(DTYPES))
def test_stopped_anywhere_is_never_stopped(seed, dtype):
    rng = random.Random(seed)
    member = some_member(rng, dtype)
    assert_same_bits(in_pieces(member, rng), trained(member))


@pytest.mark.parametrize("dtype", DTYPES)
def test_resumed_at_every_log_point_is_never_stopped(dtype):
    for seed in range(10):
        member = some_member(random.Random(seed), dtype, epochs=9, log_points=5)
        through, training, stops = trained(member), Training(member), 0
        while not training.advance(log_point=True):
            stops += 1
            resumed = Training(member)
            resumed.load(training.snapshot())
            assert resumed.advance()
            assert_same_bits(resumed.result(), through)
        assert stops == len(through.history) - 1
        assert_same_bits(training.result(), through)


@pytest.mark.parametrize("threads", [1, 2, 7])
@pytest.mark.parametrize("dtype", DTYPES)
def test_alone_is_in_company(dtype, threads):
    rng = random.Random(threads)
    members = [some_member(rng, dtype) for _ in range(60)]
    alone = [trained(member) for member in members]
    order = rng.sample(range(60), 60)
    with ThreadPoolExecutor(threads) as pool:
        together = list(pool.map(trained, [members[i] for i in order]))
    for i, result in zip(order, together, strict=True):
        assert_same_bits(result, alone[i])


def test_members_that_share_data_have_it_to_themselves():
    data = made(1, 2, 2, 100, 40)
    members = [Member(data, {"hidden": 5, "norm": "batch"}, seed, ADAM, epochs=9, batch_size=32) for seed in range(20)]
    alone, samples = [trained(member) for member in members], Samples(data, torch.float32)

    def sharing(member: Member) -> Result:
        training = Training(member, samples)
        training.advance()
        return training.result()

    with ThreadPoolExecutor(7) as pool:
        for a, b in zip(alone, pool.map(sharing, members), strict=True):
            assert_same_bits(a, b)


def test_a_member_with_a_pruned_one_beside_it():
    rng = random.Random(5)
    members = [some_member(rng, epochs=9, log_points=9, patience=None) for _ in range(12)]
    alone, training = [trained(member) for member in members], [Training(member) for member in members]
    for point in range(9):  # all together, log point by log point; every third one ends after four
        for i, one in enumerate(training):
            if not one.over and (i % 3 or point < 4):
                one.advance(log_point=True)
    for i, (one, through) in enumerate(zip(training, alone, strict=True)):
        if i % 3:
            assert_same_bits(one.result(), through)
        elif not one.over:
            pruned = one.result(pruned=True)
            assert (pruned.state, pruned.history) == ("PRUNED", through.history[:4])


def test_stop_ends_a_slice_and_no_bit_changes():
    member = Member(made(0, 0, 1, 200, 20), {}, 1, ADAM, epochs=60, batch_size=7, log_points=2)
    training, stop = Training(member), ctypes.c_int32(1)
    slices = 0
    while not training.advance(stop):
        slices += 1
    assert slices > 50
    assert_same_bits(training.result(), trained(member))


def test_moments_are_the_weights_of_shorter_runs():
    member = Member(made(0, 2, 2, 72, 40), {"hidden": 5}, 0, ADAM, epochs=20, batch_size=32, log_points=5, pictures=3)
    whole = trained(member)
    assert list(whole.moments) == [1, 6]
    for epoch, weights in whole.moments.items():
        shorter = trained(replace(member, epochs=epoch))
        assert all(torch.equal(weights[name], value) for name, value in shorter.state_dict.items())


@pytest.mark.parametrize("dtype", DTYPES)
def test_diagnostics_change_no_number_of_training(dtype):
    for seed in range(12):
        plain, watched = (trained(some_member(random.Random(seed), dtype, diagnostics=on)) for on in (False, True))
        for (_, a), (_, b) in zip(plain.history, watched.history, strict=True):
            assert a == {name: b[name] for name in a}
            assert any(name.startswith("gradient/") for name in b)
        watched.history = plain.history
        assert_same_bits(plain, watched)


def test_a_snapshot_of_another_member_is_refused():
    data = made(0, 0, 1, 20, 5)
    one, other = (Training(Member(data, {"hidden": hidden}, 0, ADAM, epochs=3)) for hidden in (3, 4))
    with pytest.raises(ValueError, match="another member"):
        one.load(other.snapshot())
