/* SPDX-License-Identifier: Apache-2.0
 *
 * void kwsi_classifier_neon_6(const int16_t *x, int n, const int8_t *weight, int classes, int32_t sums[6])
 *
 * kwsi_classifier_fn for six classes, or for fewer: the sums beyond them are those of the last one.
 *
 * 64 x are narrowed to 8 bits once for all classes. Four products of a lane fit 16 bits, since four weights that meet
 * in one add up to at most 255 (kws.h): eight multiplications for 64 weights, then two additions of neighbours into
 * 32 bits. Two classes take turns, so that no multiplication waits for the one before.
 * 78 instructions for 64 x and six classes, 68 of them vector operations. llvm-mca: 175 cycles on a Cortex-A53,
 * 48 on an A72.
 *
 * Registers
 *     x0 x   w1 x left   x2 x5-x9 weights of each class   w3 classes   x4 sums   x10 n, or 0 after the last class
 *     v0-v3 narrow x   v4-v7 x, then products   v16-v19, v20-v23 weights   v24-v29 sums of each class
 * Saved: none.
 */
#include "asm.h"

#if defined(__aarch64__)

.macro  narrow a, b
        ld1     {v4.8h-v7.8h}, [x0], #64
        sqrshrn v\a\().8b, v4.8h, #6            /* KWSI_CLASS_SHIFT */
        sqrshrn2 v\a\().16b, v5.8h, #6
        sqrshrn v\b\().8b, v6.8h, #6
        sqrshrn2 v\b\().16b, v7.8h, #6
.endm

.macro  multiply first, x, a, b
        \first\()l  v4.8h, v\a\().8b, v\x\().8b
        \first\()l2 v5.8h, v\a\().16b, v\x\().16b
        \first\()l  v6.8h, v\b\().8b, v\x\().8b
        \first\()l2 v7.8h, v\b\().16b, v\x\().16b
.endm

/* 64 weights of each of two classes; those of the next two follow from \next0 and \next1, if there are any. */
.macro  two sum0, sum1, next0, next1
        multiply smul, 0, 16, 20
        multiply smla, 1, 17, 21
        multiply smla, 2, 18, 22
        multiply smla, 3, 19, 23
    .ifnb \next0
        ld1     {v16.16b-v19.16b}, [\next0], #64
        ld1     {v20.16b-v23.16b}, [\next1], #64
    .endif
        sadalp  v\sum0\().4s, v4.8h
        sadalp  v\sum1\().4s, v6.8h
        sadalp  v\sum0\().4s, v5.8h
        sadalp  v\sum1\().4s, v7.8h
.endm

/* The weights of the next class, if there is one. */
.macro  next to, from, index
        cmp     w3, #\index
        csel    x10, x10, xzr, gt
        add     \to, \from, x10
.endm

function kwsi_classifier_neon_6
        sxtw    x10, w1
        next    x5, x2, 1
        next    x6, x5, 2
        next    x7, x6, 3
        next    x8, x7, 4
        next    x9, x8, 5
    .irp sum, 24, 25, 26, 27, 28, 29
        movi    v\sum\().4s, #0
    .endr
.Lclassifier_64:
        ld1     {v16.16b-v19.16b}, [x2], #64
        narrow  0, 1
        ld1     {v20.16b-v23.16b}, [x5], #64
        narrow  2, 3
        two     24, 25, x6, x7
        two     26, 27, x8, x9
        subs    w1, w1, #64
        two     28, 29
        b.ne    .Lclassifier_64
        addp    v24.4s, v24.4s, v25.4s
        addp    v26.4s, v26.4s, v27.4s
        addp    v28.4s, v28.4s, v29.4s
        addp    v24.4s, v24.4s, v26.4s
        addp    v28.4s, v28.4s, v28.4s
        str     q24, [x4]
        str     d28, [x4, #16]
        ret
end kwsi_classifier_neon_6

#endif
