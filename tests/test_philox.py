"""Random numbers: the published words of Philox, the order of an epoch, dropout masks; the same bits in C."""

import ctypes

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from neuronsweep.engine import build, library
from neuronsweep.philox import DROPOUT, ORDER, WORD, kept, permutation, philox, words

# Random123's kat_vectors: philox4x32 10, counter, key, result
PUBLISHED = [
    ("00000000 00000000 00000000 00000000", "00000000 00000000", "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
    ("ffffffff ffffffff ffffffff ffffffff", "ffffffff ffffffff", "408f276d 41c83b0e a20bc7c6 6d5451fd"),
    ("243f6a88 85a308d3 13198a2e 03707344", "a4093822 299f31d0", "d16cfe09 94fdcceb 5001e420 24126ea1"),
]

seeds = st.integers(0, 2**64 - 1)
epochs = st.integers(1, 2**32 - 1)


def numbers(text: str) -> list[int]:
    return [int(word, 16) for word in text.split()]


@pytest.mark.parametrize(("counter", "key", "result"), PUBLISHED)
def test_the_published_words(counter, key, result):
    counters = np.array([numbers(counter)] * 3).T  # several at once are each by itself
    low, high = numbers(key)
    assert philox(counters, (low, high)).T.tolist() == [numbers(result)] * 3
    c0, c1, epoch, purpose = numbers(counter)
    assert words(low + (high << 32), purpose, epoch, c0, c1).tolist() == numbers(result)


def test_words_of_many_counters_are_those_of_each():
    found = words(5, DROPOUT, 7, np.arange(3)[:, None], np.arange(2))
    assert found.shape == (3, 2, 4)
    for i in range(3):
        for j in range(2):
            assert found[i, j].tolist() == words(5, DROPOUT, 7, i, j).tolist()


def shuffled(n: int, seed: int, epoch: int) -> list[int]:
    """The definition, one number at a time."""
    order = list(range(n))
    for k in range(n - 1):
        i = n - 1 - k
        j = int(words(seed, ORDER, epoch, k // 4)[k % 4]) * (i + 1) >> 32
        order[i], order[j] = order[j], order[i]
    return order


@given(n=st.integers(1, 40), seed=seeds, epoch=epochs)
def test_an_order_is_the_shuffle_of_its_words(n, seed, epoch):
    found = permutation(n, seed, epoch)
    assert found.dtype == np.int64
    assert found.tolist() == shuffled(n, seed, epoch)


def test_an_order_longer_than_what_is_drawn_at_once():
    found = permutation(10_000, 3, 2)
    assert sorted(found.tolist()) == list(range(10_000))
    assert found.tolist() == permutation(10_000, 3, 2).tolist()
    assert found.tolist() != permutation(10_000, 3, 3).tolist()


def test_every_sample_comes_equally_often_at_every_place():
    counts = np.zeros((5, 5))
    for epoch in range(1, 5001):
        counts[np.arange(5), permutation(5, 1, epoch)] += 1
    assert np.abs(counts / 5000 - 0.2).max() < 0.025  # more than four standard deviations


def test_dropout_keeps_the_units_whose_words_reach_the_threshold():
    found = kept(0.3, seed=2**40 + 1, epoch=9, positions=[4, 0, 70], layer=2, units=6)
    assert (found.dtype, found.shape) == (bool, (3, 6))
    for row, position in zip(found, (4, 0, 70), strict=True):
        for h in range(6):
            word = words(2**40 + 1, DROPOUT, 9, position, (h // 4) | (2 << 16))[h % 4]
            assert row[h] == (word >= int(0.3 * WORD))


@given(
    ranks=st.integers(1, 5),
    rank=st.integers(0, 4),
    layer=st.integers(0, 3),
    units=st.integers(1, 9),
    n=st.integers(0, 9),
)
def test_a_part_of_a_batch_has_its_part_of_the_masks(ranks, rank, layer, units, n):
    whole = kept(0.5, 1, 2, range(n), layer, units)
    part = kept(0.5, 1, 2, range(n)[rank::ranks], layer, units)
    assert part.tolist() == whole[rank::ranks].tolist()
    assert kept(0.5, 1, 2, range(n), layer, units + 3)[:, :units].tolist() == whole.tolist()


def test_masks_drop_their_share_and_differ_between_seeds_epochs_layers_and_samples():
    first = kept(0.3, 0, 1, range(400), 0, 400)
    assert first.mean() == pytest.approx(0.7, abs=0.01)
    others = [(1, 1, 0, 0), (0, 2, 0, 0), (0, 1, 1, 0), (0, 1, 0, 400), (2**32, 1, 0, 0)]
    for seed, epoch, layer, start in others:
        same = (kept(0.3, seed, epoch, range(start, start + 400), layer, 400) == first).mean()
        assert same == pytest.approx(0.7**2 + 0.3**2, abs=0.01)


def test_masks_of_very_wide_layers_are_not_those_of_the_next_layer():
    wide = kept(0.5, 0, 1, range(2), 0, 4 * 2**16 + 400)
    assert (wide[:, : 4 * 2**16] == kept(0.5, 0, 1, range(2), 0, 4 * 2**16)).all()
    assert (wide[:, 4 * 2**16 :] == kept(0.5, 0, 1, range(2), 1, 400)).mean() < 0.6


DRIVER = """
#include "philox.h"
#define EXPORT __attribute__((visibility("default")))
EXPORT void words_of(uint64_t seed, uint32_t first, uint32_t c1, uint32_t epoch, uint32_t purpose,
                     uint64_t words[4][TOGETHER]) {
    philox(seed, first, c1, epoch, purpose, words);
}
EXPORT void order_of(int64_t n, uint64_t seed, uint32_t epoch, int32_t *order) { shuffle(n, seed, epoch, order); }
"""


@pytest.fixture(scope="module")
def native(tmp_path_factory):
    """The C source's generator by itself."""
    if not build.compilers():
        pytest.skip(library.NO_COMPILER)
    directory = tmp_path_factory.mktemp("philox")
    for name in ("philox.h", "vector.h"):
        (directory / name).write_bytes((build.NATIVE / name).read_bytes())
    (directory / build.SOURCE).write_text(DRIVER)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(build, "NATIVE", directory)
        build.compile_source(build.compilers()[0], (), 64, directory / "philox.so")
    return ctypes.CDLL(str(directory / "philox.so"))


@given(seed=seeds, counter=st.lists(st.integers(0, 2**32 - 1), min_size=4, max_size=4))
def test_c_draws_the_same_words(native, seed, counter):
    found = np.empty((4, 16), dtype=np.uint64)
    native.words_of(ctypes.c_uint64(seed), *map(ctypes.c_uint32, counter), found.ctypes.data_as(ctypes.c_void_p))
    counters = [(counter[0] + np.arange(16)) % WORD, *(np.full(16, c) for c in counter[1:])]
    assert found.tolist() == philox(counters, (seed % WORD, seed // WORD)).tolist()


@given(n=st.integers(1, 300), seed=seeds, epoch=epochs)
def test_c_shuffles_to_the_same_order(native, n, seed, epoch):
    order = np.empty(n, dtype=np.int32)
    native.order_of(
        ctypes.c_int64(n), ctypes.c_uint64(seed), ctypes.c_uint32(epoch), order.ctypes.data_as(ctypes.c_void_p)
    )
    assert order.tolist() == permutation(n, seed, epoch).tolist()
