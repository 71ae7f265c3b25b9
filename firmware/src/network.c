/* SPDX-License-Identifier: Apache-2.0
 *
 * Log-mel window to logits: the order of the layers, and nothing else. What each computes is in its operator.
 */
#include "state.h"

/* Appends `count` accumulators to the trace, if there is one. */
static void record(int16_t **trace, const int16_t *acc, int count) {
    if (!*trace) {
        return;
    }
    memcpy(*trace, acc, sizeof *acc * (size_t)count);
    *trace += count;
}

static void front(kws_state_t *s, int t, int m, int16_t **trace) {
    const kws_model_t *model = s->model;
    const kwsi_kernels_t *run = s->kernels;
    run->conv1(s->input, 4 * t, 4 * m, model->conv1_weight, model->conv1_bias, s->conv1_bits);
    run->conv2(s->conv1_bits, m, t, model->conv2_weight, s->acc);
    record(trace, s->acc, m * t * KWS_CONV2_CHANNELS);
    run->conv2_bits(s->acc, m, t, model->conv2_threshold, *model->conv2_flip, s->linear_input);
    run->matmul(s->linear_input, model->linear_weight, t, model->channels, m / 2, s->acc);
    record(trace, s->acc, t * model->channels);
    run->prelu(s->acc, model->linear_scale, model->linear_bias, model->linear_slope, t, model->channels, s->x);
}

static void block(kws_state_t *s, const kws_pass_t *pass, int t, int16_t **trace) {
    const kws_block_t *b = pass->block;
    const kwsi_kernels_t *run = s->kernels;
    int c = s->model->channels, h = s->model->hidden;
    /* memory: m = x + prelu(...), in place */
    run->sign(s->x, b->memory_input, t, c / 64, s->bits);
    run->memory(s->bits, b->memory_weight, t, c / 64, s->acc);
    record(trace, s->acc, t * c);
    run->prelu_add(s->acc, pass->memory_scale, pass->memory_bias, b->memory_slope, t, c, s->x);
    /* expansion: only the signs survive */
    run->sign(s->x, b->expand_input, t, c / 64, s->bits);
    run->matmul(s->bits, b->expand_weight, t, h, c / 64, s->acc);
    record(trace, s->acc, t * h);
    run->compare(s->acc, pass->expand_threshold, pass->expand_flip, t, h / 64, s->bits);
    /* projection: y = m + prelu(...), in place */
    run->matmul(s->bits, b->project_weight, t, c, h / 64, s->acc);
    record(trace, s->acc, t * c);
    run->prelu_add(s->acc, pass->project_scale, pass->project_bias, b->project_slope, t, c, s->x);
}

void kwsi_network(kws_state_t *state, const float *features, float *logits, int16_t *trace) {
    const kws_model_t *model = state->model;
    const kws_frontend_t *f = model->frontend;
    const kws_depth_t *depth = state->depth;
    int t = f->frames / 4, m = f->n_mels / 4;
    for (int i = 0; i < f->frames * f->n_mels; i++) {
        state->input[i] = (features[i] - f->offset) * f->scale;
    }
    front(state, t, m, &trace);
    for (int i = 0; i < depth->n_passes; i++) {
        block(state, &depth->passes[i], t, &trace);
    }
    state->kernels->classifier(state->x, t * model->channels, model->class_weight, model->n_classes, depth->class_scale,
                               depth->class_bias, logits);
}

kws_status_t kws_network_traced(kws_state_t *state, const float *features, float *logits, int16_t *trace) {
    if (!state || !features || !logits || !trace) {
        return KWS_ERROR_ARGUMENT;
    }
    kwsi_network(state, features, logits, trace);
    return KWS_OK;
}

kws_status_t kws_network(kws_state_t *state, const float *features, float *logits) {
    if (!state || !features || !logits) {
        return KWS_ERROR_ARGUMENT;
    }
    kwsi_network(state, features, logits, NULL);
    return KWS_OK;
}

kws_status_t kws_classify(kws_state_t *state, const int16_t *pcm, float *logits) {
    if (!state || !pcm || !logits) {
        return KWS_ERROR_ARGUMENT;
    }
    kws_features(state, pcm, state->input);
    kwsi_network(state, state->input, logits, NULL);
    return KWS_OK;
}
