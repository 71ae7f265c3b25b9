/* SPDX-License-Identifier: Apache-2.0
 *
 * void kwsi_classifier_neon_6(const int16_t *x, int n, const int8_t *weight, int32_t *sums)
 *
 * kwsi_classifier_fn for six classes. Each x is loaded once for all of them, weights in pairs of registers by pointers
 * that move on; while one class is multiplied, the next one's weights are widened. 82 instructions for 32 x, 72 of them
 * vector operations: 8 multiplications and 4 widenings a class. llvm-mca: 170 cycles on a Cortex-A53, 48 on an A72.
 *
 * Registers
 *     x0 x   w1 x left   x2 weight, then scratch   x3 sums   x4-x9 weights of each class
 *     v0-v3 x   v4-v7, v16-v19 by turns weights   v20-v31 sums, two vectors a class
 * Saved: none.
 */
#include "asm.h"

#if defined(__aarch64__)

.macro  widen a, b, c, d
        sxtl2   v\b\().8h, v\a\().16b
        sxtl    v\a\().8h, v\a\().8b
        sxtl2   v\d\().8h, v\c\().16b
        sxtl    v\c\().8h, v\c\().8b
.endm

/* The products of one class, while the next one's weights are loaded and widened, if there is a next one. */
.macro  class sum0, sum1, a, b, c, d, next, next_a, next_b, next_c, next_d
    .ifnb \next
        ldp     q\next_a, q\next_c, [\next], #32
    .endif
        smlal   v\sum0\().4s, v\a\().4h, v0.4h
        smlal2  v\sum1\().4s, v\a\().8h, v0.8h
        smlal   v\sum0\().4s, v\b\().4h, v1.4h
        smlal2  v\sum1\().4s, v\b\().8h, v1.8h
    .ifnb \next
        widen   \next_a, \next_b, \next_c, \next_d
    .endif
        smlal   v\sum0\().4s, v\c\().4h, v2.4h
        smlal2  v\sum1\().4s, v\c\().8h, v2.8h
        smlal   v\sum0\().4s, v\d\().4h, v3.4h
        smlal2  v\sum1\().4s, v\d\().8h, v3.8h
.endm

function kwsi_classifier_neon_6
        mov     x4, x2
        add     x5, x4, w1, uxtw
        add     x6, x5, w1, uxtw
        add     x7, x6, w1, uxtw
        add     x8, x7, w1, uxtw
        add     x9, x8, w1, uxtw
        movi    v20.4s, #0
        movi    v21.4s, #0
        movi    v22.4s, #0
        movi    v23.4s, #0
        movi    v24.4s, #0
        movi    v25.4s, #0
        movi    v26.4s, #0
        movi    v27.4s, #0
        movi    v28.4s, #0
        movi    v29.4s, #0
        movi    v30.4s, #0
        movi    v31.4s, #0
.Lclassifier_32:
        ldp     q4, q6, [x4], #32
        ldp     q0, q1, [x0], #32
        ldp     q2, q3, [x0], #32
        widen   4, 5, 6, 7
        class   20, 21, 4, 5, 6, 7, x5, 16, 17, 18, 19
        class   22, 23, 16, 17, 18, 19, x6, 4, 5, 6, 7
        class   24, 25, 4, 5, 6, 7, x7, 16, 17, 18, 19
        class   26, 27, 16, 17, 18, 19, x8, 4, 5, 6, 7
        class   28, 29, 4, 5, 6, 7, x9, 16, 17, 18, 19
        subs    w1, w1, #32
        class   30, 31, 16, 17, 18, 19
        b.ne    .Lclassifier_32
        add     v20.4s, v20.4s, v21.4s
        add     v22.4s, v22.4s, v23.4s
        add     v24.4s, v24.4s, v25.4s
        add     v26.4s, v26.4s, v27.4s
        add     v28.4s, v28.4s, v29.4s
        add     v30.4s, v30.4s, v31.4s
        addp    v20.4s, v20.4s, v22.4s
        addp    v24.4s, v24.4s, v26.4s
        addp    v28.4s, v28.4s, v30.4s
        addp    v20.4s, v20.4s, v24.4s
        addp    v28.4s, v28.4s, v28.4s
        str     q20, [x3]
        str     d28, [x3, #16]
        ret
end kwsi_classifier_neon_6

#endif
