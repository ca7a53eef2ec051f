/* void rp_os_call_on_stack(void *stack_top, void (*function)(void *), void *argument)
 *
 * The frame pointer stays on the caller's stack and defines the frame's address, so a debugger walks
 * from the new stack back to the old one. The caller's control words are kept below it.
 */
    .section .rodata
    .p2align 2
default_mxcsr:
    .long 0x1f80                /* all exceptions masked, round to nearest */
default_x87:
    .word 0x037f                /* the same, 64-bit precision */

    .text
    .globl rp_os_call_on_stack
    .type rp_os_call_on_stack, @function
    .p2align 4
rp_os_call_on_stack:
    .cfi_startproc
    endbr64
    pushq %rbp
    .cfi_def_cfa_offset 16
    .cfi_offset %rbp, -16
    movq %rsp, %rbp
    .cfi_def_cfa_register %rbp
    subq $16, %rsp
    stmxcsr -4(%rbp)
    fnstcw -8(%rbp)

    movq %rdi, %rsp
    andq $-16, %rsp
    ldmxcsr default_mxcsr(%rip)
    fldcw default_x87(%rip)
    movq %rdx, %rdi
    call *%rsi

    ldmxcsr -4(%rbp)
    fldcw -8(%rbp)
    leave
    .cfi_def_cfa %rsp, 8
    ret
    .cfi_endproc
    .size rp_os_call_on_stack, . - rp_os_call_on_stack

    .section .note.GNU-stack, "", @progbits
