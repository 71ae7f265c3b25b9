/* SPDX-License-Identifier: Apache-2.0
 *
 * The zeros around each column, and what conv1_neon.S needs to fill it.
 */
#include "kernels_neon_front.h"
#include "two_planes.h"

#if defined(__aarch64__)
#include <arm_neon.h>

typedef struct kwsi_conv1_tables {
    int16_t threshold[KWS_CONV1_CHANNELS];
    uint8_t place[KWS_CONV1_CHANNELS];
    uint64_t second; /* bytes from a word of the first plane to that of the second, or 0 */
    uint64_t unused;
    int16_t above[KWS_CONV1_CHANNELS], below[KWS_CONV1_CHANNELS];
} kwsi_conv1_tables_t;

void kwsi_conv1_neon_columns(const int8_t *const *rows, int columns, int pairs, const int8_t *weight,
                             const kwsi_conv1_tables_t *tables, uint16_t *bits, size_t bytes, size_t odd);

/* Zeros the first two words of a column's plane, and the last ones, at most eleven; the mels between are yet to come. */
static inline void frame(uint16_t *plane, int words) {
    vst1q_u16(plane, vdupq_n_u16(0));
    vst1q_u16(plane + words - 16, vdupq_n_u16(0));
    vst1q_u16(plane + words - 8, vdupq_n_u16(0));
}

static void convolve(const int8_t *const *rows, int columns, int n_mels, const int8_t *weight,
                     kwsi_conv1_tables_t *tables, int planes, uint16_t *bits) {
    static const uint8_t place[KWS_CONV1_CHANNELS] = {1, 2, 4, 8, 16, 32, 64, 128, 1, 2, 4, 8, 16, 32, 64, 128};
    int words = kwsi_column_words(n_mels);
    size_t bytes = sizeof *bits * (size_t)words;
    memcpy(tables->place, place, sizeof place);
    tables->second = planes == 1 ? 0 : bytes;
    for (int i = 0; i < columns * planes; i++) {
        frame(bits + i * words, words);
    }
    kwsi_conv1_neon_columns(rows, columns, n_mels / 4, weight, tables, bits + 2, bytes * (size_t)planes,
                            (size_t)(31 + kwsi_half_bytes(n_mels)));
}

void kwsi_conv1_neon(const int8_t *const *rows, int columns, int n_mels, const int8_t *weight, const int16_t *threshold,
                     uint16_t *bits) {
    kwsi_conv1_tables_t tables;
    memcpy(tables.threshold, threshold, sizeof tables.threshold);
    convolve(rows, columns, n_mels, weight, &tables, 1, bits);
}

void kwsi_conv1_two_neon(const int8_t *const *rows, int columns, int n_mels, const int8_t *weight,
                         const int16_t *threshold, uint16_t *bits) {
    kwsi_conv1_tables_t tables;
    memcpy(tables.threshold, threshold, sizeof tables.threshold);
    memcpy(tables.above, threshold + KWS_CONV1_CHANNELS, sizeof tables.above);
    memcpy(tables.below, threshold + 2 * KWS_CONV1_CHANNELS, sizeof tables.below);
    convolve(rows, columns, n_mels, weight, &tables, 2, bits);
}
#endif
