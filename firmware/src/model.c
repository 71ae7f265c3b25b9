/* SPDX-License-Identifier: Apache-2.0
 *
 * Questions about a model alone: can this engine run it, and how large are the things it works with.
 */
#include "state.h"

/* The ranges that kws.h states: sizes stay far from overflow of int16 accumulators and of 32-bit counts. */
enum {
    MIN_FFT = 64,
    MAX_FFT = 4096,
    MIN_HOP = 64,
    MAX_MELS = 256,
    MAX_FRAMES = 1024,
    MAX_PLANES = 2,
    MAX_CHANNELS = 256,
    MAX_HIDDEN = 512,
    MAX_BLOCKS = 64,
    MAX_DEPTHS = 64,
    MAX_CLASSES = 1024,
};

static int in_range(int32_t value, int32_t least, int32_t most) {
    return value >= least && value <= most;
}

/* A positive multiple of `step`, at most `most`. */
static int in_steps(int32_t value, int32_t step, int32_t most) {
    return in_range(value, step, most) && value % step == 0;
}

static int is_array(const void *array) {
    return array && (uintptr_t)array % KWS_ALIGN == 0;
}

static int are_arrays(const void *const *arrays, size_t count) {
    for (size_t i = 0; i < count; i++) {
        if (!is_array(arrays[i])) {
            return 0;
        }
    }
    return 1;
}

static int is_frontend(const kws_frontend_t *f) {
    if (!f || f->sample_rate < 1 || !kwsi_is_finite(f->offset) || !kwsi_is_finite(f->scale)) {
        return 0;
    }
    if (!in_range(f->n_fft, MIN_FFT, MAX_FFT) || (f->n_fft & (f->n_fft - 1)) || !in_range(f->hop, MIN_HOP, f->n_fft)) {
        return 0;
    }
    if (!in_steps(f->n_mels, 8, MAX_MELS) || !in_steps(f->frames, 4, MAX_FRAMES)) {
        return 0;
    }
    const void *const arrays[] = {f->window, f->twiddle, f->mel_first, f->mel_count, f->mel_weight};
    if (!are_arrays(arrays, sizeof arrays / sizeof *arrays)) {
        return 0;
    }
    for (int i = 0; i < f->n_mels; i++) {
        if (f->mel_count[i] % 8 || f->mel_first[i] + f->mel_count[i] > f->n_fft / 2 + 1) {
            return 0;
        }
    }
    return 1;
}

static int is_sized(const kws_model_t *model) {
    return in_range(model->planes, 1, MAX_PLANES) && in_steps(model->channels, 64, MAX_CHANNELS) &&
           in_steps(model->hidden, 64, MAX_HIDDEN) && in_range(model->n_blocks, 1, MAX_BLOCKS) &&
           in_range(model->n_depths, 1, MAX_DEPTHS) && in_range(model->n_classes, 1, MAX_CLASSES) &&
           in_range(model->n_words, 1, model->n_classes) && in_range(model->hop_frames, 1, model->frontend->frames) &&
           in_range(model->smoothing, 1, KWS_MAX_SMOOTHING) && model->refractory >= 0;
}

static int is_stream(const kws_model_t *model) {
    const kws_depth_t *listener = kwsi_find_depth(model, model->listen_delta);
    return kwsi_is_finite(model->release) && model->release >= 0.0f && model->release <= 1.0f &&
           kwsi_is_finite(model->gate) && kwsi_is_finite(model->wake) && model->wake >= 0.0f &&
           (model->listen_delta == 0 || (listener && listener->delta > model->depths[0].delta));
}

static int has_arrays(const kws_model_t *model) {
    const void *const arrays[] = {
        model->word_threshold, model->conv1_weight, model->conv1_threshold, model->conv2_weight, model->conv2_below,
        model->linear_weight,  model->linear_scale, model->linear_bias,     model->linear_slope, model->class_weight};
    return model->blocks && model->depths && model->class_names && are_arrays(arrays, sizeof arrays / sizeof *arrays);
}

static int has_words(const kws_model_t *model) {
    for (int i = 0; i < model->n_classes; i++) {
        if (!model->class_names[i]) {
            return 0;
        }
    }
    for (int i = 0; i < model->n_depths * model->n_words; i++) {
        if (!kwsi_is_finite(model->word_threshold[i]) || model->word_threshold[i] < 0.0f) {
            return 0;
        }
    }
    return 1;
}

static int is_block(const kws_block_t *b) {
    const void *const arrays[] = {b->memory_weight, b->expand_weight, b->project_weight, b->memory_input,
                                  b->memory_slope,  b->expand_input,  b->project_slope};
    return are_arrays(arrays, sizeof arrays / sizeof *arrays);
}

static int is_pass(const kws_model_t *model, const kws_pass_t *pass) {
    int known = 0; /* compared one by one: an order among unrelated pointers is undefined */
    for (int i = 0; i < model->n_blocks; i++) {
        known |= pass->block == &model->blocks[i];
    }
    const void *const arrays[] = {pass->memory_scale, pass->memory_bias,   pass->expand_below,
                                  pass->expand_flip,  pass->project_scale, pass->project_bias};
    return known && are_arrays(arrays, sizeof arrays / sizeof *arrays);
}

static int is_depth(const kws_model_t *model, const kws_depth_t *depth) {
    /* The first depth found by its delta must be this one: no two have the same. */
    if (depth->delta < 1 || kwsi_find_depth(model, depth->delta) != depth) {
        return 0;
    }
    if (!in_range(depth->n_passes, 1, MAX_BLOCKS) || !depth->passes || !is_array(depth->class_scale) ||
        !is_array(depth->class_bias)) {
        return 0;
    }
    for (int i = 0; i < depth->n_passes; i++) {
        if (!is_pass(model, &depth->passes[i])) {
            return 0;
        }
    }
    return 1;
}

kws_status_t kwsi_check_model(const kws_model_t *model) {
    if (!model) {
        return KWS_ERROR_ARGUMENT;
    }
    if (model->version != KWS_ENGINE_VERSION) {
        return KWS_ERROR_VERSION;
    }
    if (!is_frontend(model->frontend) || !is_sized(model) || !has_arrays(model) || !has_words(model)) {
        return KWS_ERROR_MODEL;
    }
    for (int i = 0; i < model->n_blocks; i++) {
        if (!is_block(&model->blocks[i])) {
            return KWS_ERROR_MODEL;
        }
    }
    for (int i = 0; i < model->n_depths; i++) {
        if (!is_depth(model, &model->depths[i])) {
            return KWS_ERROR_MODEL;
        }
    }
    return is_stream(model) ? KWS_OK : KWS_ERROR_MODEL;
}

const kws_depth_t *kwsi_find_depth(const kws_model_t *model, int delta) {
    for (int i = 0; i < model->n_depths; i++) {
        if (model->depths[i].delta == delta) {
            return &model->depths[i];
        }
    }
    return NULL;
}

size_t kws_window_samples(const kws_model_t *model) {
    if (kwsi_check_model(model) != KWS_OK) {
        return 0;
    }
    const kws_frontend_t *f = model->frontend;
    return (size_t)f->n_fft + (size_t)(f->frames - 1) * (size_t)f->hop;
}

size_t kws_trace_size(const kws_model_t *model, int delta) {
    if (kwsi_check_model(model) != KWS_OK) {
        return 0;
    }
    const kws_depth_t *depth = kwsi_find_depth(model, delta);
    if (!depth) {
        return 0;
    }
    size_t t = (size_t)model->frontend->frames / 4, m = (size_t)model->frontend->n_mels / 4;
    size_t c = (size_t)model->channels, h = (size_t)model->hidden;
    return t * (m * KWS_CONV2_CHANNELS + c + (size_t)depth->n_passes * (c + h + c));
}
