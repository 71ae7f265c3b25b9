/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels.h"

void kwsi_classifier_portable(const int16_t *x, int n, const int8_t *weight, int classes, int32_t *sums) {
    for (int c = 0; c < classes; c++) {
        int32_t sum = 0;
        for (int i = 0; i < n; i++) {
            sum += weight[i] * x[i];
        }
        sums[c] = sum;
        weight += n;
    }
}
