/* SPDX-License-Identifier: Apache-2.0
 *
 * kws: binary-network keyword spotting. This is the whole public interface.
 *
 *     #include "kws.h"
 *     #include "models/kws12_listener.h"             // written by `kws export`
 *
 *     static _Alignas(KWS_ALIGN) unsigned char memory[KWS_KWS12_LISTENER_STATE_SIZE];
 *     kws_state_t *kws;
 *     if (kws_init(memory, sizeof memory, &kws_kws12_listener, &kws) != KWS_OK) abort();
 *
 *     int16_t pcm[512];                              // any chunk size works
 *     kws_event_t events[KWS_EVENT_CAPACITY(512)];
 *     while (read_microphone(pcm, 512)) {
 *         int n = kws_feed(kws, pcm, 512, events, KWS_EVENT_CAPACITY(512));
 *         for (int i = 0; i < n; i++)
 *             printf("%s %.2f s\n", kws_kws12_listener.class_names[events[i].word], events[i].sample / 16000.0);
 *     }
 *
 * Rules the engine keeps: C11; no allocation; no global that changes; no libc beyond memcpy and memset; reentrant, one
 * state a stream; the same input gives the same bits on every target (the network is integer arithmetic from the
 * quantized features to the logits; the few floats have one fixed order and no fused multiply-adds).
 *
 * Bits: 1 stands for +1 and 0 for -1; bit i of 64-bit word j is channel 64 j + i. A binary dot product over K channels
 * is K - 2 d, d = popcount(a ^ b). Inputs may have two planes p, q of bits, which stand for 2 p + q, one of -3, -1, 1, 3:
 * then d = 2 d(p) + d(q) and K counts thrice. Comparisons that make them come in threes, `edges`: the first gives p, and q
 * is that of the second where p is 1 and of the third where it is 0. Where a value feeds only such bits, the layer keeps
 * the comparison alone:
 * bit = (d < below) ^ flip. Where the value counts, it is int16 in the model's own unit:
 * v = bias - mulr(d << shift, scale), prelu(v) = max(v, mulr(v, slope)), with mulr(a, b) = (a b + 2^14) / 2^15 rounded
 * down, `shift` the one that lifts K to 2^15 or just below, and every result saturated.
 */
#ifndef KWS_H
#define KWS_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define KWS_ENGINE_VERSION 4 /* changes when kws_model_t or the meaning of a field does */
#define KWS_ALIGN 64         /* of the caller's memory and of every model array */

#define KWS_KERNEL 5 /* taps of the convolutions, per side, and of the depthwise memory */
#define KWS_CONV1_CHANNELS 16
#define KWS_CONV2_CHANNELS 32
#define KWS_MAX_SMOOTHING 16

/* Most events that feeding `n` samples can return: at most one a classification, at most one classification a hop. */
#define KWS_EVENT_CAPACITY(n) ((n) / 64 + 1)

typedef enum kws_status {
    KWS_OK = 0,
    KWS_ERROR_ARGUMENT = -1, /* a null pointer or a value out of range */
    KWS_ERROR_VERSION = -2,  /* the model was exported for another engine version */
    KWS_ERROR_MODEL = -3,    /* shapes that this engine does not run */
    KWS_ERROR_MEMORY = -4,   /* memory too small or not KWS_ALIGN-aligned */
    KWS_ERROR_CAPACITY = -5  /* fewer event slots than KWS_EVENT_CAPACITY(n); nothing was consumed */
} kws_status_t;

/* Log-mel front end: data, not code. Powers are window-normalised; feature = 10 log10(max(power, 1e-10)) in dB. */
typedef struct kws_frontend {
    int32_t sample_rate; /* Hz */
    int32_t n_fft;       /* samples a frame; a power of two, 64..4096 */
    int32_t hop;         /* samples between frames, 64..n_fft */
    int32_t n_mels;      /* bands, a multiple of 8, at most 256: two mel steps fill a word of linear_weight */
    int32_t frames;      /* frames a window, a multiple of 4, at most 1024 */
    float offset;        /* dB */
    float scale; /* steps per dB: the network sees floor((feature - offset) * scale + 1/2), saturated at 8 bits */
    const float *window;       /* [n_fft] Hann / sqrt(sum of squares) / 32768: int16 in, normalised out */
    const float *twiddle;      /* factors of the FFT in the order of kws/features.py, twiddles() */
    const uint16_t *mel_first; /* [n_mels] first FFT bin of each filter */
    const uint16_t *mel_count; /* [n_mels] bins of each filter, a multiple of 8; no filter passes bin n_fft / 2 */
    const float *mel_weight;   /* [sum of mel_count] filters one after another */
} kws_frontend_t;

/* One block's weights, shared by every depth that runs it.   C = channels, H = hidden. */
typedef struct kws_block {
    const uint64_t *memory_weight;  /* [KWS_KERNEL][C/64] depthwise taps, oldest frame first */
    const uint64_t *expand_weight;  /* [H][C/64] */
    const uint64_t *project_weight; /* [C][H/64] */
    const int16_t *memory_input;    /* [E][C] bit = (x >= memory_input) feeds the depthwise memory */
    const int16_t *memory_slope;    /* [C] PReLU slope for negative values, in 1/32768; not -32768 */
    const int16_t *expand_input;    /* [E][C] bit = (x >= expand_input) feeds the expansion */
    const int16_t *project_slope;   /* [C] */
} kws_block_t;

/* One block as one depth runs it: its batch norms and scales, folded.
 *   x = x + prelu(memory(x));  bits = (d < expand_below) ^ expand_flip;  x = x + prelu(project(bits)) */
typedef struct kws_pass {
    const kws_block_t *block;
    const int16_t *memory_scale;  /* [C] not -32768 */
    const int16_t *memory_bias;   /* [C] the value where no input differs */
    const int16_t *expand_below;  /* [E][H] 0..K+1 */
    const uint64_t *expand_flip;  /* [H/64] */
    const int16_t *project_scale; /* [C] */
    const int16_t *project_bias;  /* [C] */
} kws_pass_t;

typedef struct kws_depth {
    int32_t delta; /* 1: every block, 2: every second, 4: every fourth */
    int32_t n_passes;
    const kws_pass_t *passes; /* [n_passes] in order */
    const float *class_scale; /* [n_classes] logit = class_scale * sum(class_weight * x8) + class_bias, and x8 is */
    const float *class_bias;  /* [n_classes]   x / 64, rounded half up and clipped to 8 bits */
} kws_depth_t;

/* A model: shapes, tables, and pointers to const, KWS_ALIGN-aligned arrays.   T = frames/4, M = n_mels/4. Taps of the
 * convolutions are numbered 5 * time + mel. */
typedef struct kws_model {
    uint32_t version;   /* KWS_ENGINE_VERSION */
    int32_t planes;     /* bits of every binary layer's input, 1 or 2; E = 2 planes - 1 edges make them */
    int32_t channels;   /* C: a multiple of 64, at most 256 */
    int32_t hidden;     /* H: a multiple of 64, at most 512 */
    int32_t n_blocks;   /* 1..64 */
    int32_t n_depths;   /* 1..64 */
    int32_t n_classes;  /* 1..1024 */
    int32_t n_words;    /* classes below are words, at least one; the rest (unknown, silence) never make an event */
    int32_t hop_frames; /* frames between classifications of a stream, 1..frames */
    int32_t smoothing;  /* classifications averaged, 1..KWS_MAX_SMOOTHING */
    int32_t refractory; /* samples after an event of a word in which it cannot fire again */
    float release;      /* a word is armed again once its score is below release * threshold; 0..1 */
    float gate;         /* dBFS: a window whose loudest hop is below it is silence, unclassified; -100 or less: none */
    float wake;         /* probability of a word at the listening depth that makes the confirming one run, at least 0 */
    int32_t listen_delta; /* the depth that listens for depths[0], a thinner one; 0: depths[0] runs every window */
    const kws_frontend_t *frontend;
    const kws_block_t *blocks;      /* [n_blocks] */
    const kws_depth_t *depths;      /* [n_depths], deepest first */
    const char *const *class_names; /* [n_classes] */
    const float *word_threshold;    /* [n_depths][n_words] smoothed score that makes an event, at least 0 */
    const int8_t *conv1_weight;     /* [25][16] sum of |weight| of an output over taps 0..12, and 13..24, at most 255 */
    const int16_t *conv1_threshold; /* [E][16] bit = (sum >= conv1_threshold), not -32768; edge padded with 0 */
    const uint16_t *conv2_weight;   /* [32][25] bit i of a tap is input channel i; edge padded with -1 */
    const int16_t *conv2_below;     /* [E][32] bit = (d < conv2_below) */
    const uint64_t *linear_weight;  /* [C][M*32/64] input 32 * mel + channel */
    const int16_t *linear_scale;    /* [C] x = prelu(linear(bits)); not -32768 */
    const int16_t *linear_bias;     /* [C] */
    const int16_t *linear_slope;    /* [C] */
    const int8_t *class_weight;     /* [n_classes][ceil(T/8)][C][8 steps], 0 beyond T; of four channels, every second of
                                     * eight, |weight| of a step adds up to at most 255 */
} kws_model_t;

typedef struct kws_event {
    uint64_t sample; /* stream position at the end of the window that decided, in samples since kws_init */
    int32_t word;    /* index into class_names */
    int32_t delta;   /* depth that decided */
    float score;     /* smoothed probability, 0..1 */
} kws_event_t;

typedef struct kws_state kws_state_t;

/* Bytes of caller memory that `model` needs (0 for a model that kws_init would refuse). The exported header holds the
 * same number as a constant. */
size_t kws_state_size(const kws_model_t *model);

/* Lays a state out in `memory`, starting as after endless digital silence, with the model's settings. */
kws_status_t kws_init(void *memory, size_t size, const kws_model_t *model, kws_state_t **state);

/* Back to the start of a stream, keeping every setting. */
void kws_reset(kws_state_t *state);

/* Feeds `n` samples of 16-bit PCM at the model's rate; writes events in order and returns their count, or a negative
 * kws_status_t. The events of a stream do not depend on how it is cut into chunks. There is none before `smoothing`
 * windows have been heard. */
int kws_feed(kws_state_t *state, const int16_t *pcm, size_t n, kws_event_t *events, size_t capacity);

/* Samples that one window spans: n_fft + (frames - 1) * hop. */
size_t kws_window_samples(const kws_model_t *model);

/* Classifies one window of kws_window_samples() samples; the stream is not disturbed. logits: [n_classes]. */
kws_status_t kws_classify(kws_state_t *state, const int16_t *pcm, float *logits);

/* The two halves of kws_classify. features: [frames][n_mels] in dB. */
kws_status_t kws_features(kws_state_t *state, const int16_t *pcm, float *features);
kws_status_t kws_network(kws_state_t *state, const float *features, float *logits);

/* Integer accumulators K - 2 d (two planes: 3 K - 2 d) of one kws_network call at `delta`, in the order they are computed, for tests:
 * convolution [time][mel][32], linear [T][C], then per pass memory [T][C], expansion [T][H], projection [T][C]. */
size_t kws_trace_size(const kws_model_t *model, int delta); /* count of int16 values, 0 where delta is unknown */
kws_status_t kws_network_traced(kws_state_t *state, const float *features, float *logits, int16_t *trace);

/* probabilities[i] = exp(logits[i]) / sum, in the engine's own fixed-order arithmetic. */
void kws_softmax(const float *logits, int n, float *probabilities);

/* Settings, legal between any two calls; they start as the model says. */

/* One depth classifies every window, and everything outside the stream. */
kws_status_t kws_set_depth(kws_state_t *state, int delta);

/* Adaptive depth: the thinner `listen_delta` classifies a window. Where it gives some word that may make an event now a
 * probability of at least the wake threshold, `confirm_delta` classifies the same window, and the window's answer is
 * the mean of both, three to one for the second. Where it does not, the next window is left out: no depth classifies
 * it, nothing is averaged, no event is made. The thresholds are those of `confirm_delta`, which also serves everything
 * outside the stream. kws_set_depth ends it. */
kws_status_t kws_set_adaptive(kws_state_t *state, int listen_delta, int confirm_delta);
kws_status_t kws_set_wake(kws_state_t *state, float wake);

kws_status_t kws_set_threshold(kws_state_t *state, int word, float threshold); /* at every depth; above 1 never fires */

/* Moves every threshold, the wake threshold too: the logit ln(t / (1 - t)) of each by KWS_SENSITIVITY_SPAN * (1/2 -
 * sensitivity). 0..1; 1/2, where a stream starts, leaves them as they are. Thresholds from 1 up stay. The second moves
 * those of one word alone, until the first moves all again. */
kws_status_t kws_set_sensitivity(kws_state_t *state, float sensitivity);
kws_status_t kws_set_word_sensitivity(kws_state_t *state, int word, float sensitivity);
#define KWS_SENSITIVITY_SPAN 8.0f

/* `smoothing` of kws_model_t, 1..KWS_MAX_SMOOTHING, from the next window on. Windows heard before count, too; there is
 * no event before `windows` of them have been heard since the start. */
kws_status_t kws_set_smoothing(kws_state_t *state, int32_t windows);

/* `refractory` of kws_model_t: of every word, or of one until the first sets all again. */
kws_status_t kws_set_refractory(kws_state_t *state, int32_t samples);
kws_status_t kws_set_word_refractory(kws_state_t *state, int word, int32_t samples);

/* `release` and `gate` of kws_model_t. */
kws_status_t kws_set_release(kws_state_t *state, float fraction);
kws_status_t kws_set_gate(kws_state_t *state, float dbfs);

/* Which implementation of the operators runs: "portable", "neon", "avx2" or "avx512". kws_init takes the fastest that
 * this build holds and this processor runs; another gives the same bits. KWS_ERROR_ARGUMENT where there is none. */
kws_status_t kws_set_isa(kws_state_t *state, const char *name);
const char *kws_isa(const kws_state_t *state);

/* What the stream last saw, for displays: smoothed scores [n_classes], and the newest frame [n_mels] in dB. A window
 * that the gate took for silence has a score of 0 in every class. */
const float *kws_scores(const kws_state_t *state);
const float *kws_last_frame(const kws_state_t *state);

/* The level that the gate goes by: RMS of the loudest hop in the window, dB below full scale, -100 at least. */
float kws_level(const kws_state_t *state);

/* The score that makes an event of `word` now, sensitivity included; -1 where there is no such word. */
float kws_threshold(const kws_state_t *state, int word);

/* Work done since kws_init or kws_reset: windows classified at `delta`; at 0, those that no depth classified, be it for
 * the gate or because the adaptive depth left them out. */
uint64_t kws_classified(const kws_state_t *state, int delta);

#ifdef __cplusplus
}
#endif
#endif
