// A linear layer over tiles: outputs, gradients of its weights, gradients of its inputs.
//
// Every sum runs over its terms in ascending order, whatever the blocking, so that blocks are a matter of speed alone.
#ifndef NEURONSWEEP_LINEAR_H
#define NEURONSWEEP_LINEAR_H

#include "tile.h"

// Rows whose sums are in registers together: processors with 32 vector registers hold twice as many.
#if defined(__AVX512VL__) || defined(__aarch64__)
enum { WIDE = 16 / ROW };
#else
enum { WIDE = 8 / ROW };
#endif

// z[r] = b[r] + sum over d of w[r][d] x[d], for R rows of one tile
#define AFFINE_ROWS(V, R, D, w, b, x, z)                                                                               \
    {                                                                                                                  \
        vreal sum[R][V];                                                                                               \
        for (int r = 0; r < R; r++)                                                                                    \
            for (int v = 0; v < V; v++)                                                                                \
                sum[r][v] = splat((b) ? (b)[r] : 0);                                                                   \
        for (int64_t d = 0; d < (D); d++)                                                                              \
            for (int r = 0; r < R; r++) {                                                                              \
                vreal weight = splat((w)[r * (D) + d]);                                                                \
                for (int v = 0; v < V; v++)                                                                            \
                    sum[r][v] = sum[r][v] + weight * (x)[d * ROW + v];                                                 \
            }                                                                                                          \
        for (int r = 0; r < R; r++)                                                                                    \
            for (int v = 0; v < V; v++)                                                                                \
                (z)[r * ROW + v] = sum[r][v];                                                                          \
    }

INLINE void affine_of(const int V, int64_t H, int64_t D, const real *w, const real *b, const vreal *x, vreal *z) {
    int64_t h = 0;
    for (; h + WIDE <= H; h += WIDE)
        AFFINE_ROWS(V, WIDE, D, w + h * D, b ? b + h : b, x, z + h * ROW)
    for (; h < H; h++)
        AFFINE_ROWS(V, 1, D, w + h * D, b ? b + h : b, x, z + h * ROW)
}

// Outputs z (H rows) of one tile from inputs x (D rows); b may be null.
static void affine(int vectors, int64_t H, int64_t D, const real *w, const real *b, const vreal *x, vreal *z) {
    WITH_VECTORS(vectors, affine_of, H, D, w, b, x, z)
}

// gx[c] = sum over h of w[h][c] g[h], for C inputs of one tile
#define INPUT_ROWS(V, C, H, D, w, g, gx)                                                                               \
    {                                                                                                                  \
        vreal sum[C][V];                                                                                               \
        for (int c = 0; c < C; c++)                                                                                    \
            for (int v = 0; v < V; v++)                                                                                \
                sum[c][v] = (vreal){0};                                                                                \
        for (int64_t h = 0; h < (H); h++)                                                                              \
            for (int c = 0; c < C; c++) {                                                                              \
                vreal weight = splat((w)[h * (D) + c]);                                                                \
                for (int v = 0; v < V; v++)                                                                            \
                    sum[c][v] = sum[c][v] + weight * (g)[h * ROW + v];                                                 \
            }                                                                                                          \
        for (int c = 0; c < C; c++)                                                                                    \
            for (int v = 0; v < V; v++)                                                                                \
                (gx)[c * ROW + v] = sum[c][v];                                                                         \
    }

INLINE void input_gradient_of(const int V, int64_t H, int64_t D, const real *w, const vreal *g, vreal *gx) {
    int64_t d = 0;
    for (; d + WIDE <= D; d += WIDE)
        INPUT_ROWS(V, WIDE, H, D, w + d, g, gx + d * ROW)
    for (; d < D; d++)
        INPUT_ROWS(V, 1, H, D, w + d, g, gx + d * ROW)
}

// Gradients gx (D rows) of one tile's inputs from those of its outputs g (H rows).
static void input_gradient(int vectors, int64_t H, int64_t D, const real *w, const vreal *g, vreal *gx) {
    WITH_VECTORS(vectors, input_gradient_of, H, D, w, g, gx)
}

// Outputs whose sums are in registers together with those of up to 4 inputs.
#if defined(__AVX512VL__) || defined(__aarch64__)
enum { TALL = 4 };
#else
enum { TALL = 2 };
#endif

#define ADD_PRODUCTS(R, C, count)                                                                                      \
    for (int v = 0; v < count; v++)                                                                                    \
        for (int r = 0; r < R; r++)                                                                                    \
            for (int c = 0; c < C; c++)                                                                                \
                sum[r][c] = sum[r][c] + g_tile[r * SUM_ROW + v] * x_tile[c * SUM_ROW + v];

// partial[r * D + c] = sum over all vectors of g[r] x[c], lane by lane, for R outputs and C inputs
#define WEIGHT_BLOCK(R, C, samples, H, D, g, x, partial)                                                               \
    {                                                                                                                  \
        vsum sum[R][C];                                                                                                \
        for (int r = 0; r < R; r++)                                                                                    \
            for (int c = 0; c < C; c++)                                                                                \
                sum[r][c] = (vsum){0};                                                                                 \
        const vsum *g_tile = (g), *x_tile = (x);                                                                       \
        for (int64_t rest = (samples); rest > 0; rest -= TILE, g_tile += (H) * SUM_ROW, x_tile += (D) * SUM_ROW)       \
            if (rest > TILE - SUM_LANES) {                                                                             \
                ADD_PRODUCTS(R, C, SUM_ROW)                                                                            \
            } else {                                                                                                   \
                ADD_PRODUCTS(R, C, sums_in(rest, 0))                                                                   \
            }                                                                                                          \
        for (int r = 0; r < R; r++)                                                                                    \
            for (int c = 0; c < C; c++)                                                                                \
                (partial)[r * (D) + c] = sum[r][c];                                                                    \
    }

INLINE void weight_rows(const int R, int64_t samples, int64_t H, int64_t D, const vsum *g, const vsum *x,
                        vsum *partial) {
    int64_t d = 0;
    for (; d + 4 <= D; d += 4)
        WEIGHT_BLOCK(R, 4, samples, H, D, g, x + d * SUM_ROW, partial + d)
    for (; d + 2 <= D; d += 2)
        WEIGHT_BLOCK(R, 2, samples, H, D, g, x + d * SUM_ROW, partial + d)
    for (; d < D; d++)
        WEIGHT_BLOCK(R, 1, samples, H, D, g, x + d * SUM_ROW, partial + d)
}

// Sums of the lanes of a layer's gradients over a chunk of samples: for its weights (H x D), and where there is a bias
// for that (H) behind them; for rows of the layer from one on.
static void weight_sums(int64_t samples, int64_t H, int64_t D, int64_t rows, const vsum *g, const vsum *x,
                        vsum *partial) {
    int64_t h = 0;
    for (; h + TALL <= rows; h += TALL)
        weight_rows(TALL, samples, H, D, g + h * SUM_ROW, x, partial + h * D);
    for (; h < rows; h++)
        weight_rows(1, samples, H, D, g + h * SUM_ROW, x, partial + h * D);
}

static void bias_sums(int64_t samples, int64_t H, int64_t rows, const vsum *g, vsum *partial) {
    for (int64_t h = 0; h < rows; h++) {
        vsum sum = {0};
        const vsum *tile = g + h * SUM_ROW;
        for (int64_t rest = samples; rest > 0; rest -= TILE, tile += H * SUM_ROW)
            for (int v = 0, vectors = sums_in(rest, 0); v < vectors; v++)
                sum = sum + tile[v];
        partial[h] = sum;
    }
}

// Vectors of lane-by-lane sums that are kept before their lanes are added up.
enum { PARTIALS = 512 };
INLINE int64_t partials_for(int64_t D) { return TALL * D > PARTIALS ? TALL * D : PARTIALS; }

// Adds the gradients of weights (H x D) and biases (H, may be null) of a chunk of samples to gw and gb.
static void weight_gradient(int64_t samples, int64_t H, int64_t D, const vsum *g, const vsum *x, vsum *partial,
                            real *gw, real *gb) {
    int64_t group = partials_for(D) / D; // rows whose partial sums are kept together
    for (int64_t first = 0; first < H; first += group) {
        int64_t rows = H - first < group ? H - first : group;
        weight_sums(samples, H, D, rows, g + first * SUM_ROW, x, partial);
        add_sums(rows * D, partial, gw + first * D);
    }
    for (int64_t first = 0; gb && first < H; first += PARTIALS) {
        int64_t rows = H - first < PARTIALS ? H - first : PARTIALS;
        bias_sums(samples, H, rows, g + first * SUM_ROW, partial);
        add_sums(rows, partial, gb + first);
    }
}

#endif
