// One member, trained from log point to log point: what Python calls.
//
// A member's numbers depend on its spec and data alone. All of its state is in State, so that a call may end after any
// step and the next one, in this process or another, goes on with the same bits.
#include <time.h>

#include "diagnose.h"
#include "evaluate.h"
#include "optimizer.h"
#include "schedule.h"

#define EXPORT __attribute__((visibility("default")))

enum Answer { NO_MEMORY = -1, PAUSED, LOG_POINT, DONE, DIVERGED };
enum { STEPS_BETWEEN_LOOKS = 16 };

static double seconds_now(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

// 0 where this build computes what it should: the published answer of Philox, and sums and functions of vectors.
EXPORT int32_t self_check(void) {
    uint64_t words[4][TOGETHER];
    philox(0, 0, 0, 0, 0, words);
    if (words[0][0] != 0x6627e8d5 || words[1][0] != 0xe169c58d || words[2][0] != 0xbc57ac4c || words[3][0] != 0x9b00dbd8)
        return 1;
    vreal lanes;
    for (int i = 0; i < LANES; i++)
        lanes[i] = i;
    if (sum_of(plus((vsum){0}, square_root(lanes * lanes))) != LANES * (LANES - 1) / 2)
        return 2;
    real half = sigmoid(splat(0))[0], one = exponential(splat(0))[0];
    return half == (real)0.5 && one == 1 && hyperbolic_tangent(splat(0))[0] == 0 ? 0 : 3;
}
EXPORT int32_t struct_bytes(int32_t which) {
    return which == 0 ? sizeof(Split) : which == 1 ? sizeof(Spec) : sizeof(State);
}
EXPORT int64_t tile_samples(void) { return TILE; }

// Numbers in a member's arrays: parameters, parameters padded, slots, buffers, columns of the history.
EXPORT int32_t sizes(const Spec *spec, int64_t *found) {
    Place *places = malloc((size_t)spec->layers * sizeof(Place));
    if (!places)
        return NO_MEMORY;
    find_places(spec, places, &found[0], &found[3]);
    free(places);
    found[1] = padded(found[0]);
    found[2] = slot_count(spec);
    found[4] = metric_count(spec) + diagnosis_count(spec) + 1; // the epoch stands before them
    return DONE;
}

// Copies samples (n x width, by sample) into tiles; lanes beyond the last one get copies of the first.
EXPORT void fill_tiles(int64_t n, int64_t width, const real *by_sample, real *tiles) {
    for (int64_t s = 0; s < tiles_of(n) * TILE; s++)
        for (int64_t k = 0; k < width; k++)
            tiles[(s / TILE * width + k) * TILE + s % TILE] = by_sample[(s < n ? s : 0) * width + k];
}

// Makes a state that has not been trained; params hold the initial weights.
EXPORT void begin(const Spec *spec, State *state, int64_t padded_parameters) {
    memset(state->counts, 0, COUNTS * sizeof(int64_t));
    state->counts[BAD_COLUMN] = -1;
    begin_optimizer(spec, state, padded_parameters);
    state->values[RATE] = first_rate(spec);
    const double worst = spec->maximize ? -(double)INFINITY : (double)INFINITY;
    state->values[PLATEAU_BEST] = state->values[STOPPING_BEST] = state->values[BEST] = worst;
}

// Copies the numbers (width each) of samples, in an order, into a tile; lanes beyond them get copies of the first.
INLINE void gather_numbers(int64_t samples, const int32_t *order, const int64_t width, const real *by_sample, real *tile) {
    const int64_t lanes = vectors_in(samples, 0) * LANES, used = samples < TILE ? samples : TILE;
    for (int64_t lane = 0; lane < used; lane++)
        for (int64_t k = 0; k < width; k++)
            tile[k * TILE + lane] = by_sample[order[lane] * width + k];
    for (int64_t lane = used; lane < lanes; lane++)
        for (int64_t k = 0; k < width; k++)
            tile[k * TILE + lane] = tile[k * TILE];
}

// Puts batches of this epoch into tiles, from one on, as many as the workspace holds: of one batch that was gathered
// just before it is trained, vectors would wait for the single numbers that are still being stored.
OUTLINE static void gather(Workspace *w, int64_t batch) {
    const Spec *spec = w->spec;
    const Split *train = &spec->splits[0];
    const int64_t D = spec->widths[0], targets = spec->loss < BINARY ? spec->widths[spec->layers] : 1;
    const int64_t size = spec->batch_size, tiles = tiles_of(size);
    real *x = (real *)w->x, *y = (real *)w->y;
    w->gathered = batch;
    for (int64_t i = 0; i < w->ahead * tiles; i++) {
        const int64_t first = (batch + i / tiles) * size + i % tiles * TILE;
        const int64_t end = (batch + i / tiles + 1) * size, samples = (end < train->n ? end : train->n) - first;
        if (samples <= 0)
            continue;
        if (D == 2) // loops of known length are faster
            gather_numbers(samples, w->order + first, 2, train->x, x + i * 2 * TILE);
        else
            gather_numbers(samples, w->order + first, D, train->x, x + i * D * TILE);
        if (targets == 1)
            gather_numbers(samples, w->order + first, 1, train->y, y + i * TILE);
        else
            gather_numbers(samples, w->order + first, targets, train->y, y + i * targets * TILE);
    }
}

// The gradient of the mean loss of a batch, in w->gradient.
static void batch_gradient(Workspace *w, State *state, int64_t first, int64_t samples, int whole) {
    const Spec *spec = w->spec;
    const Split *train = &spec->splits[0];
    const int64_t D = spec->widths[0], targets = spec->loss < BINARY ? spec->widths[spec->layers] : 1;
    const uint32_t epoch = (uint32_t)state->counts[EPOCH] + 1;
    double terms = 0;
    memset(w->gradient, 0, (size_t)w->padded * sizeof(real));
    if (whole)
        terms = loss_terms(spec, samples, (const vreal *)train->tiled_y);
    else if (spec->loss < BINARY || !spec->class_weights)
        terms = loss_terms(spec, samples, 0);
    else
        for (int64_t s = first; s < first + samples; s++)
            terms = terms + (double)(real)spec->class_weights[(int64_t)train->y[w->order[s]]];
    const vreal *x = (const vreal *)train->tiled_x, *y = (const vreal *)train->tiled_y;
    if (!whole) {
        const int64_t batch = state->counts[BATCH], tiles = tiles_of(spec->batch_size);
        if (batch < w->gathered || batch >= w->gathered + w->ahead)
            gather(w, batch);
        x = w->x + (batch - w->gathered) * tiles * D * ROW;
        y = w->y + (batch - w->gathered) * tiles * targets * ROW;
    }
    for (int64_t start = 0; start < samples; start += w->capacity) {
        const int64_t count = samples - start < w->capacity ? samples - start : w->capacity, tile = start / TILE;
        forward(w, state->params, state->buffers, count, x + tile * D * ROW, 1, epoch, first + start);
        backward(w, state->params, count, x + tile * D * ROW, y + tile * targets * ROW, 1, (real)(1 / terms));
    }
}

// Evaluates and keeps what a log point asks for. Returns LOG_POINT, DONE or DIVERGED.
static int log_point(Workspace *w, State *state, const int64_t *size, int64_t *unit_counts) {
    const Spec *spec = w->spec;
    int64_t *counts = state->counts;
    double *row = state->history + counts[LOGGED] * size[4];
    const int metrics = metric_count(spec);
    row[0] = (double)counts[EPOCH];
    log_metrics(w, state, row + 1);
    for (int i = 0; i < metrics; i++)
        if (!isfinite(row[1 + i])) {
            counts[BAD_COLUMN] = i;
            return DIVERGED;
        }
    if (spec->diagnostics)
        diagnose(w, state, unit_counts, row + 1 + metrics);
    if (spec->moments[counts[LOGGED]]) {
        real *kept = state->kept + counts[KEPT] * (size[0] + size[3]);
        memcpy(kept, state->params, (size_t)size[0] * sizeof(real));
        memcpy(kept + size[0], state->buffers, (size_t)size[3] * sizeof(real));
        counts[KEPT]++;
    }
    counts[LOGGED]++;
    if (spec->metric >= 0) {
        const double value = row[1 + spec->metric];
        if (spec->maximize ? value > state->values[BEST] : value < state->values[BEST]) {
            state->values[BEST] = value;
            if (spec->keep_best) {
                memcpy(state->best, state->params, (size_t)size[1] * sizeof(real));
                memcpy(state->best_buffers, state->buffers, (size_t)size[3] * sizeof(real));
            }
        }
        if (spec->schedule == PLATEAU)
            step_plateau(spec, state, value);
        counts[STOPPED] = stops_early(spec, state, value);
    }
    return counts[LOGGED] == spec->log_count || counts[STOPPED] ? DONE : LOG_POINT;
}

// Trains until the member is DONE or DIVERGED, or *stop is not 0, or the seconds are over (PAUSED), or, where
// until_log_point says so, the next log point is behind it (LOG_POINT).
EXPORT int32_t advance(const Spec *spec, State *state, const volatile int32_t *stop, double seconds,
                       int32_t until_log_point) {
    Workspace w;
    void *block = 0;
    int64_t size[5], *counts = state->counts;
    if (counts[LOGGED] == spec->log_count || counts[STOPPED])
        return DONE;
    if (counts[BAD_COLUMN] >= 0)
        return DIVERGED;
    if (sizes(spec, size) == NO_MEMORY || !make_workspace(&w, spec, &block))
        return NO_MEMORY;
    int64_t *unit_counts = malloc((size_t)(spec->diagnostics ? spec->layers * w.widest : 1) * sizeof(int64_t));
    if (!unit_counts) {
        free(block);
        return NO_MEMORY;
    }
    const double deadline = seconds_now() + seconds;
    const int64_t n = spec->splits[0].n, steps = (n + spec->batch_size - 1) / spec->batch_size;
    int answer = PAUSED, since_look = 0, ordered = 0;
    while (answer == PAUSED) {
        const int whole = steps == 1;
        if (!whole && !ordered) {
            shuffle(n, spec->seed, (uint32_t)counts[EPOCH] + 1, w.order);
            ordered = 1;
            w.gathered = steps; // nothing of this order
        }
        const int64_t first = counts[BATCH] * spec->batch_size;
        const int64_t samples = n - first < spec->batch_size ? n - first : spec->batch_size;
        batch_gradient(&w, state, first, samples, whole);
        const int ends = ++counts[BATCH] == steps;
        const int logs = ends && counts[EPOCH] + 1 == spec->log_epochs[counts[LOGGED]];
        if (logs && spec->diagnostics)
            memcpy(w.before, state->params, (size_t)size[1] * sizeof(real));
        update(spec, state, size[1], w.gradient);
        if (ends) {
            counts[BATCH] = 0;
            counts[EPOCH]++;
            ordered = 0;
            state->values[RATE] = next_rate(spec, counts[EPOCH], state->values[RATE]);
        }
        if (logs) {
            answer = log_point(&w, state, size, unit_counts);
            if (answer == LOG_POINT && !until_log_point)
                answer = PAUSED;
            since_look = STEPS_BETWEEN_LOOKS;
        }
        if (answer == PAUSED && ++since_look >= STEPS_BETWEEN_LOOKS) {
            since_look = 0;
            if (*stop || seconds_now() >= deadline)
                break;
        }
    }
    free(unit_counts);
    free(block);
    return answer;
}

// All metrics of every split (FINAL_METRICS numbers each) for some weights.
EXPORT int32_t finish(const Spec *spec, const real *params, const real *buffers, double *found) {
    Workspace w;
    void *block = 0;
    if (!make_workspace(&w, spec, &block))
        return NO_MEMORY;
    int answer = DONE;
    for (int s = 0; s < spec->split_count && answer == DONE; s++)
        if (!final_metrics(&w, params, buffers, &spec->splits[s], found + s * FINAL_METRICS))
            answer = NO_MEMORY;
    free(block);
    return answer;
}

// Outputs (n x K, by sample) of the splits[which] for some weights.
EXPORT int32_t predict(const Spec *spec, const real *params, const real *buffers, int32_t which, real *outputs) {
    Workspace w;
    void *block = 0;
    if (!make_workspace(&w, spec, &block))
        return NO_MEMORY;
    outputs_of(&w, params, buffers, &spec->splits[which], outputs);
    free(block);
    return DONE;
}
