// Activations and their slopes, as torch.nn.functional defines them.
#ifndef NEURONSWEEP_ACTIVATION_H
#define NEURONSWEEP_ACTIVATION_H

#include "elementary.h"
#include "spec.h"
#include "tile.h"

// y = act(z); where slope is not null, *slope = act'(z), which often shares its work
INLINE vreal activate(const int act, vreal z, vreal *slope) {
    const vreal zero = {0}, one = splat(1);
    vreal y, s;
    switch (act) {
    case RELU:
        if (slope)
            *slope = keep_where(z > zero, one);
        return choose(z > zero, z, choose(z != z, z, zero)); // NaN stays NaN
    case LEAKY_RELU:
        if (slope)
            *slope = choose(z > zero, one, splat((real)0.01));
        return choose(z > zero, z, z * splat((real)0.01));
    case ELU:
        if (slope)
            *slope = choose(z > zero, one, exponential(z));
        return choose(z > zero, z, exponential_minus_one(z));
    case GELU: {
        vreal below, density = normal_distribution(z, &below);
        if (slope)
            *slope = below + z * density;
        return z * below;
    }
    case SILU:
        s = sigmoid(z);
        if (slope)
            *slope = s * (one + z * (one - s));
        return z * s;
    case SOFTPLUS: // torch returns z itself beyond 20
        if (slope)
            *slope = choose(z > splat(20), one, sigmoid(z));
        return choose(z > splat(20), z, logarithm_of_one_plus(exponential(at_most(z, 21))));
    case SIGMOID:
        y = sigmoid(z);
        if (slope)
            *slope = y * (one - y);
        return y;
    case TANH:
        y = hyperbolic_tangent(z);
        if (slope)
            *slope = one - y * y;
        return y;
    case HARDTANH:
        if (slope)
            *slope = keep_where((z > -one) & (z < one), one);
        return at_most(at_least(z, -1), 1);
    default:
        if (slope)
            *slope = one;
        return z;
    }
}

#define ACTIVATE_ROWS(ACT)                                                                                             \
    for (int64_t h = 0; h < H; h++)                                                                                    \
        for (int v = 0; v < V; v++)                                                                                    \
            y[h * ROW + v] = activate(ACT, z[h * ROW + v], with_slope ? &slope[h * ROW + v] : 0);                      \
    break;

// y = act(z) for H rows of V vectors; y may be z. The switch stands outside of the loops.
INLINE void activate_rows(const int V, int act, int64_t H, const vreal *z, vreal *y, vreal *slope,
                          const int with_slope) {
    switch (act) {
    case RELU: ACTIVATE_ROWS(RELU)
    case LEAKY_RELU: ACTIVATE_ROWS(LEAKY_RELU)
    case ELU: ACTIVATE_ROWS(ELU)
    case GELU: ACTIVATE_ROWS(GELU)
    case SILU: ACTIVATE_ROWS(SILU)
    case SOFTPLUS: ACTIVATE_ROWS(SOFTPLUS)
    case SIGMOID: ACTIVATE_ROWS(SIGMOID)
    case TANH: ACTIVATE_ROWS(TANH)
    case HARDTANH: ACTIVATE_ROWS(HARDTANH)
    default: ACTIVATE_ROWS(IDENTITY)
    }
}

INLINE void activate_with_slopes(const int V, int act, int64_t H, const vreal *z, vreal *y, vreal *slope) {
    activate_rows(V, act, H, z, y, slope, 1);
}
INLINE void activate_alone(const int V, int act, int64_t H, const vreal *z, vreal *y) {
    activate_rows(V, act, H, z, y, 0, 0);
}

// y = act(z) for H rows of a tile's vectors, and act'(z) where slope is not null; y may be z.
static void activation(int vectors, int act, int64_t H, const vreal *z, vreal *y, vreal *slope) {
    if (slope) {
        WITH_VECTORS(vectors, activate_with_slopes, act, H, z, y, slope)
    } else {
        WITH_VECTORS(vectors, activate_alone, act, H, z, y)
    }
}

#endif
