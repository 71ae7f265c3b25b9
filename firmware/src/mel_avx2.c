/* SPDX-License-Identifier: Apache-2.0 */
#include "avx2.h"

#ifdef KWSI_HAS_X86

KWSI_AVX2 void kwsi_mel_avx2(const float *powers, const uint16_t *first, const uint16_t *count, const float *weight,
                             int n_mels, float *decibels) {
    for (int band = 0; band < n_mels; band++) {
        const float *bins = powers + first[band];
        __m256 sum = _mm256_setzero_ps();
        for (int i = 0; i < count[band]; i += 8) {
            __m256 product = _mm256_mul_ps(_mm256_loadu_ps(weight + i), _mm256_loadu_ps(bins + i));
            sum = _mm256_add_ps(sum, product);
        }
        __m128 four = _mm_add_ps(_mm256_castps256_ps128(sum), _mm256_extractf128_ps(sum, 1));
        __m128 two = _mm_add_ps(four, _mm_movehdup_ps(four)); /* s0 + s1 and s2 + s3, in lanes 0 and 2 */
        __m128 one = _mm_add_ss(two, _mm_movehl_ps(two, two));
        decibels[band] = kwsi_decibels(0.25f * _mm_cvtss_f32(one));
        weight += count[band];
    }
}

#endif
