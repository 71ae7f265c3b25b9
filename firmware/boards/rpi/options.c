/* SPDX-License-Identifier: Apache-2.0 */
#include "options.h"

#include "log.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void options_defaults(options_t *options, const kws_model_t *model) {
    memset(options, 0, sizeof *options);
    decision_defaults(&options->decision, model);
    options->channel = -1;
    options->gain = 1.0f;
    options->exec_seconds = 10;
    options->gpio_seconds = 1;
}

static int set_gain(options_t *options, const char *value, char *why, size_t why_size) {
    double decibels;
    if (!decision_number(value, -60, 60, &decibels)) {
        snprintf(why, why_size, "gain %.20s: give -60 to 60 decibels", value);
        return 0;
    }
    options->gain = (float)pow(10, decibels / 20);
    return 1;
}

static int set_channel(options_t *options, const char *value, char *why, size_t why_size) {
    double channel = 0;
    int mix = strcmp(value, "mix") == 0;
    if (!mix && (!decision_number(value, 1, 32, &channel) || channel != floor(channel))) {
        snprintf(why, why_size, "channel %.20s: give 1 to 32, or mix", value);
        return 0;
    }
    options->channel = (int)channel - 1;
    return 1;
}

static int set_rate(options_t *options, const char *value, char *why, size_t why_size) {
    double rate;
    if (!decision_number(value, 8000, 192000, &rate) || rate != floor(rate)) {
        snprintf(why, why_size, "rate %.20s: give 8000 to 192000 samples a second", value);
        return 0;
    }
    options->rate = (unsigned)rate;
    return 1;
}

static int set_seconds(double *seconds, const char *name, const char *value, char *why, size_t why_size) {
    if (!decision_number(value, 0.01, 3600, seconds)) {
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
        {"device", &options->device},     {"gpio", &options->gpio}, {"udp", &options->udp}, {"tcp", &options->tcp},
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
    if (strcmp(name, "rate") == 0) {
        return set_rate(options, value, why, why_size);
    }
    if (strcmp(name, "gain") == 0) {
        return set_gain(options, value, why, why_size);
    }
    if (strcmp(name, "exec-seconds") == 0) {
        return set_seconds(&options->exec_seconds, name, value, why, why_size);
    }
    if (strcmp(name, "gpio-seconds") == 0) {
        return set_seconds(&options->gpio_seconds, name, value, why, why_size);
    }
    if (strcmp(name, "model") == 0) {
        return 1; /* options_find_model saw it before */
    }
    int set = decision_set(&options->decision, name, value, why, why_size);
    if (set == DECISION_OTHER) {
        snprintf(why, why_size, "there is no setting '%.40s'; --help lists them", name);
    }
    return set == 1;
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

/* Cuts a line into name and value. Returns 1, 0 for one that holds nothing, -1 for one without '='. */
static int split(char *line, char **name, char **value) {
    *name = trim(line);
    if (**name == '\0' || **name == '#') {
        return 0;
    }
    char *equals = strchr(*name, '=');
    if (!equals) {
        return -1;
    }
    *equals = '\0';
    *name = trim(*name);
    *value = trim(equals + 1);
    return 1;
}

static void read_line(options_t *options, const char *path, int at, char *line) {
    char why[256], *name, *value;
    int kind = split(line, &name, &value);
    if (kind < 0) {
        say("%s, line %d is left out: no '='", path, at);
    } else if (kind > 0 && !options_set(options, name, value, why, sizeof why)) {
        say("%s, line %d is left out: %s", path, at, why);
    }
}

/* The text of a settings file, in options->file. Returns its first line, or NULL after saying why not. */
static char *read_text(options_t *options, const char *path) {
    static const char mark[] = "\xef\xbb\xbf"; /* editors on Windows like to begin UTF-8 with it */
    FILE *file = fopen(path, "re");
    if (!file) {
        say("%s: %s", path, strerror(errno));
        return NULL;
    }
    size_t size = fread(options->file, 1, sizeof options->file - 1, file);
    int failed = ferror(file), more = getc(file) != EOF;
    fclose(file);
    options->file[size] = '\0';
    if (failed || more || memchr(options->file, '\0', size)) {
        say("%s is no settings file: it must be text of at most %d bytes", path, OPTIONS_FILE - 1);
        return NULL;
    }
    return options->file + (strncmp(options->file, mark, 3) == 0 ? 3 : 0);
}

/* Ends the line at `line` and returns the next, NULL after the last. */
static char *next_line(char *line) {
    char *end = strchr(line, '\n');
    if (end) {
        *end++ = '\0';
    }
    return end;
}

int options_read(options_t *options, const char *path) {
    char *line = read_text(options, path), *next;
    if (!line) {
        return 0;
    }
    for (int at = 1; line; at++, line = next) {
        next = next_line(line);
        read_line(options, path, at, line);
    }
    return 1;
}

int options_find_model(options_t *options, const char *path, char model[OPTIONS_PATH]) {
    char *line = read_text(options, path), *next, *name, *value;
    const char *slash = strrchr(path, '/');
    int folder = slash ? (int)(slash + 1 - path) : 0, found = line ? 0 : -1;
    for (; line; line = next) {
        next = next_line(line);
        if (split(line, &name, &value) > 0 && strcmp(name, "model") == 0) {
            int length = snprintf(model, OPTIONS_PATH, "%.*s%s", *value == '/' ? 0 : folder, path, value);
            found = *value != '\0';
            if (length >= OPTIONS_PATH) {
                say("%s: the path of its model is too long", path);
                found = 0;
            }
        }
    }
    return found;
}
