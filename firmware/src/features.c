/* SPDX-License-Identifier: Apache-2.0
 *
 * Sound to log-mel frames: window, power spectrum, mel filters, decibels.
 */
#include "state.h"

void kwsi_frame(kws_state_t *state, const int16_t *older, int n_older, const int16_t *newer, float *frame) {
    const kws_frontend_t *f = state->model->frontend;
    const kwsi_kernels_t *run = state->kernels;
    float *work = state->spectrum;
    run->window(older, f->window, n_older, work);
    run->window(newer, f->window + n_older, f->n_fft - n_older, work + n_older);
    run->spectrum(work, f->n_fft, f->twiddle);
    run->mel(work, f->mel_first, f->mel_count, f->mel_weight, f->n_mels, frame);
}

kws_status_t kws_features(kws_state_t *state, const int16_t *pcm, float *features) {
    if (!state || !pcm || !features) {
        return KWS_ERROR_ARGUMENT;
    }
    const kws_frontend_t *f = state->model->frontend;
    for (int i = 0; i < f->frames; i++) {
        const int16_t *start = pcm + i * f->hop;
        kwsi_frame(state, start, f->n_fft, start + f->n_fft, features + i * f->n_mels);
    }
    return KWS_OK;
}
