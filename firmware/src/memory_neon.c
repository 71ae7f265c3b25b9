/* SPDX-License-Identifier: Apache-2.0
 *
 * The depthwise memory on NEON. Differing taps of 128 channels are counted at once, as three planes of bits; a
 * transposition puts the eight steps of a tile side by side; shifts and masks turn planes into numbers, sixteen channels
 * at a time; and each channel's eight numbers take the same epilogue as a projection's.
 */
#include "kernels_neon.h"

#if defined(__aarch64__)

#include "binary_neon.h"
#include "residual.h"

enum { PLANES = 3, OCTETS = 16 };

/* Words i and i + 1 of a row, or word i and zeros where it is the last. */
static inline uint8x16_t pair(const uint64_t *row, int i, int words) {
    uint64x1_t low = vld1_u64(row + i);
    return vreinterpretq_u8_u64(vcombine_u64(low, i + 1 < words ? vld1_u64(row + i + 1) : vdup_n_u64(0)));
}

/* planes[k][step]: bit k of how many of the five taps differ, for 128 channels from word i. */
static inline void count(const uint64_t *bits, const uint8x16_t weight[KWS_KERNEL], int tile, int steps, int i,
                         int words, uint8x16_t planes[PLANES][KWSI_TILE]) {
    uint8x16_t rows[KWSI_TILE + KWS_KERNEL - 1];
    for (int k = 0; k < KWSI_TILE + KWS_KERNEL - 1; k++) {
        int at = tile + k - KWS_KERNEL / 2;
        rows[k] = at >= 0 && at < steps ? pair(bits + at * words, i, words) : vdupq_n_u8(0);
    }
    for (int step = 0; step < KWSI_TILE; step++) {
        uint8x16_t d[KWS_KERNEL];
        for (int k = 0; k < KWS_KERNEL; k++) {
            d[k] = veorq_u8(rows[step + k], weight[k]);
        }
        /* two full adders; where the first two inputs differ, the carry is the third, else the first */
        uint8x16_t differ = veorq_u8(d[0], d[1]), ones = veorq_u8(differ, d[2]), carry = vbslq_u8(differ, d[2], d[0]);
        uint8x16_t again = veorq_u8(ones, d[3]), rest = vbslq_u8(again, d[4], ones);
        planes[0][step] = veorq_u8(again, d[4]);
        planes[1][step] = veorq_u8(carry, rest);
        planes[2][step] = vandq_u8(carry, rest);
    }
}

/* Eight rows of sixteen octets -> octets 2 i and 2 i + 1, each with its eight rows side by side, in out[i]. */
static inline void transpose(const uint8x16_t in[KWSI_TILE], uint8x16_t out[KWSI_TILE]) {
    uint8x16_t a[KWSI_TILE], b[KWSI_TILE];
    for (int i = 0; i < 4; i++) { /* rows i and i + 4 */
        a[i] = vzip1q_u8(in[i], in[i + 4]);
        a[i + 4] = vzip2q_u8(in[i], in[i + 4]);
    }
    for (int half = 0; half < 8; half += 4) { /* then rows 0 2 4 6 and 1 3 5 7 */
        for (int i = 0; i < 2; i++) {
            b[half + i] = vzip1q_u8(a[half + i], a[half + i + 2]);
            b[half + i + 2] = vzip2q_u8(a[half + i], a[half + i + 2]);
        }
    }
    for (int i = 0; i < 4; i++) {
        out[2 * i] = vzip1q_u8(b[2 * i], b[2 * i + 1]);
        out[2 * i + 1] = vzip2q_u8(b[2 * i], b[2 * i + 1]);
    }
}

/* Counts of two octets of channels, [8 channels of each], at the top of their bytes: channel r is bit r of a plane. */
static inline void numbers(uint8x16_t p0, uint8x16_t p1, uint8x16_t p2, uint8x16_t lifted[8]) {
    const uint8x16_t first = vdupq_n_u8(0x11), second = vdupq_n_u8(0x22), third = vdupq_n_u8(0x44);
    uint8x16_t a[4] = {p0, vshrq_n_u8(p0, 1), vshrq_n_u8(p0, 2), vshrq_n_u8(p0, 3)};
    uint8x16_t b[4] = {vshlq_n_u8(p1, 1), p1, vshrq_n_u8(p1, 1), vshrq_n_u8(p1, 2)};
    uint8x16_t c[4] = {vshlq_n_u8(p2, 2), vshlq_n_u8(p2, 1), p2, vshrq_n_u8(p2, 1)};
    for (int r = 0; r < 4; r++) {
        uint8x16_t both = vbslq_u8(first, a[r], vbslq_u8(second, b[r], vandq_u8(c[r], third)));
        lifted[r] = vshlq_n_u8(both, 5);
        lifted[r + 4] = vshlq_n_u8(vshrq_n_u8(both, 4), 5);
    }
}

/* Eight channels; `half` of each register of lifted counts is theirs. shift(5) = 12: 5 where they lie, and 7. */
#define EIGHT(half, numbers, lifted, x, gathered)                                                                      \
    do {                                                                                                               \
        CHANNEL(half, numbers, 0, lifted, x, gathered);                                                                \
        CHANNEL(half, numbers, 1, lifted, x, gathered);                                                                \
        CHANNEL(half, numbers, 2, lifted, x, gathered);                                                                \
        CHANNEL(half, numbers, 3, lifted, x, gathered);                                                                \
        CHANNEL(half, numbers, 4, lifted, x, gathered);                                                                \
        CHANNEL(half, numbers, 5, lifted, x, gathered);                                                                \
        CHANNEL(half, numbers, 6, lifted, x, gathered);                                                                \
        CHANNEL(half, numbers, 7, lifted, x, gathered);                                                                \
    } while (0)
#define CHANNEL(half, numbers, lane, lifted, x, gathered)                                                              \
    KWSI_RESIDUAL(numbers, lane, vreinterpretq_s16_u16(half((lifted)[lane])), (x) + (lane) * KWSI_TILE, gathered)
#define LOW(bytes) vshll_n_u8(vget_low_u8(bytes), 7)
#define HIGH(bytes) vshll_high_n_u8(bytes, 7)

/* Sixteen channels from `channel`; returns their bits. */
static inline uint16x8_t residual(const uint8x16_t lifted[8], const kwsi_affine_t *affine, int channel, int16_t *x,
                                  const int16_t *threshold) {
    uint16x8_t gathered = vdupq_n_u16(0);
    kwsi_eight_t numbers = kwsi_load_eight(affine, threshold, channel);
    x += channel * KWSI_TILE;
    EIGHT(LOW, numbers, lifted, x, gathered);
    numbers = kwsi_load_eight(affine, threshold, channel + 8);
    x += 8 * KWSI_TILE;
    EIGHT(HIGH, numbers, lifted, x, gathered);
    return gathered;
}

void kwsi_memory_neon(const uint64_t *bits, const uint64_t *weight, int steps, int words, const kwsi_affine_t *affine,
                      int16_t *x, const int16_t *threshold, uint64_t *out) {
    for (int i = 0; i < words; i += 2) {
        uint8x16_t taps[KWS_KERNEL];
        for (int k = 0; k < KWS_KERNEL; k++) {
            taps[k] = pair(weight + k * words, i, words);
        }
        for (int tile = 0; tile < steps; tile += KWSI_TILE) {
            uint8x16_t planes[PLANES][KWSI_TILE], turned[PLANES][KWSI_TILE];
            count(bits, taps, tile, steps, i, words, planes);
            for (int k = 0; k < PLANES; k++) {
                transpose(planes[k], turned[k]);
            }
            int16_t *at = x + tile * 64 * words;
            for (int word = i; word < i + 2 && word < words; word++) {
                uint16x8_t pieces[4];
                for (int piece = 0; piece < 4; piece++) {
                    int octets = 4 * (word - i) + piece;
                    uint8x16_t lifted[8];
                    numbers(turned[0][octets], turned[1][octets], turned[2][octets], lifted);
                    pieces[piece] = residual(lifted, affine, 64 * word + 16 * piece, at, threshold);
                }
                kwsi_store_bits(pieces, vdupq_n_u64(0), out + tile * words + word, words);
            }
        }
    }
}

#endif
