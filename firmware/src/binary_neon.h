/* SPDX-License-Identifier: Apache-2.0
 *
 * What the binary operators share on NEON: the way from eight rows side by side to rows of bits.
 */
#ifndef KWSI_BINARY_NEON_H
#define KWSI_BINARY_NEON_H

#include "kernels.h"

#include <arm_neon.h>

/* 64 channels' bits, 16 a piece with the eight rows in the lanes, to eight rows of 64 bits, `stride` words apart. */
static inline void kwsi_store_bits(const uint16x8_t pieces[4], uint64_t flip, uint64_t *out, int stride) {
    uint16x8x4_t flipped;
    for (int i = 0; i < 4; i++) {
        flipped.val[i] = veorq_u16(pieces[i], vdupq_n_u16((uint16_t)(flip >> (16 * i))));
    }
#define KWSI_STORE_ROW(row) vst4q_lane_u16((uint16_t *)(out + (row)*stride), flipped, row)
    KWSI_STORE_ROW(0);
    KWSI_STORE_ROW(1);
    KWSI_STORE_ROW(2);
    KWSI_STORE_ROW(3);
    KWSI_STORE_ROW(4);
    KWSI_STORE_ROW(5);
    KWSI_STORE_ROW(6);
    KWSI_STORE_ROW(7);
#undef KWSI_STORE_ROW
}

#endif
