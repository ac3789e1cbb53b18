// Learning rates after each epoch or log point, and early stopping: torch.optim.lr_scheduler, in double precision.
#ifndef NEURONSWEEP_SCHEDULE_H
#define NEURONSWEEP_SCHEDULE_H

#include "scalar.h"
#include "spec.h"

// spec->schedule_numbers of each schedule
enum StepNumber { STEP_SIZE, STEP_GAMMA };
enum ExponentialNumber { EXPONENTIAL_GAMMA };
enum CosineNumber { COSINE_LENGTH, COSINE_LEAST };
enum PlateauNumber { PLATEAU_FACTOR, PLATEAU_PATIENCE, PLATEAU_THRESHOLD, PLATEAU_COOLDOWN, PLATEAU_LEAST, PLATEAU_EPS };
enum WarmupNumber { WARMUP_START, WARMUP_END, WARMUP_LENGTH };
enum OneCycleNumber { CYCLE_MOST, CYCLE_LENGTH, CYCLE_RISE, CYCLE_DIVISOR, CYCLE_FINAL_DIVISOR, CYCLE_LINEAR };

static const double PI = 3.14159265358979323846;

// From start to end as share goes from 0 to 1, along half a cosine or a line.
static double anneal(double start, double end, double share, int linear) {
    if (linear)
        return (end - start) * share + start;
    return end + (start - end) / 2 * (cosine(PI * share) + 1);
}

// The rate of one cycle after so many epochs; it rises until rise * length - 1 and falls until length - 1.
static double one_cycle(const double *n, double epoch) {
    const double top = n[CYCLE_RISE] * n[CYCLE_LENGTH] - 1, end = n[CYCLE_LENGTH] - 1;
    const double start = n[CYCLE_MOST] / n[CYCLE_DIVISOR], least = start / n[CYCLE_FINAL_DIVISOR];
    const int linear = n[CYCLE_LINEAR] != 0;
    if (epoch <= top)
        return anneal(start, n[CYCLE_MOST], epoch / top, linear);
    return anneal(n[CYCLE_MOST], least, (epoch - top) / (end - top), linear);
}

static double first_rate(const Spec *spec) {
    if (spec->schedule == WARMUP)
        return spec->rate * spec->schedule_numbers[WARMUP_START];
    if (spec->schedule == ONE_CYCLE)
        return one_cycle(spec->schedule_numbers, 0);
    return spec->rate;
}

// The learning rate after an epoch (counted from 1), from the one before it.
static double next_rate(const Spec *spec, int64_t epoch, double rate) {
    const double *n = spec->schedule_numbers, t = (double)epoch;
    switch (spec->schedule) {
    case STEP: return epoch % (int64_t)n[STEP_SIZE] == 0 ? rate * n[STEP_GAMMA] : rate;
    case EXPONENTIAL: return rate * n[EXPONENTIAL_GAMMA];
    case COSINE: return n[COSINE_LEAST] + (spec->rate - n[COSINE_LEAST]) * (1 + cosine(PI * t / n[COSINE_LENGTH])) / 2;
    case WARMUP: {
        double share = t < n[WARMUP_LENGTH] ? t / n[WARMUP_LENGTH] : 1;
        return spec->rate * (n[WARMUP_START] + (n[WARMUP_END] - n[WARMUP_START]) * share);
    }
    case ONE_CYCLE: return one_cycle(n, t);
    default: return rate;
    }
}

// ReduceLROnPlateau after a log point, with its relative threshold.
static void step_plateau(const Spec *spec, State *state, double value) {
    const double *n = spec->schedule_numbers;
    double *best = &state->values[PLATEAU_BEST];
    int64_t *bad = &state->counts[PLATEAU_BAD], *cooling = &state->counts[PLATEAU_COOLING];
    int better = spec->maximize ? value > *best * (n[PLATEAU_THRESHOLD] + 1) : value < *best * (1 - n[PLATEAU_THRESHOLD]);
    if (better)
        *best = value;
    *bad = better ? 0 : *bad + 1;
    if (*cooling > 0) {
        *cooling -= 1;
        *bad = 0;
    }
    if (*bad <= (int64_t)n[PLATEAU_PATIENCE])
        return;
    *cooling = (int64_t)n[PLATEAU_COOLDOWN];
    *bad = 0;
    double reduced = state->values[RATE] * n[PLATEAU_FACTOR];
    reduced = reduced > n[PLATEAU_LEAST] ? reduced : n[PLATEAU_LEAST];
    if (state->values[RATE] - reduced > n[PLATEAU_EPS])
        state->values[RATE] = reduced;
}

// Lightning's EarlyStopping after a log point, which compares in single precision. Returns whether to stop.
static int stops_early(const Spec *spec, State *state, double value) {
    if (!spec->patience)
        return 0;
    float number = (float)value, change = (float)spec->min_delta;
    double *best = &state->values[STOPPING_BEST];
    int better = spec->maximize ? (double)(number - change) > *best : (double)(number + change) < *best;
    if (better)
        *best = (double)number;
    state->counts[WAITED] = better ? 0 : state->counts[WAITED] + 1;
    return state->counts[WAITED] >= spec->patience;
}

#endif
