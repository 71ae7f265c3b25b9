/* SPDX-License-Identifier: Apache-2.0
 *
 * Power spectrum of a real frame, in place. Even samples become real parts and odd samples imaginary parts of a complex
 * signal of half the length; its FFT is split into the spectra of both, and those join into the frame's spectrum.
 */
#include "kernels.h"

/* z: n complex numbers, in order -> bit-reversed order. */
static void reverse_bits(float *z, int n) {
    for (int i = 0, j = 0; i < n; i++) {
        if (i < j) {
            float re = z[2 * i], im = z[2 * i + 1];
            z[2 * i] = z[2 * j];
            z[2 * i + 1] = z[2 * j + 1];
            z[2 * j] = re;
            z[2 * j + 1] = im;
        }
        /* j counts up in reversed bits: the carry runs from the top down */
        int bit = n >> 1;
        while (bit > 0 && (j & bit)) {
            j ^= bit;
            bit >>= 1;
        }
        j |= bit;
    }
}

/* In-place radix-2 FFT of n complex numbers. The twiddle table is that of a transform of 2 n points. */
static void transform(float *z, int n, const float *twiddle) {
    reverse_bits(z, n);
    for (int half = 1; half < n; half *= 2) {
        int step = n / half; /* exp(-2 pi i k / (2 half)) is entry k * step of the table */
        for (int start = 0; start < n; start += 2 * half) {
            float *low = z + 2 * start, *high = low + 2 * half;
            for (int k = 0; k < half; k++) {
                float wr = twiddle[2 * k * step], wi = twiddle[2 * k * step + 1];
                float re = high[2 * k] * wr - high[2 * k + 1] * wi;
                float im = high[2 * k] * wi + high[2 * k + 1] * wr;
                high[2 * k] = low[2 * k] - re;
                high[2 * k + 1] = low[2 * k + 1] - im;
                low[2 * k] = low[2 * k] + re;
                low[2 * k + 1] = low[2 * k + 1] + im;
            }
        }
    }
}

void kwsi_spectrum_portable(float *work, int n_fft, const float *twiddle) {
    int n = n_fft / 2;
    transform(work, n, twiddle);

    /* Bins k and n - k come from the same two numbers. Their powers take the real slots, the last bin slot 1. */
    float first = work[0] + work[1], last = work[0] - work[1];
    work[0] = first * first;
    for (int k = 1; k <= n / 2; k++) {
        float *a = work + 2 * k, *b = work + 2 * (n - k);
        float even_re = 0.5f * (a[0] + b[0]), even_im = 0.5f * (a[1] - b[1]);
        float odd_re = 0.5f * (a[0] - b[0]), odd_im = 0.5f * (a[1] + b[1]);
        float wr = twiddle[2 * k], wi = twiddle[2 * k + 1];
        float turned_re = odd_re * wr - odd_im * wi;
        float turned_im = odd_re * wi + odd_im * wr;
        float low_re = even_re + turned_im, low_im = even_im - turned_re;
        float high_re = even_re - turned_im, high_im = even_im + turned_re;
        b[0] = high_re * high_re + high_im * high_im;
        a[0] = low_re * low_re + low_im * low_im;
    }
    for (int k = 1; k < n; k++) {
        work[k] = work[2 * k];
    }
    work[n] = last * last;
}
