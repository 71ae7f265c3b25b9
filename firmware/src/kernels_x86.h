/* SPDX-License-Identifier: Apache-2.0
 *
 * Kernels for x86-64. Each function names its own instruction set, so that no compiler flag is needed and one build
 * runs on every processor: kernels.c asks the processor before it offers a set. Other compilers than GCC and Clang
 * build the portable set alone, and so does GCC on Windows, which does not align wide variables on the stack there.
 */
#ifndef KWSI_KERNELS_X86_H
#define KWSI_KERNELS_X86_H

#include "kernels.h"

#if defined(__x86_64__) && (defined(__clang__) || (defined(__GNUC__) && !defined(_WIN32)))
#define KWSI_HAS_X86 1

/* Clang 18 to 21 have 512-bit vectors as a feature of their own, which Zig turns off unless the target names it. */
#if defined(__clang__) && !defined(__apple_build_version__) && __clang_major__ >= 18 && __clang_major__ <= 21
#define KWSI_WIDE ",evex512"
#else
#define KWSI_WIDE ""
#endif

#define KWSI_AVX2 __attribute__((target("avx2")))
#define KWSI_AVX512 __attribute__((target("avx2,avx512f,avx512bw,avx512vl,avx512vpopcntdq,avx512bitalg" KWSI_WIDE)))

/* For helpers: what they do depends on constants that only their callers know. */
#define KWSI_AVX2_INLINE static inline __attribute__((always_inline, target("avx2")))
#define KWSI_AVX512_INLINE                                                                                             \
    static inline __attribute__((always_inline, target("avx2,avx512f,avx512bw,avx512vl,avx512vpopcntdq,"               \
                                                       "avx512bitalg" KWSI_WIDE)))

/* Does this processor, with this operating system, run the set? */
int kwsi_runs_avx2(void);
int kwsi_runs_avx512(void);

kwsi_window_fn kwsi_window_avx2;
kwsi_spectrum_fn kwsi_spectrum_avx2;
kwsi_mel_fn kwsi_mel_avx2;
kwsi_quantize_fn kwsi_quantize_avx2;
kwsi_conv1_fn kwsi_conv1_avx2, kwsi_conv1_avx512;
kwsi_conv2_fn kwsi_conv2_avx2, kwsi_conv2_avx512;
kwsi_expand_fn kwsi_expand_avx2, kwsi_expand_avx512;
kwsi_project_fn kwsi_project_avx2, kwsi_project_avx512;
kwsi_memory_fn kwsi_memory_avx2, kwsi_memory_avx512;
kwsi_classifier_fn kwsi_classifier_avx2;

/* Words of a row of bits that the matrix products have a path for; wider rows take the portable one. */
enum { KWSI_X86_WORDS = 8 };

/* Unaligned loads and stores, in the order of a little-endian processor. */
static inline uint64_t kwsi_load64(const void *at) {
    uint64_t value;
    memcpy(&value, at, sizeof value);
    return value;
}
static inline int32_t kwsi_load32(const void *at) {
    int32_t value;
    memcpy(&value, at, sizeof value);
    return value;
}
static inline void kwsi_store32(void *at, uint32_t value) {
    memcpy(at, &value, sizeof value);
}

/* One word of the memory's input for a tile and two steps either side, 0 (-1) outside. */
static inline void kwsi_memory_rows(const uint64_t *bits, int tile, int steps, int words, int word,
                                    uint64_t rows[KWSI_TILE + KWS_KERNEL - 1]) {
    for (int i = 0; i < KWSI_TILE + KWS_KERNEL - 1; i++) {
        int at = tile - KWS_KERNEL / 2 + i;
        rows[i] = at >= 0 && at < steps ? bits[at * words + word] : 0;
    }
}

#endif
#endif
