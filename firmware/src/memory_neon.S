/* SPDX-License-Identifier: Apache-2.0
 *
 * void kwsi_memory_neon_tile(const pair_t *rows, const pair_t *taps, const kwsi_affine_t *affine, int16_t *x,
 *                            const int16_t *threshold, uint64_t *out, size_t bytes, int sixteens)
 *
 * kwsi_memory_fn for eight steps of 16 * `sixteens` channels, 128 or 64: twelve rows and the five taps' weights, 128
 * bits each; rows of out lie `bytes` apart.
 *
 * 1. Differing taps are counted for 128 channels at once, by two full adders, as three planes of bits: 13 operations a
 *    step. Where the first two inputs of an adder differ, the carry is the third, else the first: BSL.
 * 2. Each plane is transposed, so that a channel's eight steps lie side by side: 24 ZIP.
 * 3. Sixteen channels at a time, BIT and BIF put the three bits of a channel together, two channels to a byte, and SHLL
 *    lifts them to the top of 16-bit lanes: 23 operations and one a channel.
 * 4. Scale, bias, slope, maximum, residual, compare and insert, eight channels at a time: seven operations each. Scales
 *    and slopes lie in two registers, a lane each; LD4R spreads four biases or thresholds.
 *
 * Registers
 *     x0 rows, then scratch   x1 taps, then bias   x2 scale   x3 x   x4 threshold   x5 out   w7 sixteens left
 *     x8 slope   x9 `bytes`   x10 planes   x11 bits   x12 x to be loaded
 *     of 1 and 2: v0-v7 rows   v16-v26 differing taps and sums, or what is transposed   v27-v31 weights
 *     of 3 and 4: v0 v2 scales   v1 v3 slopes   v8-v10 masks 0x55, 0x33, 0x70   v16-v23 counts of eight and eight
 *     channels   v24-v27, v4-v7 counts, scaled, values times slopes, x of before, thresholds   v28-v31, v12-v15 biases,
 *     values, x, whether that reaches the threshold   v11 bits: that of the k-th of sixteen channels is bit k of a lane
 * Saved: d8-d15.
 */
#include "asm.h"
#include "rows_neon.h"

#if defined(__aarch64__)

/* Three planes of one step, from its five rows and the taps in v27..v31. */
.macro  count a, b, c, d, e, plane0, plane1, plane2
        eor     v16.16b, \a\().16b, v27.16b
        eor     v17.16b, \b\().16b, v28.16b
        eor     v18.16b, \c\().16b, v29.16b
        eor     v19.16b, \d\().16b, v30.16b
        eor     v26.16b, \e\().16b, v31.16b
        eor     v17.16b, v16.16b, v17.16b
        eor     \plane2\().16b, v17.16b, v18.16b
        bsl     v17.16b, v18.16b, v16.16b
        eor     v18.16b, \plane2\().16b, v19.16b
        eor     \plane0\().16b, v18.16b, v26.16b
        bsl     v18.16b, v26.16b, \plane2\().16b
        eor     \plane1\().16b, v17.16b, v18.16b
        and     \plane2\().16b, v17.16b, v18.16b
.endm

.macro  count_two a, b, c, d, e, f, at
        count   \a, \b, \c, \d, \e, v20, v22, v24
        count   \b, \c, \d, \e, \f, v21, v23, v25
        stp     q20, q21, [sp, #\at]
        stp     q22, q23, [sp, #\at + 128]
        stp     q24, q25, [sp, #\at + 256]
.endm

.macro  zip_two to0, to1, a, b
        zip1    \to0\().16b, \a\().16b, \b\().16b
        zip2    \to1\().16b, \a\().16b, \b\().16b
.endm

/* Eight rows of sixteen octets -> eight pairs of octets, each octet with its eight rows side by side. */
.macro  transpose
        ld1     {v0.16b-v3.16b}, [x10], #64
        ld1     {v4.16b-v7.16b}, [x10]
        sub     x10, x10, #64
        zip_two v16, v20, v0, v4
        zip_two v17, v21, v1, v5
        zip_two v18, v22, v2, v6
        zip_two v19, v23, v3, v7
        zip_two v0, v2, v16, v18
        zip_two v1, v3, v17, v19
        zip_two v4, v6, v20, v22
        zip_two v5, v7, v21, v23
        zip_two v16, v17, v0, v1
        zip_two v18, v19, v2, v3
        zip_two v20, v21, v4, v5
        zip_two v22, v23, v6, v7
        st1     {v16.16b-v19.16b}, [x10], #64
        st1     {v20.16b-v23.16b}, [x10], #64
.endm

/* Eight channels, whose counts lie in one half of v16 .. v23. */
.macro  eight lift, half, scale, slope, bit
        ld4r    {v28.8h-v31.8h}, [x1], #8
        ld4r    {v12.8h-v15.8h}, [x1], #8
        \lift   v24.8h, v16.\half, #8
        \lift   v25.8h, v17.\half, #8
        \lift   v26.8h, v18.\half, #8
        \lift   v27.8h, v19.\half, #8
        \lift   v4.8h, v20.\half, #8
        \lift   v5.8h, v21.\half, #8
        \lift   v6.8h, v22.\half, #8
        \lift   v7.8h, v23.\half, #8
        sqrdmulh v24.8h, v24.8h, v\scale\().h[0]
        sqrdmulh v25.8h, v25.8h, v\scale\().h[1]
        sqrdmulh v26.8h, v26.8h, v\scale\().h[2]
        sqrdmulh v27.8h, v27.8h, v\scale\().h[3]
        sqrdmulh v4.8h, v4.8h, v\scale\().h[4]
        sqrdmulh v5.8h, v5.8h, v\scale\().h[5]
        sqrdmulh v6.8h, v6.8h, v\scale\().h[6]
        sqrdmulh v7.8h, v7.8h, v\scale\().h[7]
        sqsub   v28.8h, v28.8h, v24.8h
        sqsub   v29.8h, v29.8h, v25.8h
        sqsub   v30.8h, v30.8h, v26.8h
        sqsub   v31.8h, v31.8h, v27.8h
        sqsub   v12.8h, v12.8h, v4.8h
        sqsub   v13.8h, v13.8h, v5.8h
        sqsub   v14.8h, v14.8h, v6.8h
        sqsub   v15.8h, v15.8h, v7.8h
        sqrdmulh v24.8h, v28.8h, v\slope\().h[0]
        sqrdmulh v25.8h, v29.8h, v\slope\().h[1]
        sqrdmulh v26.8h, v30.8h, v\slope\().h[2]
        sqrdmulh v27.8h, v31.8h, v\slope\().h[3]
        sqrdmulh v4.8h, v12.8h, v\slope\().h[4]
        sqrdmulh v5.8h, v13.8h, v\slope\().h[5]
        sqrdmulh v6.8h, v14.8h, v\slope\().h[6]
        sqrdmulh v7.8h, v15.8h, v\slope\().h[7]
        smax    v28.8h, v28.8h, v24.8h
        smax    v29.8h, v29.8h, v25.8h
        smax    v30.8h, v30.8h, v26.8h
        smax    v31.8h, v31.8h, v27.8h
        smax    v12.8h, v12.8h, v4.8h
        smax    v13.8h, v13.8h, v5.8h
        smax    v14.8h, v14.8h, v6.8h
        smax    v15.8h, v15.8h, v7.8h
        ld1     {v24.8h-v27.8h}, [x12], #64
        ld1     {v4.8h-v7.8h}, [x12], #64
        sqadd   v28.8h, v24.8h, v28.8h
        sqadd   v29.8h, v25.8h, v29.8h
        sqadd   v30.8h, v26.8h, v30.8h
        sqadd   v31.8h, v27.8h, v31.8h
        sqadd   v12.8h, v4.8h, v12.8h
        sqadd   v13.8h, v5.8h, v13.8h
        sqadd   v14.8h, v6.8h, v14.8h
        sqadd   v15.8h, v7.8h, v15.8h
        st1     {v28.8h-v31.8h}, [x3], #64
        st1     {v12.8h-v15.8h}, [x3], #64
        ld4r    {v24.8h-v27.8h}, [x4], #8
        ld4r    {v4.8h-v7.8h}, [x4], #8
        cmge    v28.8h, v28.8h, v24.8h
        cmge    v29.8h, v29.8h, v25.8h
        cmge    v30.8h, v30.8h, v26.8h
        cmge    v31.8h, v31.8h, v27.8h
        cmge    v12.8h, v12.8h, v4.8h
        cmge    v13.8h, v13.8h, v5.8h
        cmge    v14.8h, v14.8h, v6.8h
        cmge    v15.8h, v15.8h, v7.8h
        sli     v28.8h, v29.8h, #1
        sli     v30.8h, v31.8h, #1
        sli     v12.8h, v13.8h, #1
        sli     v14.8h, v15.8h, #1
        sli     v28.8h, v30.8h, #2
        sli     v12.8h, v14.8h, #2
        sli     v28.8h, v12.8h, #4
        sli     v11.8h, v28.8h, #\bit
.endm

function kwsi_memory_neon_tile
        stp     d8, d9, [sp, #-64]!
        stp     d10, d11, [sp, #16]
        stp     d12, d13, [sp, #32]
        stp     d14, d15, [sp, #48]
        sub     sp, sp, #448            /* planes [3][8], bits of 64 channels */
        ldp     q27, q28, [x1]
        ldp     q29, q30, [x1, #32]
        ldr     q31, [x1, #64]
        ldp     q0, q1, [x0]            /* row r goes to v(r mod 8) */
        ldp     q2, q3, [x0, #32]
        ldp     q4, q5, [x0, #64]
        count_two v0, v1, v2, v3, v4, v5, 0
        ldp     q6, q7, [x0, #96]
        count_two v2, v3, v4, v5, v6, v7, 32
        ldp     q0, q1, [x0, #128]
        count_two v4, v5, v6, v7, v0, v1, 64
        ldp     q2, q3, [x0, #160]
        count_two v6, v7, v0, v1, v2, v3, 96
        mov     x10, sp
        transpose
        transpose
        transpose
        movi    v8.16b, #0x55
        movi    v9.16b, #0x33
        movi    v10.16b, #0x70
        ldr     x8, [x2, #16]
        ldp     x2, x1, [x2]
        mov     x9, x6
        mov     x12, x3
        mov     x10, sp
        add     x11, sp, #384
.Lmemory_16:
        ldr     q17, [x10, #128]
        ldr     q18, [x10, #256]
        ldr     q16, [x10], #16
        ldp     q0, q2, [x2], #32
        ldp     q1, q3, [x8], #32
        shl     v19.16b, v17.16b, #1    /* pairs of bits: of even channels, with zeros above the third bit */
        ushr    v20.16b, v16.16b, #1    /* and of odd ones */
        ushr    v22.16b, v18.16b, #1
        and     v21.16b, v18.16b, v8.16b
        bit     v19.16b, v16.16b, v8.16b
        bif     v20.16b, v17.16b, v8.16b
        and     v22.16b, v22.16b, v8.16b
        shl     v16.16b, v21.16b, #2    /* halves of bytes: channels 0 and 4, 1 and 5, 2 and 6, 3 and 7 */
        ushr    v18.16b, v19.16b, #2
        shl     v17.16b, v22.16b, #2
        bit     v16.16b, v19.16b, v9.16b
        ushr    v19.16b, v20.16b, #2
        bif     v18.16b, v21.16b, v9.16b
        bit     v17.16b, v20.16b, v9.16b
        bif     v19.16b, v22.16b, v9.16b
        and     v20.16b, v16.16b, v10.16b
        and     v21.16b, v17.16b, v10.16b
        and     v22.16b, v18.16b, v10.16b
        and     v23.16b, v19.16b, v10.16b
        shl     v16.16b, v16.16b, #4
        shl     v17.16b, v17.16b, #4
        shl     v18.16b, v18.16b, #4
        shl     v19.16b, v19.16b, #4
        eight   shll, 8b, 0, 1, 0
        eight   shll2, 16b, 2, 3, 8
        sub     w7, w7, #1
        str     q11, [x11], #16
        tst     w7, #3
        b.ne    .Lmemory_16
        sub     x11, x11, #64
        ld1     {v16.8h-v19.8h}, [x11]
        store_rows x5
        cbnz    w7, .Lmemory_16
        add     sp, sp, #448
        ldp     d14, d15, [sp, #48]
        ldp     d12, d13, [sp, #32]
        ldp     d10, d11, [sp, #16]
        ldp     d8, d9, [sp], #64
        ret
end kwsi_memory_neon_tile

#endif
