/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels.h"

/* One output of every channel; input[time][mel] are the bytes under the filter. */
static uint16_t convolve(const int8_t input[KWS_KERNEL][KWS_KERNEL], const int8_t *weight, const int16_t *threshold) {
    int32_t sum[KWS_CONV1_CHANNELS] = {0};
    unsigned word = 0;
    for (int time = 0; time < KWS_KERNEL; time++) {
        for (int mel = 0; mel < KWS_KERNEL; mel++) {
            for (int o = 0; o < KWS_CONV1_CHANNELS; o++) {
                sum[o] += weight[o] * input[time][mel];
            }
            weight += KWS_CONV1_CHANNELS;
        }
    }
    for (int o = 0; o < KWS_CONV1_CHANNELS; o++) {
        word |= (unsigned)(sum[o] >= threshold[o]) << o;
    }
    return (uint16_t)word;
}

void kwsi_conv1_portable(const int8_t *const *rows, int columns, int n_mels, const int8_t *weight,
                         const int16_t *threshold, uint16_t *bits) {
    int words = kwsi_column_words(n_mels),
        odd = kwsi_half_bytes(n_mels) + 16; /* from an even mel to the next odd one */
    for (int column = 0; column < columns; column++) {
        memset(bits, 0, sizeof *bits * (size_t)words);
        for (int i = 0; i < n_mels / 2; i++) {
            int8_t input[KWS_KERNEL][KWS_KERNEL];
            for (int time = 0; time < KWS_KERNEL; time++) {
                const int8_t *even = rows[2 * column + time] + 16 + i;
                input[time][0] = even[-1];
                input[time][1] = even[odd - 1];
                input[time][2] = even[0];
                input[time][3] = even[odd];
                input[time][4] = even[1];
            }
            bits[2 + i] = convolve((const int8_t (*)[KWS_KERNEL])input, weight, threshold);
        }
        bits += words;
    }
}
