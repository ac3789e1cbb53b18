// Tiles: samples side by side in the lanes of vectors, one row of vectors for each number that a sample has.
//
// A tile has TILE samples on every processor and is ROW vectors wide. Sample s of a batch is lane s % LANES of vector
// s / LANES % ROW of tile s / TILE.
// A number that a unit has for all samples of a tile is one row: unit u of tile t of a layer with H units is row
// t * H + u. The last tile may need fewer vectors than ROW; lanes beyond the last sample hold a copy of the first one
// and are masked where sums are taken.
#ifndef NEURONSWEEP_TILE_H
#define NEURONSWEEP_TILE_H

#include "vector.h"

enum { SUM_ROW = 4, TILE = SUM_ROW * SUM_LANES, ROW = TILE / LANES };

INLINE int64_t tiles_of(int64_t samples) { return (samples + TILE - 1) / TILE; }

// Vectors of tile t that hold samples.
INLINE int vectors_in(int64_t samples, int64_t t) {
    int64_t vectors = (samples - t * TILE + LANES - 1) / LANES;
    return vectors > ROW ? ROW : (int)vectors;
}

// True in the lanes of vector v of tile t that hold samples.
INLINE vint lanes_in(int64_t samples, int64_t t, int v) {
    int64_t rest = samples - t * TILE - v * LANES;
    vint lane;
    for (int i = 0; i < LANES; i++)
        lane[i] = i;
    return lane < ((integer)(rest > LANES ? LANES : rest) + (vint){0});
}

// Calls f with the number of vectors as a constant, so that its inner loops are unrolled.
#define WITH_VECTORS(count, f, ...)                                                                                    \
    if ((count) == ROW)                                                                                                \
        f(ROW, __VA_ARGS__);                                                                                           \
    else if ((count) == 1)                                                                                             \
        f(1, __VA_ARGS__);                                                                                             \
    else if ((count) == 2)                                                                                             \
        f(2, __VA_ARGS__);                                                                                             \
    else                                                                                                               \
        f(3, __VA_ARGS__);

// Vectors of a sum's lanes in tile t that hold samples.
INLINE int sums_in(int64_t samples, int64_t t) {
    int64_t vectors = (samples - t * TILE + SUM_LANES - 1) / SUM_LANES;
    return vectors > SUM_ROW ? SUM_ROW : (int)vectors;
}

// Sums of all lanes of count vectors, each in the order of sum_of; eight (or four) at a time by a tree of shuffles.
#if defined(__clang__) || __GNUC__ >= 12
#define SHUFFLE(a, b, ...) __builtin_shufflevector(a, b, __VA_ARGS__)
#else
typedef integer vplace __attribute__((vector_size(SUM_BYTES)));
#define SHUFFLE(a, b, ...) __builtin_shuffle(a, b, (vplace){__VA_ARGS__})
#endif

INLINE void add_sums(int64_t count, const vsum *x, real *to) {
    int64_t i = 0;
#if REAL_BITS == 32
    for (; i + 8 <= count; i += 8) {
        vsum s[4], t[2];
        for (int k = 0; k < 4; k++) {
            vsum a = x[i + 2 * k], b = x[i + 2 * k + 1];
            s[k] = SHUFFLE(a, b, 0, 1, 2, 3, 8, 9, 10, 11) + SHUFFLE(a, b, 4, 5, 6, 7, 12, 13, 14, 15);
        }
        for (int k = 0; k < 2; k++) {
            vsum a = s[2 * k], b = s[2 * k + 1];
            t[k] = SHUFFLE(a, b, 0, 1, 4, 5, 8, 9, 12, 13) + SHUFFLE(a, b, 2, 3, 6, 7, 10, 11, 14, 15);
        }
        vsum sums = SHUFFLE(t[0], t[1], 0, 2, 4, 6, 8, 10, 12, 14) + SHUFFLE(t[0], t[1], 1, 3, 5, 7, 9, 11, 13, 15);
        *(vsum_anywhere *)(to + i) = *(vsum_anywhere *)(to + i) + sums;
    }
#else
    for (; i + 4 <= count; i += 4) {
        vsum s[2];
        for (int k = 0; k < 2; k++) {
            vsum a = x[i + 2 * k], b = x[i + 2 * k + 1];
            s[k] = SHUFFLE(a, b, 0, 1, 4, 5) + SHUFFLE(a, b, 2, 3, 6, 7);
        }
        vsum sums = SHUFFLE(s[0], s[1], 0, 2, 4, 6) + SHUFFLE(s[0], s[1], 1, 3, 5, 7);
        *(vsum_anywhere *)(to + i) = *(vsum_anywhere *)(to + i) + sums;
    }
#endif
    for (; i < count; i++)
        to[i] = to[i] + sum_of(x[i]);
}

#endif
