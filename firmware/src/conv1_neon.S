/* SPDX-License-Identifier: Apache-2.0
 *
 * The loop of conv1_neon.c: one column, 16 neighbouring mels in the lanes, four outputs at a time. Each half of the
 * taps is summed in 16 bits, exactly: its weights add up to at most 255. The sum of both halves saturates instead of
 * overflowing, on the right side of any threshold. LD4R reads four weights and spreads each over a vector, a tap ahead
 * of its use; a compiler copies what it loaded into quadruples of registers, and here nothing moves.
 */
#include "asm.h"

#if defined(__aarch64__)

/* For four outputs, sums of 16 lanes in eight vectors, += (SMLAL) or = (SMULL) x times weights. */
.macro first_half multiply, x, w0, w1, w2, w3
    \multiply   v0.8h, \x\().8b, \w0\().8b
    \multiply\()2 v1.8h, \x\().16b, \w0\().16b
    \multiply   v2.8h, \x\().8b, \w1\().8b
    \multiply\()2 v3.8h, \x\().16b, \w1\().16b
    \multiply   v4.8h, \x\().8b, \w2\().8b
    \multiply\()2 v5.8h, \x\().16b, \w2\().16b
    \multiply   v6.8h, \x\().8b, \w3\().8b
    \multiply\()2 v7.8h, \x\().16b, \w3\().16b
.endm

.macro second_half multiply, x, w0, w1, w2, w3
    \multiply   v16.8h, \x\().8b, \w0\().8b
    \multiply\()2 v17.8h, \x\().16b, \w0\().16b
    \multiply   v18.8h, \x\().8b, \w1\().8b
    \multiply\()2 v19.8h, \x\().16b, \w1\().16b
    \multiply   v20.8h, \x\().8b, \w2\().8b
    \multiply\()2 v21.8h, \x\().16b, \w2\().16b
    \multiply   v22.8h, \x\().8b, \w3\().8b
    \multiply\()2 v23.8h, \x\().16b, \w3\().16b
.endm

/* A tap whose input and weights are in v28 and v24..v27, or in v29 and v8..v11; the next tap's go to the others. */
.macro tap half, multiply, row, offset
    ld4r    {v8.16b-v11.16b}, [x1], x15
    ldur    q29, [\row, #\offset]
    \half   \multiply, v28, v24, v25, v26, v27
.endm

.macro other_tap half, multiply, row, offset
    ld4r    {v24.16b-v27.16b}, [x1], x15
    ldur    q28, [\row, #\offset]
    \half   \multiply, v29, v8, v9, v10, v11
.endm

/* Shifts bit \bit of both words in: the bits above are written again by the next output. */
.macro output bit, low, high, other_low, other_high, threshold
    sqadd   \low\().8h, \low\().8h, \other_low\().8h
    sqadd   \high\().8h, \high\().8h, \other_high\().8h
    cmge    \low\().8h, \low\().8h, \threshold\().8h
    cmge    \high\().8h, \high\().8h, \threshold\().8h
    sli     v30.8h, \low\().8h, #\bit
    sli     v31.8h, \high\().8h, #\bit
.endm

/* void kwsi_conv1_neon_16(const int8_t *const *rows, const int8_t *weight, const int16_t *threshold, size_t even,
 *                         size_t odd, uint16_t *bits)
 *
 * x0 rows, then outputs to go; x1 weights; x2 thresholds; x3, x4 where the first even and odd mel are in a row;
 * x5 bits; x6..x10 even and x11, x12, x13, x14, x16 odd mels of the five rows; x15 bytes from a tap to the next.
 * v0..v7 sums over taps 0..12, v16..v23 over the others, v24..v28 and v8..v11, v29 weights and inputs, v30, v31 bits;
 * saves d8..d11. 280 instructions for four outputs, 200 of them multiplications; by llvm-mca 439 cycles on a Cortex-A53
 * and 230 on a Cortex-A72. */
function kwsi_conv1_neon_16
    stp     d8, d9, [sp, #-32]!
    stp     d10, d11, [sp, #16]
    ldp     x6, x7, [x0]
    ldp     x8, x9, [x0, #16]
    ldr     x10, [x0, #32]
    add     x11, x6, x4
    add     x12, x7, x4
    add     x13, x8, x4
    add     x14, x9, x4
    add     x16, x10, x4
    add     x6, x6, x3
    add     x7, x7, x3
    add     x8, x8, x3
    add     x9, x9, x3
    add     x10, x10, x3
    mov     x15, #16
    mov     w0, #4
.Lconv1_outputs:
    ld4r    {v24.16b-v27.16b}, [x1], x15
    ldur    q28, [x6, #-1]
    tap         first_half, smull, x11, -1
    other_tap   first_half, smlal, x6, 0
    tap         first_half, smlal, x11, 0
    other_tap   first_half, smlal, x6, 1
    tap         first_half, smlal, x7, -1
    other_tap   first_half, smlal, x12, -1
    tap         first_half, smlal, x7, 0
    other_tap   first_half, smlal, x12, 0
    tap         first_half, smlal, x7, 1
    other_tap   first_half, smlal, x8, -1
    tap         first_half, smlal, x13, -1
    other_tap   first_half, smlal, x8, 0
    tap         first_half, smlal, x13, 0
    other_tap   second_half, smull, x8, 1
    tap         second_half, smlal, x9, -1
    other_tap   second_half, smlal, x14, -1
    tap         second_half, smlal, x9, 0
    other_tap   second_half, smlal, x14, 0
    tap         second_half, smlal, x9, 1
    other_tap   second_half, smlal, x10, -1
    tap         second_half, smlal, x16, -1
    other_tap   second_half, smlal, x10, 0
    tap         second_half, smlal, x16, 0
    other_tap   second_half, smlal, x10, 1
    second_half smlal, v28, v24, v25, v26, v27
    ld4r    {v8.8h-v11.8h}, [x2], #8
    sub     x1, x1, #396            /* the next four outputs of the first tap */
    ushr    v30.8h, v30.8h, #4
    ushr    v31.8h, v31.8h, #4
    output  12, v0, v1, v16, v17, v8
    output  13, v2, v3, v18, v19, v9
    output  14, v4, v5, v20, v21, v10
    output  15, v6, v7, v22, v23, v11
    subs    w0, w0, #1
    b.ne    .Lconv1_outputs
    stp     q30, q31, [x5]
    ldp     d10, d11, [sp, #16]
    ldp     d8, d9, [sp], #32
    ret
end kwsi_conv1_neon_16

#endif
