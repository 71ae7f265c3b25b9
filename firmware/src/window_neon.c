/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels_neon_front.h"

#if defined(__aarch64__)
#include <arm_neon.h>

/* Loads first and stores last: compilers make pairs of them. */
static inline void sixteen(const int16_t *pcm, const float *window, float *out) {
    int16x8_t x0 = vld1q_s16(pcm), x1 = vld1q_s16(pcm + 8);
    float32x4_t w0 = vld1q_f32(window), w1 = vld1q_f32(window + 4);
    float32x4_t w2 = vld1q_f32(window + 8), w3 = vld1q_f32(window + 12);
    w0 = vmulq_f32(w0, vcvtq_f32_s32(vmovl_s16(vget_low_s16(x0))));
    w1 = vmulq_f32(w1, vcvtq_f32_s32(vmovl_high_s16(x0)));
    w2 = vmulq_f32(w2, vcvtq_f32_s32(vmovl_s16(vget_low_s16(x1))));
    w3 = vmulq_f32(w3, vcvtq_f32_s32(vmovl_high_s16(x1)));
    vst1q_f32(out, w0);
    vst1q_f32(out + 4, w1);
    vst1q_f32(out + 8, w2);
    vst1q_f32(out + 12, w3);
}

void kwsi_window_neon(const int16_t *pcm, const float *window, int n, float *out) {
    int i = 0;
    for (; i + 64 <= n; i += 64) {
        for (int part = 0; part < 64; part += 16) {
            sixteen(pcm + i + part, window + i + part, out + i + part);
        }
    }
    for (; i + 16 <= n; i += 16) {
        sixteen(pcm + i, window + i, out + i);
    }
    kwsi_window_portable(pcm + i, window + i, n - i, out + i);
}
#endif
