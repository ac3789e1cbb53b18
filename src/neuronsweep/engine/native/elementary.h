// exp, expm1, log, log1p, tanh, sigmoid, erf and the normal distribution, of vectors, with the same bits on every
// machine.
//
// Every function is polynomials and at most one division after a change of the argument, in the order written here;
// lanes take no branches. Where an argument is too large or too small for the formula, the result is replaced at the
// end: were the argument limited first, everything would wait for that. What is NaN is only ever NaN: no comparison
// with it is true, and a number made from its bits meets the NaN again before the end.
//
// The coefficients are minimax for the relative error of the function, by Remez' exchange in 60 digits (quotients: in
// 80, from a linearised least squares fit), then rounded from the lowest power up, the rest fitted again each time;
// those of the density in float64 and of erf near 0 in float32 interpolate at Chebyshev's points. "At most 1.5 / 1.0
// units" are the largest errors seen, in units in the last place of float32 / float64, at millions / thousands of
// points of all exponents; tests/engine/test_elementary.py keeps them, against mpmath.
#ifndef NEURONSWEEP_ELEMENTARY_H
#define NEURONSWEEP_ELEMENTARY_H

#include "scalar.h"
#include "vector.h"

#if REAL_BITS == 32
#define EITHER(for_float, for_double) ((real)(for_float))
enum { MANTISSA_BITS = 23, EXPONENT_BIAS = 127 };
#define ROOT_OF_HALF_BITS 0x3f3504f3
#else
#define EITHER(for_float, for_double) ((real)(for_double))
enum { MANTISSA_BITS = 52, EXPONENT_BIAS = 1023 };
#define ROOT_OF_HALF_BITS 0x3fe6a09e667f3bcd
#endif
#define LN2 EITHER(0x1.62e430p-1, 0x1.62e42fefa39efp-1)
#define LN2_HIGH EITHER(0x1.63p-1, LN2_HIGH_64) // ends in zero bits: its product with an exponent is exact
#define LN2_LOW EITHER(-0x1.bd0106p-13, LN2_LOW_64)
#define LOG2_E EITHER(0x1.715476p+0, LOG2_E_64)
// added and taken away again it rounds to an integer, and leaves that integer in the lowest bits in between
#define ROUND EITHER(0x1.8p23, 0x1.8p52)

// 2^n, and 2^-n, for the integer n in the lowest bits of `whole`, which is n + ROUND: from the smallest normal power to
// the largest, and 0 for the exponent below
INLINE vreal power_of_two(vreal whole) {
    return (vreal)(((vuint)whole + (unsigned_integer)EXPONENT_BIAS) << MANTISSA_BITS);
}
INLINE vreal inverse_power_of_two(vreal whole) {
    return (vreal)(((unsigned_integer)EXPONENT_BIAS - (vuint)whole) << MANTISSA_BITS);
}

// r where x = n ln(2) + r and |r| <= ln(2)/2, as exactly as the type allows; n + ROUND is left in *whole
INLINE vreal reduced(vreal x, vreal *whole) {
    *whole = x * LOG2_E + ROUND;
    vreal n = *whole - ROUND;
    return (x - n * LN2_HIGH) - n * LN2_LOW;
}

// exp(r) - 1 for |r| <= ln(2)/2
INLINE vreal reduced_exponential_minus_one(vreal r) {
    vreal u = r * r;
#if REAL_BITS == 32
    // in pairs: as many operations as one after the other, of which more can go on at once
    vreal tail = HORNER3(u, 0x1.fffffep-2f + r * 0x1.5554aap-3f, 0x1.55579cp-5f + r * 0x1.122c9ap-7f, 0x1.6ab400p-10f);
#else
    vreal tail = EXPONENTIAL_TAIL_64(r);
#endif
    return r + u * tail;
}

// size, which has no sign, with that of x
INLINE vreal signed_as(vreal size, vreal x) { return (vreal)((vint)size | ((vint)x & SIGN_BIT)); }

// exp(x), at most 1.5 / 1.0 units off. Results below 1.5 times the smallest normal number are 0.
INLINE vreal exponential(vreal x) {
    vreal whole, r = reduced(x, &whole);
    // half the power: the largest power of two that exp has is no number yet
    vreal y = ((reduced_exponential_minus_one(r) + (real)1) * power_of_two(whole - (real)1)) * (real)2;
    y = choose(x > splat(EITHER(88.8, 709.9)), splat((real)INFINITY), y);
    return keep_where(~(x < splat(EITHER(-87, -708.1))), y);
}

// exp(x) - 1, at most 1.7 / 1.6 units off
INLINE vreal exponential_minus_one(vreal x) {
    vreal whole, r = reduced(x, &whole), half = power_of_two(whole - (real)1);
    vreal y = (half * reduced_exponential_minus_one(r) + (half - (real)0.5)) * (real)2;
    y = choose(x > splat(EITHER(88.8, 709.9)), splat((real)INFINITY), y);
    return with_sign_of(choose(x < splat(EITHER(-25, -50)), splat((real)-1), y), x);
}

// log(1 + f) + n ln(2) for 1 + f between sqrt(1/2) and sqrt(2)
INLINE vreal logarithm_of_parts(vreal f, vreal n) {
    vreal s = f / (f + (real)2), z = s * s, half_square = ((real)0.5 * f) * f;
#if REAL_BITS == 32
    vreal tail = HORNER3(z, 0x1.55557ap-1f, 0x1.995ec2p-2f, 0x1.31e404p-2f);
#else
    vreal tail = LOGARITHM_TAIL_64(z);
#endif
    return n * LN2_HIGH - ((half_square - (s * (half_square + z * tail) + n * LN2_LOW)) - f);
}

// the number n with x = 2^n m and m between sqrt(1/2) and sqrt(2), for normal positive x
INLINE vint binary_exponent(vreal x) {
    vuint from_root = (vuint)x - (unsigned_integer)ROOT_OF_HALF_BITS;
    return (vint)((from_root + ((unsigned_integer)EXPONENT_BIAS << MANTISSA_BITS)) >> MANTISSA_BITS) - EXPONENT_BIAS;
}

// an exponent as a real number
INLINE vreal as_real(vint exponent) { return (vreal)((vint)splat(ROUND) + exponent) - ROUND; }

// y where x is positive and finite; what log is at 0 (-inf), below (NaN), at inf and NaN elsewhere
INLINE vreal where_logarithm_is_finite(vreal x, vreal y) {
    vreal zero = {0};
    y = choose(x < splat((real)INFINITY), y, x);
    return choose(x > zero, y, choose(x == zero, splat((real)-INFINITY), splat((real)NAN)));
}

// log(x), at most 0.8 / 0.8 units off
INLINE vreal logarithm(vreal x) {
    const real larger = EITHER(0x1p25, 0x1p54), steps = EITHER(25, 54);
    vint denormal = x < splat(EITHER(0x1p-126, 0x1p-1022));
    vreal normal = choose(denormal, x * larger, x);
    vint exponent = binary_exponent(normal);
    vreal m = (vreal)((vuint)normal - ((vuint)exponent << MANTISSA_BITS));
    vreal y = logarithm_of_parts(m - (real)1, as_real(exponent) - keep_where(denormal, splat(steps)));
    return where_logarithm_is_finite(x, y);
}

// log(1 + x), at most 1.4 / 1.4 units off
INLINE vreal logarithm_of_one_plus(vreal x) {
    const real smaller = EITHER(0x1p-20, 0x1p-40), steps = EITHER(20, 40);
    vint huge = x > splat(EITHER(0x1p60, 0x1p100));
    vreal u = choose(huge, x * smaller, x); // so that 2^-n is a normal number
    vint exponent = binary_exponent(u + (real)1);
    vreal scale = (vreal)((vuint)(EXPONENT_BIAS - exponent) << MANTISSA_BITS);
    // 2^-n (1 + u) - 1, without the rounding of 1 + u: exact where n is 0, and where the two parts nearly cancel
    vreal f = u * scale + (scale - (real)1);
    vreal y = logarithm_of_parts(f, as_real(exponent) + keep_where(huge, splat(steps)));
    return where_logarithm_is_finite(x + (real)1, with_sign_of(y, x));
}

// log(1 + x) with the same bits for x from 0 to 1
INLINE vreal logarithm_of_one_plus_share(vreal x) {
    vint exponent = binary_exponent(x + (real)1);
    vreal scale = (vreal)((vuint)(EXPONENT_BIAS - exponent) << MANTISSA_BITS);
    return logarithm_of_parts(x * scale + (scale - (real)1), as_real(exponent));
}

// tanh(x), at most 1.7 / 1.8 units off
//
// With |x| = n ln(2)/2 + s and t = tanh(s), exp(-2 |x|) = 2^-n (1 - t) / (1 + t), so tanh(|x|) = a / (a + b) with
// a = (1 - 2^-n) + t (1 + 2^-n) and b = 2 2^-n (1 - t). What a is rounded by matters little where a is the larger.
INLINE vreal hyperbolic_tangent(vreal x) {
    // n is less than the nearest by up to 0.8: for n = 1 a would lose digits where t is far below 0
    vreal size = absolute(x), whole = (size * ((real)2 * LOG2_E) - (real)0.3) + ROUND, n = whole - ROUND;
    vreal s = size - n * ((real)0.5 * LN2), u = s * s;
#if REAL_BITS == 32
    vreal tail = HORNER3(u, -0x1.5554e2p-2f, 0x1.10c980p-3f, -0x1.a0b27ep-5f);
#else
    vreal tail = HORNER7(u, -0x1.55555555553c1p-2, 0x1.11111110cf88dp-3, -0x1.ba1ba14709446p-5, 0x1.664f188a17abdp-6,
                         -0x1.22637c5e99542p-7, 0x1.d42e0cd3f7fe9p-9, -0x1.51bc273a96294p-10);
#endif
    vreal t = s + (s * u) * tail, power = inverse_power_of_two(whole);
    vreal a = ((real)1 - power) + t * ((real)1 + power), b = ((real)1 - t) * (power + power);
    // far out n is no exponent any more, and the quotient no number; there tanh is 1
    return signed_as(choose(size > splat(EITHER(10, 20)), splat((real)1), a / (a + b)), x);
}

// 1 / (1 + exp(-x)), at most 2.0 / 2.0 units off, also where it is small. Results below 2^-127.5 (2^-1023.5) are 0.
INLINE vreal sigmoid(vreal x) {
    vreal whole, r = reduced(-x, &whole), power = power_of_two(whole);
    vreal y = (real)1 / ((power * reduced_exponential_minus_one(r) + (real)1) + power);
    y = choose(x > splat(EITHER(30, 60)), splat((real)1), y);
    return keep_where(~(x < splat(EITHER(-88.37, -709.43))), y);
}

// the standard normal distribution at |x|: its density, and *tail, the part of it that lies beyond
//
// The density is 2^z / sqrt(2 pi) with z = -x^2 log2(e) / 2; the tail is the density times Mills' ratio, a quotient of
// polynomials of |x|. Both are 0 where the density would be less than the smallest normal number.
INLINE vreal normal_density_and_tail(vreal size, vreal *tail) {
    vreal z = (size * size) * ((real)-0.5 * LOG2_E), whole = z + ROUND, r = z - (whole - ROUND);
#if REAL_BITS == 32
    vreal u = r * r;
    vreal p = HORNER4(u, 0x1.988454p-2f + r * 0x1.1b298ep-2f, 0x1.888b04p-4f + r * 0x1.6ac9e8p-6f,
                      0x1.f809cep-9f + r * 0x1.17f66cp-11f, 0x1.4d5ebcp-15f);
    vreal above = HORNER4(size, 0x1.40d931f50a863p+0f, 0x1.89cb9bf15d29ep-1f, 0x1.d12550d77eb32p-3f,
                          0x1.b9441cb8bf88ep-6f);
    vreal below = HORNER5(size, 1.0f, 0x1.695c29fb17060p+0f, 0x1.9d6e826fe025ep-1f, 0x1.ceb61ad25c8d2p-3f,
                          0x1.ba3a5e0cdf63ep-6f);
#else
    vreal p = HORNER12(r, 0x1.9884533d43651p-2, 0x1.1b298eb9c6d6dp-2, 0x1.888bdd65b4676p-4, 0x1.6aca3425f8c56p-6,
                       0x1.f6eefc21a4b6bp-9, 0x1.16e2b4ab1c37ep-11, 0x1.01beb80d57ea0p-14, 0x1.985ad2f35dd44p-18,
                       0x1.1b0c7e064dc36p-21, 0x1.5cca663ea84cdp-25, 0x1.83e1b55df61f6p-29, 0x1.86e73e4044193p-33);
    vreal above = HORNER8(size, 0x1.40d931ff62706p+0, 0x1.70106f06f7a1fp+0, 0x1.a836049c3819bp-1, 0x1.2d1c9da4f9723p-2,
                          0x1.1805ff5976db2p-4, 0x1.52bf936107ef8p-7, 0x1.ed6f4ddf8b390p-11, 0x1.4f77c9129706fp-15);
    vreal below = HORNER9(size, 1.0, 0x1.f1ee622b833adp+0, 0x1.b686fdec4daedp+0, 0x1.ca27da6ff5028p-1,
                          0x1.37a281a218c57p-2, 0x1.1bdf598296d27p-4, 0x1.540fbb7a0fbe3p-7, 0x1.ed6ee611b822fp-11,
                          0x1.4f77e6ca7dd1cp-15);
#endif
    vreal density = p * power_of_two(whole);
    vint normal = ~(size > splat(EITHER(13.2, 37.6)));
    *tail = keep_where(normal, (density * above) / below);
    return keep_where(normal, density);
}

// the standard normal distribution: *below, the part of it below x, and its density at x, which is returned (gelu(x) is
// x *below, and its derivative *below + x density)
//
// As x^2 is rounded before it is raised, the density is at most 1.4 (1 + x^2) units off. *below is off by at
// most 1.3 times the distance from 1 to the next number, and relative to itself by 6e-6 / 4e-15 for x >= -5, and by
// 2e-4 / 2e-7 below.
INLINE vreal normal_distribution(vreal x, vreal *below) {
    vreal zero = {0}, tail, density = normal_density_and_tail(absolute(x), &tail);
    *below = choose(x < zero, tail, (real)1 - tail);
    return density;
}

// erf(x), at most 1.7 / 1.6 units off
INLINE vreal error_function(vreal x) {
    vreal u = x * x, size = absolute(x), tail;
    normal_density_and_tail(size * EITHER(0x1.6a09e6p+0, 0x1.6a09e667f3bcdp+0), &tail);
#if REAL_BITS == 32
    vreal p = HORNER7(u, 0x1.06eba8p-3f, -0x1.81273ep-2f, 0x1.ce2d10p-4f, -0x1.b7fabap-6f, 0x1.541270p-8f,
                      -0x1.a45088p-11f, 0x1.4a5690p-14f);
#else
    vreal p = HORNER11(u, 0x1.06eba8214db68p-3, -0x1.812746b03798bp-2, 0x1.ce2f21a03dd2fp-4, -0x1.b82ce310e2f21p-6,
                       0x1.565bccc5eca4bp-8, -0x1.c02da577a800bp-11, 0x1.f9a1565486e30p-14, -0x1.f4ad21755f09ep-17,
                       0x1.b7fc39985c7d5p-20, -0x1.4fb58f4293d8cp-23, 0x1.6798f60380a47p-27);
#endif
    return choose(size < splat(EITHER(1, 0.8)), x + x * p, with_sign_of((real)1 - (tail + tail), x));
}

#endif
