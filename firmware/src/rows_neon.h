/* SPDX-License-Identifier: Apache-2.0
 *
 * For assembly sources: how bits that lie with eight rows side by side come to lie in rows. x0 is scratch, x9 the bytes
 * from one row of the result to the next; \out, where the results of the next outputs go, moves on.
 */
#ifndef KWSI_ROWS_NEON_H
#define KWSI_ROWS_NEON_H

/* This is no C: */
/* clang-format off */
#if defined(__aarch64__)
/* Turns the bits in v16-v19 over where v20-v23 hold ones. */
.macro  flip_rows
        eor     v16.16b, v16.16b, v20.16b
        eor     v17.16b, v17.16b, v21.16b
        eor     v18.16b, v18.16b, v22.16b
        eor     v19.16b, v19.16b, v23.16b
.endm

/* Stores 64 outputs' bits: v16-v19, four times 16 of them, 16 of each row in its lane. */
.macro  store_rows out
        mov     x0, \out
    .irp row, 0, 1, 2, 3, 4, 5, 6, 7
        st4     {v16.h-v19.h}[\row], [x0], x9
    .endr
        add     \out, \out, #8
.endm

/* Stores sixteen outputs' bits, 16 of each row in its lane of v\bits. */
.macro  store_sixteen bits, out
        mov     x0, \out
        st1     {v\bits\().h}[0], [x0], x9
        st1     {v\bits\().h}[1], [x0], x9
        st1     {v\bits\().h}[2], [x0], x9
        st1     {v\bits\().h}[3], [x0], x9
        st1     {v\bits\().h}[4], [x0], x9
        st1     {v\bits\().h}[5], [x0], x9
        st1     {v\bits\().h}[6], [x0], x9
        st1     {v\bits\().h}[7], [x0]
        add     \out, \out, #2
.endm
#endif
/* clang-format on */

#endif
