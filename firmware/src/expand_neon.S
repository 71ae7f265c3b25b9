/* SPDX-License-Identifier: Apache-2.0
 *
 * void kwsi_expand_neon_2(const uint64_t *bits, const uint64_t *weight, int outputs, const int16_t *below,
 *                         const uint64_t *flip, uint64_t *out)
 *
 * kwsi_expand_fn for words = 2 (K = 128).
 *
 * The 8 rows of a tile, 8 registers of bits, stay; each weight is loaded once. Two outputs, k and k + 8 of a group of
 * sixteen, are folded together, row by row, which leaves sixteen 8-bit sums, all complete:
 *     16 EOR + 16 CNT + 15 ADDP = 47 vector operations for 16 x 128 binary products: 2.94 each.
 * Both sums of a row lie side by side, 16 bits in all, so that LD4R spreads the limits of four pairs. CMHI compares,
 * URHADD shifts the answer in: (bits + 255 + 1) / 2 or (bits + 0 + 1) / 2, where the lowest bit is 0 until the eighth.
 * After eight pairs the 16 bits of a row are those of the group, in order.
 *
 * Two rows of a pair, four registers, differ in one step, are counted in the next and folded in the one after; what
 * completes a pair is spread over the steps of the next two. So no operation waits for one just before it.
 *
 * 404 instructions for sixteen outputs. llvm-mca, cycles for 128 binary products with all that is done to them:
 * Cortex-A53 3.67, A72 and A76 1.56.
 *
 * Registers
 *     x0 where bits of 64 outputs go   x1 weight of k   w2 outputs left   x3 below   x4 flip   x5 out
 *     x6 weight of k + 8   x7 192, from the second four weights of a group to the next group   x8 second, x11 first limits
 *     x9 bytes of a row of out   w10 groups left
 *     v0-v7    rows
 *     v8-v11   weights of k .. k + 3   v12-v15 of k + 8 .. k + 11
 *     v16-v19, v20-v23 by turns differing bits, then their counts, then sums
 *     v24      sums of rows 0 and 1, then 0 .. 3   v25 of rows 4 and 5, then 4 .. 7
 *     v31      of rows 2 and 3, of 6 and 7, of all
 *     v26-v29  limits of four pairs, then answers
 *     v30      bits so far, the newest bit of a byte on top
 * Saved: d8-d15.
 */
#include "asm.h"
#include "pipeline.h"
#include "rows_neon.h"

#if defined(__aarch64__)

/* Rows \r and \s with weights \w and \w8 enter in v\a .. v\d; those of the step before, in v\e .. v\h, are counted;
 * those that were in v\a .. v\d are folded into v\sum. \one and \two are further instructions. */
.macro  step a, b, c, d, e, f, g, h, r, s, w, w8, sum, one, two
    old addp    v\a\().16b, v\a\().16b, v\b\().16b
    mid cnt     v\f\().16b, v\f\().16b
    old addp    v\c\().16b, v\c\().16b, v\d\().16b
    mid cnt     v\h\().16b, v\h\().16b
        \one
    new eor     v\b\().16b, v\r\().16b, v\w8\().16b
    mid cnt     v\e\().16b, v\e\().16b
    new eor     v\d\().16b, v\s\().16b, v\w8\().16b
    mid cnt     v\g\().16b, v\g\().16b
        \two
    old addp    v\sum\().16b, v\a\().16b, v\c\().16b
    new eor     v\a\().16b, v\r\().16b, v\w\().16b
    new eor     v\c\().16b, v\s\().16b, v\w\().16b
.endm

/* The pair of number \k of eight enters, while the one before it, if any, is compared with its limits, v\limit, and the
 * one before that leaves its bits, which are in v\answer. With \k = 8 none enters. */
.macro  pair k, w, w8, limit, answer
        stages  \k < 8, \k > 0, \k > 0
    .if \k > 2
        step    16, 17, 18, 19, 20, 21, 22, 23, 0, 1, \w, \w8, 25, "addp v24.16b, v24.16b, v31.16b", "urhadd v30.16b, v30.16b, v\answer\().16b"
    .elseif \k == 2
        step    16, 17, 18, 19, 20, 21, 22, 23, 0, 1, \w, \w8, 25, "addp v24.16b, v24.16b, v31.16b", "shl v30.16b, v\answer\().16b, #7"
    .elseif \k == 1
        step    16, 17, 18, 19, 20, 21, 22, 23, 0, 1, \w, \w8, 25, "addp v24.16b, v24.16b, v31.16b"
    .else
        step    16, 17, 18, 19, 20, 21, 22, 23, 0, 1, \w, \w8, 25
    .endif
    .if \k == 5
        ld4r    {v26.8h-v29.8h}, [x8]
    .endif
        stages  \k < 8, \k < 8, \k > 0
        step    20, 21, 22, 23, 16, 17, 18, 19, 2, 3, \w, \w8, 31
        stages  \k < 8, \k < 8, \k < 8
    .if \k > 0
        step    16, 17, 18, 19, 20, 21, 22, 23, 4, 5, \w, \w8, 24, "addp v25.16b, v25.16b, v31.16b", "addp v31.16b, v24.16b, v25.16b"
        step    20, 21, 22, 23, 16, 17, 18, 19, 6, 7, \w, \w8, 31, "", "cmhi v\limit\().16b, v\limit\().16b, v31.16b"
    .else
        step    16, 17, 18, 19, 20, 21, 22, 23, 4, 5, \w, \w8, 24
        step    20, 21, 22, 23, 16, 17, 18, 19, 6, 7, \w, \w8, 31
    .endif
.endm

function kwsi_expand_neon_2
        stp     d8, d9, [sp, #-144]!    /* limits of 16 outputs, bits of 64, what is saved */
        stp     d10, d11, [sp, #96]
        stp     d12, d13, [sp, #112]
        stp     d14, d15, [sp, #128]
        ldp     q0, q1, [x0]
        ldp     q2, q3, [x0, #32]
        ldp     q4, q5, [x0, #64]
        ldp     q6, q7, [x0, #96]
        add     x6, x1, #128
        mov     x7, #192
        add     x8, sp, #24
        add     x11, sp, #16
        lsr     w9, w2, #3
.Lexpand_64:
        add     x0, sp, #32
        mov     w10, #4
.Lexpand_16:
        ldp     q16, q17, [x3], #32
        ld1     {v8.16b-v11.16b}, [x1], #64
        ld1     {v12.16b-v15.16b}, [x6], #64
        sli     v16.8h, v17.8h, #8      /* limits are at most 129 */
        str     q16, [sp, #16]
        ld4r    {v26.8h-v29.8h}, [x11]
        pair    0, 8, 12
        pair    1, 9, 13, 26
        pair    2, 10, 14, 27, 26
        pair    3, 11, 15, 28, 27
        ld1     {v8.16b-v11.16b}, [x1], x7
        ld1     {v12.16b-v15.16b}, [x6], x7
        pair    4, 8, 12, 29, 28
        pair    5, 9, 13, 26, 29
        pair    6, 10, 14, 27, 26
        pair    7, 11, 15, 28, 27
        pair    8, 0, 0, 29, 28
        subs    w10, w10, #1
        urhadd  v30.16b, v30.16b, v29.16b
        str     q30, [x0], #16
        b.ne    .Lexpand_16
        sub     x0, x0, #64
        ld1     {v16.8h-v19.8h}, [x0]
        ld4r    {v20.8h-v23.8h}, [x4], #8
        flip_rows
        store_rows x5
        subs    w2, w2, #64
        b.ne    .Lexpand_64
        ldp     d14, d15, [sp, #128]
        ldp     d12, d13, [sp, #112]
        ldp     d10, d11, [sp, #96]
        ldp     d8, d9, [sp], #144
        ret
end kwsi_expand_neon_2

/* void kwsi_expand_neon_4(const uint64_t *bits, const uint64_t *weight, int outputs, const int16_t *below,
 *                         const uint64_t *flip, uint64_t *out)
 *
 * kwsi_expand_fn for words = 4 (K = 256).
 *
 * The 8 rows of a tile take 16 registers, and a sum needs more than 8 bits:
 *     16 EOR + 16 CNT + 8 ADD + 7 ADDP + 1 UADDLP = 48 vector operations for 16 x 128 binary products: 3.0 each.
 * DUP spreads the limit, CMHI compares, SRI shifts the answer in. Three outputs are in flight: see pipeline.h.
 *
 * llvm-mca, cycles for 128 binary products with all that is done to them: Cortex-A53 3.81, A72 and A76 1.59.
 *
 * Registers
 *     x0 where bits go   x1 weight   w2 outputs left   x3 below   x4 flip   x5 out   x9 bytes of a row of out
 *     w10 turns left
 *     v0-v12   weights, differing bits, counts, sums, limit
 *     v14 v15  by turns the output's answer, and the bits so far: in each row's 16-bit lane the newest on top
 *     v16-v31  rows: row r in v(16 + 2r), v(17 + 2r)
 * Saved: d8-d12, d14, d15. */

/* Bits go from v\before to v\bits. Pointers of each of the three outputs are right for \at = 0, or one behind. */
.macro  output_4 bits, before, at
    mid eor     v6.16b, v30.16b, v11.16b
    mid eor     v10.16b, v31.16b, v12.16b
    new ldp     q11, q12, [x1, #32 * \at]
    mid cnt     v9.16b, v9.16b
    old dup     v5.8h, v5.h[0]
    mid add     v7.16b, v7.16b, v8.16b
    mid cnt     v6.16b, v6.16b
    mid addp    v8.16b, v1.16b, v0.16b
    new eor     v0.16b, v16.16b, v11.16b
    mid cnt     v10.16b, v10.16b
    new eor     v1.16b, v17.16b, v12.16b
    mid add     v3.16b, v3.16b, v9.16b
    mid addp    v4.16b, v4.16b, v7.16b
    old cmhi    v\bits\().8h, v5.8h, v2.8h
    new cnt     v0.16b, v0.16b
    new eor     v2.16b, v18.16b, v11.16b
    new eor     v5.16b, v19.16b, v12.16b
    new cnt     v1.16b, v1.16b
    mid add     v6.16b, v6.16b, v10.16b
    old sri     v\bits\().8h, v\before\().8h, #1
    new cnt     v2.16b, v2.16b
    new eor     v10.16b, v20.16b, v11.16b
    new cnt     v5.16b, v5.16b
    new eor     v7.16b, v21.16b, v12.16b
    new add     v9.16b, v0.16b, v1.16b
    mid addp    v3.16b, v3.16b, v6.16b
    new cnt     v10.16b, v10.16b
    new eor     v6.16b, v22.16b, v11.16b
    new cnt     v7.16b, v7.16b
    new eor     v0.16b, v23.16b, v12.16b
    new add     v1.16b, v2.16b, v5.16b
    mid addp    v2.16b, v4.16b, v3.16b
    new cnt     v3.16b, v6.16b
    new eor     v4.16b, v24.16b, v11.16b
    new eor     v5.16b, v25.16b, v12.16b
    new cnt     v0.16b, v0.16b
    new add     v6.16b, v10.16b, v7.16b
    new addp    v1.16b, v9.16b, v1.16b
    mid addp    v2.16b, v8.16b, v2.16b
    new cnt     v4.16b, v4.16b
    new eor     v7.16b, v26.16b, v11.16b
    new cnt     v5.16b, v5.16b
    new eor     v8.16b, v27.16b, v12.16b
    new add     v0.16b, v3.16b, v0.16b
    mid uaddlp  v2.8h, v2.16b
    new cnt     v7.16b, v7.16b
    new eor     v3.16b, v28.16b, v11.16b
    new cnt     v8.16b, v8.16b
    new eor     v9.16b, v29.16b, v12.16b
    new add     v4.16b, v4.16b, v5.16b
    mid ldr     h5, [x3, #2 * \at]
    new addp    v0.16b, v6.16b, v0.16b
    new cnt     v3.16b, v3.16b
.endm

.macro  finish_4
        ld1r    {v14.8h}, [x4], #2
        eor     v14.16b, v14.16b, v15.16b
        store_sixteen 14, x5
.endm

function kwsi_expand_neon_4
        stp     d8, d9, [sp, #-64]!
        stp     d10, d11, [sp, #16]
        stp     d12, d14, [sp, #32]
        str     d15, [sp, #48]
        ldp     q16, q17, [x0]
        ldp     q18, q19, [x0, #32]
        ldp     q20, q21, [x0, #64]
        ldp     q22, q23, [x0, #96]
        ldp     q24, q25, [x0, #128]
        ldp     q26, q27, [x0, #160]
        ldp     q28, q29, [x0, #192]
        ldp     q30, q31, [x0, #224]
        lsr     w9, w2, #3
        stages  1, 0, 0
        output_4 14, 15, 0
        stages  1, 1, 0
        add     x1, x1, #32
        output_4 15, 14, 0
        stages  1, 1, 1
        add     x1, x1, #32
        add     x3, x3, #2
.Lexpand_4_group:
        cmp     w2, #16
        mov     w10, #7                 /* the last group leaves its last two outputs to what follows the loop */
        cinc    w10, w10, ne
.Lexpand_4_outputs:
        output_4 14, 15, 0
        output_4 15, 14, 1
        add     x1, x1, #64
        add     x3, x3, #4
        subs    w10, w10, #1
        b.ne    .Lexpand_4_outputs
        subs    w2, w2, #16
        b.eq    .Lexpand_4_last
        finish_4
        b       .Lexpand_4_group
.Lexpand_4_last:
        stages  0, 1, 1
        output_4 14, 15, 0
        stages  0, 0, 1
        output_4 15, 14, 0
        finish_4
        ldr     d15, [sp, #48]
        ldp     d12, d14, [sp, #32]
        ldp     d10, d11, [sp, #16]
        ldp     d8, d9, [sp], #64
        ret
end kwsi_expand_neon_4

#endif
