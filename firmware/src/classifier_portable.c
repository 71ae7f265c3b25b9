/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels.h"

enum { LANES = 16 };

void kwsi_classifier_portable(const float *x, int n, const int8_t *weight, int classes, const float *scale,
                              const float *bias, float *logits) {
    for (int c = 0; c < classes; c++) {
        float lanes[LANES] = {0.0f};
        for (int i = 0; i < n; i += LANES) {
            for (int l = 0; l < LANES; l++) {
                lanes[l] = lanes[l] + (float)weight[i + l] * x[i + l];
            }
        }
        for (int width = LANES / 2; width > 0; width /= 2) {
            for (int l = 0; l < width; l++) {
                lanes[l] = lanes[l] + lanes[l + width];
            }
        }
        logits[c] = scale[c] * lanes[0] + bias[c];
        weight += n;
    }
}
