/* SPDX-License-Identifier: Apache-2.0
 *
 * Operators of models whose binary layers have inputs of two planes. They are those of kernels.h, but for this: a row of
 * bits is [2][words], one plane after the other; a count is d = 2 d(first) + d(second), up to 3 K, and shift(3 K) lifts
 * it; and what compares comes as three edges, [3][outputs], of which the first makes the first plane, the second the
 * second plane where the first is 1, and the third where it is 0.
 *
 * There is one source for every instruction set, over the lanes of lanes.h.
 */
#ifndef KWSI_TWO_PLANES_H
#define KWSI_TWO_PLANES_H

#include "kernels.h"

/* bits [columns][2][kwsi_column_words], each edge by the operator of one plane, `run` */
void kwsi_conv1_two(kwsi_conv1_fn *run, const int8_t *const *rows, int columns, int n_mels, const int8_t *weight,
                    const int16_t *threshold, uint16_t *bits);

/* columns [2 steps + 3][2][kwsi_column_words(4 m)], bits [steps][2][m / 2] */
void kwsi_conv2_two(const uint16_t *const *columns, int steps, int m, const uint16_t *weight, const int16_t *below,
                    uint64_t *bits);

/* bits [8][2][words], out [8][2][outputs / 64] */
void kwsi_expand_two(const uint64_t *bits, const uint64_t *weight, int words, int outputs, const int16_t *below,
                     const uint64_t *flip, uint64_t *out);
void kwsi_project_two(const uint64_t *bits, const uint64_t *weight, int words, int outputs, const kwsi_affine_t *affine,
                      int16_t *x, const int16_t *threshold, uint64_t *out);

/* bits, out [R][2][words] */
void kwsi_memory_two(const uint64_t *bits, const uint64_t *weight, int steps, int words, const kwsi_affine_t *affine,
                     int16_t *x, const int16_t *threshold, uint64_t *out);

#endif
