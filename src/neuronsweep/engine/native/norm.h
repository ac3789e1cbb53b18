// Layer norm and batch norm over tiles, forward and backward; torch.nn.LayerNorm and torch.nn.BatchNorm1d.
#ifndef NEURONSWEEP_NORM_H
#define NEURONSWEEP_NORM_H

#include "tile.h"

#define NORM_EPSILON 1e-5
#define NORM_MOMENTUM 0.1 // of batch norm's running mean and variance

// Layer norm of one tile: z becomes gamma * x + beta with x = (z - mean) / deviation over the H units of each sample.
// x (H rows) and scale (one row, 1 / deviation) are kept for the gradients.
static void layer_norm(int vectors, int64_t H, vreal *z, const real *gamma, const real *beta, vreal *x, vreal *scale) {
    for (int v = 0; v < vectors; v++) {
        vreal sum = {0}, square = {0};
        for (int64_t h = 0; h < H; h++)
            sum = sum + z[h * ROW + v];
        vreal mean = sum / splat((real)H);
        for (int64_t h = 0; h < H; h++) {
            vreal centred = z[h * ROW + v] - mean;
            square = square + centred * centred;
        }
        scale[v] = splat(1) / square_root(square / splat((real)H) + splat((real)NORM_EPSILON));
        for (int64_t h = 0; h < H; h++) {
            x[h * ROW + v] = (z[h * ROW + v] - mean) * scale[v];
            z[h * ROW + v] = x[h * ROW + v] * splat(gamma[h]) + splat(beta[h]);
        }
    }
}

// Gradients g (H rows) of one tile by a layer norm's outputs become those by its inputs.
static void layer_norm_gradient(int vectors, int64_t H, vreal *g, const real *gamma, const vreal *x,
                                const vreal *scale) {
    for (int v = 0; v < vectors; v++) {
        vreal sum = {0}, with_x = {0};
        for (int64_t h = 0; h < H; h++) {
            vreal own = g[h * ROW + v] * splat(gamma[h]);
            sum = sum + own;
            with_x = with_x + own * x[h * ROW + v];
        }
        vreal mean = sum / splat((real)H), mean_with_x = with_x / splat((real)H);
        for (int64_t h = 0; h < H; h++)
            g[h * ROW + v] =
                scale[v] * (g[h * ROW + v] * splat(gamma[h]) - mean - x[h * ROW + v] * mean_with_x);
    }
}

// Sums over the samples of a batch of a unit's values, and of their products with those of another array.
static void unit_sums(int64_t samples, int64_t H, int64_t h, const vreal *a, const vreal *b, real *sum, real *product) {
    vsum sums = {0}, products = {0};
    for (int64_t t = 0, end = tiles_of(samples); t < end; t++)
        for (int v = 0, vectors = vectors_in(samples, t); v < vectors; v++) {
            vreal value = keep_where(lanes_in(samples, t, v), a[(t * H + h) * ROW + v]);
            sums = plus(sums, value);
            if (b)
                products = plus(products, value * b[(t * H + h) * ROW + v]);
        }
    *sum = sum_of(sums);
    if (b)
        *product = sum_of(products);
}

// Batch norm of a whole batch (all tiles of H units): as layer_norm, with means and deviations of each unit over the
// samples. running (H means, then H variances) takes part of them; where it is all that may be used, fixed is true.
static void batch_norm(int64_t samples, int64_t H, vreal *z, const real *gamma, const real *beta, real *running,
                       int fixed, vreal *x, real *scale) {
    for (int64_t h = 0; h < H; h++) {
        real mean = running[h], variance = running[H + h];
        if (!fixed) {
            unit_sums(samples, H, h, z, 0, &mean, 0);
            mean = mean / (real)samples;
            vsum squares = {0};
            for (int64_t t = 0, end = tiles_of(samples); t < end; t++)
                for (int v = 0, vectors = vectors_in(samples, t); v < vectors; v++) {
                    vreal centred = z[(t * H + h) * ROW + v] - splat(mean);
                    squares = plus(squares, keep_where(lanes_in(samples, t, v), centred * centred));
                }
            real square = sum_of(squares);
            variance = square / (real)samples;
            running[h] = (real)(1 - NORM_MOMENTUM) * running[h] + (real)NORM_MOMENTUM * mean;
            running[H + h] =
                (real)(1 - NORM_MOMENTUM) * running[H + h] + (real)NORM_MOMENTUM * (square / (real)(samples - 1));
        }
        scale[h] = (real)1 / square_root(splat(variance + (real)NORM_EPSILON))[0];
        for (int64_t t = 0, end = tiles_of(samples); t < end; t++)
            for (int v = 0, vectors = vectors_in(samples, t); v < vectors; v++) {
                int64_t at = (t * H + h) * ROW + v;
                x[at] = (z[at] - splat(mean)) * splat(scale[h]);
                z[at] = x[at] * splat(gamma[h]) + splat(beta[h]);
            }
    }
}

// Gradients g (all tiles of H units) by a batch norm's outputs become those by its inputs.
static void batch_norm_gradient(int64_t samples, int64_t H, vreal *g, const real *gamma, int fixed, const vreal *x,
                                const real *scale) {
    for (int64_t h = 0; h < H; h++) {
        real sum = 0, with_x = 0;
        if (!fixed)
            unit_sums(samples, H, h, g, x, &sum, &with_x);
        vreal mean = splat(sum / (real)samples), mean_with_x = splat(with_x / (real)samples);
        for (int64_t t = 0, end = tiles_of(samples); t < end; t++)
            for (int v = 0, vectors = vectors_in(samples, t); v < vectors; v++) {
                int64_t at = (t * H + h) * ROW + v;
                vreal own = splat(gamma[h] * scale[h]) * (g[at] - mean - x[at] * mean_with_x);
                g[at] = keep_where(lanes_in(samples, t, v), own);
            }
    }
}

// Adds to ggamma and gbeta what a chunk's gradients g by the outputs of a norm and its x say.
static void norm_weights_gradient(int64_t samples, int64_t H, const vreal *g, const vreal *x, real *ggamma,
                                  real *gbeta) {
    for (int64_t h = 0; h < H; h++) {
        real sum, product;
        unit_sums(samples, H, h, g, x, &sum, &product);
        ggamma[h] = ggamma[h] + product;
        gbeta[h] = gbeta[h] + sum;
    }
}

#endif
