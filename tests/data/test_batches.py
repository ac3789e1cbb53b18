"""A batch depends on (seed, epoch) alone, and ranks share it out without loss."""

from itertools import pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from neuronsweep.data.batches import batches, log_epochs, order, picture_epochs, sizes
from neuronsweep.data.dataset import Split


def split(n: int) -> Split:
    """Sample i has x = i, so that a batch says which samples it holds."""
    return Split(torch.arange(n, dtype=torch.float32)[:, None], torch.arange(n, dtype=torch.float32)[:, None] ** 2)


def seen(n, batch_size, seed, epoch, rank=0, ranks=1) -> list[list[int]]:
    return [x[:, 0].int().tolist() for x, *_ in batches(split(n), batch_size, seed, epoch, rank, ranks)]


batch_sizes = st.one_of(st.just("full"), st.integers(1, 60))


# one rank ------------------------------------------------------------------------------------------------------------


@given(n=st.integers(1, 50), batch_size=batch_sizes, seed=st.integers(0, 2**32 - 1), epoch=st.integers(1, 10**6))
def test_an_epoch_sees_every_sample_once(n, batch_size, seed, epoch):
    parts = seen(n, batch_size, seed, epoch)
    assert sorted(i for part in parts for i in part) == list(range(n))
    assert [len(part) for part in parts] == sizes(n, batch_size)


def test_the_order_is_pinned():
    assert order(8, seed=0, epoch=1).tolist() == [1, 5, 7, 3, 2, 0, 6, 4]
    assert order(8, seed=0, epoch=2).tolist() == [6, 3, 5, 1, 2, 7, 4, 0]
    assert order(8, seed=1, epoch=1).tolist() == [3, 5, 4, 7, 2, 6, 1, 0]


def test_the_order_is_another_in_every_epoch_and_for_every_seed():
    orders = {tuple(order(20, seed, epoch).tolist()) for seed in range(10) for epoch in range(1, 21)}
    assert len(orders) == 200


def test_an_epoch_is_the_same_whatever_was_read_before_it():
    whole = [seen(20, 6, 3, epoch) for epoch in range(1, 8)]
    torch.manual_seed(123)
    resumed = [seen(20, 6, 3, epoch) for epoch in range(5, 8)]
    assert resumed == whole[4:]


def test_reading_batches_leaves_the_global_generator_alone():
    state = torch.get_rng_state()
    seen(20, 6, 3, 1)
    assert torch.equal(torch.get_rng_state(), state)


def test_x_and_y_stay_together():
    for x, y, *_ in batches(split(50), 7, seed=1, epoch=1):
        assert torch.equal(y, x**2)


def test_a_last_short_batch_is_kept():
    assert sizes(200, 32) == [32] * 6 + [8]
    assert sizes(200, 200) == sizes(200, 500) == sizes(200, "full") == [200]
    assert sizes(3, 1) == [1, 1, 1]


@pytest.mark.parametrize("batch_size", ["full", 9, 100])
def test_a_batch_of_all_samples_keeps_their_order(batch_size):
    assert seen(9, batch_size, 0, 1) == [list(range(9))]


# several ranks -------------------------------------------------------------------------------------------------------


@given(n=st.integers(1, 50), batch_size=batch_sizes, ranks=st.integers(2, 6), epoch=st.integers(1, 1000))
def test_ranks_parts_are_disjoint_and_together_the_batch(n, batch_size, ranks, epoch):
    whole = seen(n, batch_size, 5, epoch)
    parts = [seen(n, batch_size, 5, epoch, rank, ranks) for rank in range(ranks)]
    # as many steps on every rank, or the others would wait for ever
    assert {len(part) for part in parts} == {len(whole)}
    for batch, *shares in zip(whole, *parts, strict=True):
        assert sorted(i for share in shares for i in share) == sorted(batch)
        lengths = [len(share) for share in shares]
        assert max(lengths) - min(lengths) <= 1


@given(n=st.integers(1, 50), batch_size=batch_sizes, ranks=st.integers(2, 6))
def test_the_ranks_weighted_losses_average_to_the_batchs_loss(n, batch_size, ranks):
    whole = batches(split(n), batch_size, 5, 1)
    parts = [batches(split(n), batch_size, 5, 1, rank, ranks) for rank in range(ranks)]
    for batch, *shares in zip(whole, *parts, strict=True):
        assert sum(part.share for part in shares) / ranks == pytest.approx(1)
        # a rank without samples has no mean, and a share of 0 says so
        assert all((part.share == 0) == (len(part.y) == 0) for part in shares)
        mean = sum(part.share * part.y.mean().item() for part in shares if part.share) / ranks
        assert mean == pytest.approx(batch.y.mean().item(), rel=1e-6)
        assert batch.share == 1


@given(n=st.integers(1, 50), batch_size=batch_sizes, ranks=st.integers(1, 6), epoch=st.integers(1, 1000))
def test_a_part_says_which_places_of_the_epochs_order_it_holds(n, batch_size, ranks, epoch):
    full = len(sizes(n, batch_size)) == 1
    places = torch.arange(n) if full else order(n, 5, epoch)
    found: list[int] = []
    for rank in range(ranks):
        for x, _, _, positions in batches(split(n), batch_size, 5, epoch, rank, ranks):
            assert x[:, 0].tolist() == places[list(positions)].tolist()
            found += positions
    assert sorted(found) == list(range(n))


# log epochs ----------------------------------------------------------------------------------------------------------


@settings(max_examples=300)
@given(epochs=st.integers(1, 100_000), points=st.integers(1, 500))
def test_log_epochs_are_spread_evenly_from_the_first_to_the_last(epochs, points):
    chosen = log_epochs(epochs, points)
    assert len(chosen) == min(epochs, points)
    assert chosen[-1] == epochs
    if points > 1:
        assert chosen[0] == 1
    gaps = [b - a for a, b in pairwise(chosen)]
    assert all(gap >= 1 for gap in gaps)
    assert not gaps or max(gaps) - min(gaps) <= 1


def test_log_epochs_by_example():
    assert log_epochs(2000, 1) == [2000]
    assert log_epochs(1, 100) == [1]
    assert log_epochs(5, 100) == [1, 2, 3, 4, 5]
    assert log_epochs(100, 4) == [1, 34, 67, 100]


def test_pictures_are_close_together_at_first():
    assert picture_epochs(log_epochs(2000, 100), 5) == [1, 41, 183, 627, 2000]
    assert picture_epochs([1, 6, 10, 15, 20], 3) == [1, 6, 20]
    assert picture_epochs([1, 2, 3], 100) == [1, 2, 3]
    assert picture_epochs([7, 20], 1) == [20]
