"""The UEFI boot code: from the firmware's call of a program to the PVH entry of the kernel that the program carries.

Assembly text, assembled by LLVM and linked apart from the kernel. It may be loaded anywhere, so it names nothing by its
address. It does what a PVH loader does, and knows only what a loader knows of the kernel: bytes that belong at an
address, zeros behind them, an entry, and which memory must be RAM.

It asks the firmware for one area below 4 GiB that does not overlap the kernel's place:
```
[area, + 0x1000)            the last steps, for which no page table is in use
[area + 0x1000, + 0x1000)   start information, and its modules: the framebuffer, and what the program carries
[area + 0x2000, + 0x6000)   the memory map that is handed over
[area + 0x8000, ...)        a copy of the kernel's bytes
behind them                 a copy of the module, if the program carries one, which stays there
behind it                   the memory map of the firmware
```
The copy is moved to its place after the firmware has ended its services and paging is off: until then that place may
be in use by the firmware, by its page tables, or by this program. The area is ordinary RAM again when the kernel's
entry has copied start information and memory map, but for the module.

Every failure is one sentence on the firmware's console and on the serial port, and a byte to the exit port. Firmware
may use the serial port for its own console: the character STX (start of text) goes before the first of ours.

The sources: UEFI specification, chapters 4 (system table), 7 (boot services) and 12 (console support); for the state
at the entry "x86/HVM direct boot ABI" of the Xen documentation; for leaving long mode, AMD64 Architecture Programmer's
Manual, volume 2, chapter 14.
"""

from typing import Final

from . import boot_pvh, boot_uefi_handover
from .boot_bios import Payload, sums_of
from .boot_pvh import ExitPort
from .boot_tables import PAGE_BYTES
from .boot_uefi_handover import COPY, START_INFO, Own, Range

START_OF_TEXT: Final = 2  # ASCII: STX

TEXT: Final = 0x1000  # the addresses of the program's parts, from where it is loaded on
DATA: Final = 0x3000

NR_TRIES: Final = 8  # to end the firmware's services: each time its memory map has changed, it refuses
SPARE_BYTES: Final = 0x2000  # for the pieces into which the memory map may fall after its size was asked

SENTENCES: Final = {
    'no_nx': boot_pvh.SENTENCES['no_nx'],
    'damaged': 'The kernel in this program is damaged.',
    'no_memory': 'This firmware has no free memory below 4 GiB.',
    'no_map': 'This firmware tells no memory map.',
    'not_ours': 'This firmware keeps memory to itself that the kernel needs: below 2 MiB.',
    'no_exit': 'This firmware does not end its services.',
}
NO_MEMORY: Final = 'This PC has too little free memory below 4 GiB for the program and its files: {megabytes:,} MiB.'


# The firmware's calling convention: rcx, rdx, r8, r9, then the stack behind 32 bytes that belong to the callee; rbx,
# rbp, rsi, rdi and r12 to r15 survive a call. In use throughout: r12 = this program's handle, r13 = system table,
# r14 = boot services, r15 = area.
_START: Final = """
.section .uefi, "ax", @progbits
.code64
.set uefi.map_bytes, 40                     # places on the stack
.set uefi.map_key, 48
.set uefi.descriptor_bytes, 56
.set uefi.descriptor_version, 64
.set uefi.capacity, 72                      # the bytes of the area that are for the firmware's memory map
.set uefi.area, 80
.set uefi.found, 88
.set uefi.letter, 96
.set uefi.frame_bytes, 112

uefi.start:
    cld
    and $-16, %rsp
    sub $uefi.frame_bytes, %rsp
    mov %rcx, %r12
    mov %rdx, %r13
    mov 0x60(%rdx), %r14

    mov $0x80000001, %eax
    cpuid
    lea uefi.no_nx(%rip), %rsi
    bt $20, %edx
    jnc uefi.fail

    # The plain sum of the kernel's words, and the sum of all plain sums on the way.
    lea uefi.kernel(%rip), %rsi
    mov ${carried_dwords}, %ecx
    xor %ebx, %ebx
    xor %edx, %edx
1:  lodsl
    add %eax, %ebx
    add %ebx, %edx
    dec %ecx
    jnz 1b
    lea uefi.damaged(%rip), %rsi
    cmp ${low_sum:#x}, %ebx
    jne uefi.fail
    cmp ${high_sum:#x}, %edx
    jne uefi.fail

uefi.allocate:
    movq $0, uefi.map_bytes(%rsp)           # the firmware answers how many bytes it wants
    xor %edx, %edx
    call uefi.get_memory_map
    mov uefi.map_bytes(%rsp), %rax
    add ${spare_bytes} + {page_bytes} - 1, %rax
    and $-{page_bytes}, %rax
    mov %rax, uefi.capacity(%rsp)
1:  mov $0xFFFFFFFF, %eax
    mov %rax, uefi.area(%rsp)
    mov $1, %ecx                            # pages anywhere below that address
    mov $1, %edx                            # code of a loader: some firmware lets nothing else be executed
    mov uefi.capacity(%rsp), %r8
    add ${fixed_bytes}, %r8
    mov %r8, %rdi
    shr $12, %r8
    lea uefi.area(%rsp), %r9
    call *0x28(%r14)                        # AllocatePages
    lea uefi.no_memory(%rip), %rsi
    test %rax, %rax
    jnz uefi.fail
    mov uefi.area(%rsp), %r15
    cmp ${kernel_end:#x}, %r15
    jae 2f
    add %r15, %rdi
    cmp ${kernel_start:#x}, %rdi
    ja 1b                                   # the kernel's place: keep it, and ask for more

2:  lea uefi.last_steps(%rip), %rsi
    mov %r15, %rdi
    mov $uefi.last_steps_end - uefi.last_steps, %ecx
    rep movsb
    lea {copy}(%r15), %rdi
    lea uefi.kernel(%rip), %rsi
    mov ${carried_dwords}, %ecx
    rep movsl
    call uefi.fill_start_info

# Between the answer and the end of the services nothing else may be asked, or the answer is stale.
    mov ${nr_tries}, %ebx
uefi.exit:
    mov uefi.capacity(%rsp), %rax
    mov %rax, uefi.map_bytes(%rsp)
    lea {map_buffer}(%r15), %rdx
    call uefi.get_memory_map
    lea uefi.no_map(%rip), %rsi
    test %rax, %rax
    jz 1f
    cmp ${nr_tries}, %ebx
    jne uefi.fail_on_serial                 # the services have begun to end
    bt $63, %rax
    jnc uefi.fail
    cmp $5, %al                             # EFI_BUFFER_TOO_SMALL
    je uefi.allocate
    jmp uefi.fail
1:  call uefi.convert_memory_map
    lea uefi.not_ours(%rip), %rsi
    jc uefi.fail
    mov %r12, %rcx
    mov uefi.map_key(%rsp), %rdx
    call *0xE8(%r14)                        # ExitBootServices
    test %rax, %rax
    jz uefi.leave
    dec %ebx
    jnz uefi.exit
    lea uefi.no_exit(%rip), %rsi
    jmp uefi.fail_on_serial

uefi.leave:
    cli
    call uefi.start_text
    lea uefi.gdt - uefi.last_steps(%r15), %rax
    movw $uefi.gdt_end - uefi.gdt - 1, uefi.found(%rsp)
    mov %rax, uefi.found + 2(%rsp)
    lgdt uefi.found(%rsp)
    lea {start_info}(%r15), %rbx
    lea {copy}(%r15), %rsi
    pushq $8
    push %r15
    lretq

# rdx = buffer; rax = status.
uefi.get_memory_map:
    lea 8 + uefi.map_bytes(%rsp), %rcx      # 8: the return address
    lea 8 + uefi.map_key(%rsp), %r8
    lea 8 + uefi.descriptor_bytes(%rsp), %r9
    lea 8 + uefi.descriptor_version(%rsp), %rax
    sub $40, %rsp
    mov %rax, 32(%rsp)
    call *0x38(%r14)                        # GetMemoryMap
    add $40, %rsp
    ret

"""

_FAIL: Final = """
# Tell the sentence at rsi, and stop.
uefi.fail:
    mov %rsi, %rdi
    mov 0x40(%r13), %rbx                    # the console for output
    test %rbx, %rbx
    jz uefi.fail_on_serial
1:  movzbl (%rdi), %eax
    inc %rdi
    mov %eax, uefi.letter(%rsp)             # with the zero that ends a text
    mov %rbx, %rcx
    lea uefi.letter(%rsp), %rdx
    call *8(%rbx)                           # OutputString
    cmpb $10, -1(%rdi)
    jne 1b
uefi.fail_on_serial:
    call uefi.start_text
1:  lodsb
    mov %al, %cl
    call uefi.send
    cmp $10, %cl
    jne 1b
    mov ${exit_code}, %al
    out %al, ${exit_port}
2:  cli
    hlt
    jmp 2b

# From here on what is sent is ours.
uefi.start_text:
    mov ${start_of_text}, %cl
uefi.send:                                  # the byte in cl
    mov $0x3FD, %dx
1:  in %dx, %al
    test $0x40, %al                         # all is sent; also where there is no port, which reads as ones
    jz 1b
    mov %cl, %al
    mov $0xF8, %dl
    out %al, %dx
    in $0x80, %al                           # takes a microsecond
    mov $0xFD, %dl
2:  in %dx, %al
    test $0x40, %al
    jz 2b
    ret
"""

# Copied to the area; entered in the compatibility mode of long mode, ebx = start information, esi = copy of the kernel.
_LAST_STEPS: Final = """
.balign 16
uefi.last_steps:
.code32
    mov $16, %eax
    mov %eax, %ds
    mov %eax, %es
    mov %eax, %ss
    mov %cr4, %eax
    and $~0x20000, %eax                     # process-context identifiers end before paging does
    mov %eax, %cr4
    mov %cr0, %eax
    and $0x7FFFFFFF, %eax                   # paging ends, and with it long mode
    mov %eax, %cr0
    mov $0xC0000080, %ecx                   # EFER
    rdmsr
    and $~0x100, %eax
    wrmsr
    xor %eax, %eax
    mov %eax, %cr4
    inc %eax                                # PE, and nothing else: the ABI wants it so
    mov %eax, %cr0
    mov ${kernel_start:#x}, %edi
    mov ${content_dwords}, %ecx
    rep movsl
    xor %eax, %eax
    mov ${zeros_bytes:#x}, %ecx
    rep stosb
    mov ${entry:#x}, %eax
    jmp *%eax
.balign 8
uefi.gdt:
    .quad 0
    .quad 0x00CF9B000000FFFF                #  8: code, 32 bits
    .quad 0x00CF93000000FFFF                # 16: data, 4 GiB
uefi.gdt_end:
uefi.last_steps_end:
.code64

"""


def assembly(
    payload: Payload, module: bytes, needed: tuple[Range, ...], kinds: tuple[int, ...], exit_port: ExitPort
) -> str:
    """The boot code in AT&T syntax, in the section .uefi; uefi.kernel is the place in the program of what it carries.

    `kinds` translates each type of the firmware's memory map to PVH's, for the time after the services have ended.
    """
    carried = carried_by(payload, module)
    low_sum, high_sum = sums_of(carried)
    zeros_start = payload.start + len(payload.content)
    map_buffer = COPY + -(-len(carried) // PAGE_BYTES) * PAGE_BYTES
    values = {
        'content_dwords': len(payload.content) // 4,
        'carried_dwords': len(carried) // 4,
        'low_sum': low_sum,
        'high_sum': high_sum,
        'spare_bytes': SPARE_BYTES,
        'page_bytes': PAGE_BYTES,
        'fixed_bytes': map_buffer,
        'kernel_start': payload.start,
        'kernel_end': max(payload.end, zeros_start),
        'zeros_bytes': max(payload.end - zeros_start, 0),
        'entry': payload.entry,
        'copy': COPY,
        'nr_tries': NR_TRIES,
        'map_buffer': map_buffer,
        'start_info': START_INFO,
        'start_of_text': START_OF_TEXT,
        'exit_port': exit_port.port,
        'exit_code': exit_port.code,
    }
    told = {**SENTENCES, **({'no_memory': NO_MEMORY.format(megabytes=len(module) >> 20)} if module else {})}
    sentences = (f'uefi.{name}:\n    .ascii "{text}\\r\\n"\n' for name, text in told.items())
    own_module = Own(COPY + module_offset(payload), len(module)) if module else None
    handover = boot_uefi_handover.code(map_buffer, needed, len(kinds), own_module)
    parts = (_START.format(**values), handover, _FAIL.format(**values), _LAST_STEPS.format(**values))
    return ''.join((*parts, boot_uefi_handover.data(kinds), *sentences))


def module_offset(payload: Payload) -> int:
    """Where the module begins in what the program carries."""
    return -(-len(payload.content) // PAGE_BYTES) * PAGE_BYTES


def carried_by(payload: Payload, module: bytes) -> bytes:
    """The kernel's bytes, and behind them the module, if there is one, from a multiple of a page on."""
    if not module:
        return payload.content
    return b''.join((payload.content.ljust(module_offset(payload), b'\0'), module, bytes(-len(module) % 4)))
