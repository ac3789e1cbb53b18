// Random numbers as a function of (seed, purpose, epoch) and a counter: Philox 4x32-10 of Salmon et al. 2011,
// "Parallel random numbers: as easy as 1, 2, 3". philox.py gives the same words.
#ifndef NEURONSWEEP_PHILOX_H
#define NEURONSWEEP_PHILOX_H

#include "vector.h"

enum Purpose { ORDER, DROPOUT };

// Four words for a counter, words[i][k] of block i: blocks side by side, because one alone waits for its own products.
enum { TOGETHER = 4 };

static void philox(uint64_t seed, const uint32_t counter[4][TOGETHER], uint32_t words[4][TOGETHER]) {
    uint32_t key0 = (uint32_t)seed, key1 = (uint32_t)(seed >> 32);
    memcpy(words, counter, sizeof(uint32_t) * 4 * TOGETHER);
    for (int round = 0; round < 10; round++) {
        for (int i = 0; i < TOGETHER; i++) {
            uint64_t a = (uint64_t)words[0][i] * 0xD2511F53u, b = (uint64_t)words[2][i] * 0xCD9E8D57u;
            words[0][i] = (uint32_t)(b >> 32) ^ words[1][i] ^ key0;
            words[1][i] = (uint32_t)b;
            words[2][i] = (uint32_t)(a >> 32) ^ words[3][i] ^ key1;
            words[3][i] = (uint32_t)a;
        }
        key0 += 0x9E3779B9u;
        key1 += 0xBB67AE85u;
    }
}

// The order of n samples in an epoch (counted from 1): a shuffle by Fisher and Yates.
static void shuffle(int64_t n, uint64_t seed, uint32_t epoch, int32_t *order) {
    for (int64_t i = 0; i < n; i++)
        order[i] = (int32_t)i;
    for (int64_t block = 0, k = 0; k < n - 1; block += TOGETHER) {
        uint32_t counter[4][TOGETHER], words[4][TOGETHER];
        for (int i = 0; i < TOGETHER; i++) {
            counter[0][i] = (uint32_t)(block + i);
            counter[1][i] = 0;
            counter[2][i] = epoch;
            counter[3][i] = ORDER;
        }
        philox(seed, counter, words);
        for (int w = 0; w < 4 * TOGETHER && k < n - 1; w++, k++) {
            int64_t last = n - 1 - k;
            int64_t j = (int64_t)(((uint64_t)words[w % 4][w / 4] * (uint64_t)(last + 1)) >> 32);
            int32_t swapped = order[last];
            order[last] = order[j];
            order[j] = swapped;
        }
    }
}

#endif
