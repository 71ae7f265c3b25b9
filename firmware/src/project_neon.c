/* SPDX-License-Identifier: Apache-2.0
 *
 * Projection on NEON: 128 and 256 inputs by project_neon.S, any other width here.
 */
#include "kernels_neon.h"

#if defined(__aarch64__)

#include "binary_neon.h"
#include "residual.h"

void kwsi_project_neon_2(const uint64_t *bits, const uint64_t *weight, int outputs, const kwsi_affine_t *affine,
                         int16_t *x, const int16_t *threshold, uint64_t *out);
void kwsi_project_neon_4(const uint64_t *bits, const uint64_t *weight, int outputs, const kwsi_affine_t *affine,
                         int16_t *x, const int16_t *threshold, uint64_t *out);

/* x [8] of one channel += prelu, from its lifted counts; returns it. */
static inline int16x8_t add_residual(int16x8_t lifted, const kwsi_affine_t *affine, int channel, int16_t *x) {
    int16x8_t value = vqrdmulhq_s16(lifted, vld1q_dup_s16(affine->scale + channel));
    value = vqsubq_s16(vld1q_dup_s16(affine->bias + channel), value);
    value = vmaxq_s16(value, vqrdmulhq_s16(value, vld1q_dup_s16(affine->slope + channel)));
    value = vqaddq_s16(vld1q_s16(x), value);
    vst1q_s16(x, value);
    return value;
}

void kwsi_project_neon(const uint64_t *bits, const uint64_t *weight, int words, int outputs,
                       const kwsi_affine_t *affine, int16_t *x, const int16_t *threshold, uint64_t *out) {
    if (words == 2) {
        kwsi_project_neon_2(bits, weight, outputs, affine, x, threshold, out);
        return;
    }
    if (words == 4) {
        kwsi_project_neon_4(bits, weight, outputs, affine, x, threshold, out);
        return;
    }
    const int16_t *limits = threshold ? threshold : affine->bias; /* any numbers: their bits are dropped */
    int16x8_t shift = vdupq_n_s16((int16_t)kwsi_shift(64 * words));
    for (int o = 0; o < outputs; o += 64) {
        uint16x8_t pieces[4];
        for (int piece = 0; piece < 4; piece++) {
            uint16x8_t gathered = vdupq_n_u16(0);
            for (int c = o + 16 * piece; c < o + 16 * piece + 16; c++) {
                int16x8_t d = vreinterpretq_s16_u16(kwsi_differ_rows(bits, weight + c * words, words));
                int16x8_t value = add_residual(vqshlq_s16(d, shift), affine, c, x + c * KWSI_TILE);
                gathered = vsriq_n_u16(vcgeq_s16(value, vld1q_dup_s16(limits + c)), gathered, 1);
            }
            pieces[piece] = gathered;
        }
        if (threshold) {
            kwsi_store_bits(pieces, vdupq_n_u64(0), out + o / 64, outputs / 64);
        }
    }
}

#endif
