/* SPDX-License-Identifier: Apache-2.0
 *
 * Four classes at a time, by classifier_neon.S; the last four take some once more where their number is no multiple.
 */
#include "kernels_neon_front.h"

#if defined(__aarch64__)
#include <arm_neon.h>

enum { CLASSES = 4 };

void kwsi_classifier_neon_4(const int16_t *x, int n, const int8_t *weight, int32_t *sums);

static int32_t one_class(const int16_t *x, int n, const int8_t *weight) {
    int32x4_t low = vdupq_n_s32(0), high = low;
    for (int i = 0; i < n; i += 8) {
        int16x8_t w = vmovl_s8(vld1_s8(weight + i)), value = vld1q_s16(x + i);
        low = vmlal_s16(low, vget_low_s16(w), vget_low_s16(value));
        high = vmlal_high_s16(high, w, value);
    }
    return vaddvq_s32(vaddq_s32(low, high));
}

void kwsi_classifier_neon(const int16_t *x, int n, const int8_t *weight, int classes, int32_t *sums) {
    if (classes < CLASSES) {
        for (int c = 0; c < classes; c++) {
            sums[c] = one_class(x, n, weight + c * n);
        }
        return;
    }
    for (int c = 0; c < classes; c += CLASSES) {
        int first = c < classes - CLASSES ? c : classes - CLASSES;
        kwsi_classifier_neon_4(x, n, weight + first * n, sums + first);
    }
}
#endif
