/* SPDX-License-Identifier: Apache-2.0
 *
 * What assembly sources share: how a function begins and ends for the linkers of ELF and Mach-O.
 */
#ifndef KWSI_ASM_H
#define KWSI_ASM_H

/* This is no C: */
/* clang-format off */
#if defined(__aarch64__) && defined(__APPLE__)
.macro function name
    .text
    .balign 64
    .globl _\name
    .private_extern _\name
_\name:
.endm

.macro end name
.endm
#elif defined(__aarch64__)
.macro function name
    .text
    .balign 64
    .global \name
    .hidden \name
    .type \name, %function
\name:
.endm

.macro end name
    .size \name, . - \name
.endm
#endif

/* On any processor, so that a build may compile every .S file: the stack need not be executable. */
#if defined(__ELF__)
.section .note.GNU-stack, "", %progbits
#endif
/* clang-format on */

#endif
