// What can be seen of learning from inside, as models/diagnostics.py defines it: for each layer the norm of its
// gradient on all train samples and the size of the last step, for each hidden layer the share of its units that have
// stopped to learn. It changes no number of training.
#ifndef NEURONSWEEP_DIAGNOSE_H
#define NEURONSWEEP_DIAGNOSE_H

#include "network.h"

static int diagnosis_count(const Spec *spec) { return spec->diagnostics ? 3 * spec->layers - 1 : 0; }

// The norm of one layer's weight and bias in an array like the parameters, less those of another (or null).
static double layer_norm_of(const Workspace *w, int layer, const real *numbers, const real *less) {
    const Spec *spec = w->spec;
    const int64_t count = (int64_t)spec->widths[layer] * spec->widths[layer + 1] + (spec->bias ? spec->widths[layer + 1] : 0);
    double sum = 0;
    for (int64_t i = w->places[layer].weight; i < w->places[layer].weight + count; i++) {
        double number = (double)(less ? numbers[i] - less[i] : numbers[i]);
        sum = sum + number * number;
    }
    return sqrt(sum);
}

// Whether a unit of slope s on a sample, as a share of the greatest slope of its activation, counts as stopped there:
// ReLU units that are 0, and sigmoid, tanh and hardtanh units with a slope below a tenth.
static double stopped_below(int act) {
    return act == SIGMOID ? 0.1 / 4 : act == RELU || act == TANH || act == HARDTANH ? 0.1 : -1;
}

// Writes for each layer gradient and update, then for each hidden layer the share that stopped (-1: it cannot).
// counts: as many numbers as the widest layer has units. Overwrites w->gradient.
static void diagnose(Workspace *w, const State *state, int64_t *counts, double *found) {
    const Spec *spec = w->spec;
    const Split *train = &spec->splits[0];
    const int64_t D = spec->widths[0], targets = spec->loss < BINARY ? spec->widths[spec->layers] : 1;
    const vreal *x = (const vreal *)train->tiled_x, *y = (const vreal *)train->tiled_y;
    const double terms = loss_terms(spec, train->n, y);
    memset(w->gradient, 0, (size_t)w->padded * sizeof(real));
    memset(counts, 0, (size_t)(spec->layers * w->widest) * sizeof(int64_t));
    for (int64_t first = 0; first < train->n; first += CHUNK) {
        const int64_t samples = train->n - first < CHUNK ? train->n - first : CHUNK, tile = first / TILE;
        const vreal *x_here = x + tile * D * ROW, *y_here = y + tile * targets * ROW;
        forward(w, state->params, state->buffers, samples, x_here, 0, 0, 0);
        backward(w, state->params, samples, x_here, y_here, 0, (real)(1 / terms));
        for (int i = 0; i < spec->layers - 1; i++) {
            const int64_t H = spec->widths[i + 1];
            const real below = (real)stopped_below(spec->acts[i]);
            if (below < 0)
                continue;
            for (int64_t h = 0; h < H; h++)
                for (int64_t s = 0; s < samples; s++)
                    counts[i * w->widest + h] +=
                        ((const real *)(w->slopes[i] + (s / TILE * H + h) * ROW))[s % TILE] < below;
        }
    }
    for (int i = 0; i < spec->layers; i++) {
        const double change = layer_norm_of(w, i, state->params, w->before);
        const double size = layer_norm_of(w, i, state->params, 0);
        found[i] = layer_norm_of(w, i, w->gradient, 0);
        found[spec->layers + i] = size != 0 ? change / size : 0;
    }
    for (int i = 0; i < spec->layers - 1; i++) {
        const int64_t H = spec->widths[i + 1];
        int64_t stopped = 0;
        for (int64_t h = 0; h < H; h++) // dead: on every sample; saturated: on nine in ten
            stopped += spec->acts[i] == RELU ? counts[i * w->widest + h] == train->n
                                             : counts[i * w->widest + h] * 10 >= train->n * 9;
        found[2 * spec->layers + i] = stopped_below(spec->acts[i]) < 0 ? -1 : (double)stopped / (double)H;
    }
}

#endif
