/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels.h"

void kwsi_window_portable(const int16_t *pcm, const float *window, int n, float *out) {
    for (int i = 0; i < n; i++) {
        out[i] = (float)pcm[i] * window[i];
    }
}
