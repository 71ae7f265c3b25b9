/* SPDX-License-Identifier: Apache-2.0
 *
 * The zeros around each column, and what conv1_neon.S needs to fill it.
 */
#include "kernels_neon_front.h"

#if defined(__aarch64__)
#include <arm_neon.h>

typedef struct kwsi_conv1_tables {
    int16_t threshold[KWS_CONV1_CHANNELS];
    uint8_t place[KWS_CONV1_CHANNELS];
} kwsi_conv1_tables_t;

void kwsi_conv1_neon_columns(const int8_t *const *rows, int columns, int pairs, const int8_t *weight,
                             const kwsi_conv1_tables_t *tables, uint16_t *bits, size_t bytes, size_t odd);

void kwsi_conv1_neon(const int8_t *const *rows, int columns, int n_mels, const int8_t *weight, const int16_t *threshold,
                     uint16_t *bits) {
    static const uint8_t place[KWS_CONV1_CHANNELS] = {1, 2, 4, 8, 16, 32, 64, 128, 1, 2, 4, 8, 16, 32, 64, 128};
    kwsi_conv1_tables_t tables;
    int words = kwsi_column_words(n_mels);
    memcpy(tables.threshold, threshold, sizeof tables.threshold);
    memcpy(tables.place, place, sizeof place);
    for (int column = 0; column < columns; column++) {
        uint16_t *end = bits + (column + 1) * words;
        vst1q_u16(bits + column * words, vdupq_n_u16(0)); /* the first two words, and the last ones, at most eleven */
        vst1q_u16(end - 16, vdupq_n_u16(0));
        vst1q_u16(end - 8, vdupq_n_u16(0));
    }
    kwsi_conv1_neon_columns(rows, columns, n_mels / 4, weight, &tables, bits + 2, sizeof *bits * (size_t)words,
                            (size_t)(31 + kwsi_half_bytes(n_mels)));
}
#endif
