/* The very first instruction of a program: writes all general registers, flags and the vector state to standard output. */
__asm__(
    ".global _start\n"
    "_start:\n"
    "mov %rsp, saved+120(%rip)\n"
    "lea saved+120(%rip), %rsp\n" /* RSP before it is in the way: it is at 120 */
    "push %r15; push %r14; push %r13; push %r12; push %r11; push %r10; push %r9; push %r8\n"
    "push %rbp; push %rdi; push %rsi; push %rdx; push %rcx; push %rbx; push %rax\n"
    "mov saved+120(%rip), %rsp\n"
    "pushf; pop saved+128(%rip)\n"
    "fxsave vectors(%rip)\n"
    "mov $1, %eax; mov $1, %edi; lea saved(%rip), %rsi; mov $656, %edx; syscall\n"
    "mov $231, %eax; xor %edi, %edi; syscall\n"
    ".bss; .balign 16; saved: .skip 144; vectors: .skip 512; .text\n");
