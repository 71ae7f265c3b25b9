/* SPDX-License-Identifier: Apache-2.0
 *
 * void kwsi_conv1_neon_columns(const int8_t *const *rows, int columns, int pairs, const int8_t *weight,
 *                              const kwsi_conv1_tables_t *tables, uint16_t *bits, size_t bytes, size_t odd)
 *
 * The loop of conv1_neon.c: columns of `pairs` times two mels; a column's bits lie `bytes` after the one's before. The
 * mels that two filters see begin at byte 15 of a row, the even ones, and at byte `odd`. tables: thresholds, the place
 * of each output's bit in its byte, how many bytes after its word that of the second plane lies, and the thresholds of
 * that one: above the first threshold, and below. With 0 bytes there is one plane.
 *
 * The 16 outputs are the lanes. The weights of a tap are one register, and 15 of the 25 stay for the whole call; LD4R
 * and LD3R spread the seven mels of a row that two neighbouring filters read, each over a vector. Each half of the taps
 * is summed in 16 bits, exactly: its weights add up to at most 255. The sum of both halves saturates instead of
 * overflowing, on the right side of any threshold. ANDed with their places and added, neighbours with neighbours, the
 * answers are bytes of bits. A second plane needs the same sums: two more comparisons of each, and a choice between
 * them.
 *
 * 135 instructions for two mels, 100 of them multiplications, and 157 with two planes; by llvm-mca 243 cycles on a
 * Cortex-A53, 105 on an A72.
 *
 * Registers
 *     x0 rows   w1 columns left   w2 pairs   x3 weight   x4 tables   x5 bits   x6 bytes   x7 odd
 *     x8-x12 even and x13-x17 odd mels of the five rows   x19 2, from a pair to the next   w20 pairs left
 *     x21 where the next bits go   x22 from there to those of the second plane
 *     v0-v3   sums over taps 0..12: the first mel's, outputs 0..7 and 8..15, then the second's   v4-v7 over the others
 *     v8 v9   weights of taps 0 and 1 of a row   v10-v15, v23-v31 those of taps 2, 3 and 4 of each
 *     v16-v19 even mels, from one before the first on; at last thresholds and places   v20-v22 odd mels, likewise
 * Saved: x19-x22, d8-d15.
 */
#include "asm.h"

#if defined(__aarch64__)

/* A tap of both mels: weights \w, input \a for the first and \b for the second. */
.macro  tap multiply, w, a, b, a_low, a_high, b_low, b_high
        \multiply   \a_low\().8h, \w\().8b, \a\().8b
        \multiply\()2 \a_high\().8h, \w\().16b, \a\().16b
        \multiply   \b_low\().8h, \w\().8b, \b\().8b
        \multiply\()2 \b_high\().8h, \w\().16b, \b\().16b
.endm

function kwsi_conv1_neon_columns
        stp     d8, d9, [sp, #-96]!
        stp     d10, d11, [sp, #16]
        stp     d12, d13, [sp, #32]
        stp     d14, d15, [sp, #48]
        stp     x19, x20, [sp, #64]
        stp     x21, x22, [sp, #80]
        ldr     x22, [x4, #48]
        ldp     q10, q11, [x3, #32]
        ldr     q12, [x3, #64]
        ldp     q13, q14, [x3, #112]
        ldr     q15, [x3, #144]
        ldp     q23, q24, [x3, #192]
        ldr     q25, [x3, #224]
        ldp     q26, q27, [x3, #272]
        ldr     q28, [x3, #304]
        ldp     q29, q30, [x3, #352]
        ldr     q31, [x3, #384]
        mov     x19, #2
.Lconv1_column:
        ldp     x8, x9, [x0], #16
        ldp     x10, x11, [x0]
        ldr     x12, [x0, #16]
        add     x13, x8, x7
        add     x14, x9, x7
        add     x15, x10, x7
        add     x16, x11, x7
        add     x17, x12, x7
        add     x8, x8, #15
        add     x9, x9, #15
        add     x10, x10, #15
        add     x11, x11, #15
        add     x12, x12, #15
        mov     x21, x5
        mov     w20, w2
.Lconv1_pair:
        ld4r    {v16.16b-v19.16b}, [x8], x19
        ld3r    {v20.16b-v22.16b}, [x13], x19
        ldp     q8, q9, [x3]
        tap     smull, v10, v17, v18, v0, v1, v2, v3
        tap     smlal, v12, v18, v19, v0, v1, v2, v3
        tap     smlal, v8, v16, v17, v0, v1, v2, v3
        ld4r    {v16.16b-v19.16b}, [x9], x19
        tap     smlal, v11, v21, v22, v0, v1, v2, v3
        tap     smlal, v9, v20, v21, v0, v1, v2, v3
        ld3r    {v20.16b-v22.16b}, [x14], x19
        ldp     q8, q9, [x3, #80]
        tap     smlal, v13, v17, v18, v0, v1, v2, v3
        tap     smlal, v15, v18, v19, v0, v1, v2, v3
        tap     smlal, v8, v16, v17, v0, v1, v2, v3
        ld4r    {v16.16b-v19.16b}, [x10], x19
        tap     smlal, v14, v21, v22, v0, v1, v2, v3
        tap     smlal, v9, v20, v21, v0, v1, v2, v3
        ld3r    {v20.16b-v22.16b}, [x15], x19
        ldp     q8, q9, [x3, #160]
        tap     smlal, v23, v17, v18, v0, v1, v2, v3
        tap     smull, v25, v18, v19, v4, v5, v6, v7
        tap     smlal, v8, v16, v17, v0, v1, v2, v3
        ld4r    {v16.16b-v19.16b}, [x11], x19
        tap     smlal, v24, v21, v22, v4, v5, v6, v7
        tap     smlal, v9, v20, v21, v0, v1, v2, v3
        ld3r    {v20.16b-v22.16b}, [x16], x19
        ldp     q8, q9, [x3, #240]
        tap     smlal, v26, v17, v18, v4, v5, v6, v7
        tap     smlal, v28, v18, v19, v4, v5, v6, v7
        tap     smlal, v8, v16, v17, v4, v5, v6, v7
        ld4r    {v16.16b-v19.16b}, [x12], x19
        tap     smlal, v27, v21, v22, v4, v5, v6, v7
        tap     smlal, v9, v20, v21, v4, v5, v6, v7
        ld3r    {v20.16b-v22.16b}, [x17], x19
        ldp     q8, q9, [x3, #320]
        tap     smlal, v29, v17, v18, v4, v5, v6, v7
        tap     smlal, v31, v18, v19, v4, v5, v6, v7
        tap     smlal, v8, v16, v17, v4, v5, v6, v7
        ld1     {v16.16b-v18.16b}, [x4]
        tap     smlal, v30, v21, v22, v4, v5, v6, v7
        tap     smlal, v9, v20, v21, v4, v5, v6, v7
        sqadd   v0.8h, v0.8h, v4.8h
        sqadd   v1.8h, v1.8h, v5.8h
        sqadd   v2.8h, v2.8h, v6.8h
        sqadd   v3.8h, v3.8h, v7.8h
        cbnz    x22, .Lconv1_two
        cmge    v0.8h, v0.8h, v16.8h
        cmge    v1.8h, v1.8h, v17.8h
        cmge    v2.8h, v2.8h, v16.8h
        cmge    v3.8h, v3.8h, v17.8h
        uzp1    v0.16b, v0.16b, v1.16b
        uzp1    v2.16b, v2.16b, v3.16b
        and     v0.16b, v0.16b, v18.16b
        and     v2.16b, v2.16b, v18.16b
        addp    v0.16b, v0.16b, v2.16b
        subs    w20, w20, #1
        addp    v0.16b, v0.16b, v0.16b
        addp    v0.16b, v0.16b, v0.16b
        str     s0, [x21], #4
        b.ne    .Lconv1_pair
.Lconv1_next:
        add     x5, x5, x6
        subs    w1, w1, #1
        b.ne    .Lconv1_column
        ldp     x21, x22, [sp, #80]
        ldp     x19, x20, [sp, #64]
        ldp     d14, d15, [sp, #48]
        ldp     d12, d13, [sp, #32]
        ldp     d10, d11, [sp, #16]
        ldp     d8, d9, [sp], #96
        ret
.Lconv1_two:
        ldp     q4, q5, [x4, #64]
        ldp     q6, q7, [x4, #96]
        cmge    v8.8h, v0.8h, v16.8h
        cmge    v9.8h, v1.8h, v17.8h
        cmge    v16.8h, v2.8h, v16.8h
        cmge    v17.8h, v3.8h, v17.8h
        cmge    v19.8h, v0.8h, v4.8h
        cmge    v20.8h, v1.8h, v5.8h
        cmge    v21.8h, v2.8h, v4.8h
        cmge    v22.8h, v3.8h, v5.8h
        cmge    v0.8h, v0.8h, v6.8h
        cmge    v1.8h, v1.8h, v7.8h
        cmge    v2.8h, v2.8h, v6.8h
        cmge    v3.8h, v3.8h, v7.8h
        uzp1    v8.16b, v8.16b, v9.16b
        uzp1    v16.16b, v16.16b, v17.16b
        uzp1    v19.16b, v19.16b, v20.16b
        uzp1    v21.16b, v21.16b, v22.16b
        uzp1    v0.16b, v0.16b, v1.16b
        uzp1    v2.16b, v2.16b, v3.16b
        bit     v0.16b, v19.16b, v8.16b         /* the first plane chooses */
        bit     v2.16b, v21.16b, v16.16b
        and     v8.16b, v8.16b, v18.16b
        and     v16.16b, v16.16b, v18.16b
        and     v0.16b, v0.16b, v18.16b
        and     v2.16b, v2.16b, v18.16b
        addp    v8.16b, v8.16b, v16.16b
        addp    v0.16b, v0.16b, v2.16b
        subs    w20, w20, #1
        addp    v0.16b, v8.16b, v0.16b
        addp    v0.16b, v0.16b, v0.16b
        mov     s1, v0.s[1]
        str     s1, [x21, x22]
        str     s0, [x21], #4
        b.ne    .Lconv1_pair
        b       .Lconv1_next
end kwsi_conv1_neon_columns

#endif
