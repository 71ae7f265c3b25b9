/* SPDX-License-Identifier: Apache-2.0
 *
 * measure WHAT DEPTH TIMES ISA
 *
 * Does WHAT again and again with the compiled-in model, for tools/emulated/count.py, which counts the difference between
 * two runs with different TIMES:
 *
 *     features   one frame of features a time
 *     network    features of a window to logits: a whole inference
 *     linear     the linear layer alone, an operator that the blocks use too
 *     stream     one hop of a stream with everything that listening takes: as many frames as lie between two decisions
 *     stack      feeds, classifies and traces, once, and prints how many bytes of stack that took
 *
 * The sound is noise of changing loudness, the same in every run.
 */
#include "state.h"

#include KWS_MODEL_HEADER

#include <stdio.h>
#include <stdlib.h>

enum { PAINTED = 1 << 16, MAX_WINDOW = 1 << 19, MAX_LOGITS = 1024 };

static _Alignas(KWS_ALIGN) unsigned char memory[KWS_MODEL_STATE_SIZE];
static int16_t pcm[MAX_WINDOW];
static float features[MAX_WINDOW], logits[MAX_LOGITS];
static kws_event_t events[KWS_EVENT_CAPACITY(MAX_WINDOW)];

static void make_sound(void) {
    uint32_t random = 1;
    for (size_t i = 0; i < MAX_WINDOW; i++) {
        random = random * 1664525u + 1013904223u;
        pcm[i] =
            (int16_t)((int32_t)(random >> 17) * (int32_t)(1 + i / 512 % 16) / 16 - 1024 * (int32_t)(1 + i / 512 % 16));
    }
}

static int hop_samples(void) {
    return KWS_MODEL.hop_frames * KWS_MODEL.frontend->hop;
}

static void feed(kws_state_t *kws, size_t from, size_t n) {
    from %= MAX_WINDOW - n;
    kws_feed(kws, pcm + from, n, events, KWS_EVENT_CAPACITY(n));
}

/* What network.c does before the first block, where inputs have one plane. */
static void run_linear(kws_state_t *kws) {
    const kws_model_t *model = kws->model;
    const kws_depth_t *depth = kws->depth;
    const kwsi_affine_t numbers = {model->linear_scale, model->linear_bias, model->linear_slope};
    int words = model->frontend->n_mels / 8, c = model->channels;
    for (int step = 0; step < kwsi_steps(model->frontend->frames); step += KWSI_TILE) {
        kws->kernels->project(kws->single.linear_input + step * words, model->linear_weight, words, c, &numbers,
                              kws->x + step * c, depth->passes[0].block->memory_input, kws->bits[0] + step * (c / 64));
    }
}

static void run_everything(kws_state_t *kws) {
    feed(kws, 0, kws_window_samples(&KWS_MODEL));
    kws_classify(kws, pcm, logits);
    kws_features(kws, pcm, features);
    kws_network(kws, features, logits);
    kws_softmax(logits, KWS_MODEL.n_classes, logits);
}

__attribute__((noinline)) static void paint(void) {
    volatile unsigned char stack[PAINTED];
    for (size_t i = 0; i < sizeof stack; i++) {
        stack[i] = 0xa5;
    }
}

/* The same stack frame as paint(), left as the engine found and changed it. */
__attribute__((noinline)) static size_t painted_left(void) {
    volatile unsigned char stack[PAINTED]; /* not set, on purpose: what lies there is what is looked for */
    size_t left = 0;
    while (left < sizeof stack && stack[left] == 0xa5) {
        left++;
    }
    return left;
}

static void print_stack(kws_state_t *kws) {
    paint();
    run_everything(kws);
    printf("%zu\n", PAINTED - painted_left());
}

int main(int argc, char **argv) {
    kws_state_t *kws;
    if (argc != 5 || kws_init(memory, sizeof memory, &KWS_MODEL, &kws) != KWS_OK || KWS_MODEL.n_classes > MAX_LOGITS ||
        kws_window_samples(&KWS_MODEL) > MAX_WINDOW || kws_set_depth(kws, atoi(argv[2])) != KWS_OK ||
        kws_set_isa(kws, argv[4]) != KWS_OK) {
        fprintf(stderr, "measure: bad arguments or model\n");
        return 1;
    }
    long times = atol(argv[3]);
    char what = argv[1][0] == 's' ? argv[1][2] : argv[1][0];
    make_sound();
    kws_classify(kws, pcm, logits);
    kws_features(kws, pcm, features);
    for (size_t fed = 0; fed < kws_window_samples(&KWS_MODEL); fed += (size_t)hop_samples()) {
        feed(kws, fed, (size_t)hop_samples());
    }
    for (long i = 0; i < times; i++) {
        switch (what) {
        case 'f':
            kwsi_frame(kws, pcm, KWS_MODEL.frontend->n_fft, pcm, features);
            break;
        case 'n':
            kws_network(kws, features, logits);
            break;
        case 'l':
            run_linear(kws);
            break;
        case 'r':
            feed(kws, (size_t)(i * hop_samples()), (size_t)hop_samples());
            break;
        default:
            print_stack(kws);
        }
    }
    return 0;
}
