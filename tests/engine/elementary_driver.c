// The elementary functions over arrays, for tests. Lengths are multiples of the number of lanes.
#include "elementary.h"

#define OVER_ARRAY(name)                                                                                               \
    void name##_array(const real *x, real *y, long count) {                                                            \
        for (long i = 0; i < count; i += LANES)                                                                        \
            store(y + i, name(load(x + i)));                                                                           \
    }
OVER_ARRAY(exponential)
OVER_ARRAY(exponential_minus_one)
OVER_ARRAY(logarithm)
OVER_ARRAY(logarithm_of_one_plus)
OVER_ARRAY(hyperbolic_tangent)
OVER_ARRAY(sigmoid)
OVER_ARRAY(error_function)
OVER_ARRAY(square_root)

void normal_distribution_array(const real *x, real *density, real *below, long count) {
    for (long i = 0; i < count; i += LANES) {
        vreal part;
        store(density + i, normal_distribution(load(x + i), &part));
        store(below + i, part);
    }
}

#define OVER_DOUBLES(name)                                                                                             \
    void name##_array(const double *x, double *y, long count) {                                                        \
        for (long i = 0; i < count; i++)                                                                               \
            y[i] = name(x[i]);                                                                                         \
    }
OVER_DOUBLES(natural_exponential)
OVER_DOUBLES(natural_logarithm)
OVER_DOUBLES(cosine)
