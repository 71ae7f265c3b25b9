/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels.h"

void kwsi_sign_portable(const float *x, const float *threshold, int rows, int words, uint64_t *bits) {
    for (int row = 0; row < rows; row++) {
        for (int i = 0; i < words; i++) {
            uint64_t word = 0;
            for (int c = 0; c < 64; c++) {
                word |= (uint64_t)(x[c] >= threshold[64 * i + c]) << c;
            }
            *bits++ = word;
            x += 64;
        }
    }
}
