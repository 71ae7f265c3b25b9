/* SPDX-License-Identifier: Apache-2.0
 *
 * The second convolution on NEON: gathers the inputs of four mels at a time for conv2_neon.S.
 */
#include "kernels_neon.h"

#if defined(__aarch64__)

#include <arm_neon.h>

enum { MELS = 4, COLUMN = 2 * KWS_KERNEL, PATCH = 64, PAIRS = KWS_CONV2_CHANNELS / 2 };

void kwsi_conv2_neon_4(const uint8_t *patches, const uint16_t *weight, const uint16_t *tails, const uint16_t *limits,
                       uint64_t *words);

/* One number of output o four times, and of output o + 16 four times, for o = 0 .. 15. */
static inline void spread(const uint16_t *numbers, int stride, uint16_t *pairs) {
    for (int o = 0; o < PAIRS; o++) {
        uint16x4_t low = vld1_dup_u16(numbers + o * stride), high = vld1_dup_u16(numbers + (o + PAIRS) * stride);
        vst1q_u16(pairs + 8 * o, vcombine_u16(low, high));
    }
}

/* 25 words, 50 bytes, from five columns: sixteen bytes for the ten that count, and the next column's overwrite the
 * rest. A column has room for them. */
static inline void gather(const uint16_t *const *columns, int mel, uint8_t *patch) {
    for (int k = 0; k < KWS_KERNEL; k++) {
        vst1q_u8(patch + COLUMN * k, vld1q_u8((const uint8_t *)(columns[k] + 2 * mel)));
    }
}

void kwsi_conv2_neon(const uint16_t *const *columns, int steps, int m, const uint16_t *weight, const int16_t *below,
                     uint64_t *bits) {
    uint16_t tails[8 * PAIRS], limits[8 * PAIRS];
    spread(weight + KWSI_TAPS - 1, KWSI_TAPS, tails);
    spread((const uint16_t *)below, 1, limits);
    for (int step = 0; step < steps; step++) {
        for (int mel = 0; mel < m; mel += MELS) {
            uint8_t patches[MELS * PATCH];
            uint64_t words[MELS / 2];
            for (int i = 0; i < MELS; i++) {
                /* an even number of mels need not fill the last four: the last is computed again */
                gather(columns + 2 * step, mel + i < m ? mel + i : m - 1, patches + i * PATCH);
            }
            kwsi_conv2_neon_4(patches, weight, tails, limits, words);
            *bits++ = words[0];
            if (mel + 2 < m) {
                *bits++ = words[1];
            }
        }
    }
}

#endif
