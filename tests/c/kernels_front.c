/* SPDX-License-Identifier: Apache-2.0
 *
 * kernels_front ISA
 *
 * Runs the operators of the front end, the first convolution and the classifier of one instruction set beside the
 * portable ones, on random sizes and numbers and on extreme ones, and compares every byte of what they write, guards
 * behind it included. Prints the number of comparisons; exits with 77 where the set is not there or does not run.
 */
#include "kernels.h"

#include <stdio.h>
#include <stdlib.h>

enum { GUARD = 64, MAX_FFT = 4096, MAX_MELS = 256, MAX_COLUMNS = 5, MAX_N = 4096, MAX_CLASSES = 40 };

static const kwsi_kernels_t *portable, *other;
static long comparisons;
static uint64_t state = 0x9e3779b97f4a7c15u;

static uint32_t bits_32(void) {
    state ^= state >> 12;
    state ^= state << 25;
    state ^= state >> 27;
    return (uint32_t)((state * 0x2545f4914f6cdd1du) >> 32);
}

/* low .. high */
static int integer(int low, int high) {
    return low + (int)(bits_32() % (uint32_t)(high - low + 1));
}

/* -1 .. 1 */
static float real(void) {
    return (float)(int32_t)bits_32() / 2147483648.0f;
}

static void compare(const char *what, int size, const void *expected, const void *found, size_t bytes) {
    comparisons++;
    if (memcmp(expected, found, bytes) != 0) {
        fprintf(stderr, "%s of %d differs\n", what, size);
        exit(1);
    }
}

/* Two outputs of `bytes` bytes and a guard. */
static _Alignas(KWS_ALIGN) unsigned char expected[8 * MAX_FFT + GUARD], found[8 * MAX_FFT + GUARD];

static void prepare(size_t bytes) {
    for (size_t i = 0; i < bytes + GUARD; i++) {
        expected[i] = found[i] = (unsigned char)bits_32();
    }
}

static void test_window(void) {
    static int16_t pcm[MAX_FFT + 8];
    static float window[MAX_FFT + 8];
    for (int round = 0; round < 100; round++) {
        int n = integer(0, round % 10 == 0 ? MAX_FFT : 200), at = integer(0, 7);
        for (int i = 0; i < n; i++) {
            pcm[at + i] = (int16_t)(round % 3 == 0 ? (i % 2 ? 32767 : -32768) : (int16_t)bits_32());
            window[at + i] = real() / 32768.0f;
        }
        prepare(4 * (size_t)n);
        portable->window(pcm + at, window + at, n, (float *)(void *)expected);
        other->window(pcm + at, window + at, n, (float *)(void *)found);
        compare("window", n, expected, found, 4 * (size_t)n + GUARD);
    }
}

/* Floats in the twiddles of this size, as kws/features.py lays them out. */
static int twiddles(int n_fft) {
    int count = 0, points = n_fft / 8;
    for (; points > 8; points /= 8) {
        count += 16 * (points / 8 - 1);
    }
    return count + n_fft / 64 * 56;
}

static void test_spectrum(void) {
    static _Alignas(KWS_ALIGN) float twiddle[2 * MAX_FFT];
    float *a = (float *)(void *)expected, *b = (float *)(void *)found;
    for (int n_fft = 64; n_fft <= MAX_FFT; n_fft *= 2) {
        for (int round = 0; round < 8; round++) {
            size_t bytes = 8 * (size_t)n_fft;
            for (int i = 0; i < twiddles(n_fft); i++) {
                twiddle[i] = real(); /* any numbers do */
            }
            prepare(bytes);
            for (int i = 0; i < n_fft; i++) { /* noise, silence, an impulse, the steepest square wave, faint noise */
                float samples[5] = {real(), 0.0f, i == n_fft / 3 ? 1.0f : 0.0f, i % 2 ? 1.0f : -1.0f, 1e-15f * real()};
                a[i] = b[i] = samples[round % 5];
            }
            portable->spectrum(a, n_fft, twiddle);
            other->spectrum(b, n_fft, twiddle);
            compare("spectrum", n_fft, a, b, sizeof(float) * (size_t)(n_fft / 2 + 1));
            compare("what lies behind a spectrum", n_fft, expected + bytes, found + bytes, GUARD);
        }
    }
}

static void test_mel(void) {
    static _Alignas(KWS_ALIGN) float powers[MAX_FFT], weight[MAX_MELS * 200];
    static _Alignas(KWS_ALIGN) uint16_t first[MAX_MELS], count[MAX_MELS];
    for (int n_mels = 8; n_mels <= MAX_MELS; n_mels += 8) {
        int used = 0;
        for (int i = 0; i < MAX_FFT; i++) { /* from silence to beyond full scale */
            powers[i] = n_mels == 16 ? 0.0f : kwsi_bits_float(bits_32() % 0x30000000u + 0x20000000u);
        }
        for (int band = 0; band < n_mels; band++) {
            count[band] = (uint16_t)(8 * integer(0, band % 4 ? 25 : 3));
            first[band] = (uint16_t)integer(0, MAX_FFT - count[band]);
            for (int i = 0; i < count[band]; i++) {
                weight[used++] = i == 0 ? 0.0f : (1.0f + real()) / 2.0f;
            }
        }
        prepare(4 * (size_t)n_mels);
        portable->mel(powers, first, count, weight, n_mels, (float *)(void *)expected);
        other->mel(powers, first, count, weight, n_mels, (float *)(void *)found);
        compare("mel", n_mels, expected, found, 4 * (size_t)n_mels + GUARD);
    }
}

/* Decibels whose quantized value is a half, or next to it; and what is no number at all. */
static float decibels(float offset, float scale) {
    static const uint32_t odd[] = {0x7fc00000u, 0x7f800000u, 0xff800000u, 0xffc00000u, 0x7f7fffffu,
                                   0xff7fffffu, 0x80000000u, 0x00000001u, 0x7f800001u};
    uint32_t kind = bits_32() % 16;
    if (kind < sizeof odd / sizeof *odd && bits_32() % 4 == 0) {
        return kwsi_bits_float(odd[kind]);
    }
    float half = ((float)integer(-131, 130) + 0.5f) / scale + offset;
    return kind % 2 ? kwsi_bits_float(kwsi_float_bits(half) + bits_32() % 5 - 2) : 120.0f * real();
}

static void test_quantize(void) {
    enum { FRAMES = 3 };
    static float values[FRAMES * MAX_MELS];
    static const float settings[][2] = {{-40.0f, 2.0f}, {-37.7f, 1.48f}, {0.0f, 1.0f}, {-55.0f, -0.3f}, {3.0f, 1e30f}};
    for (int n_mels = 8; n_mels <= MAX_MELS; n_mels += 8) {
        for (int round = 0; round < 20; round++) {
            float offset = settings[round % 5][0], scale = settings[round % 5][1];
            int frames = integer(1, FRAMES);
            for (int i = 0; i < frames * n_mels; i++) {
                values[i] = decibels(offset, scale);
            }
            size_t bytes = (size_t)(frames * kwsi_row_bytes(n_mels));
            prepare(bytes);
            portable->quantize(values, frames, n_mels, offset, scale, (int8_t *)expected);
            other->quantize(values, frames, n_mels, offset, scale, (int8_t *)found);
            compare("quantize", n_mels, expected, found, bytes + GUARD);
        }
    }
}

/* One output's weights of one half of the taps, whose absolute values add up to at most 255. */
static void half_of_taps(int8_t *weight, int first, int last, int extreme) {
    int left = 255, sign = bits_32() % 2 ? 1 : -1;
    for (int tap = first; tap <= last; tap++) {
        int most = left < 127 ? left : 127, size = extreme ? most : integer(0, most / 2);
        left -= size;
        weight[tap * KWS_CONV1_CHANNELS] = (int8_t)(extreme ? sign * size : integer(0, 1) ? size : -size);
    }
}

static void test_conv1(void) {
    enum { ROWS = 2 * MAX_COLUMNS + 3, ROW_BYTES = 32 + MAX_MELS };
    static _Alignas(KWS_ALIGN) int8_t inputs[ROWS][ROW_BYTES + GUARD];
    static _Alignas(KWS_ALIGN) int8_t weight[KWSI_TAPS * KWS_CONV1_CHANNELS];
    static _Alignas(KWS_ALIGN) int16_t threshold[KWS_CONV1_CHANNELS];
    for (int n_mels = 8; n_mels <= MAX_MELS; n_mels += 8) {
        for (int round = 0; round < 10; round++) {
            int columns = integer(1, MAX_COLUMNS), half = kwsi_half_bytes(n_mels), extreme = round % 3 == 0;
            const int8_t *rows[ROWS];
            memset(inputs, 0, sizeof inputs);
            for (int row = 0; row < ROWS; row++) {
                rows[row] = inputs[integer(0, ROWS - 1)]; /* in any order, some more than once */
                for (int i = 0; i < n_mels / 2; i++) {
                    inputs[row][16 + i] = (int8_t)(extreme ? (round % 2 ? -128 : 127) : (int8_t)bits_32());
                    inputs[row][32 + half + i] = (int8_t)(extreme ? inputs[row][16 + i] : (int8_t)bits_32());
                }
            }
            for (int o = 0; o < KWS_CONV1_CHANNELS; o++) {
                half_of_taps(weight + o, 0, 12, extreme);
                half_of_taps(weight + o, 13, 24, extreme);
                threshold[o] = (int16_t)(o % 8 == 7 ? (o == 7 ? 32767 : -32767) : integer(-3000, 3000));
            }
            size_t bytes = 2 * (size_t)(columns * kwsi_column_words(n_mels));
            prepare(bytes);
            portable->conv1(rows, columns, n_mels, weight, threshold, (uint16_t *)(void *)expected);
            other->conv1(rows, columns, n_mels, weight, threshold, (uint16_t *)(void *)found);
            compare("conv1", n_mels, expected, found, bytes + GUARD);
        }
    }
}

static void test_classifier(void) {
    static _Alignas(KWS_ALIGN) int16_t x[MAX_N];
    static _Alignas(KWS_ALIGN) int8_t weight[MAX_CLASSES * MAX_N];
    for (int round = 0; round < 60; round++) {
        int n = 512 * integer(1, MAX_N / 512), classes = round < 20 ? round + 1 : integer(1, MAX_CLASSES);
        int most = 63; /* four add up to 252 */
        for (int i = 0; i < n; i++) {
            x[i] = (int16_t)(round % 3 == 0 ? -32768 : (int16_t)bits_32());
        }
        for (int i = 0; i < classes * n; i++) {
            weight[i] = (int8_t)(round % 3 == 0 ? (i / n % 2 ? most : -most) : integer(-most, most));
        }
        prepare(4 * (size_t)classes);
        portable->classifier(x, n, weight, classes, (int32_t *)(void *)expected);
        other->classifier(x, n, weight, classes, (int32_t *)(void *)found);
        compare("classifier", n, expected, found, 4 * (size_t)classes + GUARD);
    }
}

int main(int argc, char **argv) {
    portable = kwsi_kernels_named("portable");
    other = argc == 2 ? kwsi_kernels_named(argv[1]) : NULL;
    if (!portable || !other) {
        return 77;
    }
    test_window();
    test_spectrum();
    test_mel();
    test_quantize();
    test_conv1();
    test_classifier();
    printf("%ld\n", comparisons);
    return 0;
}
