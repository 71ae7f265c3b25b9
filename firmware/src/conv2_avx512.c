/* SPDX-License-Identifier: Apache-2.0
 *
 * Eight mels side by side, as in conv2_avx2.c.
 */
#include "avx512.h"
#include "sums.h"

#ifdef KWSI_HAS_X86

enum { PATCH_WORDS = 7 };

/* `count` patches, from mel on, as columns; what lies beyond them counts for nothing. */
KWSI_AVX512_INLINE void gather(const uint16_t *const *columns, int mel, int count, uint64_t *words) {
    uint64_t rows[KWSI_TILE * PATCH_WORDS] = {0};
    for (int i = 0; i < count; i++) {
        kwsi_patch(columns, mel + i, (uint16_t *)(rows + i * PATCH_WORDS));
    }
    kwsi_quad_columns(rows, PATCH_WORDS, words);
}

KWSI_AVX512_INLINE __m512i count_output(const uint64_t *words, const uint16_t *weight) {
    __m512i counts = _mm512_setzero_si512();
    for (int i = 0; i < PATCH_WORDS - 1; i++) {
        counts = kwsi_count512(counts, words + i * KWSI_TILE, kwsi_load64(weight + 4 * i));
    }
    return kwsi_count512(counts, words + (PATCH_WORDS - 1) * KWSI_TILE, weight[KWSI_TAPS - 1]);
}

KWSI_AVX512 void kwsi_conv2_avx512(const uint16_t *const *columns, int steps, int m, const uint16_t *weight,
                                   const int16_t *below, uint64_t *bits) {
    unsigned char *out = (unsigned char *)bits; /* 32 bits a mel */
    for (int step = 0; step < steps; step++) {
        for (int mel = 0; mel < m; mel += KWSI_TILE) {
            int count = m - mel < KWSI_TILE ? m - mel : KWSI_TILE;
            uint64_t words[KWSI_TILE * PATCH_WORDS];
            uint8_t masks[KWS_CONV2_CHANNELS];
            gather(columns + 2 * step, mel, count, words);
            for (int o = 0; o < KWS_CONV2_CHANNELS; o += 4) {
                const uint16_t *row = weight + o * KWSI_TAPS;
                __m512i d =
                    kwsi_quad(count_output(words, row), count_output(words, row + KWSI_TAPS),
                              count_output(words, row + 2 * KWSI_TAPS), count_output(words, row + 3 * KWSI_TAPS));
                kwsi_store32(masks + o, _mm512_cmplt_epi16_mask(d, kwsi_spread_quad(below + o)));
            }
            for (int i = 0; i < count; i++) {
                __m256i bytes = _mm256_loadu_si256((const __m256i *)masks);
                kwsi_store32(out, _mm256_test_epi8_mask(bytes, _mm256_set1_epi8((char)(1 << i))));
                out += 4;
            }
        }
    }
}

#endif
