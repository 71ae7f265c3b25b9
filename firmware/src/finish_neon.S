/* SPDX-License-Identifier: Apache-2.0
 *
 * void kwsi_compare_two_neon(const int16_t values[][8], int outputs, const int16_t *edges, size_t bytes,
 *                            const uint64_t *flip, uint16_t planes[2][4][8])
 *
 * What eight rows' values have passed of three edges, which lie `bytes` apart, as bits of both planes: of every sixteen
 * outputs, at most 64, a register each, with 16 bits of a row in its lane. p = (value < first edge) ^ flip, and q that
 * of the second edge where p is 1, of the third where it is 0.
 *
 * Four outputs a turn: LD4R spreads four edges, which costs a fourth of spreading them one by one; CMGT compares and
 * SRI shifts the answer in. Which edge counts depends on flip, which differs from output to output; to compare with
 * both and choose between sixteen outputs' bits (BIT) takes 6 operations an output, without a branch or a vector for
 * each flip. The last comparison of a turn goes to where the bits so far were, so that none has to be moved.
 *
 * 30 instructions for four outputs, 9 more for every sixteen: 8.06 an output. llvm-mca, cycles an output: Cortex-A53
 * 13.0, A72 and A76 4.28.
 *
 * Registers
 *     x0 values   w1 outputs left   x2 first, x6 second, x7 third edges   x4 flip   x5 planes   w9 turns left
 *     v0-v3 values   v4-v7, v16-v19, v20-v23 edges, then whether they are passed   v24-v26 bits so far
 * Saved: none.
 */
#include "asm.h"
#include "rows_neon.h"

#if defined(__aarch64__)

function kwsi_compare_two_neon
        add     x6, x2, x3
        add     x7, x6, x3
.Lcompare_16:
        mov     w9, #4
.Lcompare_4:
        ld1     {v0.8h-v3.8h}, [x0], #64
        ld4r    {v4.8h-v7.8h}, [x2], #8
        ld4r    {v16.8h-v19.8h}, [x6], #8
        ld4r    {v20.8h-v23.8h}, [x7], #8
        subs    w9, w9, #1
        cmgt    v4.8h, v4.8h, v0.8h
        cmgt    v16.8h, v16.8h, v0.8h
        cmgt    v20.8h, v20.8h, v0.8h
        cmgt    v5.8h, v5.8h, v1.8h
        cmgt    v17.8h, v17.8h, v1.8h
        cmgt    v21.8h, v21.8h, v1.8h
        sri     v4.8h, v24.8h, #1
        sri     v16.8h, v25.8h, #1
        sri     v20.8h, v26.8h, #1
        cmgt    v6.8h, v6.8h, v2.8h
        cmgt    v18.8h, v18.8h, v2.8h
        cmgt    v22.8h, v22.8h, v2.8h
        sri     v5.8h, v4.8h, #1
        sri     v17.8h, v16.8h, #1
        sri     v21.8h, v20.8h, #1
        cmgt    v24.8h, v7.8h, v3.8h
        cmgt    v25.8h, v19.8h, v3.8h
        cmgt    v26.8h, v23.8h, v3.8h
        sri     v6.8h, v5.8h, #1
        sri     v18.8h, v17.8h, #1
        sri     v22.8h, v21.8h, #1
        sri     v24.8h, v6.8h, #1
        sri     v25.8h, v18.8h, #1
        sri     v26.8h, v22.8h, #1
        b.ne    .Lcompare_4
        ld1r    {v0.8h}, [x4], #2
        subs    w1, w1, #16
        eor     v24.16b, v24.16b, v0.16b
        bit     v26.16b, v25.16b, v24.16b
        eor     v26.16b, v26.16b, v0.16b
        str     q26, [x5, #64]
        str     q24, [x5], #16
        b.ne    .Lcompare_16
        ret
end kwsi_compare_two_neon

/* void kwsi_store_rows_neon(const uint16_t pieces[4][8], const uint64_t *flip, uint64_t *out, size_t bytes)
 *
 * Four pieces of bits as above, those of 64 outputs, turned over where flip is 1, to eight words, `bytes` apart.
 *
 * Registers
 *     x0 pieces, then scratch   x1 flip   x2 out   x9 bytes   v16-v19 bits   v20-v23 flip
 * Saved: none. */
function kwsi_store_rows_neon
        mov     x9, x3
        ld1     {v16.8h-v19.8h}, [x0]
        ld4r    {v20.8h-v23.8h}, [x1]
        flip_rows
        store_rows x2
        ret
end kwsi_store_rows_neon

/* void kwsi_sign_neon(const int16_t values[][8], int outputs, const int16_t *edges, uint16_t pieces[][8])
 *
 * The same of one plane and one edge, bit = (value >= edge).
 *
 * 12 instructions for four outputs, 4 more for every sixteen: 3.25 an output. llvm-mca, cycles an output: Cortex-A53
 * 10.5, A72 and A76 3.03.
 *
 * Registers
 *     x0 values   w1 outputs left   x2 edges   x3 pieces   w9 turns left
 *     v0-v3 values, then whether they reach the edges in v4-v7   v16 bits so far
 * Saved: none. */
function kwsi_sign_neon
.Lsign_16:
        mov     w9, #4
.Lsign_4:
        ld1     {v0.8h-v3.8h}, [x0], #64
        ld4r    {v4.8h-v7.8h}, [x2], #8
        subs    w9, w9, #1
        cmge    v0.8h, v0.8h, v4.8h
        cmge    v1.8h, v1.8h, v5.8h
        cmge    v2.8h, v2.8h, v6.8h
        sri     v0.8h, v16.8h, #1
        cmge    v16.8h, v3.8h, v7.8h
        sri     v1.8h, v0.8h, #1
        sri     v2.8h, v1.8h, #1
        sri     v16.8h, v2.8h, #1
        b.ne    .Lsign_4
        str     q16, [x3], #16
        subs    w1, w1, #16
        b.ne    .Lsign_16
        ret
end kwsi_sign_neon

/* void kwsi_residual_neon(const int16_t sums[][8], int shift, const kwsi_affine_t *affine, size_t from, size_t channels,
 *                         int16_t *x, const kwsi_signs_t *signs)
 *
 * x [channels][8] += prelu of the sums, with the numbers of channels `from` on. Channels are a multiple of 16. If signs
 * is not null, they are a multiple of 64, and the new x make bits like those of kwsi_sign_neon, in rows.
 *
 * Eight channels at a time, so that none waits for itself: scales and slopes lie in a register, a lane each, and LD4R
 * spreads four biases or thresholds. Six operations a channel: shift, scale, bias, slope, maximum, residual; then two
 * for the bits, while x is at hand: compare and insert.
 *
 * 157 instructions for sixteen channels with their bits, 13 more for every 64: 10.0 each. llvm-mca, cycles a channel:
 * Cortex-A53 18.1, A72 and A76 7.94.
 *
 * Registers
 *     x0 scratch   w1 shift   x2 affine, then scale   x3 from, in bytes   w4 channels left   x5 x   x6 signs
 *     x7 slope   x8 x, loaded   x9 bytes of a row of bits   x10 bias   x11 where the next bits go   x12 threshold
 *     x13 out   x14 sums
 *     v0 scales   v1 slopes   v2 shift   v3 bits of sixteen channels   v16-v23 sums, then values times slopes, then x
 *     v24-v31 biases, then values, then thresholds, and whether x reaches them
 * Saved: none. */
.macro  residual_8
        ld1     {v16.8h-v19.8h}, [x14], #64
        ld1     {v20.8h-v23.8h}, [x14], #64
        ldr     q0, [x2], #16
        ld4r    {v24.8h-v27.8h}, [x10], #8
        ld4r    {v28.8h-v31.8h}, [x10], #8
        ldr     q1, [x7], #16
        sqshl   v16.8h, v16.8h, v2.8h
        sqshl   v17.8h, v17.8h, v2.8h
        sqshl   v18.8h, v18.8h, v2.8h
        sqshl   v19.8h, v19.8h, v2.8h
        sqshl   v20.8h, v20.8h, v2.8h
        sqshl   v21.8h, v21.8h, v2.8h
        sqshl   v22.8h, v22.8h, v2.8h
        sqshl   v23.8h, v23.8h, v2.8h
        sqrdmulh v16.8h, v16.8h, v0.h[0]
        sqrdmulh v17.8h, v17.8h, v0.h[1]
        sqrdmulh v18.8h, v18.8h, v0.h[2]
        sqrdmulh v19.8h, v19.8h, v0.h[3]
        sqrdmulh v20.8h, v20.8h, v0.h[4]
        sqrdmulh v21.8h, v21.8h, v0.h[5]
        sqrdmulh v22.8h, v22.8h, v0.h[6]
        sqrdmulh v23.8h, v23.8h, v0.h[7]
        sqsub   v24.8h, v24.8h, v16.8h
        sqsub   v25.8h, v25.8h, v17.8h
        sqsub   v26.8h, v26.8h, v18.8h
        sqsub   v27.8h, v27.8h, v19.8h
        sqsub   v28.8h, v28.8h, v20.8h
        sqsub   v29.8h, v29.8h, v21.8h
        sqsub   v30.8h, v30.8h, v22.8h
        sqsub   v31.8h, v31.8h, v23.8h
        sqrdmulh v16.8h, v24.8h, v1.h[0]
        sqrdmulh v17.8h, v25.8h, v1.h[1]
        sqrdmulh v18.8h, v26.8h, v1.h[2]
        sqrdmulh v19.8h, v27.8h, v1.h[3]
        sqrdmulh v20.8h, v28.8h, v1.h[4]
        sqrdmulh v21.8h, v29.8h, v1.h[5]
        sqrdmulh v22.8h, v30.8h, v1.h[6]
        sqrdmulh v23.8h, v31.8h, v1.h[7]
        smax    v24.8h, v24.8h, v16.8h
        smax    v25.8h, v25.8h, v17.8h
        smax    v26.8h, v26.8h, v18.8h
        smax    v27.8h, v27.8h, v19.8h
        smax    v28.8h, v28.8h, v20.8h
        smax    v29.8h, v29.8h, v21.8h
        smax    v30.8h, v30.8h, v22.8h
        smax    v31.8h, v31.8h, v23.8h
        ld1     {v16.8h-v19.8h}, [x8], #64
        ld1     {v20.8h-v23.8h}, [x8], #64
        sqadd   v16.8h, v16.8h, v24.8h
        sqadd   v17.8h, v17.8h, v25.8h
        sqadd   v18.8h, v18.8h, v26.8h
        sqadd   v19.8h, v19.8h, v27.8h
        sqadd   v20.8h, v20.8h, v28.8h
        sqadd   v21.8h, v21.8h, v29.8h
        sqadd   v22.8h, v22.8h, v30.8h
        sqadd   v23.8h, v23.8h, v31.8h
        st1     {v16.8h-v19.8h}, [x5], #64
        st1     {v20.8h-v23.8h}, [x5], #64
.endm

/* Bits of the eight channels in v16 .. v23, the first of them in v\to, at its lowest bit. */
.macro  sign_8 to
        ld4r    {v24.8h-v27.8h}, [x12], #8
        ld4r    {v28.8h-v31.8h}, [x12], #8
        cmge    v\to\().8h, v16.8h, v24.8h
        cmge    v25.8h, v17.8h, v25.8h
        cmge    v26.8h, v18.8h, v26.8h
        cmge    v27.8h, v19.8h, v27.8h
        cmge    v28.8h, v20.8h, v28.8h
        cmge    v29.8h, v21.8h, v29.8h
        cmge    v30.8h, v22.8h, v30.8h
        cmge    v31.8h, v23.8h, v31.8h
        sli     v26.8h, v27.8h, #1
        sli     v28.8h, v29.8h, #1
        sli     v30.8h, v31.8h, #1
        sli     v\to\().8h, v25.8h, #1
        sli     v28.8h, v30.8h, #2
        sli     v\to\().8h, v26.8h, #2
        sli     v\to\().8h, v28.8h, #4
.endm

function kwsi_residual_neon
        sub     sp, sp, #64             /* bits of 64 channels */
        mov     x14, x0
        lsl     x3, x3, #1
        ldp     x8, x10, [x2]
        ldr     x7, [x2, #16]
        add     x2, x8, x3
        add     x10, x10, x3
        add     x7, x7, x3
        dup     v2.8h, w1
        mov     x8, x5
        mov     x11, sp
        cbz     x6, .Lresidual_16
        ldp     x12, x13, [x6]
        ldr     x9, [x6, #16]
        add     x12, x12, x3
        add     x13, x13, x3, lsr #4
.Lresidual_16:
        sub     w4, w4, #16
        residual_8
        cbz     x6, .Lresidual_more
        sign_8  3
.Lresidual_more:
        residual_8
        cbz     x6, .Lresidual_next
        sign_8  16
        sli     v3.8h, v16.8h, #8
        tst     w4, #63
        str     q3, [x11], #16
        b.ne    .Lresidual_16
        mov     x11, sp
        ld1     {v16.8h-v19.8h}, [x11]
        store_rows x13
.Lresidual_next:
        cbnz    w4, .Lresidual_16
        add     sp, sp, #64
        ret
end kwsi_residual_neon

#endif
