/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels_neon_front.h"

#if defined(__aarch64__)
#include <arm_neon.h>

#define INLINE static inline __attribute__((always_inline))

INLINE float32x4_t times_plus(float32x4_t a, float32x4_t b, float c) {
    return vaddq_f32(vmulq_f32(a, b), vdupq_n_f32(c));
}

/* kwsi_decibels of four */
INLINE float32x4_t decibels_4(float32x4_t power) {
    const float32x4_t one = vdupq_n_f32(1.0f);
    uint32x4_t bits = vreinterpretq_u32_f32(power), audible = vcgtq_f32(power, vdupq_n_f32(KWSI_POWER_FLOOR));
    float32x4_t exponent = vcvtq_f32_s32(vsubq_s32(vreinterpretq_s32_u32(vshrq_n_u32(bits, 23)), vdupq_n_s32(127)));
    float32x4_t mantissa = vbslq_f32(vdupq_n_u32(0x007fffffu), power, one);
    uint32x4_t above = vcgtq_f32(mantissa, vdupq_n_f32(1.41421356f));
    mantissa = vbslq_f32(above, vmulq_n_f32(mantissa, 0.5f), mantissa);
    exponent = vaddq_f32(exponent, vreinterpretq_f32_u32(vandq_u32(above, vreinterpretq_u32_f32(one))));
    float32x4_t s = vdivq_f32(vsubq_f32(mantissa, one), vaddq_f32(mantissa, one)), square = vmulq_f32(s, s);
    float32x4_t series = times_plus(vdupq_n_f32(1.0f / 9.0f), square, 1.0f / 7.0f);
    series = times_plus(series, square, 1.0f / 5.0f);
    series = times_plus(series, square, 1.0f / 3.0f);
    series = times_plus(series, square, 1.0f);
    float32x4_t logarithm = vmulq_n_f32(vmulq_f32(s, series), 8.68588964f);
    return vbslq_f32(audible, vaddq_f32(vmulq_n_f32(exponent, 3.01029996f), logarithm), vdupq_n_f32(KWSI_SILENCE));
}

/* (s[0] + s[1]) + (s[2] + s[3]) of every filter */
void kwsi_mel_neon_sums(const float *powers, const uint16_t *first, const uint16_t *count, const float *weight,
                        int n_mels, float *sums);

void kwsi_mel_neon(const float *powers, const uint16_t *first, const uint16_t *count, const float *weight, int n_mels,
                   float *decibels) {
    kwsi_mel_neon_sums(powers, first, count, weight, n_mels, decibels);
    for (int band = 0; band < n_mels; band += 4) {
        vst1q_f32(decibels + band, decibels_4(vmulq_n_f32(vld1q_f32(decibels + band), 0.25f)));
    }
}
#endif
