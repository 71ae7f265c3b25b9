/* SPDX-License-Identifier: Apache-2.0
 *
 * What the AVX-512 kernels share. They work on quads: a vector of 32 numbers holds the eight steps of one channel, then
 * those of the next three, as x does.
 */
#ifndef KWSI_AVX512_H
#define KWSI_AVX512_H

#include "kernels_x86.h"

#ifdef KWSI_HAS_X86
#include <immintrin.h>

/* Eight rows of bits as columns: word after word, that word of every row. */
KWSI_AVX512_INLINE void kwsi_quad_columns(const uint64_t *bits, int words, uint64_t *columns) {
    for (int word = 0; word < words; word++) {
        for (int i = 0; i < KWSI_TILE; i++) {
            columns[word * KWSI_TILE + i] = bits[i * words + word];
        }
    }
}

/* Adds the differing bits of one weight and a word of every row. */
KWSI_AVX512_INLINE __m512i kwsi_count512(__m512i counts, const uint64_t *column, uint64_t weight) {
    __m512i differ = _mm512_xor_si512(_mm512_set1_epi64((long long)weight), _mm512_loadu_si512(column));
    return _mm512_add_epi64(counts, _mm512_popcnt_epi64(differ));
}

/* The same for a row of `words` weights. */
KWSI_AVX512_INLINE __m512i kwsi_count_row512(const uint64_t *columns, const uint64_t *weight, int words) {
    __m512i counts = _mm512_setzero_si512();
    for (int i = 0; i < words; i++) {
        counts = kwsi_count512(counts, columns + i * KWSI_TILE, weight[i]);
    }
    return counts;
}

/* Four outputs' counts: a quad. */
KWSI_AVX512_INLINE __m512i kwsi_quad(__m512i a, __m512i b, __m512i c, __m512i d) {
    static const uint16_t by_output[32] = {0, 4, 8,  12, 16, 20, 24, 28, 1, 5, 9,  13, 17, 21, 25, 29,
                                           2, 6, 10, 14, 18, 22, 26, 30, 3, 7, 11, 15, 19, 23, 27, 31};
    __m512i low = _mm512_or_si512(a, _mm512_slli_epi64(b, 16));
    __m512i high = _mm512_or_si512(_mm512_slli_epi64(c, 32), _mm512_slli_epi64(d, 48));
    return _mm512_permutexvar_epi16(_mm512_loadu_si512(by_output), _mm512_or_si512(low, high));
}

/* Four rows of weights, one after another. */
KWSI_AVX512_INLINE __m512i kwsi_quad_rows(const uint64_t *columns, const uint64_t *weight, int words) {
    return kwsi_quad(kwsi_count_row512(columns, weight, words), kwsi_count_row512(columns, weight + words, words),
                     kwsi_count_row512(columns, weight + 2 * words, words),
                     kwsi_count_row512(columns, weight + 3 * words, words));
}

/* Four channels' numbers, each eight times. */
KWSI_AVX512_INLINE __m512i kwsi_spread_quad(const int16_t *numbers) {
    __m512i order = _mm512_set_epi64(0x0706070607060706, 0x0706070607060706, 0x0504050405040504, 0x0504050405040504,
                                     0x0302030203020302, 0x0302030203020302, 0x0100010001000100, 0x0100010001000100);
    return _mm512_shuffle_epi8(_mm512_set1_epi64((long long)kwsi_load64(numbers)), order);
}

/* d << shift, saturated: a count of exactly 2^n becomes 32767. */
KWSI_AVX512_INLINE __m512i kwsi_lift_quad(__m512i d, int shift) {
    return _mm512_min_epu16(_mm512_sll_epi16(d, _mm_cvtsi32_si128(shift)), _mm512_set1_epi16(INT16_MAX));
}

/* x + prelu(bias - mulr(lifted, scale)), in place; returns the new x. */
KWSI_AVX512_INLINE __m512i kwsi_residual_quad(int16_t *x, __m512i lifted, const kwsi_affine_t *affine, int channel) {
    __m512i scaled = _mm512_mulhrs_epi16(lifted, kwsi_spread_quad(affine->scale + channel));
    __m512i value = _mm512_subs_epi16(kwsi_spread_quad(affine->bias + channel), scaled);
    __m512i sloped = _mm512_mulhrs_epi16(value, kwsi_spread_quad(affine->slope + channel));
    __m512i sum = _mm512_adds_epi16(_mm512_loadu_si512(x), _mm512_max_epi16(value, sloped));
    _mm512_storeu_si512(x, sum);
    return sum;
}

/* Which numbers of a quad reach their threshold: a byte a channel, a bit a step. */
KWSI_AVX512_INLINE uint32_t kwsi_sign_quad(__m512i x, const int16_t *threshold) {
    return _mm512_cmpge_epi16_mask(x, kwsi_spread_quad(threshold));
}

/* 64 channels' bytes, a bit a step -> eight words, a bit a channel, `stride` apart. */
KWSI_AVX512_INLINE void kwsi_store_masks512(const uint8_t masks[64], uint64_t flip, uint64_t *out, int stride) {
    __m512i bytes = _mm512_loadu_si512(masks);
    for (int step = 0; step < KWSI_TILE; step++) {
        out[step * stride] = _mm512_test_epi8_mask(bytes, _mm512_set1_epi8((char)(1 << step))) ^ flip;
    }
}

#endif
#endif
