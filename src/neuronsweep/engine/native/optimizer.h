// Optimisers: the formulas of torch.optim (sgd.py, adam.py, adamw.py, rmsprop.py, adagrad.py, nadam.py, radam.py).
//
// Numbers that depend on the step alone are computed in double precision. Powers of the betas are running products, so
// that no power function is needed. Moments that have decayed to nothing are flushed to zero by the formula: arithmetic
// on denormal numbers is many times slower on some processors, and differs where they are flushed by a mode.
#ifndef NEURONSWEEP_OPTIMIZER_H
#define NEURONSWEEP_OPTIMIZER_H

#include "scalar.h"
#include "spec.h"

// spec->numbers of each optimiser
enum SgdNumber { SGD_DECAY, SGD_MOMENTUM, SGD_DAMPENING, SGD_NESTEROV };
enum AdamNumber { ADAM_DECAY, ADAM_BETA1, ADAM_BETA2, ADAM_EPS, ADAM_AMSGRAD, ADAM_MOMENTUM_DECAY, ADAM_DECOUPLED };
enum RmspropNumber { RMSPROP_DECAY, RMSPROP_ALPHA, RMSPROP_EPS, RMSPROP_MOMENTUM, RMSPROP_CENTERED };
enum AdagradNumber { ADAGRAD_DECAY, ADAGRAD_RATE_DECAY, ADAGRAD_START, ADAGRAD_EPS };

#if REAL_BITS == 32
#define TINY ((real)1e-30)
#define TINY_SQUARE ((real)1e-35)
#else
#define TINY ((real)1e-290)
#define TINY_SQUARE ((real)1e-300)
#endif
INLINE vreal flush(vreal x, real tiny) { return keep_where(~(absolute(x) < splat(tiny)), x); }

// Arrays as long as the parameters that an optimiser keeps.
static int slot_count(const Spec *spec) {
    const double *n = spec->numbers;
    switch (spec->optimizer) {
    case SGD: return n[SGD_MOMENTUM] != 0;
    case ADAM:
    case ADAMW: return n[ADAM_AMSGRAD] != 0 ? 3 : 2;
    case RMSPROP: return 1 + (n[RMSPROP_MOMENTUM] > 0) + (n[RMSPROP_CENTERED] != 0);
    case ADAGRAD: return 1;
    default: return 2;
    }
}

static void begin_optimizer(const Spec *spec, State *state, int64_t padded) {
    state->values[POWER1] = state->values[POWER2] = 1;
    state->values[MOMENTUM_PRODUCT] = state->values[MOMENTUM_POWER] = 1;
    for (int64_t i = 0; i < slot_count(spec) * padded; i++)
        state->slots[i] = spec->optimizer == ADAGRAD ? (real)spec->numbers[ADAGRAD_START] : 0;
}

static void clip(const Spec *spec, int64_t padded, real *g) {
    if (spec->clip_value > 0)
        for (int64_t i = 0; i < padded; i += LANES)
            store(g + i, at_most(at_least(load(g + i), -(real)spec->clip_value), (real)spec->clip_value));
    if (spec->clip_norm > 0) {
        vsum squares = {0};
        for (int64_t i = 0; i < padded; i += LANES)
            squares = plus(squares, load(g + i) * load(g + i));
        real norm = square_root(splat(sum_of(squares)))[0], factor = (real)spec->clip_norm / (norm + (real)1e-6);
        if (factor < 1)
            for (int64_t i = 0; i < padded; i += LANES)
                store(g + i, load(g + i) * splat(factor));
        if (norm != norm) // as torch does: one NaN makes all of them NaN
            for (int64_t i = 0; i < padded; i += LANES)
                store(g + i, splat(norm));
    }
}

#define EACH(body)                                                                                                     \
    for (int64_t i = 0; i < padded; i += LANES) {                                                                      \
        vreal p = load(params + i), g = load(gradient + i);                                                            \
        body store(params + i, p);                                                                                     \
    }

static void sgd(const Spec *spec, State *state, int64_t padded, real *params, const real *gradient) {
    const double *n = spec->numbers;
    const vreal decay = splat((real)n[SGD_DECAY]), momentum = splat((real)n[SGD_MOMENTUM]);
    const vreal undamped = splat((real)(1 - n[SGD_DAMPENING])), rate = splat((real)state->values[RATE]);
    const int first = state->counts[STEPS] == 0, nesterov = n[SGD_NESTEROV] != 0;
    real *buffer = state->slots;
    if (n[SGD_MOMENTUM] == 0) {
        EACH(g = g + decay * p; p = p - rate * g;)
        return;
    }
    EACH(g = g + decay * p; vreal b = first ? g : flush(momentum * load(buffer + i) + undamped * g, TINY);
         store(buffer + i, b); p = p - rate * (nesterov ? g + momentum * b : b);)
}

// A mean of gradients, moved by its rate.
INLINE vreal mean_of(real *slot, vreal g, vreal rate) {
    vreal mean = load(slot);
    mean = flush(mean + rate * (g - mean), TINY);
    store(slot, mean);
    return mean;
}
// A square that overflows stays inf, so that a step is 0, as torch's is; its difference to the next would be NaN.
INLINE vreal square_of(real *slot, vreal g, vreal share, vreal rate) {
    vreal square = load(slot);
    square = flush(share * square + (rate * g) * g, TINY_SQUARE);
    store(slot, square);
    return square;
}

// What adam's kin share: slots 0 (means) and 1 (mean squares), how both move, and the two kinds of weight decay.
typedef struct {
    real *means, *squares;
    vreal rate1, rate2, share2, eps, decay, shrink;
} Moments;

INLINE Moments moments_of(const Spec *spec, const State *state, int64_t padded, int decoupled) {
    const double *n = spec->numbers;
    return (Moments){
        .means = state->slots,
        .squares = state->slots + padded,
        .rate1 = splat((real)(1 - n[ADAM_BETA1])),
        .rate2 = splat((real)(1 - n[ADAM_BETA2])),
        .share2 = splat((real)n[ADAM_BETA2]),
        .eps = splat((real)n[ADAM_EPS]),
        .decay = splat(decoupled ? 0 : (real)n[ADAM_DECAY]),
        .shrink = splat(decoupled ? (real)(1 - state->values[RATE] * n[ADAM_DECAY]) : 1),
    };
}

// For each vector its parameters p, decayed, its gradient g, mean m and mean square s.
#define EACH_MOMENT(body)                                                                                              \
    EACH(p = p * k.shrink; g = g + k.decay * p; vreal m = mean_of(k.means + i, g, k.rate1);                            \
         vreal s = square_of(k.squares + i, g, k.share2, k.rate2); body)

static void adam(const Spec *spec, State *state, int64_t padded, real *params, const real *gradient) {
    const double rest1 = 1 - state->values[POWER1], rest2 = 1 - state->values[POWER2];
    const vreal step = splat((real)(state->values[RATE] / rest1)), root = splat((real)(1 / sqrt(rest2)));
    const Moments k = moments_of(spec, state, padded, spec->optimizer == ADAMW);
    real *largest = k.squares + padded;
    if (spec->numbers[ADAM_AMSGRAD] == 0) {
        EACH_MOMENT(p = p - step * m / (square_root(s) * root + k.eps);)
        return;
    }
    EACH_MOMENT(vreal most = load(largest + i); most = choose(s > most, s, most); store(largest + i, most);
                p = p - step * m / (square_root(most) * root + k.eps);)
}

static void rmsprop(const Spec *spec, State *state, int64_t padded, real *params, const real *gradient) {
    const double *n = spec->numbers;
    const vreal decay = splat((real)n[RMSPROP_DECAY]), rate1 = splat((real)(1 - n[RMSPROP_ALPHA]));
    const vreal share1 = splat((real)n[RMSPROP_ALPHA]);
    const vreal eps = splat((real)n[RMSPROP_EPS]), momentum = splat((real)n[RMSPROP_MOMENTUM]);
    const vreal rate = splat((real)state->values[RATE]);
    const int centered = n[RMSPROP_CENTERED] != 0, moving = n[RMSPROP_MOMENTUM] > 0;
    real *squares = state->slots, *means = squares + padded, *buffer = squares + (1 + centered) * padded;
    EACH(g = g + decay * p; vreal s = square_of(squares + i, g, share1, rate1); if (centered) {
        vreal m = mean_of(means + i, g, rate1);
        s = at_least(s - m * m, 0); // a variance: where rounding alone makes it negative, torch's root is NaN
    } vreal d = g / (square_root(s) + eps);
         if (moving) {
             d = flush(momentum * load(buffer + i) + d, TINY);
             store(buffer + i, d);
         } p = p - rate * d;)
}

static void adagrad(const Spec *spec, State *state, int64_t padded, real *params, const real *gradient) {
    const double *n = spec->numbers;
    const vreal decay = splat((real)n[ADAGRAD_DECAY]), eps = splat((real)n[ADAGRAD_EPS]);
    const vreal rate =
        splat((real)(state->values[RATE] / (1 + (double)state->counts[STEPS] * n[ADAGRAD_RATE_DECAY])));
    real *sums = state->slots;
    EACH(g = g + decay * p; vreal s = load(sums + i) + g * g; store(sums + i, s);
         p = p - rate * g / (square_root(s) + eps);)
}

static void nadam(const Spec *spec, State *state, int64_t padded, real *params, const real *gradient) {
    const double *n = spec->numbers, rate = state->values[RATE];
    // momentum of this step and of the next: beta1 * (1 - .96^(t * momentum_decay) / 2)
    const double base = natural_exponential(n[ADAM_MOMENTUM_DECAY] * natural_logarithm(0.96));
    state->values[MOMENTUM_POWER] *= base;
    const double now = n[ADAM_BETA1] * (1 - 0.5 * state->values[MOMENTUM_POWER]);
    const double then = n[ADAM_BETA1] * (1 - 0.5 * (state->values[MOMENTUM_POWER] * base));
    state->values[MOMENTUM_PRODUCT] *= now;
    const double product = state->values[MOMENTUM_PRODUCT];
    const vreal of_g = splat((real)(rate * (1 - now) / (1 - product)));
    const vreal of_m = splat((real)(rate * then / (1 - product * then)));
    const vreal root = splat((real)(1 / sqrt(1 - state->values[POWER2])));
    const Moments k = moments_of(spec, state, padded, n[ADAM_DECOUPLED] != 0);
    EACH_MOMENT(vreal d = square_root(s) * root + k.eps; p = p - of_g * g / d; p = p - of_m * m / d;)
}

static void radam(const Spec *spec, State *state, int64_t padded, real *params, const real *gradient) {
    const double *n = spec->numbers, rate = state->values[RATE], t = (double)state->counts[STEPS] + 1;
    const double rest1 = 1 - state->values[POWER1], rest2 = 1 - state->values[POWER2];
    const double most = 2 / (1 - n[ADAM_BETA2]) - 1, length = most - 2 * t * state->values[POWER2] / rest2;
    const int rectified = length > 5;
    const double rectification =
        rectified ? sqrt((length - 4) * (length - 2) * most / ((most - 4) * (most - 2) * length)) : 1;
    const vreal step = splat((real)(rate / rest1 * (rectified ? rectification * sqrt(rest2) : 1)));
    const Moments k = moments_of(spec, state, padded, n[ADAM_DECOUPLED] != 0);
    EACH_MOMENT(p = p - step * (rectified ? m / (square_root(s) + k.eps) : m);)
}

// One step of a member's parameters against the gradient, which is clipped in place.
static void update(const Spec *spec, State *state, int64_t padded, real *gradient) {
    real *params = state->params;
    clip(spec, padded, gradient);
    if (spec->optimizer != SGD && spec->optimizer != RMSPROP && spec->optimizer != ADAGRAD) {
        state->values[POWER1] *= spec->numbers[ADAM_BETA1];
        state->values[POWER2] *= spec->numbers[ADAM_BETA2];
    }
    switch (spec->optimizer) {
    case SGD: sgd(spec, state, padded, params, gradient); break;
    case RMSPROP: rmsprop(spec, state, padded, params, gradient); break;
    case ADAGRAD: adagrad(spec, state, padded, params, gradient); break;
    case NADAM: nadam(spec, state, padded, params, gradient); break;
    case RADAM: radam(spec, state, padded, params, gradient); break;
    default: adam(spec, state, padded, params, gradient); break;
    }
    state->counts[STEPS]++;
}

#endif
