/* SPDX-License-Identifier: Apache-2.0 */
#include "avx2.h"
#include "residual.h"

#ifdef KWSI_HAS_X86

/* Four steps' differing taps of 64 channels, as in kwsi_memory_planes. */
KWSI_AVX2_INLINE void add_taps(const uint64_t *rows, const uint64_t *weight, int words, __m256i planes[3]) {
    __m256i d[KWS_KERNEL];
    for (int k = 0; k < KWS_KERNEL; k++) {
        d[k] = _mm256_xor_si256(kwsi_load256(rows + k), _mm256_set1_epi64x((long long)weight[k * words]));
    }
    __m256i two = _mm256_xor_si256(d[0], d[1]), ones = _mm256_xor_si256(two, d[2]);
    __m256i carry = _mm256_or_si256(_mm256_and_si256(d[0], d[1]), _mm256_and_si256(d[2], two));
    __m256i four = _mm256_xor_si256(ones, d[3]);
    __m256i rest = _mm256_or_si256(_mm256_and_si256(ones, d[3]), _mm256_and_si256(d[4], four));
    planes[0] = _mm256_xor_si256(four, d[4]);
    planes[1] = _mm256_xor_si256(carry, rest);
    planes[2] = _mm256_and_si256(carry, rest);
}

/* Eight words, a step each -> eight words, each the same byte of every step. */
KWSI_AVX2_INLINE void transpose_bytes(__m256i early, __m256i late, uint64_t words[8]) {
    __m256i zip = _mm256_broadcastsi128_si256(_mm_setr_epi8(0, 8, 1, 9, 2, 10, 3, 11, 4, 12, 5, 13, 6, 14, 7, 15));
    __m256i a = _mm256_shuffle_epi8(_mm256_permute2x128_si256(early, late, 0x20), zip); /* steps 0 1 | 4 5 */
    __m256i b = _mm256_shuffle_epi8(_mm256_permute2x128_si256(early, late, 0x31), zip); /* steps 2 3 | 6 7 */
    __m256i low = _mm256_unpacklo_epi16(a, b), high = _mm256_unpackhi_epi16(a, b);      /* 0..3 | 4..7 */
    __m256i to_pairs = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7);
    kwsi_store256(words, _mm256_permutevar8x32_epi32(low, to_pairs));
    kwsi_store256(words + 4, _mm256_permutevar8x32_epi32(high, to_pairs));
}

/* A byte a step, eight times 16 bits, for both halves of a pair. */
KWSI_AVX2_INLINE __m256i widen(uint64_t bytes) {
    return _mm256_unpacklo_epi8(_mm256_set1_epi64x((long long)bytes), _mm256_setzero_si256());
}

/* 64 channels of one tile. */
KWSI_AVX2_INLINE void remember(const uint64_t *rows, const uint64_t *weight, int words, const kwsi_affine_t *affine,
                               int channel, int16_t *x, const int16_t *threshold, uint64_t *out) {
    uint64_t bytes[3][8];
    uint8_t masks[64];
    __m256i early[3], late[3];
    add_taps(rows, weight, words, early);
    add_taps(rows + 4, weight, words, late);
    for (int plane = 0; plane < 3; plane++) {
        transpose_bytes(early[plane], late[plane], bytes[plane]);
    }
    for (int group = 0; group < 8; group++) {
        __m256i ones = widen(bytes[0][group]), twos = widen(bytes[1][group]), fours = widen(bytes[2][group]);
        /* Brings the bit of a pair's two channels to where the lifted count has it: bit 12, 13 or 14. */
        __m256i raise = _mm256_set_m128i(_mm_set1_epi16(1 << 11), _mm_set1_epi16(1 << 12));
        __m256i is_less[4];
        for (int pair = 0; pair < 4; pair++) {
            int c = channel + 8 * group + 2 * pair;
            __m256i one = _mm256_mullo_epi16(ones, raise), two = _mm256_mullo_epi16(twos, _mm256_slli_epi16(raise, 1));
            __m256i four = _mm256_mullo_epi16(fours, _mm256_slli_epi16(raise, 2));
            __m256i lifted = _mm256_or_si256(_mm256_and_si256(one, _mm256_set1_epi16(1 << 12)),
                                             _mm256_and_si256(two, _mm256_set1_epi16(1 << 13)));
            lifted = _mm256_or_si256(lifted, _mm256_and_si256(four, _mm256_set1_epi16(1 << 14)));
            __m256i sum = kwsi_residual_pair(x + c * KWSI_TILE, lifted, affine, c);
            is_less[pair] = _mm256_cmpgt_epi16(kwsi_spread_pair(threshold + c), sum);
            raise = _mm256_srli_epi16(raise, 2);
        }
        kwsi_store32(masks + 8 * group, kwsi_mask_pairs(is_less[0], is_less[1]));
        kwsi_store32(masks + 8 * group + 4, kwsi_mask_pairs(is_less[2], is_less[3]));
    }
    kwsi_store_masks(masks, UINT64_MAX, out, words);
}

KWSI_AVX2 void kwsi_memory_avx2(const uint64_t *bits, const uint64_t *weight, int steps, int words,
                                const kwsi_affine_t *affine, int16_t *x, const int16_t *threshold, uint64_t *out) {
    for (int tile = 0; tile < steps; tile += KWSI_TILE) {
        for (int word = 0; word < words; word++) {
            uint64_t rows[KWSI_TILE + KWS_KERNEL - 1];
            kwsi_memory_rows(bits, tile, steps, words, word, rows);
            remember(rows, weight + word, words, affine, 64 * word, x, threshold, out + word);
        }
        x += 64 * words * KWSI_TILE;
        out += KWSI_TILE * words;
    }
}

#endif
