/* SPDX-License-Identifier: Apache-2.0 */
#include "avx2.h"

#ifdef KWSI_HAS_X86

/* Eight numbers, as in quantize_portable.c. Where an operand is NaN, MINPS and MAXPS give the second one: NaN passes
 * the first and becomes -128 in the second. */
KWSI_AVX2_INLINE __m256i quantized(__m256 decibels, __m256 offset, __m256 scale) {
    __m256 value = _mm256_mul_ps(_mm256_sub_ps(decibels, offset), scale);
    value = _mm256_min_ps(_mm256_set1_ps(127.0f), value);
    value = _mm256_max_ps(value, _mm256_set1_ps(-128.0f));
    __m256i lifted = _mm256_cvttps_epi32(_mm256_add_ps(value, _mm256_set1_ps(128.5f)));
    return _mm256_sub_epi32(lifted, _mm256_set1_epi32(128));
}

KWSI_AVX2 void kwsi_quantize_avx2(const float *decibels, int frames, int n_mels, float offset, float scale,
                                  int8_t *rows) {
    __m256 low = _mm256_set1_ps(offset), step = _mm256_set1_ps(scale);
    __m128i unzip = _mm_setr_epi8(0, 4, 8, 12, 2, 6, 10, 14, -1, -1, -1, -1, -1, -1, -1, -1);
    memset(rows, 0, (size_t)(frames * kwsi_row_bytes(n_mels)));
    for (int frame = 0; frame < frames; frame++) {
        int8_t *even = rows + 16, *odd = even + kwsi_half_bytes(n_mels) + 16;
        for (int i = 0; i < n_mels / 2; i += 4) {
            __m256i numbers = quantized(_mm256_loadu_ps(decibels + 2 * i), low, step);
            __m128i words = _mm_packs_epi32(_mm256_castsi256_si128(numbers), _mm256_extracti128_si256(numbers, 1));
            __m128i bytes = _mm_shuffle_epi8(words, unzip);
            kwsi_store32(even + i, (uint32_t)_mm_cvtsi128_si32(bytes));
            kwsi_store32(odd + i, (uint32_t)_mm_extract_epi32(bytes, 1));
        }
        decibels += n_mels;
        rows += kwsi_row_bytes(n_mels);
    }
}

#endif
