// Random numbers as a function of (seed, purpose, epoch) and a counter: Philox 4x32-10 of Salmon et al. 2011,
// "Parallel random numbers: as easy as 1, 2, 3". philox.py gives the same words.
#ifndef NEURONSWEEP_PHILOX_H
#define NEURONSWEEP_PHILOX_H

#include "vector.h"

enum Purpose { ORDER, DROPOUT };

// Words are in the lower halves of 64-bit lanes, where their products fit. Blocks lie side by side, in as many vectors as
// are needed for one not to wait for the products of the other.
typedef uint64_t vword __attribute__((vector_size(64)));
enum { WORDS = 8, ABREAST = 2, TOGETHER = ABREAST * WORDS };

// The four words of each of TOGETHER counters (first + k, c1, epoch, purpose): words[i][k] is word i of counter k.
static void philox(uint64_t seed, uint32_t first, uint32_t c1, uint32_t epoch, uint32_t purpose,
                   uint64_t words[4][TOGETHER]) {
    const uint64_t low = 0xffffffffu;
    uint64_t key0 = seed & low, key1 = seed >> 32;
    vword word[4][ABREAST];
    for (int v = 0; v < ABREAST; v++) {
        for (int k = 0; k < WORDS; k++)
            word[0][v][k] = (uint32_t)(first + (uint32_t)(v * WORDS + k));
        word[1][v] = c1 + (vword){0};
        word[2][v] = epoch + (vword){0};
        word[3][v] = purpose + (vword){0};
    }
    for (int round = 0; round < 10; round++) {
        for (int v = 0; v < ABREAST; v++) {
            vword a = (word[0][v] & low) * 0xD2511F53u, b = (word[2][v] & low) * 0xCD9E8D57u;
            word[0][v] = (b >> 32) ^ word[1][v] ^ key0;
            word[1][v] = b & low;
            word[2][v] = (a >> 32) ^ word[3][v] ^ key1;
            word[3][v] = a & low;
        }
        key0 = (key0 + 0x9E3779B9u) & low;
        key1 = (key1 + 0xBB67AE85u) & low;
    }
    memcpy(words, word, sizeof word);
}

// The order of n samples in an epoch (counted from 1): a shuffle by Fisher and Yates.
OUTLINE static void shuffle(int64_t n, uint64_t seed, uint32_t epoch, int32_t *order) {
    for (int64_t i = 0; i < n; i++)
        order[i] = (int32_t)i;
    for (int64_t block = 0, k = 0; k < n - 1; block += TOGETHER) {
        uint64_t words[4][TOGETHER];
        philox(seed, (uint32_t)block, 0, epoch, ORDER, words);
        for (int w = 0; w < 4 * TOGETHER && k < n - 1; w++, k++) {
            int64_t last = n - 1 - k;
            int64_t j = (int64_t)((words[w % 4][w / 4] * (uint64_t)(last + 1)) >> 32);
            int32_t swapped = order[last];
            order[last] = order[j];
            order[j] = swapped;
        }
    }
}

#endif
