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

static _Alignas(64) uint64_t weight[MOST * MOST_WORDS], bits[TILES * KWSI_TILE * MOST_WORDS], flip[MOST_WORDS];
static _Alignas(64) uint64_t out[TILES * KWSI_TILE * MOST_WORDS];
static _Alignas(64) int16_t x[TILES * KWSI_TILE * MOST], ones[MOST], most[MOST];

/* Of two inputs differ none, one, ...: values 1, and below 0. */
static const kwsi_affine_t affine = {most, ones, most};

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
    }
    for (int n_mels = 8; n_mels <= 256; n_mels += n_mels < 64 ? 8 : 64) {
        check_quantize(n_mels);
        for (int tap = 0; tap < KWSI_TAPS; tap++) {
            int time = tap / KWS_KERNEL, mel = tap % KWS_KERNEL, o = (tap + n_mels / 8) % 16;
            check_conv1(n_mels, time, mel, o);
            check_conv2(n_mels / 4, time, mel, (o + time) % 16, 2 * o);
            check_conv2(n_mels / 4, time, mel, o, 2 * o + 1);
        }
    }
    return 0;
}
