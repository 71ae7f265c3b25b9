/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels.h"

void kwsi_conv2_bits_portable(const int16_t *acc, int m, int t, const int16_t *threshold, uint32_t flip,
                              uint64_t *bits) {
    memset(bits, 0, sizeof *bits * (size_t)(t * (m / 2)));
    for (int mel = 0; mel < m; mel++) {
        for (int time = 0; time < t; time++) {
            uint32_t word = 0;
            for (int o = 0; o < KWS_CONV2_CHANNELS; o++) {
                word |= (uint32_t)(acc[o] >= threshold[o]) << o;
            }
            bits[time * (m / 2) + mel / 2] |= (uint64_t)(word ^ flip) << (32 * (mel % 2));
            acc += KWS_CONV2_CHANNELS;
        }
    }
}
