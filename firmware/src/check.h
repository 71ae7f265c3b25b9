/* SPDX-License-Identifier: Apache-2.0
 *
 * The sets of kernels as tables, and their checked forms. In a build with KWS_CHECK defined, each call of an operator is
 * followed by the portable one, and any difference stops the program; the results are the same, and it is slow.
 */
#ifndef KWSI_CHECK_H
#define KWSI_CHECK_H

#include "kernels.h"

#ifdef KWS_CHECK
#define KWSI_CHECKED(isa) kwsi_checked_##isa
#else
#define KWSI_CHECKED(isa) kwsi_##isa
#endif

extern const kwsi_kernels_t kwsi_portable;
extern const kwsi_kernels_t kwsi_neon, kwsi_checked_neon;
extern const kwsi_kernels_t kwsi_avx2, kwsi_checked_avx2;
extern const kwsi_kernels_t kwsi_avx512, kwsi_checked_avx512;

#endif
