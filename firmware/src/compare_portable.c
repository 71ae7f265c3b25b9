/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels.h"

void kwsi_compare_portable(const int16_t *acc, const int16_t *threshold, const uint64_t *flip, int rows, int words,
                           uint64_t *bits) {
    for (int row = 0; row < rows; row++) {
        for (int i = 0; i < words; i++) {
            uint64_t word = 0;
            for (int c = 0; c < 64; c++) {
                word |= (uint64_t)(acc[c] >= threshold[64 * i + c]) << c;
            }
            *bits++ = word ^ flip[i];
            acc += 64;
        }
    }
}
