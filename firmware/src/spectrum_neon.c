/* SPDX-License-Identifier: Apache-2.0
 *
 * spectrum_portable.c with a vector in place of each loop over lanes. The loops are in spectrum_neon.S; here is what
 * comes between them, and plainer code for the sizes whose last pass has radix 2 or 8.
 */
#include "kernels_neon_front.h"

#if defined(__aarch64__)
enum { LANES = 4, ROW = 2 * LANES, RADIX = 8 };

/* One pass of radix 8: `blocks` blocks of eight times `stride` bytes. With the stride of a row it has no twiddles. */
void kwsi_spectrum_neon_pass(float *z, size_t stride, size_t blocks, const float *twiddle);

/* A last pass of radix 4 and 32 or 256 rows. */
void kwsi_spectrum_neon_last_4(float *z, size_t rows, float *planes);

/* Powers of every bin but 0 and those n_fft / 8 apart from it. */
void kwsi_spectrum_neon_join(const float *planes, size_t rows, const float *twiddle, float *powers);

/* Bin 0 of the eight spectra is real: what transform_8 makes of that. */
static void join_first(float *work, int rows) {
    const float c = 0.707106781f;
    float sum[4], difference[4];
    for (int r = 0; r < 4; r++) {
        float a = work[r] + work[r], b = work[r + 4] + work[r + 4];
        sum[r] = a + b;
        difference[r] = a - b;
    }
    float even = sum[0] + sum[2], odd = sum[1] + sum[3], re = sum[0] - sum[2], im = sum[1] - sum[3];
    float a = c * difference[1], b = c * difference[3], plus = a + b, minus = a - b;
    float re1 = difference[0] + minus, im1 = difference[2] + plus;
    float re3 = difference[0] - minus, im3 = difference[2] - plus;
    work[0] = (even + odd) * (even + odd);
    work[rows] = re1 * re1 + im1 * im1;
    work[2 * rows] = re * re + im * im;
    work[3 * rows] = re3 * re3 + im3 * im3;
    work[4 * rows] = (even - odd) * (even - odd);
}

/* A last pass of radix 2, in place. */
static void last_pass_2(float *z, int rows) {
    for (; rows > 0; rows -= 2, z += 2 * ROW) {
        for (int i = 0; i < ROW; i++) {
            float a = z[i], b = z[ROW + i];
            z[i] = a + b;
            z[ROW + i] = a - b;
        }
    }
}

/* Rows after a last pass in place -> planes. */
static void sort(const float *z, int rows, int points, float *planes) {
    int blocks = rows / points, plane = LANES * rows / 2;
    for (int block = 0; block < blocks; block++) {
        int first = 0;
        for (int digits = block, size = blocks; size > 1; size /= RADIX, digits /= RADIX) {
            first = RADIX * first + digits % RADIX;
        }
        for (int i = 0; i < points; i++, z += ROW) {
            int k = first + blocks * i;
            if (k > 0 && k <= rows / 2) {
                memcpy(planes + LANES * (k - 1), z, LANES * sizeof *z);
                memcpy(planes + LANES * (k - 1) + plane, z + LANES, LANES * sizeof *z);
            }
            if (k >= rows / 2) {
                memcpy(planes + LANES * (rows - k - 1) + 2 * plane, z, LANES * sizeof *z);
                memcpy(planes + LANES * (rows - k - 1) + 3 * plane, z + LANES, LANES * sizeof *z);
            }
        }
    }
}

void kwsi_spectrum_neon(float *work, int n_fft, const float *twiddle) {
    int rows = n_fft / RADIX, points = rows;
    float *planes = work + n_fft;
    for (; points > RADIX; points /= RADIX) {
        int stride = points / RADIX;
        kwsi_spectrum_neon_pass(work, (size_t)stride * ROW * sizeof *work, (size_t)(rows / points), twiddle);
        twiddle += 2 * RADIX * (stride - 1);
    }
    if (points == 4) {
        kwsi_spectrum_neon_last_4(work, (size_t)rows, planes);
    } else {
        if (points == 2) {
            last_pass_2(work, rows);
        } else {
            kwsi_spectrum_neon_pass(work, ROW * sizeof *work, (size_t)(rows / RADIX), twiddle);
        }
        sort(work, rows, points, planes);
    }
    join_first(work, rows);
    kwsi_spectrum_neon_join(planes, (size_t)rows, twiddle, work);
}
#endif
