/* SPDX-License-Identifier: Apache-2.0
 *
 * int call_checked(void *function, const uint64_t integers[8], const float floats[2])
 *
 * Calls `function` with integers in x0..x7 and floats in s0, s1, with a pattern in every register that a callee must
 * preserve (x19..x28 and the lower halves of v8..v15), and in the upper halves of v8..v15, which it need not. Returns
 * how many of those registers, the stack pointer and the frame pointer came back changed.
 */
#if defined(__aarch64__)
        .text
        .global call_checked
        .type call_checked, %function
call_checked:
        stp     x29, x30, [sp, #-176]!
        mov     x29, sp
        stp     x19, x20, [sp, #16]
        stp     x21, x22, [sp, #32]
        stp     x23, x24, [sp, #48]
        stp     x25, x26, [sp, #64]
        stp     x27, x28, [sp, #80]
        stp     d8, d9, [sp, #96]
        stp     d10, d11, [sp, #112]
        stp     d12, d13, [sp, #128]
        stp     d14, d15, [sp, #144]
        str     x29, [sp, #160]

        mov     x16, x0
        mov     x17, x1
        ldp     s0, s1, [x2]
        .irp    n, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28
        mov     x\n, #0x5a00 + \n
        .endr
        .irp    n, 8, 9, 10, 11, 12, 13, 14, 15
        mov     x9, #0xa500 + \n
        dup     v\n\().2d, x9
        .endr
        ldp     x0, x1, [x17]
        ldp     x2, x3, [x17, #16]
        ldp     x4, x5, [x17, #32]
        ldp     x6, x7, [x17, #48]
        blr     x16

        mov     x0, #0
        .irp    n, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28
        mov     x9, #0x5a00 + \n
        cmp     x\n, x9
        cinc    x0, x0, ne
        .endr
        .irp    n, 8, 9, 10, 11, 12, 13, 14, 15
        mov     x9, #0xa500 + \n
        fmov    x10, d\n
        cmp     x10, x9
        cinc    x0, x0, ne
        .endr
        mov     x9, sp
        cmp     x9, x29
        cinc    x0, x0, ne
        ldr     x9, [x29, #160]
        cmp     x9, x29
        cinc    x0, x0, ne

        mov     sp, x29
        ldp     d14, d15, [sp, #144]
        ldp     d12, d13, [sp, #128]
        ldp     d10, d11, [sp, #112]
        ldp     d8, d9, [sp, #96]
        ldp     x27, x28, [sp, #80]
        ldp     x25, x26, [sp, #64]
        ldp     x23, x24, [sp, #48]
        ldp     x21, x22, [sp, #32]
        ldp     x19, x20, [sp, #16]
        ldp     x29, x30, [sp], #176
        ret
        .size call_checked, . - call_checked

/* void careless(void): changes two registers that it should have saved, so that the test can fail */
        .global careless
        .type careless, %function
careless:
        mov     x23, #0
        movi    v11.2d, #0
        ret
        .size careless, . - careless
        .section .note.GNU-stack, "", %progbits
#endif
