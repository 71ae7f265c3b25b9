/* SPDX-License-Identifier: Apache-2.0
 *
 * Endless sound to events: samples -> a frame every hop -> a classification every hop_frames -> smoothed scores -> a
 * decision. Every step happens at a sample position, never at a chunk's edge: that is why chunking cannot matter.
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

static void add_frame(kws_state_t *s) {
    const kws_frontend_t *f = s->model->frontend;
    kwsi_frame(s, s->pcm_ring + s->pcm_next, f->n_fft - s->pcm_next, s->pcm_ring, s->newest);
    kwsi_keep_frame(s, &s->stream, s->stream.first, s->newest);
    s->stream.first = (s->stream.first + 1) % f->frames;
}

/* The network over the last `frames` frames; its probabilities enter the smoothing ring. */
static void classify(kws_state_t *s) {
    const kws_model_t *model = s->model;
    float *slot = s->score_ring + s->score_next * model->n_classes;
    kwsi_front(s, &s->stream, model->hop_frames);
    kwsi_network(s, &s->stream, slot, NULL);
    kws_softmax(slot, model->n_classes, slot);
    s->score_next = (s->score_next + 1) % model->smoothing;
    if (s->score_count < model->smoothing) {
        s->score_count++;
    }
}

/* scores = mean of the smoothing ring's slots, added oldest first. */
static void smooth(kws_state_t *s) {
    int classes = s->model->n_classes, size = s->model->smoothing;
    for (int i = 0; i < classes; i++) {
        float sum = 0.0f;
        for (int age = s->score_count; age > 0; age--) {
            sum = sum + s->score_ring[((s->score_next - age + size) % size) * classes + i];
        }
        s->scores[i] = sum / (float)s->score_count;
    }
}

/* Re-arms the words whose score has dropped, then says whether the best class is an event. */
static int decide(kws_state_t *s, kws_event_t *event) {
    const kws_model_t *model = s->model;
    for (int i = 0; i < model->n_words; i++) {
        if (s->scores[i] < 0.5f * s->thresholds[i]) {
            s->armed[i] = 1;
        }
    }

    int best = 0;
    for (int i = 1; i < model->n_classes; i++) {
        if (s->scores[i] > s->scores[best]) {
            best = i;
        }
    }
    if (best >= model->n_words || !s->armed[best] || !(s->scores[best] >= s->thresholds[best])) {
        return 0;
    }
    uint64_t last = s->last_event[best];
    if (last != KWSI_NEVER && s->samples - last < (uint64_t)model->refractory) {
        return 0;
    }

    s->armed[best] = 0;
    s->last_event[best] = s->samples;
    *event = (kws_event_t){.sample = s->samples, .word = best, .delta = s->depth->delta, .score = s->scores[best]};
    return 1;
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
        classify(state);
        smooth(state);
        count += decide(state, &events[count]);
    }
    return count;
}
