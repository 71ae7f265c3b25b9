/* SPDX-License-Identifier: Apache-2.0
 *
 * fuzz SEED ROUNDS
 *
 * Random calls with random arguments, legal and illegal, for the sanitizers to watch. Every buffer is a heap block of
 * exactly the promised size. Ends with 1 where a result breaks a promise of kws.h that needs no reference.
 */
#include "kws.h"

#include KWS_MODEL_HEADER

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const kws_model_t *const model = &KWS_MODEL;
static uint64_t random_state;

static uint32_t random_below(uint32_t n) {
    random_state = random_state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)((random_state >> 33) % n);
}

#define CHECK(condition)                                                                                               \
    do {                                                                                                               \
        if (!(condition)) {                                                                                            \
            fprintf(stderr, "fuzz: line %d: %s\n", __LINE__, #condition);                                              \
            exit(1);                                                                                                   \
        }                                                                                                              \
    } while (0)

static void *allocate(size_t n) {
    void *block = malloc(n > 0 ? n : 1);
    CHECK(block);
    return block;
}

/* Noise, silence, clipping or an unconnected input. */
static int16_t *random_pcm(size_t n) {
    int16_t *pcm = allocate(n * sizeof *pcm);
    uint32_t kind = random_below(4);
    for (size_t i = 0; i < n; i++) {
        int32_t noise = (int32_t)random_below(65536) - 32768;
        pcm[i] = (int16_t)(kind == 0 ? noise : kind == 1 ? 0 : kind == 2 ? (noise < 0 ? -32768 : 32767) : noise / 4096);
    }
    return pcm;
}

static void one_window(kws_state_t *kws) {
    size_t n = kws_window_samples(model), classes = (size_t)model->n_classes;
    size_t cells = (size_t)model->frontend->frames * (size_t)model->frontend->n_mels;
    int delta = model->depths[random_below((uint32_t)model->n_depths)].delta;
    size_t traced = kws_trace_size(model, delta);
    int16_t *pcm = random_pcm(n), *trace = allocate(traced * sizeof *trace);
    float *features = allocate(cells * sizeof *features);
    float *logits = allocate(classes * sizeof *logits), *again = allocate(classes * sizeof *again);
    CHECK(kws_set_depth(kws, delta) == KWS_OK);
    CHECK(kws_classify(kws, pcm, logits) == KWS_OK);
    CHECK(kws_features(kws, pcm, features) == KWS_OK);
    CHECK(kws_network(kws, features, again) == KWS_OK);
    CHECK(memcmp(logits, again, classes * sizeof *logits) == 0);
    CHECK(kws_network_traced(kws, features, again, trace) == KWS_OK);
    CHECK(memcmp(logits, again, classes * sizeof *logits) == 0);
    kws_softmax(logits, model->n_classes, logits);
    float sum = 0.0f;
    for (size_t i = 0; i < classes; i++) {
        CHECK(logits[i] >= 0.0f && logits[i] <= 1.0f);
        sum += logits[i];
    }
    CHECK(sum > 0.999f && sum < 1.001f);

    /* A caller's features may be anything; the answer may then be anything, but nothing else happens. */
    for (size_t i = 0; i < cells; i++) {
        uint32_t wild = random_below(65536) << 16 | random_below(65536);
        memcpy(&features[i], &wild, sizeof wild);
    }
    CHECK(kws_network(kws, features, again) == KWS_OK);
    kws_softmax(again, model->n_classes, again);
    free(pcm);
    free(trace);
    free(features);
    free(logits);
    free(again);
}

static void settings(kws_state_t *kws) {
    static const float thresholds[] = {0.0f, 0.01f, 0.1f, 0.5f, 1.0f, 2.0f};
    CHECK(kws_set_threshold(kws, (int)random_below((uint32_t)model->n_words), thresholds[random_below(6)]) == KWS_OK);
    CHECK(kws_set_threshold(kws, model->n_words, 0.5f) == KWS_ERROR_ARGUMENT);
    CHECK(kws_set_threshold(kws, 0, -0.5f) == KWS_ERROR_ARGUMENT);
    CHECK(kws_set_depth(kws, 3) == KWS_ERROR_ARGUMENT);
    CHECK(kws_set_depth(kws, model->depths[random_below((uint32_t)model->n_depths)].delta) == KWS_OK);
    if (random_below(2)) {
        CHECK(kws_set_adaptive(kws, model->depths[model->n_depths - 1].delta, model->depths[0].delta) == KWS_OK);
    }
    CHECK(kws_set_wake(kws, thresholds[random_below(6)]) == KWS_OK);
    CHECK(kws_set_sensitivity(kws, (float)random_below(5) / 4.0f) == KWS_OK);
    CHECK(kws_set_release(kws, (float)random_below(5) / 4.0f) == KWS_OK);
    CHECK(kws_set_refractory(kws, (int32_t)random_below(20000)) == KWS_OK);
    CHECK(kws_set_smoothing(kws, 1 + (int32_t)random_below(KWS_MAX_SMOOTHING)) == KWS_OK);
    CHECK(kws_set_smoothing(kws, KWS_MAX_SMOOTHING + 1) == KWS_ERROR_ARGUMENT);
    int word = (int)random_below((uint32_t)model->n_words);
    CHECK(kws_set_word_sensitivity(kws, word, (float)random_below(5) / 4.0f) == KWS_OK);
    CHECK(kws_set_word_refractory(kws, word, (int32_t)random_below(20000)) == KWS_OK);
    CHECK(kws_set_word_refractory(kws, model->n_words, 0) == KWS_ERROR_ARGUMENT);
    CHECK(kws_set_gate(kws, -(float)random_below(140)) == KWS_OK);
    float limit = kws_threshold(kws, 0);
    CHECK(limit >= 0.0f && limit <= 2.0f);
    CHECK(kws_level(kws) >= -100.0f && kws_level(kws) <= 0.0f);
}

/* Feeds both streams the same samples, `whole` at once and `cut` in random chunks. */
static void feed(kws_state_t *whole, kws_state_t *cut) {
    size_t n = random_below(20000), capacity = KWS_EVENT_CAPACITY(n);
    int16_t *pcm = random_pcm(n);
    kws_event_t *events = allocate(capacity * sizeof *events);
    CHECK(kws_feed(whole, pcm, n, events, capacity - 1) == KWS_ERROR_CAPACITY);
    int count = kws_feed(whole, pcm, n, events, capacity), seen = 0;
    CHECK(count >= 0 && (size_t)count <= capacity);
    for (int i = 0; i < count; i++) {
        CHECK(events[i].word >= 0 && events[i].word < model->n_words);
    }
    for (size_t at = 0; at < n;) {
        size_t part = 1 + random_below(random_below(2) ? 3000 : 70);
        part = part < n - at ? part : n - at;
        int16_t *chunk = allocate(part * sizeof *chunk);
        kws_event_t *found = allocate(KWS_EVENT_CAPACITY(part) * sizeof *found);
        memcpy(chunk, pcm + at, part * sizeof *chunk);
        int fresh = kws_feed(cut, chunk, part, found, KWS_EVENT_CAPACITY(part));
        CHECK(fresh >= 0 && seen + fresh <= count);
        for (int i = 0; i < fresh; i++, seen++) {
            CHECK(found[i].sample == events[seen].sample && found[i].word == events[seen].word);
            CHECK(found[i].delta == events[seen].delta && found[i].score == events[seen].score);
        }
        at += part;
        free(chunk);
        free(found);
    }
    CHECK(seen == count);
    CHECK(memcmp(kws_scores(whole), kws_scores(cut), sizeof(float) * (size_t)model->n_classes) == 0);
    free(pcm);
    free(events);
}

int main(int argc, char **argv) {
    if (argc != 3) {
        return 2;
    }
    random_state = strtoull(argv[1], NULL, 10);
    size_t size = kws_state_size(model);
    CHECK(size == KWS_MODEL_STATE_SIZE);
    void *memory[3];
    kws_state_t *kws[3];
    for (int i = 0; i < 3; i++) {
        memory[i] = aligned_alloc(KWS_ALIGN, size);
        CHECK(memory[i]);
        memset(memory[i], 0xa5, size); /* what was there before must not matter */
        CHECK(kws_init(memory[i], size - 1, model, &kws[i]) == KWS_ERROR_MEMORY);
        CHECK(kws_init(memory[i], size, model, &kws[i]) == KWS_OK);
    }
    for (long round = 0, rounds = atol(argv[2]); round < rounds; round++) {
        uint64_t before = random_state;
        settings(kws[0]);
        random_state = before;
        settings(kws[1]);
        if (random_below(8) == 0) {
            kws_reset(kws[0]);
            kws_reset(kws[1]);
        }
        feed(kws[0], kws[1]);
        one_window(kws[2]);
    }
    for (int i = 0; i < 3; i++) {
        free(memory[i]);
    }
    return 0;
}
