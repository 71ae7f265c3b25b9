/* SPDX-License-Identifier: Apache-2.0
 *
 * The binary matrix product on AArch64, from naive to what the engine runs: each rung does what the one before does and
 * changes one thing. All but the last leave d [outputs][8], how many of K inputs differ, in 16 bits; the last is the
 * engine's own operator, whose sums never leave its registers. ladder.py builds, compares, counts and prints.
 */
#include "rungs.h"

#include <arm_neon.h>

/* Each rung is compiled for two and for four words: a width known to the compiler costs it nothing. */
#define INLINE static inline __attribute__((always_inline))
#define RUNG(name)                                                                                                     \
    void rung_##name##_2(const uint64_t *bits, const uint64_t *weight, int outputs, uint16_t *d) {                     \
        name(bits, weight, 2, outputs, d);                                                                             \
    }                                                                                                                  \
    void rung_##name##_4(const uint64_t *bits, const uint64_t *weight, int outputs, uint16_t *d) {                     \
        name(bits, weight, 4, outputs, d);                                                                             \
    }

/* Rung 0: plain C. AArch64 has no scalar count of bits: the compiler moves each word to a vector register and back. */
INLINE void words(const uint64_t *bits, const uint64_t *weight, int words, int outputs, uint16_t *d) {
    for (int o = 0; o < outputs; o++) {
        for (int row = 0; row < 8; row++) {
            int count = 0;
            for (int i = 0; i < words; i++) {
                count += __builtin_popcountll(bits[row * words + i] ^ weight[o * words + i]);
            }
            *d++ = (uint16_t)count;
        }
    }
}

/* Rung 1: 128 bits at a time, each dot product summed by itself: ADDV costs as much as the product. */
INLINE void dots(const uint64_t *bits, const uint64_t *weight, int words, int outputs, uint16_t *d) {
    for (int o = 0; o < outputs; o++) {
        for (int row = 0; row < 8; row++) {
            uint16_t count = 0;
            for (int i = 0; i < words; i += 2) {
                uint8x16_t a = vreinterpretq_u8_u64(vld1q_u64(bits + row * words + i));
                uint8x16_t w = vreinterpretq_u8_u64(vld1q_u64(weight + o * words + i));
                count = (uint16_t)(count + vaddlvq_u8(vcntq_u8(veorq_u8(a, w))));
            }
            *d++ = count;
        }
    }
}

static inline uint8x16_t count_of(const uint64_t *a, const uint64_t *w) {
    uint8x16_t x = vreinterpretq_u8_u64(vld1q_u64(a)), y = vreinterpretq_u8_u64(vld1q_u64(w));
    return vcntq_u8(veorq_u8(x, y));
}

/* Rung 2: eight outputs of one row folded together: seven ADDP and a widening one instead of eight ADDV. */
INLINE void tree(const uint64_t *bits, const uint64_t *weight, int words, int outputs, uint16_t *d) {
    for (int row = 0; row < 8; row++) {
        for (int o = 0; o < outputs; o += 8) {
            uint8x16_t sum[8];
            for (int k = 0; k < 8; k++) {
                sum[k] = count_of(bits + row * words, weight + (o + k) * words);
                for (int i = 2; i < words; i += 2) {
                    sum[k] = vaddq_u8(sum[k], count_of(bits + row * words + i, weight + (o + k) * words + i));
                }
            }
            uint8x16_t low = vpaddq_u8(vpaddq_u8(sum[0], sum[1]), vpaddq_u8(sum[2], sum[3]));
            uint8x16_t high = vpaddq_u8(vpaddq_u8(sum[4], sum[5]), vpaddq_u8(sum[6], sum[7]));
            uint16_t eight[8];
            vst1q_u16(eight, vpaddlq_u8(vpaddq_u8(low, high)));
            for (int k = 0; k < 8; k++) {
                d[(o + k) * 8 + row] = eight[k];
            }
        }
    }
}

/* Rung 3: the same folding, but of eight rows of one output: a weight is loaded once, and the eight sums are stored at
 * once, in the order in which the residual stream lies. The compiler decides what stays in registers. */
INLINE void rows(const uint64_t *bits, const uint64_t *weight, int words, int outputs, uint16_t *d) {
    for (int o = 0; o < outputs; o++) {
        uint8x16_t sum[8];
        for (int row = 0; row < 8; row++) {
            sum[row] = count_of(bits + row * words, weight + o * words);
            for (int i = 2; i < words; i += 2) {
                sum[row] = vaddq_u8(sum[row], count_of(bits + row * words + i, weight + o * words + i));
            }
        }
        uint8x16_t low = vpaddq_u8(vpaddq_u8(sum[0], sum[1]), vpaddq_u8(sum[2], sum[3]));
        uint8x16_t high = vpaddq_u8(vpaddq_u8(sum[4], sum[5]), vpaddq_u8(sum[6], sum[7]));
        vst1q_u16(d, vpaddlq_u8(vpaddq_u8(low, high)));
        d += 8;
    }
}

RUNG(words)
RUNG(dots)
RUNG(tree)
RUNG(rows)
