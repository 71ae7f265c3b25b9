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
                kwsi_eight_t numbers = {vld1q_dup_s16(affine->scale + c), vld1q_dup_s16(affine->bias + c),
                                        vld1q_dup_s16(affine->slope + c), vld1q_dup_s16(limits + c)};
                int16x8_t d = vreinterpretq_s16_u16(kwsi_differ_rows(bits, weight + c * words, words));
                KWSI_RESIDUAL(numbers, 0, vqshlq_s16(d, shift), x + c * KWSI_TILE, gathered);
            }
            pieces[piece] = gathered;
        }
        if (threshold) {
            kwsi_store_bits(pieces, vdupq_n_u64(0), out + o / 64, outputs / 64);
        }
    }
}

#endif
