/* SPDX-License-Identifier: Apache-2.0
 *
 * From the front's bits to logits: the order of the layers, and nothing else. What each computes is in its operator.
 */
#include "state.h"
#include "sums.h"

/* What all layers of one model take. */
typedef struct layers {
    kwsi_expand_fn *expand;
    kwsi_project_fn *project;
    kwsi_memory_fn *memory;
    int16_t *x;
    int planes, tiles;
    int t;                /* steps in time */
    int channels, hidden; /* and their words: */
    int c, h;
} layers_t;

static layers_t layers_of(const kws_state_t *s) {
    const kws_model_t *model = s->model;
    const kwsi_kernels_t *kernels = s->kernels;
    int is_one = model->planes == 1;
    return (layers_t){
        .expand = is_one ? kernels->expand : kernels->expand_two,
        .project = is_one ? kernels->project : kernels->project_two,
        .memory = is_one ? kernels->memory : kernels->memory_two,
        .x = s->x,
        .planes = model->planes,
        .tiles = kwsi_steps(model->frontend->frames) / KWSI_TILE,
        .t = model->frontend->frames / 4,
        .channels = model->channels,
        .hidden = model->hidden,
        .c = model->channels / 64,
        .h = model->hidden / 64,
    };
}

/* A matrix product onto the residual stream, tile by tile, with the bits that the next operator wants, if any does. */
static void project(const layers_t *l, const uint64_t *bits, const uint64_t *weight, int words,
                    const kwsi_affine_t *numbers, const int16_t *threshold, uint64_t *out) {
    int16_t *x = l->x;
    for (int tile = 0; tile < l->tiles; tile++) {
        l->project(bits, weight, words, l->channels, numbers, x, threshold, out);
        bits += KWSI_TILE * l->planes * words;
        x += KWSI_TILE * l->channels;
        out += KWSI_TILE * l->planes * l->c;
    }
}

static void expand(const layers_t *l, const kws_pass_t *pass, const uint64_t *bits, uint64_t *out) {
    for (int tile = 0; tile < l->tiles; tile++) {
        l->expand(bits, pass->block->expand_weight, l->c, l->hidden, pass->expand_below, pass->expand_flip, out);
        bits += KWSI_TILE * l->planes * l->c;
        out += KWSI_TILE * l->planes * l->h;
    }
}

/* One block. Its bits come in bits[0] and the next block's leave in bits[1], unless `threshold` is null. */
static int16_t *block(const layers_t *l, const kws_pass_t *pass, uint64_t *const bits[2], const int16_t *threshold,
                      int16_t *trace) {
    const kws_block_t *b = pass->block;
    kwsi_affine_t memory = {pass->memory_scale, pass->memory_bias, b->memory_slope};
    kwsi_affine_t projection = {pass->project_scale, pass->project_bias, b->project_slope};
    if (trace) {
        trace = kwsi_trace_memory(bits[0], b->memory_weight, l->t, l->c, l->planes, trace);
    }
    l->memory(bits[0], b->memory_weight, l->t, l->c, &memory, l->x, b->expand_input, bits[1]);
    if (trace) {
        trace = kwsi_trace_matmul(bits[1], b->expand_weight, l->t, l->c, l->hidden, l->planes, trace);
    }
    expand(l, pass, bits[1], bits[0]);
    if (trace) {
        trace = kwsi_trace_matmul(bits[0], b->project_weight, l->t, l->h, l->channels, l->planes, trace);
    }
    project(l, bits[0], b->project_weight, l->h, &projection, threshold, bits[1]);
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
    const layers_t layers = layers_of(state);
    int words = model->frontend->n_mels / 8;
    kwsi_affine_t linear = {model->linear_scale, model->linear_bias, model->linear_slope};
    uint64_t *bits[2] = {state->bits[0], state->bits[1]};
    if (trace) {
        trace = kwsi_trace_front(state, front, trace);
        trace = kwsi_trace_matmul(front->linear_input, model->linear_weight, layers.t, words, layers.channels,
                                  layers.planes, trace);
    }
    memset(state->x, 0, sizeof *state->x * (size_t)(layers.tiles * KWSI_TILE * layers.channels));
    project(&layers, front->linear_input, model->linear_weight, words, &linear, depth->passes[0].block->memory_input,
            bits[0]);
    for (int i = 0; i < depth->n_passes; i++) {
        const int16_t *next = i + 1 < depth->n_passes ? depth->passes[i + 1].block->memory_input : NULL;
        trace = block(&layers, &depth->passes[i], bits, next, trace);
        uint64_t *spent = bits[0];
        bits[0] = bits[1];
        bits[1] = spent;
    }
    classify(state, logits);
}

/* The network over a window that stands alone, whose rows are in place. */
static void run_single(kws_state_t *s, float *logits, int16_t *trace) {
    kwsi_front(s, &s->single);
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
