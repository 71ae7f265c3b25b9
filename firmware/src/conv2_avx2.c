/* SPDX-License-Identifier: Apache-2.0
 *
 * Eight mels side by side, as the matrix products have eight steps: a patch is six words of four taps, and one tap.
 */
#include "avx2.h"
#include "sums.h"

#ifdef KWSI_HAS_X86

enum { PATCH_WORDS = 7 };

/* `count` patches, from mel on, as columns; what lies beyond them counts for nothing. */
KWSI_AVX2_INLINE void gather(const uint16_t *const *columns, int mel, int count, uint64_t *words) {
    uint64_t rows[KWSI_TILE * PATCH_WORDS] = {0};
    for (int i = 0; i < count; i++) {
        kwsi_patch(columns, mel + i, (uint16_t *)(rows + i * PATCH_WORDS));
    }
    kwsi_pair_columns(rows, PATCH_WORDS, words);
}

KWSI_AVX2_INLINE kwsi_counts_t count_output(const uint64_t *words, const uint16_t *weight) {
    kwsi_counts_t counts = {_mm256_setzero_si256(), _mm256_setzero_si256()};
    for (int i = 0; i < PATCH_WORDS - 1; i++) {
        counts = kwsi_count(counts, words + i * KWSI_TILE, kwsi_load64(weight + 4 * i));
    }
    return kwsi_count(counts, words + (PATCH_WORDS - 1) * KWSI_TILE, weight[KWSI_TAPS - 1]);
}

KWSI_AVX2 void kwsi_conv2_avx2(const uint16_t *const *columns, int steps, int m, const uint16_t *weight,
                               const int16_t *below, uint64_t *bits) {
    unsigned char *out = (unsigned char *)bits; /* 32 bits a mel */
    for (int step = 0; step < steps; step++) {
        for (int mel = 0; mel < m; mel += KWSI_TILE) {
            int count = m - mel < KWSI_TILE ? m - mel : KWSI_TILE;
            uint64_t words[KWSI_TILE * PATCH_WORDS];
            uint8_t masks[KWS_CONV2_CHANNELS];
            gather(columns + 2 * step, mel, count, words);
            for (int o = 0; o < KWS_CONV2_CHANNELS; o += 4) {
                __m256i is_below[2];
                for (int pair = 0; pair < 2; pair++) {
                    const uint16_t *row = weight + (o + 2 * pair) * KWSI_TAPS;
                    __m256i d = kwsi_pair(count_output(words, row), count_output(words, row + KWSI_TAPS));
                    is_below[pair] = _mm256_cmpgt_epi16(kwsi_spread_pair(below + o + 2 * pair), d);
                }
                kwsi_store32(masks + o, kwsi_mask_pairs(is_below[0], is_below[1]));
            }
            for (int i = 0; i < count; i++) {
                kwsi_store32(out, kwsi_mask_step(kwsi_load256(masks), i));
                out += 4;
            }
        }
    }
}

#endif
