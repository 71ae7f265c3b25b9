/* SPDX-License-Identifier: Apache-2.0 */
#include "avx512.h"
#include "residual.h"

#ifdef KWSI_HAS_X86

/* Truth tables of three operands: is their sum odd, is it more than one? */
enum { ODD = 0x96, MAJORITY = 0xe8 };

/* A tile's differing taps of 64 channels, as in kwsi_memory_planes: a word a step. */
KWSI_AVX512_INLINE void add_taps(const uint64_t *rows, const uint64_t *weight, int words, __m512i planes[3]) {
    __m512i d[KWS_KERNEL];
    for (int k = 0; k < KWS_KERNEL; k++) {
        d[k] = _mm512_xor_si512(_mm512_loadu_si512(rows + k), _mm512_set1_epi64((long long)weight[k * words]));
    }
    __m512i ones = _mm512_ternarylogic_epi64(d[0], d[1], d[2], ODD);
    __m512i carry = _mm512_ternarylogic_epi64(d[0], d[1], d[2], MAJORITY);
    __m512i rest = _mm512_ternarylogic_epi64(ones, d[3], d[4], MAJORITY);
    planes[0] = _mm512_ternarylogic_epi64(ones, d[3], d[4], ODD);
    planes[1] = _mm512_xor_si512(carry, rest);
    planes[2] = _mm512_and_si512(carry, rest);
}

/* Swaps the bits that `from` selects with those `distance` above them. */
KWSI_AVX512_INLINE __m512i swap_bits(__m512i v, unsigned distance, long long from) {
    __m512i differ = _mm512_and_si512(_mm512_xor_si512(v, _mm512_srli_epi64(v, distance)), _mm512_set1_epi64(from));
    return _mm512_ternarylogic_epi64(v, differ, _mm512_slli_epi64(differ, distance), ODD);
}

/* Eight words, a step each -> 64 bytes, a channel each: first bytes, then the bits of every eight of them. */
KWSI_AVX512_INLINE __m512i transpose(__m512i v) {
    static const uint16_t by_byte[32] = {0, 8,  16, 24, 1, 9,  17, 25, 2, 10, 18, 26, 3, 11, 19, 27,
                                         4, 12, 20, 28, 5, 13, 21, 29, 6, 14, 22, 30, 7, 15, 23, 31};
    __m512i zip = _mm512_broadcast_i32x4(_mm_setr_epi8(0, 8, 1, 9, 2, 10, 3, 11, 4, 12, 5, 13, 6, 14, 7, 15));
    v = _mm512_permutexvar_epi16(_mm512_loadu_si512(by_byte), _mm512_shuffle_epi8(v, zip));
    v = swap_bits(v, 7, 0x00aa00aa00aa00aa);
    v = swap_bits(v, 14, 0x0000cccc0000cccc);
    return swap_bits(v, 28, 0x00000000f0f0f0f0);
}

/* 64 channels of one tile. */
KWSI_AVX512_INLINE void remember(const uint64_t *rows, const uint64_t *weight, int words, const kwsi_affine_t *affine,
                                 int channel, int16_t *x, const int16_t *threshold, uint64_t *out) {
    __m512i planes[3];
    uint8_t bits[3][64], masks[64];
    add_taps(rows, weight, words, planes);
    for (int plane = 0; plane < 3; plane++) {
        _mm512_storeu_si512(bits[plane], transpose(planes[plane]));
    }
    for (int i = 0; i < 64; i += 4) {
        int c = channel + i;
        __mmask32 ones = (__mmask32)kwsi_load32(bits[0] + i), twos = (__mmask32)kwsi_load32(bits[1] + i);
        __mmask32 fours = (__mmask32)kwsi_load32(bits[2] + i);
        __m512i lifted = _mm512_maskz_mov_epi16(ones, _mm512_set1_epi16(1 << 12)); /* by the shift of five inputs */
        lifted = _mm512_mask_add_epi16(lifted, twos, lifted, _mm512_set1_epi16(1 << 13));
        lifted = _mm512_mask_add_epi16(lifted, fours, lifted, _mm512_set1_epi16(1 << 14));
        __m512i sum = kwsi_residual_quad(x + c * KWSI_TILE, lifted, affine, c);
        kwsi_store32(masks + i, kwsi_sign_quad(sum, threshold + c));
    }
    kwsi_store_masks512(masks, 0, out, words);
}

KWSI_AVX512 void kwsi_memory_avx512(const uint64_t *bits, const uint64_t *weight, int steps, int words,
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
