/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels.h"

/* x in 8 bits: divided by 2^KWSI_CLASS_SHIFT, rounded half up, and clipped. */
static int32_t narrow(int16_t x) {
    int32_t value = (x + (1 << (KWSI_CLASS_SHIFT - 1))) >> KWSI_CLASS_SHIFT;
    return value > INT8_MAX ? INT8_MAX : value < INT8_MIN ? INT8_MIN : value;
}

void kwsi_classifier_portable(const int16_t *x, int n, const int8_t *weight, int classes, int32_t *sums) {
    for (int c = 0; c < classes; c++) {
        int32_t sum = 0;
        for (int i = 0; i < n; i++) {
            sum += weight[i] * narrow(x[i]);
        }
        sums[c] = sum;
        weight += n;
    }
}
