#ifndef NEURONSWEEP_SCALAR_H
#define NEURONSWEEP_SCALAR_H
#include <math.h>
static inline double natural_exponential(double x){return exp(x);} static inline double natural_logarithm(double x){return log(x);} static inline double cosine(double x){return cos(x);}
#endif
