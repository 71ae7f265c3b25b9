/* SPDX-License-Identifier: Apache-2.0 */
#include "resample.h"

#include <math.h>
#include <string.h>

#define PASS 0.9         /* of the lower Nyquist frequency */
#define KAISER_BETA 8.0  /* stop-band near -81 dB: Kaiser (1974), beta = 0.1102 (A - 8.7) */
#define KAISER_WIDTH 5.1 /* transition, in units of the rate over the length: (A - 7.95) / 14.36 */
#define PI 3.14159265358979323846

static int gcd(int a, int b) {
    while (b) {
        int rest = a % b;
        a = b;
        b = rest;
    }
    return a;
}

/* The lower of the two Nyquist frequencies, in cycles an input sample. */
static double nyquist(unsigned in, unsigned out) {
    return 0.5 * (in < out ? in : out) / in;
}

/* Modified Bessel function of order 0, by its series. */
static double bessel_i0(double x) {
    double sum = 1, term = 1;
    for (int k = 1; term > 1e-12 * sum; k++) {
        term *= (x / 2 / k) * (x / 2 / k);
        sum += term;
    }
    return sum;
}

/* The ideal low-pass, cut off at `cutoff` cycles a sample, under a Kaiser window `half` samples to each side. */
static double tap(double time, double cutoff, double half) {
    double inside = 1 - time * time / (half * half);
    double x = 2 * PI * cutoff * time;
    if (inside <= 0) {
        return 0;
    }
    return 2 * cutoff * (fabs(x) < 1e-9 ? 1 : sin(x) / x) * bessel_i0(KAISER_BETA * sqrt(inside));
}

/* Lowest terms of out / in, and the filter's length; 0 where there is no room for it. */
static int plan(unsigned in, unsigned out, int *up, int *down, double *half) {
    if (in < 1000 || in > 1000000 || out < 1000 || out > 1000000) {
        return 0;
    }
    int divisor = gcd((int)in, (int)out);
    *up = (int)out / divisor;
    *down = (int)in / divisor;
    *half = KAISER_WIDTH / (nyquist(in, out) * (1 - PASS)) / 2;
    int taps = (2 * (int)*half + 1 + RESAMPLE_LANES) / RESAMPLE_LANES * RESAMPLE_LANES;
    int fits = taps <= RESAMPLE_MAX_TAPS && *up <= RESAMPLE_MAX_COEFFICIENTS / taps &&
               RESAMPLE_BLOCK * (double)out / in + 1 <= RESAMPLE_MAX_OUT;
    return fits || in == out ? taps : 0;
}

int resampler_fits(unsigned in, unsigned out) {
    int up, down;
    double half;
    return plan(in, out, &up, &down, &half) != 0;
}

int resampler_init(resampler_t *r, unsigned in, unsigned out) {
    double half, row[RESAMPLE_MAX_TAPS];
    int taps = plan(in, out, &r->up, &r->down, &half);
    if (taps == 0) {
        return 0;
    }
    r->phase = 0;
    r->at = r->held = 0;
    r->taps = 0;
    if (in == out) {
        return 1;
    }
    double cutoff = nyquist(in, out) * (1 + PASS) / 2;
    int before = (int)half; /* inputs up to the output's own time */
    for (int phase = 0; phase < r->up; phase++) {
        double sum = 0, offset = (double)phase / r->up;
        for (int i = 0; i < taps; i++) {
            row[i] = tap(i - before - offset, cutoff, half);
            sum += row[i];
        }
        for (int i = 0; i < taps; i++) { /* every phase passes a constant unchanged: no ripple between phases */
            r->filter[phase * taps + i] = (float)(row[i] / sum);
        }
    }
    r->taps = taps;
    r->held = (size_t)before; /* silence before the first input, so that output 0 is input time 0 */
    memset(r->history, 0, sizeof r->history);
    return 1;
}

static int16_t to_int16(float value) {
    float scaled = floorf(value * 32768.0f + 0.5f);
    return scaled >= 32767.0f ? INT16_MAX : scaled >= -32768.0f ? (int16_t)scaled : INT16_MIN;
}

/* Separate sums that a compiler can keep in vectors, added in one order: the same bits on every target. */
static float dot(const float *x, const float *h, int n) {
    float lane[RESAMPLE_LANES] = {0};
    for (int i = 0; i < n; i += RESAMPLE_LANES) {
        for (int k = 0; k < RESAMPLE_LANES; k++) {
            lane[k] += x[i + k] * h[i + k];
        }
    }
    return ((lane[0] + lane[1]) + (lane[2] + lane[3])) + ((lane[4] + lane[5]) + (lane[6] + lane[7]));
}

size_t resample(resampler_t *r, const float *in, size_t n, int16_t out[RESAMPLE_MAX_OUT]) {
    size_t made = 0;
    if (r->taps == 0) {
        for (; made < n; made++) {
            out[made] = to_int16(in[made]);
        }
        return made;
    }
    memcpy(r->history + r->held, in, n * sizeof *in);
    r->held += n;
    while (r->at + (size_t)r->taps <= r->held) {
        out[made++] = to_int16(dot(r->history + r->at, r->filter + r->phase * r->taps, r->taps));
        r->phase += r->down;
        r->at += (size_t)(r->phase / r->up);
        r->phase %= r->up;
    }
    size_t used = r->at < r->held ? r->at : r->held;
    memmove(r->history, r->history + used, (r->held - used) * sizeof *r->history);
    r->held -= used;
    r->at -= used; /* above 0 where more inputs are skipped than there are */
    return made;
}
