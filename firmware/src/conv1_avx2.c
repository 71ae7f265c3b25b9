/* SPDX-License-Identifier: Apache-2.0 */
#include "avx2.h"
#include "conv1_x86.h"

#ifdef KWSI_HAS_X86

enum { SIDE_BY_SIDE = 4 }; /* outputs in mel that share a load of the weights; divides n_mels / 2 */

/* Weights of two taps, pair by pair, of outputs 0..7 and 8..15. The third pair's odd mel has none. */
KWSI_AVX2_INLINE void load_weights(const int8_t *weight, int time, int pair, __m256i w[2]) {
    const int8_t *at = weight + (KWS_KERNEL * time + 2 * pair) * KWS_CONV1_CHANNELS;
    __m128i even = _mm_loadu_si128((const __m128i *)at), odd = _mm_setzero_si128();
    if (pair < KWSI_CONV1_PAIRS - 1) {
        odd = _mm_loadu_si128((const __m128i *)(at + KWS_CONV1_CHANNELS));
    }
    w[0] = _mm256_cvtepi8_epi16(_mm_unpacklo_epi8(even, odd));
    w[1] = _mm256_cvtepi8_epi16(_mm_unpackhi_epi8(even, odd));
}

/* Outputs j .. j + 3 of a block. */
KWSI_AVX2_INLINE void convolve(kwsi_conv1_pairs_t pairs, int j, const int8_t *weight, __m256i above[2],
                               uint16_t *bits) {
    __m256i sum[SIDE_BY_SIDE][2];
    for (int i = 0; i < SIDE_BY_SIDE; i++) {
        sum[i][0] = sum[i][1] = _mm256_setzero_si256();
    }
    for (int time = 0; time < KWS_KERNEL; time++) {
        for (int pair = 0; pair < KWSI_CONV1_PAIRS; pair++) {
            __m256i w[2];
            load_weights(weight, time, pair, w);
            for (int i = 0; i < SIDE_BY_SIDE; i++) {
                __m256i input = _mm256_set1_epi32(pairs[time][j + i + pair]);
                sum[i][0] = _mm256_add_epi32(sum[i][0], _mm256_madd_epi16(input, w[0]));
                sum[i][1] = _mm256_add_epi32(sum[i][1], _mm256_madd_epi16(input, w[1]));
            }
        }
    }
    for (int i = 0; i < SIDE_BY_SIDE; i++) {
        unsigned low = (unsigned)_mm256_movemask_ps(_mm256_castsi256_ps(_mm256_cmpgt_epi32(sum[i][0], above[0])));
        unsigned high = (unsigned)_mm256_movemask_ps(_mm256_castsi256_ps(_mm256_cmpgt_epi32(sum[i][1], above[1])));
        bits[i] = (uint16_t)(high << 8 | low);
    }
}

KWSI_AVX2 void kwsi_conv1_avx2(const int8_t *const *rows, int columns, int n_mels, const int8_t *weight,
                               const int16_t *threshold, uint16_t *bits) {
    int words = kwsi_column_words(n_mels);
    __m256i above[2]; /* sum >= threshold is sum > threshold - 1 */
    for (int i = 0; i < 2; i++) {
        __m256i t = _mm256_cvtepi16_epi32(_mm_loadu_si128((const __m128i *)(threshold + 8 * i)));
        above[i] = _mm256_sub_epi32(t, _mm256_set1_epi32(1));
    }
    for (int column = 0; column < columns; column++) {
        memset(bits, 0, sizeof *bits * (size_t)words);
        for (int first = 0; first < n_mels / 2; first += KWSI_CONV1_BLOCK) {
            int count = n_mels / 2 - first < KWSI_CONV1_BLOCK ? n_mels / 2 - first : KWSI_CONV1_BLOCK;
            kwsi_conv1_pairs_t pairs;
            kwsi_conv1_gather(rows + 2 * column, first, n_mels, pairs);
            for (int j = 0; j < count; j += SIDE_BY_SIDE) {
                convolve(pairs, j, weight, above, bits + 2 + first + j);
            }
        }
        bits += words;
    }
}

#endif
