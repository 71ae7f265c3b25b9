/* SPDX-License-Identifier: Apache-2.0
 *
 * What the binary operators share on NEON: the way from eight rows side by side to rows of bits.
 */
#ifndef KWSI_BINARY_NEON_H
#define KWSI_BINARY_NEON_H

#include "kernels.h"

#include <arm_neon.h>

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
