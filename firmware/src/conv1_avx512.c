/* SPDX-License-Identifier: Apache-2.0 */
#include "avx512.h"
#include "conv1_x86.h"

#ifdef KWSI_HAS_X86

enum { SIDE_BY_SIDE = 4 }; /* outputs in mel that share a load of the weights; divides n_mels / 2 */

/* Weights of two taps, pair by pair, of all sixteen outputs. The third pair's odd mel has none. */
KWSI_AVX512_INLINE __m512i load_weights(const int8_t *weight, int time, int pair) {
    const int8_t *at = weight + (KWS_KERNEL * time + 2 * pair) * KWS_CONV1_CHANNELS;
    __m128i even = _mm_loadu_si128((const __m128i *)at), odd = _mm_setzero_si128();
    if (pair < KWSI_CONV1_PAIRS - 1) {
        odd = _mm_loadu_si128((const __m128i *)(at + KWS_CONV1_CHANNELS));
    }
    return _mm512_cvtepi8_epi16(_mm256_set_m128i(_mm_unpackhi_epi8(even, odd), _mm_unpacklo_epi8(even, odd)));
}

/* Outputs j .. j + 3 of a block. */
KWSI_AVX512_INLINE void convolve(kwsi_conv1_pairs_t pairs, int j, const int8_t *weight, __m512i threshold,
                                 uint16_t *bits) {
    __m512i sum[SIDE_BY_SIDE];
    for (int i = 0; i < SIDE_BY_SIDE; i++) {
        sum[i] = _mm512_setzero_si512();
    }
    for (int time = 0; time < KWS_KERNEL; time++) {
        for (int pair = 0; pair < KWSI_CONV1_PAIRS; pair++) {
            __m512i w = load_weights(weight, time, pair);
            for (int i = 0; i < SIDE_BY_SIDE; i++) {
                __m512i input = _mm512_set1_epi32(pairs[time][j + i + pair]);
                sum[i] = _mm512_add_epi32(sum[i], _mm512_madd_epi16(input, w));
            }
        }
    }
    for (int i = 0; i < SIDE_BY_SIDE; i++) {
        bits[i] = _mm512_cmpge_epi32_mask(sum[i], threshold);
    }
}

KWSI_AVX512 void kwsi_conv1_avx512(const int8_t *const *rows, int columns, int n_mels, const int8_t *weight,
                                   const int16_t *threshold, uint16_t *bits) {
    int words = kwsi_column_words(n_mels);
    __m512i least = _mm512_cvtepi16_epi32(_mm256_loadu_si256((const __m256i *)threshold));
    for (int column = 0; column < columns; column++) {
        memset(bits, 0, sizeof *bits * (size_t)words);
        for (int first = 0; first < n_mels / 2; first += KWSI_CONV1_BLOCK) {
            int count = n_mels / 2 - first < KWSI_CONV1_BLOCK ? n_mels / 2 - first : KWSI_CONV1_BLOCK;
            kwsi_conv1_pairs_t pairs;
            kwsi_conv1_gather(rows + 2 * column, first, n_mels, pairs);
            for (int j = 0; j < count; j += SIDE_BY_SIDE) {
                convolve(pairs, j, weight, least, bits + 2 + first + j);
            }
        }
        bits += words;
    }
}

#endif
