/* SPDX-License-Identifier: Apache-2.0
 *
 * Operators of models whose binary layers have inputs of two planes. They are those of kernels.h, but for this: a row
 * of bits is [2][words], one plane after the other; a count is d = 2 d(first) + d(second), up to 3 K, and shift(3 K)
 * lifts it; and what compares comes as three edges, [3][outputs], of which the first makes the first plane, the second
 * the second plane where the first is 1, and the third where it is 0.
 *
 * The reference is one source, over the lanes of lanes.h. For x86-64 it is compiled three times, and the compiler makes
 * the vectors; NEON has two_planes_neon.c, with conv1_neon.c.
 */
#ifndef KWSI_TWO_PLANES_H
#define KWSI_TWO_PLANES_H

#include "kernels.h"

/* bits [columns][2][kwsi_column_words] */
kwsi_conv1_fn kwsi_conv1_two, kwsi_conv1_two_avx2, kwsi_conv1_two_avx512, kwsi_conv1_two_neon;

/* columns [2 steps + 3][2][kwsi_column_words(4 m)], bits [steps][2][m / 2] */
kwsi_conv2_fn kwsi_conv2_two, kwsi_conv2_two_avx2, kwsi_conv2_two_avx512, kwsi_conv2_two_neon;

/* bits [8][2][words], out [8][2][outputs / 64] */
kwsi_expand_fn kwsi_expand_two, kwsi_expand_two_avx2, kwsi_expand_two_avx512, kwsi_expand_two_neon;
kwsi_project_fn kwsi_project_two, kwsi_project_two_avx2, kwsi_project_two_avx512, kwsi_project_two_neon;

/* bits, out [R][2][words] */
kwsi_memory_fn kwsi_memory_two, kwsi_memory_two_avx2, kwsi_memory_two_avx512, kwsi_memory_two_neon;

#endif
