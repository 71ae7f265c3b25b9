/* SPDX-License-Identifier: Apache-2.0
 *
 * Which implementation of each operator runs: the sets that this build holds, the fastest first, and what a processor
 * must have for them. kernels.h says how to add one.
 */
#include "check.h"
#include "kernels_neon.h"
#include "kernels_neon_front.h"
#include "kernels_x86.h"
#include "two_planes.h"

#ifdef KWSI_HAS_X86
/* Floats and the classifier stay at 256 bits: there is too little of them to gain, and GCC takes AVX-512 for a licence to
 * fuse floats. */
const kwsi_kernels_t kwsi_avx512 = {
    .name = "avx512",
    .window = kwsi_window_avx2,
    .spectrum = kwsi_spectrum_avx2,
    .mel = kwsi_mel_avx2,
    .quantize = kwsi_quantize_avx2,
    .conv1 = kwsi_conv1_avx512,
    .conv2 = kwsi_conv2_avx512,
    .expand = kwsi_expand_avx512,
    .project = kwsi_project_avx512,
    .memory = kwsi_memory_avx512,
    .classifier = kwsi_classifier_avx2,
    .conv1_two = kwsi_conv1_two_avx512,
    .conv2_two = kwsi_conv2_two_avx512,
    .expand_two = kwsi_expand_two_avx512,
    .project_two = kwsi_project_two_avx512,
    .memory_two = kwsi_memory_two_avx512,
};

const kwsi_kernels_t kwsi_avx2 = {
    .name = "avx2",
    .window = kwsi_window_avx2,
    .spectrum = kwsi_spectrum_avx2,
    .mel = kwsi_mel_avx2,
    .quantize = kwsi_quantize_avx2,
    .conv1 = kwsi_conv1_avx2,
    .conv2 = kwsi_conv2_avx2,
    .expand = kwsi_expand_avx2,
    .project = kwsi_project_avx2,
    .memory = kwsi_memory_avx2,
    .classifier = kwsi_classifier_avx2,
    .conv1_two = kwsi_conv1_two_avx2,
    .conv2_two = kwsi_conv2_two_avx2,
    .expand_two = kwsi_expand_two_avx2,
    .project_two = kwsi_project_two_avx2,
    .memory_two = kwsi_memory_two_avx2,
};
#endif

#if defined(__aarch64__)
const kwsi_kernels_t kwsi_neon = {
    .name = "neon",
    .window = kwsi_window_neon,
    .spectrum = kwsi_spectrum_neon,
    .mel = kwsi_mel_neon,
    .quantize = kwsi_quantize_neon,
    .conv1 = kwsi_conv1_neon,
    .conv2 = kwsi_conv2_neon,
    .expand = kwsi_expand_neon,
    .project = kwsi_project_neon,
    .memory = kwsi_memory_neon,
    .classifier = kwsi_classifier_neon,
    .conv1_two = kwsi_conv1_two_neon,
    .conv2_two = kwsi_conv2_two_neon,
    .expand_two = kwsi_expand_two_neon,
    .project_two = kwsi_project_two_neon,
    .memory_two = kwsi_memory_two_neon,
};
#endif

const kwsi_kernels_t kwsi_portable = {
    .name = "portable",
    .window = kwsi_window_portable,
    .spectrum = kwsi_spectrum_portable,
    .mel = kwsi_mel_portable,
    .quantize = kwsi_quantize_portable,
    .conv1 = kwsi_conv1_portable,
    .conv2 = kwsi_conv2_portable,
    .expand = kwsi_expand_portable,
    .project = kwsi_project_portable,
    .memory = kwsi_memory_portable,
    .classifier = kwsi_classifier_portable,
    .conv1_two = kwsi_conv1_two,
    .conv2_two = kwsi_conv2_two,
    .expand_two = kwsi_expand_two,
    .project_two = kwsi_project_two,
    .memory_two = kwsi_memory_two,
};

static int runs_always(void) {
    return 1;
}

static const struct {
    const kwsi_kernels_t *kernels;
    int (*runs)(void);
} sets[] = {
#ifdef KWSI_HAS_X86
    {&KWSI_CHECKED(avx512), kwsi_runs_avx512},
    {&KWSI_CHECKED(avx2), kwsi_runs_avx2},
#endif
#if defined(__aarch64__)
    {&KWSI_CHECKED(neon), runs_always},
#endif
/* KWS_FASTEST_ONLY is for devices that want the code small: where one set always runs, the portable operators go unused,
 * and the linker drops them (-ffunction-sections, -Wl,--gc-sections). */
#if !defined(__aarch64__) || !defined(KWS_FASTEST_ONLY)
    {&kwsi_portable, runs_always},
#endif
};

static int is_same(const char *a, const char *b) {
    while (*a && *a == *b) {
        a++;
        b++;
    }
    return *a == *b;
}

const kwsi_kernels_t *kwsi_kernels(void) {
    size_t i = 0;
    while (!sets[i].runs()) {
        i++;
    }
    return sets[i].kernels;
}

const kwsi_kernels_t *kwsi_kernels_named(const char *name) {
    for (size_t i = 0; i < sizeof sets / sizeof *sets; i++) {
        if (is_same(sets[i].kernels->name, name) && sets[i].runs()) {
            return sets[i].kernels;
        }
    }
    return NULL;
}
