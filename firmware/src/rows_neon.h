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
/* v16-v19, four times 16 outputs' bits, 16 of each row in its lane -> v16-v19, 64 bits of two rows each. */
.macro  turn_rows
        zip1    v20.8h, v16.8h, v17.8h
        zip2    v21.8h, v16.8h, v17.8h
        zip1    v22.8h, v18.8h, v19.8h
        zip2    v23.8h, v18.8h, v19.8h
        zip1    v16.4s, v20.4s, v22.4s
        zip2    v17.4s, v20.4s, v22.4s
        zip1    v18.4s, v21.4s, v23.4s
        zip2    v19.4s, v21.4s, v23.4s
.endm

/* Stores what turn_rows left: 64 outputs. */
.macro  store_rows out
        mov     x0, \out
        st1     {v16.d}[0], [x0], x9
        st1     {v16.d}[1], [x0], x9
        st1     {v17.d}[0], [x0], x9
        st1     {v17.d}[1], [x0], x9
        st1     {v18.d}[0], [x0], x9
        st1     {v18.d}[1], [x0], x9
        st1     {v19.d}[0], [x0], x9
        st1     {v19.d}[1], [x0]
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
