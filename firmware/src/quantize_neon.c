/* SPDX-License-Identifier: Apache-2.0
 *
 * Four numbers at a time become fixed-point ones with eight bits before the point: the conversion saturates, at 0 (for
 * NaN too) and at 256 less a step, which is where quantized numbers end, and their top byte is what is wanted.
 */
#include "kernels_neon_front.h"

#if defined(__aarch64__)
#include <arm_neon.h>

#define INLINE static inline __attribute__((always_inline))

/* The upper halves are what counts: 0..255, the quantized numbers plus 128. */
INLINE uint16x8_t four(const float *decibels, float offset, float scale) {
    float32x4_t value = vmulq_n_f32(vsubq_f32(vld1q_f32(decibels), vdupq_n_f32(offset)), scale);
    return vreinterpretq_u16_u32(vcvtq_n_u32_f32(vaddq_f32(value, vdupq_n_f32(128.5f)), 24));
}

INLINE int8x16_t sixteen(const float *decibels, float offset, float scale) {
    uint16x8_t low = vuzp2q_u16(four(decibels, offset, scale), four(decibels + 4, offset, scale));
    uint16x8_t high = vuzp2q_u16(four(decibels + 8, offset, scale), four(decibels + 12, offset, scale));
    uint8x16_t bytes = vuzp2q_u8(vreinterpretq_u8_u16(low), vreinterpretq_u8_u16(high));
    return vreinterpretq_s8_u8(veorq_u8(bytes, vdupq_n_u8(128)));
}

INLINE void thirty_two(const float *decibels, float offset, float scale, int8_t *even, int8_t *odd) {
    int8x16_t low = sixteen(decibels, offset, scale), high = sixteen(decibels + 16, offset, scale);
    vst1q_s8(even, vuzp1q_s8(low, high));
    vst1q_s8(odd, vuzp2q_s8(low, high));
}

void kwsi_quantize_neon(const float *decibels, int frames, int n_mels, float offset, float scale, int8_t *rows) {
    int half = kwsi_half_bytes(n_mels);
    for (; frames > 0; frames--, rows += half + 16) {
        vst1q_s8(rows, vdupq_n_s8(0));
        vst1q_s8(rows + half + 16, vdupq_n_s8(0));
        rows += 16;
        for (int left = n_mels; left > 0; left -= 32, rows += 16) {
            int count = left < 32 ? left : 32;
            const float *from = decibels;
            float rest[32];
            if (count < 32) { /* 8, 16 or 24 */
                for (int k = 0; k < 32; k++) {
                    rest[k] = k < count ? decibels[k] : offset; /* becomes 0 */
                }
                from = rest;
            }
            thirty_two(from, offset, scale, rows, rows + half + 16);
            decibels += count;
        }
    }
}
#endif
