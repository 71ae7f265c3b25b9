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

/* What products are made of: outputs at a time, at most, and the room for their sums, eight rows side by side, after 32
 * bytes of scratch. */
enum { KWSI_WORD = 64, KWSI_CHUNK = 2 * KWSI_WORD, KWSI_SPACE = 16 + KWSI_CHUNK * KWSI_TILE };

/* How many of `outputs` come next after `done`. */
static inline int kwsi_chunk(int outputs, int done) {
    return outputs - done < KWSI_CHUNK ? outputs - done : KWSI_CHUNK;
}

/* Sums, in `space`, of a chunk of a tile's outputs: bits [8][planes][words], weight [outputs][words]. */
const int16_t *kwsi_count_neon(const uint64_t *bits, int planes, const uint64_t *weight, int words, int outputs,
                               int16_t space[KWSI_SPACE]);

/* Where bits = (x >= threshold) go: threshold [channels], out [8] rows, so many bytes apart. */
typedef struct kwsi_signs {
    const int16_t *threshold;
    uint64_t *out;
    size_t bytes;
} kwsi_signs_t;

/* Four pieces of bits, 16 outputs each with the eight rows in the lanes, ^ flip -> eight words, `bytes` apart. */
void kwsi_store_rows_neon(const uint16_t pieces[KWSI_WORD / 16][KWSI_TILE], const uint64_t *flip, uint64_t *out,
                          size_t bytes);

/* In count_neon.S and finish_neon.S. */
void kwsi_count_two_neon(const uint64_t *bits, const void *weight, int words, int outputs, int16_t *sums, size_t row,
                         size_t column);
void kwsi_residual_neon(const int16_t *sums, int shift, const kwsi_affine_t *affine, size_t from, size_t channels,
                        int16_t *x, const kwsi_signs_t *signs);

/* Which bytes of columns 0 1, of 1 2 3 and of 3 4 make a patch. */
extern const uint8_t kwsi_conv2_gather[3][16];
#endif

#endif
