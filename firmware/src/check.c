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

/* The reference of operators of one plane or of two. */
typedef struct portable {
    int planes;
    kwsi_conv1_fn *conv1;
    kwsi_conv2_fn *conv2;
    kwsi_expand_fn *expand;
    kwsi_project_fn *project;
    kwsi_memory_fn *memory;
} portable_t;

static const portable_t one_plane = {
    1, kwsi_conv1_portable, kwsi_conv2_portable, kwsi_expand_portable, kwsi_project_portable, kwsi_memory_portable};
static const portable_t two_planes = {
    2, kwsi_conv1_two, kwsi_conv2_two, kwsi_expand_two, kwsi_project_two, kwsi_memory_two};

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

static void check_conv1(const portable_t *portable, kwsi_conv1_fn *run, const int8_t *const *rows, int columns,
                        int n_mels, const int8_t *weight, const int16_t *threshold, uint16_t *bits) {
    uint16_t expected[2 * (MAX_MELS / 2 + 8)];
    int words = portable->planes * kwsi_column_words(n_mels);
    require(n_mels <= MAX_MELS);
    run(rows, columns, n_mels, weight, threshold, bits);
    for (int column = 0; column < columns; column++) {
        portable->conv1(rows + 2 * column, 1, n_mels, weight, threshold, expected);
        require_same(bits + column * words, expected, sizeof *bits * (size_t)words);
    }
}

static void check_conv2(const portable_t *portable, kwsi_conv2_fn *run, const uint16_t *const *columns, int steps,
                        int m, const uint16_t *weight, const int16_t *below, uint64_t *bits) {
    uint64_t expected[2 * MAX_MELS / 8];
    int words = portable->planes * (m / 2);
    require(m <= MAX_MELS / 4);
    run(columns, steps, m, weight, below, bits);
    for (int step = 0; step < steps; step++) {
        portable->conv2(columns + 2 * step, 1, m, weight, below, expected);
        require_same(bits + step * words, expected, sizeof *bits * (size_t)words);
    }
}

/* Of the edges of all `channels`, those of 64 from one on, as an operator wants them that has no others. */
static const int16_t *part_of_edges(int planes, const int16_t *edges, int channels, int channel, int16_t *part) {
    for (int edge = 0; edge < 2 * planes - 1; edge++) {
        memcpy(part + PIECE * edge, edges + channels * edge + channel, sizeof *part * PIECE);
    }
    return part;
}

static void check_expand(const portable_t *portable, kwsi_expand_fn *run, const uint64_t *bits, const uint64_t *weight,
                         int words, int outputs, const int16_t *below, const uint64_t *flip, uint64_t *out) {
    uint64_t expected[2 * KWSI_TILE];
    int16_t edges[3 * PIECE];
    int planes = portable->planes;
    run(bits, weight, words, outputs, below, flip, out);
    for (int o = 0; o < outputs; o += PIECE) {
        portable->expand(bits, weight + o * words, words, PIECE, part_of_edges(planes, below, outputs, o, edges),
                         flip + o / 64, expected);
        for (int row = 0; row < KWSI_TILE * planes; row++) {
            require(out[(row * outputs + o) / 64] == expected[row]);
        }
    }
}

static kwsi_affine_t part_of(const kwsi_affine_t *affine, int channel) {
    return (kwsi_affine_t){affine->scale + channel, affine->bias + channel, affine->slope + channel};
}

/* Of 64 channels of a tile: the new x up to `steps`, and its bits, which lie `stride` words apart. */
static uint64_t checksum_tile(int planes, uint64_t sum, const int16_t *x, int steps, const uint64_t *out, int stride) {
    for (int i = 0; i < PIECE * KWSI_TILE; i++) {
        sum = i % KWSI_TILE < steps ? checksum(sum, x + i, sizeof *x) : sum;
    }
    for (int row = 0; out && row < planes * KWSI_TILE && row < planes * steps; row++) {
        sum = checksum(sum, out + row * stride, sizeof *out);
    }
    return sum;
}

static void check_project(const portable_t *portable, kwsi_project_fn *run, const uint64_t *bits,
                          const uint64_t *weight, int words, int outputs, const kwsi_affine_t *affine, int16_t *x,
                          const int16_t *threshold, uint64_t *out) {
    int16_t piece[PIECE * KWSI_TILE], edges[3 * PIECE];
    uint64_t piece_out[2 * KWSI_TILE], expected = 0, found = 0;
    int planes = portable->planes;
    for (int o = 0; o < outputs; o += PIECE) {
        kwsi_affine_t numbers = part_of(affine, o);
        memcpy(piece, x + o * KWSI_TILE, sizeof piece);
        portable->project(bits, weight + o * words, words, PIECE, &numbers, piece,
                          threshold ? part_of_edges(planes, threshold, outputs, o, edges) : NULL, piece_out);
        expected = checksum_tile(planes, expected, piece, KWSI_TILE, threshold ? piece_out : NULL, 1);
    }
    run(bits, weight, words, outputs, affine, x, threshold, out);
    for (int o = 0; o < outputs; o += PIECE) {
        const uint64_t *at = threshold ? out + o / 64 : NULL;
        found = checksum_tile(planes, found, x + o * KWSI_TILE, KWSI_TILE, at, outputs / 64);
    }
    require(found == expected);
}

/* Three tiles of one word, of which the middle one sees all of its neighbours. */
typedef struct memory_piece {
    uint64_t bits[2 * 3 * KWSI_TILE], weight[KWS_KERNEL], out[2 * 3 * KWSI_TILE];
    int16_t x[3 * KWSI_TILE * PIECE], edges[3 * PIECE];
} memory_piece_t;

/* The portable operator over the tile that starts at step `tile`, at most `steps` of which is inside. */
static uint64_t checksum_memory(const portable_t *portable, uint64_t sum, const uint64_t *bits, const uint64_t *weight,
                                int tile, int steps, int words, int word, const kwsi_affine_t *affine, const int16_t *x,
                                const int16_t *threshold) {
    memory_piece_t p = {{0}, {0}, {0}, {0}, {0}};
    int first = tile - KWSI_TILE > 0 ? tile - KWSI_TILE : 0, end = tile + 2 * KWSI_TILE, at = tile - first;
    int planes = portable->planes;
    kwsi_affine_t numbers = part_of(affine, 64 * word);
    end = end < steps ? end : steps;
    for (int row = planes * first; row < planes * end; row++) {
        p.bits[row - planes * first] = bits[row * words + word];
    }
    for (int k = 0; k < KWS_KERNEL; k++) {
        p.weight[k] = weight[k * words + word];
    }
    memcpy(p.x + at * PIECE, x, sizeof *x * KWSI_TILE * PIECE);
    portable->memory(p.bits, p.weight, end - first, 1, &numbers, p.x,
                     part_of_edges(planes, threshold, 64 * words, 64 * word, p.edges), p.out);
    return checksum_tile(planes, sum, p.x + at * PIECE, steps - tile, p.out + planes * at, 1);
}

static void check_memory(const portable_t *portable, kwsi_memory_fn *run, const uint64_t *bits, const uint64_t *weight,
                         int steps, int words, const kwsi_affine_t *affine, int16_t *x, const int16_t *threshold,
                         uint64_t *out) {
    uint64_t expected = 0, found = 0;
    int planes = portable->planes;
    for (int tile = 0; tile < steps; tile += KWSI_TILE) {
        for (int word = 0; word < words; word++) {
            const int16_t *at = x + (tile * words + KWSI_TILE * word) * PIECE;
            expected =
                checksum_memory(portable, expected, bits, weight, tile, steps, words, word, affine, at, threshold);
        }
    }
    run(bits, weight, steps, words, affine, x, threshold, out);
    for (int tile = 0; tile < steps; tile += KWSI_TILE) {
        for (int word = 0; word < words; word++) {
            const int16_t *at = x + (tile * words + KWSI_TILE * word) * PIECE;
            found = checksum_tile(planes, found, at, steps - tile, out + planes * tile * words + word, words);
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

/* Operators of one plane or of two, named alike but for their ends. */
#define CHECKED_PLANES(isa, end, portable)                                                                             \
    static void conv1##end##_##isa(const int8_t *const *rows, int columns, int n_mels, const int8_t *weight,           \
                                   const int16_t *threshold, uint16_t *bits) {                                         \
        check_conv1(portable, kwsi_##isa.conv1##end, rows, columns, n_mels, weight, threshold, bits);                  \
    }                                                                                                                  \
    static void conv2##end##_##isa(const uint16_t *const *columns, int steps, int m, const uint16_t *weight,           \
                                   const int16_t *below, uint64_t *bits) {                                             \
        check_conv2(portable, kwsi_##isa.conv2##end, columns, steps, m, weight, below, bits);                          \
    }                                                                                                                  \
    static void expand##end##_##isa(const uint64_t *bits, const uint64_t *weight, int words, int outputs,              \
                                    const int16_t *below, const uint64_t *flip, uint64_t *out) {                       \
        check_expand(portable, kwsi_##isa.expand##end, bits, weight, words, outputs, below, flip, out);                \
    }                                                                                                                  \
    static void project##end##_##isa(const uint64_t *bits, const uint64_t *weight, int words, int outputs,             \
                                     const kwsi_affine_t *affine, int16_t *x, const int16_t *threshold,                \
                                     uint64_t *out) {                                                                  \
        check_project(portable, kwsi_##isa.project##end, bits, weight, words, outputs, affine, x, threshold, out);     \
    }                                                                                                                  \
    static void memory##end##_##isa(const uint64_t *bits, const uint64_t *weight, int steps, int words,                \
                                    const kwsi_affine_t *affine, int16_t *x, const int16_t *threshold,                 \
                                    uint64_t *out) {                                                                   \
        check_memory(portable, kwsi_##isa.memory##end, bits, weight, steps, words, affine, x, threshold, out);         \
    }

/* The checked form of a set: the same prototypes, each with the set's own function put in. */
#define CHECKED_SET(isa)                                                                                               \
    CHECKED_PLANES(isa, , &one_plane)                                                                                  \
    CHECKED_PLANES(isa, _two, &two_planes)                                                                             \
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
    static void classifier_##isa(const int16_t *x, int n, const int8_t *weight, int classes, int32_t *sums) {          \
        check_classifier(kwsi_##isa.classifier, x, n, weight, classes, sums);                                          \
    }                                                                                                                  \
    const kwsi_kernels_t kwsi_checked_##isa = {                                                                        \
        .name = #isa,                                                                                                  \
        .window = window_##isa,                                                                                        \
        .spectrum = spectrum_##isa,                                                                                    \
        .mel = mel_##isa,                                                                                              \
        .quantize = quantize_##isa,                                                                                    \
        .conv1 = conv1_##isa,                                                                                          \
        .conv2 = conv2_##isa,                                                                                          \
        .expand = expand_##isa,                                                                                        \
        .project = project_##isa,                                                                                      \
        .memory = memory_##isa,                                                                                        \
        .classifier = classifier_##isa,                                                                                \
        .conv1_two = conv1_two_##isa,                                                                                  \
        .conv2_two = conv2_two_##isa,                                                                                  \
        .expand_two = expand_two_##isa,                                                                                \
        .project_two = project_two_##isa,                                                                              \
        .memory_two = memory_two_##isa,                                                                                \
    }

#ifdef KWSI_HAS_X86
CHECKED_SET(avx512);
CHECKED_SET(avx2);
#endif
#if defined(__aarch64__)
CHECKED_SET(neon);
#endif

#endif
