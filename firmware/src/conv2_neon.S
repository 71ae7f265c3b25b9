/* SPDX-License-Identifier: Apache-2.0
 *
 * void kwsi_conv2_neon_4(const uint8_t *patches, const uint16_t *weight, const uint16_t *below, uint64_t *words)
 *
 * The loop of conv2_neon.c: patches of four mels, 64 bytes apart, of which 50 count, times 32 outputs.
 *
 * Outputs o and o + 16 go together. A patch is three registers and two bytes; the two bytes of all four mels lie in one
 * register, twice, beside those of both outputs' weights. Counts of both outputs go through one folding:
 *     24 EOR + 24 CNT + 16 ADD + 7 ADDP, and for the two bytes EOR, CNT, ADD, and UADDLP
 * = 75 vector operations for 25 x 128 binary products: 3.0 each. CMHI compares with the limits and SRI shifts the
 * answers in: 16 bits a mel in each half, which zipped are the words of the result.
 *
 * Registers
 *     x0 patches   x1 weight of o, x4 of o + 16   x2 limit of o, x5 of o + 16   x3 words   w6 outputs left
 *     v0-v11   mel i in v(3 i) .. v(3 i + 2)     v12 last bytes of the four mels, twice
 *     v16-v18, v19-v21 weights   v22-v29 counts   v30 last bytes of the weights   v28 v29 limits
 *     v31 v14 by turns the bits so far, the newest of a 16-bit lane on top, and the answer
 * x7 50   x9 x10 last bytes of the weights of o and o + 16
 * Saved: d8-d12, d14.
 */
#include "asm.h"

#if defined(__aarch64__)

/* Counts of one output over the four mels, folded to four bytes a mel, into v\a. */
.macro  fold w0, w1, w2, a, b, c, d, e, f
        eor     v\a\().16b, v0.16b, v\w0\().16b
        eor     v\b\().16b, v1.16b, v\w1\().16b
        eor     v\c\().16b, v3.16b, v\w0\().16b
        eor     v\d\().16b, v4.16b, v\w1\().16b
        cnt     v\a\().16b, v\a\().16b
        eor     v\e\().16b, v2.16b, v\w2\().16b
        cnt     v\b\().16b, v\b\().16b
        eor     v\f\().16b, v5.16b, v\w2\().16b
        cnt     v\c\().16b, v\c\().16b
        cnt     v\d\().16b, v\d\().16b
        cnt     v\e\().16b, v\e\().16b
        add     v\a\().16b, v\a\().16b, v\b\().16b
        cnt     v\f\().16b, v\f\().16b
        eor     v\b\().16b, v6.16b, v\w0\().16b
        add     v\c\().16b, v\c\().16b, v\d\().16b
        eor     v\d\().16b, v7.16b, v\w1\().16b
        add     v\a\().16b, v\a\().16b, v\e\().16b
        eor     v\e\().16b, v8.16b, v\w2\().16b
        add     v\c\().16b, v\c\().16b, v\f\().16b
        eor     v\f\().16b, v9.16b, v\w0\().16b
        cnt     v\b\().16b, v\b\().16b
        eor     v\w0\().16b, v11.16b, v\w2\().16b
        cnt     v\d\().16b, v\d\().16b
        eor     v\w1\().16b, v10.16b, v\w1\().16b
        cnt     v\e\().16b, v\e\().16b
        cnt     v\f\().16b, v\f\().16b
        cnt     v\w1\().16b, v\w1\().16b
        add     v\b\().16b, v\b\().16b, v\d\().16b
        cnt     v\w0\().16b, v\w0\().16b
        addp    v\a\().16b, v\a\().16b, v\c\().16b
        add     v\f\().16b, v\f\().16b, v\w1\().16b
        add     v\b\().16b, v\b\().16b, v\e\().16b
        add     v\f\().16b, v\f\().16b, v\w0\().16b
        addp    v\b\().16b, v\b\().16b, v\f\().16b
        addp    v\a\().16b, v\a\().16b, v\b\().16b
.endm

/* Outputs o and o + 16; bits go from v\bits to v\answer. */
.macro  pair bits, answer
        ldp     q16, q17, [x1]
        ldr     q18, [x1, #32]
        ldp     q19, q20, [x4]
        ldr     q21, [x4, #32]
        add     x1, x1, x7
        add     x4, x4, x7
        fold    16, 17, 18, 22, 23, 24, 25, 26, 27
        ld1r    {v30.4h}, [x9], x7
        ld1r    {v28.4h}, [x10], x7
        fold    19, 20, 21, 23, 24, 25, 26, 27, 29
        mov     v30.d[1], v28.d[0]
        ld1r    {v28.4h}, [x2], #2
        ld1r    {v29.4h}, [x5], #2
        eor     v30.16b, v30.16b, v12.16b
        addp    v22.16b, v22.16b, v23.16b
        cnt     v30.16b, v30.16b
        mov     v28.d[1], v29.d[0]
        add     v22.16b, v22.16b, v30.16b
        uaddlp  v\answer\().8h, v22.16b
        cmhi    v\answer\().8h, v28.8h, v\answer\().8h
        sri     v\answer\().8h, v\bits\().8h, #1
.endm

function kwsi_conv2_neon_4
        stp     d8, d9, [sp, #-48]!
        stp     d10, d11, [sp, #16]
        stp     d12, d14, [sp, #32]
        ldp     q0, q1, [x0]
        ldr     q2, [x0, #32]
        ldp     q3, q4, [x0, #64]
        ldr     q5, [x0, #96]
        ldp     q6, q7, [x0, #128]
        ldr     q8, [x0, #160]
        ldp     q9, q10, [x0, #192]
        ldr     q11, [x0, #224]
        ldr     h12, [x0, #48]
        add     x6, x0, #112
        ld1     {v12.h}[1], [x6]
        add     x6, x0, #176
        ld1     {v12.h}[2], [x6]
        add     x6, x0, #240
        ld1     {v12.h}[3], [x6]
        dup     v12.2d, v12.d[0]
        add     x4, x1, #800            /* 16 outputs of 50 bytes */
        add     x5, x2, #32
        add     x9, x1, #48
        add     x10, x4, #48
        mov     x7, #50
        mov     w6, #8
.Lconv2_pairs:
        pair    31, 14
        pair    14, 31
        subs    w6, w6, #1
        b.ne    .Lconv2_pairs
        ext     v30.16b, v31.16b, v31.16b, #8
        zip1    v31.8h, v31.8h, v30.8h
        str     q31, [x3]
        ldp     d12, d14, [sp, #32]
        ldp     d10, d11, [sp, #16]
        ldp     d8, d9, [sp], #48
        ret
end kwsi_conv2_neon_4

#endif
