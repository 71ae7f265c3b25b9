/* SPDX-License-Identifier: Apache-2.0
 *
 * Power spectrum of a real frame, in an order made for vectors of four floats.
 *
 * A row is eight floats, x[8 m] .. x[8 m + 7]: the real parts of four complex numbers, then their imaginary parts. The
 * frame is thus n = n_fft / 8 rows, the points of four complex signals side by side. Three steps:
 *
 * 1. FFTs of all four at once, in place, by decimation in frequency: passes of radix 8 while more than eight points are
 *    left to a transform, then a last pass of radix 2, 4 or 8, which puts the spectra Z into the upper half of work,
 *    sorted so that the next step finds what it needs at once side by side.
 * 2. Each Z is that of two real signals, x[8 m + lane] and x[8 m + lane + 4]: bins k and n - k tell them apart.
 * 3. A turn by exp(-2 pi i k r / n_fft), and transforms of eight points over r = 0..7, join bin k of those eight
 *    spectra to bins k, k + n, k + 2 n, ... of the frame's; n_fft - k has the power of k.
 *
 * The factor 1/2 of step 2 is left out: the powers come out times four.
 */
#include "kernels.h"

enum { LANES = 4, ROW = 2 * LANES, RADIX = 8 };

typedef float lanes_t[LANES];

/* In every lane, the transform of z[0] .. z[3], in place and in order. */
static void transform_4(lanes_t *restrict re, lanes_t *restrict im) {
    for (int lane = 0; lane < LANES; lane++) {
        float even_re = re[0][lane] + re[2][lane], odd_re = re[1][lane] + re[3][lane];
        float even_im = im[0][lane] + im[2][lane], odd_im = im[1][lane] + im[3][lane];
        float rest_re = re[0][lane] - re[2][lane], turned_im = re[1][lane] - re[3][lane];
        float rest_im = im[0][lane] - im[2][lane], turned_re = im[1][lane] - im[3][lane];
        re[0][lane] = even_re + odd_re;
        im[0][lane] = even_im + odd_im;
        re[1][lane] = rest_re + turned_re;
        im[1][lane] = rest_im - turned_im;
        re[2][lane] = even_re - odd_re;
        im[2][lane] = even_im - odd_im;
        re[3][lane] = rest_re - turned_re;
        im[3][lane] = rest_im + turned_im;
    }
}

/* The same of z[0] .. z[7]. */
static void transform_8(lanes_t *restrict re, lanes_t *restrict im) {
    const float r = 0.707106781f;
    lanes_t sum_re[4], sum_im[4], turned_re[4], turned_im[4];
    for (int lane = 0; lane < LANES; lane++) {
        float difference_re[4], difference_im[4];
        for (int i = 0; i < 4; i++) {
            sum_re[i][lane] = re[i][lane] + re[i + 4][lane];
            sum_im[i][lane] = im[i][lane] + im[i + 4][lane];
            difference_re[i] = re[i][lane] - re[i + 4][lane];
            difference_im[i] = im[i][lane] - im[i + 4][lane];
        }
        /* times exp(-2 pi i / 8) to the power of 0, 1, 2, 3 */
        turned_re[0][lane] = difference_re[0];
        turned_im[0][lane] = difference_im[0];
        turned_re[1][lane] = r * (difference_re[1] + difference_im[1]);
        turned_im[1][lane] = r * (difference_im[1] - difference_re[1]);
        turned_re[2][lane] = difference_im[2];
        turned_im[2][lane] = -difference_re[2];
        turned_re[3][lane] = r * (difference_im[3] - difference_re[3]);
        turned_im[3][lane] = -(r * (difference_re[3] + difference_im[3]));
    }
    transform_4(sum_re, sum_im);
    transform_4(turned_re, turned_im);
    for (int i = 0; i < 4; i++) {
        memcpy(re[2 * i], sum_re[i], sizeof(lanes_t));
        memcpy(im[2 * i], sum_im[i], sizeof(lanes_t));
        memcpy(re[2 * i + 1], turned_re[i], sizeof(lanes_t));
        memcpy(im[2 * i + 1], turned_im[i], sizeof(lanes_t));
    }
}

/* Lane by lane, (re + i im) * (cosine + i sine). */
static void turn(float *restrict re, float *restrict im, const float *cosine, const float *sine) {
    for (int lane = 0; lane < LANES; lane++) {
        float a = re[lane], b = im[lane];
        re[lane] = a * cosine[lane] - b * sine[lane];
        im[lane] = b * cosine[lane] + a * sine[lane];
    }
}

/* The same with one cosine and one sine for all of them. */
static void turn_all(float *re, float *im, float cosine, float sine) {
    const lanes_t cosines = {cosine, cosine, cosine, cosine}, sines = {sine, sine, sine, sine};
    turn(re, im, cosines, sines);
}

static void load(const float *z, int stride, int count, lanes_t *re, lanes_t *im) {
    for (int i = 0; i < count; i++) {
        memcpy(re[i], z + ROW * i * stride, sizeof(lanes_t));
        memcpy(im[i], z + ROW * i * stride + LANES, sizeof(lanes_t));
    }
}

/* One step of radix 8 in every block of `points` rows. Returns the twiddles of the next step. */
static const float *pass(float *z, int rows, int points, const float *twiddle) {
    int stride = points / RADIX;
    lanes_t re[RADIX], im[RADIX];
    for (int i = 0; i < stride; i++) {
        for (int block = 0; block < rows; block += points) {
            float *at = z + ROW * (block + i);
            load(at, stride, RADIX, re, im);
            transform_8(re, im);
            for (int k = 1; k < RADIX && i > 0; k++) {
                turn_all(re[k], im[k], twiddle[k], twiddle[RADIX + k]);
            }
            for (int k = 0; k < RADIX; k++) {
                memcpy(at + ROW * k * stride, re[k], sizeof(lanes_t));
                memcpy(at + ROW * k * stride + LANES, im[k], sizeof(lanes_t));
            }
        }
        twiddle += i > 0 ? 2 * RADIX : 0;
    }
    return twiddle;
}

/* The four spectra. Z[0] is the first row of work, in place. What join() reads lies in four planes of n / 2 rows of
 * four: real and imaginary parts of Z[1] .. Z[n / 2], and of Z[n - 1] .. Z[n / 2]. */
typedef struct planes {
    lanes_t *up_re, *up_im, *down_re, *down_im;
} planes_t;

static void put(const planes_t *to, int k, int rows, const float *re, const float *im) {
    if (k > 0 && k <= rows / 2) {
        memcpy(to->up_re[k - 1], re, sizeof(lanes_t));
        memcpy(to->up_im[k - 1], im, sizeof(lanes_t));
    }
    if (k >= rows / 2) {
        memcpy(to->down_re[rows - k - 1], re, sizeof(lanes_t));
        memcpy(to->down_im[rows - k - 1], im, sizeof(lanes_t));
    }
}

/* The last step: transforms of `points` neighbouring rows, 2, 4 or 8. */
static void last_pass(float *z, int rows, int points, const planes_t *to) {
    lanes_t re[RADIX], im[RADIX];
    for (int block = 0; block < rows / points; block++) {
        float *at = z + ROW * block * points;
        load(at, 1, points, re, im);
        if (points == 8) {
            transform_8(re, im);
        } else if (points == 4) {
            transform_4(re, im);
        } else {
            for (int lane = 0; lane < LANES; lane++) {
                float other_re = re[1][lane], other_im = im[1][lane];
                re[1][lane] = re[0][lane] - other_re;
                im[1][lane] = im[0][lane] - other_im;
                re[0][lane] = re[0][lane] + other_re;
                im[0][lane] = im[0][lane] + other_im;
            }
        }
        /* The block's place, read as octal digits from the other end, is its first bin. */
        int first = 0;
        for (int digits = block, size = rows / points; size > 1; size /= RADIX, digits /= RADIX) {
            first = RADIX * first + digits % RADIX;
        }
        for (int k = 0; k < points; k++) {
            put(to, first + rows / points * k, rows, re[k], im[k]);
        }
        if (block == 0) {
            memcpy(z, re[0], sizeof(lanes_t));
            memcpy(z + LANES, im[0], sizeof(lanes_t));
        }
    }
}

/* Steps 2 and 3 for bins k .. k + 3 of the eight spectra, a bin in each lane. */
static void join(const planes_t *z, int k, int rows, const float *twiddle, float *powers) {
    lanes_t re[RADIX], im[RADIX];
    for (int lane = 0; lane < LANES; lane++) {
        int row = k - 1 + lane;
        for (int r = 0; r < LANES; r++) {
            float up_re = z->up_re[row][r], up_im = z->up_im[row][r];
            float down_re = z->down_re[row][r], down_im = z->down_im[row][r];
            re[r][lane] = up_re + down_re;
            im[r][lane] = up_im - down_im;
            re[r + LANES][lane] = up_im + down_im;
            im[r + LANES][lane] = down_re - up_re;
        }
    }
    for (int r = 1; r < RADIX; r++, twiddle += 2 * LANES) {
        turn(re[r], im[r], twiddle, twiddle + LANES);
    }
    transform_8(re, im);
    /* From the top down: bin n / 2 is its own mirror image, and the upper halves' are to be overwritten. */
    for (int q = RADIX - 1; q >= 0; q--) {
        for (int lane = 0; lane < LANES; lane++) {
            int bin = q < RADIX / 2 ? rows * q + k + lane : rows * (RADIX - q) - k - lane;
            powers[bin] = re[q][lane] * re[q][lane] + im[q][lane] * im[q][lane];
        }
    }
}

/* Steps 2 and 3 for bin 0, whose numbers are real. */
static void join_first(float *work, int rows) {
    lanes_t re[RADIX] = {{0.0f}}, im[RADIX] = {{0.0f}};
    for (int r = 0; r < RADIX; r++) {
        re[r][0] = work[r] + work[r];
    }
    transform_8(re, im);
    for (int q = 0; q <= RADIX / 2; q++) {
        work[rows * q] = re[q][0] * re[q][0] + im[q][0] * im[q][0];
    }
}

void kwsi_spectrum_portable(float *work, int n_fft, const float *twiddle) {
    int rows = n_fft / RADIX, points = rows, plane = rows / 2;
    lanes_t *upper = (lanes_t *)(work + n_fft);
    planes_t planes = {upper, upper + plane, upper + 2 * plane, upper + 3 * plane};
    for (; points > RADIX; points /= RADIX) {
        twiddle = pass(work, rows, points, twiddle);
    }
    last_pass(work, rows, points, &planes);
    join_first(work, rows);
    for (int k = 1; k <= rows / 2; k += LANES) {
        join(&planes, k, rows, twiddle, work);
        twiddle += 2 * LANES * (RADIX - 1);
    }
}
