/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels.h"

/* floor((decibels - offset) * scale + 0.5), saturated; -128 for NaN. The conversion cuts towards zero, which is down
 * once the value is lifted above it. */
static int8_t quantized(float decibels, float offset, float scale) {
    float value = (decibels - offset) * scale;
    value = value > 127.0f ? 127.0f : value;
    value = value >= -128.0f ? value : -128.0f;
    return (int8_t)((int32_t)(value + 128.5f) - 128);
}

void kwsi_quantize_portable(const float *decibels, int frames, int n_mels, float offset, float scale, int8_t *rows) {
    memset(rows, 0, (size_t)(frames * kwsi_row_bytes(n_mels)));
    for (int frame = 0; frame < frames; frame++) {
        int8_t *even = rows + 16, *odd = even + kwsi_half_bytes(n_mels) + 16;
        for (int i = 0; i < n_mels / 2; i++) {
            even[i] = quantized(decibels[2 * i], offset, scale);
            odd[i] = quantized(decibels[2 * i + 1], offset, scale);
        }
        decibels += n_mels;
        rows += kwsi_row_bytes(n_mels);
    }
}
