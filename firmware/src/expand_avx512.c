/* SPDX-License-Identifier: Apache-2.0 */
#include "avx512.h"

#ifdef KWSI_HAS_X86

KWSI_AVX512_INLINE void expand(const uint64_t *bits, const uint64_t *weight, int words, int outputs,
                               const int16_t *below, const uint64_t *flip, uint64_t *out) {
    uint64_t columns[KWSI_X86_WORDS * KWSI_TILE];
    kwsi_quad_columns(bits, words, columns);
    for (int first = 0; first < outputs; first += 64) {
        uint8_t masks[64];
        for (int i = 0; i < 64; i += 4) {
            __m512i d = kwsi_quad_rows(columns, weight + (first + i) * words, words);
            kwsi_store32(masks + i, _mm512_cmplt_epi16_mask(d, kwsi_spread_quad(below + first + i)));
        }
        kwsi_store_masks512(masks, flip[first / 64], out + first / 64, outputs / 64);
    }
}

KWSI_AVX512 void kwsi_expand_avx512(const uint64_t *bits, const uint64_t *weight, int words, int outputs,
                                    const int16_t *below, const uint64_t *flip, uint64_t *out) {
    if (words == 2) {
        expand(bits, weight, 2, outputs, below, flip, out);
    } else if (words == 4) {
        expand(bits, weight, 4, outputs, below, flip, out);
    } else if (words <= KWSI_X86_WORDS) {
        expand(bits, weight, words, outputs, below, flip, out);
    } else {
        kwsi_expand_portable(bits, weight, words, outputs, below, flip, out);
    }
}

#endif
