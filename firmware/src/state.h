/* SPDX-License-Identifier: Apache-2.0
 *
 * The state of one stream: a fixed struct at the start of the caller's memory, then its arrays (see state.c).
 */
#ifndef KWSI_STATE_H
#define KWSI_STATE_H

#include "kernels.h"

/* What the network's front makes of a window, up to the input of the linear layer. Time T = frames / 4 steps. */
typedef struct kwsi_front {
    int8_t *rows;           /* [frames][kwsi_row_bytes] quantized frames, a ring */
    int32_t first;          /* slot of the ring that holds the window's oldest frame */
    int32_t hop;            /* frames since the window that columns and linear_input are of; 0: of none */
    uint16_t *columns;      /* [2 T][planes][kwsi_column_words] output of the first convolution */
    uint64_t *linear_input; /* [T, rounded up to a tile][planes][M / 2] output of the second; zeros beyond T */
} kwsi_front_t;

struct kws_state {
    const kws_model_t *model;
    const kwsi_kernels_t *kernels;
    const kws_depth_t *depth;    /* decides, and runs what is classified outside the stream */
    const kws_depth_t *listener; /* wakes `depth`; null where `depth` runs every window */

    /* Settings of the decision. */
    float sensitivity; /* that moves `wake` */
    float wake;
    float wake_limit; /* `wake`, moved by the sensitivity */
    float release;
    float gate;
    int32_t smoothing;
    float *sensitivities; /* [n_words] */
    int32_t *refractory;  /* [n_words] */
    float *thresholds;    /* [n_depths][n_words] as set */
    float *limits;        /* [n_depths][n_words] as moved by the word's sensitivity */

    /* The stream. Its arrays live as long as the stream does. */
    uint64_t samples;     /* consumed so far */
    int32_t pcm_next;     /* slot of the PCM ring that the next sample takes, and thus its oldest sample */
    int32_t score_next;   /* same for the smoothing ring */
    int32_t score_count;  /* slots of the smoothing ring in use */
    int32_t to_frame;     /* samples to go until the next frame, 1..hop */
    int32_t to_decision;  /* frames to go until the next classification, 1..2 hop_frames */
    kwsi_front_t stream;  /* of the stream's window */
    int16_t *pcm_ring;    /* [n_fft] */
    float *newest;        /* [n_mels] dB, the last frame */
    float *score_ring;    /* [KWS_MAX_SMOOTHING][n_classes] probabilities */
    float *scores;        /* [n_classes] smoothed */
    uint64_t *last_event; /* [n_words] position of the word's last event; KWSI_NEVER before the first */
    uint8_t *risen;       /* [n_words] windows since the word's score was low; KWSI_USED_UP after an event of it, too */
    float *levels;        /* [frames] dBFS of each frame's newest hop, a ring like the window's rows */
    uint64_t *classified; /* [n_depths] windows at each, then those at any */

    /* Scratch, free for use by every call. */
    kwsi_front_t single; /* of a window that stands alone */
    int8_t *padding;     /* [planes][kwsi_row_bytes] zeros: a row or a column outside the window */
    float *spectrum;     /* [2 n_fft] */
    float *frame;        /* [n_mels] dB */
    int32_t *sums;       /* [n_classes] */
    int16_t *x;          /* [T / 8][C][8] the residual stream */
    uint64_t *bits[2];   /* [T, rounded up to a tile][planes][max(C, H) / 64] what one operator leaves for the next */
};

/* So far from every position that no refractory time lasts until then. */
#define KWSI_NEVER (UINT64_C(1) << 63)

/* Brings `limits` and `wake_limit` up to the thresholds and the sensitivities. */
void kwsi_move_thresholds(kws_state_t *state);

/* More windows than any score has to rise. */
#define KWSI_USED_UP UINT8_MAX

/* Windows that a score has from half its threshold to all of it: the later half of those averaged, and two to spare. */
static inline int kwsi_rise(const kws_state_t *s) {
    return s->smoothing / 2 + 2;
}

/* Whether the word may make an event now: it is armed, and its refractory time is over. */
static inline int kwsi_is_ready(const kws_state_t *s, int word) {
    return s->risen[word] <= kwsi_rise(s) && s->samples - s->last_event[word] >= (uint64_t)s->refractory[word];
}

/* What the newest window's probabilities, in the smoothing ring, come to: smoothed scores, and 1 where they make an
 * event. `answered`: the deepest that the probabilities are of. */
int kwsi_decide(kws_state_t *state, const kws_depth_t *answered, kws_event_t *event);

/* Steps in time, rounded up to whole tiles. */
static inline int kwsi_steps(int frames) {
    return (frames / 4 + KWSI_TILE - 1) / KWSI_TILE * KWSI_TILE;
}

/* KWS_OK, or why this engine does not run the model. */
kws_status_t kwsi_check_model(const kws_model_t *model);

/* The depth with this delta, or null. */
const kws_depth_t *kwsi_find_depth(const kws_model_t *model, int delta);

/* One frame in dB, [n_mels], from n_fft samples that lie in two pieces, older first; the second may be empty. */
void kwsi_frame(kws_state_t *state, const int16_t *older, int n_older, const int16_t *newer, float *frame);

/* Slot `index` of the front's ring takes a frame in dB, [n_mels]. */
void kwsi_keep_frame(const kws_state_t *state, const kwsi_front_t *front, int index, const float *frame);

/* Brings columns and linear_input up to the window in `rows`. */
void kwsi_front(kws_state_t *state, const kwsi_front_t *front);

/* Writes the second convolution's accumulators at `trace` and returns what follows. */
int16_t *kwsi_trace_front(const kws_state_t *state, const kwsi_front_t *front, int16_t *trace);

/* From a front's linear_input to logits at the state's depth; trace may be null. */
void kwsi_network(kws_state_t *state, const kwsi_front_t *front, float *logits, int16_t *trace);

#endif
