/* SPDX-License-Identifier: Apache-2.0 */
#include "avx512.h"
#include "residual.h"

#ifdef KWSI_HAS_X86

KWSI_AVX512_INLINE void project(const uint64_t *bits, const uint64_t *weight, int words, int outputs,
                                const kwsi_affine_t *affine, int16_t *x, const int16_t *threshold, uint64_t *out) {
    int shift = kwsi_shift(64 * words);
    uint64_t columns[KWSI_X86_WORDS * KWSI_TILE];
    kwsi_quad_columns(bits, words, columns);
    for (int first = 0; first < outputs; first += 64) {
        uint8_t masks[64];
        for (int i = 0; i < 64; i += 4) {
            int o = first + i;
            __m512i lifted = kwsi_lift_quad(kwsi_quad_rows(columns, weight + o * words, words), shift);
            __m512i sum = kwsi_residual_quad(x + o * KWSI_TILE, lifted, affine, o);
            if (threshold) {
                kwsi_store32(masks + i, kwsi_sign_quad(sum, threshold + o));
            }
        }
        if (threshold) {
            kwsi_store_masks512(masks, 0, out + first / 64, outputs / 64);
        }
    }
}

KWSI_AVX512 void kwsi_project_avx512(const uint64_t *bits, const uint64_t *weight, int words, int outputs,
                                     const kwsi_affine_t *affine, int16_t *x, const int16_t *threshold, uint64_t *out) {
    if (words == 2) {
        project(bits, weight, 2, outputs, affine, x, threshold, out);
    } else if (words == 4) {
        project(bits, weight, 4, outputs, affine, x, threshold, out);
    } else if (words <= KWSI_X86_WORDS) {
        project(bits, weight, words, outputs, affine, x, threshold, out);
    } else {
        kwsi_project_portable(bits, weight, words, outputs, affine, x, threshold, out);
    }
}

#endif
