/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels.h"

enum { TAPS = KWS_KERNEL * KWS_KERNEL, INPUTS = TAPS * KWS_CONV1_CHANNELS };

/* The 25 taps around one output position; a tap on the padding is all -1, thus 0. */
static void gather(const uint16_t *bits, int mels, int times, int mel, int time, uint16_t *patch) {
    for (int i = mel; i < mel + KWS_KERNEL; i++) {
        for (int j = time; j < time + KWS_KERNEL; j++) {
            int inside = i >= 0 && i < mels && j >= 0 && j < times;
            *patch++ = inside ? bits[i * times + j] : 0;
        }
    }
}

/* Set bits of a ^ b over 25 taps: six words of four taps, and one tap. */
static int difference(const uint16_t *a, const uint16_t *b) {
    int count = kwsi_popcount((uint64_t)a[TAPS - 1] ^ b[TAPS - 1]);
    for (int i = 0; i + 4 < TAPS; i += 4) {
        uint64_t word_a, word_b;
        memcpy(&word_a, a + i, sizeof word_a);
        memcpy(&word_b, b + i, sizeof word_b);
        count += kwsi_popcount(word_a ^ word_b);
    }
    return count;
}

void kwsi_conv2_portable(const uint16_t *bits, int m, int t, const uint16_t *weight, int16_t *acc) {
    for (int mel = 0; mel < m; mel++) {
        for (int time = 0; time < t; time++) {
            uint16_t patch[TAPS];
            gather(bits, 2 * m, 2 * t, 2 * mel - 2, 2 * time - 2, patch);
            for (int o = 0; o < KWS_CONV2_CHANNELS; o++) {
                *acc++ = (int16_t)(INPUTS - 2 * difference(patch, weight + o * TAPS));
            }
        }
    }
}
