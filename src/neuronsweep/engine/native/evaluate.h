// Metrics of whole splits: the losses and accuracies of a log point, and all metrics at the end of a run.
#ifndef NEURONSWEEP_EVALUATE_H
#define NEURONSWEEP_EVALUATE_H

#include "network.h"

// Loss (and, of classes, accuracy) of a split. Sums of a chunk's samples are added up in double precision.
static void loss_of(Workspace *w, const real *params, const real *buffers, const Split *split, double *loss,
                    double *accuracy) {
    const Spec *spec = w->spec;
    const int64_t D = spec->widths[0], targets = spec->loss < BINARY ? spec->widths[spec->layers] : 1;
    double sum = 0, hits = 0;
    vsum losses = {0}, rights = {0};
    for (int64_t t = 0, end = tiles_of(split->n); t < end; t++) {
        const int vectors = vectors_in(split->n, t);
        const vreal *y = (const vreal *)split->tiled_y + t * targets * ROW;
        const vreal *out = predict_tile(w, params, buffers, vectors, (const vreal *)split->tiled_x + t * D * ROW);
        for (int v = 0; v < vectors; v++) {
            vreal right;
            losses = plus(losses, loss_values(spec, split->n, t, v, out, y, &right));
            rights = plus(rights, right);
        }
        if ((t + 1) * TILE % CHUNK == 0 || t == end - 1) {
            sum = sum + (double)sum_of(losses);
            hits = hits + (double)sum_of(rights);
            losses = rights = (vsum){0};
        }
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
        loss_of(w, state->params, state->buffers, &spec->splits[s], &row[s], &accuracy);
        if (spec->loss >= BINARY)
            row[spec->split_count + s] = accuracy;
    }
}

// Outputs (n x K, by sample) of a split.
static void outputs_of(Workspace *w, const real *params, const real *buffers, const Split *split, real *outputs) {
    const Spec *spec = w->spec;
    const int64_t D = spec->widths[0], K = spec->widths[spec->layers];
    for (int64_t t = 0, end = tiles_of(split->n); t < end; t++) {
        const real *out = (const real *)predict_tile(w, params, buffers, vectors_in(split->n, t),
                                                     (const vreal *)split->tiled_x + t * D * ROW);
        for (int64_t s = 0; s < TILE && t * TILE + s < split->n; s++)
            for (int64_t k = 0; k < K; k++)
                outputs[(t * TILE + s) * K + k] = out[k * TILE + s];
    }
}

typedef struct {
    real score;
    int32_t positive;
} Scored;

static int by_score(const void *a, const void *b) {
    real first = ((const Scored *)a)->score, second = ((const Scored *)b)->score;
    return (first > second) - (first < second);
}

// The area under the ROC curve, ties counting one half; 0 where there are no positives or no negatives. Sorts.
static double roc_area(int64_t n, Scored *scored) {
    int64_t below = 0, negatives = 0, twice = 0, positives = 0; // twice: pairs in the right order twice, ties once
    qsort(scored, (size_t)n, sizeof(Scored), by_score);
    for (int64_t start = 0; start < n;) {
        int64_t stop = start, hits = 0;
        for (; stop < n && scored[stop].score == scored[start].score; stop++)
            hits += scored[stop].positive;
        if (stop == start)
            return 0; // NaN
        negatives = stop - start - hits;
        twice += hits * (2 * below + negatives);
        below += negatives;
        positives += hits;
        start = stop;
    }
    if (!positives || !below)
        return 0;
    return (double)twice / (2 * (double)positives * (double)below);
}

// All metrics of a split at the end of a run: (loss, mse, mae, r2) of a regression, r2 NaN for one sample;
// (loss, accuracy, auroc) of classes. Returns 0 where there is no memory.
enum { FINAL_METRICS = 4 };
static int final_metrics(Workspace *w, const real *params, const real *buffers, const Split *split, double *found) {
    const Spec *spec = w->spec;
    const int64_t K = spec->widths[spec->layers], n = split->n;
    double accuracy;
    loss_of(w, params, buffers, split, &found[0], &accuracy);
    real *out = malloc((size_t)(n * K) * sizeof(real));
    Scored *scored = malloc((size_t)n * sizeof(Scored));
    if (!out || !scored) {
        free(out);
        free(scored);
        return 0;
    }
    outputs_of(w, params, buffers, split, out);
    if (spec->loss < BINARY) {
        double squares = 0, sizes = 0, total = 0, tiny = 1e-4;
        double r2 = 0;
        for (int64_t k = 0; k < K; k++) {
            double mean = 0, of_output = 0, residual = 0;
            for (int64_t i = 0; i < n; i++)
                mean = mean + (double)split->y[i * K + k];
            mean = mean / (double)n;
            for (int64_t i = 0; i < n; i++) {
                double error = (double)out[i * K + k] - (double)split->y[i * K + k];
                double centred = (double)split->y[i * K + k] - mean;
                residual = residual + error * error;
                of_output = of_output + centred * centred;
                sizes = sizes + (error < 0 ? -error : error);
            }
            squares = squares + residual;
            total = of_output;
            // torchmetrics' answers where one of the sums is (almost) zero
            r2 = r2 + (residual <= tiny ? 1 : total <= tiny ? 0 : 1 - residual / total);
        }
        found[1] = squares / ((double)n * (double)K);
        found[2] = sizes / ((double)n * (double)K);
        found[3] = n > 1 ? r2 / (double)K : (double)NAN;
    } else {
        const int64_t classes = spec->loss == BINARY ? 1 : K;
        double areas = 0;
        found[1] = accuracy;
        for (int64_t k = 0; k < classes; k++) {
            for (int64_t i = 0; i < n; i++) {
                real score;
                if (spec->loss == BINARY) {
                    score = sigmoid(splat(out[i]))[0];
                } else {
                    real most = out[i * K], sum = 0;
                    for (int64_t j = 1; j < K; j++)
                        most = out[i * K + j] > most ? out[i * K + j] : most;
                    for (int64_t j = 0; j < K; j++)
                        sum = sum + exponential(splat(out[i * K + j] - most))[0];
                    score = exponential(splat(out[i * K + k] - most))[0] / sum;
                }
                scored[i].score = score;
                scored[i].positive = spec->loss == BINARY ? split->y[i] > (real)0.5 : split->y[i] == (real)k;
            }
            areas = areas + roc_area(n, scored);
        }
        found[2] = areas / (double)classes;
        found[3] = 0;
    }
    free(out);
    free(scored);
    return 1;
}

#endif
