/* SPDX-License-Identifier: Apache-2.0 */
#include "avx2.h"

#ifdef KWSI_HAS_X86

KWSI_AVX2_INLINE void expand(const uint64_t *bits, const uint64_t *weight, int words, int outputs, const int16_t *below,
                             const uint64_t *flip, uint64_t *out) {
    uint64_t columns[KWSI_X86_WORDS * KWSI_TILE];
    kwsi_pair_columns(bits, words, columns);
    for (int first = 0; first < outputs; first += 64) {
        uint8_t masks[64];
        for (int i = 0; i < 64; i += 4) {
            __m256i is_below[2];
            for (int pair = 0; pair < 2; pair++) {
                int o = first + i + 2 * pair;
                const uint64_t *row = weight + o * words;
                __m256i d = kwsi_pair(kwsi_count_row(columns, row, words), kwsi_count_row(columns, row + words, words));
                is_below[pair] = _mm256_cmpgt_epi16(kwsi_spread_pair(below + o), d);
            }
            kwsi_store32(masks + i, kwsi_mask_pairs(is_below[0], is_below[1]));
        }
        kwsi_store_masks(masks, flip[first / 64], out + first / 64, outputs / 64);
    }
}

KWSI_AVX2 void kwsi_expand_avx2(const uint64_t *bits, const uint64_t *weight, int words, int outputs,
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
