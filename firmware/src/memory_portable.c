/* SPDX-License-Identifier: Apache-2.0 */
#include "residual.h"
#include "sums.h"

void kwsi_memory_portable(const uint64_t *bits, const uint64_t *weight, int steps, int words,
                          const kwsi_affine_t *affine, int16_t *x, const int16_t *threshold, uint64_t *out) {
    int channels = 64 * words, shift = kwsi_shift(KWS_KERNEL);
    for (int tile = 0; tile < steps; tile += KWSI_TILE) {
        for (int step = tile; step < tile + KWSI_TILE; step++) {
            for (int word = 0; word < words; word++) {
                uint64_t planes[3];
                kwsi_memory_planes(bits, weight, steps, words, step, word, planes);
                for (int c = 0; c < 64; c++) {
                    int channel = 64 * word + c;
                    int16_t *at = x + channel * KWSI_TILE + step % KWSI_TILE;
                    *at = kwsi_residual(*at, kwsi_memory_count(planes, c), shift, affine, channel);
                }
            }
        }
        kwsi_sign(x, threshold, channels, out);
        x += channels * KWSI_TILE;
        out += KWSI_TILE * words;
    }
}
