/* SPDX-License-Identifier: Apache-2.0
 *
 * The sums of mel_neon.c. Loads of pairs that move their own pointers take a quarter of the loop's instructions away.
 */
#include "asm.h"

#if defined(__aarch64__)

.macro load_sixteen
    ldp     q24, q25, [x6], #32
    ldp     q28, q29, [x3], #32
    ldp     q26, q27, [x6], #32
    ldp     q30, q31, [x3], #32
.endm

.macro multiply_sixteen
    fmul    v4.4s, v24.4s, v28.4s
    fmul    v5.4s, v25.4s, v29.4s
    fmul    v6.4s, v26.4s, v30.4s
    fmul    v7.4s, v27.4s, v31.4s
.endm

.macro add_sixteen sum
    fadd    \sum\().4s, \sum\().4s, v4.4s
    fadd    v16.4s, v16.4s, v5.4s
    fadd    \sum\().4s, \sum\().4s, v6.4s
    fadd    v16.4s, v16.4s, v7.4s
.endm

/* Lanes 0..3 of \sum: s[0] .. s[3] of the next filter. */
.macro filter sum
    ldrh    w6, [x1], #2
    ldrh    w7, [x2], #2
    add     x6, x0, x6, lsl #2
    movi    \sum\().4s, #0
    movi    v16.4s, #0
    tbz     w7, #3, 1f
    ldp     q24, q25, [x6], #32
    ldp     q28, q29, [x3], #32
    fmul    \sum\().4s, v24.4s, v28.4s
    fmul    v16.4s, v25.4s, v29.4s
1:  lsr     w7, w7, #4
    cbz     w7, 4f
    load_sixteen
    multiply_sixteen
    subs    w7, w7, #1
    b.eq    3f
2:  load_sixteen
    add_sixteen \sum                    /* those of before, while the next are on their way */
    multiply_sixteen
    subs    w7, w7, #1
    b.ne    2b
3:  add_sixteen \sum
4:  fadd    \sum\().4s, \sum\().4s, v16.4s
.endm

/* void kwsi_mel_neon_sums(const float *powers, const uint16_t *first, const uint16_t *count, const float *weight,
 *                         int n_mels, float *sums)
 *
 * x0 powers, x1 first, x2 count, x3 weight, w4 filters to go, x5 sums, x6 bins, w7 sixteens to go; v0..v3 lanes 0..3
 * of four filters, v16 lanes 4..7 of one, v4..v7 products to be added, v24..v27 bins, v28..v31 weights. The first eight
 * products of a filter stand for 0 + those: none is -0. 14 instructions for sixteen bins, 15 cycles by llvm-mca for a
 * Cortex-A72, 30 for an A53. */
function kwsi_mel_neon_sums
5:  filter  v0
    filter  v1
    filter  v2
    filter  v3
    faddp   v0.4s, v0.4s, v1.4s
    faddp   v2.4s, v2.4s, v3.4s
    faddp   v0.4s, v0.4s, v2.4s
    subs    w4, w4, #4
    str     q0, [x5], #16
    b.ne    5b
    ret
end kwsi_mel_neon_sums

#endif
