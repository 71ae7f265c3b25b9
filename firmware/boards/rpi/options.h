/* SPDX-License-Identifier: Apache-2.0
 *
 * What the listener is told: the same names on the command line ("--gain 12") and in a settings file ("gain = 12").
 */
#ifndef KWS_RPI_OPTIONS_H
#define KWS_RPI_OPTIONS_H

#include "../common/decision.h"

#include <stddef.h>

enum { OPTIONS_FILE = 16384, OPTIONS_PATH = 512 };

typedef struct options {
    decision_t decision;
    const char *device; /* part of a microphone's name; NULL takes the first */
    int channel;        /* -1 mixes all */
    unsigned rate;      /* Hz that the microphone must give; 0 for any */
    float gain;         /* a factor, from decibels */
    const char *exec;
    double exec_seconds;
    const char *gpio;
    double gpio_seconds;
    const char *udp, *tcp;
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

/* The model that such a file names, which must be known before its other settings can be: into `model`, a path that does
 * not begin with "/" counted from the file's own folder. Returns 0 where it names none, -1
 * where it cannot be read. */
int options_find_model(options_t *options, const char *path, char model[OPTIONS_PATH]);

#endif
