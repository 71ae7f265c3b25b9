/* SPDX-License-Identifier: Apache-2.0
 *
 * The operators of two planes once more, for what the compiler makes of them with AVX-512. The target comes before every
 * include, so that counting bits is an instruction.
 */
#if defined(__x86_64__) && defined(__clang__)
#pragma clang attribute push(                                                                                          \
    __attribute__((target("avx2,popcnt,avx512f,avx512bw,avx512vl,avx512vpopcntdq,avx512bitalg"))),                     \
    apply_to = function)
#elif defined(__x86_64__) && defined(__GNUC__) && !defined(_WIN32)
#pragma GCC target("avx2,popcnt,avx512f,avx512bw,avx512vl,avx512vpopcntdq,avx512bitalg,prefer-vector-width=512")
#endif

#include "kernels_x86.h"

#ifdef KWSI_HAS_X86
#define CONV1 kwsi_conv1_avx512
#define kwsi_conv1_two kwsi_conv1_two_avx512
#define kwsi_conv2_two kwsi_conv2_two_avx512
#define kwsi_expand_two kwsi_expand_two_avx512
#define kwsi_project_two kwsi_project_two_avx512
#define kwsi_memory_two kwsi_memory_two_avx512
#include "two_planes.c"
#endif

#if defined(__x86_64__) && defined(__clang__)
#pragma clang attribute pop
#endif
