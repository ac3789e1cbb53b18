"""Random numbers that depend on (seed, purpose, epoch) and a counter: the order of batches, and dropout masks.

Philox 4x32-10 of Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3". engine/native/philox.h gives the
same words.
"""

from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike

ORDER, DROPOUT = 0, 1  # purposes
WORD = 2**32
AHEAD = 2**12  # about so many words of the orders of epochs to come are drawn at once

_FACTORS = np.array([[0xD2511F53], [0xCD9E8D57]], dtype=np.uint64)
_WEYL = np.array([[0xBB67AE85], [0x9E3779B9]], dtype=np.uint64)
_SHIFT = np.uint64(32)
_LOW = np.uint64(WORD - 1)


def philox(counter: ArrayLike, key: tuple[int, int]) -> np.ndarray:
    """The words (4, N) of the counters (4, N) for a key of two words."""
    counter_4N = np.asarray(counter, dtype=np.uint64)
    even, odd = counter_4N[0::2], counter_4N[1::2]  # words 0 and 2, words 1 and 3
    key_21 = np.array([[key[1]], [key[0]]], dtype=np.uint64)  # in the order of the products
    for _ in range(10):
        product = even * _FACTORS
        # words 0 and 2 of the next round come from the products of words 2 and 0
        even = (product >> _SHIFT)[::-1] ^ odd ^ key_21[::-1]
        odd = (product & _LOW)[::-1]
        key_21 = (key_21 + _WEYL) & _LOW
    return np.stack([even[0], odd[0], even[1], odd[1]])


def words(seed: int, purpose: ArrayLike, epoch: ArrayLike, c0: ArrayLike, c1: ArrayLike = 0) -> np.ndarray:
    """The four words (..., 4), below 2**32 as uint64, of counters (c0, c1, epoch, purpose); they are broadcast."""
    parts = np.broadcast_arrays(c0, c1, epoch, purpose)
    drawn = philox([part.ravel() for part in parts], (seed % WORD, seed // WORD % WORD))
    return drawn.T.reshape(*parts[0].shape, 4)


def permutation(n: int, seed: int, epoch: int) -> np.ndarray:
    """The order (n,) of n samples in one epoch: a shuffle by Fisher and Yates."""
    epochs = max(1, AHEAD // n)
    places = _places(n, seed, epoch // epochs * epochs, epochs)[epoch % epochs]
    order = list(range(n))
    for last, place in zip(range(n - 1, 0, -1), places.tolist(), strict=True):
        order[last], order[place] = order[place], order[last]
    return np.array(order, dtype=np.int64)


@lru_cache(maxsize=4)
def _places(n: int, seed: int, first: int, epochs: int) -> np.ndarray:
    """With which place (epochs, n - 1) the places n - 1, n - 2, ... 1 are swapped, in so many epochs."""
    blocks = np.arange(-(-(n - 1) // 4))
    drawn = words(seed, ORDER, np.arange(first, first + epochs)[:, None], blocks)
    drawn = drawn.reshape(epochs, 4 * len(blocks))[:, : n - 1]
    return (drawn * np.arange(n, 1, -1, dtype=np.uint64)) >> _SHIFT


def kept(p: float, seed: int, epoch: int, positions: ArrayLike, layer: int, units: int) -> np.ndarray:
    """Which units of a hidden layer (counted from 0) dropout keeps (N, units), bool.

    Args:
        p: the share of units that it drops.
        positions: of the samples (N,) in the order of the epoch, counted from 0 over all its batches.
    """
    blocks = np.arange(-(-units // 4))
    # the upper half of a block's number, which is 0 in layers of ordinary width, is beside the purpose
    purposes = DROPOUT | blocks >> 16 << 1
    drawn = words(seed, purposes, epoch, np.asarray(positions)[:, None], blocks & 0xFFFF | layer << 16)
    return drawn.reshape(len(drawn), 4 * len(blocks))[:, :units] >= int(p * WORD)
