/* SPDX-License-Identifier: Apache-2.0
 *
 * spectrum_portable.c with one vector a row: four real parts in its lower half, four imaginary parts in the upper one.
 * The spectra Z stay rows, too, in the upper half of work.
 */
#include "avx2.h"

#ifdef KWSI_HAS_X86

enum { LANES = 4, ROW = 2 * LANES, RADIX = 8 };

/* Real for imaginary parts. */
KWSI_AVX2_INLINE __m256 swap(__m256 z) {
    return _mm256_permute2f128_ps(z, z, 1);
}

KWSI_AVX2_INLINE __m256 conjugate(__m256 z) {
    return _mm256_xor_ps(z, _mm256_setr_ps(0.0f, 0.0f, 0.0f, 0.0f, -0.0f, -0.0f, -0.0f, -0.0f));
}

KWSI_AVX2_INLINE __m256 negate(__m256 z) {
    return _mm256_xor_ps(z, _mm256_set1_ps(-0.0f));
}

/* -i z */
KWSI_AVX2_INLINE __m256 turn_back(__m256 z) {
    return conjugate(swap(z));
}

/* z times (cosine + i sine), each the same in both halves. */
KWSI_AVX2_INLINE __m256 times(__m256 z, __m256 cosine, __m256 sine) {
    __m256 crossed = negate(conjugate(_mm256_mul_ps(swap(z), sine))); /* -im sine | re sine */
    return _mm256_add_ps(_mm256_mul_ps(z, cosine), crossed);
}

KWSI_AVX2_INLINE void transform_4(__m256 z[4]) {
    __m256 even = _mm256_add_ps(z[0], z[2]), odd = _mm256_add_ps(z[1], z[3]);
    __m256 rest = _mm256_sub_ps(z[0], z[2]), turned = turn_back(_mm256_sub_ps(z[1], z[3]));
    z[0] = _mm256_add_ps(even, odd);
    z[1] = _mm256_add_ps(rest, turned);
    z[2] = _mm256_sub_ps(even, odd);
    z[3] = _mm256_sub_ps(rest, turned);
}

KWSI_AVX2_INLINE void transform_8(__m256 z[8]) {
    __m256 sum[4], turned[4], c = _mm256_set1_ps(0.707106781f);
    for (int i = 0; i < 4; i++) {
        sum[i] = _mm256_add_ps(z[i], z[i + 4]);
        turned[i] = _mm256_sub_ps(z[i], z[i + 4]);
    }
    /* a + b i: times exp(-2 pi i / 8), a + b | b - a; times its square, b | -a; its cube, b - a | -a - b */
    turned[1] = _mm256_mul_ps(c, _mm256_add_ps(turned[1], turn_back(turned[1])));
    turned[2] = turn_back(turned[2]);
    turned[3] = _mm256_mul_ps(c, _mm256_sub_ps(turn_back(turned[3]), turned[3]));
    transform_4(sum);
    transform_4(turned);
    for (int i = 0; i < 4; i++) {
        z[2 * i] = sum[i];
        z[2 * i + 1] = turned[i];
    }
}

/* One step of radix 8 in every block of `points` rows. Returns the twiddles of the next step. */
KWSI_AVX2_INLINE const float *pass(float *z, int rows, int points, const float *twiddle) {
    int stride = points / RADIX * ROW;
    for (int i = 0; i < points / RADIX; i++) {
        for (int block = 0; block < rows; block += points) {
            float *at = z + ROW * (block + i);
            __m256 row[RADIX];
            for (int k = 0; k < RADIX; k++) {
                row[k] = _mm256_loadu_ps(at + k * stride);
            }
            transform_8(row);
            for (int k = 0; k < RADIX; k++) {
                if (i > 0 && k > 0) {
                    row[k] = times(row[k], _mm256_broadcast_ss(twiddle + k), _mm256_broadcast_ss(twiddle + RADIX + k));
                }
                _mm256_storeu_ps(at + k * stride, row[k]);
            }
        }
        twiddle += i > 0 ? 2 * RADIX : 0;
    }
    return twiddle;
}

/* The last step: transforms of `points` neighbouring rows, 2, 4 or 8, sorted into `spectra`. */
KWSI_AVX2_INLINE void last_pass(const float *z, int rows, int points, float *spectra) {
    int blocks = rows / points;
    for (int block = 0; block < blocks; block++) {
        __m256 row[RADIX];
        for (int k = 0; k < points; k++) {
            row[k] = _mm256_loadu_ps(z + ROW * (block * points + k));
        }
        if (points == 8) {
            transform_8(row);
        } else if (points == 4) {
            transform_4(row);
        } else {
            __m256 other = row[1];
            row[1] = _mm256_sub_ps(row[0], other);
            row[0] = _mm256_add_ps(row[0], other);
        }
        /* The block's place, read as octal digits from the other end, is its first bin. */
        int first = 0;
        for (int digits = block, size = blocks; size > 1; size /= RADIX, digits /= RADIX) {
            first = RADIX * first + digits % RADIX;
        }
        for (int k = 0; k < points; k++) {
            _mm256_storeu_ps(spectra + ROW * (first + blocks * k), row[k]);
        }
    }
}

/* Four bins of four signals -> four signals of four bins, in both halves. */
KWSI_AVX2_INLINE void transpose(__m256 z[4]) {
    __m256 a = _mm256_unpacklo_ps(z[0], z[1]), b = _mm256_unpackhi_ps(z[0], z[1]);
    __m256 c = _mm256_unpacklo_ps(z[2], z[3]), d = _mm256_unpackhi_ps(z[2], z[3]);
    z[0] = _mm256_shuffle_ps(a, c, 0x44);
    z[1] = _mm256_shuffle_ps(a, c, 0xee);
    z[2] = _mm256_shuffle_ps(b, d, 0x44);
    z[3] = _mm256_shuffle_ps(b, d, 0xee);
}

KWSI_AVX2_INLINE __m128 power(__m256 z) {
    __m256 squares = _mm256_mul_ps(z, z);
    return _mm_add_ps(_mm256_castps256_ps128(squares), _mm256_extractf128_ps(squares, 1));
}

/* Steps 2 and 3 for bins k .. k + 3 of the eight spectra. */
KWSI_AVX2_INLINE void join(const float *spectra, int k, int rows, const float *twiddle, float *powers) {
    __m256 z[RADIX];
    for (int i = 0; i < LANES; i++) {
        __m256 up = _mm256_loadu_ps(spectra + ROW * (k + i));
        __m256 down = conjugate(_mm256_loadu_ps(spectra + ROW * (rows - k - i)));
        z[i] = _mm256_add_ps(up, down);
        z[LANES + i] = turn_back(_mm256_sub_ps(up, down));
    }
    transpose(z);
    transpose(z + LANES);
    for (int r = 1; r < RADIX; r++, twiddle += 2 * LANES) {
        z[r] = times(z[r], _mm256_broadcast_ps((const __m128 *)twiddle),
                     _mm256_broadcast_ps((const __m128 *)(twiddle + LANES)));
    }
    transform_8(z);
    /* From the top down: bin n / 2 is its own mirror image, and the upper halves' are to be overwritten. */
    for (int q = RADIX - 1; q >= RADIX / 2; q--) {
        _mm_storeu_ps(powers + rows * (RADIX - q) - k - LANES + 1, _mm_permute_ps(power(z[q]), 0x1b));
    }
    for (int q = RADIX / 2 - 1; q >= 0; q--) {
        _mm_storeu_ps(powers + rows * q + k, power(z[q]));
    }
}

/* Steps 2 and 3 for bin 0, whose numbers are real. */
KWSI_AVX2_INLINE void join_first(const float *spectra, int rows, float *powers) {
    __m256 z[RADIX];
    for (int r = 0; r < RADIX; r++) {
        z[r] = _mm256_setr_ps(spectra[r] + spectra[r], 0.0f, 0.0f, 0.0f, 0.0f, 0.0f, 0.0f, 0.0f);
    }
    transform_8(z);
    for (int q = 0; q <= RADIX / 2; q++) {
        powers[rows * q] = _mm_cvtss_f32(power(z[q]));
    }
}

KWSI_AVX2 void kwsi_spectrum_avx2(float *work, int n_fft, const float *twiddle) {
    int rows = n_fft / RADIX, points = rows;
    float *spectra = work + n_fft;
    for (; points > RADIX; points /= RADIX) {
        twiddle = pass(work, rows, points, twiddle);
    }
    if (points == 8) {
        last_pass(work, rows, 8, spectra);
    } else if (points == 4) {
        last_pass(work, rows, 4, spectra);
    } else {
        last_pass(work, rows, 2, spectra);
    }
    join_first(spectra, rows, work);
    for (int k = 1; k <= rows / 2; k += LANES) {
        join(spectra, k, rows, twiddle, work);
        twiddle += 2 * LANES * (RADIX - 1);
    }
}

#endif
