"""The boot code of a kernel that runs programs: how ring 3 enters the kernel, and how the kernel goes (back) there.

Assembly text for boot_pvh.py. Each way in leaves the same Registers on the stack (kernel/state/registers.py), clears
what a program may have set (AC, DF; TF, NT and IF too, but the gate or FMASK does that), and calls one kernel function:

    pvh.syscall   SYSCALL                     on_syscall       on the kernel's stack, from its end on
    pvh.trap      any other vector, ring 3    on_trap          the same: the TSS's rsp0 is the stack's end
                  any other vector, ring 0    on_kernel_trap   where the kernel's stack is
    pvh.apart     double fault, NMI, #MC      on_kernel_trap   on a stack of its own (IST)

kmain begins under Registers at the stack's end, fills them in and returns: the program's first instruction is reached
by the same way out as after a trap.

Ring 0 or 3 is told by the CS on the stack, never by bit U of a page fault: QEMU's far return of ring 3 reads its stack
with ring 0's rights. Only at the three of pvh.apart is CS no answer, because they come also between SYSCALL and its
SWAPGS, with CS of ring 0, GS of ring 3 and the program's RSP. There the GS base tells: the kernel's is negative. So a
program may never have a negative one: arch_prctl refuses it, and CR4.FSGSBASE stays off.

SYSRET returns where on_syscall says that Registers are the call's own but for RAX; all else is left by IRET. Neither
may meet an RIP that is not canonical: on some processors it would fault in ring 0, with GS of ring 3. SYSRET's must be
below 2**47; in front of IRET such an RIP becomes what a jump there is, a general protection fault in ring 3.

AC is cleared by PUSHF, AND, POPF: CLAC is no instruction where there is no SMAP.

The selectors are Linux's: data of ring 3 is 0x2B, code 0x33. SYSRET takes both from STAR: 0x23 + 8 and 0x23 + 16. A
SYSRET to 32 bits would take 0x23, which is the upper half of the TSS's descriptor and no segment; so there is no 32-bit
code in ring 3. Written from: Intel SDM volume 3, "Fast System Calls in 64-Bit Mode", "Interrupt Stack Table"; volume 2,
"SYSCALL", "SYSRET", "IRET"; AMD APM volume 2, chapter 8.
"""

from typing import Any, Final

NR_GATES: Final = 256
REGISTERS_BYTES: Final = 22 * 8
STACKS: Final = {8: 'fault', 2: 'nmi', 18: 'machine_check'}  # vectors with a stack of their own, and its name
BREAKPOINT: Final = 3  # the only gate that ring 3 may name in an INT

# In the order in which they are pushed. The last six are those that a C function leaves as they were.
PUSHED: Final = ('rdi', 'rsi', 'rdx', 'rcx', 'rax', 'r8', 'r9', 'r10', 'r11', 'rbx', 'rbp', 'r12', 'r13', 'r14', 'r15')
NR_SAVED_BY_CALLEE: Final = 6
_PUSH: Final = ''.join(f'    push %{name}\n' for name in PUSHED)
_POP: Final = ''.join(f'    pop %{name}\n' for name in reversed(PUSHED))
# After a system call, where R11 and RCX are what SYSRET wants them to be.
_POP_CALL: Final = ''.join(f'    pop %{name}\n' for name in reversed(PUSHED[: -NR_SAVED_BY_CALLEE - 1]))

# Bits of RFLAGS that SYSCALL clears: AC, NT, IOPL, DF, IF, TF.
_START: Final = """\
    mov $0xC0000080, %ecx                   # EFER: SCE
    rdmsr
    or $1, %eax
    wrmsr
    inc %ecx                                # STAR
    xor %eax, %eax
    mov $0x00230008, %edx
    wrmsr
    inc %ecx                                # LSTAR
    mov $pvh.syscall, %rax
    mov ${upper_half:#x}, %edx
    wrmsr
    mov $0xC0000084, %ecx                   # FMASK
    xor %edx, %edx
    mov $0x47700, %eax
    wrmsr
    mov $0xC0000101, %ecx                   # the GS base, of the kernel
    mov $pvh.processor, %rax
    mov ${upper_half:#x}, %edx
    wrmsr
    inc %ecx                                # the one that SWAPGS brings, of ring 3
    xor %eax, %eax
    xor %edx, %edx
    wrmsr

    sub ${registers_bytes}, %rsp
    mov ${kernel_struct:#x}, %rdi
    mov $pvh.start_info{physical}, %rsi
    xor %ebp, %ebp
    call kmain
    jmp pvh.return
"""

_ENTRIES: Final = """
pvh.syscall:
    swapgs
    mov %rsp, %gs:8
    mov %gs:0, %rsp
    push $0x2B
    push %gs:8
    push %r11
    push $0x33
    push %rcx
    push $0
    push $256
{push}    mov ${kernel_struct:#x}, %rdi
    mov %rsp, %rsi
    call on_syscall
    test %rax, %rax
    jnz pvh.return
    mov {rip}(%rsp), %rax
    shr $47, %rax
    jnz pvh.return
    add ${skipped}, %rsp
{pop_call}    mov 16(%rsp), %rcx
    mov 32(%rsp), %r11
    mov 40(%rsp), %rsp
    swapgs
    sysretq

pvh.trap:                                   # on the stack: vector, error code, rip, cs, rflags, rsp, ss
    testb $3, 24(%rsp)
    jz pvh.kernel_trap
    swapgs
{push}    cld
{clear_ac}pvh.trap_of_ring3:
    mov ${kernel_struct:#x}, %rdi
    mov %rsp, %rsi
    call on_trap
pvh.return:                                 # to ring 3, with the Registers at rsp
    mov {rip}(%rsp), %rax
    mov %rax, %rcx
    shl $16, %rcx
    sar $16, %rcx
    cmp %rax, %rcx
    jne 1f
{pop}    add $16, %rsp
    swapgs
    iretq
1:  movq $13, {vector}(%rsp)
    movq $0, {error}(%rsp)
    jmp pvh.trap_of_ring3

pvh.kernel_trap:
{push}    cld
{clear_ac}    mov ${kernel_struct:#x}, %rdi
    mov %rsp, %rsi
    call on_kernel_trap
{pop}    add $16, %rsp
    iretq

pvh.apart:                                  # GS may be either's, whatever CS says
{push}    cld
{clear_ac}    mov $0xC0000101, %ecx
    rdmsr
    mov %edx, %ebx                          # negative: the kernel's already
    test %ebx, %ebx
    js 1f
    swapgs
1:  mov ${kernel_struct:#x}, %rdi
    mov %rsp, %rsi
    call on_kernel_trap
    test %ebx, %ebx
    js 1f
    swapgs
1:
{pop}    add $16, %rsp
    iretq
"""

_CLEAR_AC: Final = """\
    pushf
    andl $~0x40000, (%rsp)
    popf
"""

_SEGMENTS: Final = """\
    .quad 0x00CFF3000000FFFF                # 0x28: data of ring 3
    .quad 0x00AFFB000000FFFF                # 0x30: code of ring 3, 64 bits
"""

_DATA: Final = """
.section .boot_data, "aw", @progbits
.balign 16
pvh.processor:                              # what GS shows: the end of the kernel's stack, and the program's RSP
    .quad {stack_end:#x}, 0
"""


def fill_in(values: dict[str, Any], stack_end: int) -> dict[str, Any]:
    """What boot_pvh.py's text wants to know of ring 3. `stack_end` is where the kernel sees it."""
    own = {
        **values,
        'stack_end': stack_end,
        'registers_bytes': REGISTERS_BYTES,
        'push': _PUSH,
        'pop': _POP,
        'pop_call': _POP_CALL,
        'skipped': 8 * (NR_SAVED_BY_CALLEE + 1),
        'clear_ac': _CLEAR_AC,
        'vector': 8 * len(PUSHED),
        'error': 8 * len(PUSHED) + 8,
        'rip': 8 * len(PUSHED) + 16,
    }
    return {
        'nr_vectors': NR_GATES,
        'user_gates': f'    movb $0xEE, pvh.idt + {BREAKPOINT} * 16 + 5  # ring 3 may\n',
        'start_kernel': _START.format(**own),
        'entries': _ENTRIES.format(**own),
        'user_segments': _SEGMENTS,
        'stack_of_ring_0': stack_end,
        'processor': _DATA.format(**own),
    }


def stub(vector: int, zero: str) -> str:
    """The first instructions of a vector, 16 bytes at most; `zero` pushes what stands for an error code."""
    target = 'apart' if vector in STACKS else 'trap'
    return f'.balign 16\n{zero}    push ${vector}\n    jmp pvh.{target}\n'
