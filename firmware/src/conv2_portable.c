/* SPDX-License-Identifier: Apache-2.0 */
#include "sums.h"

void kwsi_conv2_portable(const uint16_t *const *columns, int steps, int m, const uint16_t *weight, const int16_t *below,
                         uint64_t *bits) {
    memset(bits, 0, sizeof *bits * (size_t)(steps * (m / 2)));
    for (int step = 0; step < steps; step++) {
        for (int mel = 0; mel < m; mel++) {
            uint16_t patch[KWSI_TAPS];
            kwsi_patch(columns + 2 * step, mel, patch);
            for (int o = 0; o < KWS_CONV2_CHANNELS; o++) {
                int bit = kwsi_patch_differences(patch, weight + o * KWSI_TAPS) < below[o];
                bits[mel / 2] |= (uint64_t)bit << (KWS_CONV2_CHANNELS * (mel % 2) + o);
            }
        }
        bits += m / 2;
    }
}
