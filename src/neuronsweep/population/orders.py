"""``data.batches.order`` of many seeds at once.

Most of the time of ``numpy.random.default_rng((seed, epoch))`` is SeedSequence's, which hashes one seed at a time. Here
all seeds are hashed together, some epochs ahead; the permutations are numpy's own.
"""

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from numpy.random import PCG64, Generator
from numpy.random.bit_generator import ISeedSequence
from torch import Tensor

from neuronsweep.data.batches import order

AHEAD = 2**11  # seeds times epochs that are hashed together
WORD = 2**32


class Orders:
    """Permutations of n samples for each of some distinct seeds."""

    def __init__(self, n: int, seeds: Sequence[int]):
        self.n, self.seeds = n, seeds
        self.ahead = max(1, AHEAD // len(seeds))
        self.first = self.stop = 0
        self.plain = max(seeds) >= WORD  # hashed as more words than one

    def __call__(self, epoch: int) -> Tensor:
        """The orders (S, n) of one epoch, which is most often the one after the last."""
        if self.plain:
            return torch.stack([order(self.n, seed, epoch) for seed in self.seeds])
        if not self.first <= epoch < self.stop:
            self.first, self.stop = epoch, epoch + self.ahead
            self.words_ES4 = hashed(np.array(self.seeds), np.arange(self.first, self.stop))
        result = np.empty((len(self.seeds), self.n), dtype=np.int64)
        for row, words in zip(result, self.words_ES4[epoch - self.first], strict=True):
            row[:] = Generator(PCG64(Hashed(words))).permutation(self.n)  # type: ignore[arg-type]
        return torch.from_numpy(result)


class Hashed(ISeedSequence):
    """A seed sequence whose words are known."""

    def __init__(self, words: np.ndarray):
        self.words = words

    def generate_state(self, n_words: int, dtype: object = np.uint32) -> np.ndarray:
        return self.words


def hashed(seeds_S: np.ndarray, epochs_E: np.ndarray) -> np.ndarray:
    """``SeedSequence((seed, epoch)).generate_state(4, uint64)`` (E, S, 4) of numbers below 2**32.

    The hash is that of numpy/random/bit_generator.pyx, which numpy promises not to change.
    """
    shape = len(epochs_E), len(seeds_S)
    zeros = np.zeros(shape, dtype=np.uint32)
    entropy = [zeros + seeds_S.astype(np.uint32), zeros + epochs_E.astype(np.uint32)[:, None], zeros, zeros]
    constants = _constants(0x43B0D7E5, 0x931E8875)
    pool = [_hash(values, constants) for values in entropy]
    for source in range(4):
        for target in range(4):
            if source != target:
                mixed: np.ndarray = pool[target] * np.uint32(0xCA01F9DD) - _hash(pool[source], constants) * np.uint32(
                    0x4973F715
                )
                pool[target] = mixed ^ (mixed >> np.uint32(16))
    constants = _constants(0x8B51F9DD, 0x58F38DED)
    words = np.stack([_hash(pool[i % 4], constants) for i in range(8)], axis=-1).astype(np.uint64)
    return words[:, :, 0::2] | (words[:, :, 1::2] << np.uint64(32))


def _constants(first: int, factor: int) -> Iterator[tuple[np.uint32, np.uint32]]:
    """The pairs of constants that one hash after the other takes."""
    while True:
        after = first * factor % WORD
        yield np.uint32(first), np.uint32(after)
        first = after


def _hash(values: np.ndarray, constants: Iterator[tuple[np.uint32, np.uint32]]) -> np.ndarray:
    before, factor = next(constants)
    product: np.ndarray = (values ^ before) * factor
    return product ^ (product >> np.uint32(16))
