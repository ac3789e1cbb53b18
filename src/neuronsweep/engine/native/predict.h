// Outputs of a network in evaluation mode: the forward pass without what only gradients need.
#ifndef NEURONSWEEP_PREDICT_H
#define NEURONSWEEP_PREDICT_H

#include "network.h"

// Outputs (K rows) of one tile in evaluation mode.
static void predict_tile(Workspace *w, const real *params, const real *buffers, int vectors, const vreal *x,
                         vreal *outputs) {
    const Spec *spec = w->spec;
    const vreal *input = x;
    for (int i = 0; i < spec->layers; i++) {
        const Place *at = &w->places[i];
        const int64_t D = spec->widths[i], H = spec->widths[i + 1];
        const int hidden = i < spec->layers - 1, norm = hidden ? spec->norm : NO_NORM;
        vreal *z = !hidden ? outputs : i % 2 ? w->g : w->gy;
        affine(vectors, H, D, params + at->weight, at->bias < 0 ? 0 : params + at->bias, input, z);
        if (norm == LAYER_NORM) {
            vreal scale[ROW];
            layer_norm(vectors, H, z, params + at->gamma, params + at->beta, w->next, scale);
        }
        if (norm == BATCH_NORM)
            batch_norm((int64_t)vectors * LANES, H, z, params + at->gamma, params + at->beta,
                       (real *)buffers + at->running, 1, w->next, w->unit_scales[i]);
        activation(vectors, spec->acts[i], H, z, z, 0);
        if (hidden && spec->skip && i)
            for (int64_t h = 0; h < H; h++)
                for (int v = 0; v < vectors; v++)
                    z[h * ROW + v] = z[h * ROW + v] + input[h * ROW + v];
        input = z;
    }
}

// Tiles that are predicted together where a network has one hidden layer and one output, and their vectors: every sum
// over the hidden units is a chain of additions that each wait for the last one, so some have to go on side by side.
enum { TOGETHER_TILES = ROW < 4 ? 4 / ROW : 1, TOGETHER_VECTORS = TOGETHER_TILES * ROW };

// Outputs of TOGETHER_TILES tiles; what a hidden unit gives is added to them at once and never stored.
#define HIDDEN_UNITS(ACT)                                                                                              \
    for (int64_t h = 0; h < H; h++) {                                                                                  \
        vreal z[TOGETHER_VECTORS];                                                                                     \
        for (int v = 0; v < TOGETHER_VECTORS; v++)                                                                     \
            z[v] = splat(bias ? bias[h] : 0);                                                                          \
        for (int64_t d = 0; d < D; d++)                                                                                \
            for (int v = 0; v < TOGETHER_VECTORS; v++)                                                                 \
                z[v] = z[v] + splat(weight[h * D + d]) * x[v / ROW * D * ROW + d * ROW + v % ROW];                     \
        for (int v = 0; v < TOGETHER_VECTORS; v++)                                                                     \
            sum[v] = sum[v] + splat(last[h]) * activate(ACT, z[v], 0);                                                 \
    }                                                                                                                  \
    break;

INLINE void predict_together(const int64_t D, const Spec *spec, const Place *at, const real *params, const vreal *x,
                             vreal *outputs) {
    const int64_t H = spec->widths[1];
    const real *weight = params + at[0].weight, *bias = at[0].bias < 0 ? 0 : params + at[0].bias;
    const real *last = params + at[1].weight;
    vreal sum[TOGETHER_VECTORS];
    for (int v = 0; v < TOGETHER_VECTORS; v++)
        sum[v] = splat(at[1].bias < 0 ? 0 : params[at[1].bias]);
    switch (spec->acts[0]) {
    case RELU: HIDDEN_UNITS(RELU)
    case LEAKY_RELU: HIDDEN_UNITS(LEAKY_RELU)
    case ELU: HIDDEN_UNITS(ELU)
    case GELU: HIDDEN_UNITS(GELU)
    case SILU: HIDDEN_UNITS(SILU)
    case SOFTPLUS: HIDDEN_UNITS(SOFTPLUS)
    case SIGMOID: HIDDEN_UNITS(SIGMOID)
    case TANH: HIDDEN_UNITS(TANH)
    case HARDTANH: HIDDEN_UNITS(HARDTANH)
    default: HIDDEN_UNITS(IDENTITY)
    }
    for (int v = 0; v < TOGETHER_VECTORS; v++)
        outputs[v] = sum[v];
    if (spec->acts[1] != IDENTITY)
        for (int t = 0; t < TOGETHER_TILES; t++)
            activation(ROW, spec->acts[1], 1, outputs + t * ROW, outputs + t * ROW, 0);
}

static OUTLINE void predict_together_of_two(const Spec *spec, const Place *at, const real *params, const vreal *x,
                                            vreal *outputs) {
    predict_together(2, spec, at, params, x, outputs);
}
static OUTLINE void predict_together_of_any(const Spec *spec, const Place *at, const real *params, const vreal *x,
                                            vreal *outputs) {
    predict_together(spec->widths[0], spec, at, params, x, outputs);
}

// Outputs (K rows a tile) of the tiles from one to before another of n samples whose tiles begin at x.
static void predict_tiles(Workspace *w, const real *params, const real *buffers, const Split *split, int64_t start,
                          int64_t end, vreal *outputs) {
    const Spec *spec = w->spec;
    const int64_t D = spec->widths[0], K = spec->widths[spec->layers];
    const vreal *x = (const vreal *)split->tiled_x;
    int64_t t = start;
    if (spec->layers == 2 && K == 1 && spec->norm == NO_NORM)
        for (; t + TOGETHER_TILES <= end && vectors_in(split->n, t + TOGETHER_TILES - 1) == ROW; t += TOGETHER_TILES)
            (D == 2 ? predict_together_of_two : predict_together_of_any)(spec, w->places, params, x + t * D * ROW,
                                                                        outputs + (t - start) * ROW);
    for (; t < end; t++)
        predict_tile(w, params, buffers, vectors_in(split->n, t), x + t * D * ROW, outputs + (t - start) * K * ROW);
}

#endif
