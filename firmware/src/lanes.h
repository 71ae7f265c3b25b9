/* SPDX-License-Identifier: Apache-2.0
 *
 * What the operators of two planes are made of: eight rows side by side, a row a lane, with NEON where there is NEON.
 * Integers: both forms give the same bits.
 */
#ifndef KWSI_LANES_H
#define KWSI_LANES_H

#include "residual.h"
#include "sums.h"

/* Most outputs at a time: a word of bits, and 1 KB of sums on the stack. */
enum { KWSI_LANES = 64 };

typedef int16_t kwsi_lanes_t[KWSI_TILE];

#if defined(__aarch64__)
#include "binary_neon.h"

/* A pair of words, of which the second may lie beyond the row. */
static inline uint8x16_t kwsi_load_pair(const uint64_t *at, int is_single) {
    uint64x2_t pair = is_single ? vcombine_u64(vld1_u64(at), vdup_n_u64(0)) : vld1q_u64(at);
    return vreinterpretq_u8_u64(pair);
}

/* sums[o] = 2 d(first) + d(second) of bits [8][2][words] with weight [outputs][words]. Rows stay in registers while the
 * weights of a pair of words pass by; a byte holds up to 8 * 24 of the 255 that it can. */
static void kwsi_count_lanes(const uint64_t *bits, const uint64_t *weight, int words, int outputs, kwsi_lanes_t *sums) {
    uint8x16_t two = vdupq_n_u8(2);
    for (int i = 0; i < words; i += 2) {
        uint8x16_t first[KWSI_TILE], second[KWSI_TILE], counts[KWSI_TILE];
        int is_single = i + 1 == words;
        for (int row = 0; row < KWSI_TILE; row++) {
            first[row] = kwsi_load_pair(bits + 2 * row * words + i, is_single);
            second[row] = kwsi_load_pair(bits + (2 * row + 1) * words + i, is_single);
        }
        for (int o = 0; o < outputs; o++) {
            uint8x16_t w = kwsi_load_pair(weight + o * words + i, is_single);
            for (int row = 0; row < KWSI_TILE; row++) {
                counts[row] = vmlaq_u8(vcntq_u8(veorq_u8(second[row], w)), vcntq_u8(veorq_u8(first[row], w)), two);
            }
            uint8x16_t low = vpaddq_u8(vpaddq_u8(counts[0], counts[1]), vpaddq_u8(counts[2], counts[3]));
            uint8x16_t high = vpaddq_u8(vpaddq_u8(counts[4], counts[5]), vpaddq_u8(counts[6], counts[7]));
            int16x8_t sum = vreinterpretq_s16_u16(vpaddlq_u8(vpaddq_u8(low, high)));
            vst1q_s16(sums[o], i == 0 ? sum : vaddq_s16(sum, vld1q_s16(sums[o])));
        }
    }
}

/* x[o] += prelu of the sums, channels `channel` + o. */
static void kwsi_residual_lanes(const kwsi_lanes_t *sums, int outputs, int shift, const kwsi_affine_t *affine,
                                int channel, int16_t *x) {
    for (int o = 0; o < outputs; o++, channel++, x += KWSI_TILE) {
        int16x8_t lifted = vqshlq_s16(vld1q_s16(sums[o]), vdupq_n_s16((int16_t)shift));
        int16x8_t value =
            vqsubq_s16(vdupq_n_s16(affine->bias[channel]), vqrdmulhq_s16(lifted, vdupq_n_s16(affine->scale[channel])));
        int16x8_t scaled = vqrdmulhq_s16(value, vdupq_n_s16(affine->slope[channel]));
        vst1q_s16(x, vqaddq_s16(vld1q_s16(x), vmaxq_s16(value, scaled)));
    }
}

static void kwsi_compare_lanes(const kwsi_lanes_t *values, int outputs, const int16_t *edges, int stride, uint64_t flip,
                               uint64_t first[KWSI_TILE], uint64_t second[KWSI_TILE]) {
    uint16x8_t pieces[2][KWSI_LANES / 16];
    for (int i = 0; i < KWSI_LANES / 16; i++) {
        pieces[0][i] = pieces[1][i] = vdupq_n_u16(0);
    }
    for (int o = 0; o < outputs; o++) {
        int is_turned = (int)(flip >> o & 1);
        const int16_t *above = edges + (is_turned ? 2 : 1) * stride, *below = edges + (is_turned ? 1 : 2) * stride;
        int16x8_t value = vld1q_s16(values[o]);
        uint16x8_t bit = vdupq_n_u16((uint16_t)(1u << (o % 16))), p = vcltq_s16(value, vdupq_n_s16(edges[o]));
        uint16x8_t q = vbslq_u16(p, vcltq_s16(value, vdupq_n_s16(above[o])), vcltq_s16(value, vdupq_n_s16(below[o])));
        pieces[0][o / 16] = vorrq_u16(pieces[0][o / 16], vandq_u16(p, bit));
        pieces[1][o / 16] = vorrq_u16(pieces[1][o / 16], vandq_u16(q, bit));
    }
    kwsi_store_bits(pieces[0], vdupq_n_u64(flip), first, 1);
    kwsi_store_bits(pieces[1], vdupq_n_u64(flip), second, 1);
}

/* sums[c] of 64 channels, from the four bits of each sum of eight steps. */
static void kwsi_spread_lanes(const uint64_t bits[4][KWSI_TILE], kwsi_lanes_t *sums) {
    for (int byte = 0; byte < 8; byte++) {
        uint8x8_t lanes[4];
        for (int i = 0; i < 4; i++) {
            uint8_t of_step[KWSI_TILE];
            for (int step = 0; step < KWSI_TILE; step++) {
                of_step[step] = (uint8_t)(bits[i][step] >> (8 * byte));
            }
            lanes[i] = vld1_u8(of_step);
        }
        for (int c = 0; c < 8; c++) {
            uint8x8_t bit = vdup_n_u8((uint8_t)(1u << c)), sum = vdup_n_u8(0);
            for (int i = 0; i < 4; i++) {
                sum = vorr_u8(sum, vand_u8(vtst_u8(lanes[i], bit), vdup_n_u8((uint8_t)(1u << i))));
            }
            vst1q_s16(sums[8 * byte + c], vreinterpretq_s16_u16(vmovl_u8(sum)));
        }
    }
}

#else

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

#endif
