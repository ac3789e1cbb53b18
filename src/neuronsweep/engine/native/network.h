// The network of one member: where its parameters lie, its forward pass and its gradients.
//
// A hidden layer is linear -> norm -> act -> dropout; with skip every hidden layer after the first adds its input.
// Parameters lie in the order of torch's: weight and bias of each linear layer, then gamma and beta of each norm.
#ifndef NEURONSWEEP_NETWORK_H
#define NEURONSWEEP_NETWORK_H

#include <stdlib.h>

#include "activation.h"
#include "linear.h"
#include "loss.h"
#include "norm.h"
#include "philox.h"

// Samples whose activations are held at once, but for batch norm, which needs all of a batch: they fit a cache.
enum { CHUNK = 16 * TILE };

typedef struct {
    int64_t weight, bias, gamma, beta; // positions in the parameters; bias -1 where there is none
    int64_t running;                   // position in the buffers
} Place;

typedef struct {
    const Spec *spec;
    Place *places;       // one a layer
    int64_t parameters, padded, buffers;
    int64_t widest;      // units of the widest layer, the inputs included
    int64_t capacity;    // samples of a chunk
    int64_t gathered, ahead; // the first batch in x and y, and how many they hold
    vreal *x, *y;        // batches that were gathered, in tiles
    vreal **outputs;     // of each layer: what the next one reads
    vreal **slopes;      // of each layer: d outputs / d normed
    vreal **normed;      // of each hidden layer with a norm: x of norm.h
    vreal **scales;      // of each hidden layer with a layer norm: one row a tile
    real **unit_scales;  // of each hidden layer with a batch norm
    vreal *g, *gy, *next; // gradients by linear outputs, by a layer's outputs, by those before
    vsum *partial;
    vreal *predicted;    // outputs of a chunk in evaluation mode
    vreal *mask;         // four rows of dropout's factors
    real *gradient;      // padded
    real *before;        // parameters before the last step of a log epoch, where diagnostics ask for it
    int32_t *order;
} Workspace;

// Numbers of an array of parameters: full vectors of the longest kind, the same on every processor.
static int64_t padded(int64_t numbers) {
    const int64_t most = 64 / (int64_t)sizeof(real);
    return (numbers + most - 1) / most * most;
}

static void find_places(const Spec *spec, Place *places, int64_t *parameters, int64_t *buffers) {
    int64_t at = 0, buffer = 0;
    for (int i = 0; i < spec->layers; i++) {
        places[i].weight = at;
        at += (int64_t)spec->widths[i] * spec->widths[i + 1];
        places[i].bias = spec->bias ? at : -1;
        at += spec->bias ? spec->widths[i + 1] : 0;
    }
    for (int i = 0; i < spec->layers - 1; i++) {
        places[i].gamma = at;
        places[i].beta = at + spec->widths[i + 1];
        at += spec->norm == NO_NORM ? 0 : 2 * spec->widths[i + 1];
        places[i].running = buffer;
        buffer += spec->norm == BATCH_NORM ? 2 * spec->widths[i + 1] : 0;
    }
    *parameters = at;
    *buffers = buffer;
}

// Takes bytes from a block of memory, or only counts them where there is no block yet.
static void *take(char *block, int64_t *used, int64_t bytes) {
    void *at = block ? block + *used : 0;
    *used += (bytes + 63) / 64 * 64;
    return at;
}

static int64_t lay_out(Workspace *w, const Spec *spec, char *block) {
    int64_t used = 0, layers = spec->layers;
    const int64_t pointers = layers * (int64_t)sizeof(void *);
    w->spec = spec;
    w->places = take(block, &used, layers * (int64_t)sizeof(Place));
    w->outputs = take(block, &used, pointers);
    w->slopes = take(block, &used, pointers);
    w->normed = take(block, &used, pointers);
    w->scales = take(block, &used, pointers);
    w->unit_scales = take(block, &used, pointers);
    w->widest = spec->widths[0];
    for (int i = 1; i <= layers; i++)
        w->widest = spec->widths[i] > w->widest ? spec->widths[i] : w->widest;
    int64_t samples = spec->batch_size;
    // evaluation and diagnostics go through a chunk, too
    w->capacity = samples < CHUNK && spec->norm != BATCH_NORM && !spec->diagnostics ? samples : CHUNK;
    if (spec->norm == BATCH_NORM && samples > CHUNK)
        w->capacity = samples;
    const int64_t row = ROW * (int64_t)sizeof(vreal), tiles = tiles_of(w->capacity), batch = tiles_of(samples);
    w->ahead = batch * TILE < CHUNK ? CHUNK / TILE / batch : 1;
    const int targets = spec->loss < BINARY ? spec->widths[layers] : 1;
    const int64_t gathered = samples < spec->splits[0].n ? w->ahead * batch : 0; // a full batch is read where it is
    w->x = take(block, &used, gathered * spec->widths[0] * row);
    w->y = take(block, &used, gathered * targets * row);
    for (int i = 0; i < layers; i++) {
        int64_t H = spec->widths[i + 1], hidden = i < layers - 1;
        vreal *outputs = take(block, &used, tiles * H * row), *slopes = take(block, &used, tiles * H * row);
        vreal *normed = hidden && spec->norm ? take(block, &used, tiles * H * row) : 0;
        vreal *scales = hidden && spec->norm == LAYER_NORM ? take(block, &used, tiles * row) : 0;
        real *unit_scales = hidden && spec->norm == BATCH_NORM ? take(block, &used, H * (int64_t)sizeof(real)) : 0;
        if (block) {
            w->outputs[i] = outputs;
            w->slopes[i] = slopes;
            w->normed[i] = normed;
            w->scales[i] = scales;
            w->unit_scales[i] = unit_scales;
        }
    }
    w->g = take(block, &used, tiles * w->widest * row);
    w->gy = take(block, &used, tiles * w->widest * row);
    w->next = take(block, &used, tiles * w->widest * row);
    w->partial = take(block, &used, partials_for(w->widest) * (int64_t)sizeof(vsum));
    w->predicted = take(block, &used, CHUNK / TILE * spec->widths[layers] * row);
    w->mask = take(block, &used, 4 * row);
    w->order = take(block, &used, spec->splits[0].n * (int64_t)sizeof(int32_t));
    if (block)
        find_places(spec, w->places, &w->parameters, &w->buffers);
    else {
        Place places[1024];
        Place *enough = layers <= 1024 ? places : malloc((size_t)layers * sizeof(Place));
        if (!enough)
            return -1;
        find_places(spec, enough, &w->parameters, &w->buffers);
        if (enough != places)
            free(enough);
    }
    w->padded = padded(w->parameters);
    w->gradient = take(block, &used, w->padded * (int64_t)sizeof(real));
    w->before = take(block, &used, w->padded * (int64_t)sizeof(real));
    return used;
}

// A workspace for a member; free(*block) ends it. Returns 0 where there is no memory.
static int make_workspace(Workspace *w, const Spec *spec, void **block) {
    int64_t bytes = lay_out(w, spec, 0);
    if (bytes < 0)
        return 0;
    *block = malloc((size_t)bytes + 64);
    if (!*block)
        return 0;
    memset(*block, 0, (size_t)bytes + 64); // lanes that nobody fills must not hold NaN
    char *aligned = (char *)(((uintptr_t)*block + 63) / 64 * 64);
    lay_out(w, spec, aligned);
    return 1;
}

// Multiplies outputs and slopes (H rows) of one tile by dropout's factors: 0, or 1 / (1 - p).
static void drop(const Workspace *w, int layer, uint32_t epoch, int64_t first, int vectors, vreal *y, vreal *slope) {
    const Spec *spec = w->spec;
    const int64_t H = spec->widths[layer + 1];
    const uint64_t threshold = (uint64_t)(spec->dropout * 4294967296.0);
    const real factor = (real)(1 / (1 - spec->dropout));
    for (uint32_t block = 0; block * 4 < H; block++) {
        for (int64_t s = 0; s < vectors * LANES; s += TOGETHER) {
            uint64_t words[4][TOGETHER];
            // the upper half of a block's number, which is 0 in layers of ordinary width, is beside the purpose
            philox(spec->seed, (uint32_t)(first + s), (block & 0xffff) | (uint32_t)layer << 16, epoch,
                   DROPOUT | block >> 16 << 1, words);
            for (int unit = 0; unit < 4; unit++)
                for (int i = 0; i < TOGETHER; i++)
                    ((real *)(w->mask + unit * ROW))[s + i] = words[unit][i] >= threshold ? factor : 0;
        }
        for (int unit = 0; unit < 4 && block * 4 + unit < H; unit++)
            for (int v = 0; v < vectors; v++) {
                int64_t at = (block * 4 + unit) * ROW + v;
                y[at] = y[at] * w->mask[unit * ROW + v];
                slope[at] = slope[at] * w->mask[unit * ROW + v];
            }
    }
}

// The forward pass of a chunk of samples, with all that its gradients need.
//
// training: batch norm's means are the batch's, and dropout drops; first is the position in the epoch of the chunk.
static void forward(Workspace *w, const real *params, real *buffers, int64_t samples, const vreal *x, int training,
                    uint32_t epoch, int64_t first) {
    const Spec *spec = w->spec;
    const int64_t tiles = tiles_of(samples);
    for (int i = 0; i < spec->layers; i++) {
        const Place *at = &w->places[i];
        const int64_t D = spec->widths[i], H = spec->widths[i + 1];
        const int hidden = i < spec->layers - 1, norm = hidden ? spec->norm : NO_NORM;
        const real *bias = at->bias < 0 ? 0 : params + at->bias;
        const vreal *input = i ? w->outputs[i - 1] : x;
        for (int64_t t = 0; t < tiles; t++)
            affine(vectors_in(samples, t), H, D, params + at->weight, bias, input + t * D * ROW,
                   w->outputs[i] + t * H * ROW);
        if (norm == BATCH_NORM)
            batch_norm(samples, H, w->outputs[i], params + at->gamma, params + at->beta, buffers + at->running,
                       !training, w->normed[i], w->unit_scales[i]);
        for (int64_t t = 0; t < tiles; t++) {
            const int vectors = vectors_in(samples, t);
            vreal *y = w->outputs[i] + t * H * ROW, *slope = w->slopes[i] + t * H * ROW;
            if (norm == LAYER_NORM)
                layer_norm(vectors, H, y, params + at->gamma, params + at->beta, w->normed[i] + t * H * ROW,
                           w->scales[i] + t * ROW);
            activation(vectors, spec->acts[i], H, y, y, slope);
            if (hidden && training && spec->dropout > 0)
                drop(w, i, epoch, first + t * TILE, vectors, y, slope);
            if (hidden && spec->skip && i)
                for (int64_t h = 0; h < H; h++)
                    for (int v = 0; v < vectors; v++)
                        y[h * ROW + v] = y[h * ROW + v] + input[(t * D + h) * ROW + v];
        }
    }
}

// Adds a chunk's gradients of the loss, times scale, to w->gradient; forward has been called for the chunk.
static void backward(Workspace *w, const real *params, int64_t samples, const vreal *x, const vreal *y, int training,
                     real scale) {
    const Spec *spec = w->spec;
    const int64_t tiles = tiles_of(samples);
    const int last = spec->layers - 1;
    const int64_t K = spec->widths[last + 1], targets = spec->loss < BINARY ? K : 1;
    for (int64_t t = 0; t < tiles; t++)
        for (int v = 0, vectors = vectors_in(samples, t); v < vectors; v++)
            loss_gradient(spec, samples, t, v, w->outputs[last] + t * K * ROW, y + t * targets * ROW, scale,
                          w->gy + t * K * ROW);
    for (int i = last; i >= 0; i--) {
        const Place *at = &w->places[i];
        const int64_t D = spec->widths[i], H = spec->widths[i + 1];
        const int hidden = i < last, norm = hidden ? spec->norm : NO_NORM;
        const vreal *input = i ? w->outputs[i - 1] : x;
        const int plain = spec->acts[i] == IDENTITY && !(hidden && training && spec->dropout > 0);
        for (int64_t t = 0; t < tiles; t++)
            for (int64_t h = 0; h < H; h++)
                for (int v = 0, vectors = vectors_in(samples, t); v < vectors; v++) {
                    int64_t k = (t * H + h) * ROW + v;
                    w->g[k] = plain ? w->gy[k] : w->gy[k] * w->slopes[i][k];
                }
        if (norm)
            norm_weights_gradient(samples, H, w->g, w->normed[i], w->gradient + at->gamma, w->gradient + at->beta);
        if (norm == BATCH_NORM)
            batch_norm_gradient(samples, H, w->g, params + at->gamma, !training, w->normed[i], w->unit_scales[i]);
        if (norm == LAYER_NORM)
            for (int64_t t = 0; t < tiles; t++)
                layer_norm_gradient(vectors_in(samples, t), H, w->g + t * H * ROW, params + at->gamma,
                                    w->normed[i] + t * H * ROW, w->scales[i] + t * ROW);
        weight_gradient(samples, H, D, (const vsum *)w->g, (const vsum *)input, w->partial, w->gradient + at->weight,
                        at->bias < 0 ? 0 : w->gradient + at->bias);
        if (!i)
            break;
        for (int64_t t = 0; t < tiles; t++) {
            const int vectors = vectors_in(samples, t);
            vreal *next = w->next + t * D * ROW;
            input_gradient(vectors, H, D, params + at->weight, w->g + t * H * ROW, next);
            if (hidden && spec->skip)
                for (int64_t h = 0; h < H; h++)
                    for (int v = 0; v < vectors; v++)
                        next[h * ROW + v] = next[h * ROW + v] + w->gy[(t * H + h) * ROW + v];
        }
        vreal *free_now = w->gy;
        w->gy = w->next;
        w->next = free_now;
    }
}

#endif
