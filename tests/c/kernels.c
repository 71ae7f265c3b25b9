/* SPDX-License-Identifier: Apache-2.0
 *
 * kernels                                 names the sets of kernels that this build holds and this processor runs
 * kernels SEED COUNT SET [OPERATOR]       every operator of a set against the portable one, COUNT random calls each
 *
 * Shapes, alignments and values are drawn, extremes more often than chance would have them. Outputs lie between bytes
 * that must stay as they are. Inputs end where a page that nobody may touch begins, or, under the address sanitizer,
 * where a block of the heap ends. The first difference ends the program with a sentence that says how to see it again.
 */
#define _DEFAULT_SOURCE /* for MAP_ANONYMOUS and M_PI */
#include "two_planes.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

enum { SLOTS = 32, SLOT = 1 << 20, PAGE = 1 << 16, GUARD = 64, MARK = 0xa5 };

static const kwsi_kernels_t *tested;
static uint64_t seed, random_state;
static const char *operator_name;
static char shape[160];

/* --- random numbers ------------------------------------------------------------------------------------------------*/

static uint64_t draw(void) {
    uint64_t z = random_state += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

static int between(int least, int most) {
    return least + (int)(draw() % (uint64_t)(most - least + 1));
}

static int one_in(int n) {
    return between(1, n) == 1;
}

static float uniform(float least, float most) {
    return least + (most - least) * (float)(draw() >> 40) / (float)(1 << 24);
}

static int16_t any16(int least) {
    static const int16_t extremes[] = {-32767, 32767, -32766, 32766, -16384, 16384, -1, 0, 1};
    switch (between(0, 4)) {
    case 0:
        return one_in(8) ? (int16_t)least : extremes[between(0, 8)];
    case 1:
        return (int16_t)between(-300, 300);
    case 2:
        return (int16_t)between(-6000, 6000);
    default:
        return (int16_t)between(least, 32767);
    }
}

static int8_t any8(void) {
    return (int8_t)(one_in(4) ? (one_in(2) ? -128 : 127) : between(-128, 127));
}

/* --- memory --------------------------------------------------------------------------------------------------------*/

static void *blocks[SLOTS];
static int used;

static void require(int condition, const char *what) {
    if (!condition) {
        fprintf(stderr, "kernels: %s\n", what);
        exit(2);
    }
}

/* An input: `alignment` is what the contract promises, and as a rule all that it gets. */
static void *input(size_t bytes, size_t alignment) {
    require(used < SLOTS && bytes <= SLOT, "a slot is too small");
#ifdef __SANITIZE_ADDRESS__
    size_t offset = alignment * (size_t)between(0, 64 / (int)alignment - 1);
    require(posix_memalign(&blocks[used], 64, offset + bytes + !bytes) == 0, "no memory");
    unsigned char *start = (unsigned char *)blocks[used++] + offset;
#else
    if (!blocks[used]) {
        blocks[used] = mmap(NULL, SLOT + PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        require(blocks[used] != MAP_FAILED, "no memory");
        require(mprotect((char *)blocks[used] + SLOT, PAGE, PROT_NONE) == 0, "no guard page");
    }
    unsigned char *start = (unsigned char *)blocks[used++] + (SLOT - bytes) / alignment * alignment;
#endif
    return start;
}

/* An output, filled with random bytes from a copy of which `expected` starts too. */
static void *output(size_t bytes, size_t alignment, void **expected) {
    unsigned char *found = (unsigned char *)input(bytes + 2 * GUARD, alignment) + GUARD;
    unsigned char *copy = input(bytes, alignment);
    memset(found - GUARD, MARK, GUARD);
    memset(found + bytes, MARK, GUARD);
    for (size_t i = 0; i < bytes; i++) {
        found[i] = copy[i] = (unsigned char)draw();
    }
    *expected = copy;
    return found;
}

static void release(void) {
#ifdef __SANITIZE_ADDRESS__
    while (used > 0) {
        free(blocks[--used]);
    }
#endif
    used = 0;
}

static void differ(const char *what, size_t at, double found, double expected) {
    fprintf(stderr, "kernels: %s of %s differs from portable with %s: %s[%zu] is %.9g, not %.9g; seed %llu\n",
            operator_name, tested->name, shape, what, at, found, expected, (unsigned long long)seed);
    exit(1);
}

static void check_guards(const void *found, size_t bytes) {
    const unsigned char *at = found;
    for (size_t i = 0; i < GUARD; i++) {
        if (at[i - GUARD] != MARK || at[bytes + i] != MARK) {
            differ("a byte outside the output", i, 0, MARK);
        }
    }
}

#define COMPARE(type, found, expected, count, total)                                                                   \
    do {                                                                                                               \
        check_guards(found, sizeof(type) * (size_t)(total));                                                           \
        for (size_t i_ = 0; i_ < (size_t)(count); i_++) {                                                              \
            if (memcmp((found) + i_, (expected) + i_, sizeof(type)) != 0) {                                            \
                differ(#found, i_, (double)(found)[i_], (double)(expected)[i_]);                                       \
            }                                                                                                          \
        }                                                                                                              \
    } while (0)

/* --- arrays --------------------------------------------------------------------------------------------------------*/

static uint64_t *random_bits(size_t words, size_t alignment) {
    uint64_t *bits = input(8 * words, alignment);
    int kind = between(0, 5);
    for (size_t i = 0; i < words; i++) {
        bits[i] = kind == 0 ? 0 : kind == 1 ? UINT64_MAX : kind == 2 ? draw() & draw() & draw() : draw();
    }
    return bits;
}

/* [8][planes][words] and [outputs][words]; now and then every output equals a step, or differs from it everywhere. */
static void random_operands(int planes, int words, int outputs, uint64_t **bits, uint64_t **weight) {
    *bits = random_bits((size_t)(KWSI_TILE * planes * words), 8);
    *weight = random_bits((size_t)(outputs * words), 64);
    if (one_in(5)) {
        for (int o = 0; o < outputs; o++) {
            uint64_t differing = one_in(2) ? UINT64_MAX : 0;
            for (int i = 0; i < words; i++) {
                uint64_t *row = *bits + o % KWSI_TILE * planes * words;
                (*weight)[o * words + i] = row[i] ^ differing;
                row[(planes - 1) * words + i] = row[i];
            }
        }
    }
}

static int16_t *random16(int n, size_t alignment, int least) {
    int16_t *values = input(sizeof *values * (size_t)n, alignment);
    for (int i = 0; i < n; i++) {
        values[i] = any16(least);
    }
    return values;
}

/* Edges of `n` outputs, three a channel of two planes; a count reaches `inputs`. */
static int edges_of(int planes, int n) {
    return planes == 1 ? n : 3 * n;
}

static int16_t *random_below(int n, int inputs) {
    int16_t *below = input(sizeof *below * (size_t)n, 64);
    for (int i = 0; i < n; i++) {
        below[i] = (int16_t)(one_in(4)   ? between(0, 1) * (inputs + 1)
                             : one_in(2) ? between(0, inputs + 1)
                                         : inputs / 2 + between(-inputs / 10, inputs / 10));
    }
    return below;
}

static kwsi_affine_t random_affine(int channels) {
    kwsi_affine_t affine = {random16(channels, 64, -32767), random16(channels, 64, -32768),
                            random16(channels, 64, -32767)};
    return affine;
}

static int random_words(void) {
    return one_in(3) ? 2 : one_in(3) ? 4 : one_in(8) ? between(9, 32) : between(1, 8);
}

/* --- operators -----------------------------------------------------------------------------------------------------*/

static void test_window(void) {
    int n = one_in(2) ? between(0, 70) : between(0, 4096);
    int16_t *pcm = random16(n, 2, -32768);
    float *window = input(sizeof *window * (size_t)n, 4);
    void *copy;
    float *out = output(sizeof *out * (size_t)n, 4, &copy), *expected = copy;
    snprintf(shape, sizeof shape, "n %d", n);
    for (int i = 0; i < n; i++) {
        window[i] = uniform(-1e-4f, 1e-4f);
    }
    kwsi_window_portable(pcm, window, n, expected);
    tested->window(pcm, window, n, out);
    COMPARE(float, out, expected, n, n);
}

/* exp(-2 pi i at[lane] / n): real parts, then imaginary ones. */
static float *put_turns(float *to, int lanes, const int *at, int n) {
    for (int lane = 0; lane < lanes; lane++) {
        to[lane] = (float)cos(2 * M_PI * at[lane] / n);
        to[lanes + lane] = (float)-sin(2 * M_PI * at[lane] / n);
    }
    return to + 2 * lanes;
}

/* As twiddles() in kws/features.py; into no array, the count of them. */
static size_t twiddles(int n_fft, float *to) {
    float *start = to, ignored[16];
    size_t count = 0;
    int at[8], points = n_fft / 8;
    for (; points > 8; points /= 8) {
        for (int i = 1; i < points / 8; i++, count += 16) {
            for (int k = 0; k < 8; k++) {
                at[k] = i * k;
            }
            to = put_turns(start ? to : ignored, 8, at, points);
        }
    }
    for (int k = 1; k < n_fft / 16; k += 4) {
        for (int r = 1; r < 8; r++, count += 8) {
            for (int lane = 0; lane < 4; lane++) {
                at[lane] = (k + lane) * r;
            }
            to = put_turns(start ? to : ignored, 4, at, n_fft);
        }
    }
    return count;
}

static void test_spectrum(void) {
    int n_fft = 1 << (one_in(2) ? 9 : between(6, 12));
    float loud = one_in(4) ? 1e-6f : 0.1f;
    float *twiddle = input(sizeof *twiddle * twiddles(n_fft, NULL), 64);
    void *copy;
    float *work = output(sizeof *work * 2 * (size_t)n_fft, 64, &copy), *expected = copy;
    snprintf(shape, sizeof shape, "n_fft %d", n_fft);
    twiddles(n_fft, twiddle);
    for (int i = 0; i < n_fft; i++) {
        work[i] = expected[i] = one_in(20) ? 0.0f : uniform(-loud, loud);
    }
    kwsi_spectrum_portable(expected, n_fft, twiddle);
    tested->spectrum(work, n_fft, twiddle);
    COMPARE(float, work, expected, n_fft / 2 + 1, 2 * n_fft);
}

static void test_mel(void) {
    int n_mels = 8 * (one_in(2) ? 4 : between(1, 32)), bins = 1 + (1 << between(7, 11)), total = 0;
    int widest = one_in(3) ? 8 : 1; /* bands of up to so many times eight bins */
    uint16_t *first = input(sizeof *first * (size_t)n_mels, 64), *count = input(sizeof *count * (size_t)n_mels, 64);
    float *powers = input(sizeof *powers * (size_t)bins, 64);
    void *copy;
    float *decibels = output(sizeof *decibels * (size_t)n_mels, 4, &copy), *expected = copy;
    for (int i = 0; i < n_mels; i++) {
        count[i] = (uint16_t)(8 * between(0, widest));
        first[i] = (uint16_t)between(0, bins - count[i]);
        total += count[i];
    }
    float *weight = input(sizeof *weight * (size_t)total, 64);
    float loud = one_in(3) ? 1e-9f : one_in(3) ? 100.0f : 1e-3f;
    snprintf(shape, sizeof shape, "n_mels %d, %d bins, %d weights", n_mels, bins, total);
    for (int i = 0; i < total; i++) {
        weight[i] = uniform(0.0f, 1.0f);
    }
    for (int i = 0; i < bins; i++) {
        powers[i] = one_in(10) ? 0.0f : uniform(0.0f, loud);
    }
    kwsi_mel_portable(powers, first, count, weight, n_mels, expected);
    tested->mel(powers, first, count, weight, n_mels, decibels);
    COMPARE(float, decibels, expected, n_mels, n_mels);
}

static void test_quantize(void) {
    static const float odd[] = {NAN, -NAN, INFINITY, -INFINITY, 3e38f, -3e38f, 0.0f, -0.0f, 1e-45f};
    int n_mels = 8 * between(1, 32), frames = between(1, 4), bytes = frames * kwsi_row_bytes(n_mels);
    float offset = one_in(4) ? 0.0f : uniform(-60.0f, 0.0f), scale = one_in(4) ? 1.0f : uniform(-4.0f, 4.0f);
    float *decibels = input(sizeof *decibels * (size_t)(frames * n_mels), 4);
    void *copy;
    int8_t *rows = output((size_t)bytes, 64, &copy), *expected = copy;
    snprintf(shape, sizeof shape, "frames %d, n_mels %d, offset %.9g, scale %.9g", frames, n_mels, (double)offset,
             (double)scale);
    for (int i = 0; i < frames * n_mels; i++) {
        decibels[i] = one_in(8)   ? odd[between(0, 8)]
                      : one_in(3) ? 0.25f * (float)between(-600, 600)
                                  : uniform(-140, 90);
    }
    kwsi_quantize_portable(decibels, frames, n_mels, offset, scale, expected);
    tested->quantize(decibels, frames, n_mels, offset, scale, rows);
    COMPARE(int8_t, rows, expected, bytes, bytes);
}

static void try_conv1(int planes, kwsi_conv1_fn *reference, kwsi_conv1_fn *run) {
    enum { O = KWS_CONV1_CHANNELS };
    int n_mels = 8 * (one_in(2) ? 4 : between(1, 32)), columns = between(1, 8);
    int half = kwsi_half_bytes(n_mels), words = planes * kwsi_column_words(n_mels), edges = edges_of(planes, O);
    const int8_t *rows[2 * 8 + 3];
    int8_t *weight = input(KWSI_TAPS * O, 64);
    int16_t *threshold = random16(edges, 64, -32767);
    void *copy;
    uint16_t *bits = output(sizeof *bits * (size_t)(columns * words), 64, &copy), *expected = copy;
    snprintf(shape, sizeof shape, "n_mels %d, columns %d", n_mels, columns);
    for (int i = 0; i < 2 * columns + 3; i++) {
        int8_t *row = input((size_t)kwsi_row_bytes(n_mels), 64), constant = one_in(2) ? -128 : 127;
        int is_constant = one_in(10);
        memset(row, 0, (size_t)kwsi_row_bytes(n_mels));
        for (int mel = 0; mel < n_mels; mel++) {
            row[(mel % 2 ? 32 + half : 16) + mel / 2] = is_constant ? constant : any8();
        }
        rows[i] = row;
    }
    for (int i = 0; i < edges; i++) {
        threshold[i] = one_in(2) ? (int16_t)between(-9000, 9000) : threshold[i];
    }
    for (int o = 0; o < O; o++) {
        int is_full = one_in(3); /* spends all of the 255 */
        for (int part = 0; part < 2; part++) {
            int first = part ? 13 : 0, end = part ? 25 : 13, left = 255;
            for (int tap = first; tap < end; tap++) {
                int most = is_full ? (left < 128 ? left : 128) : left / 4 < 30 ? left / 4 : 30;
                int value = tap == end - 1 && is_full ? most : between(0, most);
                left -= value;
                weight[tap * O + o] = (int8_t)(value == 128 || one_in(2) ? -value : value);
            }
        }
    }
    reference(rows, columns, n_mels, weight, threshold, expected);
    run(rows, columns, n_mels, weight, threshold, bits);
    COMPARE(uint16_t, bits, expected, columns *words, columns *words);
}

static void test_conv1(void) {
    try_conv1(1, kwsi_conv1_portable, tested->conv1);
}

static void test_conv1_two(void) {
    try_conv1(2, kwsi_conv1_two, tested->conv1_two);
}

static void try_conv2(int planes, kwsi_conv2_fn *reference, kwsi_conv2_fn *run) {
    int m = 2 * (one_in(2) ? 4 : between(1, 32)), steps = between(1, 8), words = kwsi_column_words(4 * m);
    int total = steps * planes * (m / 2), inputs = (planes == 1 ? 1 : 3) * KWSI_TAPS * KWS_CONV1_CHANNELS;
    const uint16_t *columns[2 * 8 + 3];
    uint16_t *weight = (uint16_t *)random_bits(KWS_CONV2_CHANNELS * KWSI_TAPS / 4, 64);
    int16_t *below = random_below(edges_of(planes, KWS_CONV2_CHANNELS), inputs);
    void *copy;
    uint64_t *bits = output(sizeof *bits * (size_t)total, 8, &copy), *expected = copy;
    snprintf(shape, sizeof shape, "m %d, steps %d", m, steps);
    for (int i = 0; i < 2 * steps + 3; i++) {
        uint16_t *column = (uint16_t *)random_bits((size_t)(planes * words) / 4, one_in(2) ? 16 : 64);
        for (int at = 0; at < planes * words; at++) {
            column[at] = at % words < 2 || at % words >= 2 + 2 * m ? 0 : column[at];
        }
        columns[i] = column;
    }
    reference(columns, steps, m, weight, below, expected);
    run(columns, steps, m, weight, below, bits);
    COMPARE(uint64_t, bits, expected, total, total);
}

static void test_conv2(void) {
    try_conv2(1, kwsi_conv2_portable, tested->conv2);
}

static void test_conv2_two(void) {
    try_conv2(2, kwsi_conv2_two, tested->conv2_two);
}

static void try_expand(int planes, kwsi_expand_fn *reference, kwsi_expand_fn *run) {
    int words = random_words(), outputs = 64 * between(1, 8);
    uint64_t *bits, *weight;
    random_operands(planes, words, outputs, &bits, &weight);
    int16_t *below = random_below(edges_of(planes, outputs), (planes == 1 ? 1 : 3) * 64 * words);
    uint64_t *flip = random_bits((size_t)outputs / 64, 64);
    void *copy;
    uint64_t *out = output((size_t)(planes * outputs), 8, &copy), *expected = copy;
    snprintf(shape, sizeof shape, "words %d, outputs %d", words, outputs);
    reference(bits, weight, words, outputs, below, flip, expected);
    run(bits, weight, words, outputs, below, flip, out);
    COMPARE(uint64_t, out, expected, planes *outputs / 8, planes * outputs / 8);
}

static void test_expand(void) {
    try_expand(1, kwsi_expand_portable, tested->expand);
}

static void test_expand_two(void) {
    try_expand(2, kwsi_expand_two, tested->expand_two);
}

static void try_project(int planes, kwsi_project_fn *reference, kwsi_project_fn *run) {
    int words = random_words(), outputs = 64 * between(1, 8), has_threshold = !one_in(4);
    uint64_t *bits, *weight;
    random_operands(planes, words, outputs, &bits, &weight);
    kwsi_affine_t affine = random_affine(outputs);
    int16_t *threshold = has_threshold ? random16(edges_of(planes, outputs), 64, -32768) : NULL;
    void *copy, *copy_out;
    int16_t *x = output(sizeof *x * (size_t)(KWSI_TILE * outputs), 16, &copy), *expected = copy;
    uint64_t *out = output((size_t)(planes * outputs), 8, &copy_out), *expected_out = copy_out;
    snprintf(shape, sizeof shape, "words %d, outputs %d, threshold %d", words, outputs, has_threshold);
    for (int i = 0; i < KWSI_TILE * outputs; i++) {
        x[i] = expected[i] = any16(-32768);
    }
    reference(bits, weight, words, outputs, &affine, expected, threshold, expected_out);
    run(bits, weight, words, outputs, &affine, x, threshold, out);
    COMPARE(int16_t, x, expected, KWSI_TILE *outputs, KWSI_TILE *outputs);
    COMPARE(uint64_t, out, expected_out, planes *outputs / 8, planes * outputs / 8);
}

static void test_project(void) {
    try_project(1, kwsi_project_portable, tested->project);
}

static void test_project_two(void) {
    try_project(2, kwsi_project_two, tested->project_two);
}

static void try_memory(int planes, kwsi_memory_fn *reference, kwsi_memory_fn *run) {
    int steps = between(1, 40), words = one_in(2) ? 2 : one_in(8) ? between(9, 32) : between(1, 8);
    int rows = (steps + KWSI_TILE - 1) / KWSI_TILE * KWSI_TILE, channels = 64 * words, row = planes * words;
    uint64_t *bits = random_bits((size_t)(rows * row), 8);
    uint64_t *weight = random_bits((size_t)(KWS_KERNEL * words), 64);
    kwsi_affine_t affine = random_affine(channels);
    int16_t *threshold = random16(edges_of(planes, channels), 64, -32768);
    void *copy, *copy_out;
    int16_t *x = output(sizeof *x * (size_t)(rows * channels), 16, &copy), *expected = copy;
    uint64_t *out = output(sizeof *out * (size_t)(rows * row), 8, &copy_out), *expected_out = copy_out;
    snprintf(shape, sizeof shape, "steps %d, words %d", steps, words);
    for (int i = 0; i < rows * channels; i++) {
        x[i] = expected[i] = any16(-32768);
    }
    for (int i = steps * row; i < rows * row; i++) {
        bits[i] = draw(); /* rows beyond the last step hold anything */
    }
    reference(bits, weight, steps, words, &affine, expected, threshold, expected_out);
    run(bits, weight, steps, words, &affine, x, threshold, out);
    for (int i = 0; i < rows * channels; i++) {
        int step = i / (KWSI_TILE * channels) * KWSI_TILE + i % KWSI_TILE;
        if (step < steps && x[i] != expected[i]) {
            differ("x", (size_t)i, x[i], expected[i]);
        }
    }
    check_guards(x, sizeof *x * (size_t)(rows * channels));
    COMPARE(uint64_t, out, expected_out, steps *row, rows *row);
}

static void test_memory(void) {
    try_memory(1, kwsi_memory_portable, tested->memory);
}

static void test_memory_two(void) {
    try_memory(2, kwsi_memory_two, tested->memory_two);
}

static void test_classifier(void) {
    int n = 512 * (one_in(2) ? 6 : between(1, 40)), classes = between(1, 20);
    int16_t *x = random16(n, 16, -32768);
    int8_t *weight = input((size_t)(classes * n), 64);
    void *copy;
    int32_t *sums = output(sizeof *sums * (size_t)classes, 4, &copy), *expected = copy;
    snprintf(shape, sizeof shape, "n %d, classes %d", n, classes);
    if (one_in(4)) {
        int16_t constant = one_in(2) ? -32768 : 32767;
        for (int i = 0; i < n; i++) {
            x[i] = constant;
        }
    }
    for (int c = 0; c < classes; c++) {
        int most = one_in(2) ? 128 : 63, sign = between(-1, 1), left[16];
        for (int i = 0; i < n; i++) {
            if (i % 64 < 16) {
                left[i % 16] = 255;
            }
            int value = between(one_in(4) ? most : 0, most);
            value = value < left[i % 16] ? value : left[i % 16];
            value = sign < 0 || (sign == 0 && one_in(2)) ? -value : value == 128 ? 127 : value;
            left[i % 16] -= abs(value);
            weight[c * n + i] = (int8_t)value;
        }
    }
    kwsi_classifier_portable(x, n, weight, classes, expected);
    tested->classifier(x, n, weight, classes, sums);
    COMPARE(int32_t, sums, expected, classes, classes);
}

static const struct {
    const char *name;
    void (*test)(void);
} operators[] = {
    {"window", test_window},
    {"spectrum", test_spectrum},
    {"mel", test_mel},
    {"quantize", test_quantize},
    {"conv1", test_conv1},
    {"conv2", test_conv2},
    {"expand", test_expand},
    {"project", test_project},
    {"memory", test_memory},
    {"classifier", test_classifier},
    {"conv1_two", test_conv1_two},
    {"conv2_two", test_conv2_two},
    {"expand_two", test_expand_two},
    {"project_two", test_project_two},
    {"memory_two", test_memory_two},
};
enum { OPERATORS = sizeof operators / sizeof *operators };

static void list_sets(void) {
    static const char *const names[] = {"portable", "neon", "avx2", "avx512"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (kwsi_kernels_named(names[i])) {
            printf("%s\n", names[i]);
        }
    }
}

int main(int argc, char **argv) {
    if (argc == 1) {
        list_sets();
        return 0;
    }
    require(argc == 4 || argc == 5, "usage: kernels [SEED COUNT SET [OPERATOR]]");
    tested = kwsi_kernels_named(argv[3]);
    require(tested != NULL, "this build or this processor has no such set");
    uint64_t first = strtoull(argv[1], NULL, 10), count = strtoull(argv[2], NULL, 10);
    int run = 0;
    for (int i = 0; i < OPERATORS; i++) {
        operator_name = operators[i].name;
        if (argc == 5 && strcmp(argv[4], operator_name) != 0) {
            continue;
        }
        for (seed = first; seed < first + count; seed++) {
            random_state = seed * 0x2545f4914f6cdd1du + (uint64_t)i;
            operators[i].test();
            release();
        }
        printf("%s %s %llu\n", tested->name, operator_name, (unsigned long long)count);
        run++;
    }
    require(run > 0, "there is no such operator");
    return 0;
}
