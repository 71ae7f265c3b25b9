/* SPDX-License-Identifier: Apache-2.0
 *
 * Builds with KWS_CHECK: every operator of the chosen set against the portable one. Nothing otherwise.
 *
 * Where an operator only writes, the portable one then makes the same output piece by piece, to be compared. Where it
 * changes its input, the portable one goes first, on copies of pieces, and leaves a checksum of 64 bits. That needs 20
 * KB of stack.
 */
#include "check.h"
#include "kernels_x86.h"
#include "two_planes.h"

#if defined(KWS_CHECK) && (defined(KWSI_HAS_X86) || defined(__aarch64__))

enum { PIECE = 64, MAX_MELS = 256, MAX_FFT = 4096 }; /* the latter two as in model.c */

static void require(int condition) {
    if (!condition) {
        __builtin_trap(); /* the caller is the operator that differs */
    }
}

static void require_same(const void *found, const void *expected, size_t bytes) {
    const unsigned char *a = found, *b = expected;
    for (size_t i = 0; i < bytes; i++) {
        require(a[i] == b[i]);
    }
}

/* FNV-1a, which any change of one byte changes. */
static uint64_t checksum(uint64_t sum, const void *data, size_t bytes) {
    const unsigned char *at = data;
    for (size_t i = 0; i < bytes; i++) {
        sum = (sum ^ at[i]) * 0x100000001b3u;
    }
    return sum;
}

static void check_window(kwsi_window_fn *run, const int16_t *pcm, const float *window, int n, float *out) {
    float expected[PIECE];
    run(pcm, window, n, out);
    for (int i = 0; i < n; i += PIECE) {
        int count = n - i < PIECE ? n - i : PIECE;
        kwsi_window_portable(pcm + i, window + i, count, expected);
        require_same(out + i, expected, sizeof *out * (size_t)count);
    }
}

static void check_spectrum(kwsi_spectrum_fn *run, float *work, int n_fft, const float *twiddle) {
    float input[MAX_FFT];
    size_t powers = sizeof *work * (size_t)(n_fft / 2 + 1);
    require(n_fft <= MAX_FFT);
    memcpy(input, work, sizeof *work * (size_t)n_fft);
    kwsi_spectrum_portable(work, n_fft, twiddle);
    uint64_t expected = checksum(0, work, powers);
    memcpy(work, input, sizeof *work * (size_t)n_fft);
    run(work, n_fft, twiddle);
    require(checksum(0, work, powers) == expected);
}

static void check_mel(kwsi_mel_fn *run, const float *powers, const uint16_t *first, const uint16_t *count,
                      const float *weight, int n_mels, float *decibels) {
    run(powers, first, count, weight, n_mels, decibels);
    for (int i = 0; i < n_mels; i++) {
        float expected;
        kwsi_mel_portable(powers, first + i, count + i, weight, 1, &expected);
        require_same(decibels + i, &expected, sizeof expected);
        weight += count[i];
    }
}

static void check_quantize(kwsi_quantize_fn *run, const float *decibels, int frames, int n_mels, float offset,
                           float scale, int8_t *rows) {
    int8_t expected[32 + MAX_MELS];
    int bytes = kwsi_row_bytes(n_mels);
    require(n_mels <= MAX_MELS);
    run(decibels, frames, n_mels, offset, scale, rows);
    for (int i = 0; i < frames; i++) {
        kwsi_quantize_portable(decibels + i * n_mels, 1, n_mels, offset, scale, expected);
        require_same(rows + i * bytes, expected, (size_t)bytes);
    }
}

static void check_conv1(kwsi_conv1_fn *run, const int8_t *const *rows, int columns, int n_mels, const int8_t *weight,
                        const int16_t *threshold, uint16_t *bits) {
    uint16_t expected[MAX_MELS / 2 + 8];
    int words = kwsi_column_words(n_mels);
    require(n_mels <= MAX_MELS);
    run(rows, columns, n_mels, weight, threshold, bits);
    for (int column = 0; column < columns; column++) {
        kwsi_conv1_portable(rows + 2 * column, 1, n_mels, weight, threshold, expected);
        require_same(bits + column * words, expected, sizeof *bits * (size_t)words);
    }
}

static void check_conv2(kwsi_conv2_fn *run, const uint16_t *const *columns, int steps, int m, const uint16_t *weight,
                        const int16_t *below, uint64_t *bits) {
    uint64_t expected[MAX_MELS / 8];
    require(m <= MAX_MELS / 4);
    run(columns, steps, m, weight, below, bits);
    for (int step = 0; step < steps; step++) {
        kwsi_conv2_portable(columns + 2 * step, 1, m, weight, below, expected);
        require_same(bits + step * (m / 2), expected, sizeof *bits * (size_t)(m / 2));
    }
}

static void check_expand(kwsi_expand_fn *run, const uint64_t *bits, const uint64_t *weight, int words, int outputs,
                         const int16_t *below, const uint64_t *flip, uint64_t *out) {
    uint64_t expected[KWSI_TILE];
    run(bits, weight, words, outputs, below, flip, out);
    for (int o = 0; o < outputs; o += PIECE) {
        kwsi_expand_portable(bits, weight + o * words, words, PIECE, below + o, flip + o / 64, expected);
        for (int step = 0; step < KWSI_TILE; step++) {
            require(out[(step * outputs + o) / 64] == expected[step]);
        }
    }
}

static kwsi_affine_t part_of(const kwsi_affine_t *affine, int channel) {
    return (kwsi_affine_t){affine->scale + channel, affine->bias + channel, affine->slope + channel};
}

/* Of 64 channels of a tile: the new x up to `steps`, and its bits, which lie `stride` words apart. */
static uint64_t checksum_tile(uint64_t sum, const int16_t *x, int steps, const uint64_t *out, int stride) {
    for (int i = 0; i < PIECE * KWSI_TILE; i++) {
        sum = i % KWSI_TILE < steps ? checksum(sum, x + i, sizeof *x) : sum;
    }
    for (int step = 0; out && step < KWSI_TILE && step < steps; step++) {
        sum = checksum(sum, out + step * stride, sizeof *out);
    }
    return sum;
}

static void check_project(kwsi_project_fn *run, const uint64_t *bits, const uint64_t *weight, int words, int outputs,
                          const kwsi_affine_t *affine, int16_t *x, const int16_t *threshold, uint64_t *out) {
    int16_t piece[PIECE * KWSI_TILE];
    uint64_t piece_out[KWSI_TILE], expected = 0, found = 0;
    for (int o = 0; o < outputs; o += PIECE) {
        kwsi_affine_t numbers = part_of(affine, o);
        memcpy(piece, x + o * KWSI_TILE, sizeof piece);
        kwsi_project_portable(bits, weight + o * words, words, PIECE, &numbers, piece, threshold ? threshold + o : NULL,
                              piece_out);
        expected = checksum_tile(expected, piece, KWSI_TILE, threshold ? piece_out : NULL, 1);
    }
    run(bits, weight, words, outputs, affine, x, threshold, out);
    for (int o = 0; o < outputs; o += PIECE) {
        found = checksum_tile(found, x + o * KWSI_TILE, KWSI_TILE, threshold ? out + o / 64 : NULL, outputs / 64);
    }
    require(found == expected);
}

/* Three tiles of one word, of which the middle one sees all of its neighbours. */
typedef struct memory_piece {
    uint64_t bits[3 * KWSI_TILE], weight[KWS_KERNEL], out[3 * KWSI_TILE];
    int16_t x[3 * KWSI_TILE * PIECE];
} memory_piece_t;

/* The portable operator over the tile that starts at step `tile`, at most `steps` of which is inside. */
static uint64_t checksum_memory(uint64_t sum, const uint64_t *bits, const uint64_t *weight, int tile, int steps,
                                int words, int word, const kwsi_affine_t *affine, const int16_t *x,
                                const int16_t *threshold) {
    memory_piece_t p = {{0}, {0}, {0}, {0}};
    int first = tile - KWSI_TILE > 0 ? tile - KWSI_TILE : 0, end = tile + 2 * KWSI_TILE, at = tile - first;
    kwsi_affine_t numbers = part_of(affine, 64 * word);
    end = end < steps ? end : steps;
    for (int step = first; step < end; step++) {
        p.bits[step - first] = bits[step * words + word];
    }
    for (int k = 0; k < KWS_KERNEL; k++) {
        p.weight[k] = weight[k * words + word];
    }
    memcpy(p.x + at * PIECE, x, sizeof *x * KWSI_TILE * PIECE);
    kwsi_memory_portable(p.bits, p.weight, end - first, 1, &numbers, p.x, threshold + 64 * word, p.out);
    return checksum_tile(sum, p.x + at * PIECE, steps - tile, p.out + at, 1);
}

static void check_memory(kwsi_memory_fn *run, const uint64_t *bits, const uint64_t *weight, int steps, int words,
                         const kwsi_affine_t *affine, int16_t *x, const int16_t *threshold, uint64_t *out) {
    uint64_t expected = 0, found = 0;
    for (int tile = 0; tile < steps; tile += KWSI_TILE) {
        for (int word = 0; word < words; word++) {
            const int16_t *at = x + (tile * words + KWSI_TILE * word) * PIECE;
            expected = checksum_memory(expected, bits, weight, tile, steps, words, word, affine, at, threshold);
        }
    }
    run(bits, weight, steps, words, affine, x, threshold, out);
    for (int tile = 0; tile < steps; tile += KWSI_TILE) {
        for (int word = 0; word < words; word++) {
            const int16_t *at = x + (tile * words + KWSI_TILE * word) * PIECE;
            found = checksum_tile(found, at, steps - tile, out + tile * words + word, words);
        }
    }
    require(found == expected);
}

static void check_classifier(kwsi_classifier_fn *run, const int16_t *x, int n, const int8_t *weight, int classes,
                             int32_t *sums) {
    run(x, n, weight, classes, sums);
    for (int i = 0; i < classes; i++) {
        int32_t expected;
        kwsi_classifier_portable(x, n, weight + i * n, 1, &expected);
        require(sums[i] == expected);
    }
}

/* The checked form of a set: the same prototypes, each with the set's own function put in. Operators of two planes have
 * one source, and go unchecked; `two` is how the set's own end. */
#define CHECKED_SET(isa, two)                                                                                          \
    static void window_##isa(const int16_t *pcm, const float *window, int n, float *out) {                             \
        check_window(kwsi_##isa.window, pcm, window, n, out);                                                          \
    }                                                                                                                  \
    static void spectrum_##isa(float *work, int n_fft, const float *twiddle) {                                         \
        check_spectrum(kwsi_##isa.spectrum, work, n_fft, twiddle);                                                     \
    }                                                                                                                  \
    static void mel_##isa(const float *powers, const uint16_t *first, const uint16_t *count, const float *weight,      \
                          int n_mels, float *decibels) {                                                               \
        check_mel(kwsi_##isa.mel, powers, first, count, weight, n_mels, decibels);                                     \
    }                                                                                                                  \
    static void quantize_##isa(const float *decibels, int frames, int n_mels, float offset, float scale,               \
                               int8_t *rows) {                                                                         \
        check_quantize(kwsi_##isa.quantize, decibels, frames, n_mels, offset, scale, rows);                            \
    }                                                                                                                  \
    static void conv1_##isa(const int8_t *const *rows, int columns, int n_mels, const int8_t *weight,                  \
                            const int16_t *threshold, uint16_t *bits) {                                                \
        check_conv1(kwsi_##isa.conv1, rows, columns, n_mels, weight, threshold, bits);                                 \
    }                                                                                                                  \
    static void conv2_##isa(const uint16_t *const *columns, int steps, int m, const uint16_t *weight,                  \
                            const int16_t *below, uint64_t *bits) {                                                    \
        check_conv2(kwsi_##isa.conv2, columns, steps, m, weight, below, bits);                                         \
    }                                                                                                                  \
    static void expand_##isa(const uint64_t *bits, const uint64_t *weight, int words, int outputs,                     \
                             const int16_t *below, const uint64_t *flip, uint64_t *out) {                              \
        check_expand(kwsi_##isa.expand, bits, weight, words, outputs, below, flip, out);                               \
    }                                                                                                                  \
    static void project_##isa(const uint64_t *bits, const uint64_t *weight, int words, int outputs,                    \
                              const kwsi_affine_t *affine, int16_t *x, const int16_t *threshold, uint64_t *out) {      \
        check_project(kwsi_##isa.project, bits, weight, words, outputs, affine, x, threshold, out);                    \
    }                                                                                                                  \
    static void memory_##isa(const uint64_t *bits, const uint64_t *weight, int steps, int words,                       \
                             const kwsi_affine_t *affine, int16_t *x, const int16_t *threshold, uint64_t *out) {       \
        check_memory(kwsi_##isa.memory, bits, weight, steps, words, affine, x, threshold, out);                        \
    }                                                                                                                  \
    static void classifier_##isa(const int16_t *x, int n, const int8_t *weight, int classes, int32_t *sums) {          \
        check_classifier(kwsi_##isa.classifier, x, n, weight, classes, sums);                                          \
    }                                                                                                                  \
    const kwsi_kernels_t kwsi_checked_##isa = {                                                                        \
        #isa,                                                                                                          \
        window_##isa,                                                                                                  \
        spectrum_##isa,                                                                                                \
        mel_##isa,                                                                                                     \
        quantize_##isa,                                                                                                \
        conv1_##isa,                                                                                                   \
        conv2_##isa,                                                                                                   \
        expand_##isa,                                                                                                  \
        project_##isa,                                                                                                 \
        memory_##isa,                                                                                                  \
        classifier_##isa,                                                                                              \
        kwsi_conv2_two##two,                                                                                           \
        kwsi_expand_two##two,                                                                                          \
        kwsi_project_two##two,                                                                                         \
        kwsi_memory_two##two,                                                                                          \
    }

#ifdef KWSI_HAS_X86
CHECKED_SET(avx512, _avx512);
CHECKED_SET(avx2, _avx2);
#endif
#if defined(__aarch64__)
CHECKED_SET(neon, );
#endif

#endif
