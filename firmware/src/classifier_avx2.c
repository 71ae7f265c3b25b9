/* SPDX-License-Identifier: Apache-2.0 */
#include "avx2.h"

#ifdef KWSI_HAS_X86

/* x in 8 bits, in lanes of 16. */
KWSI_AVX2_INLINE __m256i narrow(const int16_t *x) {
    __m256i value = _mm256_adds_epi16(kwsi_load256(x), _mm256_set1_epi16(1 << (KWSI_CLASS_SHIFT - 1)));
    value = _mm256_srai_epi16(value, KWSI_CLASS_SHIFT);
    return _mm256_max_epi16(_mm256_min_epi16(value, _mm256_set1_epi16(INT8_MAX)), _mm256_set1_epi16(INT8_MIN));
}

KWSI_AVX2 void kwsi_classifier_avx2(const int16_t *x, int n, const int8_t *weight, int classes, int32_t *sums) {
    for (int c = 0; c < classes; c++) {
        __m256i sum = _mm256_setzero_si256();
        for (int i = 0; i < n; i += 16) {
            __m256i w = _mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i *)(weight + i)));
            sum = _mm256_add_epi32(sum, _mm256_madd_epi16(w, narrow(x + i)));
        }
        __m128i four = _mm_add_epi32(_mm256_castsi256_si128(sum), _mm256_extracti128_si256(sum, 1));
        __m128i two = _mm_add_epi32(four, _mm_unpackhi_epi64(four, four));
        sums[c] = _mm_cvtsi128_si32(_mm_add_epi32(two, _mm_shuffle_epi32(two, 1)));
        weight += n;
    }
}

#endif
