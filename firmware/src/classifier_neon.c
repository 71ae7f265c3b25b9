/* SPDX-License-Identifier: Apache-2.0
 *
 * Four classes at a time, so that x is read once for all of them.
 */
#include "kernels_neon_front.h"

#if defined(__aarch64__)
#include <arm_neon.h>

#define INLINE static inline __attribute__((always_inline))

/* Adds sixteen products to two vectors of sums. */
INLINE void sixteen(int32x4_t sum[2], const int8_t *weight, int16x8_t x0, int16x8_t x1) {
    int8x16_t w = vld1q_s8(weight);
    int16x8_t low = vmovl_s8(vget_low_s8(w)), high = vmovl_high_s8(w);
    sum[0] = vmlal_s16(sum[0], vget_low_s16(low), vget_low_s16(x0));
    sum[1] = vmlal_high_s16(sum[1], low, x0);
    sum[0] = vmlal_s16(sum[0], vget_low_s16(high), vget_low_s16(x1));
    sum[1] = vmlal_high_s16(sum[1], high, x1);
}

INLINE void classes_at_once(const int16_t *x, int n, const int8_t *weight, int classes, int32_t *sums) {
    int32x4_t sum[4][2];
    for (int c = 0; c < classes; c++) {
        sum[c][0] = sum[c][1] = vdupq_n_s32(0);
    }
    for (int i = 0; i < n; i += 32) {
        int16x8_t x0 = vld1q_s16(x + i), x1 = vld1q_s16(x + i + 8);
        int16x8_t x2 = vld1q_s16(x + i + 16), x3 = vld1q_s16(x + i + 24);
        const int8_t *w = weight + i;
        for (int c = 0; c < classes; c++, w += n) {
            sixteen(sum[c], w, x0, x1);
            sixteen(sum[c], w + 16, x2, x3);
        }
    }
    for (int c = 0; c < classes; c++) {
        sums[c] = vaddvq_s32(vaddq_s32(sum[c][0], sum[c][1]));
    }
}

void kwsi_classifier_neon(const int16_t *x, int n, const int8_t *weight, int classes, int32_t *sums) {
    for (; classes >= 4; classes -= 4, weight += 4 * n, sums += 4) {
        classes_at_once(x, n, weight, 4, sums);
    }
    for (; classes > 0; classes--, weight += n, sums++) {
        classes_at_once(x, n, weight, 1, sums);
    }
}
#endif
