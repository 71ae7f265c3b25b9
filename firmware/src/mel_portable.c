/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels.h"

enum { LANES = 8 };

void kwsi_mel_portable(const float *powers, const uint16_t *first, const uint16_t *count, const float *weight,
                       int n_mels, float *decibels) {
    for (int band = 0; band < n_mels; band++) {
        const float *bins = powers + first[band];
        float sum[LANES] = {0.0f};
        for (int i = 0; i < count[band]; i += LANES) {
            for (int lane = 0; lane < LANES; lane++) {
                sum[lane] = sum[lane] + weight[i + lane] * bins[i + lane];
            }
        }
        float s0 = sum[0] + sum[4], s1 = sum[1] + sum[5], s2 = sum[2] + sum[6], s3 = sum[3] + sum[7];
        decibels[band] = kwsi_decibels(0.25f * ((s0 + s1) + (s2 + s3))); /* the spectrum's powers are times four */
        weight += count[band];
    }
}
