#ifndef NEURONSWEEP_ELEMENTARY_H
#define NEURONSWEEP_ELEMENTARY_H
#include "vector.h"
#define LANEWISE(name, expression) INLINE vreal name(vreal x){ vreal y; for(int i=0;i<LANES;i++){ double a=x[i]; y[i]=(real)(expression);} return y; }
LANEWISE(exponential, exp(a)) LANEWISE(exponential_minus_one, expm1(a)) LANEWISE(logarithm, log(a)) LANEWISE(logarithm_of_one_plus, log1p(a))
LANEWISE(hyperbolic_tangent, tanh(a)) LANEWISE(sigmoid, 1/(1+exp(-a))) LANEWISE(error_function, erf(a))
INLINE void error_function_and_gaussian(vreal x, vreal *e, vreal *g){ *e = error_function(x); *g = exponential(-x*x); }
#endif
