/* SPDX-License-Identifier: Apache-2.0
 *
 * Expansion on NEON: 128 and 256 inputs by expand_neon.S, any other width here.
 */
#include "kernels_neon.h"

#if defined(__aarch64__)

#include "binary_neon.h"

void kwsi_expand_neon_2(const uint64_t *bits, const uint64_t *weight, int outputs, const int16_t *below,
                        const uint64_t *flip, uint64_t *out);
void kwsi_expand_neon_4(const uint64_t *bits, const uint64_t *weight, int outputs, const int16_t *below,
                        const uint64_t *flip, uint64_t *out);

void kwsi_expand_neon(const uint64_t *bits, const uint64_t *weight, int words, int outputs, const int16_t *below,
                      const uint64_t *flip, uint64_t *out) {
    if (words == 2) {
        kwsi_expand_neon_2(bits, weight, outputs, below, flip, out);
        return;
    }
    if (words == 4) {
        kwsi_expand_neon_4(bits, weight, outputs, below, flip, out);
        return;
    }
    for (int o = 0; o < outputs; o += 64) {
        uint16x8_t pieces[4];
        for (int piece = 0; piece < 4; piece++) {
            uint16x8_t gathered = vdupq_n_u16(0);
            for (int i = 0; i < 16; i++) {
                uint16x8_t limit = vld1q_dup_u16((const uint16_t *)below++);
                gathered = vsriq_n_u16(vcgtq_u16(limit, kwsi_differ_rows(bits, weight, words)), gathered, 1);
                weight += words;
            }
            pieces[piece] = gathered;
        }
        kwsi_store_bits(pieces, vdupq_n_u64(flip[o / 64]), out + o / 64, outputs / 64);
    }
}

#endif
