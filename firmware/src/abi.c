/* SPDX-License-Identifier: Apache-2.0
 *
 * What the compiler made of the structs of kws.h, so that a binding in another language can prove that it sees the
 * same. For the shared library of a host; firmware leaves it out with KWS_NO_ABI.
 */
#include "arithmetic.h"

#ifndef KWS_NO_ABI

#if defined(__GNUC__)
#pragma GCC visibility push(default)
#endif
/* sizeof the named struct ("kws_model_t"), 0 where there is none. */
size_t kws_abi_sizeof(const char *name);
/* offsetof the named field, SIZE_MAX where there is none. */
size_t kws_abi_offsetof(const char *name, const char *field);
#if defined(__GNUC__)
#pragma GCC visibility pop
#endif

typedef struct entry {
    const char *type;
    const char *field;
    size_t offset;
} entry_t;

#define FIELD(type, field) {#type, #field, offsetof(type, field)}

static const entry_t fields[] = {
    FIELD(kws_frontend_t, sample_rate),
    FIELD(kws_frontend_t, n_fft),
    FIELD(kws_frontend_t, hop),
    FIELD(kws_frontend_t, n_mels),
    FIELD(kws_frontend_t, frames),
    FIELD(kws_frontend_t, offset),
    FIELD(kws_frontend_t, scale),
    FIELD(kws_frontend_t, window),
    FIELD(kws_frontend_t, twiddle),
    FIELD(kws_frontend_t, mel_first),
    FIELD(kws_frontend_t, mel_count),
    FIELD(kws_frontend_t, mel_weight),
    FIELD(kws_block_t, memory_weight),
    FIELD(kws_block_t, expand_weight),
    FIELD(kws_block_t, project_weight),
    FIELD(kws_block_t, memory_input),
    FIELD(kws_block_t, memory_slope),
    FIELD(kws_block_t, expand_input),
    FIELD(kws_block_t, project_slope),
    FIELD(kws_pass_t, block),
    FIELD(kws_pass_t, memory_scale),
    FIELD(kws_pass_t, memory_bias),
    FIELD(kws_pass_t, expand_below),
    FIELD(kws_pass_t, expand_flip),
    FIELD(kws_pass_t, project_scale),
    FIELD(kws_pass_t, project_bias),
    FIELD(kws_depth_t, delta),
    FIELD(kws_depth_t, n_passes),
    FIELD(kws_depth_t, passes),
    FIELD(kws_depth_t, class_scale),
    FIELD(kws_depth_t, class_bias),
    FIELD(kws_model_t, version),
    FIELD(kws_model_t, planes),
    FIELD(kws_model_t, channels),
    FIELD(kws_model_t, hidden),
    FIELD(kws_model_t, n_blocks),
    FIELD(kws_model_t, n_depths),
    FIELD(kws_model_t, n_classes),
    FIELD(kws_model_t, n_words),
    FIELD(kws_model_t, hop_frames),
    FIELD(kws_model_t, smoothing),
    FIELD(kws_model_t, refractory),
    FIELD(kws_model_t, release),
    FIELD(kws_model_t, gate),
    FIELD(kws_model_t, wake),
    FIELD(kws_model_t, listen_delta),
    FIELD(kws_model_t, frontend),
    FIELD(kws_model_t, blocks),
    FIELD(kws_model_t, depths),
    FIELD(kws_model_t, class_names),
    FIELD(kws_model_t, word_threshold),
    FIELD(kws_model_t, conv1_weight),
    FIELD(kws_model_t, conv1_threshold),
    FIELD(kws_model_t, conv2_weight),
    FIELD(kws_model_t, conv2_below),
    FIELD(kws_model_t, linear_weight),
    FIELD(kws_model_t, linear_scale),
    FIELD(kws_model_t, linear_bias),
    FIELD(kws_model_t, linear_slope),
    FIELD(kws_model_t, class_weight),
    FIELD(kws_event_t, sample),
    FIELD(kws_event_t, word),
    FIELD(kws_event_t, delta),
    FIELD(kws_event_t, score),
};

static const struct {
    const char *type;
    size_t size;
} types[] = {
    {"kws_frontend_t", sizeof(kws_frontend_t)}, {"kws_block_t", sizeof(kws_block_t)},
    {"kws_pass_t", sizeof(kws_pass_t)},         {"kws_depth_t", sizeof(kws_depth_t)},
    {"kws_model_t", sizeof(kws_model_t)},       {"kws_event_t", sizeof(kws_event_t)},
};

static int same(const char *a, const char *b) {
    while (*a && *a == *b) {
        a++, b++;
    }
    return *a == *b;
}

size_t kws_abi_sizeof(const char *name) {
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        if (same(types[i].type, name)) {
            return types[i].size;
        }
    }
    return 0;
}

size_t kws_abi_offsetof(const char *name, const char *field) {
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
        if (same(fields[i].type, name) && same(fields[i].field, field)) {
            return fields[i].offset;
        }
    }
    return SIZE_MAX;
}

#endif
