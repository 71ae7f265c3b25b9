/* SPDX-License-Identifier: Apache-2.0
 *
 * Expansion on NEON: 128 and 256 inputs by expand_neon.S, any other width by what projection is made of.
 */
#include "kernels_neon.h"

#if defined(__aarch64__)

/* In finish_neon.S and expand_neon.S. */
void kwsi_sign_neon(const int16_t *values, int outputs, const int16_t *edges, uint16_t (*pieces)[KWSI_TILE]);
void kwsi_expand_neon_2(const uint64_t *bits, const uint64_t *weight, int outputs, const int16_t *below,
                        const uint64_t *flip, uint64_t *out);
void kwsi_expand_neon_4(const uint64_t *bits, const uint64_t *weight, int outputs, const int16_t *below,
                        const uint64_t *flip, uint64_t *out);

/* Any number of words; apart, so that the usual ones need no room on the stack. */
__attribute__((noinline)) static void expand(const uint64_t *bits, const uint64_t *weight, int words, int outputs,
                                             const int16_t *below, const uint64_t *flip, uint64_t *out) {
    int16_t space[KWSI_SPACE];
    uint16_t pieces[KWSI_WORD / 16][KWSI_TILE];
    for (int o = 0; o < outputs; o += KWSI_WORD) {
        const int16_t *sums = kwsi_count_neon(bits, 1, weight + o * words, words, KWSI_WORD, space);
        uint64_t turned = ~flip[o / KWSI_WORD]; /* signs are of d >= below */
        kwsi_sign_neon(sums, KWSI_WORD, below + o, pieces);
        kwsi_store_rows_neon((const uint16_t (*)[KWSI_TILE])pieces, &turned, out + o / KWSI_WORD, (size_t)outputs / 8);
    }
}

void kwsi_expand_neon(const uint64_t *bits, const uint64_t *weight, int words, int outputs, const int16_t *below,
                      const uint64_t *flip, uint64_t *out) {
    if (words == 2) {
        kwsi_expand_neon_2(bits, weight, outputs, below, flip, out);
    } else if (words == 4) {
        kwsi_expand_neon_4(bits, weight, outputs, below, flip, out);
    } else {
        expand(bits, weight, words, outputs, below, flip, out);
    }
}

#endif
