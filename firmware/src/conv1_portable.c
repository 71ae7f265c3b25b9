/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels.h"

/* Adds to `sum` the taps that lie inside the window, in order. Taps on the padding would add weight * 0: no change. */
static void add_taps(const float *input, int frames, int n_mels, int mel, int frame, const float *weight, float *sum) {
    for (int i = 0; i < KWS_KERNEL; i++) {
        if (mel + i < 0 || mel + i >= n_mels) {
            continue;
        }
        for (int j = 0; j < KWS_KERNEL; j++) {
            if (frame + j < 0 || frame + j >= frames) {
                continue;
            }
            float value = input[(frame + j) * n_mels + mel + i];
            const float *tap = weight + (i * KWS_KERNEL + j) * KWS_CONV1_CHANNELS;
            for (int o = 0; o < KWS_CONV1_CHANNELS; o++) {
                sum[o] = sum[o] + tap[o] * value;
            }
        }
    }
}

void kwsi_conv1_portable(const float *input, int frames, int n_mels, const float *weight, const float *bias,
                         uint16_t *bits) {
    for (int mel = 0; mel < n_mels; mel += 2) {
        for (int frame = 0; frame < frames; frame += 2) {
            float sum[KWS_CONV1_CHANNELS];
            memcpy(sum, bias, sizeof sum);
            add_taps(input, frames, n_mels, mel - 2, frame - 2, weight, sum);
            unsigned word = 0;
            for (int o = 0; o < KWS_CONV1_CHANNELS; o++) {
                word |= (unsigned)(sum[o] >= 0.0f) << o;
            }
            *bits++ = (uint16_t)word;
        }
    }
}
