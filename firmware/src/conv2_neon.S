/* SPDX-License-Identifier: Apache-2.0
 *
 * void kwsi_conv2_neon_step(const uint16_t *const *columns, int fours, const uint16_t *weight,
 *                           const kwsi_conv2_tables_t *tables, uint64_t *words)
 *
 * One step of conv2_neon.c: `fours` times four neighbouring mels, times 32 outputs. Outputs o and o + 16 go together:
 * for each of these pairs, tables hold the last tap of o four times and that of o + 16 four times, and the same of
 * below; then what TBL needs to gather a patch.
 *
 * A patch is three registers and one tap; the last taps of all four mels lie in one register, twice, as in the tables.
 * Counts of both outputs go through one folding:
 *     24 EOR + 24 CNT + 16 ADD + 7 ADDP, and for the last taps EOR, CNT, ADD, and UADDLP
 * = 75 vector operations for 25 x 128 binary products: 3.0 each. CMHI compares with the limits. URHADD shifts the
 * answers in: (bits + 65535 + 1) / 2 or (bits + 0 + 1) / 2, where the lowest bit is still one of the zeros of the
 * start. That makes 77, or 3.08. 16 bits a mel in each half, zipped, are the words of the result.
 *
 * An output's weights are 50 bytes: LD1 loads three registers of them, from any address, and moves its pointer on.
 *
 * The order of the lines is that of a modulo schedule, two pairs in flight (pipeline.h), moved about until llvm-mca's
 * Cortex-A53 waited least: it holds a load that moves its pointer back until all before it is done.
 *
 * llvm-mca, cycles for 128 binary products with all that is done to them: Cortex-A53 3.62, A72 and A76 1.54.
 *
 * Registers
 *     x1 weight of o, x5 of o + 16   x2 tables of o   x3 tables   x4 words   w6 turns left   w7 fours left
 *     x8-x12 columns   x13 weight   x15 50, the bytes of an output
 *     v0-v9, v12-v14, v16-v18  weights, differing bits, counts, sums, limits, answers; before: columns and indices
 *     v10 scratch   v11 bits: the newest of a 16-bit lane on top
 *     v19      last taps of the four mels, twice   v20-v31  patches: mel i in v(20 + 3i) .. v(22 + 3i)
 * Saved: d8-d14.
 */
#include "asm.h"
#include "pipeline.h"

#if defined(__aarch64__)

/* A pair enters, whose numbers are \at further in the tables; the one before it leaves its bits. */
.macro  pair at
    new ld1     {v7.16b-v9.16b}, [x1], x15
    old eor     v3.16b, v30.16b, v3.16b
    old eor     v0.16b, v19.16b, v0.16b
    old cnt     v2.16b, v2.16b
    old add     v16.16b, v16.16b, v18.16b
    new eor     v18.16b, v21.16b, v8.16b
    old cnt     v3.16b, v3.16b
    old add     v5.16b, v5.16b, v6.16b
    new eor     v6.16b, v20.16b, v7.16b
    old eor     v4.16b, v31.16b, v4.16b
    old cnt     v14.16b, v0.16b
    new eor     v0.16b, v23.16b, v7.16b
    old add     v2.16b, v2.16b, v3.16b
    new eor     v3.16b, v22.16b, v9.16b
    new cnt     v18.16b, v18.16b
    new cnt     v6.16b, v6.16b
    old cnt     v4.16b, v4.16b
    old add     v16.16b, v16.16b, v1.16b
    new eor     v1.16b, v24.16b, v8.16b
    new cnt     v3.16b, v3.16b
    new cnt     v0.16b, v0.16b
    new add     v6.16b, v6.16b, v18.16b
    old add     v2.16b, v2.16b, v4.16b
    new eor     v18.16b, v25.16b, v9.16b
    new cnt     v1.16b, v1.16b
    new eor     v4.16b, v26.16b, v7.16b
    old addp    v5.16b, v17.16b, v5.16b
    new add     v17.16b, v6.16b, v3.16b
    new eor     v3.16b, v27.16b, v8.16b
    new cnt     v18.16b, v18.16b
    new add     v0.16b, v0.16b, v1.16b
    new eor     v1.16b, v28.16b, v9.16b
    new eor     v6.16b, v31.16b, v9.16b
    old addp    v2.16b, v16.16b, v2.16b
    new cnt     v4.16b, v4.16b
    new cnt     v3.16b, v3.16b
    new eor     v7.16b, v29.16b, v7.16b
    new cnt     v1.16b, v1.16b
    new add     v18.16b, v0.16b, v18.16b
    old addp    v16.16b, v5.16b, v2.16b
    new eor     v0.16b, v30.16b, v8.16b
    new add     v8.16b, v4.16b, v3.16b
    new ld1     {v2.16b-v4.16b}, [x5], x15
    new cnt     v0.16b, v0.16b
    new add     v8.16b, v8.16b, v1.16b
    old addp    v16.16b, v13.16b, v16.16b
    new cnt     v6.16b, v6.16b
    new cnt     v5.16b, v7.16b
    new addp    v7.16b, v17.16b, v18.16b
    new eor     v18.16b, v21.16b, v3.16b
    new eor     v17.16b, v20.16b, v2.16b
    old add     v16.16b, v16.16b, v14.16b
    new eor     v13.16b, v24.16b, v3.16b
    new add     v0.16b, v5.16b, v0.16b
    new eor     v5.16b, v23.16b, v2.16b
    new cnt     v18.16b, v18.16b
    new cnt     v17.16b, v17.16b
    old uaddlp  v16.8h, v16.16b
    new eor     v1.16b, v22.16b, v4.16b
    new cnt     v13.16b, v13.16b
    new add     v0.16b, v0.16b, v6.16b
    new cnt     v5.16b, v5.16b
    new add     v17.16b, v17.16b, v18.16b
    old cmhi    v14.8h, v12.8h, v16.8h
    new cnt     v1.16b, v1.16b
    new eor     v16.16b, v26.16b, v2.16b
    new addp    v0.16b, v8.16b, v0.16b
    new eor     v18.16b, v27.16b, v3.16b
    new eor     v6.16b, v25.16b, v4.16b
    new eor     v2.16b, v29.16b, v2.16b
    new add     v17.16b, v17.16b, v1.16b
    new eor     v1.16b, v28.16b, v4.16b
    new cnt     v16.16b, v16.16b
    old urhadd  v11.8h, v11.8h, v14.8h
    new add     v5.16b, v5.16b, v13.16b
    new addp    v13.16b, v7.16b, v0.16b
    new cnt     v18.16b, v18.16b
    new cnt     v1.16b, v1.16b
    new cnt     v6.16b, v6.16b
    new ldp     q0, q12, [x2, #32 * \at]
.endm

/* Three registers of one mel's patch, from the five columns that begin \at bytes further. */
.macro  patch at, a, b, c
        ldur    q0, [x8, #\at]
        ldur    q1, [x9, #\at]
        ldur    q2, [x10, #\at]
        ldur    q3, [x11, #\at]
        ldur    q4, [x12, #\at]
        tbl     \a\().16b, {v0.16b-v1.16b}, v5.16b
        tbl     \b\().16b, {v1.16b-v3.16b}, v6.16b
        tbl     \c\().16b, {v3.16b-v4.16b}, v7.16b
.endm

function kwsi_conv2_neon_step
        stp     d8, d9, [sp, #-64]!
        stp     d10, d11, [sp, #16]
        stp     d12, d13, [sp, #32]
        str     d14, [sp, #48]
        ldp     x8, x9, [x0]
        ldp     x10, x11, [x0, #16]
        ldr     x12, [x0, #32]
        mov     w7, w1
        mov     x13, x2
        mov     x15, #50
.Lconv2_four:
        ldp     q5, q6, [x3, #512]
        ldr     q7, [x3, #544]
        patch   0, v20, v21, v22
        patch   4, v23, v24, v25
        patch   8, v26, v27, v28
        patch   12, v29, v30, v31
        ldur    q19, [x12, #8]          /* the last taps are every other word of the last column */
        uzp1    v19.8h, v19.8h, v19.8h
        mov     x1, x13
        add     x5, x13, #800           /* 16 outputs of 50 bytes */
        mov     x2, x3
        movi    v11.16b, #0
        stages  1, 0, 0
        pair    0
        stages  1, 0, 1
        mov     w6, #7
.Lconv2_pairs:
        pair    1
        pair    2
        add     x2, x2, #64
        subs    w6, w6, #1
        b.ne    .Lconv2_pairs
        pair    1
        stages  0, 0, 1
        pair    0
        ext     v10.16b, v11.16b, v11.16b, #8
        zip1    v11.8h, v11.8h, v10.8h
        str     q11, [x4], #16
        add     x8, x8, #16
        add     x9, x9, #16
        add     x10, x10, #16
        add     x11, x11, #16
        add     x12, x12, #16
        subs    w7, w7, #1
        b.ne    .Lconv2_four
        ldr     d14, [sp, #48]
        ldp     d12, d13, [sp, #32]
        ldp     d10, d11, [sp, #16]
        ldp     d8, d9, [sp], #64
        ret
end kwsi_conv2_neon_step

#endif
