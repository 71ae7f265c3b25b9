/* SPDX-License-Identifier: Apache-2.0
 *
 * Quantization on NEON: 32 mels at a time by quantize_neon.S.
 */
#include "kernels_neon_front.h"

#if defined(__aarch64__)

enum { MELS = 32 };

void kwsi_quantize_neon_32(const float *decibels, int frames, float offset, float scale, int8_t *even, int8_t *odd);

/* One frame of other numbers of mels, the last ones first: the zeros before them then lie where the others go. */
static void quantize(const float *decibels, int n_mels, float offset, float scale, int8_t *even, int8_t *odd) {
    for (int from = (n_mels - 1) / MELS * MELS; from >= 0; from -= MELS) {
        const float *part = decibels + from;
        float rest[MELS];
        if (n_mels - from < MELS) { /* 8, 16 or 24 */
            for (int k = 0; k < MELS; k++) {
                rest[k] = offset; /* becomes 0 */
            }
            part = memcpy(rest, part, sizeof *rest * (size_t)(n_mels - from));
        }
        kwsi_quantize_neon_32(part, 1, offset, scale, even + from / 2, odd + from / 2);
    }
}

void kwsi_quantize_neon(const float *decibels, int frames, int n_mels, float offset, float scale, int8_t *rows) {
    int odd = kwsi_half_bytes(n_mels) + 16;
    if (n_mels == MELS) {
        kwsi_quantize_neon_32(decibels, frames, offset, scale, rows, rows + odd);
        return;
    }
    for (; frames > 0; frames--, decibels += n_mels, rows += 2 * odd) {
        quantize(decibels, n_mels, offset, scale, rows, rows + odd);
    }
}
#endif
