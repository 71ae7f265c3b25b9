/* SPDX-License-Identifier: Apache-2.0
 *
 * Columns in pieces of 16 mels, and the zeros around them. The loop is in conv1_neon.S.
 */
#include "kernels_neon_front.h"

#if defined(__aarch64__)
#include <arm_neon.h>

enum { LANES = 16 };

/* 16 outputs of one column, from the even and the odd mels that lie so many bytes into each of rows[0] .. rows[4]. */
void kwsi_conv1_neon_16(const int8_t *const *rows, const int8_t *weight, const int16_t *threshold, size_t even,
                        size_t odd, uint16_t *bits);

void kwsi_conv1_neon(const int8_t *const *rows, int columns, int n_mels, const int8_t *weight, const int16_t *threshold,
                     uint16_t *bits) {
    int words = kwsi_column_words(n_mels), mels = n_mels / 2, half = kwsi_half_bytes(n_mels);
    for (int column = 0; column < columns; column++) {
        vst1q_u16(bits, vdupq_n_u16(0)); /* the first two words, and the last ones, at most eleven */
        vst1q_u16(bits + words - 16, vdupq_n_u16(0));
        vst1q_u16(bits + words - 8, vdupq_n_u16(0));
        for (int i = 0; i < mels; i += LANES) {
            size_t even = (size_t)(16 + i), odd = even + (size_t)half + 16;
            if (i + LANES <= mels) {
                kwsi_conv1_neon_16(rows + 2 * column, weight, threshold, even, odd, bits + 2 + i);
            } else {
                uint16_t piece[LANES];
                kwsi_conv1_neon_16(rows + 2 * column, weight, threshold, even, odd, piece);
                memcpy(bits + 2 + i, piece, sizeof *bits * (size_t)(mels - i));
            }
        }
        bits += words;
    }
}
#endif
