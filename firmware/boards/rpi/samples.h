/* SPDX-License-Identifier: Apache-2.0
 *
 * Interleaved samples in the forms that sound devices and WAV files have, as one channel of floats, full scale 1.0.
 */
#ifndef KWS_RPI_SAMPLES_H
#define KWS_RPI_SAMPLES_H

#include <stddef.h>

typedef enum sample_form { SAMPLE_U8, SAMPLE_S16, SAMPLE_S24_3, SAMPLE_S24_4, SAMPLE_S32, SAMPLE_F32 } sample_form_t;

enum { SAMPLE_MAX_CHANNELS = 32, SAMPLE_MAX_BYTES = 4 };

/* Bytes of one sample of one channel. */
size_t sample_bytes(sample_form_t form);

/* `frames` frames of little-endian samples to `out`: the channel `channel` (0 is the first), or the mean of all where
 * it is negative; times `gain`. Floats that are no numbers count as 0. */
void samples_to_mono(const unsigned char *in, sample_form_t form, int channels, int channel, float gain, size_t frames,
                     float *out);

#endif
