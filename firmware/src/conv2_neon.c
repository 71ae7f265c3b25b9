/* SPDX-License-Identifier: Apache-2.0
 *
 * The second convolution on NEON: lays the numbers of the outputs out for conv2_neon.S, which takes four mels at a time.
 */
#include "kernels_neon.h"

#if defined(__aarch64__)

#include <arm_neon.h>

enum { MELS = 4, PAIRS = KWS_CONV2_CHANNELS / 2 };

/* Which bytes of columns 0 1, of 1 2 3 and of 3 4 make a patch. */
const uint8_t kwsi_conv2_gather[3][16] = {{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 16, 17, 18, 19, 20, 21},
                                          {6, 7, 8, 9, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 32, 33},
                                          {2, 3, 4, 5, 6, 7, 8, 9, 16, 17, 18, 19, 20, 21, 22, 23}};

/* Of outputs o and o + 16: four times the one's, four times the other's. */
typedef struct pair {
    uint16_t tail[2 * MELS], below[2 * MELS];
} pair_t;

typedef struct kwsi_conv2_tables {
    pair_t pairs[PAIRS];
    uint8_t gather[3][16];
} kwsi_conv2_tables_t;

void kwsi_conv2_neon_step(const uint16_t *const *columns, int fours, const uint16_t *weight,
                          const kwsi_conv2_tables_t *tables, uint64_t *words);

static inline void spread(const uint16_t *low, const uint16_t *high, uint16_t *numbers) {
    vst1q_u16(numbers, vcombine_u16(vld1_dup_u16(low), vld1_dup_u16(high)));
}

void kwsi_conv2_neon(const uint16_t *const *columns, int steps, int m, const uint16_t *weight, const int16_t *below,
                     uint64_t *bits) {
    kwsi_conv2_tables_t tables;
    memcpy(tables.gather, kwsi_conv2_gather, sizeof tables.gather);
    for (int o = 0; o < PAIRS; o++) {
        const uint16_t *last = weight + o * KWSI_TAPS + KWSI_TAPS - 1;
        spread(last, last + PAIRS * KWSI_TAPS, tables.pairs[o].tail);
        spread((const uint16_t *)below + o, (const uint16_t *)below + o + PAIRS, tables.pairs[o].below);
    }
    for (; steps > 0; steps--, columns += 2, bits += m / 2) {
        if (m >= MELS) {
            kwsi_conv2_neon_step(columns, m / MELS, weight, &tables, bits);
        }
        if (m % MELS) { /* two mels are left: with the two before them, or with two that are none */
            const uint16_t *last[KWS_KERNEL];
            uint64_t words[2];
            int from = m > MELS ? m - MELS : 0;
            for (int k = 0; k < KWS_KERNEL; k++) {
                last[k] = columns[k] + 2 * from;
            }
            kwsi_conv2_neon_step(last, 1, weight, &tables, words);
            bits[m / 2 - 1] = words[m > MELS];
        }
    }
}

#endif
