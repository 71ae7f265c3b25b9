/* SPDX-License-Identifier: Apache-2.0
 *
 * The trace: integer accumulators K - 2 d of every binary layer, 3 K - 2 d of two planes, computed beside the layer,
 * whose own sums never leave its registers. Each function writes at `trace` and returns what follows.
 */
#include "sums.h"

int16_t *kwsi_trace_conv2(const uint16_t *const *columns, int m, int planes, const uint16_t *weight, int16_t *trace) {
    int most = KWSI_TAPS * KWS_CONV1_CHANNELS * (2 * planes - 1);
    for (int mel = 0; mel < m; mel++) {
        uint16_t patch[KWSI_TAPS];
        for (int o = 0; o < KWS_CONV2_CHANNELS; o++) {
            int d = 0;
            for (int plane = 0; plane < planes; plane++) {
                kwsi_patch_of_plane(columns, kwsi_column_words(4 * m), plane, mel, patch);
                d = 2 * d + kwsi_patch_differences(patch, weight + o * KWSI_TAPS);
            }
            *trace++ = (int16_t)(most - 2 * d);
        }
    }
    return trace;
}

int16_t *kwsi_trace_matmul(const uint64_t *bits, const uint64_t *weight, int steps, int words, int outputs, int planes,
                           int16_t *trace) {
    int most = 64 * words * (2 * planes - 1);
    for (int step = 0; step < steps; step++) {
        for (int o = 0; o < outputs; o++) {
            int d = kwsi_plane_differences(bits + step * planes * words, weight + o * words, words, planes);
            *trace++ = (int16_t)(most - 2 * d);
        }
    }
    return trace;
}

int16_t *kwsi_trace_memory(const uint64_t *bits, const uint64_t *weight, int steps, int words, int planes,
                           int16_t *trace) {
    int most = KWS_KERNEL * (2 * planes - 1);
    for (int step = 0; step < steps; step++) {
        for (int c = 0; c < 64 * words; c++) {
            int d = 0;
            for (int k = 0; k < KWS_KERNEL; k++) {
                int at = step + k - KWS_KERNEL / 2;
                for (int plane = 0; plane < planes; plane++) {
                    uint64_t word = at >= 0 && at < steps ? bits[(at * planes + plane) * words + c / 64] : 0;
                    uint64_t differ = (word ^ weight[k * words + c / 64]) >> (c % 64) & 1;
                    d += (int)differ * (planes - plane);
                }
            }
            *trace++ = (int16_t)(most - 2 * d);
        }
    }
    return trace;
}
