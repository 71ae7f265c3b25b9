/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels.h"

void kwsi_mel_portable(const float *powers, const uint16_t *first, const uint16_t *count, const float *weight,
                       int n_mels, float *decibels) {
    for (int band = 0; band < n_mels; band++) {
        const float *bins = powers + first[band];
        float sum = 0.0f;
        for (int i = 0; i < count[band]; i++) {
            sum = sum + weight[i] * bins[i];
        }
        decibels[band] = kwsi_decibels(sum);
        weight += count[band];
    }
}
