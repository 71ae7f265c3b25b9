/* SPDX-License-Identifier: Apache-2.0
 *
 * void kwsi_count_two_neon(const uint64_t *bits, const void *weight, int words, int outputs, int16_t sums[][8],
 *                          size_t row, size_t column)
 *
 * The products of two planes: sums[o][8] = 2 d(first) + d(second) of eight rows, each a first plane and `row` bytes
 * later a second one, which another `row` bytes separate from the next row, with weights that lie `column` bytes apart.
 * Outputs are even. The 32 bytes before `sums` are scratch. An odd last word is added to the sums, so that with one word
 * alone they must be 0.
 *
 * Both planes of eight rows fill sixteen registers with 128 inputs, which stay while the weights of these inputs pass by;
 * each weight is loaded once for all sixteen. What 256 inputs need would not fit, so that longer rows are a pass for every
 * 128 inputs, and the sums lie in memory from one to the next: one load and half a store, of which 98 instructions
 * take no notice. Planes are folded apart and meet as late as 8 bits allow:
 *     16 EOR + 16 CNT + 14 ADDP + 1 MLA + 1 UADDLP = 48 vector operations for 16 x 128 binary products: 3.0 each.
 * Later passes add with UADALP in place of UADDLP, for no operation more. Folding each row's planes together first, with
 * eight MLA, would be as short; but a Cortex-A72 multiplies in one of its two pipelines only.
 *
 * Rows go in groups of four. Four registers differ, are counted one group later and folded another group later, so that
 * an operation waits for none less than six before it, and the end of an output hides among the groups of the next. The
 * first output has garbage before it, which lands in the scratch: cheaper than a prologue.
 *
 * What compares the sums, or adds them to x, is a loop of its own (finish_two_neon.S): there LD4R spreads four edges at a
 * time, which here no registers are left for.
 *
 * llvm-mca, cycles for 128 binary products: Cortex-A53 3.72, A72 and A76 1.53; in later passes 3.78 and 1.53.
 *
 * Registers
 *     x0 bits   x1 weight   w2 words left   w3 outputs   x4 sums   x5 row   x6 column   x8 next weight   x9 next row
 *     x10 next sums   w11 outputs left
 *     v0-v3, v4-v7  groups by turns: differing bits, then their counts
 *     v8       weight   v10 twos   v11 v12 four rows, half folded
 *     v13 v14  first plane: rows 0..3, rows 4..7, then all in v13; second plane, rows 0..3, then all, then both planes
 *     v15      second plane, rows 4..7; sums of odd outputs   v9 sums of even outputs
 *     v16-v23  first plane of the rows   v24-v31 second plane
 * Saved: d8-d15.
 */
#include "asm.h"
#include "pipeline.h"

#if defined(__aarch64__)

/* An output enters, the one before it goes on to \sum: which is then its own, or with \add more than it was. */
.macro  output bytes, sum, add, at
    new ld1     {v8.\bytes}, [x8], x6
    old addp    v11.16b, v0.16b, v1.16b
    old cnt     v4.16b, v4.16b
    old cnt     v5.16b, v5.16b
    old addp    v12.16b, v2.16b, v3.16b
    old cnt     v6.16b, v6.16b
    old cnt     v7.16b, v7.16b
    old addp    v13.16b, v13.16b, v14.16b
    new eor     v0.16b, v16.16b, v8.16b
    new eor     v1.16b, v17.16b, v8.16b
    new eor     v2.16b, v18.16b, v8.16b
    old addp    v14.16b, v11.16b, v12.16b
    new eor     v3.16b, v19.16b, v8.16b

    old addp    v11.16b, v4.16b, v5.16b
    new eor     v4.16b, v20.16b, v8.16b
    new eor     v5.16b, v21.16b, v8.16b
    old addp    v12.16b, v6.16b, v7.16b
    new eor     v6.16b, v22.16b, v8.16b
    new eor     v7.16b, v23.16b, v8.16b
    new cnt     v0.16b, v0.16b
    new cnt     v1.16b, v1.16b
    new cnt     v2.16b, v2.16b
    old addp    v15.16b, v11.16b, v12.16b
    new cnt     v3.16b, v3.16b

    new addp    v11.16b, v0.16b, v1.16b
    new eor     v0.16b, v24.16b, v8.16b
    new eor     v1.16b, v25.16b, v8.16b
    new cnt     v4.16b, v4.16b
    old addp    v14.16b, v14.16b, v15.16b
    new addp    v12.16b, v2.16b, v3.16b
    new eor     v2.16b, v26.16b, v8.16b
    new eor     v3.16b, v27.16b, v8.16b
    new cnt     v5.16b, v5.16b
    new cnt     v6.16b, v6.16b
    .if \add
    old ldr     q\sum, [x10, #\at]
    .endif
    old mla     v14.16b, v13.16b, v10.16b
    new cnt     v7.16b, v7.16b
    new addp    v13.16b, v11.16b, v12.16b

    new addp    v11.16b, v4.16b, v5.16b
    new eor     v4.16b, v28.16b, v8.16b
    new eor     v5.16b, v29.16b, v8.16b
    new addp    v12.16b, v6.16b, v7.16b
    .if \add
    old uadalp  v\sum\().8h, v14.16b
    .else
    old uaddlp  v\sum\().8h, v14.16b
    .endif
    new eor     v6.16b, v30.16b, v8.16b
    new eor     v7.16b, v31.16b, v8.16b
    new cnt     v0.16b, v0.16b
    new cnt     v1.16b, v1.16b
    new addp    v14.16b, v11.16b, v12.16b
    new cnt     v2.16b, v2.16b
    new cnt     v3.16b, v3.16b
    .if \sum == 15
    old stp     q9, q15, [x10], #32
    .endif
.endm

/* All outputs with the next inputs of every row. */
.macro  pass bytes, add
        mov     x9, x0
    .irp pair, "16,24", "17,25", "18,26", "19,27", "20,28", "21,29", "22,30", "23,31"
        load_planes \bytes, \pair
    .endr
        mov     x8, x1
        sub     x10, x4, #32
        mov     w11, w3
        stages  1, 0, 1
.Lcount_two_\bytes\()_\add:
        output  \bytes, 15, \add, 16
        output  \bytes, 9, \add, 0
        subs    w11, w11, #2
        b.ne    .Lcount_two_\bytes\()_\add
        stages  0, 0, 1
        output  \bytes, 15, \add, 16
.endm

.macro  load_planes bytes, first, second
        ld1     {v\first\().\bytes}, [x9], x5
        ld1     {v\second\().\bytes}, [x9], x5
.endm

function kwsi_count_two_neon
        stp     d8, d9, [sp, #-64]!
        stp     d10, d11, [sp, #16]
        stp     d12, d13, [sp, #32]
        stp     d14, d15, [sp, #48]
        movi    v10.16b, #2
        subs    w2, w2, #2
        b.lt    .Lcount_two_single
        pass    16b, 0
.Lcount_two_next:
        add     x0, x0, #16
        add     x1, x1, #16
        subs    w2, w2, #2
        b.lt    .Lcount_two_rest
        pass    16b, 1
        b       .Lcount_two_next
.Lcount_two_rest:
        tbz     w2, #0, .Lcount_two_done        /* -1 with a word left, -2 with none */
.Lcount_two_single:
        pass    8b, 1
.Lcount_two_done:
        ldp     d14, d15, [sp, #48]
        ldp     d12, d13, [sp, #32]
        ldp     d10, d11, [sp, #16]
        ldp     d8, d9, [sp], #64
        ret
end kwsi_count_two_neon

#endif
