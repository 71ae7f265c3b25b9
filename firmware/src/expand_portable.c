/* SPDX-License-Identifier: Apache-2.0 */
#include "sums.h"

void kwsi_expand_portable(const uint64_t *bits, const uint64_t *weight, int words, int outputs, const int16_t *below,
                          const uint64_t *flip, uint64_t *out) {
    for (int step = 0; step < KWSI_TILE; step++) {
        for (int o = 0; o < outputs; o += 64) {
            uint64_t word = 0;
            for (int i = 0; i < 64; i++) {
                int d = kwsi_differences(bits + step * words, weight + (o + i) * words, words);
                word |= (uint64_t)(d < below[o + i]) << i;
            }
            *out++ = word ^ flip[o / 64];
        }
    }
}
