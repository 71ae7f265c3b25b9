/* SPDX-License-Identifier: Apache-2.0
 *
 * void kwsi_count_two_neon(const uint64_t *bits, const void *weight, int words, int outputs, int16_t sums[][8],
 *                          size_t row, size_t column)
 *
 * The products of two planes: sums[o][8] = 2 d(first) + d(second) of eight rows, each a first plane and `row` bytes
 * later a second one, which another `row` bytes separate from the next row, with weights that lie `column` bytes apart.
 * Outputs are even. The 32 bytes before `sums` are scratch. An odd last word is left out.
 *
 * Both planes of eight rows fill sixteen registers with 128 inputs, which stay while the weights of these inputs pass
 * by; each weight is loaded once for all sixteen. What 256 inputs need would not fit, so that longer rows are a pass
 * for every 128 inputs, and the sums lie in memory from one to the next: a load and half a store beside 49
 * other instructions. Planes are folded apart and meet as late as 8 bits allow:
 *     16 EOR + 16 CNT + 14 ADDP + 1 MLA + 1 UADDLP = 48 vector operations for 16 x 128 binary products: 3.0 each.
 * Later passes add with UADALP in place of UADDLP, for no operation more. Folding each row's planes together first,
 * with eight MLA, would be as short; but a Cortex-A72 multiplies in one of its two pipelines only.
 *
 * Registers go in groups of four. Four registers differ, are counted one group later and folded another group later, so
 * that an operation waits for none less than five before it, and the end of an output hides among the groups of the
 * next. The first output has garbage before it, which lands in the scratch: cheaper than a prologue.
 *
 * What compares the sums, or adds them to x, is a loop of its own (finish_neon.S): there LD4R spreads four edges or
 * biases at a time, which here no registers are left for, and one loop serves every width.
 *
 * llvm-mca, cycles for 128 binary products: Cortex-A53 3.72, A72 and A76 1.53; in later passes 3.78 and 1.53.
 *
 * Registers
 *     x0 bits   x1 weight   w2 words left   w3 outputs   x4 sums   x5 row   x6 column   x8 next weight   x9 next row
 *     x10 next sums   w11 outputs left
 *     v0-v3, v4-v7  groups by turns: differing bits, then their counts
 *     v8       weight   v10 twos; with one plane another weight   v11 v12 a group, half folded
 *     v13 v14  the first two groups, then both in v13; the third, then the last two, then all
 *     v15      the fourth; sums of odd outputs   v9 sums of even outputs
 *     v16-v23  first plane of the rows   v24-v31 second plane
 * Saved: d8-d15.
 *
 *
 * void kwsi_count_one_neon(const uint64_t *bits, const uint64_t *weight, int words, int outputs, int16_t sums[][8])
 *
 * The products of one plane: sums[o][8] = d of eight rows, bits [8][words], with weight [outputs][words]. But for four
 * words, what comes is added to the sums. Outputs are a multiple of 4; scratch and an odd last word are as above.
 *
 * The groups and all that follows are those of two planes. With four words, 256 inputs, a row takes two registers,
 * which are added as soon as they are counted:
 *     16 EOR + 16 CNT + 8 ADD + 7 ADDP + 1 UADDLP = 48 vector operations for 16 x 128 binary products: 3.0 each.
 * With other numbers of words a pass takes 128 inputs; two outputs take the place of two planes:
 *     16 EOR + 16 CNT + 15 ADDP + UADDW + UADDW2 = 49, or 3.06 each.
 *
 * llvm-mca, cycles for 128 binary products: Cortex-A53 3.72, A72 and A76 1.50; with other widths 4.31 and 1.53.
 *
 * Registers: as above; v16-v31 rows, row r in v(16 + 2r), v(17 + 2r), or with other widths v16-v23.
 * Saved: d8-d15.
 */
#include "asm.h"
#include "pipeline.h"

#if defined(__aarch64__)

/* What a turn is for: two planes of an output's 128 inputs, its 256 inputs of one, or two outputs' 128 inputs. */
.set .Lplanes, 0
.set .Lwide, 1
.set .Loutputs, 2

/* A turn enters, the one before it goes on to \sum: which is then its own, or with \add more than it was. Rows \c to \j
 * make the last two groups; weights \w and \x by turns the first two, \y and \z the last two. */
.macro  turn kind, sum, add, at, w, x, y, z, c, d, e, f, g, h, i, j
    .if \kind == .Lwide
    new ldp     q8, q10, [x8], #32
    .else
    new ld1     {v8.16b}, [x8], x6
    .endif
    .if \kind == .Loutputs
    new ld1     {v10.16b}, [x8], x6
    .endif
    fold \kind, old, v11, v0, v1
    old cnt     v4.16b, v4.16b
    old cnt     v5.16b, v5.16b
    fold \kind, old, v12, v2, v3
    old cnt     v6.16b, v6.16b
    old cnt     v7.16b, v7.16b
    old addp    v13.16b, v13.16b, v14.16b
    new eor     v0.16b, v16.16b, v\w\().16b
    new eor     v1.16b, v17.16b, v\x\().16b
    new eor     v2.16b, v18.16b, v\w\().16b
    old addp    v14.16b, v11.16b, v12.16b
    new eor     v3.16b, v19.16b, v\x\().16b

    fold \kind, old, v11, v4, v5
    new eor     v4.16b, v20.16b, v\w\().16b
    new eor     v5.16b, v21.16b, v\x\().16b
    fold \kind, old, v12, v6, v7
    new eor     v6.16b, v22.16b, v\w\().16b
    new eor     v7.16b, v23.16b, v\x\().16b
    new cnt     v0.16b, v0.16b
    new cnt     v1.16b, v1.16b
    new cnt     v2.16b, v2.16b
    old addp    v15.16b, v11.16b, v12.16b
    new cnt     v3.16b, v3.16b

    fold \kind, new, v11, v0, v1
    new eor     v0.16b, v\c\().16b, v\y\().16b
    new eor     v1.16b, v\d\().16b, v\z\().16b
    new cnt     v4.16b, v4.16b
    old addp    v14.16b, v14.16b, v15.16b
    fold \kind, new, v12, v2, v3
    new eor     v2.16b, v\e\().16b, v\y\().16b
    new eor     v3.16b, v\f\().16b, v\z\().16b
    new cnt     v5.16b, v5.16b
    new cnt     v6.16b, v6.16b
    .if \kind == .Loutputs
    old ldp     q9, q15, [x10]
    .elseif \add
    old ldr     q\sum, [x10, #\at]
    .endif
    .if \kind == .Lplanes
    old mla     v14.16b, v13.16b, v10.16b
    .else
    old addp    v14.16b, v13.16b, v14.16b
    .endif
    new cnt     v7.16b, v7.16b
    new addp    v13.16b, v11.16b, v12.16b

    fold \kind, new, v11, v4, v5
    new eor     v4.16b, v\g\().16b, v\y\().16b
    new eor     v5.16b, v\h\().16b, v\z\().16b
    fold \kind, new, v12, v6, v7
    .if \kind == .Loutputs
    old uaddw   v9.8h, v9.8h, v14.8b
    old uaddw2  v15.8h, v15.8h, v14.16b
    .elseif \add
    old uadalp  v\sum\().8h, v14.16b
    .else
    old uaddlp  v\sum\().8h, v14.16b
    .endif
    new eor     v6.16b, v\i\().16b, v\y\().16b
    new eor     v7.16b, v\j\().16b, v\z\().16b
    new cnt     v0.16b, v0.16b
    new cnt     v1.16b, v1.16b
    new addp    v14.16b, v11.16b, v12.16b
    new cnt     v2.16b, v2.16b
    new cnt     v3.16b, v3.16b
    .if \sum == 15
    old stp     q9, q15, [x10], #32
    .endif
.endm

.macro  fold kind, stage, to, a, b
    .if \kind == .Lwide
    \stage add  \to\().16b, \a\().16b, \b\().16b
    .else
    \stage addp \to\().16b, \a\().16b, \b\().16b
    .endif
.endm

.macro  turn_planes sum, add, at
    turn .Lplanes, \sum, \add, \at, 8, 8, 8, 8, 24, 25, 26, 27, 28, 29, 30, 31
.endm

.macro  turn_wide sum, at
    turn .Lwide, \sum, 0, \at, 8, 10, 8, 10, 24, 25, 26, 27, 28, 29, 30, 31
.endm

.macro  turn_outputs
    turn .Loutputs, 15, 1, 0, 8, 8, 10, 10, 16, 17, 18, 19, 20, 21, 22, 23
.endm

.macro  begin_pass
        mov     x8, x1
        sub     x10, x4, #32
        mov     w11, w3
        stages  1, 0, 1
.endm

/* All outputs with the next 128 inputs of every row. */
.macro  pass add
        mov     x9, x0
        load_planes 16, 24
        load_planes 17, 25
        load_planes 18, 26
        load_planes 19, 27
        load_planes 20, 28
        load_planes 21, 29
        load_planes 22, 30
        load_planes 23, 31
        begin_pass
.Lcount_two_\add:
        turn_planes 15, \add, 16
        turn_planes 9, \add, 0
        subs    w11, w11, #2
        b.ne    .Lcount_two_\add
        stages  0, 0, 1
        turn_planes 15, \add, 16
.endm

.macro  load_planes first, second
        ld1     {v\first\().16b}, [x9], x5
        ld1     {v\second\().16b}, [x9], x5
.endm

.macro  save
        stp     d8, d9, [sp, #-64]!
        stp     d10, d11, [sp, #16]
        stp     d12, d13, [sp, #32]
        stp     d14, d15, [sp, #48]
.endm

.macro  restore_and_return
        ldp     d14, d15, [sp, #48]
        ldp     d12, d13, [sp, #32]
        ldp     d10, d11, [sp, #16]
        ldp     d8, d9, [sp], #64
        ret
.endm

function kwsi_count_two_neon
        save
        movi    v10.16b, #2
        subs    w2, w2, #2
        b.lt    .Lcount_two_done
        pass    0
        b       .Lcount_two_more
.Lcount_two_next:
        pass    1
.Lcount_two_more:
        add     x0, x0, #16
        add     x1, x1, #16
        subs    w2, w2, #2
        b.ge    .Lcount_two_next
.Lcount_two_done:
        restore_and_return
end kwsi_count_two_neon

function kwsi_count_one_neon
        save
        cmp     w2, #4
        b.ne    .Lcount_one_other
        ldp     q16, q17, [x0]
        ldp     q18, q19, [x0, #32]
        ldp     q20, q21, [x0, #64]
        ldp     q22, q23, [x0, #96]
        ldp     q24, q25, [x0, #128]
        ldp     q26, q27, [x0, #160]
        ldp     q28, q29, [x0, #192]
        ldp     q30, q31, [x0, #224]
        begin_pass
.Lcount_one_wide:
        turn_wide 15, 16
        turn_wide 9, 0
        turn_wide 15, 16
        turn_wide 9, 0
        subs    w11, w11, #4
        b.ne    .Lcount_one_wide
        stages  0, 0, 1
        turn_wide 15, 16
        restore_and_return
.Lcount_one_other:
        lsl     w5, w2, #3
        mov     x6, x5
        b       .Lcount_one_more
.Lcount_one_next:
        mov     x9, x0
    .irp r, 16, 17, 18, 19, 20, 21, 22, 23
        ld1     {v\r\().16b}, [x9], x5
    .endr
        begin_pass
.Lcount_one_outputs:
        turn_outputs
        subs    w11, w11, #2
        b.ne    .Lcount_one_outputs
        stages  0, 0, 1
        turn_outputs
        add     x0, x0, #16
        add     x1, x1, #16
.Lcount_one_more:
        subs    w2, w2, #2
        b.ge    .Lcount_one_next
        restore_and_return
end kwsi_count_one_neon

#endif
