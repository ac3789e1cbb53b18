// Metrics of whole splits: the losses and accuracies of a log point, and all metrics at the end of a run.
#ifndef NEURONSWEEP_EVALUATE_H
#define NEURONSWEEP_EVALUATE_H

#include "predict.h"

// Loss (and, of classes, accuracy) of a split. Sums of a chunk's samples are added up in double precision.
// outputs: null, or where those of all tiles go.
static void loss_of(Workspace *w, const real *params, const real *buffers, const Split *split, double *loss,
                    double *accuracy, vreal *outputs) {
    const Spec *spec = w->spec;
    const int64_t K = spec->widths[spec->layers], targets = spec->loss < BINARY ? K : 1;
    const int64_t tiles = tiles_of(split->n), chunk = CHUNK / TILE;
    double sum = 0, hits = 0;
    for (int64_t start = 0; start < tiles; start += chunk) {
        const int64_t end = tiles - start < chunk ? tiles : start + chunk;
        vreal *out = outputs ? outputs + start * K * ROW : w->predicted;
        vsum losses = {0}, rights = {0};
        predict_tiles(w, params, buffers, split, start, end, out);
        // after all of a chunk's tiles, because each loss is a long chain of operations that has to meet others
        for (int64_t t = start; t < end; t++)
            for (int v = 0, vectors = vectors_in(split->n, t); v < vectors; v++) {
                vreal right, value = loss_values(spec, split->n, t, v, out + (t - start) * K * ROW,
                                                 (const vreal *)split->tiled_y + t * targets * ROW, &right);
                losses = plus(losses, value);
                rights = plus(rights, right);
            }
        sum = sum + (double)sum_of(losses);
        hits = hits + (double)sum_of(rights);
    }
    *loss = sum / loss_terms(spec, split->n, (const vreal *)split->tiled_y);
    *accuracy = hits / (double)split->n;
}

// Columns of a row of metrics at a log point: the loss of each split, then, of classes, the accuracy of each.
static int metric_count(const Spec *spec) { return spec->split_count * (spec->loss < BINARY ? 1 : 2); }

static void log_metrics(Workspace *w, const State *state, double *row) {
    const Spec *spec = w->spec;
    for (int s = 0; s < spec->split_count; s++) {
        double accuracy;
        loss_of(w, state->params, state->buffers, &spec->splits[s], &row[s], &accuracy, 0);
        if (spec->loss >= BINARY)
            row[spec->split_count + s] = accuracy;
    }
}

// Outputs (n x K, by sample) of a split.
static void outputs_of(Workspace *w, const real *params, const real *buffers, const Split *split, real *outputs) {
    const Spec *spec = w->spec;
    const int64_t D = spec->widths[0], K = spec->widths[spec->layers];
    for (int64_t t = 0, end = tiles_of(split->n); t < end; t++) {
        const real *out = (const real *)w->predicted;
        predict_tile(w, params, buffers, vectors_in(split->n, t), (const vreal *)split->tiled_x + t * D * ROW,
                     w->predicted);
        for (int64_t s = 0; s < TILE && t * TILE + s < split->n; s++)
            for (int64_t k = 0; k < K; k++)
                outputs[(t * TILE + s) * K + k] = out[k * TILE + s];
    }
}

// Probabilities of the classes in the place of a tile's outputs (K rows): of one output that of class 1.
static void probabilities(int64_t K, vreal *out) {
    for (int v = 0; v < ROW; v++) {
        vreal most = out[v], sum = {0};
        if (K == 1) {
            out[v] = sigmoid(most);
            continue;
        }
        for (int64_t k = 1; k < K; k++)
            most = choose(out[k * ROW + v] > most, out[k * ROW + v], most);
        for (int64_t k = 0; k < K; k++) {
            out[k * ROW + v] = exponential(out[k * ROW + v] - most);
            sum = sum + out[k * ROW + v];
        }
        for (int64_t k = 0; k < K; k++)
            out[k * ROW + v] = out[k * ROW + v] / sum;
    }
}

// Sorts keys by their digits, the last one first; spare is as long. There is an even number of passes.
static void sort(int64_t n, unsigned_integer *keys, unsigned_integer *spare) {
    for (int shift = 0; shift < REAL_BITS; shift += 8) {
        int64_t places[257] = {0};
        for (int64_t i = 0; i < n; i++)
            places[(keys[i] >> shift & 255) + 1]++;
        for (int digit = 0; digit < 255; digit++)
            places[digit + 1] += places[digit];
        for (int64_t i = 0; i < n; i++)
            spare[places[keys[i] >> shift & 255]++] = keys[i];
        unsigned_integer *sorted = spare;
        spare = keys;
        keys = sorted;
    }
}

// The area under the ROC curve of the probabilities of a class, ties counting one half; 0 where there are no positives
// or no negatives, or a probability is NaN. scores: in the first of K rows of each tile; keys: room for twice n.
static double roc_area(int64_t n, int64_t K, const real *scores, const real *y, real positive,
                       unsigned_integer *keys) {
    int64_t below = 0, twice = 0, positives = 0; // twice: pairs in the right order twice, ties once
    for (int64_t i = 0; i < n; i++) {
        const real score = scores[i / TILE * K * TILE + i % TILE];
        if (score != score)
            return 0;
        // numbers that are not negative are in the order of their bits, of which the first, the sign, is free
        memcpy(&keys[i], &score, sizeof(real));
        keys[i] = keys[i] << 1 | (y[i] == positive);
    }
    sort(n, keys, keys + n);
    for (int64_t start = 0, stop = 0; start < n; start = stop) {
        int64_t hits = 0;
        for (; stop < n && keys[stop] >> 1 == keys[start] >> 1; stop++)
            hits += keys[stop] & 1;
        twice += hits * (2 * below + (stop - start - hits));
        below += stop - start - hits;
        positives += hits;
    }
    if (!positives || !below)
        return 0;
    return (double)twice / (2 * (double)positives * (double)below);
}

// The metrics of a regression behind its loss: mse, mae, r2 (NaN for one sample), from outputs in tiles.
static void regression_metrics(const Split *split, int64_t K, const real *outputs, double *found) {
    const int64_t n = split->n;
    const double tiny = 1e-4;
    double squares = 0, sizes = 0, r2 = 0;
    for (int64_t k = 0; k < K; k++) {
        double mean = 0, total = 0, residual = 0;
        for (int64_t i = 0; i < n; i++)
            mean = mean + (double)split->y[i * K + k];
        mean = mean / (double)n;
        for (int64_t i = 0; i < n; i++) {
            double error = (double)outputs[(i / TILE * K + k) * TILE + i % TILE] - (double)split->y[i * K + k];
            double centred = (double)split->y[i * K + k] - mean;
            residual = residual + error * error;
            total = total + centred * centred;
            sizes = sizes + (error < 0 ? -error : error);
        }
        squares = squares + residual;
        // torchmetrics' answers where one of the sums is (almost) zero
        r2 = r2 + (residual <= tiny ? 1 : total <= tiny ? 0 : 1 - residual / total);
    }
    found[0] = squares / ((double)n * (double)K);
    found[1] = sizes / ((double)n * (double)K);
    found[2] = n > 1 ? r2 / (double)K : (double)NAN;
}

// All metrics of a split at the end of a run: (loss, mse, mae, r2) of a regression, (loss, accuracy, auroc) of classes.
// Returns 0 where there is no memory.
enum { FINAL_METRICS = 4 };
static int final_metrics(Workspace *w, const real *params, const real *buffers, const Split *split, double *found) {
    const Spec *spec = w->spec;
    const int64_t K = spec->widths[spec->layers], n = split->n, tiles = tiles_of(n);
    double accuracy;
    vreal *outputs = aligned_alloc(64, (size_t)(tiles * K * ROW) * sizeof(vreal));
    unsigned_integer *keys = malloc(2 * (size_t)n * sizeof *keys);
    if (!outputs || !keys) {
        free(outputs);
        free(keys);
        return 0;
    }
    memset(outputs + (tiles - 1) * K * ROW, 0, (size_t)(K * ROW) * sizeof(vreal)); // it may need fewer vectors
    loss_of(w, params, buffers, split, &found[0], &accuracy, outputs);
    if (spec->loss < BINARY) {
        regression_metrics(split, K, (const real *)outputs, found + 1);
    } else {
        double areas = 0;
        for (int64_t t = 0; t < tiles; t++)
            probabilities(K, outputs + t * K * ROW);
        for (int64_t k = 0; k < K; k++)
            areas = areas + roc_area(n, K, (const real *)(outputs + k * ROW), split->y, (real)(K == 1 ? 1 : k), keys);
        found[1] = accuracy;
        found[2] = areas / (double)K;
        found[3] = 0;
    }
    free(outputs);
    free(keys);
    return 1;
}

#endif
