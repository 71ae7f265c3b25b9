/* SPDX-License-Identifier: Apache-2.0
 *
 * The convolutions, and what they need not compute anew: from one window of a stream to the next, most of the input
 * only moves. Outputs that see neither the old window's edges nor the new one's move with it and stay the same bits.
 *
 * With T = frames / 4, a first column t reads frames 2 t - 2 .. 2 t + 2: columns 1 .. 2 T - 2 see no edge. A step t of
 * the second convolution reads columns 2 t - 2 .. 2 t + 2: steps 2 .. T - 2 see none. The blocks cannot do the same:
 * each memory looks two steps either way, so that after two of them every step has seen an edge of a one-second window.
 */
#include "state.h"
#include "sums.h"

/* Outputs computed by one call of a convolution: what its pointers to inputs cost on the stack. */
enum { CHUNK = 8, INPUTS = 2 * CHUNK + 3 };

static int smaller(int a, int b) {
    return a < b ? a : b;
}

/* Where frames 2 * from - 2 .. of the first convolution's input lie; count columns need 2 * count + 3. */
static void find_rows(const kws_state_t *s, const kwsi_front_t *front, int from, int count,
                      const int8_t *rows[INPUTS]) {
    const kws_frontend_t *f = s->model->frontend;
    int bytes = kwsi_row_bytes(f->n_mels), frame = 2 * from - 2, before = frame < 0 ? 2 : 0, i = 0;
    int inside = smaller(2 * count + 3, f->frames - frame);
    const int8_t *end = front->rows + f->frames * bytes;
    const int8_t *at = front->rows + (front->first + frame + before) % f->frames * bytes;
    for (; i < before; i++) {
        rows[i] = s->padding;
    }
    for (; i < inside; i++) {
        rows[i] = at;
        at += bytes;
        at = at == end ? front->rows : at;
    }
    for (; i < 2 * count + 3; i++) {
        rows[i] = s->padding;
    }
}

/* Columns from .. end - 1. */
static void compute_columns(const kws_state_t *s, const kwsi_front_t *front, int from, int end) {
    const kws_model_t *model = s->model;
    int n_mels = model->frontend->n_mels;
    for (; from < end; from += CHUNK) {
        int count = smaller(CHUNK, end - from);
        const int8_t *rows[INPUTS];
        find_rows(s, front, from, count, rows);
        uint16_t *bits = front->columns + from * model->planes * kwsi_column_words(n_mels);
        kwsi_conv1_fn *convolve = model->planes == 1 ? s->kernels->conv1 : s->kernels->conv1_two;
        convolve(rows, count, n_mels, model->conv1_weight, model->conv1_threshold, bits);
    }
}

/* Where columns 2 * from - 2 .. of the second convolution's input lie; count steps need 2 * count + 3. */
static void find_columns(const kws_state_t *s, const kwsi_front_t *front, int from, int count,
                         const uint16_t *columns[INPUTS]) {
    const kws_frontend_t *f = s->model->frontend;
    int words = s->model->planes * kwsi_column_words(f->n_mels), column = 2 * from - 2, before = column < 0 ? 2 : 0;
    int inside = smaller(2 * count + 3, f->frames / 2 - column), i = 0;
    const uint16_t *at = front->columns + (column + before) * words;
    for (; i < before; i++) {
        columns[i] = (const uint16_t *)s->padding;
    }
    for (; i < inside; i++, at += words) {
        columns[i] = at;
    }
    for (; i < 2 * count + 3; i++) {
        columns[i] = (const uint16_t *)s->padding;
    }
}

/* Steps from .. end - 1. */
static void compute_steps(const kws_state_t *s, const kwsi_front_t *front, int from, int end) {
    const kws_model_t *model = s->model;
    int m = model->frontend->n_mels / 4;
    for (; from < end; from += CHUNK) {
        int count = smaller(CHUNK, end - from);
        const uint16_t *columns[INPUTS];
        find_columns(s, front, from, count, columns);
        uint64_t *bits = front->linear_input + from * model->planes * (m / 2);
        kwsi_conv2_fn *convolve = model->planes == 1 ? s->kernels->conv2 : s->kernels->conv2_two;
        convolve(columns, count, m, model->conv2_weight, model->conv2_below, bits);
    }
}

/* Moves what stays valid when the window moves on by `steps`, and computes the rest. */
static void advance(const kws_state_t *s, const kwsi_front_t *front, int steps) {
    const kws_frontend_t *f = s->model->frontend;
    int t = f->frames / 4, last_column = 2 * (t - 1 - steps), last_step = t - 2 - steps;
    int planes = s->model->planes, words = planes * kwsi_column_words(f->n_mels), row = planes * (f->n_mels / 8);
    for (int i = 1; i <= last_column; i++) {
        memcpy(front->columns + i * words, front->columns + (i + 2 * steps) * words, sizeof(uint16_t) * (size_t)words);
    }
    for (int i = 2; i <= last_step; i++) {
        memcpy(front->linear_input + i * row, front->linear_input + (i + steps) * row, sizeof(uint64_t) * (size_t)row);
    }
    compute_columns(s, front, 0, 1);
    compute_columns(s, front, last_column + 1, 2 * t);
    compute_steps(s, front, 0, 2);
    compute_steps(s, front, last_step + 1, t);
}

void kwsi_front(kws_state_t *state, const kwsi_front_t *front) {
    int t = state->model->frontend->frames / 4, hop = front->hop;
    if (hop > 0 && hop % 4 == 0 && hop / 4 <= t - 4) {
        advance(state, front, hop / 4);
    } else {
        compute_columns(state, front, 0, 2 * t);
        compute_steps(state, front, 0, t);
    }
}

void kwsi_keep_frame(const kws_state_t *state, const kwsi_front_t *front, int index, const float *frame) {
    const kws_frontend_t *f = state->model->frontend;
    int8_t *row = front->rows + index * kwsi_row_bytes(f->n_mels);
    state->kernels->quantize(frame, 1, f->n_mels, f->offset, f->scale, row);
}

int16_t *kwsi_trace_front(const kws_state_t *state, const kwsi_front_t *front, int16_t *trace) {
    const kws_model_t *model = state->model;
    for (int step = 0; step < model->frontend->frames / 4; step++) {
        const uint16_t *columns[INPUTS];
        find_columns(state, front, step, 1, columns);
        trace = kwsi_trace_conv2(columns, model->frontend->n_mels / 4, model->planes, model->conv2_weight, trace);
    }
    return trace;
}
