/* SPDX-License-Identifier: Apache-2.0
 *
 * The caller's memory. It is a sequence of sections, each of whose sizes is rounded up to a multiple of 64 bytes, in
 * this order. With C = channels, H = hidden, T = frames / 4, R = T rounded up to a multiple of 8, M = n_mels / 4, row =
 * kwsi_row_bytes, column = kwsi_column_words:
 *
 *     section        bytes
 *     struct         384                          (whatever the size of a pointer)
 *     pcm_ring       2 * n_fft
 *     newest         4 * n_mels
 *     score_ring     4 * KWS_MAX_SMOOTHING * n_classes
 *     scores         4 * n_classes
 *     sensitivities  4 * n_words
 *     refractory     4 * n_words
 *     thresholds     4 * n_depths * n_words
 *     limits         4 * n_depths * n_words
 *     last_event     8 * n_words
 *     risen          n_words
 *     levels         4 * frames
 *     classified     8 * (n_depths + 1)
 *     padding        planes * row
 *     spectrum       8 * n_fft
 *     frame          4 * n_mels
 *     sums           4 * n_classes
 *     x              2 * R * C
 *     bits           2 times R * planes * max(C, H) / 8
 *     and twice, for the stream's window and for one that stands alone:
 *     rows           frames * row
 *     columns        4 * T * planes * column
 *     linear_input   4 * R * planes * M
 *
 * kws_state_size is their sum. `kws export` computes the same sum for the exported header.
 */
#include "state.h"

enum { STRUCT_BYTES = 384 };
_Static_assert(sizeof(struct kws_state) <= STRUCT_BYTES, "kws_state outgrew its section");
_Static_assert(STRUCT_BYTES % KWS_ALIGN == 0, "sections are KWS_ALIGN-aligned");

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

static void lay_out_front(const kws_frontend_t *f, size_t planes, plan_t *plan, kwsi_front_t *front) {
    size_t frames = (size_t)f->frames, m = (size_t)f->n_mels / 4, steps = (size_t)kwsi_steps(f->frames);
    front->rows = section(plan, frames * (size_t)kwsi_row_bytes(f->n_mels));
    front->columns = section(plan, frames * planes * (size_t)kwsi_column_words(f->n_mels));
    front->linear_input = section(plan, 4 * steps * planes * m);
}

/* Points the arrays of `state` into plan->memory and returns the size of it all. */
static size_t lay_out(const kws_model_t *model, plan_t *plan, struct kws_state *state) {
    const kws_frontend_t *f = model->frontend;
    size_t n_fft = (size_t)f->n_fft, n_mels = (size_t)f->n_mels, steps = (size_t)kwsi_steps(f->frames);
    size_t c = (size_t)model->channels, h = (size_t)model->hidden;
    size_t classes = (size_t)model->n_classes, words = (size_t)model->n_words, depths = (size_t)model->n_depths;
    size_t planes = (size_t)model->planes;

    section(plan, STRUCT_BYTES);
    state->pcm_ring = section(plan, 2 * n_fft);
    state->newest = section(plan, 4 * n_mels);
    state->score_ring = section(plan, 4 * KWS_MAX_SMOOTHING * classes);
    state->scores = section(plan, 4 * classes);
    state->sensitivities = section(plan, 4 * words);
    state->refractory = section(plan, 4 * words);
    state->thresholds = section(plan, 4 * depths * words);
    state->limits = section(plan, 4 * depths * words);
    state->last_event = section(plan, 8 * words);
    state->risen = section(plan, words);
    state->levels = section(plan, 4 * (size_t)f->frames);
    state->classified = section(plan, 8 * (depths + 1));
    state->padding = section(plan, planes * (size_t)kwsi_row_bytes(f->n_mels));
    state->spectrum = section(plan, 8 * n_fft);
    state->frame = section(plan, 4 * n_mels);
    state->sums = section(plan, 4 * classes);
    state->x = section(plan, 2 * steps * c);
    for (int i = 0; i < 2; i++) {
        state->bits[i] = section(plan, steps * planes * (c > h ? c : h) / 8);
    }
    lay_out_front(f, planes, plan, &state->stream);
    lay_out_front(f, planes, plan, &state->single);
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
    memset(memory, 0, kws_state_size(model));
    made->model = model;
    made->kernels = kwsi_kernels();
    made->depth = &model->depths[0];
    made->listener = kwsi_find_depth(model, model->listen_delta);
    made->wake = model->wake;
    made->release = model->release;
    made->gate = model->gate;
    made->smoothing = model->smoothing;
    lay_out(model, &plan, made);
    memcpy(made->thresholds, model->word_threshold, sizeof(float) * (size_t)(model->n_depths * model->n_words));
    kws_set_refractory(made, model->refractory);
    kws_set_sensitivity(made, 0.5f);
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
    state->pcm_next = state->score_next = state->score_count = 0;
    state->to_frame = f->hop;
    state->to_decision = model->hop_frames;
    memset(state->pcm_ring, 0, sizeof(int16_t) * (size_t)f->n_fft);
    for (int i = 0; i < f->n_mels; i++) {
        state->newest[i] = KWSI_SILENCE;
    }
    state->stream.first = state->stream.hop = 0;
    for (int i = 0; i < f->frames; i++) {
        kwsi_keep_frame(state, &state->stream, i, state->newest);
        state->levels[i] = KWSI_SILENCE;
    }
    memset(state->classified, 0, sizeof *state->classified * (size_t)(model->n_depths + 1));
    for (int i = 0; i < model->n_classes; i++) {
        state->scores[i] = 0.0f;
    }
    for (int i = 0; i < model->n_words; i++) {
        state->last_event[i] = KWSI_NEVER;
        state->risen[i] = 0;
    }
}

kws_status_t kws_set_isa(kws_state_t *state, const char *name) {
    const kwsi_kernels_t *kernels = name ? kwsi_kernels_named(name) : NULL;
    if (!state || !kernels) {
        return KWS_ERROR_ARGUMENT;
    }
    state->kernels = kernels;
    return KWS_OK;
}

const char *kws_isa(const kws_state_t *state) {
    return state ? state->kernels->name : NULL;
}
