// Vectors of numbers, and what one may do with them.
//
// Everything is elementwise or in a written order, so gcc and clang give the same bits at every optimisation level and
// for every instruction set: a vector may be as long as the processor's registers, because sums over it are taken in
// the lanes of a shorter one that is the same on every processor. The build forbids contraction (-ffp-contract=off) and never allows -ffast-math.
#ifndef NEURONSWEEP_VECTOR_H
#define NEURONSWEEP_VECTOR_H

#include <math.h>
#include <stdint.h>
#include <string.h>

#if REAL_BITS == 32
typedef float real;
typedef int32_t integer;
typedef uint32_t unsigned_integer;
#elif REAL_BITS == 64
typedef double real;
typedef int64_t integer;
typedef uint64_t unsigned_integer;
#else
#error "REAL_BITS is 32 or 64"
#endif

#if defined(__AVX512DQ__) && defined(__AVX512VL__)
#define VECTOR_BYTES 64
#else
#define VECTOR_BYTES 32
#endif
#define SUM_BYTES 32
enum { LANES = VECTOR_BYTES / (REAL_BITS / 8), SUM_LANES = SUM_BYTES / (REAL_BITS / 8) };

typedef real vreal __attribute__((vector_size(VECTOR_BYTES)));
typedef integer vint __attribute__((vector_size(VECTOR_BYTES)));
typedef unsigned_integer vuint __attribute__((vector_size(VECTOR_BYTES)));
typedef real vsum __attribute__((vector_size(SUM_BYTES), may_alias));
// the same vectors where their address is a multiple of a number's size only
typedef real vreal_anywhere __attribute__((vector_size(VECTOR_BYTES), aligned(REAL_BITS / 8), may_alias));
typedef real vsum_anywhere __attribute__((vector_size(SUM_BYTES), aligned(REAL_BITS / 8), may_alias));

#define INLINE static inline __attribute__((always_inline))
#define OUTLINE __attribute__((noinline))

INLINE vreal load(const real *at) { return *(const vreal_anywhere *)at; }
INLINE void store(real *at, vreal x) { *(vreal_anywhere *)at = x; }

INLINE vreal splat(real x) {
    vreal zero = {0};
    return x - zero; // x - 0 is x for every x, -0 and NaN included
}

// where a mask (a comparison's result: all bits set or none) is true a, elsewhere b
INLINE vreal choose(vint mask, vreal a, vreal b) { return (vreal)((mask & (vint)a) | (~mask & (vint)b)); }
INLINE vreal keep_where(vint mask, vreal a) { return (vreal)(mask & (vint)a); }

#define SIGN_BIT ((integer)((unsigned_integer)1 << (REAL_BITS - 1)))
INLINE vreal absolute(vreal x) { return (vreal)((vint)x & ~SIGN_BIT); }
INLINE vreal with_sign_of(vreal size, vreal sign) { return (vreal)(((vint)size & ~SIGN_BIT) | ((vint)sign & SIGN_BIT)); }

// NaN in x stays NaN: every comparison with it is false
INLINE vreal at_least(vreal x, real low) { return choose(x < splat(low), splat(low), x); }
INLINE vreal at_most(vreal x, real high) { return choose(x > splat(high), splat(high), x); }

// the square root of each lane is correctly rounded on every processor
INLINE vreal square_root(vreal x) {
    vreal y;
    for (int lane = 0; lane < LANES; lane++)
        y[lane] = REAL_BITS == 32 ? (real)sqrtf((float)x[lane]) : (real)sqrt((double)x[lane]);
    return y;
}

// sum, and what a vector has for its lanes: the numbers of a longer vector one part after the other
INLINE vsum plus(vsum sum, vreal x) {
    for (int part = 0; part < VECTOR_BYTES / SUM_BYTES; part++)
        sum = sum + ((const vsum *)&x)[part];
    return sum;
}

// the sum of all lanes, always in this order
INLINE real sum_of(vsum x) {
#if REAL_BITS == 32
    return ((x[0] + x[4]) + (x[2] + x[6])) + ((x[1] + x[5]) + (x[3] + x[7]));
#else
    return (x[0] + x[2]) + (x[1] + x[3]);
#endif
}

#endif
