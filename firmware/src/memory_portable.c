/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels.h"

void kwsi_memory_portable(const uint64_t *bits, const uint64_t *weight, int t, int words, int16_t *acc) {
    for (int frame = 0; frame < t; frame++) {
        for (int i = 0; i < words; i++) {
            /* Where tap and input agree the product is +1. The agreements of 64 channels are counted at once, as
             * three-bit numbers whose bits lie in three words. */
            uint64_t ones = 0, twos = 0, fours = 0;
            for (int k = 0; k < KWS_KERNEL; k++) {
                int at = frame + k - KWS_KERNEL / 2;
                uint64_t input = at >= 0 && at < t ? bits[at * words + i] : 0;
                uint64_t agree = ~(input ^ weight[k * words + i]);
                uint64_t carry = ones & agree;
                ones ^= agree;
                fours |= twos & carry;
                twos ^= carry;
            }
            for (int c = 0; c < 64; c++) {
                int count = (int)(ones >> c & 1) + 2 * (int)(twos >> c & 1) + 4 * (int)(fours >> c & 1);
                *acc++ = (int16_t)(2 * count - KWS_KERNEL);
            }
        }
    }
}
