/* SPDX-License-Identifier: Apache-2.0 */
#include "options.h"

#include "log.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { NEVER = 2 }; /* a threshold that no score reaches */

void options_defaults(options_t *options, const kws_model_t *model) {
    memset(options, 0, sizeof *options);
    options->model = model;
    options->channel = -1;
    options->gain = 1.0f;
    options->depth = model->depths[0].delta;
    options->exec_seconds = 10;
    options->gpio_seconds = 1;
    for (int i = 0; i < OPTIONS_MAX_WORDS; i++) {
        options->threshold[i] = -1;
    }
}

static int number(const char *text, double least, double most, double *value) {
    char *end;
    double parsed = strtod(text, &end);
    if (end == text || *end || !(parsed >= least && parsed <= most)) {
        return 0;
    }
    *value = parsed;
    return 1;
}

/* Index of the word that is the first `length` bytes of `text`, or -1. */
static int find_word(const kws_model_t *model, const char *text, size_t length) {
    for (int i = 0; i < model->n_words && i < OPTIONS_MAX_WORDS; i++) {
        if (strlen(model->class_names[i]) == length && memcmp(model->class_names[i], text, length) == 0) {
            return i;
        }
    }
    return -1;
}

/* "0.7" for every word that may fire, or "yes=0.7" for one. */
static int set_threshold(options_t *options, const char *value, char *why, size_t why_size) {
    const char *equals = strrchr(value, '=');
    double score;
    int word = equals ? find_word(options->model, value, (size_t)(equals - value)) : -1;
    if (equals && word < 0) {
        snprintf(why, why_size, "threshold %.60s: the model has no such word", value);
        return 0;
    }
    if (!number(equals ? equals + 1 : value, 0, 1, &score)) {
        snprintf(why, why_size, "threshold %.60s: give a score from 0 to 1, or WORD=SCORE", value);
        return 0;
    }
    for (int i = 0; i < OPTIONS_MAX_WORDS; i++) {
        if (i == word || (word < 0 && options->threshold[i] < NEVER)) {
            options->threshold[i] = (float)score;
        }
    }
    return 1;
}

/* "yes,no": the others never fire. */
static int set_words(options_t *options, const char *value, char *why, size_t why_size) {
    char wanted[OPTIONS_MAX_WORDS] = {0};
    for (const char *at = value; at;) {
        while (*at == ' ') {
            at++;
        }
        const char *comma = strchr(at, ',');
        size_t length = comma ? (size_t)(comma - at) : strlen(at);
        while (length > 0 && at[length - 1] == ' ') {
            length--;
        }
        int word = find_word(options->model, at, length);
        if (word < 0) {
            snprintf(why, why_size, "words: the model does not know '%.*s'", (int)(length < 60 ? length : 60), at);
            return 0;
        }
        wanted[word] = 1;
        at = comma ? comma + 1 : NULL;
    }
    for (int i = 0; i < OPTIONS_MAX_WORDS; i++) {
        if (!wanted[i]) {
            options->threshold[i] = NEVER;
        } else if (options->threshold[i] >= NEVER) {
            options->threshold[i] = -1;
        }
    }
    return 1;
}

static int set_depth(options_t *options, const char *value, char *why, size_t why_size) {
    double depth = 0;
    int known = 0;
    number(value, 1, 64, &depth);
    for (int i = 0; i < options->model->n_depths; i++) {
        known |= options->model->depths[i].delta == depth;
    }
    if (!known) {
        snprintf(why, why_size, "depth %.20s: the model has no such depth", value);
        return 0;
    }
    options->depth = (int)depth;
    return 1;
}

static int set_gain(options_t *options, const char *value, char *why, size_t why_size) {
    double decibels;
    if (!number(value, -60, 60, &decibels)) {
        snprintf(why, why_size, "gain %.20s: give -60 to 60 decibels", value);
        return 0;
    }
    options->gain = (float)pow(10, decibels / 20);
    return 1;
}

static int set_channel(options_t *options, const char *value, char *why, size_t why_size) {
    double channel = 0;
    int mix = strcmp(value, "mix") == 0;
    if (!mix && (!number(value, 1, 32, &channel) || channel != floor(channel))) {
        snprintf(why, why_size, "channel %.20s: give 1 to 32, or mix", value);
        return 0;
    }
    options->channel = (int)channel - 1;
    return 1;
}

static int set_seconds(double *seconds, const char *name, const char *value, char *why, size_t why_size) {
    if (!number(value, 0.01, 3600, seconds)) {
        snprintf(why, why_size, "%s %.20s: give 0.01 to 3600 seconds", name, value);
        return 0;
    }
    return 1;
}

static int set_exec(options_t *options, const char *value, char *why, size_t why_size) {
    if (value && (value[0] != '/' || access(value, X_OK) != 0)) {
        snprintf(why, why_size, "exec %.100s: give the whole path of a program that may be run, without arguments",
                 value);
        return 0;
    }
    options->exec = value;
    return 1;
}

int options_set(options_t *options, const char *name, const char *value, char *why, size_t why_size) {
    const struct {
        const char *name;
        const char **value;
    } texts[] = {
        {"device", &options->device},     {"gpio", &options->gpio}, {"udp", &options->udp},
        {"watchdog", &options->watchdog}, {"user", &options->user}, {"wav", &options->wav},
    };
    const char *text = *value ? value : NULL; /* empty is as good as left out */
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        if (strcmp(name, texts[i].name) == 0) {
            *texts[i].value = text;
            return 1;
        }
    }
    if (strcmp(name, "exec") == 0) {
        return set_exec(options, text, why, why_size);
    }
    if (strcmp(name, "channel") == 0) {
        return set_channel(options, value, why, why_size);
    }
    if (strcmp(name, "gain") == 0) {
        return set_gain(options, value, why, why_size);
    }
    if (strcmp(name, "depth") == 0) {
        return set_depth(options, value, why, why_size);
    }
    if (strcmp(name, "threshold") == 0) {
        return set_threshold(options, value, why, why_size);
    }
    if (strcmp(name, "words") == 0) {
        return set_words(options, value, why, why_size);
    }
    if (strcmp(name, "exec-seconds") == 0) {
        return set_seconds(&options->exec_seconds, name, value, why, why_size);
    }
    if (strcmp(name, "gpio-seconds") == 0) {
        return set_seconds(&options->gpio_seconds, name, value, why, why_size);
    }
    snprintf(why, why_size, "there is no setting '%.40s'; --help lists them", name);
    return 0;
}

static char *trim(char *text) {
    while (*text == ' ' || *text == '\t') {
        text++;
    }
    for (size_t n = strlen(text); n > 0 && strchr(" \t\r", text[n - 1]); n--) {
        text[n - 1] = '\0';
    }
    return text;
}

static void read_line(options_t *options, const char *path, int at, char *line) {
    char why[256];
    line = trim(line);
    if (*line == '\0' || *line == '#') {
        return;
    }
    char *equals = strchr(line, '=');
    if (!equals) {
        say("%s, line %d is left out: no '='", path, at);
        return;
    }
    *equals = '\0';
    if (!options_set(options, trim(line), trim(equals + 1), why, sizeof why)) {
        say("%s, line %d is left out: %s", path, at, why);
    }
}

int options_read(options_t *options, const char *path) {
    static const char mark[] = "\xef\xbb\xbf"; /* editors on Windows like to begin UTF-8 with it */
    FILE *file = fopen(path, "re");
    if (!file) {
        say("%s: %s", path, strerror(errno));
        return 0;
    }
    size_t size = fread(options->file, 1, sizeof options->file - 1, file);
    int failed = ferror(file), more = getc(file) != EOF;
    fclose(file);
    options->file[size] = '\0';
    if (failed || more || memchr(options->file, '\0', size)) {
        say("%s is no settings file: it must be text of at most %d bytes", path, OPTIONS_FILE - 1);
        return 0;
    }
    char *line = options->file + (strncmp(options->file, mark, 3) == 0 ? 3 : 0);
    for (int at = 1; line; at++) {
        char *end = strchr(line, '\n');
        if (end) {
            *end++ = '\0';
        }
        read_line(options, path, at, line);
        line = end;
    }
    return 1;
}
