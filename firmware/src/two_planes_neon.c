/* SPDX-License-Identifier: Apache-2.0
 *
 * The operators of two planes on NEON: for a chunk of outputs at a time count_neon.S counts, and finish_neon.S turns eight
 * rows' sums into x and into bits. What is left is here: patches, taps of the memory, and the order of it all.
 */
#include "kernels_neon.h"
#include "two_planes.h"

#if defined(__aarch64__)

#include "residual.h"

#include <arm_neon.h>

/* The last tap of a patch; what is gathered before it, in 128-bit registers, and in rows of so many words. */
enum { TAIL = KWSI_TAPS - 1, GATHERED = TAIL / 8, ROW = 8 };

/* In finish_neon.S. */
void kwsi_compare_two_neon(const int16_t *values, int outputs, const int16_t *edges, size_t bytes, const uint64_t *flip,
                           uint16_t planes[2][KWSI_WORD / 16][KWSI_TILE]);

static const uint64_t straight = 0, turned = UINT64_MAX;

/* What 64 outputs have passed of their edges, [3] of `count`, to rows of bits [8][2] that lie `stride` words apart. */
__attribute__((noinline)) static void compare(const int16_t *values, const int16_t *edges, int count,
                                              const uint64_t *flip, uint64_t *out, int stride) {
    uint16_t planes[2][KWSI_WORD / 16][KWSI_TILE];
    kwsi_compare_two_neon(values, KWSI_WORD, edges, sizeof *edges * (size_t)count, flip, planes);
    for (int plane = 0; plane < 2; plane++) {
        kwsi_store_rows_neon((const uint16_t (*)[KWSI_TILE])planes[plane], &straight, out + plane * stride,
                             2 * sizeof *out * (size_t)stride);
    }
}

/* x [channels][8], threshold [3][channels] -> out [8][2][channels / 64]; x >= t is x < t turned round. */
__attribute__((noinline)) static void take_signs(const int16_t *x, const int16_t *threshold, int channels,
                                                 uint64_t *out) {
    for (int c = 0; c < channels; c += KWSI_WORD) {
        compare(x + c * KWSI_TILE, threshold + c, channels, &turned, out + c / 64, channels / 64);
    }
}

void kwsi_expand_two_neon(const uint64_t *bits, const uint64_t *weight, int words, int outputs, const int16_t *below,
                          const uint64_t *flip, uint64_t *out) {
    int16_t space[KWSI_SPACE];
    for (int o = 0, count; o < outputs; o += count) {
        count = kwsi_chunk(outputs, o);
        const int16_t *sums = kwsi_count_neon(bits, 2, weight + o * words, words, count, space);
        for (int i = o; i < o + count; i += KWSI_WORD, sums += KWSI_WORD * KWSI_TILE) {
            compare(sums, below + i, outputs, flip + i / 64, out + i / 64, outputs / 64);
        }
    }
}

void kwsi_project_two_neon(const uint64_t *bits, const uint64_t *weight, int words, int outputs,
                           const kwsi_affine_t *affine, int16_t *x, const int16_t *threshold, uint64_t *out) {
    int16_t space[KWSI_SPACE];
    int shift = kwsi_shift(3 * 64 * words);
    for (int o = 0, count; o < outputs; o += count) {
        count = kwsi_chunk(outputs, o);
        const int16_t *sums = kwsi_count_neon(bits, 2, weight + o * words, words, count, space);
        kwsi_residual_neon(sums, shift, affine, (size_t)o, (size_t)count, x + o * KWSI_TILE, NULL);
    }
    if (threshold) {
        take_signs(x, threshold, outputs, out);
    }
}

/* The patches of eight mels, of which `mels` are there and the last is repeated: 24 taps of both planes of each, and the
 * last taps, [2][8]. */
static void find_patches(const uint16_t *const *columns, int words, int from, int mels,
                         uint64_t patches[2 * KWSI_TILE * ROW], uint16_t last[2][KWSI_TILE]) {
    uint8x16_t gather[3];
    for (int i = 0; i < 3; i++) {
        gather[i] = vld1q_u8(kwsi_conv2_gather[i]);
    }
    for (int i = 0; i < 2 * KWSI_TILE; i++) {
        int mel = i / 2 < mels ? i / 2 : mels - 1, at = i % 2 * words + 2 * (from + mel);
        uint8x16_t read[KWS_KERNEL];
        for (int k = 0; k < KWS_KERNEL; k++) {
            read[k] = vreinterpretq_u8_u16(vld1q_u16(columns[k] + at));
        }
        uint8_t *to = (uint8_t *)(patches + i * ROW);
        vst1q_u8(to, vqtbl2q_u8((uint8x16x2_t){{read[0], read[1]}}, gather[0]));
        vst1q_u8(to + 16, vqtbl3q_u8((uint8x16x3_t){{read[1], read[2], read[3]}}, gather[1]));
        vst1q_u8(to + 32, vqtbl2q_u8((uint8x16x2_t){{read[3], read[4]}}, gather[2]));
        last[i % 2][i / 2] = columns[KWS_KERNEL - 1][at + KWS_KERNEL - 1];
    }
}

/* Adds what the last taps count. */
static void count_last(const uint16_t last[2][KWSI_TILE], const uint16_t *weight, int16_t *sums) {
    uint8x16_t first = vreinterpretq_u8_u16(vld1q_u16(last[0])), second = vreinterpretq_u8_u16(vld1q_u16(last[1]));
    uint8x16_t two = vdupq_n_u8(2);
    for (int o = 0; o < KWS_CONV2_CHANNELS; o++, sums += KWSI_TILE) {
        uint8x16_t w = vreinterpretq_u8_u16(vld1q_dup_u16(weight + o * KWSI_TAPS + TAIL));
        uint8x16_t counts = vmlaq_u8(vcntq_u8(veorq_u8(second, w)), vcntq_u8(veorq_u8(first, w)), two);
        vst1q_s16(sums, vreinterpretq_s16_u16(vpadalq_u8(vreinterpretq_u16_s16(vld1q_s16(sums)), counts)));
    }
}

void kwsi_conv2_two_neon(const uint16_t *const *columns, int steps, int m, const uint16_t *weight, const int16_t *below,
                         uint64_t *bits) {
    enum { OUTPUTS = KWS_CONV2_CHANNELS };
    int16_t space[KWSI_SPACE], *sums = space + KWSI_SPACE - KWSI_CHUNK * KWSI_TILE;
    uint64_t patches[2 * KWSI_TILE * ROW];
    uint16_t planes[2][KWSI_WORD / 16][KWSI_TILE];
    uint16_t last[2][KWSI_TILE];
    int words = m / 2;
    for (; steps > 0; steps--, columns += 2, bits += 2 * words) {
        for (int from = 0; from < m; from += KWSI_TILE) {
            int mels = m - from < KWSI_TILE ? m - from : KWSI_TILE;
            find_patches(columns, kwsi_column_words(4 * m), from, mels, patches, last);
            kwsi_count_two_neon(patches, weight, GATHERED * 2, OUTPUTS, sums, sizeof *patches * ROW,
                                sizeof *weight * KWSI_TAPS);
            count_last((const uint16_t (*)[KWSI_TILE])last, weight, sums);
            kwsi_compare_two_neon(sums, OUTPUTS, below, sizeof *below * OUTPUTS, &straight, planes);
            for (int plane = 0; plane < 2; plane++) {
                uint16x8x2_t mels_bits = vzipq_u16(vld1q_u16(planes[plane][0]), vld1q_u16(planes[plane][1]));
                memcpy(bits + plane * words + from / 2, &mels_bits, sizeof *bits * (size_t)(mels / 2));
            }
        }
    }
}

/* Two steps of 64 channels, four apart. */
typedef uint8x16_t pair_t;

/* Differing taps, as three-bit numbers whose bits lie in three registers; see kwsi_memory_planes. */
static inline void count_taps(const pair_t rows[KWS_KERNEL], const pair_t taps[KWS_KERNEL], pair_t planes[3]) {
    pair_t differ[KWS_KERNEL];
    for (int k = 0; k < KWS_KERNEL; k++) {
        differ[k] = veorq_u8(rows[k], taps[k]);
    }
    pair_t two = veorq_u8(differ[0], differ[1]), ones = veorq_u8(two, differ[2]);
    pair_t four = veorq_u8(ones, differ[3]);
    pair_t carry = vbslq_u8(two, differ[2], differ[0]), rest = vbslq_u8(four, differ[4], ones);
    planes[0] = veorq_u8(four, differ[4]);
    planes[1] = veorq_u8(carry, rest);
    planes[2] = vandq_u8(carry, rest);
}

/* Bits of even places of a and b side by side, and those of odd places; or pairs of bits, with their mask. */
#define INTERLEAVE(a, b, width, mask, even, odd)                                                                       \
    do {                                                                                                               \
        even = vbslq_u8(mask, a, vshlq_n_u8(b, width));                                                                \
        odd = vbslq_u8(mask, vshrq_n_u8(a, width), b);                                                                 \
    } while (0)

/* Four registers, each eight bytes of step i and eight of step i + 4 -> eight bytes of eight steps, two to a register. */
static inline void turn(pair_t r[4]) {
    pair_t a = vzip1q_u8(r[0], r[2]), b = vzip2q_u8(r[0], r[2]), c = vzip1q_u8(r[1], r[3]), d = vzip2q_u8(r[1], r[3]);
    uint32x4_t early[2] = {vreinterpretq_u32_u8(vzip1q_u8(a, c)), vreinterpretq_u32_u8(vzip2q_u8(a, c))};
    uint32x4_t late[2] = {vreinterpretq_u32_u8(vzip1q_u8(b, d)), vreinterpretq_u32_u8(vzip2q_u8(b, d))};
    for (int i = 0; i < 2; i++) {
        r[2 * i] = vreinterpretq_u8_u32(vzip1q_u32(early[i], late[i]));
        r[2 * i + 1] = vreinterpretq_u8_u32(vzip2q_u32(early[i], late[i]));
    }
}

/* sums [64 channels][8 steps] of one word, from rows -2 .. 9, [2] planes, and weights that lie `words` apart. */
static void count_memory(const uint64_t rows[KWSI_TILE + KWS_KERNEL - 1][2], const uint64_t *weight, int words,
                         int16_t *sums) {
    pair_t taps[KWS_KERNEL], pairs[2][KWSI_TILE], halves[4][4];
    pair_t mask1 = vdupq_n_u8(0x55), mask2 = vdupq_n_u8(0x33), low = vdupq_n_u8(15);
    for (int k = 0; k < KWS_KERNEL; k++) {
        taps[k] = vreinterpretq_u8_u64(vld1q_dup_u64(weight + k * words));
    }
    for (int i = 0; i < KWSI_TILE; i++) {
        for (int plane = 0; plane < 2; plane++) {
            uint64x1_t early = vld1_u64(&rows[i][plane]), late = vld1_u64(&rows[i + 4][plane]);
            pairs[plane][i] = vreinterpretq_u8_u64(vcombine_u64(early, late));
        }
    }
    for (int i = 0; i < 4; i++) {
        pair_t p[3], q[3], even[2], odd[2], sum[4];
        count_taps(pairs[0] + i, taps, p);
        count_taps(pairs[1] + i, taps, q);
        pair_t carry = vandq_u8(q[1], p[0]), half = veorq_u8(q[2], p[1]);
        sum[0] = q[0];
        sum[1] = veorq_u8(q[1], p[0]);
        sum[2] = veorq_u8(half, carry);
        sum[3] = veorq_u8(p[2], vbslq_u8(half, carry, p[1]));
        INTERLEAVE(sum[0], sum[1], 1, mask1, even[0], odd[0]);
        INTERLEAVE(sum[2], sum[3], 1, mask1, even[1], odd[1]);
        INTERLEAVE(even[0], even[1], 2, mask2, halves[0][i], halves[2][i]);
        INTERLEAVE(odd[0], odd[1], 2, mask2, halves[1][i], halves[3][i]);
    }
    for (int k = 0; k < 4; k++) { /* channels k and k + 4 of every eight */
        turn(halves[k]);
    }
    for (int i = 0; i < 4; i++, sums += 12 * KWSI_TILE) {
        for (int k = 0; k < 4; k++, sums += KWSI_TILE) {
            pair_t first = vandq_u8(halves[k][i], low), second = vshrq_n_u8(halves[k][i], 4);
            vst1q_s16(sums, vreinterpretq_s16_u16(vmovl_u8(vget_low_u8(first))));
            vst1q_s16(sums + 4 * KWSI_TILE, vreinterpretq_s16_u16(vmovl_u8(vget_low_u8(second))));
            vst1q_s16(sums + 8 * KWSI_TILE, vreinterpretq_s16_u16(vmovl_high_u8(first)));
            vst1q_s16(sums + 12 * KWSI_TILE, vreinterpretq_s16_u16(vmovl_high_u8(second)));
        }
    }
}

void kwsi_memory_two_neon(const uint64_t *bits, const uint64_t *weight, int steps, int words,
                          const kwsi_affine_t *affine, int16_t *x, const int16_t *threshold, uint64_t *out) {
    enum { BEFORE = KWS_KERNEL / 2, ROWS = KWSI_TILE + 2 * BEFORE };
    int16_t sums[KWSI_WORD * KWSI_TILE];
    uint64_t rows[ROWS][2];
    int channels = 64 * words, shift = kwsi_shift(3 * KWS_KERNEL);
    for (int tile = 0; tile < steps; tile += KWSI_TILE) {
        int from = tile > 0 ? 0 : BEFORE, end = steps - tile + BEFORE < ROWS ? steps - tile + BEFORE : ROWS;
        memset(rows, 0, sizeof rows);
        for (int word = 0; word < words; word++) {
            const uint64_t *at = bits + 2 * (tile - BEFORE + from) * words + word;
            for (int row = from; row < end; row++, at += 2 * words) {
                rows[row][0] = at[0];
                rows[row][1] = at[words];
            }
            count_memory((const uint64_t (*)[2])rows, weight + word, words, sums);
            kwsi_residual_neon(sums, shift, affine, 64 * (size_t)word, KWSI_WORD, x + 64 * word * KWSI_TILE, NULL);
        }
        take_signs(x, threshold, channels, out);
        x += channels * KWSI_TILE;
        out += KWSI_TILE * 2 * words;
    }
}

#endif
