/* void rp_os_call_on_stack(void *stack_top, void (*function)(void *), void *argument)
 *
 * Nothing of the caller's that differs by process or by moment may reach the function: registers that it
 * could save somewhere (a jump buffer, a coroutine's context) are zero, its frame pointer lies on the new
 * stack, and the x87 unit is as after a start. The new stack begins with a frame that leads back to the
 * old one, by frame pointers and by CFI:
 *
 *     stack_top - 8    return address
 *              - 16    the caller's frame pointer     <- rbp
 *              - 24    the old stack pointer
 */
    .section .rodata
    .p2align 2
default_mxcsr:
    .long 0x1f80                /* all exceptions masked, round to nearest */

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
    pushq %rbx
    .cfi_def_cfa_offset 24
    .cfi_offset %rbx, -24
    pushq %r12
    .cfi_def_cfa_offset 32
    .cfi_offset %r12, -32
    pushq %r13
    .cfi_def_cfa_offset 40
    .cfi_offset %r13, -40
    pushq %r14
    .cfi_def_cfa_offset 48
    .cfi_offset %r14, -48
    pushq %r15
    .cfi_def_cfa_offset 56
    .cfi_offset %r15, -56
    subq $8, %rsp
    .cfi_def_cfa_offset 64
    stmxcsr 4(%rsp)
    fnstcw (%rsp)

    andq $-16, %rdi
    movq 56(%rsp), %rax
    movq %rax, -8(%rdi)
    movq %rbp, -16(%rdi)
    movq %rsp, -24(%rdi)
    leaq -16(%rdi), %rbp
    /* CFA = *(rbp - 8) + 64: DW_CFA_def_cfa_expression, breg6 -8, deref, plus_uconst 64 */
    .cfi_escape 0x0f, 0x05, 0x76, 0x78, 0x06, 0x23, 0x40
    leaq -32(%rdi), %rsp

    movq %rdx, %rdi
    movq %rsi, %rax
    xorl %ebx, %ebx
    xorl %ecx, %ecx
    xorl %edx, %edx
    xorl %esi, %esi
    xorl %r8d, %r8d
    xorl %r9d, %r9d
    xorl %r10d, %r10d
    xorl %r11d, %r11d
    xorl %r12d, %r12d
    xorl %r13d, %r13d
    xorl %r14d, %r14d
    xorl %r15d, %r15d
    ldmxcsr default_mxcsr(%rip)
    fninit                      /* also forgets where the last x87 instruction was */
    call *%rax

    movq -8(%rbp), %rsp
    .cfi_def_cfa %rsp, 64
    ldmxcsr 4(%rsp)
    fldcw (%rsp)
    addq $8, %rsp
    .cfi_def_cfa_offset 56
    popq %r15
    .cfi_def_cfa_offset 48
    popq %r14
    .cfi_def_cfa_offset 40
    popq %r13
    .cfi_def_cfa_offset 32
    popq %r12
    .cfi_def_cfa_offset 24
    popq %rbx
    .cfi_def_cfa_offset 16
    popq %rbp
    .cfi_def_cfa_offset 8
    ret
    .cfi_endproc
    .size rp_os_call_on_stack, . - rp_os_call_on_stack

    .section .note.GNU-stack, "", @progbits
