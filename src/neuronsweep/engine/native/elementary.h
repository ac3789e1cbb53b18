// exp, expm1, log, log1p, tanh, sigmoid and erf of vectors, with the same bits on every machine.
//
// Every function is a polynomial or a quotient of two after an exact change of the argument, in the order written here;
// lanes take no branches. What is NaN is only ever NaN: its bits are never used as a number.
#ifndef NEURONSWEEP_ELEMENTARY_H
#define NEURONSWEEP_ELEMENTARY_H

#include "scalar.h"
#include "vector.h"

#if REAL_BITS == 32
enum { MANTISSA_BITS = 23, EXPONENT_BIAS = 127 };
#define LN2_HIGH ((real)0x1.63p-1)
#define LN2_LOW ((real)-0x1.bd0106p-13)
#define LOG2_E ((real)0x1.715476p+0)
#define ROUND ((real)0x1.8p23)
#define SMALLEST_NORMAL ((real)0x1p-126)
#define ROOT_OF_HALF_BITS 0x3f3504f3
#else
enum { MANTISSA_BITS = 52, EXPONENT_BIAS = 1023 };
#define LN2_HIGH LN2_HIGH_64
#define LN2_LOW LN2_LOW_64
#define LOG2_E LOG2_E_64
#define ROUND ROUND_64
#define SMALLEST_NORMAL 0x1p-1022
#define ROOT_OF_HALF_BITS 0x3fe6a09e667f3bcd
#endif
#define INFINITE ((real)INFINITY)

// (exp(r) - 1 - r) / r^2 for |r| <= ln(2)/2
INLINE vreal exponential_tail(vreal r) {
#if REAL_BITS == 32
    return (real)0x1.fffffep-2 +
           r * ((real)0x1.5554aap-3 + r * ((real)0x1.55579cp-5 + r * ((real)0x1.122c2cp-7 + r * (real)0x1.6ab6b0p-10)));
#else
    return EXPONENTIAL_TAIL_64(r);
#endif
}

// (log((1 + s) / (1 - s)) - 2 s) / s^3 in z = s^2 for |s| <= (sqrt(2) - 1) / (sqrt(2) + 1)
INLINE vreal logarithm_tail(vreal z) {
#if REAL_BITS == 32
    return (real)0x1.55557ap-1 + z * ((real)0x1.995ec2p-2 + z * (real)0x1.31e404p-2);
#else
    return LOGARITHM_TAIL_64(z);
#endif
}

// x = n ln(2) + r with |r| <= ln(2)/2: returns r; n as an integer in the lowest bits of *whole
INLINE vreal reduced(vreal x, vuint *whole) {
    vreal shifted = x * LOG2_E + ROUND, n = shifted - ROUND;
    *whole = (vuint)shifted;
    return (x - n * LN2_HIGH) - n * LN2_LOW;
}

// 2^(n + offset) for the integer n in the lowest bits of whole; 0 where n + offset is the smallest exponent less one
INLINE vreal power_of_two(vuint whole, int offset) {
    return (vreal)((whole + (unsigned_integer)(EXPONENT_BIAS + offset)) << MANTISSA_BITS);
}

// exp(x). Results below 1.5 times the smallest normal number are 0.
INLINE vreal exponential(vreal x) {
    const real lowest = REAL_BITS == 32 ? (real)-87.5 : (real)-708.5, highest = REAL_BITS == 32 ? (real)89 : (real)710;
    vuint whole;
    vreal r = reduced(at_most(at_least(x, lowest), highest), &whole);
    vreal p = (real)1 + (r + (r * r) * exponential_tail(r));
    // half the power: the largest power of two that exp has is no number yet
    return (p * power_of_two(whole, -1)) * (real)2;
}

// exp(x) - 1
INLINE vreal exponential_minus_one(vreal x) {
    const real lowest = REAL_BITS == 32 ? (real)-25 : (real)-50, highest = REAL_BITS == 32 ? (real)89 : (real)710;
    vuint whole;
    vreal r = reduced(at_most(at_least(x, lowest), highest), &whole);
    vreal p = r + (r * r) * exponential_tail(r), half = power_of_two(whole, -1);
    return with_sign_of((half * p + (half - (real)0.5)) * (real)2, x);
}

// log(f + 1) + n ln(2)
INLINE vreal logarithm_of_parts(vreal f, vreal n) {
    vreal s = f / (f + (real)2), z = s * s, half_square = ((real)0.5 * f) * f;
    return n * LN2_HIGH - ((half_square - (s * (half_square + z * logarithm_tail(z)) + n * LN2_LOW)) - f);
}

// the number n with x = 2^n m and m between sqrt(1/2) and sqrt(2), for normal positive x
INLINE vint binary_exponent(vreal x) {
    vuint from_root = (vuint)x - (unsigned_integer)ROOT_OF_HALF_BITS;
    return (vint)((from_root + ((unsigned_integer)EXPONENT_BIAS << MANTISSA_BITS)) >> MANTISSA_BITS) - EXPONENT_BIAS;
}

// an integer of less than MANTISSA_BITS bits as a number
INLINE vreal as_real(vint n) {
    vreal shifted = {0};
    shifted = shifted + ROUND;
    return (vreal)((vint)shifted + n) - ROUND;
}

// log(x)
INLINE vreal logarithm(vreal x) {
    const real larger = REAL_BITS == 32 ? (real)0x1p25 : (real)0x1p54;
    const real added = REAL_BITS == 32 ? (real)25 : (real)54;
    vreal zero = {0};
    vint denormal = x < splat(SMALLEST_NORMAL);
    vreal normal = choose(denormal, x * larger, x);
    vint exponent = binary_exponent(normal);
    vreal m = (vreal)((vuint)normal - ((vuint)exponent << MANTISSA_BITS));
    vreal n = as_real(exponent) - keep_where(denormal, splat(added));
    vreal y = logarithm_of_parts(m - (real)1, n);
    y = choose(x < splat(INFINITE), y, x);
    return choose(x > zero, y, choose(x == zero, splat(-INFINITE), splat((real)NAN)));
}

// log(1 + x)
INLINE vreal logarithm_of_one_plus(vreal x) {
    const real large = REAL_BITS == 32 ? (real)0x1p60 : (real)0x1p100;
    const real smaller = REAL_BITS == 32 ? (real)0x1p-20 : (real)0x1p-40;
    const real taken = REAL_BITS == 32 ? (real)20 : (real)40;
    vreal zero = {0};
    // from here on 2^-n is a normal number
    vint huge = x > zero + large;
    vreal u = choose(huge, x * smaller, x);
    vint exponent = binary_exponent(u + (real)1);
    // 2^-n (1 + u) - 1: neither product nor difference is rounded where the result is small
    vreal scale = (vreal)((vuint)(EXPONENT_BIAS - exponent) << MANTISSA_BITS);
    vreal f = u * scale + (scale - (real)1);
    vreal y = logarithm_of_parts(f, as_real(exponent) + keep_where(huge, splat(taken)));
    y = with_sign_of(y, x);
    y = choose(x < splat(INFINITE), y, x);
    return choose(x > splat((real)-1), y, choose(x == splat((real)-1), splat(-INFINITE), splat((real)NAN)));
}

// tanh(x)
INLINE vreal hyperbolic_tangent(vreal x) {
    const real lowest = REAL_BITS == 32 ? (real)-25 : (real)-50;
    vuint whole;
    vreal r = reduced(at_least(absolute(x) * (real)-2, lowest), &whole);
    vreal p = r + (r * r) * exponential_tail(r), power = power_of_two(whole, 0);
    vreal e = power * p + (power - (real)1);
    return with_sign_of(e / (e + (real)2), x);
}

// 1 / (1 + exp(-x))
INLINE vreal sigmoid(vreal x) {
    const real lowest = REAL_BITS == 32 ? (real)-40 : (real)-80, highest = REAL_BITS == 32 ? (real)89 : (real)710;
    vuint whole;
    vreal r = reduced(at_most(at_least(-x, lowest), highest), &whole);
    vreal p = (real)1 + (r + (r * r) * exponential_tail(r));
    return (real)1 / (p * power_of_two(whole, 0) + (real)1);
}

// erf(x)
INLINE vreal error_function(vreal x) {
#if REAL_BITS == 32
    vreal c = at_most(at_least(x, (real)-3.93), (real)3.93), u = c * c;
    vreal p = u * (real)2.041833697119286984e-6;
    p = u * (p + (real)2.848089062673280247e-4);
    p = u * (p + (real)3.779909180407210258e-3);
    p = u * (p + (real)0.0527912323361323512);
    p = u * (p + (real)0.1907917142755232957);
    p = p + (real)1.128379145379767134;
    vreal q = u * (real)3.800265224806394187e-5;
    q = u * (q + (real)1.165272477881240231e-3);
    q = u * (q + (real)0.01499805873509392686);
    q = u * (q + (real)0.1142606898174907504);
    q = u * (q + (real)0.5024174742199795489);
    q = q + (real)1;
    return (c * p) / q;
#else
    vreal c = at_most(at_least(x, -5.93), 5.93), u = c * c;
    vreal p = u * 0x1.5da19da6ac5cap-54;
    p = u * (p + 0x1.959e3b6e4db09p-45);
    p = u * (p + 0x1.5c69b591f61a3p-38);
    p = u * (p + 0x1.e7fdacd51af6dp-33);
    p = u * (p + 0x1.1595cb02e64ddp-27);
    p = u * (p + 0x1.9dd61a1294abdp-23);
    p = u * (p + 0x1.1dda779732679p-18);
    p = u * (p + 0x1.fe4fab3a769d1p-15);
    p = u * (p + 0x1.d2ccaa11dafefp-11);
    p = u * (p + 0x1.d21ad71e6c856p-8);
    p = u * (p + 0x1.1253ec998ca36p-4);
    p = u * (p + 0x1.c8a8802c4571cp-3);
    p = p + 0x1.20dd750429b6dp+0;
    vreal q = u * 0x1.3a27894385209p-60;
    q = u * (q + 0x1.5ab7af9d1aa4bp-49);
    q = u * (q + 0x1.3a095c2da7bc6p-41);
    q = u * (q + 0x1.31f63199f7b07p-35);
    q = u * (q + 0x1.7e9fdea30a1bbp-30);
    q = u * (q + 0x1.5f03299a0b48ap-25);
    q = u * (q + 0x1.f2f6a014bf29bp-21);
    q = u * (q + 0x1.1872cbf72a8d7p-16);
    q = u * (q + 0x1.f3948fa25024cp-13);
    q = u * (q + 0x1.5c052069c85e3p-9);
    q = u * (q + 0x1.700a8f0f8ba3cp-6);
    q = u * (q + 0x1.1736ffe840419p-3);
    q = u * (q + 0x1.0fd7a54dc60f5p-1);
    q = q + 0x1.0000000000000p+0;
    return (c * p) / q;
#endif
}

// erf(x) and exp(-x^2)
INLINE void error_function_and_gaussian(vreal x, vreal *erf, vreal *gaussian) {
    *erf = error_function(x);
    *gaussian = exponential(-(x * x));
}

#endif
