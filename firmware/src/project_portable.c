/* SPDX-License-Identifier: Apache-2.0 */
#include "residual.h"
#include "sums.h"

void kwsi_project_portable(const uint64_t *bits, const uint64_t *weight, int words, int outputs,
                           const kwsi_affine_t *affine, int16_t *x, const int16_t *threshold, uint64_t *out) {
    int shift = kwsi_shift(64 * words);
    for (int o = 0; o < outputs; o++) {
        for (int step = 0; step < KWSI_TILE; step++) {
            int d = kwsi_differences(bits + step * words, weight + o * words, words);
            int16_t *at = x + o * KWSI_TILE + step;
            *at = kwsi_residual(*at, d, shift, affine, o);
        }
    }
    if (threshold) {
        kwsi_sign(x, threshold, outputs, out);
    }
}
