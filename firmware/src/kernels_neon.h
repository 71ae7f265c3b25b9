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

/* Which bytes of columns 0 1, of 1 2 3 and of 3 4 make a patch. */
extern const uint8_t kwsi_conv2_gather[3][16];
#endif

#endif
