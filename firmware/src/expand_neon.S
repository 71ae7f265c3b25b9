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
 * Three more turn them into bits: TBL spreads the two limits, CMHI compares, SRI shifts the answer in. Pairing k with
 * k + 8 puts each bit where it belongs, at the price of a load. What completes an output is spread over the one after.
 *
 * Registers
 *     x0 scratch   x1 weight   w2 outputs left   x3 below   x4 flip   x5 out   w9 bytes of a row of out   w10 groups left
 *     v0-v7    rows
 *     v8-v15   for TBL: k times eight, then k + 8 times eight
 *     v16-v23  differing bits, then their counts, then sums of rows; v22, v23 carry over to the next output
 *     v24 v25  sums of the pair
 *     v26-v28  weights
 *     v29 v30  by turns the pair's answer, and the bits so far: the newest bit of a byte on top
 *     v31      limits of the group
 * Saved: d8-d15.
 */
#include "asm.h"

#if defined(__aarch64__)

/* Rows 1, 3 and 5 of an output, whose registers the folding of the one before has freed. */
.macro  odd_rows w
        eor     v17.16b, v1.16b, \w\().16b
        eor     v19.16b, v3.16b, \w\().16b
        eor     v21.16b, v5.16b, \w\().16b
.endm

/* One output with weight \w, rows 1, 3 and 5 of which are there; \next is the weight of the one after. \sum takes the
 * sums of the output before; \load is an instruction, or nothing. If \k is given, the pair k is complete: its bits go
 * from \bits to \answer. */
.macro  output w, next, sum, load, k=-1, answer=29, bits=30, first=0
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
        tbl     v\answer\().16b, {v31.16b}, v\k\().16b
        addp    v24.16b, v24.16b, v25.16b
    .endif
        cnt     v22.16b, v22.16b
        cnt     v23.16b, v23.16b
        cnt     v20.16b, v20.16b
        cnt     v21.16b, v21.16b
        addp    v16.16b, v16.16b, v17.16b
        addp    v18.16b, v18.16b, v19.16b
    .if \k >= 0
        cmhi    v\answer\().16b, v\answer\().16b, v24.16b
    .endif
        addp    v22.16b, v22.16b, v23.16b
        addp    v20.16b, v20.16b, v21.16b
    .ifnb \next
        odd_rows \next
    .endif
    .if \k >= 0
        sri     v\answer\().16b, v\bits\().16b, #1
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
        zip1    v20.8h, v16.8h, v17.8h
        zip2    v21.8h, v16.8h, v17.8h
        zip1    v22.8h, v18.8h, v19.8h
        zip2    v23.8h, v18.8h, v19.8h
        zip1    v16.4s, v20.4s, v22.4s
        zip2    v17.4s, v20.4s, v22.4s
        zip1    v18.4s, v21.4s, v23.4s
        zip2    v19.4s, v21.4s, v23.4s
        eor     v16.16b, v16.16b, v24.16b
        eor     v17.16b, v17.16b, v24.16b
        eor     v18.16b, v18.16b, v24.16b
        eor     v19.16b, v19.16b, v24.16b
        mov     x0, x5
        st1     {v16.d}[0], [x0], x9
        st1     {v16.d}[1], [x0], x9
        st1     {v17.d}[0], [x0], x9
        st1     {v17.d}[1], [x0], x9
        st1     {v18.d}[0], [x0], x9
        st1     {v18.d}[1], [x0], x9
        st1     {v19.d}[0], [x0], x9
        st1     {v19.d}[1], [x0]
        add     x5, x5, #8
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
        ldr     q28, [x1, #128]
        uzp1    v31.16b, v16.16b, v17.16b       /* limits are at most 129 */
        odd_rows v26
        output  v26, v28, v25, "", first=1
        output  v28, v27, v24, "ldr q28, [x1, #144]"
        output  v27, v28, v25, "ldp q26, q27, [x1, #32]", 8, 29, 30
        output  v28, v26, v24, "ldr q28, [x1, #160]"
        output  v26, v28, v25, "", 9, 30, 29
        output  v28, v27, v24, "ldr q28, [x1, #176]"
        output  v27, v28, v25, "ldp q26, q27, [x1, #64]", 10, 29, 30
        output  v28, v26, v24, "ldr q28, [x1, #192]"
        output  v26, v28, v25, "", 11, 30, 29
        output  v28, v27, v24, "ldr q28, [x1, #208]"
        output  v27, v28, v25, "ldp q26, q27, [x1, #96]", 12, 29, 30
        output  v28, v26, v24, "ldr q28, [x1, #224]"
        output  v26, v28, v25, "", 13, 30, 29
        output  v28, v27, v24, "ldr q28, [x1, #240]"
        output  v27, v28, v25, "", 14, 29, 30
        output  v28, "", v24, "add x1, x1, #256"
        addp    v25.16b, v22.16b, v23.16b
        tbl     v30.16b, {v31.16b}, v15.16b
        subs    w10, w10, #1
        addp    v24.16b, v24.16b, v25.16b
        cmhi    v30.16b, v30.16b, v24.16b
        sri     v30.16b, v29.16b, #1
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

#endif
