/* SPDX-License-Identifier: Apache-2.0
 *
 * The three loops of spectrum_neon.c: straight lines over nearly all 32 vector registers, in pairs of loads and stores
 * that move their own pointers. From intrinsics GCC 12 makes a third more instructions of them. Cycles are llvm-mca's
 * estimates for a round of a loop on a Cortex-A53 and on a Cortex-A72.
 */
#include "asm.h"

#if defined(__aarch64__)

/* Save and restore the callee's half of v8..v15. */
.macro save
    stp     d8, d9, [sp, #-64]!
    stp     d10, d11, [sp, #16]
    stp     d12, d13, [sp, #32]
    stp     d14, d15, [sp, #48]
.endm

.macro restore
    ldp     d10, d11, [sp, #16]
    ldp     d12, d13, [sp, #32]
    ldp     d14, d15, [sp, #48]
    ldp     d8, d9, [sp], #64
.endm

/* sum = a + b, difference = a - b */
.macro both sum, difference, a, b
    fsub    \difference\().4s, \a\().4s, \b\().4s
    fadd    \sum\().4s, \a\().4s, \b\().4s
.endm

/* The first stage of a transform of 8, over numbers 0 and 4: sums stay in 0. */
.macro halve re, im, re4, im4, difference_re, difference_im
    both    \re, \difference_re, \re, \re4
    both    \im, \difference_im, \im, \im4
.endm

/* The rest of it. In: sums in v0..v7, differences in v16..v23, real part before imaginary part. Out: 0 in v0 v1, 1 in
 * v8 v9, 2 in v4 v5, 3 in v20 v21, 4 in v2 v3, 5 in v10 v11, 6 in v6 v7, 7 in v22 v23. c holds 0.707106781. */
.macro transform_8 c
    both    v8, v10, v0, v4
    both    v9, v11, v1, v5
    both    v12, v14, v2, v6
    both    v13, v15, v3, v7
    both    v0, v2, v8, v12
    both    v1, v3, v9, v13
    both    v4, v6, v10, v15
    both    v7, v5, v11, v14
    fadd    v8.4s, v18.4s, v19.4s
    fsub    v9.4s, v19.4s, v18.4s
    fsub    v10.4s, v23.4s, v22.4s
    fadd    v11.4s, v22.4s, v23.4s
    both    v12, v14, v16, v21
    both    v15, v13, v17, v20
    fmul    v8.4s, v8.4s, \c
    fmul    v9.4s, v9.4s, \c
    fmul    v10.4s, v10.4s, \c
    fmul    v11.4s, v11.4s, \c
    both    v16, v18, v8, v10
    both    v19, v17, v9, v11
    both    v8, v10, v12, v16
    both    v9, v11, v13, v17
    both    v20, v22, v14, v19
    both    v23, v21, v15, v18
.endm

/* (a, b) and (c, d) times the complex numbers (\cos1, \sin1) and (\cos2, \sin2). Uses v16..v19 and
 * four more. */
.macro turn_two to_a, to_b, a, b, cos1, sin1, to_c, to_d, c, d, cos2, sin2, t0=v12, t1=v13, t2=v14, t3=v15
    fmul    \t0\().4s, \a\().4s, \cos1
    fmul    \t1\().4s, \b\().4s, \sin1
    fmul    \t2\().4s, \b\().4s, \cos1
    fmul    \t3\().4s, \a\().4s, \sin1
    fmul    v16.4s, \c\().4s, \cos2
    fmul    v17.4s, \d\().4s, \sin2
    fmul    v18.4s, \d\().4s, \cos2
    fmul    v19.4s, \c\().4s, \sin2
    fsub    \to_a\().4s, \t0\().4s, \t1\().4s
    fadd    \to_b\().4s, \t2\().4s, \t3\().4s
    fsub    \to_c\().4s, v16.4s, v17.4s
    fadd    \to_d\().4s, v18.4s, v19.4s
.endm

/* One transform of 8 in place, at the eight pointers x8..x15. */
.macro load_and_transform
    ldp     q0, q1, [x8]
    ldp     q8, q9, [x12]
    ldp     q2, q3, [x9]
    ldp     q10, q11, [x13]
    halve   v0, v1, v8, v9, v16, v17
    ldp     q4, q5, [x10]
    ldp     q12, q13, [x14]
    halve   v2, v3, v10, v11, v18, v19
    ldp     q6, q7, [x11]
    ldp     q14, q15, [x15]
    halve   v4, v5, v12, v13, v20, v21
    halve   v6, v7, v14, v15, v22, v23
    transform_8 v24.s[0]
.endm

.macro store_and_move
    stp     q0, q1, [x8], #32
    stp     q8, q9, [x9], #32
    stp     q4, q5, [x10], #32
    stp     q20, q21, [x11], #32
    stp     q2, q3, [x12], #32
    stp     q10, q11, [x13], #32
    stp     q6, q7, [x14], #32
    stp     q22, q23, [x15], #32
.endm

/* void kwsi_spectrum_neon_pass(float *z, size_t stride, size_t blocks, const float *twiddle)
 *
 * x0 block of 8 `stride` bytes, x1 stride, x2 blocks to go, x3 twiddles of i = 1, x4 i to go, x5 next twiddles,
 * x8..x15 row i of each eighth; v0..v23 as above, v24 0.707, v28 v29 cosines, v30 v31 sines; saves d8..d15.
 * 118 instructions for eight rows, 98 of them float operations; 176 and 126 cycles. */
function kwsi_spectrum_neon_pass
    save
    movz    w4, #0x3f35, lsl #16
    movk    w4, #0x04f3
    fmov    s24, w4
1:  mov     x8, x0
    add     x9, x0, x1
    add     x10, x0, x1, lsl #1
    add     x11, x9, x1, lsl #1
    add     x12, x0, x1, lsl #2
    add     x13, x9, x1, lsl #2
    add     x14, x10, x1, lsl #2
    add     x15, x11, x1, lsl #2
    add     x0, x0, x1, lsl #3
    lsr     x4, x1, #5
    mov     x5, x3
    load_and_transform
    store_and_move
    subs    x4, x4, #1
    b.eq    3f
2:  ldp     q28, q29, [x5], #32
    ldp     q30, q31, [x5], #32
    load_and_transform
    turn_two v8, v9, v8, v9, v28.s[1], v30.s[1], v4, v5, v4, v5, v28.s[2], v30.s[2]
    turn_two v20, v21, v20, v21, v28.s[3], v30.s[3], v2, v3, v2, v3, v29.s[0], v31.s[0]
    turn_two v10, v11, v10, v11, v29.s[1], v31.s[1], v6, v7, v6, v7, v29.s[2], v31.s[2]
    fmul    v12.4s, v22.4s, v29.s[3]
    fmul    v13.4s, v23.4s, v31.s[3]
    fmul    v14.4s, v23.4s, v29.s[3]
    fmul    v15.4s, v22.4s, v31.s[3]
    subs    x4, x4, #1
    fsub    v22.4s, v12.4s, v13.4s
    fadd    v23.4s, v14.4s, v15.4s
    store_and_move
    b.ne    2b
3:  subs    x2, x2, #1
    b.ne    1b
    restore
    ret
end kwsi_spectrum_neon_pass

/* Two transforms of 4, in v0..v7 and in v8..v15. */
.macro transform_4_two
    both    v16, v18, v0, v4
    both    v17, v19, v1, v5
    both    v20, v22, v2, v6
    both    v21, v23, v3, v7
    both    v24, v26, v8, v12
    both    v25, v27, v9, v13
    both    v28, v30, v10, v14
    both    v29, v31, v11, v15
    both    v0, v4, v16, v20
    both    v1, v5, v17, v21
    both    v2, v6, v18, v23
    both    v7, v3, v19, v22
    both    v8, v12, v24, v28
    both    v9, v13, v25, v29
    both    v10, v14, v26, v31
    both    v15, v11, v27, v30
.endm

/* void kwsi_spectrum_neon_last_4(float *z, size_t rows, float *planes)
 *
 * Takes the blocks by their first bin k, from the top down, k and k + 1 at once. k = 8 low + high is block
 * rows / 32 * high + low. Only so does row -1 of the first plane, which is z's last row, get its nonsense (of k = 0)
 * after that row was read; row -1 of the second, which is the last of the first, is put right at the end.
 *
 * x0 z, x1 rows, x2 planes, x3 block of k, x4 block of k + 1, x5 bytes between those, x6 high / 2 to go, x7 low to go,
 * x8..x15 where k .. k + 1 of each quarter goes, real part before imaginary part; v0..v7, v8..v15 the two transforms,
 * v16..v31 sums and differences on the way; saves d8..d15. 52 instructions for eight rows; 82 and 57 cycles. */
function kwsi_spectrum_neon_last_4
    save
    lsl     x5, x1, #2          /* rows / 32 blocks of 128 bytes */
    lsl     x16, x1, #3         /* bytes of a plane */
    lsr     x7, x1, #5
    add     x3, x0, x7, lsl #7  /* high = 6, low = last */
    sub     x3, x3, #128
    add     x3, x3, x5, lsl #1
    add     x3, x3, x5, lsl #2
    add     x4, x3, x5
    add     x8, x2, x1, lsl #2  /* k = rows / 4 - 2 is in row k - 1 */
    sub     x8, x8, #48
    add     x9, x8, x16
    add     x10, x8, x1, lsl #2
    add     x11, x9, x1, lsl #2
    add     x14, x2, x16, lsl #1
    add     x15, x14, x16
    add     x12, x14, x1, lsl #2
    add     x13, x15, x1, lsl #2
1:  mov     x6, #4
2:  ldp     q0, q1, [x3]
    ldp     q4, q5, [x3, #64]
    ldp     q2, q3, [x3, #32]
    ldp     q6, q7, [x3, #96]
    ldp     q8, q9, [x4]
    ldp     q12, q13, [x4, #64]
    ldp     q10, q11, [x4, #32]
    ldp     q14, q15, [x4, #96]
    sub     x3, x3, x5, lsl #1
    sub     x4, x4, x5, lsl #1
    transform_4_two
    subs    x6, x6, #1
    stp     q0, q8, [x8], #-32
    stp     q1, q9, [x9], #-32
    stp     q2, q10, [x10], #-32
    stp     q3, q11, [x11], #-32
    stp     q12, q4, [x12], #32
    stp     q13, q5, [x13], #32
    stp     q14, q6, [x14], #32
    stp     q15, q7, [x15], #32
    b.ne    2b
    add     x3, x3, x5, lsl #3
    sub     x3, x3, #128
    add     x4, x3, x5
    subs    x7, x7, #1
    b.ne    1b
    stp     q0, q1, [x0]
    add     x2, x2, x16
    stur    q4, [x2, #-16]
    add     x2, x2, x16
    stur    q5, [x2, #-16]
    restore
    ret
end kwsi_spectrum_neon_last_4

/* Each re = re re + im im. */
.macro powers re0, im0, re1, im1, re2, im2, re3, im3
    fmul    \re0\().4s, \re0\().4s, \re0\().4s
    fmul    \im0\().4s, \im0\().4s, \im0\().4s
    fmul    \re1\().4s, \re1\().4s, \re1\().4s
    fmul    \im1\().4s, \im1\().4s, \im1\().4s
    fmul    \re2\().4s, \re2\().4s, \re2\().4s
    fmul    \im2\().4s, \im2\().4s, \im2\().4s
    fmul    \re3\().4s, \re3\().4s, \re3\().4s
    fmul    \im3\().4s, \im3\().4s, \im3\().4s
    fadd    \re0\().4s, \re0\().4s, \im0\().4s
    fadd    \re1\().4s, \re1\().4s, \im1\().4s
    fadd    \re2\().4s, \re2\().4s, \im2\().4s
    fadd    \re3\().4s, \re3\().4s, \im3\().4s
.endm

/* void kwsi_spectrum_neon_join(const float *planes, size_t rows, const float *twiddle, float *powers)
 *
 * x0 x4 x5 x6 the four planes, x1 sets of four bins to go, x2 twiddles, x8..x11 where outputs 0..3 go, x12..x15
 * outputs 7..4; v0..v23 as in transform_8, v24..v29 what is on its way there, v30 0.707, v31 for TBL: a vector's
 * lanes in reverse; saves d8..d15. 164 instructions for 32 bins, 138 of them float operations; 247 and 177 cycles. */
function kwsi_spectrum_neon_join
    save
    movz    w7, #0x3f35, lsl #16
    movk    w7, #0x04f3
    fmov    s30, w7
    movz    x7, #0x0d0c         /* numbers of bytes: lanes in reverse */
    movk    x7, #0x0f0e, lsl #16
    movk    x7, #0x0908, lsl #32
    movk    x7, #0x0b0a, lsl #48
    fmov    d31, x7
    movz    x7, #0x0504
    movk    x7, #0x0706, lsl #16
    movk    x7, #0x0100, lsl #32
    movk    x7, #0x0302, lsl #48
    ins     v31.d[1], x7
    lsl     x7, x1, #2          /* bytes from bin k + rows q to the next q */
    add     x4, x0, x7, lsl #1
    add     x5, x4, x7, lsl #1
    add     x6, x5, x7, lsl #1
    add     x8, x3, #4
    add     x9, x8, x7
    add     x10, x9, x7
    add     x11, x10, x7
    sub     x12, x9, #20
    sub     x13, x10, #20
    sub     x14, x11, #20
    add     x15, x14, x7
    lsr     x1, x1, #3
1:  ld4     {v0.4s-v3.4s}, [x0], #64
    ld4     {v16.4s-v19.4s}, [x5], #64
    ld4     {v4.4s-v7.4s}, [x4], #64
    ld4     {v20.4s-v23.4s}, [x6], #64
    fadd    v24.4s, v1.4s, v17.4s       /* 1 */
    fsub    v11.4s, v17.4s, v1.4s       /* 5 */
    fadd    v26.4s, v2.4s, v18.4s       /* 2 */
    fsub    v13.4s, v18.4s, v2.4s       /* 6 */
    fadd    v28.4s, v3.4s, v19.4s       /* 3 */
    fsub    v15.4s, v19.4s, v3.4s       /* 7 */
    fsub    v9.4s, v16.4s, v0.4s        /* 4 */
    fadd    v0.4s, v0.4s, v16.4s        /* 0 */
    fsub    v25.4s, v5.4s, v21.4s
    fadd    v10.4s, v5.4s, v21.4s
    fsub    v27.4s, v6.4s, v22.4s
    fadd    v12.4s, v6.4s, v22.4s
    fsub    v29.4s, v7.4s, v23.4s
    fadd    v14.4s, v7.4s, v23.4s
    fsub    v1.4s, v4.4s, v20.4s
    fadd    v8.4s, v4.4s, v20.4s
    ldp     q2, q3, [x2]                /* twiddles of 1, where it goes; so with 2 and 3 */
    ldp     q4, q5, [x2, #32]
    ldp     q6, q7, [x2, #64]
    turn_two v2, v3, v24, v25, v2.4s, v3.4s, v4, v5, v26, v27, v4.4s, v5.4s, v20, v21, v22, v23
    ldp     q26, q27, [x2, #96]
    ldp     q24, q25, [x2, #128]
    turn_two v6, v7, v28, v29, v6.4s, v7.4s, v8, v9, v8, v9, v26.4s, v27.4s, v20, v21, v22, v23
    ldp     q28, q29, [x2, #160]
    ldp     q26, q27, [x2, #192]
    turn_two v10, v11, v10, v11, v24.4s, v25.4s, v12, v13, v12, v13, v28.4s, v29.4s, v20, v21, v22, v23
    fmul    v16.4s, v14.4s, v26.4s
    fmul    v17.4s, v15.4s, v27.4s
    fmul    v18.4s, v15.4s, v26.4s
    fmul    v19.4s, v14.4s, v27.4s
    add     x2, x2, #224
    fsub    v14.4s, v16.4s, v17.4s
    fadd    v15.4s, v18.4s, v19.4s
    halve   v0, v1, v8, v9, v16, v17
    halve   v2, v3, v10, v11, v18, v19
    halve   v4, v5, v12, v13, v20, v21
    halve   v6, v7, v14, v15, v22, v23
    transform_8 v30.s[0]
    powers  v22, v23, v6, v7, v10, v11, v2, v3
    powers  v0, v1, v8, v9, v4, v5, v20, v21
    tbl     v22.16b, {v22.16b}, v31.16b
    tbl     v6.16b, {v6.16b}, v31.16b
    tbl     v10.16b, {v10.16b}, v31.16b
    tbl     v2.16b, {v2.16b}, v31.16b
    str     q22, [x12], #-16            /* 7 */
    str     q6, [x13], #-16             /* 6 */
    str     q10, [x14], #-16            /* 5 */
    str     q2, [x15], #-16             /* 4 */
    subs    x1, x1, #1
    str     q0, [x8], #16               /* after the mirror images: these may overwrite one */
    str     q8, [x9], #16
    str     q4, [x10], #16
    str     q20, [x11], #16
    b.ne    1b
    restore
    ret
end kwsi_spectrum_neon_join

#endif
