/* SPDX-License-Identifier: Apache-2.0
 *
 * Any usual sampling rate to the model's: a polyphase FIR filter, windowed-sinc, linear-phase, in float.
 *
 * From in Hz to out Hz, up / down = out / in in lowest terms. Output k lies at input time k * down / up, which whole
 * numbers track: it cannot drift. Its value is one dot product of `taps` inputs with the filter's phase
 * (k * down) % up. Pass-band to 0.9 of the lower Nyquist frequency, stop-band from that frequency on.
 */
#ifndef KWS_RPI_RESAMPLE_H
#define KWS_RPI_RESAMPLE_H

#include <stddef.h>
#include <stdint.h>

enum {
    RESAMPLE_BLOCK = 1024,              /* most inputs of one call */
    RESAMPLE_MAX_OUT = 2050,            /* most outputs of one call */
    RESAMPLE_MAX_TAPS = 1536,           /* 192 kHz to 16 kHz needs 1208 */
    RESAMPLE_MAX_COEFFICIENTS = 160000, /* 11.025 kHz to 16 kHz, with 640 phases, needs 148,480 */
    RESAMPLE_LANES = 8
};

typedef struct resampler {
    int up, down, taps; /* taps: a multiple of RESAMPLE_LANES; 0 where the rates are equal */
    int phase;          /* of the next output, 0..up-1 */
    size_t at;          /* index in `history` of the next output's first input */
    size_t held;        /* inputs in `history` */
    float history[RESAMPLE_MAX_TAPS + 2 * RESAMPLE_BLOCK];
    float filter[RESAMPLE_MAX_COEFFICIENTS]; /* [up][taps], oldest input first */
} resampler_t;

/* Is there room for the filter of these rates? Every rate that sound devices use is fine, from 8 to 192 kHz. */
int resampler_fits(unsigned in, unsigned out);

/* Prepares for a stream that starts now. Returns 0 where the rates do not fit. */
int resampler_init(resampler_t *r, unsigned in, unsigned out);

/* Takes n <= RESAMPLE_BLOCK samples, full scale 1.0; gives 16-bit ones, saturated. Returns their count. Output is
 * aligned with input in time; the last half filter comes out when as many zeros have followed. */
size_t resample(resampler_t *r, const float *in, size_t n, int16_t out[RESAMPLE_MAX_OUT]);

#endif
