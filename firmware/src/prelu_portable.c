/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels.h"

void kwsi_prelu_portable(const int16_t *acc, const float *scale, const float *bias, const float *slope, int rows,
                         int channels, float *x) {
    for (int row = 0; row < rows; row++) {
        for (int c = 0; c < channels; c++) {
            float z = scale[c] * (float)acc[c] + bias[c];
            x[c] = z >= 0.0f ? z : slope[c] * z;
        }
        acc += channels;
        x += channels;
    }
}

void kwsi_prelu_add_portable(const int16_t *acc, const float *scale, const float *bias, const float *slope, int rows,
                             int channels, float *x) {
    for (int row = 0; row < rows; row++) {
        for (int c = 0; c < channels; c++) {
            float z = scale[c] * (float)acc[c] + bias[c];
            x[c] = x[c] + (z >= 0.0f ? z : slope[c] * z);
        }
        acc += channels;
        x += channels;
    }
}
