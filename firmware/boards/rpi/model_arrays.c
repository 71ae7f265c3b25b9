/* SPDX-License-Identifier: Apache-2.0 */
#include "model_arrays.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "arrays are used as they lie in the file");

enum { TAPS = KWS_KERNEL * KWS_KERNEL, TILE = 8, MOST_DIMENSIONS = 4 };
enum { CONV1_HALF = 13, CONV1_HALF_SUM = 255, CLASS_GROUP_SUM = 255 }; /* as kws.h limits the sums */

typedef enum kind { FLOAT32, INT16, INT8, UINT16, UINT64 } kind_t;

static const struct {
    const char *name;
    size_t bytes;
} kinds[] = {[FLOAT32] = {"float32", 4},
             [INT16] = {"int16", 2},
             [INT8] = {"int8", 1},
             [UINT16] = {"uint16", 2},
             [UINT64] = {"uint64", 8}};

/* A walk along the table: every array has its place in it. After a fault, it finds nothing more. */
typedef struct walk {
    json_t table;
    int more;
    const unsigned char *blob;
    size_t size, end; /* of the blob; of the last array found */
    char name[48];    /* of the next array */
    char *why;
    size_t why_size;
    int failed;
} walk_t;

static void fail(walk_t *walk, const char *fault) {
    if (!walk->failed) {
        snprintf(walk->why, walk->why_size, "%s %s", walk->name, fault);
    }
    walk->failed = 1;
}

#if defined(__GNUC__)
__attribute__((format(printf, 2, 3)))
#endif
static walk_t *named(walk_t *walk, const char *format, ...) {
    va_list arguments;
    if (!walk->failed) {
        va_start(arguments, format);
        vsnprintf(walk->name, sizeof walk->name, format, arguments);
        va_end(arguments);
    }
    return walk;
}

/* The `count` integers of a list, 0 where it holds others. */
static int is_shape(json_t *json, const size_t *shape, int count) {
    int n = 0, same = 1;
    for (int more = json_open(json, '['); more && !json->failed; more = json_more(json, ']'), n++) {
        int32_t size = json_integer(json, 0, INT32_MAX);
        same &= n < count && (size_t)size == shape[n];
    }
    return same && n == count;
}

/* The next array, which must be of this kind and shape ({0} ends one), or null after a failure. */
static const void *find(walk_t *walk, kind_t kind, const size_t shape[MOST_DIMENSIONS]) {
    const char *name = "", *dtype = "";
    int same_shape = 0, dimensions = 0;
    int32_t offset = -1;
    size_t bytes = kinds[kind].bytes;
    if (walk->failed) {
        return NULL;
    }
    while (dimensions < MOST_DIMENSIONS && shape[dimensions]) {
        bytes *= shape[dimensions++];
    }
    json_t *entry = &walk->table;
    for (int more = walk->more && json_open(entry, '{'); more && !entry->failed; more = json_more(entry, '}')) {
        const char *key = json_key(entry);
        if (strcmp(key, "name") == 0) {
            name = json_text(entry);
        } else if (strcmp(key, "dtype") == 0) {
            dtype = json_text(entry);
        } else if (strcmp(key, "shape") == 0) {
            same_shape = is_shape(entry, shape, dimensions);
        } else if (strcmp(key, "offset") == 0) {
            offset = json_integer(entry, 0, INT32_MAX);
        } else {
            json_skip(entry);
        }
    }
    if (!walk->more || entry->failed || strcmp(name, walk->name) != 0) {
        fail(walk, "is not where it belongs in the table of arrays");
    } else if (strcmp(dtype, kinds[kind].name) != 0 || !same_shape) {
        fail(walk, "is not of the type and shape that the model's sizes give it");
    } else if (offset < 0 || offset % KWS_ALIGN || (size_t)offset < walk->end || bytes > walk->size ||
               (size_t)offset > walk->size - bytes) {
        fail(walk, "lies outside the file, over another array or unaligned");
    }
    if (walk->failed) {
        return NULL;
    }
    walk->end = (size_t)offset + bytes;
    walk->more = json_more(entry, ']');
    return walk->blob + offset;
}

static const void *bits(walk_t *walk, size_t rows, size_t words) {
    size_t shape[MOST_DIMENSIONS] = {rows, words};
    return find(walk, UINT64, shape);
}

/* int16 [count] or [rows][count], each of which lies in least..most. */
static const int16_t *numbers(walk_t *walk, size_t rows, size_t count, int32_t least, int32_t most) {
    size_t all = (rows ? rows : 1) * count;
    size_t shape[MOST_DIMENSIONS] = {rows ? rows : count, rows ? count : 0};
    const int16_t *found = find(walk, INT16, shape);
    for (size_t i = 0; found && i < all; i++) {
        if (found[i] < least || found[i] > most) {
            fail(walk, "holds a value out of range");
            return NULL;
        }
    }
    return found;
}

/* Slopes and scales: the engine multiplies by what is not INT16_MIN. */
static const int16_t *factors(walk_t *walk, size_t count) {
    return numbers(walk, 0, count, -INT16_MAX, INT16_MAX);
}

static const int16_t *any(walk_t *walk, size_t rows, size_t count) {
    return numbers(walk, rows, count, INT16_MIN, INT16_MAX);
}

/* float32 [count] or [rows][count], finite and at least `least`. */
static const float *floats(walk_t *walk, size_t rows, size_t count, float least) {
    size_t all = (rows ? rows : 1) * count;
    size_t shape[MOST_DIMENSIONS] = {rows ? rows : count, rows ? count : 0};
    const float *found = find(walk, FLOAT32, shape);
    for (size_t i = 0; found && i < all; i++) {
        if (!isfinite(found[i]) || found[i] < least) {
            fail(walk, "holds a value out of range");
            return NULL;
        }
    }
    return found;
}

static int magnitude(int8_t value) {
    return value < 0 ? -value : value;
}

static const int8_t *conv1_weight(walk_t *walk) {
    size_t shape[MOST_DIMENSIONS] = {TAPS, KWS_CONV1_CHANNELS};
    const int8_t *found = find(walk, INT8, shape);
    for (int o = 0; found && o < KWS_CONV1_CHANNELS; o++) {
        int sums[2] = {0, 0};
        for (int tap = 0; tap < TAPS; tap++) {
            sums[tap >= CONV1_HALF] += magnitude(found[tap * KWS_CONV1_CHANNELS + o]);
        }
        if (sums[0] > CONV1_HALF_SUM || sums[1] > CONV1_HALF_SUM) {
            fail(walk, "holds magnitudes that add up to more than the engine's sums hold");
        }
    }
    return found;
}

static const uint16_t *conv2_weight(walk_t *walk) {
    size_t shape[MOST_DIMENSIONS] = {KWS_CONV2_CHANNELS, TAPS};
    return find(walk, UINT16, shape);
}

/* [n_classes][tiles][C][TILE steps], of which those from `steps` on are 0. */
static const int8_t *class_weight(walk_t *walk, size_t classes, size_t steps, size_t channels) {
    size_t tiles = (steps + TILE - 1) / TILE;
    size_t shape[MOST_DIMENSIONS] = {classes, tiles, channels, TILE};
    const int8_t *at = find(walk, INT8, shape), *found = at;
    for (size_t class = 0; found && class < classes; class++) {
        for (size_t i = 0; i < tiles * channels * TILE; i++, at++) {
            size_t step = i / (channels * TILE) * TILE + i % TILE;
            if (step >= steps && *at != 0) {
                fail(walk, "holds weights beyond its last step");
            }
            if (i % 64 < 16 &&
                magnitude(at[0]) + magnitude(at[16]) + magnitude(at[32]) + magnitude(at[48]) > CLASS_GROUP_SUM) {
                fail(walk, "holds magnitudes that add up to more than the engine's sums hold");
            }
        }
    }
    return found;
}

static void find_block(walk_t *walk, const kws_model_t *model, int index, kws_block_t *block) {
    size_t c = (size_t)model->channels, h = (size_t)model->hidden, edges = (size_t)(2 * model->planes - 1);
    block->memory_weight = bits(named(walk, "block%d_memory_weight", index), KWS_KERNEL, c / 64);
    block->expand_weight = bits(named(walk, "block%d_expand_weight", index), h, c / 64);
    block->project_weight = bits(named(walk, "block%d_project_weight", index), c, h / 64);
    block->memory_input = any(named(walk, "block%d_memory_input", index), edges, c);
    block->memory_slope = factors(named(walk, "block%d_memory_slope", index), c);
    block->expand_input = any(named(walk, "block%d_expand_input", index), edges, c);
    block->project_slope = factors(named(walk, "block%d_project_slope", index), c);
}

static void find_pass(walk_t *walk, const kws_model_t *model, int delta, int index, kws_pass_t *pass) {
    size_t c = (size_t)model->channels, h = (size_t)model->hidden, edges = (size_t)(2 * model->planes - 1);
    size_t flip[MOST_DIMENSIONS] = {h / 64};
    int32_t most = (int32_t)(edges * c) + 1;
    pass->memory_scale = factors(named(walk, "pass_d%d_%d_memory_scale", delta, index), c);
    pass->memory_bias = any(named(walk, "pass_d%d_%d_memory_bias", delta, index), 0, c);
    pass->expand_below = numbers(named(walk, "pass_d%d_%d_expand_below", delta, index), edges, h, 0, most);
    pass->expand_flip = find(named(walk, "pass_d%d_%d_expand_flip", delta, index), UINT64, flip);
    pass->project_scale = factors(named(walk, "pass_d%d_%d_project_scale", delta, index), c);
    pass->project_bias = any(named(walk, "pass_d%d_%d_project_bias", delta, index), 0, c);
}

int model_arrays_find(model_file_t *file, json_t table, const unsigned char *blob, size_t size, char *why,
                      size_t why_size) {
    kws_model_t *model = &file->model;
    walk_t walk = {.table = table, .blob = blob, .size = size, .why = why, .why_size = why_size};
    walk_t *w = &walk;
    size_t c = (size_t)model->channels, classes = (size_t)model->n_classes, edges = (size_t)(2 * model->planes - 1);
    size_t steps = (size_t)model->frontend->frames / 4, mels = (size_t)model->frontend->n_mels / 4;
    int32_t most = (int32_t)edges * TAPS * KWS_CONV1_CHANNELS + 1;

    walk.more = json_open(&walk.table, '[');
    model->word_threshold = floats(named(w, "word_threshold"), (size_t)model->n_depths, (size_t)model->n_words, 0.0f);
    model->conv1_weight = conv1_weight(named(w, "conv1_weight"));
    model->conv1_threshold = numbers(named(w, "conv1_threshold"), edges, KWS_CONV1_CHANNELS, -INT16_MAX, INT16_MAX);
    model->conv2_weight = conv2_weight(named(w, "conv2_weight"));
    model->conv2_below = numbers(named(w, "conv2_below"), edges, KWS_CONV2_CHANNELS, 0, most);
    model->linear_weight = bits(named(w, "linear_weight"), c, mels / 2);
    model->linear_scale = factors(named(w, "linear_scale"), c);
    model->linear_bias = any(named(w, "linear_bias"), 0, c);
    model->linear_slope = factors(named(w, "linear_slope"), c);
    for (int i = 0; i < model->n_blocks; i++) {
        find_block(w, model, i, &file->blocks[i]);
    }
    kws_pass_t *pass = file->passes;
    for (int i = 0; i < model->n_depths; i++) {
        kws_depth_t *depth = &file->depths[i];
        for (int k = 0; k < depth->n_passes; k++) {
            find_pass(w, model, depth->delta, k, pass++);
        }
        depth->class_scale = floats(named(w, "depth_d%d_class_scale", depth->delta), 0, classes, -HUGE_VALF);
        depth->class_bias = floats(named(w, "depth_d%d_class_bias", depth->delta), 0, classes, -HUGE_VALF);
    }
    model->class_weight = class_weight(named(w, "class_weight"), classes, steps, c);
    if (walk.more || walk.end + (KWS_ALIGN - walk.end % KWS_ALIGN) % KWS_ALIGN != size) {
        fail(w, "is not the last thing in the file");
    }
    return !walk.failed;
}
