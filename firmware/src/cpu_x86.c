/* SPDX-License-Identifier: Apache-2.0
 *
 * What this x86-64 processor can do, by its own word: CPUID says which instructions it has, XGETBV which registers the
 * operating system keeps when it switches between programs.
 */
#include "kernels_x86.h"

#ifdef KWSI_HAS_X86
#include <cpuid.h>

enum {
    /* leaf 1, ecx */
    OSXSAVE = 1 << 27,
    AVX = 1 << 28,
    /* leaf 7, ebx and ecx */
    AVX2 = 1 << 5,
    AVX512F = 1 << 16,
    AVX512BW = 1 << 30,
    BITALG = 1 << 12,
    VPOPCNTDQ = 1 << 14,
    /* XCR0: the halves of the 256-bit registers; masks and the rest of the 512-bit ones */
    YMM = 1 << 1 | 1 << 2,
    ZMM = YMM | 1 << 5 | 1 << 6 | 1 << 7,
};
#define AVX512VL (1u << 31)

static int has(unsigned flags, unsigned wanted) {
    return (flags & wanted) == wanted;
}

static unsigned kept_registers(void) {
    unsigned low, high;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return low;
}

/* Whether the registers of a set are kept, and leaf 7 shows its instructions. */
static int runs(unsigned registers, unsigned wanted_b, unsigned wanted_c) {
    unsigned a, b, c, d;
    if (!__get_cpuid(1, &a, &b, &c, &d) || !has(c, OSXSAVE | AVX) || !has(kept_registers(), registers)) {
        return 0;
    }
    return __get_cpuid_count(7, 0, &a, &b, &c, &d) && has(b, wanted_b) && has(c, wanted_c);
}

int kwsi_runs_avx2(void) {
    return runs(YMM, AVX2, 0);
}

int kwsi_runs_avx512(void) {
    return runs(ZMM, AVX2 | AVX512F | AVX512BW | AVX512VL, BITALG | VPOPCNTDQ);
}

#endif
