// What Python hands over: the member, its data and the state of its training. engine/layout.py mirrors these structs.
#ifndef NEURONSWEEP_SPEC_H
#define NEURONSWEEP_SPEC_H

#include "vector.h"

// The numbers of these enums are the positions of their names in the tuples of engine/layout.py.
enum Activation { IDENTITY, RELU, LEAKY_RELU, ELU, GELU, SILU, SOFTPLUS, SIGMOID, TANH, HARDTANH };
enum Norm { NO_NORM, BATCH_NORM, LAYER_NORM };
enum Loss { SQUARED, ABSOLUTE, HUBER, QUANTILE, BINARY, MULTICLASS };
enum Optimizer { SGD, ADAM, ADAMW, RMSPROP, ADAGRAD, NADAM, RADAM };
enum Schedule { CONSTANT, STEP, EXPONENTIAL, COSINE, PLATEAU, WARMUP, ONE_CYCLE };

// One split: inputs and targets by sample, and the same in tiles (see tile.h). A class is its number.
typedef struct {
    int64_t n;
    const real *x, *y;             // n x inputs; n x outputs of a regression, else n
    const real *tiled_x, *tiled_y; // tiles of n rounded up to full tiles
} Split;

// The member: constant while it is trained.
typedef struct {
    const int32_t *widths; // layers + 1: inputs, hidden units, outputs
    const int32_t *acts;   // layers, the last is out_act
    const Split *splits;   // the first is train
    const double *class_weights; // one a class, or null
    const int32_t *log_epochs;   // ascending, the last is the last epoch
    const uint8_t *moments;      // of each log epoch whether its weights are kept
    uint64_t seed;
    int64_t batch_size;          // at most n
    int32_t layers;              // linear layers, the output layer included
    int32_t bias, norm, skip;
    int32_t split_count, loss, optimizer, schedule;
    int32_t log_count;
    int32_t metric;              // column of the objective in a row of metrics, -1 where it is not one of them
    int32_t maximize, keep_best, diagnostics;
    int32_t patience;            // log points, 0: no early stopping
    double min_delta;
    double dropout;
    double loss_number;          // huber's delta, the quantile
    double clip_norm, clip_value; // 0: no clipping
    double rate;                 // the optimiser's lr
    double numbers[8];           // of the optimiser, see optimizer.h
    double schedule_numbers[8];  // of the schedule, see schedule.h
} Spec;

// State: all that training goes on from. Arrays are Python's; parameters are padded by zeros to full vectors.
enum Count { EPOCH, BATCH, STEPS, LOGGED, KEPT, STOPPED, BAD_COLUMN, PLATEAU_BAD, PLATEAU_COOLING, WAITED, COUNTS };
enum Number { RATE, POWER1, POWER2, MOMENTUM_PRODUCT, MOMENTUM_POWER, PLATEAU_BEST, STOPPING_BEST, BEST, NUMBERS };
typedef struct {
    int64_t *counts;
    double *values;
    real *params, *slots; // slots: slot_count(spec) x padded parameters
    real *buffers;        // batch norm's running means and variances: for each hidden layer means, then variances
    real *best, *best_buffers;
    double *history;      // log_count rows of columns(spec)
    real *kept;           // weights (and buffers behind them) at the log epochs that ``moments`` names
} State;

#endif
