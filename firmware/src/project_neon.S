/* SPDX-License-Identifier: Apache-2.0
 *
 * void kwsi_project_neon_4(const uint64_t *bits, const uint64_t *weight, int outputs, const kwsi_affine_t *affine,
 *                          int16_t *x, const int16_t *threshold, uint64_t *out)
 *
 * kwsi_project_fn for words = 4 (K = 256).
 *
 * The 8 rows of a tile, 16 registers of bits, stay; each weight is loaded once. Sums are folded across the rows, so
 * that the last folding leaves eight 16-bit sums, one a row, just as the residual stream lies in memory:
 *     16 EOR + 16 CNT + 8 ADD + 7 ADDP + 1 UADDLP = 48 vector operations for 16 x 128 binary products: 3.0 each.
 * Eight more turn a sum into x and a bit: shift, scale, bias, slope, maximum, residual, compare, insert. Scales and
 * slopes of eight outputs lie in two registers, a lane each; bias and threshold, which no instruction takes from a
 * lane, are spread by LD1R as they are loaded. Three outputs are in flight, see pipeline.h: what completes an output is
 * spread over the two after it. The order of the lines is one that llvm-mca's Cortex-A53 likes, which holds back a load
 * or store that moves its pointer until all before it is done. Bits wait on the stack until the end.
 *
 * llvm-mca, cycles for 128 binary products with all that is done to them: Cortex-A53 4.60, A72 and A76 1.91.
 *
 * Registers
 *     x0 where bits go on the stack   x1 weight, then those bits   w2 outputs left   x3 scale   x4 x   x5 threshold
 *     x6 out   x7 bias   x8 slope   x9 bytes of a row of out   w10 outputs   x11 null where no bits are wanted
 *     x12 the stack pointer of before
 *     v0-v13   rows 0..6: row r in v(2r), v(2r + 1); v27 v28  row 7
 *     v14 v15  scales and slopes of eight outputs: a multiplier must lie in v0-v15
 *     v16-v23  differing bits, then their counts, then sums of rows
 *     v24      sum of rows 0..3, then of all, shifted and scaled
 *     v25 v26  weight
 *     v29      the output's value, then its x, then whether that reaches the threshold
 *     v30      bits so far, in each row's 16-bit lane the newest on top: eight outputs' in the upper half
 *     v31      by turns bias, value times slope, x of before, threshold
 * Saved: d8-d15. */
#include "asm.h"
#include "pipeline.h"
#include "rows_neon.h"

#if defined(__aarch64__)

/* Output \new enters, output \mid, number \mid of its eight, goes on, output \old is completed. */
.macro  output_of_8 new, mid, old
    new ldp     q25, q26, [x1, #32 * \new]
    .if \mid == 0
    mid ldr     q14, [x3], #16
    mid ldr     q15, [x8], #16
    .endif
    mid cnt     v22.16b, v22.16b
    mid cnt     v17.16b, v17.16b
    mid cnt     v16.16b, v16.16b
    mid add     v23.16b, v23.16b, v18.16b
    mid add     v19.16b, v19.16b, v21.16b
    old smax    v29.8h, v29.8h, v31.8h
    old ldr     q31, [x4, #16 * \old]
    mid add     v20.16b, v20.16b, v17.16b
    mid add     v16.16b, v16.16b, v22.16b
    new eor     v22.16b, v4.16b, v25.16b
    new eor     v21.16b, v3.16b, v26.16b
    mid addp    v17.16b, v19.16b, v23.16b
    new eor     v23.16b, v5.16b, v26.16b
    new eor     v19.16b, v1.16b, v26.16b
    mid addp    v18.16b, v20.16b, v16.16b
    new eor     v16.16b, v0.16b, v25.16b
    old sqadd   v29.8h, v29.8h, v31.8h
    old ld1r    {v31.8h}, [x5], #2
    old str     q29, [x4, #16 * \old]
    new cnt     v21.16b, v21.16b
    mid addp    v17.16b, v17.16b, v18.16b
    new cnt     v19.16b, v19.16b
    old cmge    v29.8h, v29.8h, v31.8h
    new eor     v20.16b, v2.16b, v25.16b
    new eor     v18.16b, v7.16b, v26.16b
    new cnt     v16.16b, v16.16b
    mid addp    v24.16b, v24.16b, v17.16b
    new eor     v17.16b, v6.16b, v25.16b
    new cnt     v23.16b, v23.16b
    new cnt     v20.16b, v20.16b
    new cnt     v22.16b, v22.16b
    new cnt     v18.16b, v18.16b
    mid uaddlp  v24.8h, v24.16b
    new cnt     v17.16b, v17.16b
    mid ld1r    {v31.8h}, [x7], #2
    new add     v17.16b, v17.16b, v18.16b
    mid sqshl   v24.8h, v24.8h, #7
    new add     v20.16b, v20.16b, v21.16b
    new eor     v21.16b, v9.16b, v26.16b
    new add     v22.16b, v22.16b, v23.16b
    new eor     v23.16b, v10.16b, v25.16b
    new add     v16.16b, v16.16b, v19.16b
    mid sqrdmulh v24.8h, v24.8h, v14.h[\mid]
    new eor     v19.16b, v8.16b, v25.16b
    new eor     v18.16b, v11.16b, v26.16b
    new addp    v22.16b, v22.16b, v17.16b
    new eor     v17.16b, v13.16b, v26.16b
    new addp    v16.16b, v16.16b, v20.16b
    new cnt     v21.16b, v21.16b
    old sli     v30.8h, v29.8h, #8 + \old
    new eor     v20.16b, v12.16b, v25.16b
    new cnt     v23.16b, v23.16b
    mid sqsub   v29.8h, v31.8h, v24.8h
    new addp    v24.16b, v16.16b, v22.16b
    new eor     v22.16b, v28.16b, v26.16b
    new cnt     v18.16b, v18.16b
    new eor     v16.16b, v27.16b, v25.16b
    new cnt     v19.16b, v19.16b
    new cnt     v20.16b, v20.16b
    mid sqrdmulh v31.8h, v29.8h, v15.h[\mid]
.endm

/* 64 outputs' bits, at x1, eight registers of eight 16-bit lanes, to eight rows of 64 bits, x9 bytes apart. */
.macro  store_64
        ldp     q20, q16, [x1], #32
        ldp     q21, q17, [x1], #32
        ldp     q22, q18, [x1], #32
        ldp     q23, q19, [x1], #32
        sri     v16.8h, v20.8h, #8
        sri     v17.8h, v21.8h, #8
        sri     v18.8h, v22.8h, #8
        sri     v19.8h, v23.8h, #8
        turn_rows
        store_rows x6
.endm

function kwsi_project_neon_4
        mov     x12, sp
        stp     d8, d9, [sp, #-64]!
        stp     d10, d11, [sp, #16]
        stp     d12, d13, [sp, #32]
        stp     d14, d15, [sp, #48]
        sub     sp, sp, w2, uxtw #1
        ldp     q0, q1, [x0]
        ldp     q2, q3, [x0, #32]
        ldp     q4, q5, [x0, #64]
        ldp     q6, q7, [x0, #96]
        ldp     q8, q9, [x0, #128]
        ldp     q10, q11, [x0, #160]
        ldp     q12, q13, [x0, #192]
        ldp     q27, q28, [x0, #224]
        ldr     x8, [x3, #16]
        ldp     x3, x7, [x3]
        mov     x11, x5
        cmp     x5, #0
        csel    x5, x7, x5, eq          /* no threshold: any numbers, whose bits are dropped */
        mov     w10, w2
        mov     x0, sp
        stages  1, 0, 0
        output_of_8 0, -1, -1
        stages  1, 1, 0
        output_of_8 1, 0, -1
        stages  1, 1, 1
.Lproject_8:
        output_of_8 2, 1, 0
        output_of_8 3, 2, 1
        output_of_8 4, 3, 2
        output_of_8 5, 4, 3
        output_of_8 6, 5, 4
        output_of_8 7, 6, 5
        subs    w2, w2, #8
        b.eq    .Lproject_last
        output_of_8 8, 7, 6
        output_of_8 9, 0, 7
        add     x1, x1, #256
        add     x4, x4, #128
        str     q30, [x0], #16
        b       .Lproject_8
.Lproject_last:
        stages  0, 1, 1
        output_of_8 -1, 7, 6
        stages  0, 0, 1
        output_of_8 -1, -1, 7
        str     q30, [x0]
        cbz     x11, .Lproject_done
        mov     x1, sp
        lsr     w9, w10, #3
.Lproject_rows:
        store_64
        subs    w10, w10, #64
        b.ne    .Lproject_rows
.Lproject_done:
        sub     sp, x12, #64
        ldp     d14, d15, [sp, #48]
        ldp     d12, d13, [sp, #32]
        ldp     d10, d11, [sp, #16]
        ldp     d8, d9, [sp], #64
        ret
end kwsi_project_neon_4

/* void kwsi_project_neon_2(const uint64_t *bits, const uint64_t *weight, int outputs, const kwsi_affine_t *affine,
 *                          int16_t *x, const int16_t *threshold, uint64_t *out)
 *
 * kwsi_project_fn for words = 2 (K = 128).
 *
 * Two outputs share the last folding, which leaves sixteen complete sums of 8 bits:
 *     16 EOR + 16 CNT + 15 ADDP = 47 vector operations for 16 x 128 binary products: 2.94 each.
 * A sum of 128, the one that saturates when lifted to 16 bits, has its top bit set: CMLT makes that a low byte of 255
 * and, added, a high byte of 127; ZIP puts the bytes together. Three pairs are in flight: see pipeline.h.
 *
 * llvm-mca, cycles for 128 binary products with all that is done to them: Cortex-A53 5.13, A72 and A76 2.41.
 *
 * Registers
 *     x0 where bits go   x1 weight   w2 outputs left   x3 scale   x4 x   x5 threshold   x6 out   x7 bias   x8 slope
 *     x9 bytes of a row of out   w10 turns left   x11 null where no bits are wanted
 *     v0-v10, v16-v21  weights, differing bits, counts, sums, parameters, x: a multiplier must lie in v0-v15
 *     v22 v23  the bits so far, the newest of a 16-bit lane on top: after the first output, after the second
 *     v24-v31  rows
 * Saved: d8-d10. */

/* Two outputs. Pointers of each of the three pairs are right for \at = 0, or one pair behind. */
.macro  pair at
    old sqrdmulh v3.8h, v3.8h, v0.h[0]
    mid eor     v18.16b, v31.16b, v8.16b
    new ldp     q21, q8, [x1, #32 * \at]
    old ldr     s9, [x5, #4 * \at]
    old ldr     s1, [x8, #4 * \at]
    mid cnt     v20.16b, v20.16b
    old sqrdmulh v0.8h, v2.8h, v0.h[1]
    mid addp    v4.16b, v7.16b, v4.16b
    mid addp    v16.16b, v17.16b, v16.16b
    old sqsub   v3.8h, v19.8h, v3.8h
    new eor     v19.16b, v24.16b, v21.16b
    mid cnt     v18.16b, v18.16b
    old dup     v17.8h, v9.h[0]
    new eor     v7.16b, v25.16b, v21.16b
    old sqsub   v0.8h, v6.8h, v0.8h
    old sqrdmulh v6.8h, v3.8h, v1.h[0]
    new cnt     v19.16b, v19.16b
    new eor     v2.16b, v26.16b, v21.16b
    old dup     v9.8h, v9.h[1]
    new cnt     v7.16b, v7.16b
    mid addp    v18.16b, v20.16b, v18.16b
    old sqrdmulh v1.8h, v0.8h, v1.h[1]
    old smax    v3.8h, v3.8h, v6.8h
    new eor     v6.16b, v27.16b, v21.16b
    new cnt     v2.16b, v2.16b
    old ldp     q20, q10, [x4, #32 * \at]
    new addp    v7.16b, v19.16b, v7.16b
    new eor     v19.16b, v28.16b, v21.16b
    mid addp    v16.16b, v16.16b, v18.16b
    old smax    v0.8h, v0.8h, v1.8h
    new cnt     v6.16b, v6.16b
    old sqadd   v20.8h, v20.8h, v3.8h
    new eor     v3.16b, v29.16b, v21.16b
    new cnt     v19.16b, v19.16b
    mid addp    v4.16b, v4.16b, v16.16b
    new eor     v16.16b, v30.16b, v21.16b
    new addp    v6.16b, v2.16b, v6.16b
    old sqadd   v10.8h, v10.8h, v0.8h
    new cnt     v0.16b, v3.16b
    old cmge    v22.8h, v20.8h, v17.8h
    mid addp    v2.16b, v5.16b, v4.16b
    new cnt     v3.16b, v16.16b
    new eor     v4.16b, v31.16b, v21.16b
    new addp    v5.16b, v7.16b, v6.16b
    old stp     q20, q10, [x4, #32 * \at]
    mid ldr     s6, [x7, #4 * \at]
    new eor     v7.16b, v24.16b, v8.16b
    new addp    v0.16b, v19.16b, v0.16b
    mid cmlt    v16.16b, v2.16b, #0
    new cnt     v4.16b, v4.16b
    new eor     v17.16b, v25.16b, v8.16b
    old sri     v22.8h, v23.8h, #1
    new cnt     v7.16b, v7.16b
    new eor     v18.16b, v26.16b, v8.16b
    mid dup     v19.8h, v6.h[0]
    new addp    v3.16b, v3.16b, v4.16b
    new cnt     v17.16b, v17.16b
    mid dup     v6.8h, v6.h[1]
    mid add     v2.16b, v2.16b, v16.16b
    new cnt     v18.16b, v18.16b
    new eor     v4.16b, v27.16b, v8.16b
    new addp    v0.16b, v0.16b, v3.16b
    new addp    v7.16b, v7.16b, v17.16b
    old cmge    v23.8h, v10.8h, v9.8h
    new eor     v17.16b, v28.16b, v8.16b
    mid zip1    v3.16b, v16.16b, v2.16b
    mid zip2    v2.16b, v16.16b, v2.16b
    new cnt     v4.16b, v4.16b
    new eor     v16.16b, v29.16b, v8.16b
    new addp    v5.16b, v5.16b, v0.16b
    mid ldr     s0, [x3, #4 * \at]
    old sri     v23.8h, v22.8h, #1
    new cnt     v17.16b, v17.16b
    new eor     v20.16b, v30.16b, v8.16b
    new addp    v4.16b, v18.16b, v4.16b
    new cnt     v16.16b, v16.16b
.endm

function kwsi_project_neon_2
        stp     d8, d9, [sp, #-32]!
        str     d10, [sp, #16]
        ldp     q24, q25, [x0]
        ldp     q26, q27, [x0, #32]
        ldp     q28, q29, [x0, #64]
        ldp     q30, q31, [x0, #96]
        ldr     x8, [x3, #16]
        ldp     x3, x7, [x3]
        mov     x11, x5
        cmp     x5, #0
        csel    x5, x7, x5, eq          /* no threshold: any numbers, whose bits are dropped */
        lsr     w9, w2, #3
        stages  1, 0, 0
        pair    0
        stages  1, 1, 0
        add     x1, x1, #32
        pair    0
        stages  1, 1, 1
        add     x1, x1, #32
        add     x3, x3, #4
        add     x7, x7, #4
.Lproject_2_group:
        cmp     w2, #16
        mov     w10, #3                 /* the last group leaves its last two pairs to what follows the loop */
        cinc    w10, w10, ne
.Lproject_2_pairs:
        pair    0
        pair    1
        add     x1, x1, #64
        add     x3, x3, #8
        add     x4, x4, #64
        add     x5, x5, #8
        add     x7, x7, #8
        add     x8, x8, #8
        subs    w10, w10, #1
        b.ne    .Lproject_2_pairs
        subs    w2, w2, #16
        b.eq    .Lproject_2_last
        cbz     x11, .Lproject_2_group
        store_sixteen 23, x6
        b       .Lproject_2_group
.Lproject_2_last:
        stages  0, 1, 1
        pair    0
        stages  0, 0, 1
        pair    1
        cbz     x11, .Lproject_2_done
        store_sixteen 23, x6
.Lproject_2_done:
        ldr     d10, [sp, #16]
        ldp     d8, d9, [sp], #32
        ret
end kwsi_project_neon_2

#endif
