/* SPDX-License-Identifier: Apache-2.0
 *
 * What the AArch64 table takes from the front end's files: window_neon.c and so on.
 */
#ifndef KWSI_KERNELS_NEON_FRONT_H
#define KWSI_KERNELS_NEON_FRONT_H

#include "kernels.h"

#if defined(__aarch64__)
kwsi_window_fn kwsi_window_neon;
kwsi_spectrum_fn kwsi_spectrum_neon;
kwsi_mel_fn kwsi_mel_neon;
kwsi_quantize_fn kwsi_quantize_neon;
kwsi_conv1_fn kwsi_conv1_neon;
kwsi_classifier_fn kwsi_classifier_neon;
#endif

#endif
