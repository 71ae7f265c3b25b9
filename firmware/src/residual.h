/* SPDX-License-Identifier: Apache-2.0
 *
 * Arithmetic of the residual stream, as kernels.h defines it, one number at a time.
 */
#ifndef KWSI_RESIDUAL_H
#define KWSI_RESIDUAL_H

#include "kernels.h"

static inline int16_t kwsi_saturate(int32_t value) {
    return (int16_t)(value > INT16_MAX ? INT16_MAX : value < INT16_MIN ? INT16_MIN : value);
}

/* Product of two Q15 numbers, rounded half up: floor(a b / 2^15 + 1/2). Neither is -32768, so it fits. */
static inline int16_t kwsi_mulr(int16_t a, int16_t b) {
    uint32_t lifted = (uint32_t)((int32_t)a * b + (1 << 14)) + (1u << 31); /* >= 0: C leaves >> of less open */
    return (int16_t)((int32_t)(lifted >> 15) - (1 << 16));
}

/* How far a count of up to `inputs`, at least 2, is lifted: as far as inputs << shift stays within 2^15. */
static inline int kwsi_shift(int inputs) {
#if defined(__GNUC__) && defined(__aarch64__) /* an instruction there */
    return __builtin_clz((unsigned)inputs - 1) - 17;
#else
    int shift = 15;
    while (inputs << shift > 1 << 15) {
        shift--;
    }
    return shift;
#endif
}

/* x + prelu(bias - scale * d), d lifted by `shift`. */
static inline int16_t kwsi_residual(int16_t x, int d, int shift, const kwsi_affine_t *affine, int channel) {
    int16_t lifted = kwsi_saturate(d << shift); /* a count of exactly 2^n saturates by one */
    int16_t value = kwsi_saturate(affine->bias[channel] - kwsi_mulr(lifted, affine->scale[channel]));
    int16_t scaled = kwsi_mulr(value, affine->slope[channel]);
    return kwsi_saturate(x + (scaled > value ? scaled : value));
}

/* x [channels][8] and threshold [channels] -> out [8][channels / 64], bit = (x >= threshold). */
static inline void kwsi_sign(const int16_t *x, const int16_t *threshold, int channels, uint64_t *out) {
    int words = channels / 64;
    memset(out, 0, sizeof *out * (size_t)(KWSI_TILE * words));
    for (int c = 0; c < channels; c++) {
        for (int step = 0; step < KWSI_TILE; step++) {
            out[step * words + c / 64] |= (uint64_t)(x[c * KWSI_TILE + step] >= threshold[c]) << (c % 64);
        }
    }
}

#endif
