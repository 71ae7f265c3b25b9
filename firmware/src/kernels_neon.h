/* SPDX-License-Identifier: Apache-2.0
 *
 * What the AArch64 table takes from the binary operators' files: expand_neon.c and so on.
 */
#ifndef KWSI_KERNELS_NEON_H
#define KWSI_KERNELS_NEON_H

#include "kernels.h"

#if defined(__aarch64__)
kwsi_expand_fn kwsi_expand_neon;
kwsi_project_fn kwsi_project_neon;
kwsi_memory_fn kwsi_memory_neon;
kwsi_conv2_fn kwsi_conv2_neon;

/* What products are made of: outputs at a time, and the room for their sums, eight rows side by side, after 32 bytes of
 * scratch. */
enum { KWSI_CHUNK = 64, KWSI_SPACE = 16 + KWSI_CHUNK * KWSI_TILE };

/* Sums, in `space`, of 64 outputs of a tile: bits [8][planes][words], weight [64][words]. */
const int16_t *kwsi_count_neon(const uint64_t *bits, int planes, const uint64_t *weight, int words,
                               int16_t space[KWSI_SPACE]);

/* values [64][8] and edges [64] -> out [8] words, `stride` apart, bit = (value >= edge) ^ flip. */
void kwsi_signs_neon(const int16_t *values, const int16_t *edges, uint64_t flip, uint64_t *out, int stride);

/* In count_neon.S and finish_neon.S. */
void kwsi_count_two_neon(const uint64_t *bits, const void *weight, int words, int outputs, int16_t *sums, size_t row,
                         size_t column);
void kwsi_residual_neon(const int16_t *sums, int shift, const kwsi_affine_t *affine, size_t from, size_t channels,
                        int16_t *x);

/* Which bytes of columns 0 1, of 1 2 3 and of 3 4 make a patch. */
extern const uint8_t kwsi_conv2_gather[3][16];
#endif

#endif
