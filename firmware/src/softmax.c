/* SPDX-License-Identifier: Apache-2.0 */
#include "arithmetic.h"

void kws_softmax(const float *logits, int n, float *probabilities) {
    if (!logits || !probabilities || n < 1) {
        return;
    }
    float largest = logits[0];
    for (int i = 1; i < n; i++) {
        largest = logits[i] > largest ? logits[i] : largest;
    }
    float sum = 0.0f;
    for (int i = 0; i < n; i++) {
        probabilities[i] = kwsi_exp(logits[i] - largest);
        sum = sum + probabilities[i];
    }
    /* Only logits that are not finite leave a sum of 0: no class is probable then. */
    for (int i = 0; i < n; i++) {
        probabilities[i] = sum > 0.0f ? probabilities[i] / sum : 0.0f;
    }
}
