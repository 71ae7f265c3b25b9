/* SPDX-License-Identifier: Apache-2.0
 *
 * The caller's memory. It is a sequence of sections, each of whose sizes is rounded up to a multiple of 64 bytes, in
 * this order. With C = channels, H = hidden, T = frames / 4, M = n_mels / 4:
 *
 *     section        bytes
 *     struct         320                          (whatever the size of a pointer)
 *     pcm_ring       2 * n_fft
 *     frame_ring     4 * frames * n_mels
 *     score_ring     4 * smoothing * n_classes
 *     scores         4 * n_classes
 *     thresholds     4 * n_words
 *     last_event     8 * n_words
 *     armed          n_words
 *     spectrum       4 * n_fft
 *     input          4 * frames * n_mels
 *     conv1_bits     frames * n_mels / 2
 *     linear_input   4 * T * M
 *     acc            2 * T * max(32 * M, C, H)
 *     x              4 * T * C
 *     bits           T * max(C, H) / 8
 *
 * kws_state_size is their sum. `kws export` computes the same sum for the exported header.
 */
#include "state.h"

enum { STRUCT_BYTES = 320 };
_Static_assert(sizeof(struct kws_state) <= STRUCT_BYTES, "kws_state outgrew its section");
_Static_assert(STRUCT_BYTES % KWS_ALIGN == 0, "sections are KWS_ALIGN-aligned");

static size_t larger(size_t a, size_t b) {
    return a > b ? a : b;
}

/* Where the next section starts: bytes from the start of the memory. */
typedef struct plan {
    unsigned char *memory; /* null while only the size is asked for */
    size_t used;
} plan_t;

static void *section(plan_t *plan, size_t bytes) {
    void *start = plan->memory ? plan->memory + plan->used : NULL;
    plan->used += (bytes + KWS_ALIGN - 1) / KWS_ALIGN * KWS_ALIGN;
    return start;
}

/* Points the arrays of `state` into plan->memory and returns the size of it all. */
static size_t lay_out(const kws_model_t *model, plan_t *plan, struct kws_state *state) {
    const kws_frontend_t *f = model->frontend;
    size_t n_fft = (size_t)f->n_fft, frames = (size_t)f->frames, n_mels = (size_t)f->n_mels;
    size_t c = (size_t)model->channels, h = (size_t)model->hidden, t = frames / 4, m = n_mels / 4;
    size_t classes = (size_t)model->n_classes, words = (size_t)model->n_words;

    section(plan, STRUCT_BYTES);
    state->pcm_ring = section(plan, 2 * n_fft);
    state->frame_ring = section(plan, 4 * frames * n_mels);
    state->score_ring = section(plan, 4 * (size_t)model->smoothing * classes);
    state->scores = section(plan, 4 * classes);
    state->thresholds = section(plan, 4 * words);
    state->last_event = section(plan, 8 * words);
    state->armed = section(plan, words);
    state->spectrum = section(plan, 4 * n_fft);
    state->input = section(plan, 4 * frames * n_mels);
    state->conv1_bits = section(plan, frames * n_mels / 2);
    state->linear_input = section(plan, 4 * t * m);
    state->acc = section(plan, 2 * t * larger(KWS_CONV2_CHANNELS * m, larger(c, h)));
    state->x = section(plan, 4 * t * c);
    state->bits = section(plan, t * larger(c, h) / 8);
    return plan->used;
}

size_t kws_state_size(const kws_model_t *model) {
    if (kwsi_check_model(model) != KWS_OK) {
        return 0;
    }
    plan_t plan = {NULL, 0};
    struct kws_state ignored;
    return lay_out(model, &plan, &ignored);
}

kws_status_t kws_init(void *memory, size_t size, const kws_model_t *model, kws_state_t **state) {
    if (!memory || !state) {
        return KWS_ERROR_ARGUMENT;
    }
    kws_status_t status = kwsi_check_model(model);
    if (status != KWS_OK) {
        return status;
    }
    if ((uintptr_t)memory % KWS_ALIGN || size < kws_state_size(model)) {
        return KWS_ERROR_MEMORY;
    }

    kws_state_t *made = memory;
    plan_t plan = {memory, 0};
    memset(made, 0, sizeof *made);
    made->model = model;
    made->kernels = kwsi_kernels();
    made->depth = &model->depths[0];
    lay_out(model, &plan, made);
    memcpy(made->thresholds, model->word_threshold, sizeof(float) * (size_t)model->n_words);
    kws_reset(made);
    *state = made;
    return KWS_OK;
}

void kws_reset(kws_state_t *state) {
    if (!state) {
        return;
    }
    const kws_model_t *model = state->model;
    const kws_frontend_t *f = model->frontend;
    state->samples = 0;
    state->pcm_next = state->frame_next = state->score_next = state->score_count = 0;
    state->to_frame = f->hop;
    state->to_decision = model->hop_frames;
    memset(state->pcm_ring, 0, sizeof(int16_t) * (size_t)f->n_fft);
    for (int i = 0; i < f->frames * f->n_mels; i++) {
        state->frame_ring[i] = KWSI_SILENCE;
    }
    for (int i = 0; i < model->n_classes; i++) {
        state->scores[i] = 0.0f;
    }
    for (int i = 0; i < model->n_words; i++) {
        state->last_event[i] = KWSI_NEVER;
        state->armed[i] = 1;
    }
}

kws_status_t kws_set_depth(kws_state_t *state, int delta) {
    if (!state) {
        return KWS_ERROR_ARGUMENT;
    }
    const kws_depth_t *depth = kwsi_find_depth(state->model, delta);
    if (!depth) {
        return KWS_ERROR_ARGUMENT;
    }
    state->depth = depth;
    return KWS_OK;
}

kws_status_t kws_set_threshold(kws_state_t *state, int word, float threshold) {
    if (!state || word < 0 || word >= state->model->n_words) {
        return KWS_ERROR_ARGUMENT;
    }
    if (!kwsi_is_finite(threshold) || threshold < 0.0f) {
        return KWS_ERROR_ARGUMENT;
    }
    state->thresholds[word] = threshold;
    return KWS_OK;
}

const float *kws_scores(const kws_state_t *state) {
    return state ? state->scores : NULL;
}

const float *kws_last_frame(const kws_state_t *state) {
    if (!state) {
        return NULL;
    }
    const kws_frontend_t *f = state->model->frontend;
    int newest = (state->frame_next + f->frames - 1) % f->frames;
    return state->frame_ring + newest * f->n_mels;
}
