"""The orders of batches of a population are those of its members' own runs."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from neuronsweep.population import orders
from neuronsweep.population.orders import Orders, hashed

from neuronsweep.data.batches import order


@settings(max_examples=60)
@given(
    seeds=st.lists(st.integers(0, 2**32 - 1), min_size=1, max_size=5, unique=True),
    epochs=st.lists(st.integers(1, 2**32 - 1), min_size=1, max_size=5),
)
def test_seeds_are_hashed_as_numpy_hashes_them(seeds, epochs):
    words = hashed(np.array(seeds), np.array(epochs))
    for e, epoch in enumerate(epochs):
        for s, seed in enumerate(seeds):
            expected = np.random.SeedSequence((seed, epoch)).generate_state(4, np.uint64)
            assert words[e, s].tolist() == expected.tolist()


@pytest.mark.parametrize("seeds", [[0], [3, 0, 2**32 - 1], [2**32, 1], list(range(100))])
@pytest.mark.parametrize("n", [1, 2, 33, 200])
def test_orders_are_those_of_one_seed_at_a_time(seeds, n, monkeypatch):
    monkeypatch.setattr(orders, "AHEAD", 4 * len(seeds))  # so that some epochs begin anew
    of_all = Orders(n, seeds)
    for epoch in [*range(1, 11), 3, 500]:
        assert torch.equal(of_all(epoch), torch.stack([order(n, seed, epoch) for seed in seeds]))
