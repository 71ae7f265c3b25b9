/* SPDX-License-Identifier: Apache-2.0
 *
 * How both x86 kernels of the first convolution see it: pairs of 16-bit numbers, products of which one instruction adds
 * in twos. A filter's five mels are two pairs (even, odd), and an even one whose odd partner has weight 0.
 */
#ifndef KWSI_CONV1_X86_H
#define KWSI_CONV1_X86_H

#include "kernels_x86.h"

#ifdef KWSI_HAS_X86

enum { KWSI_CONV1_BLOCK = 16, KWSI_CONV1_PAIRS = 3 };

/* pairs[time][j]: even and odd mel number first - 1 + j, the latter in the upper half. */
typedef int32_t kwsi_conv1_pairs_t[KWS_KERNEL][KWSI_CONV1_BLOCK + 2];

static inline int32_t kwsi_conv1_pair(int even, int odd) {
    return (int32_t)((uint32_t)(uint16_t)odd << 16 | (uint16_t)even);
}

/* Pairs for outputs first .. first + 15. The last has no odd mel: it would lie beyond the row, and counts for nothing. */
static inline void kwsi_conv1_gather(const int8_t *const *rows, int first, int n_mels, kwsi_conv1_pairs_t pairs) {
    int to_odd = kwsi_half_bytes(n_mels) + 16;
    for (int time = 0; time < KWS_KERNEL; time++) {
        const int8_t *even = rows[time] + 16 + first - 1;
        for (int j = 0; j < KWSI_CONV1_BLOCK + 1; j++) {
            pairs[time][j] = kwsi_conv1_pair(even[j], even[to_odd + j]);
        }
        pairs[time][KWSI_CONV1_BLOCK + 1] = kwsi_conv1_pair(even[KWSI_CONV1_BLOCK + 1], 0);
    }
}

#endif
#endif
