/* SPDX-License-Identifier: Apache-2.0
 *
 * bits CHUNK < raw little-endian int16 samples
 *
 * Prints the bits of everything that the compiled-in model makes of the samples, in hex, so that two targets can be
 * compared as text: the features and the logits of the first window, then the events of the stream fed in chunks, at
 * each depth and adaptive. The environment variable KWS_ISA chooses the kernels.
 */
#include "kws.h"

#include KWS_MODEL_HEADER

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_SAMPLES = 1 << 20 };

static _Alignas(KWS_ALIGN) unsigned char memory[KWS_MODEL_STATE_SIZE];
static int16_t pcm[MAX_SAMPLES];
static kws_event_t events[KWS_EVENT_CAPACITY(MAX_SAMPLES)];

static uint32_t bits_of(float value) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

static void print_floats(const char *name, int delta, const float *values, size_t n) {
    printf("%s %d", name, delta);
    for (size_t i = 0; i < n; i++) {
        printf(" %08lx", (unsigned long)bits_of(values[i]));
    }
    printf("\n");
}

static size_t read_samples(void) {
    size_t n = 0;
    unsigned char bytes[2];
    while (n < MAX_SAMPLES && fread(bytes, 1, 2, stdin) == 2) {
        int value = bytes[0] | bytes[1] << 8;
        pcm[n++] = (int16_t)(value < 0x8000 ? value : value - 0x10000);
    }
    return n;
}

static void print_events(const char *name, kws_state_t *kws, size_t n, size_t chunk) {
    kws_reset(kws);
    for (size_t at = 0; at < n; at += chunk) {
        size_t part = n - at < chunk ? n - at : chunk;
        int count = kws_feed(kws, pcm + at, part, events, KWS_EVENT_CAPACITY(part));
        for (int i = 0; i < count; i++) {
            printf("%s %d %llu %d %08lx\n", name, (int)events[i].delta, (unsigned long long)events[i].sample,
                   (int)events[i].word, (unsigned long)bits_of(events[i].score));
        }
    }
}

int main(int argc, char **argv) {
    const kws_model_t *model = &KWS_MODEL;
    const kws_frontend_t *f = model->frontend;
    size_t cells = (size_t)f->frames * (size_t)f->n_mels, chunk = argc == 2 ? (size_t)atol(argv[1]) : 0;
    size_t n = read_samples();
    float *features = malloc(cells * sizeof *features), *logits = malloc((size_t)model->n_classes * sizeof *logits);
    kws_state_t *kws;
    if (chunk == 0 || !features || !logits || n < kws_window_samples(model) || kws_state_size(model) != sizeof memory ||
        kws_init(memory, sizeof memory, model, &kws) != KWS_OK) {
        fprintf(stderr, "bits: bad arguments, input or model\n");
        return 1;
    }
    if (getenv("KWS_ISA") && kws_set_isa(kws, getenv("KWS_ISA")) != KWS_OK) {
        fprintf(stderr, "bits: no such kernels\n");
        return 1;
    }
    kws_features(kws, pcm, features);
    print_floats("features", 0, features, cells);
    for (int d = 0; d < model->n_depths; d++) {
        int delta = model->depths[d].delta;
        kws_set_depth(kws, delta);
        kws_classify(kws, pcm, logits);
        print_floats("logits", delta, logits, (size_t)model->n_classes);
        print_events("event", kws, n, chunk);
    }
    if (kws_set_adaptive(kws, model->depths[model->n_depths - 1].delta, model->depths[0].delta) == KWS_OK) {
        print_events("adaptive", kws, n, chunk);
    }
    free(features);
    free(logits);
    return 0;
}
