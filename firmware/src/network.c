/* SPDX-License-Identifier: Apache-2.0
 *
 * From the front's bits to logits: the order of the layers, and nothing else. What each computes is in its operator.
 */
#include "state.h"
#include "sums.h"

static kwsi_affine_t affine(const int16_t *scale, const int16_t *bias, const int16_t *slope) {
    return (kwsi_affine_t){scale, bias, slope};
}

/* A matrix product onto the residual stream, tile by tile, with the bits that the next operator wants, if any does. */
static void project(const kws_state_t *s, const uint64_t *bits, const uint64_t *weight, int words,
                    const kwsi_affine_t *numbers, const int16_t *threshold, uint64_t *out) {
    int steps = kwsi_steps(s->model->frontend->frames), c = s->model->channels, planes = s->model->planes;
    kwsi_project_fn *run = planes == 1 ? s->kernels->project : s->kernels->project_two;
    for (int step = 0; step < steps; step += KWSI_TILE) {
        run(bits + step * planes * words, weight, words, c, numbers, s->x + step * c, threshold,
            out + step * planes * (c / 64));
    }
}

static void expand(const kws_state_t *s, const kws_pass_t *pass, const uint64_t *bits, uint64_t *out) {
    int steps = kwsi_steps(s->model->frontend->frames), planes = s->model->planes;
    int c = s->model->channels, h = s->model->hidden;
    kwsi_expand_fn *run = planes == 1 ? s->kernels->expand : s->kernels->expand_two;
    for (int step = 0; step < steps; step += KWSI_TILE) {
        run(bits + step * planes * (c / 64), pass->block->expand_weight, c / 64, h, pass->expand_below,
            pass->expand_flip, out + step * planes * (h / 64));
    }
}

/* One block. Its bits come in bits[0] and the next block's leave in bits[1], unless `threshold` is null. */
static int16_t *block(const kws_state_t *s, const kws_pass_t *pass, uint64_t *const bits[2], const int16_t *threshold,
                      int16_t *trace) {
    const kws_block_t *b = pass->block;
    int t = s->model->frontend->frames / 4, c = s->model->channels, h = s->model->hidden, planes = s->model->planes;
    kwsi_memory_fn *remember = planes == 1 ? s->kernels->memory : s->kernels->memory_two;
    kwsi_affine_t memory = affine(pass->memory_scale, pass->memory_bias, b->memory_slope);
    kwsi_affine_t projection = affine(pass->project_scale, pass->project_bias, b->project_slope);
    if (trace) {
        trace = kwsi_trace_memory(bits[0], b->memory_weight, t, c / 64, planes, trace);
    }
    remember(bits[0], b->memory_weight, t, c / 64, &memory, s->x, b->expand_input, bits[1]);
    if (trace) {
        trace = kwsi_trace_matmul(bits[1], b->expand_weight, t, c / 64, h, planes, trace);
    }
    expand(s, pass, bits[1], bits[0]);
    if (trace) {
        trace = kwsi_trace_matmul(bits[0], b->project_weight, t, h / 64, c, planes, trace);
    }
    project(s, bits[0], b->project_weight, h / 64, &projection, threshold, bits[1]);
    return trace;
}

static void classify(const kws_state_t *s, float *logits) {
    const kws_model_t *model = s->model;
    const kws_depth_t *depth = s->depth;
    int n = kwsi_steps(model->frontend->frames) * model->channels;
    s->kernels->classifier(s->x, n, model->class_weight, model->n_classes, s->sums);
    for (int i = 0; i < model->n_classes; i++) {
        logits[i] = depth->class_scale[i] * (float)s->sums[i] + depth->class_bias[i];
    }
}

void kwsi_network(kws_state_t *state, const kwsi_front_t *front, float *logits, int16_t *trace) {
    const kws_model_t *model = state->model;
    const kws_depth_t *depth = state->depth;
    int steps = kwsi_steps(model->frontend->frames), c = model->channels, words = model->frontend->n_mels / 8;
    kwsi_affine_t linear = affine(model->linear_scale, model->linear_bias, model->linear_slope);
    uint64_t *bits[2] = {state->bits[0], state->bits[1]};
    if (trace) {
        trace = kwsi_trace_front(state, front, trace);
        trace = kwsi_trace_matmul(front->linear_input, model->linear_weight, model->frontend->frames / 4, words, c,
                                  model->planes, trace);
    }
    memset(state->x, 0, sizeof *state->x * (size_t)(steps * c));
    project(state, front->linear_input, model->linear_weight, words, &linear, depth->passes[0].block->memory_input,
            bits[0]);
    for (int i = 0; i < depth->n_passes; i++) {
        const int16_t *next = i + 1 < depth->n_passes ? depth->passes[i + 1].block->memory_input : NULL;
        trace = block(state, &depth->passes[i], bits, next, trace);
        uint64_t *spent = bits[0];
        bits[0] = bits[1];
        bits[1] = spent;
    }
    classify(state, logits);
}

/* The network over a window that stands alone, whose rows are in place. */
static void run_single(kws_state_t *s, float *logits, int16_t *trace) {
    kwsi_front(s, &s->single, 0);
    kwsi_network(s, &s->single, logits, trace);
}

static void run_features(kws_state_t *s, const float *features, float *logits, int16_t *trace) {
    const kws_frontend_t *f = s->model->frontend;
    s->kernels->quantize(features, f->frames, f->n_mels, f->offset, f->scale, s->single.rows);
    run_single(s, logits, trace);
}

kws_status_t kws_network_traced(kws_state_t *state, const float *features, float *logits, int16_t *trace) {
    if (!state || !features || !logits || !trace) {
        return KWS_ERROR_ARGUMENT;
    }
    run_features(state, features, logits, trace);
    return KWS_OK;
}

kws_status_t kws_network(kws_state_t *state, const float *features, float *logits) {
    if (!state || !features || !logits) {
        return KWS_ERROR_ARGUMENT;
    }
    run_features(state, features, logits, NULL);
    return KWS_OK;
}

kws_status_t kws_classify(kws_state_t *state, const int16_t *pcm, float *logits) {
    if (!state || !pcm || !logits) {
        return KWS_ERROR_ARGUMENT;
    }
    const kws_frontend_t *f = state->model->frontend;
    for (int i = 0; i < f->frames; i++) {
        const int16_t *start = pcm + i * f->hop;
        kwsi_frame(state, start, f->n_fft, start + f->n_fft, state->frame);
        kwsi_keep_frame(state, &state->single, i, state->frame);
    }
    run_single(state, logits, NULL);
    return KWS_OK;
}
