/* SPDX-License-Identifier: Apache-2.0
 *
 * The state of one stream: a fixed struct at the start of the caller's memory, then its arrays (see state.c).
 */
#ifndef KWSI_STATE_H
#define KWSI_STATE_H

#include "kernels.h"

struct kws_state {
    const kws_model_t *model;
    const kwsi_kernels_t *kernels;
    const kws_depth_t *depth;

    /* The stream. Its arrays live as long as the stream does. */
    uint64_t samples;     /* consumed so far */
    int32_t pcm_next;     /* slot of the PCM ring that the next sample takes, and thus its oldest sample */
    int32_t frame_next;   /* same for the frame ring */
    int32_t score_next;   /* same for the smoothing ring */
    int32_t score_count;  /* slots of the smoothing ring in use */
    int32_t to_frame;     /* samples to go until the next frame, 1..hop */
    int32_t to_decision;  /* frames to go until the next classification, 1..hop_frames */
    int16_t *pcm_ring;    /* [n_fft] */
    float *frame_ring;    /* [frames][n_mels] dB */
    float *score_ring;    /* [smoothing][n_classes] probabilities */
    float *scores;        /* [n_classes] smoothed */
    float *thresholds;    /* [n_words] */
    uint64_t *last_event; /* [n_words] position of the word's last event; NEVER before the first */
    uint8_t *armed;       /* [n_words] */

    /* Scratch, free for use by every call. */
    float *spectrum;        /* [n_fft] */
    float *input;           /* [frames][n_mels] */
    uint16_t *conv1_bits;   /* [n_mels / 2][frames / 2] */
    uint64_t *linear_input; /* [T][M / 2] */
    int16_t *acc;           /* [T][max(32 M, C, H)] */
    float *x;               /* [T][C] */
    uint64_t *bits;         /* [T][max(C, H) / 64] */
};

#define KWSI_NEVER UINT64_MAX

/* KWS_OK, or why this engine does not run the model. */
kws_status_t kwsi_check_model(const kws_model_t *model);

/* The depth with this delta, or null. */
const kws_depth_t *kwsi_find_depth(const kws_model_t *model, int delta);

/* One frame in dB, [n_mels], from n_fft samples that lie in two pieces, older first; the second may be empty. */
void kwsi_frame(kws_state_t *state, const int16_t *older, int n_older, const int16_t *newer, float *frame);

/* The network at the state's depth. features [frames][n_mels] may be state->input itself; trace may be null. */
void kwsi_network(kws_state_t *state, const float *features, float *logits, int16_t *trace);

#endif
