/* SPDX-License-Identifier: Apache-2.0
 *
 * What the operators of two planes are made of in C: eight rows side by side, a row a lane.
 */
#ifndef KWSI_LANES_H
#define KWSI_LANES_H

#include "residual.h"
#include "sums.h"

/* Most outputs at a time: a word of bits, and 1 KB of sums on the stack. */
enum { KWSI_LANES = 64 };

typedef int16_t kwsi_lanes_t[KWSI_TILE];

/* sums[o] = 2 d(first) + d(second) of bits [8][2][words] with weight [outputs][words]. Eight rows' words side by side are
 * what a compiler makes vectors of. */
static void kwsi_count_lanes(const uint64_t *bits, const uint64_t *weight, int words, int outputs, kwsi_lanes_t *sums) {
    memset(sums, 0, sizeof *sums * (size_t)outputs);
    for (int i = 0; i < words; i++) {
        uint64_t first[KWSI_TILE], second[KWSI_TILE];
        for (int row = 0; row < KWSI_TILE; row++) {
            first[row] = bits[2 * row * words + i];
            second[row] = bits[(2 * row + 1) * words + i];
        }
        for (int o = 0; o < outputs; o++) {
            uint64_t w = weight[o * words + i];
            for (int row = 0; row < KWSI_TILE; row++) {
                int count = 2 * kwsi_popcount(first[row] ^ w) + kwsi_popcount(second[row] ^ w);
                sums[o][row] = (int16_t)(sums[o][row] + count);
            }
        }
    }
}

/* x[o] += prelu of the sums, channels `channel` + o. */
static void kwsi_residual_lanes(const kwsi_lanes_t *sums, int outputs, int shift, const kwsi_affine_t *affine,
                                int channel, int16_t *x) {
    for (int o = 0; o < outputs; o++) {
        for (int row = 0; row < KWSI_TILE; row++) {
            int16_t *at = x + o * KWSI_TILE + row;
            *at = kwsi_residual(*at, sums[o][row], shift, affine, channel + o);
        }
    }
}

/* What each row has passed, edges [3][stride]: bit o of `first` = (values[o] < edges[0][o]) ^ flip, of `second` that of
 * edges[1] where the first is 1 and of edges[2] where it is 0. */
static void kwsi_compare_lanes(const kwsi_lanes_t *values, int outputs, const int16_t *edges, int stride, uint64_t flip,
                               uint64_t first[KWSI_TILE], uint64_t second[KWSI_TILE]) {
    for (int row = 0; row < KWSI_TILE; row++) {
        first[row] = second[row] = 0;
        for (int o = 0; o < outputs; o++) {
            int turn = (int)(flip >> o & 1), p = (values[o][row] < edges[o]) ^ turn;
            int q = (values[o][row] < edges[(p ? 1 : 2) * stride + o]) ^ turn;
            first[row] |= (uint64_t)p << o;
            second[row] |= (uint64_t)q << o;
        }
    }
}

/* sums[c] of 64 channels, from the four bits of each sum of eight steps. */
static void kwsi_spread_lanes(const uint64_t bits[4][KWSI_TILE], kwsi_lanes_t *sums) {
    for (int c = 0; c < 64; c++) {
        for (int step = 0; step < KWSI_TILE; step++) {
            int sum = 0;
            for (int i = 0; i < 4; i++) {
                sum |= (int)(bits[i][step] >> c & 1) << i;
            }
            sums[c][step] = (int16_t)sum;
        }
    }
}

#endif
