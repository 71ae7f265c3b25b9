/* SPDX-License-Identifier: Apache-2.0
 *
 * What the AVX2 kernels share. They work on pairs: a vector of 16 numbers holds the eight steps of one channel, then
 * those of the next, as x does.
 */
#ifndef KWSI_AVX2_H
#define KWSI_AVX2_H

#include "kernels_x86.h"

#ifdef KWSI_HAS_X86
#include <immintrin.h>

KWSI_AVX2_INLINE __m256i kwsi_load256(const void *at) {
    return _mm256_loadu_si256(at);
}
KWSI_AVX2_INLINE void kwsi_store256(void *at, __m256i value) {
    _mm256_storeu_si256(at, value);
}

/* Set bits of every byte: those of its two halves, from a table of sixteen. */
KWSI_AVX2_INLINE __m256i kwsi_popcount_bytes(__m256i v) {
    __m256i table = _mm256_broadcastsi128_si256(_mm_setr_epi8(0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4));
    __m256i half = _mm256_set1_epi8(15);
    __m256i low = _mm256_and_si256(v, half), high = _mm256_and_si256(_mm256_srli_epi16(v, 4), half);
    return _mm256_add_epi8(_mm256_shuffle_epi8(table, low), _mm256_shuffle_epi8(table, high));
}

/* Eight rows of bits as columns: word after word, that word of every row. The rows stand in the order 0 1 4 5 2 3 6 7,
 * which kwsi_pair undoes at no cost. */
KWSI_AVX2_INLINE void kwsi_pair_columns(const uint64_t *bits, int words, uint64_t *columns) {
    static const uint8_t order[KWSI_TILE] = {0, 1, 4, 5, 2, 3, 6, 7};
    for (int word = 0; word < words; word++) {
        for (int i = 0; i < KWSI_TILE; i++) {
            columns[word * KWSI_TILE + i] = bits[order[i] * words + word];
        }
    }
}

/* Differing bits of one output, byte by byte: those of rows 0 1 4 5 and of 2 3 6 7. */
typedef struct kwsi_counts {
    __m256i a, b;
} kwsi_counts_t;

KWSI_AVX2_INLINE kwsi_counts_t kwsi_count(kwsi_counts_t counts, const uint64_t *column, uint64_t weight) {
    __m256i w = _mm256_set1_epi64x((long long)weight);
    counts.a = _mm256_add_epi8(counts.a, kwsi_popcount_bytes(_mm256_xor_si256(w, kwsi_load256(column))));
    counts.b = _mm256_add_epi8(counts.b, kwsi_popcount_bytes(_mm256_xor_si256(w, kwsi_load256(column + 4))));
    return counts;
}

/* The same for a row of `words` weights. */
KWSI_AVX2_INLINE kwsi_counts_t kwsi_count_row(const uint64_t *columns, const uint64_t *weight, int words) {
    kwsi_counts_t counts = {_mm256_setzero_si256(), _mm256_setzero_si256()};
    for (int i = 0; i < words; i++) {
        counts = kwsi_count(counts, columns + i * KWSI_TILE, weight[i]);
    }
    return counts;
}

/* Sums of the bytes of two outputs: a pair. */
KWSI_AVX2_INLINE __m256i kwsi_pair(kwsi_counts_t first, kwsi_counts_t second) {
    __m256i zero = _mm256_setzero_si256();
    __m256i low = _mm256_packus_epi32(_mm256_sad_epu8(first.a, zero), _mm256_sad_epu8(first.b, zero));
    __m256i high = _mm256_packus_epi32(_mm256_sad_epu8(second.a, zero), _mm256_sad_epu8(second.b, zero));
    return _mm256_permute4x64_epi64(_mm256_packus_epi32(low, high), 0xd8);
}

/* Two channels' numbers, each eight times. */
KWSI_AVX2_INLINE __m256i kwsi_spread_pair(const int16_t *numbers) {
    __m256i order = _mm256_setr_epi8(0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1, //
                                     2, 3, 2, 3, 2, 3, 2, 3, 2, 3, 2, 3, 2, 3, 2, 3);
    return _mm256_shuffle_epi8(_mm256_set1_epi32(kwsi_load32(numbers)), order);
}

/* d << shift, saturated: a count of exactly 2^n becomes 32767. */
KWSI_AVX2_INLINE __m256i kwsi_lift_pair(__m256i d, int shift) {
    return _mm256_min_epu16(_mm256_sll_epi16(d, _mm_cvtsi32_si128(shift)), _mm256_set1_epi16(INT16_MAX));
}

/* x + prelu(bias - mulr(lifted, scale)), in place; returns the new x. */
KWSI_AVX2_INLINE __m256i kwsi_residual_pair(int16_t *x, __m256i lifted, const kwsi_affine_t *affine, int channel) {
    __m256i scaled = _mm256_mulhrs_epi16(lifted, kwsi_spread_pair(affine->scale + channel));
    __m256i value = _mm256_subs_epi16(kwsi_spread_pair(affine->bias + channel), scaled);
    __m256i sloped = _mm256_mulhrs_epi16(value, kwsi_spread_pair(affine->slope + channel));
    __m256i sum = _mm256_adds_epi16(kwsi_load256(x), _mm256_max_epi16(value, sloped));
    kwsi_store256(x, sum);
    return sum;
}

/* Two pairs of comparisons as bits: a byte a channel, a bit a step. */
KWSI_AVX2_INLINE uint32_t kwsi_mask_pairs(__m256i first, __m256i second) {
    __m256i bytes = _mm256_permute4x64_epi64(_mm256_packs_epi16(first, second), 0xd8);
    return (uint32_t)_mm256_movemask_epi8(bytes);
}

/* 32 channels' bytes, a bit a step -> one step's bits. */
KWSI_AVX2_INLINE uint32_t kwsi_mask_step(__m256i bytes, int step) {
    return (uint32_t)_mm256_movemask_epi8(_mm256_sll_epi16(bytes, _mm_cvtsi32_si128(7 - step)));
}

/* 64 channels' bytes, a bit a step -> eight words, a bit a channel, `stride` apart. */
KWSI_AVX2_INLINE void kwsi_store_masks(const uint8_t masks[64], uint64_t flip, uint64_t *out, int stride) {
    __m256i low = kwsi_load256(masks), high = kwsi_load256(masks + 32);
    for (int step = 0; step < KWSI_TILE; step++) {
        uint64_t word = (uint64_t)kwsi_mask_step(high, step) << 32 | kwsi_mask_step(low, step);
        out[step * stride] = word ^ flip;
    }
}

#endif
#endif
