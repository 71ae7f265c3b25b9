/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels.h"

void kwsi_matmul_portable(const uint64_t *bits, const uint64_t *weight, int rows, int outputs, int words,
                          int16_t *acc) {
    for (int row = 0; row < rows; row++) {
        const uint64_t *taps = weight;
        for (int o = 0; o < outputs; o++) {
            int difference = 0;
            for (int i = 0; i < words; i++) {
                difference += kwsi_popcount(bits[i] ^ taps[i]);
            }
            *acc++ = (int16_t)(64 * words - 2 * difference);
            taps += words;
        }
        bits += words;
    }
}
