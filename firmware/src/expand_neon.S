/* SPDX-License-Identifier: Apache-2.0
 *
 * void kwsi_expand_neon_2(const uint64_t *bits, const uint64_t *weight, int outputs, const int16_t *below,
 *                         const uint64_t *flip, uint64_t *out)
 *
 * kwsi_expand_fn for words = 2 (K = 128).
 *
 * The 8 rows of a tile, 8 registers of bits, stay; each weight is loaded once. Sums are folded across the rows; two
 * outputs, k and k + 8 of a group of sixteen, share the last folding, which leaves sixteen 8-bit sums, all complete:
 *     16 EOR + 16 CNT + 15 ADDP = 47 vector operations for 16 x 128 binary products: 2.94 each.
 * Three more turn them into bits: TBL spreads the two limits, CMHI compares, URHADD shifts the answer in: (bits + 255 +
 * 1) / 2 or (bits + 0 + 1) / 2, where the lowest bit is 0 until the eighth. Pairing k with k + 8 puts each bit where it
 * belongs. What completes an output is spread over the one after.
 *
 * llvm-mca, cycles for 128 binary products with all that is done to them: Cortex-A53 4.08, A72 and A76 1.64.
 *
 * Registers
 *     x0 scratch   x1 weight   w2 outputs left   x3 below   x4 flip   x5 out   w9 bytes of a row of out
 *     w10 groups left
 *     v0-v7    rows
 *     v8-v15   for TBL: k times eight, then k + 8 times eight
 *     v16-v23  differing bits, then their counts, then sums of rows; v22, v23 carry over to the next output
 *     v24 v25  sums of the pair; then v25 its limits, and its answer
 *     v26-v29  weights of k, k + 1, k + 8, k + 9
 *     v30      bits so far, the newest bit of a byte on top
 *     v31      limits of the group
 * Saved: d8-d15.
 */
#include "asm.h"
#include "pipeline.h"
#include "rows_neon.h"

#if defined(__aarch64__)

/* Rows 1, 3 and 5 of an output, whose registers the folding of the one before has freed. */
.macro  odd_rows w
        eor     v17.16b, v1.16b, \w\().16b
        eor     v19.16b, v3.16b, \w\().16b
        eor     v21.16b, v5.16b, \w\().16b
.endm

/* One output with weight \w, rows 1, 3 and 5 of which are there; \next is the weight of the one after. \sum takes the
 * sums of the output before; \load is an instruction, or nothing. If \k is given, the pair k is complete. */
.macro  output w, next, sum, load, k=-1, first=0
        eor     v16.16b, v0.16b, \w\().16b
        eor     v18.16b, v2.16b, \w\().16b
        eor     v20.16b, v4.16b, \w\().16b
        cnt     v17.16b, v17.16b
    .if \first == 0
        addp    \sum\().16b, v22.16b, v23.16b
    .endif
        eor     v22.16b, v6.16b, \w\().16b
        eor     v23.16b, v7.16b, \w\().16b
        \load
        cnt     v16.16b, v16.16b
        cnt     v18.16b, v18.16b
        cnt     v19.16b, v19.16b
    .if \k >= 0
        addp    v24.16b, v24.16b, v25.16b
        tbl     v25.16b, {v31.16b}, v\k\().16b
    .endif
        cnt     v22.16b, v22.16b
        cnt     v23.16b, v23.16b
        cnt     v20.16b, v20.16b
        cnt     v21.16b, v21.16b
        addp    v16.16b, v16.16b, v17.16b
        addp    v18.16b, v18.16b, v19.16b
    .if \k >= 0
        cmhi    v25.16b, v25.16b, v24.16b
    .endif
        addp    v22.16b, v22.16b, v23.16b
        addp    v20.16b, v20.16b, v21.16b
    .ifnb \next
        odd_rows \next
    .endif
    .if \k == 8
        shl     v30.16b, v25.16b, #7
    .elseif \k > 8
        urhadd  v30.16b, v30.16b, v25.16b
    .endif
        addp    v23.16b, v20.16b, v22.16b
        addp    v22.16b, v16.16b, v18.16b
        /* rows 0..3 are in v22, rows 4..7 in v23 */
.endm

/* 64 outputs' bits, four registers at sp + 64 of eight rows' low and eight rows' high bytes, to eight rows of 64 bits,
 * x9 bytes apart. */
.macro  store_bits
        ldp     d16, d17, [sp, #64]
        ldp     d18, d19, [sp, #80]
        ldp     d20, d21, [sp, #96]
        ldp     d22, d23, [sp, #112]
        ld1r    {v24.2d}, [x4], #8
        zip1    v16.16b, v16.16b, v17.16b
        zip1    v17.16b, v18.16b, v19.16b
        zip1    v18.16b, v20.16b, v21.16b
        zip1    v19.16b, v22.16b, v23.16b
        turn_rows
        eor     v16.16b, v16.16b, v24.16b
        eor     v17.16b, v17.16b, v24.16b
        eor     v18.16b, v18.16b, v24.16b
        eor     v19.16b, v19.16b, v24.16b
        store_rows x5
.endm

function kwsi_expand_neon_2
        stp     d8, d9, [sp, #-128]!
        stp     d10, d11, [sp, #16]
        stp     d12, d13, [sp, #32]
        stp     d14, d15, [sp, #48]
        ldp     q0, q1, [x0]
        ldp     q2, q3, [x0, #32]
        ldp     q4, q5, [x0, #64]
        ldp     q6, q7, [x0, #96]
        movi    v16.16b, #1
        movi    v17.16b, #8
        movi    v8.16b, #0
        ins     v8.d[1], v17.d[0]
        add     v9.16b, v8.16b, v16.16b
        add     v10.16b, v9.16b, v16.16b
        add     v11.16b, v10.16b, v16.16b
        add     v12.16b, v11.16b, v16.16b
        add     v13.16b, v12.16b, v16.16b
        add     v14.16b, v13.16b, v16.16b
        add     v15.16b, v14.16b, v16.16b
        lsr     w9, w2, #3
.Lexpand_64:
        add     x0, sp, #64
        mov     w10, #4
.Lexpand_16:
        ldp     q16, q17, [x3], #32
        ldp     q26, q27, [x1]
        ldp     q28, q29, [x1, #128]
        uzp1    v31.16b, v16.16b, v17.16b       /* limits are at most 129 */
        odd_rows v26
        output  v26, v28, v25, "", first=1
        output  v28, v27, v24, ""
        output  v27, v29, v25, "", 8
        output  v29, v26, v24, "ldp q26, q27, [x1, #32]"
        output  v26, v28, v25, "ldp q28, q29, [x1, #160]", 9
        output  v28, v27, v24, ""
        output  v27, v29, v25, "", 10
        output  v29, v26, v24, "ldp q26, q27, [x1, #64]"
        output  v26, v28, v25, "ldp q28, q29, [x1, #192]", 11
        output  v28, v27, v24, ""
        output  v27, v29, v25, "", 12
        output  v29, v26, v24, "ldp q26, q27, [x1, #96]"
        output  v26, v28, v25, "ldp q28, q29, [x1, #224]", 13
        output  v28, v27, v24, ""
        output  v27, v29, v25, "", 14
        output  v29, "", v24, "add x1, x1, #256"
        addp    v25.16b, v22.16b, v23.16b
        subs    w10, w10, #1
        addp    v24.16b, v24.16b, v25.16b
        tbl     v25.16b, {v31.16b}, v15.16b
        cmhi    v25.16b, v25.16b, v24.16b
        urhadd  v30.16b, v30.16b, v25.16b
        str     q30, [x0], #16
        b.ne    .Lexpand_16
        store_bits
        subs    w2, w2, #64
        b.ne    .Lexpand_64
        ldp     d14, d15, [sp, #48]
        ldp     d12, d13, [sp, #32]
        ldp     d10, d11, [sp, #16]
        ldp     d8, d9, [sp], #128
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
