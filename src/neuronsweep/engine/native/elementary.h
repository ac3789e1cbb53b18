// exp, expm1, log, log1p, tanh, sigmoid, erf and the normal distribution, of vectors, with the same bits on every
// machine.
//
// Every function is polynomials and at most one division after a change of the argument, in the order written here;
// lanes take no branches. What is NaN is only ever NaN: its bits are never used as a number.
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

// exp(x). Results below 1.5 times the smallest normal number are 0.
INLINE vreal exponential(vreal x) {
    vreal whole, r = reduced(at_most(at_least(x, EITHER(-87.5, -708.5)), EITHER(89, 710)), &whole);
    // half the power: the largest power of two that exp has is no number yet
    return ((reduced_exponential_minus_one(r) + (real)1) * power_of_two(whole - (real)1)) * (real)2;
}

// exp(x) - 1
INLINE vreal exponential_minus_one(vreal x) {
    vreal whole, r = reduced(at_most(at_least(x, EITHER(-25, -50)), EITHER(89, 710)), &whole);
    vreal half = power_of_two(whole - (real)1);
    return with_sign_of((half * reduced_exponential_minus_one(r) + (half - (real)0.5)) * (real)2, x);
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

// log(x)
INLINE vreal logarithm(vreal x) {
    const real larger = EITHER(0x1p25, 0x1p54), steps = EITHER(25, 54);
    vint denormal = x < splat(EITHER(0x1p-126, 0x1p-1022));
    vreal normal = choose(denormal, x * larger, x);
    vint exponent = binary_exponent(normal);
    vreal m = (vreal)((vuint)normal - ((vuint)exponent << MANTISSA_BITS));
    vreal y = logarithm_of_parts(m - (real)1, as_real(exponent) - keep_where(denormal, splat(steps)));
    return where_logarithm_is_finite(x, y);
}

// log(1 + x)
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

// tanh(x)
//
// With |x| = n ln(2)/2 + s and e = exp(-2 |x|) = 2^-n (1 - t) / (1 + t), where t = tanh(s),
// (1 - e) / (1 + e) = ((1 - 2^-n) + t (1 + 2^-n)) / ((1 + 2^-n) + t (1 - 2^-n)).
INLINE vreal hyperbolic_tangent(vreal x) {
    vreal size = absolute(x), whole = size * ((real)2 * LOG2_E) + ROUND, n = whole - ROUND;
    vreal s = size - n * ((real)0.5 * LN2), u = s * s;
#if REAL_BITS == 32
    vreal tail = HORNER2(u, -0x1.554fecp-2f, 0x1.0c8048p-3f);
#else
    vreal tail = HORNER6(u, -0x1.55555555554bbp-2, 0x1.11111110e04e9p-3, -0x1.ba1ba115e90eap-5, 0x1.664ec94f409f4p-6,
                         -0x1.223c4eacdc280p-7, 0x1.c37c5f4c32fdep-9);
#endif
    vreal t = s + (s * u) * tail, power = inverse_power_of_two(whole);
    vreal less = (real)1 - power, more = (real)1 + power;
    // far out n is no exponent any more, and the quotient no number; there tanh is 1
    vreal quotient = (less + t * more) / (more + t * less);
    return with_sign_of(choose(size > splat(EITHER(10, 20)), splat((real)1), quotient), x);
}

// 1 / (1 + exp(-x))
//
// With x = n ln(2) + r and t = tanh(r / 2), exp(x) = 2^n (1 + t) / (1 - t). Everything is multiplied by 27/32, so that
// 1 + t and 1 - t are below 1, where they are rounded less.
INLINE vreal sigmoid(vreal x) {
    vreal whole, r = reduced(at_most(at_least(x, EITHER(-88, -709)), EITHER(30, 60)), &whole), v = r * r;
#if REAL_BITS == 32
    vreal t = r * HORNER3(v, 0x1.affffcp-2f, -0x1.1ff71ap-5f, 0x1.c34372p-9f);
#else
    vreal t = r * HORNER7(v, 0x1.bp-2, -0x1.1ffffffffff08p-5, 0x1.cccccccc4e4f5p-9, -0x1.75074fbc3f24cp-12,
                          0x1.2e5263ed1a164p-15, -0x1.e9bc1a92923fdp-19, 0x1.7c22f16678658p-22);
#endif
    vreal above = ((real)0.84375 + t) * power_of_two(whole), below = (real)0.84375 - t;
    return above / (above + below);
}

// the standard normal distribution at |x|: its density, and *tail, the part of it that lies beyond
//
// The density is 2^z / sqrt(2 pi) with z = -x^2 log2(e) / 2; the tail is the density times Mills' ratio, a quotient of
// polynomials of |x|.
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
    vreal p = HORNER11(r, 0x1.9884533d43651p-2, 0x1.1b298eb9c6d8ep-2, 0x1.888bdd65b4504p-4, 0x1.6aca3425ee429p-6,
                       0x1.f6eefc21ff002p-9, 0x1.16e2b4c8a961ep-11, 0x1.01beb7921dc2cp-14, 0x1.985a4bd362013p-18,
                       0x1.1b0d903078ffap-21, 0x1.5dd818f9dd5a6p-25, 0x1.823736b421074p-29);
    vreal above = HORNER8(size, 0x1.40d931ff62706p+0, 0x1.70106f06f7a1fp+0, 0x1.a836049c3819bp-1, 0x1.2d1c9da4f9723p-2,
                          0x1.1805ff5976db2p-4, 0x1.52bf936107ef8p-7, 0x1.ed6f4ddf8b390p-11, 0x1.4f77c9129706fp-15);
    vreal below = HORNER9(size, 1.0, 0x1.f1ee622b833adp+0, 0x1.b686fdec4daedp+0, 0x1.ca27da6ff5028p-1,
                          0x1.37a281a218c57p-2, 0x1.1bdf598296d27p-4, 0x1.540fbb7a0fbe3p-7, 0x1.ed6ee611b822fp-11,
                          0x1.4f77e6ca7dd1cp-15);
#endif
    vreal density = p * power_of_two(whole);
    *tail = (density * above) / below;
    return density;
}

// the standard normal distribution: *below, the part of it below x, and its density at x, which is returned
INLINE vreal normal_distribution(vreal x, vreal *below) {
    vreal zero = {0}, tail, density = normal_density_and_tail(at_most(absolute(x), EITHER(13.27, 37.66)), &tail);
    *below = choose(x < zero, tail, (real)1 - tail);
    return density;
}

// erf(x)
INLINE vreal error_function(vreal x) {
    vreal u = x * x, size = absolute(x), tail;
    normal_density_and_tail(at_most(size * EITHER(0x1.6a09e6p+0, 0x1.6a09e667f3bcdp+0), EITHER(6, 9)), &tail);
#if REAL_BITS == 32
    vreal p = HORNER5(u, 0x1.06eba0p-3f, -0x1.81253ap-2f, 0x1.cd87f6p-4f, -0x1.a6ba6ep-6f, 0x1.7043f2p-9f);
#else
    vreal p = HORNER9(u, 0x1.06eba8214db69p-3, -0x1.812746b03794ap-2, 0x1.ce2f21a034712p-4, -0x1.b82ce30a7ec9ep-6,
                      0x1.565bcacb47e7cp-8, -0x1.c02cfd26e84cbp-11, 0x1.f9814d2cfc165p-14, -0x1.f12c6694c2a7cp-17,
                      0x1.836887a826027p-20);
#endif
    return choose(size < splat((real)0.5), x + x * p, with_sign_of((real)1 - (tail + tail), x));
}

#endif
