/* SPDX-License-Identifier: Apache-2.0 */
#include "avx2.h"
#include "residual.h"

#ifdef KWSI_HAS_X86

KWSI_AVX2_INLINE void project(const uint64_t *bits, const uint64_t *weight, int words, int outputs,
                              const kwsi_affine_t *affine, int16_t *x, const int16_t *threshold, uint64_t *out) {
    int shift = kwsi_shift(64 * words);
    uint64_t columns[KWSI_X86_WORDS * KWSI_TILE];
    kwsi_pair_columns(bits, words, columns);
    for (int first = 0; first < outputs; first += 64) {
        uint8_t masks[64];
        for (int i = 0; i < 64; i += 4) {
            __m256i is_less[2] = {_mm256_setzero_si256(), _mm256_setzero_si256()};
            for (int pair = 0; pair < 2; pair++) {
                int o = first + i + 2 * pair;
                const uint64_t *row = weight + o * words;
                __m256i d = kwsi_pair(kwsi_count_row(columns, row, words), kwsi_count_row(columns, row + words, words));
                __m256i sum = kwsi_residual_pair(x + o * KWSI_TILE, kwsi_lift_pair(d, shift), affine, o);
                if (threshold) {
                    is_less[pair] = _mm256_cmpgt_epi16(kwsi_spread_pair(threshold + o), sum);
                }
            }
            kwsi_store32(masks + i, kwsi_mask_pairs(is_less[0], is_less[1]));
        }
        if (threshold) {
            kwsi_store_masks(masks, UINT64_MAX, out + first / 64, outputs / 64);
        }
    }
}

KWSI_AVX2 void kwsi_project_avx2(const uint64_t *bits, const uint64_t *weight, int words, int outputs,
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
