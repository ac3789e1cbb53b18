// exp, log and cos of one double, with the same bits on every machine (unlike a C library's): for learning rate
// schedules and other numbers that are computed once a step, in the build for float32 as well as in that for float64.
//
// The polynomials are shared with the vectors of doubles in elementary.h.
#ifndef NEURONSWEEP_SCALAR_H
#define NEURONSWEEP_SCALAR_H

#include <math.h>
#include <stdint.h>
#include <string.h>

static inline uint64_t bits_of_double(double x) {
    uint64_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

static inline double double_of_bits(uint64_t bits) {
    double x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

// ln 2 as a sum. The first part ends in 21 zero bits, so its product with an exponent is exact.
#define LN2_HIGH_64 0x1.62e42feep-1
#define LN2_LOW_64 0x1.a39ef35793c76p-33
#define LOG2_E_64 0x1.71547652b82fep+0
// added and taken away again it rounds to an integer (to even), and leaves that integer in the lowest bits in between
#define ROUND_64 0x1.8p52

// polynomials of 2 to 12 coefficients, that of the lowest power first
#define HORNER2(x, c, last) ((c) + (x) * (last))
#define HORNER3(x, c, ...) ((c) + (x) * HORNER2(x, __VA_ARGS__))
#define HORNER4(x, c, ...) ((c) + (x) * HORNER3(x, __VA_ARGS__))
#define HORNER5(x, c, ...) ((c) + (x) * HORNER4(x, __VA_ARGS__))
#define HORNER6(x, c, ...) ((c) + (x) * HORNER5(x, __VA_ARGS__))
#define HORNER7(x, c, ...) ((c) + (x) * HORNER6(x, __VA_ARGS__))
#define HORNER8(x, c, ...) ((c) + (x) * HORNER7(x, __VA_ARGS__))
#define HORNER9(x, c, ...) ((c) + (x) * HORNER8(x, __VA_ARGS__))
#define HORNER10(x, c, ...) ((c) + (x) * HORNER9(x, __VA_ARGS__))
#define HORNER11(x, c, ...) ((c) + (x) * HORNER10(x, __VA_ARGS__))
#define HORNER12(x, c, ...) ((c) + (x) * HORNER11(x, __VA_ARGS__))

// (exp(r) - 1 - r) / r^2 for |r| <= ln(2)/2
#define EXPONENTIAL_TAIL_64(r)                                                                                         \
    HORNER11(r, 0.5, 0x1.5555555555559p-3, 0x1.5555555555558p-5, 0x1.111111110f706p-7, 0x1.6c16c16c171dfp-10,          \
             0x1.a01a01afa5fd0p-13, 0x1.a01a019b71ce6p-16, 0x1.71ddf90ce3296p-19, 0x1.27e4fd88c80cep-22,               \
             0x1.af5d6fe47d7cap-26, 0x1.1f34110cdc166p-29)

// (log((1 + s) / (1 - s)) - 2 s) / s^3 as a polynomial of z = s^2, for |s| <= (sqrt(2) - 1) / (sqrt(2) + 1)
#define LOGARITHM_TAIL_64(z)                                                                                           \
    HORNER7(z, 0x1.5555555555593p-1, 0x1.999999997f970p-2, 0x1.2492494236953p-2, 0x1.c71c51caea4f7p-3,                 \
            0x1.74664ccfd6f62p-3, 0x1.39a03a42eed1ep-3, 0x1.2f15760914f16p-3)

// exp(x), at most 1.0 units in the last place off
static inline double natural_exponential(double x) {
    if (x != x)
        return x;
    if (x > 710.0)
        return (double)INFINITY;
    if (x < -746.0)
        return 0.0;
    double n = (x * LOG2_E_64 + ROUND_64) - ROUND_64;
    double r = (x - n * LN2_HIGH_64) - n * LN2_LOW_64;
    double p = 1.0 + (r + (r * r) * EXPONENTIAL_TAIL_64(r));
    // in two factors: 2^n itself may be too large or too small for a normal number
    int64_t whole = (int64_t)n, half = whole / 2;
    p = p * double_of_bits((uint64_t)(1023 + half) << 52);
    return p * double_of_bits((uint64_t)(1023 + (whole - half)) << 52);
}

// log(x), at most 0.8 units in the last place off
static inline double natural_logarithm(double x) {
    if (x != x || x == (double)INFINITY)
        return x;
    if (x == 0)
        return -(double)INFINITY;
    if (x < 0)
        return (double)NAN;
    double n = 0;
    if (x < 0x1p-1022) {
        x = x * 0x1p54;
        n = -54;
    }
    // x = 2^n * m with m between sqrt(1/2) and sqrt(2)
    uint64_t from_root = bits_of_double(x) - bits_of_double(0x1.6a09e667f3bcdp-1);
    uint64_t exponent = (from_root + ((uint64_t)1023 << 52)) >> 52;
    n = n + ((double)exponent - 1023.0);
    double m = double_of_bits(bits_of_double(x) - ((exponent - 1023) << 52));
    double f = m - 1.0, s = f / (2.0 + f), z = s * s, half_square = (0.5 * f) * f;
    return n * LN2_HIGH_64 - ((half_square - (s * (half_square + z * LOGARITHM_TAIL_64(z)) + n * LN2_LOW_64)) - f);
}

// cos(x), at most 0.8 units in the last place off for |x| <= 3 million: of more than 2^21 quarter turns the products
// below are not exact. NaN beyond a thousand million, where the reduction has no digits left.
static inline double cosine(double x) {
    double size = x < 0 ? -x : x;
    if (!(size < 1e9))
        return (double)NAN;
    // pi/2 as a sum: the first two parts have 31 bits, so their products with n are exact
    double n = (size * 0x1.45f306dc9c883p-1 + ROUND_64) - ROUND_64;
    double a = size - n * 0x1.921fb544p0, b = n * 0x1.0b4611a6p-34;
    double sum = a - b, rest = ((a - sum) - b) - n * 0x1.3198a2e037073p-69;
    double r = sum + rest, low = (sum - r) + rest; // size - n pi/2 to twice a double's digits
    double z = r * r;
    int64_t quadrant = (int64_t)n & 3;
    double y;
    if (quadrant & 1) {
        double tail = HORNER6(z, -0x1.5555555555549p-3, 0x1.111111110f89cp-7, -0x1.a01a019c141cbp-13,
                              0x1.71de3578f0698p-19, -0x1.ae5e66a7c1de8p-26, 0x1.5d93026e8a2bfp-33);
        y = r + (low * (1.0 - 0.5 * z) + (z * r) * tail);
    } else {
        double tail = HORNER6(z, 0x1.555555555554bp-5, -0x1.6c16c16c1500dp-10, 0x1.a01a019c8dd22p-16,
                              -0x1.27e4f7f0508f1p-22, 0x1.1ee9dacc00ac5p-29, -0x1.8fa5ecd9c6df2p-37);
        double half = 0.5 * z, one = 1.0 - half;
        y = one + (((1.0 - one) - half) + ((z * z) * tail - r * low));
    }
    return quadrant == 1 || quadrant == 2 ? -y : y;
}

#endif
