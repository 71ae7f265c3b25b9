/* SPDX-License-Identifier: Apache-2.0
 *
 * From probabilities to events. Each word has its own threshold, its own refractory time, and its own trigger, which a
 * fallen score sets, and an event or a few windows use up. Those few are what keeps a word from being heard long after
 * its end: its score is high for as long as the window holds it, and may creep over a threshold late.
 */
#include "state.h"

/* scores = mean of the newest `count` slots of the smoothing ring, added oldest first: they end before slot score_next,
 * around the ring. Returns the best class. */
static int smooth(kws_state_t *s, int count) {
    int classes = s->model->n_classes, size = KWS_MAX_SMOOTHING, best = 0;
    for (int i = 0; i < classes; i++) {
        float sum = 0.0f;
        for (int slot = size - count; slot < size; slot++) {
            sum = sum + s->score_ring[(s->score_next + slot) % size * classes + i];
        }
        s->scores[i] = sum / (float)count;
        best = s->scores[i] > s->scores[best] ? i : best;
    }
    return best;
}

int kwsi_decide(kws_state_t *s, const kws_depth_t *answered, kws_event_t *event) {
    const kws_model_t *model = s->model;
    const float *limits = s->limits + (s->depth - model->depths) * model->n_words;
    s->score_next = (s->score_next + 1) % KWS_MAX_SMOOTHING;
    if (s->score_count < KWS_MAX_SMOOTHING) {
        s->score_count++;
    }
    int best = smooth(s, s->score_count < s->smoothing ? s->score_count : s->smoothing);
    /* A mean of fewer windows than it is made for jumps higher: a stream that starts amid sound would fire. */
    if (s->score_count < s->smoothing) {
        return 0;
    }
    for (int i = 0; i < model->n_words; i++) {
        if (s->scores[i] < s->release * limits[i]) {
            s->risen[i] = 0;
        } else if (s->risen[i] < KWSI_USED_UP) {
            s->risen[i]++;
        }
    }

    /* Silence by the gate scores 0 everywhere, which not even a threshold of 0 should take for a word. */
    if (best >= model->n_words || !(s->scores[best] >= limits[best]) || !(s->scores[best] > 0.0f) ||
        !kwsi_is_ready(s, best)) {
        return 0;
    }
    s->risen[best] = KWSI_USED_UP;
    s->last_event[best] = s->samples;
    *event = (kws_event_t){.sample = s->samples, .word = best, .delta = answered->delta, .score = s->scores[best]};
    return 1;
}
