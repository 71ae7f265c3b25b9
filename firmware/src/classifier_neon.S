/* SPDX-License-Identifier: Apache-2.0
 *
 * void kwsi_classifier_neon_4(const int16_t *x, int n, const int8_t *weight, int32_t *sums)
 *
 * kwsi_classifier_fn for four classes. 64 x are loaded once for all of them, which LD1 does with two instructions, and
 * 64 weights with one. Weights are widened sixteen at a time; the next class's are loaded while the last of one are
 * multiplied. 104 instructions for 64 x, 96 of them vector operations: 16 multiplications and 8 widenings a class.
 * llvm-mca: 242 cycles on a Cortex-A53, 64 on an A72.
 *
 * Registers
 *     x0 x   w1 x left   x3 sums   x4-x7 weights of each class
 *     v0-v7 x   v16-v19 weights   v20-v23 widened   v24-v31 sums, two vectors a class
 * Saved: none.
 */
#include "asm.h"

#if defined(__aarch64__)

/* 32 weights in v\a and v\b, times x in v\c .. v\f; \load follows the last use of the weights. */
.macro  multiply sum0, sum1, a, b, c, d, e, f, load:vararg
        sxtl    v20.8h, v\a\().8b
        sxtl2   v21.8h, v\a\().16b
        sxtl    v22.8h, v\b\().8b
        sxtl2   v23.8h, v\b\().16b
        \load
        smlal   v\sum0\().4s, v20.4h, v\c\().4h
        smlal2  v\sum1\().4s, v20.8h, v\c\().8h
        smlal   v\sum0\().4s, v21.4h, v\d\().4h
        smlal2  v\sum1\().4s, v21.8h, v\d\().8h
        smlal   v\sum0\().4s, v22.4h, v\e\().4h
        smlal2  v\sum1\().4s, v22.8h, v\e\().8h
        smlal   v\sum0\().4s, v23.4h, v\f\().4h
        smlal2  v\sum1\().4s, v23.8h, v\f\().8h
.endm

.macro  class sum0, sum1, load:vararg
        multiply \sum0, \sum1, 16, 17, 0, 1, 2, 3
        multiply \sum0, \sum1, 18, 19, 4, 5, 6, 7, \load
.endm

function kwsi_classifier_neon_4
        mov     x4, x2
        add     x5, x4, w1, uxtw
        add     x6, x5, w1, uxtw
        add     x7, x6, w1, uxtw
    .irp sum, 24, 25, 26, 27, 28, 29, 30, 31
        movi    v\sum\().4s, #0
    .endr
.Lclassifier_64:
        ld1     {v16.16b-v19.16b}, [x4], #64
        ld1     {v0.8h-v3.8h}, [x0], #64
        ld1     {v4.8h-v7.8h}, [x0], #64
        class   24, 25, ld1 {v16.16b-v19.16b}, [x5], #64
        class   26, 27, ld1 {v16.16b-v19.16b}, [x6], #64
        class   28, 29, ld1 {v16.16b-v19.16b}, [x7], #64
        subs    w1, w1, #64
        class   30, 31
        b.ne    .Lclassifier_64
        add     v24.4s, v24.4s, v25.4s
        add     v26.4s, v26.4s, v27.4s
        add     v28.4s, v28.4s, v29.4s
        add     v30.4s, v30.4s, v31.4s
        addp    v24.4s, v24.4s, v26.4s
        addp    v28.4s, v28.4s, v30.4s
        addp    v24.4s, v24.4s, v28.4s
        str     q24, [x3]
        ret
end kwsi_classifier_neon_4

#endif
