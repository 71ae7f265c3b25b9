/* SPDX-License-Identifier: Apache-2.0
 *
 * void kwsi_conv2_neon_4(const uint8_t *patches, const uint16_t *weight, const uint16_t *tails, const uint16_t *limits,
 *                        uint64_t *words)
 *
 * The loop of conv2_neon.c: patches of four mels, 64 bytes apart, of which 50 count, times 32 outputs. Outputs o and
 * o + 16 go together; tails [16][8] is the last tap of o four times and that of o + 16 four times, limits [16][8] the
 * same of below.
 *
 * A patch is three registers and one tap; the last taps of all four mels lie in one register, twice, as in `tails`.
 * Counts of both outputs go through one folding:
 *     24 EOR + 24 CNT + 16 ADD + 7 ADDP, and for the last taps EOR, CNT, ADD, and UADDLP
 * = 75 vector operations for 25 x 128 binary products: 3.0 each. CMHI compares with the limits and SRI shifts the
 * answers in: 77, or 3.08. 16 bits a mel in each half, zipped, are the words of the result.
 *
 * The order of the lines is that of a modulo schedule: a vector operation a slot, as a rule six slots or more after
 * what it needs, two pairs in flight (pipeline.h). Loads come in groups: llvm-mca's Cortex-A53 holds one back until it
 * ends after the vector operations before it.
 *
 * llvm-mca, cycles for 128 binary products with all that is done to them: Cortex-A53 3.90, A72 and A76 1.54.
 *
 * Registers
 *     x0 patches   x1 weight of o, x5 of o + 16   x2 tails   x3 limits   x4 words   w6 turns left
 *     v0-v9, v12-v14, v16-v18  weights, differing bits, counts, sums, limits
 *     v10 v11  by turns the answer, and the bits so far: the newest of a 16-bit lane on top
 *     v19      last taps of the four mels, twice   v20-v31  patches: mel i in v(20 + 3i) .. v(22 + 3i)
 * Saved: d8-d14.
 */
#include "asm.h"
#include "pipeline.h"

#if defined(__aarch64__)

/* Pair o of what enters, or o + 1 if \at is 1; bits go from v\before to v\bits. */
.macro  pair bits, before, at
    old eor     v3.16b, v30.16b, v3.16b
    new ldur    q7, [x1, #50 * \at]
    new ldur    q1, [x1, #50 * \at + 16]
    new ldur    q13, [x1, #50 * \at + 32]
    old cnt     v2.16b, v2.16b
    old eor     v4.16b, v31.16b, v4.16b
    old eor     v0.16b, v19.16b, v0.16b
    old cnt     v3.16b, v3.16b
    old add     v5.16b, v5.16b, v6.16b
    new eor     v6.16b, v20.16b, v7.16b
    old cnt     v4.16b, v4.16b
    old add     v16.16b, v16.16b, v18.16b
    new eor     v18.16b, v21.16b, v1.16b
    old cnt     v14.16b, v0.16b
    old add     v2.16b, v2.16b, v3.16b
    new cnt     v6.16b, v6.16b
    new eor     v3.16b, v22.16b, v13.16b
    new cnt     v18.16b, v18.16b
    new eor     v0.16b, v23.16b, v7.16b
    old addp    v5.16b, v17.16b, v5.16b
    old add     v16.16b, v16.16b, v8.16b
    new cnt     v3.16b, v3.16b
    new eor     v8.16b, v24.16b, v1.16b
    new add     v6.16b, v6.16b, v18.16b
    new cnt     v0.16b, v0.16b
    new eor     v18.16b, v25.16b, v13.16b
    old add     v2.16b, v2.16b, v4.16b
    new cnt     v8.16b, v8.16b
    new eor     v4.16b, v26.16b, v7.16b
    new add     v17.16b, v6.16b, v3.16b
    new cnt     v18.16b, v18.16b
    new eor     v3.16b, v27.16b, v1.16b
    old addp    v2.16b, v16.16b, v2.16b
    new add     v0.16b, v0.16b, v8.16b
    new cnt     v4.16b, v4.16b
    new eor     v8.16b, v28.16b, v13.16b
    new cnt     v3.16b, v3.16b
    new eor     v7.16b, v29.16b, v7.16b
    old addp    v16.16b, v5.16b, v2.16b
    new add     v18.16b, v0.16b, v18.16b
    new cnt     v8.16b, v8.16b
    new eor     v0.16b, v30.16b, v1.16b
    new add     v1.16b, v4.16b, v3.16b
    new ldur    q2, [x5, #50 * \at]
    new ldur    q3, [x5, #50 * \at + 16]
    new ldur    q4, [x5, #50 * \at + 32]
    new cnt     v5.16b, v7.16b
    new eor     v6.16b, v31.16b, v13.16b
    new addp    v7.16b, v17.16b, v18.16b
    old addp    v16.16b, v9.16b, v16.16b
    new cnt     v0.16b, v0.16b
    new eor     v17.16b, v20.16b, v2.16b
    new add     v1.16b, v1.16b, v8.16b
    new cnt     v6.16b, v6.16b
    new eor     v18.16b, v21.16b, v3.16b
    old add     v16.16b, v16.16b, v14.16b
    new cnt     v17.16b, v17.16b
    new eor     v8.16b, v22.16b, v4.16b
    new add     v0.16b, v5.16b, v0.16b
    new cnt     v18.16b, v18.16b
    new eor     v5.16b, v23.16b, v2.16b
    new cnt     v8.16b, v8.16b
    old uaddlp  v16.8h, v16.16b
    new eor     v9.16b, v24.16b, v3.16b
    new add     v0.16b, v0.16b, v6.16b
    new cnt     v5.16b, v5.16b
    new eor     v6.16b, v25.16b, v4.16b
    new add     v17.16b, v17.16b, v18.16b
    old cmhi    v\bits\().8h, v12.8h, v16.8h
    new cnt     v9.16b, v9.16b
    new eor     v16.16b, v26.16b, v2.16b
    new cnt     v6.16b, v6.16b
    new eor     v18.16b, v27.16b, v3.16b
    new addp    v0.16b, v1.16b, v0.16b
    new cnt     v16.16b, v16.16b
    new add     v17.16b, v17.16b, v8.16b
    new eor     v8.16b, v28.16b, v4.16b
    new add     v5.16b, v5.16b, v9.16b
    new cnt     v18.16b, v18.16b
    new eor     v2.16b, v29.16b, v2.16b
    new addp    v9.16b, v7.16b, v0.16b
    new ldr     q0, [x2, #16 * \at]
    new ldr     q12, [x3, #16 * \at]
    old sri     v\bits\().8h, v\before\().8h, #1
    new cnt     v8.16b, v8.16b
.endm

function kwsi_conv2_neon_4
        stp     d8, d9, [sp, #-64]!
        stp     d10, d11, [sp, #16]
        stp     d12, d13, [sp, #32]
        str     d14, [sp, #48]
        ldp     q20, q21, [x0]
        ldr     q22, [x0, #32]
        ldp     q23, q24, [x0, #64]
        ldr     q25, [x0, #96]
        ldp     q26, q27, [x0, #128]
        ldr     q28, [x0, #160]
        ldp     q29, q30, [x0, #192]
        ldr     q31, [x0, #224]
        ldr     h19, [x0, #48]
        add     x6, x0, #112
        ld1     {v19.h}[1], [x6]
        add     x6, x0, #176
        ld1     {v19.h}[2], [x6]
        add     x6, x0, #240
        ld1     {v19.h}[3], [x6]
        dup     v19.2d, v19.d[0]
        add     x5, x1, #800            /* 16 outputs of 50 bytes */
        stages  1, 0, 0
        pair    10, 11, 0
        stages  1, 0, 1
        add     x1, x1, #50
        add     x5, x5, #50
        add     x2, x2, #16
        add     x3, x3, #16
        mov     w6, #7
.Lconv2_pairs:
        pair    10, 11, 0
        pair    11, 10, 1
        add     x1, x1, #100
        add     x5, x5, #100
        add     x2, x2, #32
        add     x3, x3, #32
        subs    w6, w6, #1
        b.ne    .Lconv2_pairs
        pair    10, 11, 0
        stages  0, 0, 1
        pair    11, 10, 0
        ext     v10.16b, v11.16b, v11.16b, #8
        zip1    v11.8h, v11.8h, v10.8h
        str     q11, [x4]
        ldr     d14, [sp, #48]
        ldp     d12, d13, [sp, #32]
        ldp     d10, d11, [sp, #16]
        ldp     d8, d9, [sp], #64
        ret
end kwsi_conv2_neon_4

#endif
