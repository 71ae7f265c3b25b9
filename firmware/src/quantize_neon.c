/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels_neon_front.h"

#if defined(__aarch64__)
#include <arm_neon.h>

/* Four numbers as 0..255, the quantized ones plus 128. The larger of NaN and -128 is -128 (FMAXNM). */
static inline uint32x4_t four(const float *decibels, float offset, float scale) {
    float32x4_t value = vmulq_n_f32(vsubq_f32(vld1q_f32(decibels), vdupq_n_f32(offset)), scale);
    value = vminq_f32(vmaxnmq_f32(value, vdupq_n_f32(-128.0f)), vdupq_n_f32(127.0f));
    return vcvtq_u32_f32(vaddq_f32(value, vdupq_n_f32(128.5f)));
}

/* Sixteen bytes from as many numbers. */
static inline int8x16_t sixteen(const float *decibels, float offset, float scale) {
    uint16x8_t low = vuzp1q_u16(vreinterpretq_u16_u32(four(decibels, offset, scale)),
                                vreinterpretq_u16_u32(four(decibels + 4, offset, scale)));
    uint16x8_t high = vuzp1q_u16(vreinterpretq_u16_u32(four(decibels + 8, offset, scale)),
                                 vreinterpretq_u16_u32(four(decibels + 12, offset, scale)));
    uint8x16_t bytes = vuzp1q_u8(vreinterpretq_u8_u16(low), vreinterpretq_u8_u16(high));
    return vreinterpretq_s8_u8(veorq_u8(bytes, vdupq_n_u8(128)));
}

void kwsi_quantize_neon(const float *decibels, int n_mels, float offset, float scale, int8_t *row) {
    int half = kwsi_half_bytes(n_mels);
    int8_t *even = row + 16, *odd = even + half + 16;
    vst1q_s8(row, vdupq_n_s8(0));
    vst1q_s8(odd - 16, vdupq_n_s8(0));
    for (; n_mels >= 32; n_mels -= 32) {
        int8x16_t low = sixteen(decibels, offset, scale), high = sixteen(decibels + 16, offset, scale);
        vst1q_s8(even, vuzp1q_s8(low, high));
        vst1q_s8(odd, vuzp2q_s8(low, high));
        decibels += 32;
        even += 16;
        odd += 16;
    }
    if (n_mels > 0) { /* 8, 16 or 24 are left of the last 32 */
        float rest[32];
        for (int i = 0; i < 32; i++) {
            rest[i] = i < n_mels ? decibels[i] : offset; /* becomes 0 */
        }
        int8x16_t low = sixteen(rest, offset, scale), high = sixteen(rest + 16, offset, scale);
        vst1q_s8(even, vuzp1q_s8(low, high));
        vst1q_s8(odd, vuzp2q_s8(low, high));
    }
}
#endif
