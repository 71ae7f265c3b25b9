/* SPDX-License-Identifier: Apache-2.0
 *
 * What the listener is told: the same names on the command line ("--gain 12") and in a settings file ("gain = 12").
 */
#ifndef KWS_RPI_OPTIONS_H
#define KWS_RPI_OPTIONS_H

#include "kws.h"

#include <stddef.h>

enum { OPTIONS_MAX_WORDS = 1024, OPTIONS_FILE = 16384 };

typedef struct options {
    const kws_model_t *model;
    const char *device; /* part of a microphone's name; NULL takes the first */
    int channel;        /* -1 mixes all */
    float gain;         /* a factor, from decibels */
    int depth;
    float threshold[OPTIONS_MAX_WORDS]; /* below 0 where the model's own holds; above 1 never fires */
    const char *exec;
    double exec_seconds;
    const char *gpio;
    double gpio_seconds;
    const char *udp;
    const char *watchdog;
    const char *user;
    const char *wav;
    char file[OPTIONS_FILE]; /* text of the settings file, which the strings above may point into */
} options_t;

void options_defaults(options_t *options, const kws_model_t *model);

/* One setting; `value` must outlive `options`. Returns 1, or 0 with the reason in `why`, and nothing changed. */
int options_set(options_t *options, const char *name, const char *value, char *why, size_t why_size);

/* Settings of a file, a line "name = value" each, "#" before a comment. What a line has wrong is said, and the line
 * left out: a device with a typing error in its settings still listens. Returns 0 where the file cannot be read. */
int options_read(options_t *options, const char *path);

#endif
