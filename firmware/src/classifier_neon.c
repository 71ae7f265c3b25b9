/* SPDX-License-Identifier: Apache-2.0
 *
 * Six classes at a time, by classifier_neon.S; the last six take some once more where their number is no multiple.
 */
#include "kernels_neon_front.h"

#if defined(__aarch64__)

enum { CLASSES = 6 };

void kwsi_classifier_neon_6(const int16_t *x, int n, const int8_t *weight, int classes, int32_t sums[CLASSES]);

void kwsi_classifier_neon(const int16_t *x, int n, const int8_t *weight, int classes, int32_t *sums) {
    if (classes < CLASSES) {
        int32_t six[CLASSES];
        kwsi_classifier_neon_6(x, n, weight, classes, six);
        memcpy(sums, six, sizeof *sums * (size_t)classes);
        return;
    }
    for (int c = 0; c < classes; c += CLASSES) {
        int first = c < classes - CLASSES ? c : classes - CLASSES;
        kwsi_classifier_neon_6(x, n, weight + first * n, CLASSES, sums + first);
    }
}
#endif
