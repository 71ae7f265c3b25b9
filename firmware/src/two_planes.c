/* SPDX-License-Identifier: Apache-2.0 */
#include "two_planes.h"

#include "lanes.h"

/* Which operator of one plane it is made of: that of the set that this source is compiled for. */
#ifndef CONV1
#define CONV1 kwsi_conv1_portable
#endif

void kwsi_conv1_two(const int8_t *const *rows, int columns, int n_mels, const int8_t *weight, const int16_t *threshold,
                    uint16_t *bits) {
    enum { MOST_WORDS = 256 / 2 + 8 }; /* kwsi_column_words of the most mels */
    uint16_t above[MOST_WORDS], below[MOST_WORDS];
    int words = kwsi_column_words(n_mels);
    for (int column = 0; column < columns; column++, bits += 2 * words) {
        CONV1(rows + 2 * column, 1, n_mels, weight, threshold, bits);
        CONV1(rows + 2 * column, 1, n_mels, weight, threshold + KWS_CONV1_CHANNELS, above);
        CONV1(rows + 2 * column, 1, n_mels, weight, threshold + 2 * KWS_CONV1_CHANNELS, below);
        for (int i = 0; i < words; i++) {
            bits[words + i] = (uint16_t)((bits[i] & above[i]) | (~bits[i] & below[i]));
        }
    }
}

/* Word `word` of both planes of eight rows of `words` words a plane. */
static void store(uint64_t *out, int words, int word, const uint64_t first[KWSI_TILE],
                  const uint64_t second[KWSI_TILE]) {
    for (int row = 0; row < KWSI_TILE; row++) {
        out[2 * row * words + word] = first[row];
        out[(2 * row + 1) * words + word] = second[row];
    }
}

/* x [channels][8], threshold [3][channels] -> out [8][2][channels / 64]; x >= t is x < t turned round. */
static void sign(const int16_t *x, const int16_t *threshold, int channels, uint64_t *out) {
    uint64_t first[KWSI_TILE], second[KWSI_TILE];
    for (int c = 0; c < channels; c += KWSI_LANES) {
        kwsi_compare_lanes((const kwsi_lanes_t *)(x + c * KWSI_TILE), KWSI_LANES, threshold + c, channels, UINT64_MAX,
                           first, second);
        store(out, channels / 64, c / 64, first, second);
    }
}

void kwsi_conv2_two(const uint16_t *const *columns, int steps, int m, const uint16_t *weight, const int16_t *below,
                    uint64_t *bits) {
    /* 25 taps of 16 channels fill six words and a quarter; the rest of the seventh differs nowhere. */
    enum { OUTPUTS = KWS_CONV2_CHANNELS, WORDS = 7, TAP_BYTES = 2 * KWSI_TAPS };
    uint64_t rows[KWSI_TILE * 2 * WORDS] = {0}, weights[OUTPUTS * WORDS] = {0};
    uint64_t first[KWSI_TILE], second[KWSI_TILE];
    kwsi_lanes_t sums[OUTPUTS];
    int words = m / 2;
    for (int o = 0; o < OUTPUTS; o++) {
        memcpy(weights + o * WORDS, weight + o * KWSI_TAPS, TAP_BYTES);
    }
    memset(bits, 0, sizeof *bits * (size_t)(steps * 2 * words));
    for (int step = 0; step < steps; step++, bits += 2 * words) {
        for (int from = 0; from < m; from += KWSI_TILE) {
            int mels = m - from < KWSI_TILE ? m - from : KWSI_TILE;
            for (int i = 0; i < 2 * mels; i++) {
                uint16_t patch[KWSI_TAPS];
                kwsi_patch_of_plane(columns + 2 * step, kwsi_column_words(4 * m), i % 2, from + i / 2, patch);
                memcpy(rows + i * WORDS, patch, TAP_BYTES);
            }
            kwsi_count_lanes(rows, weights, WORDS, OUTPUTS, sums);
            kwsi_compare_lanes((const kwsi_lanes_t *)sums, OUTPUTS, below, OUTPUTS, 0, first, second);
            for (int i = 0; i < mels; i++) {
                int word = (from + i) / 2, shift = OUTPUTS * ((from + i) % 2);
                bits[word] |= first[i] << shift;
                bits[words + word] |= second[i] << shift;
            }
        }
    }
}

void kwsi_expand_two(const uint64_t *bits, const uint64_t *weight, int words, int outputs, const int16_t *below,
                     const uint64_t *flip, uint64_t *out) {
    kwsi_lanes_t sums[KWSI_LANES];
    uint64_t first[KWSI_TILE], second[KWSI_TILE];
    for (int o = 0; o < outputs; o += KWSI_LANES) {
        kwsi_count_lanes(bits, weight + o * words, words, KWSI_LANES, sums);
        kwsi_compare_lanes((const kwsi_lanes_t *)sums, KWSI_LANES, below + o, outputs, flip[o / 64], first, second);
        store(out, outputs / 64, o / 64, first, second);
    }
}

void kwsi_project_two(const uint64_t *bits, const uint64_t *weight, int words, int outputs, const kwsi_affine_t *affine,
                      int16_t *x, const int16_t *threshold, uint64_t *out) {
    kwsi_lanes_t sums[KWSI_LANES];
    int shift = kwsi_shift(3 * 64 * words);
    for (int o = 0; o < outputs; o += KWSI_LANES) {
        kwsi_count_lanes(bits, weight + o * words, words, KWSI_LANES, sums);
        kwsi_residual_lanes((const kwsi_lanes_t *)sums, KWSI_LANES, shift, affine, o, x + o * KWSI_TILE);
    }
    if (threshold) {
        sign(x, threshold, outputs, out);
    }
}

/* Differing taps of 64 channels at one step as four-bit sums: twice the first plane's three bits, and the second's. */
static void count_taps(const uint64_t *bits, const uint64_t *weight, int steps, int words, int step, int word,
                       uint64_t sums[4][KWSI_TILE]) {
    uint64_t p[3], q[3], taps[2][KWS_KERNEL], weights[KWS_KERNEL];
    for (int k = 0; k < KWS_KERNEL; k++) {
        int at = step + k - KWS_KERNEL / 2, is_inside = at >= 0 && at < steps;
        taps[0][k] = is_inside ? bits[2 * at * words + word] : 0;
        taps[1][k] = is_inside ? bits[(2 * at + 1) * words + word] : 0;
        weights[k] = weight[k * words + word];
    }
    kwsi_memory_planes(taps[0], weights, KWS_KERNEL, 1, KWS_KERNEL / 2, 0, p);
    kwsi_memory_planes(taps[1], weights, KWS_KERNEL, 1, KWS_KERNEL / 2, 0, q);
    uint64_t carry = q[1] & p[0], half = q[2] ^ p[1];
    int lane = step % KWSI_TILE;
    sums[0][lane] = q[0];
    sums[1][lane] = q[1] ^ p[0];
    sums[2][lane] = half ^ carry;
    sums[3][lane] = p[2] ^ ((q[2] & p[1]) | (half & carry));
}

void kwsi_memory_two(const uint64_t *bits, const uint64_t *weight, int steps, int words, const kwsi_affine_t *affine,
                     int16_t *x, const int16_t *threshold, uint64_t *out) {
    kwsi_lanes_t sums[KWSI_LANES];
    uint64_t sliced[4][KWSI_TILE];
    int channels = 64 * words, shift = kwsi_shift(3 * KWS_KERNEL);
    for (int tile = 0; tile < steps; tile += KWSI_TILE) {
        for (int word = 0; word < words; word++) {
            for (int step = tile; step < tile + KWSI_TILE; step++) {
                count_taps(bits, weight, steps, words, step, word, sliced);
            }
            kwsi_spread_lanes((const uint64_t (*)[KWSI_TILE])sliced, sums);
            kwsi_residual_lanes((const kwsi_lanes_t *)sums, KWSI_LANES, shift, affine, 64 * word,
                                x + 64 * word * KWSI_TILE);
        }
        sign(x, threshold, channels, out);
        x += channels * KWSI_TILE;
        out += KWSI_TILE * 2 * words;
    }
}
