/* SPDX-License-Identifier: Apache-2.0
 *
 * Settings of the decision by name, as text, for the programs of every board: how deep, which words, from which score on.
 */
#ifndef KWS_BOARDS_DECISION_H
#define KWS_BOARDS_DECISION_H

#include "kws.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    DECISION_MAX_WORDS = 1024,
    DECISION_ADAPTIVE = -1, /* a depth: the thinnest listens, the deepest confirms */
    DECISION_NEVER = 2,     /* a threshold that no score reaches */
    DECISION_OTHER = -1,    /* an answer: that is none of these settings */
    DECISION_MOST_SECONDS = 3600
};

typedef struct decision {
    const kws_model_t *model;
    int depth;                                  /* 0 as the model says */
    char silent[DECISION_MAX_WORDS];            /* words that never fire, whatever their threshold */
    float word_threshold[DECISION_MAX_WORDS];   /* below 0 where the one of all words holds */
    float word_sensitivity[DECISION_MAX_WORDS]; /* likewise */
    float word_refractory[DECISION_MAX_WORDS];  /* seconds; likewise */
    float sensitivity, gate, release, wake;
    float threshold, refractory; /* of all words; below 0 where the model's own hold */
    int32_t smoothing;
} decision_t;

static inline void decision_defaults(decision_t *d, const kws_model_t *model) {
    *d = (decision_t){.model = model,
                      .sensitivity = 0.5f,
                      .gate = model->gate,
                      .release = model->release,
                      .wake = model->wake,
                      .threshold = -1,
                      .refractory = -1,
                      .smoothing = model->smoothing};
    for (int i = 0; i < DECISION_MAX_WORDS; i++) {
        d->word_threshold[i] = d->word_sensitivity[i] = d->word_refractory[i] = -1;
    }
}

/* The number that the whole of `text` is, if it lies in least..most. */
static inline int decision_number(const char *text, double least, double most, double *value) {
    char *end;
    double parsed = strtod(text, &end);
    if (end == text || *end || !(parsed >= least && parsed <= most)) {
        return 0;
    }
    *value = parsed;
    return 1;
}

/* Index of the word that is the first `length` bytes of `text`, or -1. */
static inline int decision_word(const kws_model_t *model, const char *text, size_t length) {
    for (int i = 0; i < model->n_words && i < DECISION_MAX_WORDS; i++) {
        if (strlen(model->class_names[i]) == length && memcmp(model->class_names[i], text, length) == 0) {
            return i;
        }
    }
    return -1;
}

/* "0.7" for every word, into *every, or "yes=0.7" for one, into its place in `words`; from 0 to `most`. */
static inline int decision_set_of_word(const decision_t *d, const char *name, const char *value, int most, float *every,
                                       float *words, char *why, size_t why_size) {
    const char *equals = strrchr(value, '=');
    int word = equals ? decision_word(d->model, value, (size_t)(equals - value)) : -1;
    double number;
    if (equals && word < 0) {
        snprintf(why, why_size, "%s %.60s: the model has no such word", name, value);
        return 0;
    }
    if (!decision_number(equals ? equals + 1 : value, 0, most, &number)) {
        snprintf(why, why_size, "%s %.60s: give a number from 0 to %d, or WORD=NUMBER", name, value, most);
        return 0;
    }
    *(equals ? &words[word] : every) = (float)number;
    return 1;
}

static inline int decision_set_smoothing(decision_t *d, const char *value, char *why, size_t why_size) {
    double windows;
    if (!decision_number(value, 1, KWS_MAX_SMOOTHING, &windows) || windows != (int32_t)windows) {
        snprintf(why, why_size, "smoothing %.20s: give a number of windows, 1 to %d", value, KWS_MAX_SMOOTHING);
        return 0;
    }
    d->smoothing = (int32_t)windows;
    return 1;
}

/* "yes,no": the others never fire. */
static inline int decision_set_words(decision_t *d, const char *value, char *why, size_t why_size) {
    char wanted[DECISION_MAX_WORDS] = {0};
    for (const char *at = value; at;) {
        while (*at == ' ') {
            at++;
        }
        const char *comma = strchr(at, ',');
        size_t length = comma ? (size_t)(comma - at) : strlen(at);
        while (length > 0 && at[length - 1] == ' ') {
            length--;
        }
        int word = decision_word(d->model, at, length);
        if (word < 0) {
            snprintf(why, why_size, "words: the model does not know '%.*s'", (int)(length < 60 ? length : 60), at);
            return 0;
        }
        wanted[word] = 1;
        at = comma ? comma + 1 : NULL;
    }
    for (int i = 0; i < DECISION_MAX_WORDS; i++) {
        d->silent[i] = !wanted[i];
    }
    return 1;
}

static inline int decision_set_depth(decision_t *d, const char *value, char *why, size_t why_size) {
    const kws_model_t *model = d->model;
    double depth = 0;
    int known = 0;
    if (strcmp(value, "adaptive") == 0 && model->n_depths > 1) {
        d->depth = DECISION_ADAPTIVE;
        return 1;
    }
    decision_number(value, 1, 64, &depth);
    for (int i = 0; i < model->n_depths; i++) {
        known |= model->depths[i].delta == depth;
    }
    if (known) {
        d->depth = (int)depth;
        return 1;
    }
    int n = snprintf(why, why_size, "depth %.20s: the model has no such depth; give one of", value);
    for (int i = 0; i < model->n_depths && n > 0 && (size_t)n < why_size; i++) {
        n += snprintf(why + n, why_size - (size_t)n, " %d%s", (int)model->depths[i].delta,
                      i + 1 < model->n_depths ? ","
                      : model->n_depths > 1   ? ", or adaptive"
                                              : "");
    }
    return 0;
}

/* One setting. Returns 1, DECISION_OTHER, or 0 with the reason in `why`, and nothing changed. */
static inline int decision_set(decision_t *d, const char *name, const char *value, char *why, size_t why_size) {
    const struct {
        const char *name, *rule;
        double least, most;
        float *value;
    } numbers[] = {
        {"gate", "-100 to 0 decibels below full scale", -100, 0, &d->gate},
        {"release", "a share of the threshold from 0 to 1", 0, 1, &d->release},
        {"wake", "a probability from 0 to 1", 0, 1, &d->wake},
    };
    double number;
    if (strcmp(name, "depth") == 0) {
        return decision_set_depth(d, value, why, why_size);
    }
    if (strcmp(name, "threshold") == 0) {
        return decision_set_of_word(d, name, value, 1, &d->threshold, d->word_threshold, why, why_size);
    }
    if (strcmp(name, "words") == 0) {
        return decision_set_words(d, value, why, why_size);
    }
    if (strcmp(name, "sensitivity") == 0) {
        return decision_set_of_word(d, name, value, 1, &d->sensitivity, d->word_sensitivity, why, why_size);
    }
    if (strcmp(name, "refractory") == 0) {
        return decision_set_of_word(d, name, value, DECISION_MOST_SECONDS, &d->refractory, d->word_refractory, why,
                                    why_size);
    }
    if (strcmp(name, "smoothing") == 0) {
        return decision_set_smoothing(d, value, why, why_size);
    }
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        if (strcmp(name, numbers[i].name) != 0) {
            continue;
        }
        if (!decision_number(value, numbers[i].least, numbers[i].most, &number)) {
            snprintf(why, why_size, "%s %.20s: give %s", name, value, numbers[i].rule);
            return 0;
        }
        *numbers[i].value = (float)number;
        return 1;
    }
    return DECISION_OTHER;
}

static inline int32_t decision_samples(const decision_t *d, float seconds) {
    return (int32_t)((double)seconds * d->model->frontend->sample_rate + 0.5);
}

static inline void decision_apply_to_word(const decision_t *d, kws_state_t *kws, int word) {
    float threshold = d->word_threshold[word] >= 0 ? d->word_threshold[word] : d->threshold;
    if (threshold >= 0) {
        kws_set_threshold(kws, word, threshold);
    }
    if (d->word_sensitivity[word] >= 0) {
        kws_set_word_sensitivity(kws, word, d->word_sensitivity[word]);
    }
    if (d->word_refractory[word] >= 0) {
        kws_set_word_refractory(kws, word, decision_samples(d, d->word_refractory[word]));
    }
    if (d->silent[word]) {
        kws_set_threshold(kws, word, DECISION_NEVER);
    }
}

static inline void decision_apply(const decision_t *d, kws_state_t *kws) {
    const kws_model_t *model = d->model;
    if (d->depth == DECISION_ADAPTIVE) {
        kws_set_adaptive(kws, model->depths[model->n_depths - 1].delta, model->depths[0].delta);
    } else if (d->depth > 0) {
        kws_set_depth(kws, d->depth);
    }
    kws_set_sensitivity(kws, d->sensitivity);
    if (d->refractory >= 0) {
        kws_set_refractory(kws, decision_samples(d, d->refractory));
    }
    kws_set_smoothing(kws, d->smoothing);
    kws_set_gate(kws, d->gate);
    kws_set_release(kws, d->release);
    kws_set_wake(kws, d->wake);
    for (int i = 0; i < model->n_words && i < DECISION_MAX_WORDS; i++) {
        decision_apply_to_word(d, kws, i);
    }
}

#endif
