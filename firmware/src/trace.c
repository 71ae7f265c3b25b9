/* SPDX-License-Identifier: Apache-2.0
 *
 * The trace: integer accumulators K - 2 d of every binary layer, computed beside the layer, whose own sums never leave
 * its registers. Each function writes at `trace` and returns what follows.
 */
#include "sums.h"

int16_t *kwsi_trace_conv2(const uint16_t *const *columns, int m, const uint16_t *weight, int16_t *trace) {
    for (int mel = 0; mel < m; mel++) {
        uint16_t patch[KWSI_TAPS];
        kwsi_patch(columns, mel, patch);
        for (int o = 0; o < KWS_CONV2_CHANNELS; o++) {
            int d = kwsi_patch_differences(patch, weight + o * KWSI_TAPS);
            *trace++ = (int16_t)(KWSI_TAPS * KWS_CONV1_CHANNELS - 2 * d);
        }
    }
    return trace;
}

int16_t *kwsi_trace_matmul(const uint64_t *bits, const uint64_t *weight, int steps, int words, int outputs,
                           int16_t *trace) {
    for (int step = 0; step < steps; step++) {
        for (int o = 0; o < outputs; o++) {
            *trace++ = (int16_t)(64 * words - 2 * kwsi_differences(bits + step * words, weight + o * words, words));
        }
    }
    return trace;
}

int16_t *kwsi_trace_memory(const uint64_t *bits, const uint64_t *weight, int steps, int words, int16_t *trace) {
    for (int step = 0; step < steps; step++) {
        for (int word = 0; word < words; word++) {
            uint64_t planes[3];
            kwsi_memory_planes(bits, weight, steps, words, step, word, planes);
            for (int c = 0; c < 64; c++) {
                *trace++ = (int16_t)(KWS_KERNEL - 2 * kwsi_memory_count(planes, c));
            }
        }
    }
    return trace;
}
