/* SPDX-License-Identifier: Apache-2.0 */
#include "avx2.h"

#ifdef KWSI_HAS_X86

KWSI_AVX2 void kwsi_window_avx2(const int16_t *pcm, const float *window, int n, float *out) {
    int i = 0;
    for (; i + 8 <= n; i += 8) {
        __m256i samples = _mm256_cvtepi16_epi32(_mm_loadu_si128((const __m128i *)(pcm + i)));
        _mm256_storeu_ps(out + i, _mm256_mul_ps(_mm256_cvtepi32_ps(samples), _mm256_loadu_ps(window + i)));
    }
    for (; i < n; i++) {
        out[i] = (float)pcm[i] * window[i];
    }
}

#endif
