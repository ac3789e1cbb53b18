// A program around the native engine: trains the members of a file one after another and prints a digest of all numbers
// that each ends with. Without Python, so that it can be built for any processor and run under any emulator or
// sanitizer. tests/engine/driver.py writes the file: 8-byte numbers of this machine, whole ones and doubles.
#include <stdio.h>

#include "member.c"

static FILE *file;

static int64_t whole(void) {
    int64_t value;
    if (fread(&value, sizeof value, 1, file) != 1)
        abort();
    return value;
}

static double number(void) { return double_of_bits((uint64_t)whole()); }

// Memory of exactly so many numbers at the address of a cache line.
static void *array(int64_t count, size_t size) {
    void *at;
    if (posix_memalign(&at, 64, (size_t)count * size))
        abort();
    memset(at, 0, (size_t)count * size);
    return at;
}

static int32_t *wholes(int64_t count) {
    int32_t *values = array(count, sizeof(int32_t));
    for (int64_t i = 0; i < count; i++)
        values[i] = (int32_t)whole();
    return values;
}

static real *reals(int64_t count) {
    real *values = array(count, sizeof(real));
    for (int64_t i = 0; i < count; i++)
        values[i] = (real)number();
    return values;
}

static uint64_t digest; // FNV-1a of the bytes of doubles; every NaN counts as the same

static void absorb(double value) {
    uint64_t bits = value != value ? 0x7ff8000000000000u : bits_of_double(value);
    for (int i = 0; i < 8; i++)
        digest = (digest ^ (bits >> 8 * i & 255)) * 0x100000001b3u;
}

static void absorb_reals(int64_t count, const real *values) {
    for (int64_t i = 0; i < count; i++)
        absorb((double)values[i]);
}

static real *tiled(int64_t n, int64_t width, const real *values) {
    real *tiles = array(tiles_of(n) * TILE * width, sizeof(real));
    fill_tiles(n, width, values, tiles);
    return tiles;
}

// One member; paused: its training is left and entered again after every few steps.
static void train(int paused) {
    Spec spec = {0};
    spec.layers = (int32_t)whole();
    spec.widths = wholes(spec.layers + 1);
    spec.acts = wholes(spec.layers);
    spec.loss = (int32_t)whole();
    spec.split_count = (int32_t)whole();
    Split *splits = array(spec.split_count, sizeof(Split));
    const int64_t D = spec.widths[0], K = spec.widths[spec.layers], targets = spec.loss < BINARY ? K : 1;
    for (int i = 0; i < spec.split_count; i++) {
        const int64_t n = whole();
        const real *x = reals(n * D), *y = reals(n * targets);
        splits[i] = (Split){n, x, y, tiled(n, D, x), tiled(n, targets, y)};
    }
    spec.splits = splits;
    const int64_t weights = whole();
    double *class_weights = array(weights, sizeof(double));
    for (int64_t i = 0; i < weights; i++)
        class_weights[i] = number();
    spec.class_weights = weights ? class_weights : 0;
    spec.log_count = (int32_t)whole();
    spec.log_epochs = wholes(spec.log_count);
    uint8_t *moments = array(spec.log_count, 1);
    int64_t kept = 0;
    for (int i = 0; i < spec.log_count; i++)
        kept += moments[i] = (uint8_t)whole();
    spec.moments = moments;
    spec.seed = (uint64_t)whole();
    spec.batch_size = whole();
    int32_t *rest[] = {&spec.bias,   &spec.norm,     &spec.skip,      &spec.optimizer,   &spec.schedule,
                       &spec.metric, &spec.maximize, &spec.keep_best, &spec.diagnostics, &spec.patience};
    for (size_t i = 0; i < sizeof rest / sizeof *rest; i++)
        *rest[i] = (int32_t)whole();
    double *numbers[] = {&spec.min_delta, &spec.dropout,    &spec.loss_number,
                         &spec.clip_norm, &spec.clip_value, &spec.rate};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        *numbers[i] = number();
    for (int i = 0; i < 8; i++)
        spec.numbers[i] = number();
    for (int i = 0; i < 8; i++)
        spec.schedule_numbers[i] = number();

    int64_t size[5];
    if (sizes(&spec, size) != DONE || whole() != size[0])
        abort();
    State state = {
        .counts = array(COUNTS, sizeof(int64_t)),
        .values = array(NUMBERS, sizeof(double)),
        .params = array(size[1], sizeof(real)),
        .slots = array(size[2] * size[1], sizeof(real)),
        .buffers = array(size[3], sizeof(real)),
        .best = array(spec.keep_best ? size[1] : 0, sizeof(real)),
        .best_buffers = array(spec.keep_best ? size[3] : 0, sizeof(real)),
        .history = array(spec.log_count * size[4], sizeof(double)),
        .kept = array(kept * (size[0] + size[3]), sizeof(real)),
    };
    for (int64_t i = 0; i < size[0]; i++)
        state.params[i] = (real)number();
    for (int64_t i = 0; i < size[3]; i++)
        state.buffers[i] = (real)number();
    begin(&spec, &state, size[1]);
    const int32_t stop = 0;
    int answer;
    do
        answer = advance(&spec, &state, &stop, paused ? 0 : 1e9, paused > 1);
    while (answer == PAUSED || answer == LOG_POINT);

    double *found = array((int64_t)spec.split_count * FINAL_METRICS, sizeof(double));
    if (finish(&spec, state.params, state.buffers, found) != DONE)
        abort();
    real *outputs = array(splits[0].n * K, sizeof(real));
    if (predict(&spec, state.params, state.buffers, 0, outputs) != DONE)
        abort();
    digest = 0xcbf29ce484222325u;
    for (int i = 0; i < COUNTS; i++)
        absorb((double)state.counts[i]);
    absorb_reals(size[0], state.params);
    absorb_reals(size[3], state.buffers);
    absorb_reals(spec.keep_best ? size[0] : 0, state.best);
    absorb_reals(kept * (size[0] + size[3]), state.kept);
    for (int64_t i = 0; i < spec.log_count * size[4]; i++)
        absorb(state.history[i]);
    for (int64_t i = 0; i < spec.split_count * FINAL_METRICS; i++)
        absorb(found[i]);
    absorb_reals(splits[0].n * K, outputs);
    printf("%s %016llx\n", answer == DONE ? "done" : "diverged", (unsigned long long)digest);

    for (int i = 0; i < spec.split_count; i++) {
        free((void *)splits[i].x);
        free((void *)splits[i].y);
        free((void *)splits[i].tiled_x);
        free((void *)splits[i].tiled_y);
    }
    void *all[] = {splits,       (void *)spec.widths, (void *)spec.acts, class_weights,      (void *)spec.log_epochs,
                   moments,      state.counts,        state.values,      state.params,       state.slots,
                   state.buffers, state.best,         state.best_buffers, state.history,     state.kept,
                   found,        outputs};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        free(all[i]);
}

int main(int count, char **words) {
    if (count != 2 || !(file = fopen(words[1], "rb")))
        return 2;
    for (int64_t i = 0, members = whole(); i < members; i++)
        train((int)(i % 3));
    fclose(file);
    return 0;
}
