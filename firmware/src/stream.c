/* SPDX-License-Identifier: Apache-2.0
 *
 * Endless sound to events: samples -> a frame every hop -> a window every hop_frames -> probabilities, of no depth
 * (silence), of one, or of two in turn -> a decision (decide.c). Every step happens at a sample position, never at a
 * chunk's edge: that is why chunking cannot matter.
 */
#include "state.h"

#include <limits.h>

/* Copies `n` <= n_fft samples into the ring. */
static void remember(kws_state_t *s, const int16_t *pcm, int n) {
    int size = s->model->frontend->n_fft;
    int before_wrap = n < size - s->pcm_next ? n : size - s->pcm_next;
    memcpy(s->pcm_ring + s->pcm_next, pcm, sizeof *pcm * (size_t)before_wrap);
    memcpy(s->pcm_ring, pcm + before_wrap, sizeof *pcm * (size_t)(n - before_wrap));
    s->pcm_next = (s->pcm_next + n) % size;
}

static uint64_t energy(const int16_t *pcm, int n) {
    uint64_t sum = 0;
    for (int i = 0; i < n; i++) {
        sum += (uint64_t)((int32_t)pcm[i] * pcm[i]);
    }
    return sum;
}

/* Mean square of the ring's newest `hop` samples, in dB below full scale. */
static float level(const kws_state_t *s) {
    int size = s->model->frontend->n_fft, hop = s->model->frontend->hop;
    int after_wrap = hop < s->pcm_next ? hop : s->pcm_next, before = hop - after_wrap;
    uint64_t sum = energy(s->pcm_ring + s->pcm_next - after_wrap, after_wrap);
    sum += energy(s->pcm_ring + size - before, before);
    return kwsi_decibels((float)sum / ((float)hop * 1073741824.0f));
}

static void add_frame(kws_state_t *s) {
    const kws_frontend_t *f = s->model->frontend;
    kwsi_frame(s, s->pcm_ring + s->pcm_next, f->n_fft - s->pcm_next, s->pcm_ring, s->newest);
    kwsi_keep_frame(s, &s->stream, s->stream.first, s->newest);
    s->levels[s->stream.first] = level(s);
    s->stream.first = (s->stream.first + 1) % f->frames;
}

/* Probabilities [n_classes] of the stream's window at one depth. */
static void run(kws_state_t *s, const kws_depth_t *depth, float *probabilities) {
    const kws_depth_t *decider = s->depth;
    s->depth = depth;
    kwsi_network(s, &s->stream, probabilities, NULL);
    s->depth = decider;
    kws_softmax(probabilities, s->model->n_classes, probabilities);
    s->classified[depth - s->model->depths]++;
}

/* Whether the listening depth's answer is reason to ask the deeper one: it could make an event. */
static int wakes(const kws_state_t *s, const float *probabilities) {
    for (int i = 0; i < s->model->n_words; i++) {
        if (probabilities[i] >= s->wake_limit && kwsi_is_ready(s, i)) {
            return 1;
        }
    }
    return 0;
}

/* Fills the smoothing ring's slot for this window, and returns the depth that answered. */
static const kws_depth_t *classify(kws_state_t *s, float *slot) {
    const kws_model_t *model = s->model;
    if (kws_level(s) < s->gate) {
        memset(slot, 0, sizeof *slot * (size_t)model->n_classes);
        s->stream.hop = 0; /* what the front keeps is no neighbour of the next window */
        return s->depth;
    }
    kwsi_front(s, &s->stream);
    s->classified[model->n_depths]++;
    s->stream.hop = model->hop_frames;
    if (!s->listener) {
        run(s, s->depth, slot);
        return s->depth;
    }
    run(s, s->listener, slot);
    if (!wakes(s, slot)) {
        /* Words last for several windows: where none has begun, the next window is left out. */
        s->stream.hop = s->to_decision = 2 * model->hop_frames;
        return s->listener;
    }
    /* Two networks err less together than the better one alone. s->scores is free until the decision fills it. */
    run(s, s->depth, s->scores);
    for (int i = 0; i < model->n_classes; i++) {
        slot[i] = 0.25f * slot[i] + 0.75f * s->scores[i];
    }
    return s->depth;
}

int kws_feed(kws_state_t *state, const int16_t *pcm, size_t n, kws_event_t *events, size_t capacity) {
    if (!state || !events || (!pcm && n) || n / 64 >= INT_MAX) {
        return KWS_ERROR_ARGUMENT;
    }
    if (capacity < KWS_EVENT_CAPACITY(n)) {
        return KWS_ERROR_CAPACITY;
    }
    int count = 0;
    while (n > 0) {
        int taken = n < (size_t)state->to_frame ? (int)n : state->to_frame;
        remember(state, pcm, taken);
        pcm += taken;
        n -= (size_t)taken;
        state->samples += (uint64_t)taken;
        state->to_frame -= taken;
        if (state->to_frame > 0) {
            break;
        }

        state->to_frame = state->model->frontend->hop;
        add_frame(state);
        if (--state->to_decision > 0) {
            continue;
        }

        state->to_decision = state->model->hop_frames;
        const kws_depth_t *answered = classify(state, state->score_ring + state->score_next * state->model->n_classes);
        count += kwsi_decide(state, answered, &events[count]);
    }
    return count;
}
