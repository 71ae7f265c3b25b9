/* SPDX-License-Identifier: Apache-2.0
 *
 * packing SET
 *
 * Where bits and bytes lie, told by one of them at a time: inputs and weights hold a single 1 (or a single number), and
 * it must come out at the one place that kernels.h gives. No reference takes part.
 */
#include "kernels.h"

#include <stdio.h>
#include <stdlib.h>

enum { MOST_WORDS = 8, MOST = 64 * MOST_WORDS, TILES = 3 };

static const kwsi_kernels_t *tested;

static _Alignas(64) uint64_t weight[MOST * MOST_WORDS], bits[2 * TILES * KWSI_TILE * MOST_WORDS], flip[MOST_WORDS];
static _Alignas(64) uint64_t out[2 * TILES * KWSI_TILE * MOST_WORDS];
static _Alignas(64) int16_t x[TILES * KWSI_TILE * MOST], ones[MOST], most[MOST];

/* Of two inputs differ none, one, ...: values 1, and below 0. */
static const kwsi_affine_t affine = {most, ones, most};

/* Of two planes: what is 1 in both differs in nothing where it is looked for, in the first alone by 1, in the second
 * alone by 2, in neither by 3, and everywhere else by more. With these edges what comes in goes out. */
enum { FIRST = 2, SECOND_ABOVE = 1, SECOND_BELOW = 3 };

static void require(int condition, const char *what, int a, int b) {
    if (!condition) {
        fprintf(stderr, "packing: %s of %s: wrong place for %d, %d\n", what, tested->name, a, b);
        exit(1);
    }
}

static void set_bit(uint64_t *words, int bit) {
    words[bit / 64] |= (uint64_t)1 << (bit % 64);
}

static int is_same(const void *a, const void *b, size_t bytes) {
    return memcmp(a, b, bytes) == 0;
}

/* Output o listens to channel o: what comes in goes out. */
static void identity(int words) {
    memset(weight, 0, sizeof weight);
    for (int o = 0; o < 64 * words; o++) {
        set_bit(weight + o * words, o);
    }
}

static void hot_row(int step, int words, int channel) {
    memset(bits, 0, sizeof bits);
    memset(x, 0, sizeof x);
    memset(out, 0xa5, sizeof out);
    set_bit(bits + step * words, channel);
}

static void check_products(int words) {
    size_t bytes = sizeof *bits * (size_t)(KWSI_TILE * words);
    identity(words);
    for (int channel = 0; channel < 64 * words; channel++) {
        int step = channel % KWSI_TILE;
        hot_row(step, words, channel);
        tested->expand(bits, weight, words, 64 * words, ones, flip, out);
        require(is_same(out, bits, bytes), "expand", step, channel);
        memset(out, 0xa5, bytes);
        tested->project(bits, weight, words, 64 * words, &affine, x, ones, out);
        require(is_same(out, bits, bytes), "project", step, channel);
        for (int i = 0; i < KWSI_TILE * 64 * words; i++) {
            require((x[i] == 1) == (i == KWSI_TILE * channel + step), "project's x", step, channel);
        }
    }
}

/* The middle tap is 1, the others 0. */
static void check_memory(int words) {
    size_t bytes = sizeof *bits * (size_t)(TILES * KWSI_TILE * words);
    memset(weight, 0, sizeof weight);
    memset(weight + 2 * words, 0xff, sizeof *weight * (size_t)words);
    for (int channel = 0; channel < 64 * words; channel++) {
        int step = channel % (TILES * KWSI_TILE), tile = step / KWSI_TILE;
        hot_row(step, words, channel);
        tested->memory(bits, weight, TILES * KWSI_TILE, words, &affine, x, ones, out);
        require(is_same(out, bits, bytes), "memory", step, channel);
        for (int i = 0; i < TILES * KWSI_TILE * 64 * words; i++) {
            int at = (tile * 64 * words + channel) * KWSI_TILE + step % KWSI_TILE;
            require((x[i] == 1) == (i == at), "memory's x", step, channel);
        }
    }
}

/* Edges of `count` outputs of two planes. */
static void fill_edges(int16_t *edges, int count, int first, int above, int below) {
    for (int o = 0; o < count; o++) {
        edges[o] = (int16_t)first;
        edges[count + o] = (int16_t)above;
        edges[2 * count + o] = (int16_t)below;
    }
}

/* The greatest x of a count below `limit`, where the counts of two planes reach `most_count`. */
static int value_below(int limit, int most_count) {
    int shift = 0;
    while (most_count << (shift + 1) <= 1 << 15) {
        shift++;
    }
    return 1 - ((limit - 1) << shift);
}

static void hot_planes(int step, int words, int channel, int planes) {
    memset(bits, 0, sizeof bits);
    memset(x, 0, sizeof x);
    memset(out, 0xa5, sizeof out);
    for (int plane = 0; plane < 2; plane++) {
        if (planes >> plane & 1) {
            set_bit(bits + (2 * step + plane) * words, channel);
        }
    }
}

static void check_two_planes(int words) {
    static _Alignas(64) int16_t below[3 * MOST], threshold[3 * MOST];
    int channels = 64 * words;
    size_t bytes = sizeof *bits * (size_t)(KWSI_TILE * 2 * words);
    for (int channel = 0; channel < channels; channel++) {
        int tile_step = channel % KWSI_TILE, step = channel % (TILES * KWSI_TILE), planes = 1 + channel % 3;
        identity(words);
        hot_planes(tile_step, words, channel, planes);
        fill_edges(below, channels, FIRST, SECOND_ABOVE, SECOND_BELOW);
        tested->expand_two(bits, weight, words, channels, below, flip, out);
        require(is_same(out, bits, bytes), "expand_two", tile_step, channel);
        memset(out, 0xa5, bytes);
        fill_edges(threshold, channels, value_below(FIRST, 3 * channels), value_below(SECOND_ABOVE, 3 * channels),
                   value_below(SECOND_BELOW, 3 * channels));
        tested->project_two(bits, weight, words, channels, &affine, x, threshold, out);
        require(is_same(out, bits, bytes), "project_two", tile_step, channel);
        hot_planes(step, words, channel, planes);
        memset(weight, 0, sizeof weight);
        memset(weight + 2 * words, 0xff, sizeof *weight * (size_t)words);
        fill_edges(threshold, channels, value_below(FIRST, 3 * KWS_KERNEL), value_below(SECOND_ABOVE, 3 * KWS_KERNEL),
                   value_below(SECOND_BELOW, 3 * KWS_KERNEL));
        tested->memory_two(bits, weight, TILES * KWSI_TILE, words, &affine, x, threshold, out);
        require(is_same(out, bits, TILES * bytes), "memory_two", step, channel);
    }
}

/* Tap `time`, `mel` of one output is 1, and so is the one input that it sees from column 1, mel 3 of the output. */
static void check_conv1(int n_mels, int time, int mel, int o) {
    enum { COLUMNS = 2, ROWS = 2 * COLUMNS + 3, ROW = 32 + 256, WORDS = 136 };
    static _Alignas(64) int8_t rows[ROWS][ROW], taps[KWSI_TAPS * KWS_CONV1_CHANNELS];
    static _Alignas(64) uint16_t found[COLUMNS * WORDS], expected[COLUMNS * WORDS];
    const int8_t *pointers[ROWS];
    int words = kwsi_column_words(n_mels), input = 2 * 3 + mel - 2;
    memset(rows, 0, sizeof rows);
    memset(taps, 0, sizeof taps);
    memset(expected, 0, sizeof expected);
    for (int i = 0; i < ROWS; i++) {
        pointers[i] = rows[i];
    }
    taps[(KWS_KERNEL * time + mel) * KWS_CONV1_CHANNELS + o] = 1;
    rows[2 + time][(input % 2 ? 32 + kwsi_half_bytes(n_mels) : 16) + input / 2] = 1;
    expected[words + 2 + 3] = (uint16_t)(1 << o);
    tested->conv1(pointers, COLUMNS, n_mels, taps, ones, found);
    require(is_same(found, expected, sizeof *found * (size_t)(COLUMNS * words)), "conv1", KWS_KERNEL * time + mel, o);
}

/* The same for step 1, mel 1, and one of a tap's 16 channels. Of the outputs, only `o` may fire. */
static void check_conv2(int m, int time, int mel, int channel, int o) {
    enum { STEPS = 2, COLUMNS = 2 * STEPS + 3, WORDS = 136 };
    static _Alignas(64) uint16_t columns[COLUMNS][WORDS], taps[KWS_CONV2_CHANNELS * KWSI_TAPS];
    static _Alignas(64) uint64_t found[STEPS * 32], expected[STEPS * 32];
    static _Alignas(64) int16_t below[KWS_CONV2_CHANNELS];
    const uint16_t *pointers[COLUMNS];
    memset(columns, 0, sizeof columns);
    memset(taps, 0, sizeof taps);
    memset(expected, 0, sizeof expected);
    memset(below, 0, sizeof below);
    for (int i = 0; i < COLUMNS; i++) {
        pointers[i] = columns[i];
    }
    below[o] = 1;
    taps[o * KWSI_TAPS + KWS_KERNEL * time + mel] = (uint16_t)(1 << channel);
    columns[2 + time][2 + mel] = (uint16_t)(1 << channel);
    set_bit(expected + m / 2, 32 + o);
    tested->conv2(pointers, STEPS, m, taps, below, found);
    require(is_same(found, expected, sizeof *found * (size_t)(STEPS * m / 2)), "conv2", 5 * time + mel, o);
}

/* Both convolutions with two planes, the same places. Here the input 1, 2 or 3 passes so many edges; below, each bit of
 * `planes` is one of the planes. */
static void check_conv1_two(int n_mels, int time, int mel, int o, int planes) {
    enum { ROWS = KWS_KERNEL, ROW = 32 + 256, WORDS = 136 };
    static _Alignas(64) int8_t rows[ROWS][ROW], taps[KWSI_TAPS * KWS_CONV1_CHANNELS];
    static _Alignas(64) int16_t threshold[3 * KWS_CONV1_CHANNELS];
    static _Alignas(64) uint16_t found[2 * WORDS], expected[2 * WORDS];
    const int8_t *pointers[ROWS];
    int words = kwsi_column_words(n_mels), input = 2 * 3 + mel - 2;
    memset(rows, 0, sizeof rows);
    memset(taps, 0, sizeof taps);
    memset(expected, 0, sizeof expected);
    for (int i = 0; i < ROWS; i++) {
        pointers[i] = rows[i];
    }
    fill_edges(threshold, KWS_CONV1_CHANNELS, 2, 3, 1);
    taps[(KWS_KERNEL * time + mel) * KWS_CONV1_CHANNELS + o] = 1;
    rows[time][(input % 2 ? 32 + kwsi_half_bytes(n_mels) : 16) + input / 2] = (int8_t)planes;
    expected[2 + 3] = (uint16_t)((planes >> 1) << o);
    expected[words + 2 + 3] = (uint16_t)((planes & 1) << o);
    tested->conv1_two(pointers, 1, n_mels, taps, threshold, found);
    require(is_same(found, expected, sizeof *found * 2 * (size_t)words), "conv1_two", KWS_KERNEL * time + mel, o);
}

static void check_conv2_two(int m, int time, int mel, int channel, int o, int planes) {
    enum { COLUMNS = KWS_KERNEL, WORDS = 136 };
    static _Alignas(64) uint16_t columns[COLUMNS][2 * WORDS], taps[KWS_CONV2_CHANNELS * KWSI_TAPS];
    static _Alignas(64) uint64_t found[2 * 32], expected[2 * 32];
    static _Alignas(64) int16_t below[3 * KWS_CONV2_CHANNELS];
    const uint16_t *pointers[COLUMNS];
    int words = kwsi_column_words(4 * m);
    memset(columns, 0, sizeof columns);
    memset(taps, 0, sizeof taps);
    memset(expected, 0, sizeof expected);
    memset(below, 0, sizeof below);
    for (int i = 0; i < COLUMNS; i++) {
        pointers[i] = columns[i];
    }
    below[o] = FIRST;
    below[KWS_CONV2_CHANNELS + o] = SECOND_ABOVE;
    below[2 * KWS_CONV2_CHANNELS + o] = SECOND_BELOW;
    taps[o * KWSI_TAPS + KWS_KERNEL * time + mel] = (uint16_t)(1 << channel);
    for (int plane = 0; plane < 2; plane++) {
        if (planes >> plane & 1) {
            columns[time][plane * words + 2 + mel] = (uint16_t)(1 << channel);
            set_bit(expected + plane * (m / 2), 32 + o);
        }
    }
    tested->conv2_two(pointers, 1, m, taps, below, found);
    require(is_same(found, expected, sizeof *found * (size_t)m), "conv2_two", 5 * time + mel, o);
}

static void check_quantize(int n_mels) {
    enum { FRAMES = 2 };
    static _Alignas(64) int8_t rows[FRAMES * (32 + 256)];
    float decibels[FRAMES * 256] = {0.0f};
    for (int i = 0; i < FRAMES * n_mels; i++) {
        decibels[i] = (float)(i % 100 + 1);
    }
    memset(rows, 0x55, sizeof rows);
    tested->quantize(decibels, FRAMES, n_mels, 0.0f, 1.0f, rows);
    for (int i = 0; i < FRAMES * n_mels; i++) {
        int mel = i % n_mels, at = (mel % 2 ? 32 + kwsi_half_bytes(n_mels) : 16) + mel / 2;
        at += i / n_mels * kwsi_row_bytes(n_mels);
        require(rows[at] == i % 100 + 1, "quantize", i, rows[at]);
        rows[at] = 0;
    }
    for (int i = 0; i < FRAMES * kwsi_row_bytes(n_mels); i++) {
        require(rows[i] == 0, "quantize's zeros", i, rows[i]);
    }
}

int main(int argc, char **argv) {
    tested = argc == 2 ? kwsi_kernels_named(argv[1]) : NULL;
    if (!tested) {
        fprintf(stderr, "packing: no such set\n");
        return 2;
    }
    for (int i = 0; i < MOST; i++) {
        ones[i] = 1;
        most[i] = INT16_MAX;
    }
    for (int words = 1; words <= MOST_WORDS; words++) {
        check_products(words);
        check_memory(words);
        check_two_planes(words);
    }
    for (int n_mels = 8; n_mels <= 256; n_mels += n_mels < 64 ? 8 : 64) {
        check_quantize(n_mels);
        for (int tap = 0; tap < KWSI_TAPS; tap++) {
            int time = tap / KWS_KERNEL, mel = tap % KWS_KERNEL, o = (tap + n_mels / 8) % 16;
            check_conv1(n_mels, time, mel, o);
            check_conv2(n_mels / 4, time, mel, (o + time) % 16, 2 * o);
            check_conv2(n_mels / 4, time, mel, o, 2 * o + 1);
            check_conv1_two(n_mels, time, mel, o, 1 + tap % 3);
            check_conv2_two(n_mels / 4, time, mel, o, 2 * o + tap % 2, 1 + tap % 3);
        }
    }
    return 0;
}
