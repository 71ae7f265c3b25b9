/* SPDX-License-Identifier: Apache-2.0
 *
 * Software pipelining for assembly sources. A macro holds a loop's body in the order in which it is to be issued; each
 * line belongs to the output that enters (`new`), to the one before it, half done (`mid`), or to the one before that,
 * which leaves (`old`). Neighbouring lines thus depend on one another as little as they can: a core that issues in
 * order finds work in every cycle, and one that does not needs to look less far. `stages` says which of the three the
 * next uses of the macro have: the first outputs have none before them, the last ones none after.
 */
#ifndef KWSI_PIPELINE_H
#define KWSI_PIPELINE_H

/* This is no C: */
/* clang-format off */
#if defined(__aarch64__)
.macro stages new, mid, old
    .set .Lhas_new, \new
    .set .Lhas_mid, \mid
    .set .Lhas_old, \old
.endm

.macro new instruction:vararg
    .if .Lhas_new
        \instruction
    .endif
.endm

.macro mid instruction:vararg
    .if .Lhas_mid
        \instruction
    .endif
.endm

.macro old instruction:vararg
    .if .Lhas_old
        \instruction
    .endif
.endm
#endif
/* clang-format on */

#endif
