/* SPDX-License-Identifier: Apache-2.0
 *
 * Which implementation of each operator runs. kernels.h says how to add one.
 */
#include "kernels.h"

static const kwsi_kernels_t portable = {
    .window = kwsi_window_portable,
    .spectrum = kwsi_spectrum_portable,
    .mel = kwsi_mel_portable,
    .conv1 = kwsi_conv1_portable,
    .conv2 = kwsi_conv2_portable,
    .conv2_bits = kwsi_conv2_bits_portable,
    .matmul = kwsi_matmul_portable,
    .memory = kwsi_memory_portable,
    .sign = kwsi_sign_portable,
    .compare = kwsi_compare_portable,
    .prelu = kwsi_prelu_portable,
    .prelu_add = kwsi_prelu_add_portable,
    .classifier = kwsi_classifier_portable,
};

const kwsi_kernels_t *kwsi_kernels(void) {
    return &portable;
}
