// Losses of a tile of outputs (K rows) beside targets (K rows of a regression, else one row of class numbers).
#ifndef NEURONSWEEP_LOSS_H
#define NEURONSWEEP_LOSS_H

#include "elementary.h"
#include "spec.h"
#include "tile.h"

// The weight of each sample: that of its class, or one.
INLINE vreal sample_weight(const Spec *spec, vreal y) {
    vreal weight = splat(1);
    if (!spec->class_weights)
        return weight;
    int classes = spec->loss == BINARY ? 2 : spec->widths[spec->layers];
    for (int k = 0; k < classes; k++)
        weight = choose(y == splat((real)k), splat((real)spec->class_weights[k]), weight);
    return weight;
}

// What a sum of losses is divided by: the number of terms, or the sum of the samples' weights.
static double loss_terms(const Spec *spec, int64_t samples, const vreal *y) {
    if (spec->loss < BINARY)
        return (double)samples * spec->widths[spec->layers];
    if (!spec->class_weights)
        return (double)samples;
    double sum = 0;
    for (int64_t t = 0, end = tiles_of(samples); t < end; t++)
        for (int v = 0, vectors = vectors_in(samples, t); v < vectors; v++) {
            vreal weight = keep_where(lanes_in(samples, t, v), sample_weight(spec, y[t * ROW + v]));
            for (int part = 0; part < VECTOR_BYTES / SUM_BYTES; part++)
                sum = sum + (double)sum_of(((const vsum *)&weight)[part]);
        }
    return sum;
}

INLINE vreal sign_of(vreal x) { return keep_where(x > (vreal){0}, splat(1)) - keep_where(x < (vreal){0}, splat(1)); }

// Gradients g (K rows) of the summed loss, times scale, by the outputs of vector v of tile t.
INLINE void loss_gradient(const Spec *spec, int64_t samples, int64_t t, int v, const vreal *out, const vreal *y,
                          real scale, vreal *g) {
    const int K = spec->widths[spec->layers];
    const real number = (real)spec->loss_number;
    const vint inside = lanes_in(samples, t, v);
    if (spec->loss == BINARY) {
        g[v] = keep_where(inside, (sigmoid(out[v]) - y[v]) * (splat(scale) * sample_weight(spec, y[v])));
        return;
    }
    if (spec->loss == MULTICLASS) {
        vreal most = out[v], sum = {0}, weight = splat(scale) * sample_weight(spec, y[v]);
        for (int k = 1; k < K; k++)
            most = choose(out[k * ROW + v] > most, out[k * ROW + v], most);
        for (int k = 0; k < K; k++) {
            g[k * ROW + v] = exponential(out[k * ROW + v] - most);
            sum = sum + g[k * ROW + v];
        }
        for (int k = 0; k < K; k++) {
            vreal right = keep_where(y[v] == splat((real)k), splat(1));
            g[k * ROW + v] = keep_where(inside, (g[k * ROW + v] / sum - right) * weight);
        }
        return;
    }
    for (int k = 0; k < K; k++) {
        vreal error = out[k * ROW + v] - y[k * ROW + v], slope;
        if (spec->loss == SQUARED)
            slope = splat(2) * error;
        else if (spec->loss == ABSOLUTE)
            slope = sign_of(error);
        else if (spec->loss == HUBER)
            slope = at_most(at_least(error, -number), number);
        else
            slope = choose(error > (vreal){0}, splat(1 - number),
                           choose(error < (vreal){0}, splat(-number), splat((1 - 2 * number) / 2))); // torch's at 0
        slope = choose(error != error, error, slope); // NaN stays NaN
        g[k * ROW + v] = keep_where(inside, slope * splat(scale));
    }
}

// Summed loss of the samples in vector v, lane by lane, and how many of them are in the right class.
INLINE vreal loss_values(const Spec *spec, int64_t samples, int64_t t, int v, const vreal *out, const vreal *y,
                         vreal *right) {
    const int K = spec->widths[spec->layers];
    const real number = (real)spec->loss_number;
    const vint inside = lanes_in(samples, t, v);
    const vreal zero = {0}, one = splat(1);
    if (spec->loss == BINARY) {
        // log(1 + exp(x)) - x y in the form that does not overflow; a probability above one half is class 1
        vreal x = out[v], e = exponential(-absolute(x));
        vreal value = at_least(x, 0) - x * y[v] + logarithm_of_one_plus_share(e);
        vint one_said = (x > zero) & (one + e < splat(2)), is_one = y[v] > splat((real)0.5);
        *right = keep_where(inside & ~(one_said ^ is_one), one);
        return keep_where(inside, value * sample_weight(spec, y[v]));
    }
    if (spec->loss == MULTICLASS) {
        vreal most = out[v], said = zero, sum = zero, own = zero;
        for (int k = 1; k < K; k++) {
            vint more = out[k * ROW + v] > most;
            said = choose(more, splat((real)k), said);
            most = choose(more, out[k * ROW + v], most);
        }
        for (int k = 0; k < K; k++) {
            vreal shifted = out[k * ROW + v] - most;
            sum = sum + exponential(shifted);
            own = choose(y[v] == splat((real)k), shifted, own);
        }
        *right = keep_where(inside & (said == y[v]), one);
        return keep_where(inside, (logarithm(sum) - own) * sample_weight(spec, y[v]));
    }
    vreal total = zero;
    for (int k = 0; k < K; k++) {
        vreal error = out[k * ROW + v] - y[k * ROW + v], size = absolute(error), value;
        if (spec->loss == SQUARED)
            value = error * error;
        else if (spec->loss == ABSOLUTE)
            value = size;
        else if (spec->loss == HUBER)
            value = choose(size > splat(number), splat(number) * (size - splat((real)0.5 * number)),
                           splat((real)0.5) * error * error);
        else
            value = choose(error > zero, splat(1 - number) * error, splat(-number) * error);
        total = total + value;
    }
    *right = zero;
    return keep_where(inside, total);
}

#endif
