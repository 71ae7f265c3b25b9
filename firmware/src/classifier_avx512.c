/* SPDX-License-Identifier: Apache-2.0 */
#include "avx512.h"

#ifdef KWSI_HAS_X86

KWSI_AVX512 void kwsi_classifier_avx512(const int16_t *x, int n, const int8_t *weight, int classes, int32_t *sums) {
    for (int c = 0; c < classes; c++) {
        __m512i sum = _mm512_setzero_si512();
        for (int i = 0; i < n; i += 32) {
            __m512i w = _mm512_cvtepi8_epi16(_mm256_loadu_si256((const __m256i *)(weight + i)));
            sum = _mm512_add_epi32(sum, _mm512_madd_epi16(w, _mm512_loadu_si512(x + i)));
        }
        sums[c] = _mm512_reduce_add_epi32(sum);
        weight += n;
    }
}

#endif
