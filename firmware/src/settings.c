/* SPDX-License-Identifier: Apache-2.0
 *
 * The settings of a stream, and what a display may ask of it. A call that is refused changes nothing.
 */
#include "state.h"

/* A threshold as the sensitivity moves it: its logit shifts, so that its odds are multiplied. */
static float moved(float threshold, float sensitivity) {
    float shift = KWS_SENSITIVITY_SPAN * (sensitivity - 0.5f);
    if (threshold >= 1.0f || shift == 0.0f) {
        return threshold;
    }
    float factor = kwsi_exp(shift > 0.0f ? -shift : shift); /* at most 1, on whichever side of the odds shrinks */
    float over = shift > 0.0f ? threshold * factor : threshold;
    float under = shift > 0.0f ? 1.0f - threshold : (1.0f - threshold) * factor;
    return over / (over + under);
}

void kwsi_move_thresholds(kws_state_t *state) {
    int words = state->model->n_words;
    for (int i = 0; i < state->model->n_depths * words; i++) {
        state->limits[i] = moved(state->thresholds[i], state->sensitivities[i % words]);
    }
    state->wake_limit = moved(state->wake, state->sensitivity);
}

static int is_share(float value) {
    return kwsi_is_finite(value) && value >= 0.0f && value <= 1.0f;
}

static int is_threshold(float value) {
    return kwsi_is_finite(value) && value >= 0.0f;
}

static int is_word(const kws_state_t *state, int word) {
    return state && word >= 0 && word < state->model->n_words;
}

kws_status_t kws_set_depth(kws_state_t *state, int delta) {
    const kws_depth_t *depth = state ? kwsi_find_depth(state->model, delta) : NULL;
    if (!depth) {
        return KWS_ERROR_ARGUMENT;
    }
    state->depth = depth;
    state->listener = NULL;
    return KWS_OK;
}

kws_status_t kws_set_adaptive(kws_state_t *state, int listen_delta, int confirm_delta) {
    const kws_depth_t *listener = state ? kwsi_find_depth(state->model, listen_delta) : NULL;
    const kws_depth_t *depth = state ? kwsi_find_depth(state->model, confirm_delta) : NULL;
    if (!listener || !depth || listen_delta <= confirm_delta) {
        return KWS_ERROR_ARGUMENT;
    }
    state->listener = listener;
    state->depth = depth;
    return KWS_OK;
}

kws_status_t kws_set_wake(kws_state_t *state, float wake) {
    if (!state || !is_threshold(wake)) {
        return KWS_ERROR_ARGUMENT;
    }
    state->wake = wake;
    kwsi_move_thresholds(state);
    return KWS_OK;
}

kws_status_t kws_set_threshold(kws_state_t *state, int word, float threshold) {
    if (!is_word(state, word) || !is_threshold(threshold)) {
        return KWS_ERROR_ARGUMENT;
    }
    for (int depth = 0; depth < state->model->n_depths; depth++) {
        state->thresholds[depth * state->model->n_words + word] = threshold;
    }
    kwsi_move_thresholds(state);
    return KWS_OK;
}

kws_status_t kws_set_sensitivity(kws_state_t *state, float sensitivity) {
    if (!state || !is_share(sensitivity)) {
        return KWS_ERROR_ARGUMENT;
    }
    state->sensitivity = sensitivity;
    for (int i = 0; i < state->model->n_words; i++) {
        state->sensitivities[i] = sensitivity;
    }
    kwsi_move_thresholds(state);
    return KWS_OK;
}

kws_status_t kws_set_word_sensitivity(kws_state_t *state, int word, float sensitivity) {
    if (!is_word(state, word) || !is_share(sensitivity)) {
        return KWS_ERROR_ARGUMENT;
    }
    state->sensitivities[word] = sensitivity;
    kwsi_move_thresholds(state);
    return KWS_OK;
}

kws_status_t kws_set_smoothing(kws_state_t *state, int32_t windows) {
    if (!state || windows < 1 || windows > KWS_MAX_SMOOTHING) {
        return KWS_ERROR_ARGUMENT;
    }
    state->smoothing = windows;
    return KWS_OK;
}

kws_status_t kws_set_refractory(kws_state_t *state, int32_t samples) {
    if (!state || samples < 0) {
        return KWS_ERROR_ARGUMENT;
    }
    for (int i = 0; i < state->model->n_words; i++) {
        state->refractory[i] = samples;
    }
    return KWS_OK;
}

kws_status_t kws_set_word_refractory(kws_state_t *state, int word, int32_t samples) {
    if (!is_word(state, word) || samples < 0) {
        return KWS_ERROR_ARGUMENT;
    }
    state->refractory[word] = samples;
    return KWS_OK;
}

kws_status_t kws_set_release(kws_state_t *state, float fraction) {
    if (!state || !is_share(fraction)) {
        return KWS_ERROR_ARGUMENT;
    }
    state->release = fraction;
    return KWS_OK;
}

kws_status_t kws_set_gate(kws_state_t *state, float dbfs) {
    if (!state || !kwsi_is_finite(dbfs)) {
        return KWS_ERROR_ARGUMENT;
    }
    state->gate = dbfs;
    return KWS_OK;
}

const float *kws_scores(const kws_state_t *state) {
    return state ? state->scores : NULL;
}

const float *kws_last_frame(const kws_state_t *state) {
    return state ? state->newest : NULL;
}

float kws_level(const kws_state_t *state) {
    float loudest = KWSI_SILENCE;
    for (int i = 0; state && i < state->model->frontend->frames; i++) {
        loudest = state->levels[i] > loudest ? state->levels[i] : loudest;
    }
    return loudest;
}

float kws_threshold(const kws_state_t *state, int word) {
    if (!is_word(state, word)) {
        return -1.0f;
    }
    return state->limits[(state->depth - state->model->depths) * state->model->n_words + word];
}

uint64_t kws_classified(const kws_state_t *state, int delta) {
    if (!state) {
        return 0;
    }
    if (delta == 0) {
        const kws_model_t *model = state->model;
        uint64_t step = (uint64_t)model->frontend->hop * (uint64_t)model->hop_frames;
        return state->samples / step - state->classified[model->n_depths];
    }
    const kws_depth_t *depth = kwsi_find_depth(state->model, delta);
    return depth ? state->classified[depth - state->model->depths] : 0;
}
