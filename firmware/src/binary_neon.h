/* SPDX-License-Identifier: Apache-2.0
 *
 * What the binary operators share on NEON: eight rows' counts, and the way from eight rows side by side to rows of
 * bits.
 */
#ifndef KWSI_BINARY_NEON_H
#define KWSI_BINARY_NEON_H

#include "kernels.h"

#include <arm_neon.h>

/* d of eight rows, bits [8][words], with one output's weight [words]. */
static inline uint16x8_t kwsi_differ_rows(const uint64_t *bits, const uint64_t *weight, int words) {
    uint16x8_t sum = vdupq_n_u16(0);
    for (int i = 0; i < words; i++) {
        uint8x8_t w = vld1_u8((const uint8_t *)(weight + i)), rows[KWSI_TILE];
        for (int row = 0; row < KWSI_TILE; row++) {
            rows[row] = vcnt_u8(veor_u8(vld1_u8((const uint8_t *)(bits + row * words + i)), w));
        }
        uint8x16_t low = vpaddq_u8(vcombine_u8(rows[0], rows[1]), vcombine_u8(rows[2], rows[3]));
        uint8x16_t high = vpaddq_u8(vcombine_u8(rows[4], rows[5]), vcombine_u8(rows[6], rows[7]));
        sum = vpadalq_u8(sum, vpaddq_u8(low, high));
    }
    return sum;
}

/* 64 channels' bits, 16 a piece with the eight rows in the lanes, to eight rows of 64 bits, `stride` words apart. */
static inline void kwsi_store_bits(const uint16x8_t pieces[4], uint64x2_t flip, uint64_t *out, int stride) {
    uint16x8x2_t low = vzipq_u16(pieces[0], pieces[1]), high = vzipq_u16(pieces[2], pieces[3]);
    for (int half = 0; half < 2; half++) {
        uint32x4x2_t rows = vzipq_u32(vreinterpretq_u32_u16(low.val[half]), vreinterpretq_u32_u16(high.val[half]));
        for (int pair = 0; pair < 2; pair++) {
            uint64x2_t two = veorq_u64(vreinterpretq_u64_u32(rows.val[pair]), flip);
            vst1q_lane_u64(out, two, 0);
            vst1q_lane_u64(out + stride, two, 1);
            out += 2 * stride;
        }
    }
}

#endif
