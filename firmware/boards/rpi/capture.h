/* SPDX-License-Identifier: Apache-2.0
 *
 * Sound from a microphone through the kernel's own PCM interface, <sound/asound.h>: no library between.
 *
 * A capture outlives its device: where that is lost, capture_read says so and capture_open finds it, or another, again.
 */
#ifndef KWS_RPI_CAPTURE_H
#define KWS_RPI_CAPTURE_H

#include "samples.h"

#include <stddef.h>

enum { CAPTURE_BLOCK = 1024 }; /* most frames of one read */

typedef enum capture_status {
    CAPTURE_NOTHING = 0,     /* nothing came within the time given */
    CAPTURE_LOST = -1,       /* the device is gone; capture_open again */
    CAPTURE_INTERRUPTED = -2 /* a signal came */
} capture_status_t;

typedef struct capture {
    int fd;         /* -1 while closed */
    char name[160]; /* "hw:1,0 USB PnP Sound Device" */
    sample_form_t form;
    int channels;
    unsigned rate; /* Hz */
    unsigned long overruns;
    unsigned char raw[CAPTURE_BLOCK * SAMPLE_MAX_CHANNELS * SAMPLE_MAX_BYTES];
} capture_t;

/* Opens the first device that captures and whose name holds `wanted` in any case ("hw:CARD,DEVICE" names one exactly;
 * NULL or "" takes any), in a form that this program reads and a rate that `rate_fits` accepts, and starts it. Returns
 * 1, or 0 with the reason in `why`, one sentence. */
int capture_open(capture_t *capture, const char *wanted, int (*rate_fits)(unsigned rate), char *why, size_t why_size);

/* Up to CAPTURE_BLOCK frames into `out` as samples_to_mono gives them, waiting `timeout_ms` at most. Returns their
 * count or a capture_status_t. An overrun is counted, capture goes on, and what comes next follows after a gap. */
int capture_read(capture_t *capture, int channel, float gain, int timeout_ms, float *out);

void capture_close(capture_t *capture);

/* Prints every device that captures, one a line. Returns their count. */
int capture_list(void);

#endif
