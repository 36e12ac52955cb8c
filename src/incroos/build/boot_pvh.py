"""The PVH boot code: from the loader's 32-bit entry to the kernel's first function.

Assembly text that LLVM assembles together with the kernel. It hands over the boot state that every place shares:
long mode, the first 2 MiB identity-mapped in 4 KiB pages under W^X, a stack above a guard page, interrupts off, and
an interrupt table whose 32 exceptions end in the kernel's two handlers. A kernel that runs programs has 256 gates, a
stack for each of three vectors, and ring 3's ways in and out (boot_ring3.py). Nothing here knows what the kernel does.

A processor that cannot run the kernel is told so before anything else: one sentence on the screen and on the serial
port, and a byte to the exit port. Without it the first thing that is missing would be a triple fault.

```
[page_tables, + 0x4000)           level 4, 3, 2 and 1, one table each, in this order
[image_start, image_limit)        text read-only; rodata read-only NX; data and bss writable NX
[guard_page, + 0x1000)            not present: a stack that overflows faults, and the fault has a stack of its own
[guard_page + 0x1000, stack_top)  the stack; at first empty
kernel_struct                     the address that the kernel's functions get as their first argument
```
A kernel in the upper half is linked for its physical addresses plus `window`, and runs there. For it a fifth table, of
level 3, follows the four, and their entries make the first 2 MiB appear at `window` and at the start of the upper half
as well. The identity map stays: without it there would be no way from here to there. With five `levels`, where the
processor has them, a sixth table is the root, and the ends of the address space that are in use lead from it to the
table of level 4. Only here can that be chosen: CR4.LA57 does not change while paging is on.
All other pages of the first 2 MiB, page 0 with the BIOS data included, are writable and not executable.

The entry and the state at it: "x86/HVM direct boot ABI" of the Xen documentation. Long mode, gates and the TSS: AMD64
Architecture Programmer's Manual, volume 2, chapters 4 (descriptors), 8 (exceptions) and 14 (initialization); for the
features, volume 3, appendix E ("Obtaining Processor Information Via the CPUID Instruction").
"""

from dataclasses import dataclass
from typing import Any, Final

from . import boot_ring3
from .boot_tables import PAGE_BYTES, find_levels, upper_entries

ENTRY_SYMBOL: Final = 'pvh.start'
FAULT_STACK_BYTES: Final = 8192  # the double fault's own stack, and those of its kind, in the image's bss
START_INFO_BYTES: Final = 56  # struct hvm_start_info, version 1
REGION_BYTES: Final = 24  # struct hvm_memmap_table_entry
MAX_REGIONS: Final = 1024  # far more than any firmware tells; further ones are dropped
MODULE_ENTRY_BYTES: Final = 32  # struct hvm_modlist_entry
MODULE_BYTES: Final = 64  # a small module has at most so many and is copied: boot_uefi.py's, of a framebuffer
OWN_MODULE: Final = 'pvh.own_module'
MAPPED_BYTES: Final = 0x20_0000  # of a larger one that begins below, something of the kernel's may lie over it
SCREEN: Final = 0xB8000  # VGA text memory, 80 columns and 25 rows, two bytes a cell
SCREEN_BYTES: Final = 80 * 25 * 2
MAX_WAITS: Final = 100_000  # for the serial port, before a character

# What the processor and the stubs push on the way to a handler, in bytes; build/stack.py adds it to the worst case.
PAGE_FAULT_FRAME_BYTES: Final = 8 * (1 + 6 + 9 + 1)  # alignment, what the processor pushes, nine registers, alignment
EXCEPTION_FRAME_BYTES: Final = 8 * (1 + 6 + 1 + 1)  # the same, the vector, alignment
TRAP_FRAME_BYTES: Final = 8 + boot_ring3.REGISTERS_BYTES  # alignment, Registers

SENTENCES: Final = {
    'no_long_mode': 'This processor has no 64-bit mode.',
    'no_nx': 'This processor has no NX bit; the firmware may have switched it off.',
    'no_cmov': 'This processor has no CMOV instruction.',
}


@dataclass(frozen=True)
class ExitPort:
    """Where a virtual machine is told how a run ended, and what it is told when the kernel never started."""

    port: int
    code: int


@dataclass(frozen=True)
class BootLayout:
    """Where the boot code puts things. All addresses are physical, page-aligned and below 2 MiB.

    `window` is 0, or -2 GiB: where the kernel sees physical address 0.
    """

    page_tables: int
    image_start: int
    image_limit: int
    guard_page: int
    stack_top: int
    kernel_struct: int
    exit_port: ExitPort
    window: int = 0
    levels: int = 4
    has_ring3: bool = False  # then its roots are those of a kernel that runs programs (image.py)

    @property
    def nr_tables(self) -> int:
        return 6 if self.levels == 5 else 5 if self.window else 4

    @property
    def stack_bytes(self) -> int:
        return self.stack_top - self.guard_page - PAGE_BYTES


# Exceptions that push an error code; for the others the stub pushes a zero (AMD64 manual volume 2, table 8-1).
VECTORS_WITH_ERROR_CODE: Final = frozenset({8, 10, 11, 12, 13, 14, 17, 21, 29, 30})
NR_VECTORS: Final = 32
NR_STACKS: Final = 7  # that a TSS has room for, beside those of rings 0 to 2
_WORD: Final = (1 << 64) - 1
DOUBLE_FAULT: Final = 8
PAGE_FAULT: Final = 14

_NOTE: Final = """
.section .note.pvh, "a", @note
.balign 4
.long 4, 4, 18                              # name bytes, descriptor bytes, XEN_ELFNOTE_PHYS32_ENTRY
.asciz "Xen"
.long pvh.start{physical}
"""

# The loader leaves: 32-bit protected mode, paging off, flat segments, ebx = hvm_start_info.
_ENTRY: Final = """
.section .boot, "ax", @progbits
.code32
.globl pvh.start
pvh.start:
    cli
    cld
    mov %ebx, %esi                          # cpuid changes ebx

    # All that is used without asking and can be missing. PAE and model-specific registers come with the 64-bit mode;
    # five levels, giant and global pages, PAT and PCIDs are asked for where they are used.
    mov $pvh.no_long_mode{physical}, %edi
    mov $0x80000000, %eax
    cpuid                                   # eax is the largest extended leaf
    cmp $0x80000001, %eax
    jb pvh.fail
    mov $0x80000001, %eax
    cpuid
    bt $29, %edx
    jnc pvh.fail
    mov $pvh.no_nx{physical}, %edi
    bt $20, %edx
    jnc pvh.fail
    mov $1, %eax
    cpuid
    mov $pvh.no_cmov{physical}, %edi
    bt $15, %edx
    jnc pvh.fail
    mov ${stack_top:#x}, %esp

    # Keep start_info and its memory map before anything is written: QEMU leaves both where the tables go.
    mov $pvh.start_info{physical}, %edi
    mov ${start_info_bytes}, %ecx
    rep movsb
    xor %edx, %edx                          # the number of regions; version 0 of start_info has no map
    cmpl $0, pvh.start_info + 4{physical}
    je 2f
    mov pvh.start_info + 48{physical}, %edx
    cmp ${max_regions}, %edx
    jbe 1f
    mov ${max_regions}, %edx
1:  mov pvh.start_info + 40{physical}, %esi           # regions above 4 GiB are no place for a map: the ABI forbids it
    mov $pvh.memory_map{physical}, %edi
    imul ${region_bytes}, %edx, %ecx
    rep movsb
2:  mov %edx, pvh.start_info + 48{physical}
    movl $pvh.memory_map{physical}, pvh.start_info + 40{physical}
    movl $0, pvh.start_info + 44{physical}
    mov pvh.start_info + 12{physical}, %ebp           # the number of modules, their list: its address has two halves
    mov pvh.start_info + 16{physical}, %ebx
    mov pvh.start_info + 20{physical}, %edx
    mov $pvh.start_info + 12{physical}, %edi          # modules and command line: not kept, but for
    xor %eax, %eax
    mov $5, %ecx
    rep stosl
    # the image's own module, or else the first large one, and the first small one, if they are below 4 GiB. A small one
    # is copied. A large one stays where it is, behind all that is written here, and an entry of its own in the memory
    # map, reserved, keeps its frames from whoever hands them out.
    test %edx, %edx
    jz 1f
    xor %ebp, %ebp
1:  xor %edx, %edx                          # bit 0: a large one is kept, bit 1: a small one
    mov {own_module}{physical}, %esi
    mov {own_module} + 8{physical}, %ecx
    test %ecx, %ecx
    jnz 3f
2:  dec %ebp
    js 5f
    mov (%ebx), %esi
    mov 8(%ebx), %ecx
    mov 4(%ebx), %eax
    or 12(%ebx), %eax
    lea {module_entry_bytes}(%ebx), %ebx
    jnz 2b
    cmp ${module_bytes}, %ecx
    ja 3f
    bts $1, %edx
    jc 2b
    mov $pvh.module_content{physical}, %edi
    push %edi
    push %ecx
    rep movsb
    pop %ecx
    pop %esi
    jmp 4f
3:  cmp ${mapped_bytes:#x}, %esi
    jb 2b
    bts $0, %edx
    jc 2b
    imul ${region_bytes}, pvh.start_info + 48{physical}, %edi
    add $pvh.memory_map{physical}, %edi
    incl pvh.start_info + 48{physical}
    mov %esi, %eax                          # whole frames
    and $-0x1000, %eax
    mov %eax, (%edi)
    movl $0, 4(%edi)
    neg %eax
    lea 0xFFF(%eax,%esi), %eax
    add %ecx, %eax
    and $-0x1000, %eax
    mov %eax, 8(%edi)
    movl $0, 12(%edi)
    movl $2, 16(%edi)                       # reserved
    movl $0, 20(%edi)
4:  imul ${module_entry_bytes}, pvh.start_info + 12{physical}, %edi
    incl pvh.start_info + 12{physical}
    mov %esi, pvh.modules{physical}(%edi)
    mov %ecx, pvh.modules + 8{physical}(%edi)
    movl $pvh.modules{physical}, pvh.start_info + 16{physical}
    jmp 2b
5:

    # Three upper tables with one entry each: present, writable; the leaf decides.
    mov ${level4:#x}, %edi
    xor %eax, %eax
    mov ${table_dwords}, %ecx
    rep stosl
    movl ${level3:#x} + 3, {level4:#x}
    movl ${level2:#x} + 3, {level3:#x}
    movl ${level1:#x} + 3, {level2:#x}
{upper_entries}
    # 512 leaves; eax = address of the page, edx = the entry's upper half: bit 31 is NX.
    mov ${level1:#x}, %edi
    xor %eax, %eax
1:  mov $3, %esi                            # present, writable
    mov $0x80000000, %edx
    cmp $__text_start{physical}, %eax
    jb 3f
    cmp $__text_end{physical}, %eax
    jae 2f
    mov $1, %esi                            # text: present, executable
    xor %edx, %edx
    jmp 3f
2:  cmp $__rodata_end{physical}, %eax
    jae 3f
    mov $1, %esi                            # rodata: present, NX
3:  cmp ${guard_page:#x}, %eax
    jne 4f
    xor %esi, %esi                          # the guard page: an empty entry
    xor %edx, %edx
    jmp 5f
4:  or %eax, %esi
5:  mov %esi, (%edi)
    mov %edx, 4(%edi)
    add $8, %edi
    add $0x1000, %eax
    cmp $0x200000, %eax
    jb 1b

    mov ${level4:#x}, %esi
    mov $0x20, %edi                         # PAE
{find_levels}    mov %esi, %cr3
    mov %cr4, %eax
    or %edi, %eax
    mov %eax, %cr4
    mov $0xC0000080, %ecx                   # EFER
    rdmsr
    or $0x900, %eax                         # LME, NXE
    wrmsr
    mov %cr0, %eax
    or $0x80010021, %eax                    # PG, WP, NE, PE
    mov %eax, %cr0
    lgdt pvh.gdt_register{physical}
    ljmp $8, $pvh.long_start{physical}
"""

# Tells the sentence at edi, and stops. It needs no stack. Like the kernel's console, it waits for no port for ever.
_FAIL: Final = """
pvh.fail:
    mov %edi, %esi
    mov ${screen:#x}, %edi
    mov $0x07200720, %eax                   # blanks, light grey on black
    mov ${screen_bytes} / 4, %ecx
    rep stosl
    mov ${screen:#x}, %edi
    mov $0x3FB, %edx                        # serial port: 115,200 baud, 8 bits, no parity
    mov $0x80, %al
    out %al, %dx
    mov $0xF8, %dl
    mov $1, %al
    out %al, %dx
    inc %edx
    dec %eax
    out %al, %dx
    mov $0xFB, %dl
    mov $3, %al
    out %al, %dx
1:  mov $0xFD, %dl
    mov ${max_waits}, %ecx
2:  in %dx, %al
    test $0x40, %al                         # all is sent
    loopz 2b
    lodsb
    test %al, %al
    jz 3f
    mov $0xF8, %dl
    out %al, %dx
    cmp $10, %al
    je 1b
    mov $7, %ah
    stosw
    jmp 1b
3:  mov ${exit_code}, %al
    out %al, ${exit_port}
4:  hlt
    jmp 4b

"""

_MOVE_UP: Final = """\
    mov $1f, %rax
    jmp *%rax
1:  lgdt pvh.gdt_register_above
    mov ${stack_top_above:#x}, %rsp

"""

_GDT_REGISTER_ABOVE: Final = """\
pvh.gdt_register_above:
    .word pvh.gdt_register - pvh.gdt - 1
    .quad pvh.gdt
"""

_LONG_START: Final = """
.code64
.cfi_sections .debug_frame                  # for debuggers; nothing of it is loaded
pvh.long_start:
    .cfi_startproc
    .cfi_undefined %rip                     # nobody called this
{move_up}    mov $16, %eax
    mov %eax, %ds
    mov %eax, %es
    mov %eax, %ss
    xor %eax, %eax
    mov %eax, %fs
    mov %eax, %gs

    # The TSS descriptor: its base is spread over the descriptor.
    mov $pvh.tss, %rax
    mov %ax, pvh.gdt_tss + 2
    shr $16, %eax
    mov %al, pvh.gdt_tss + 4
    mov %ah, pvh.gdt_tss + 7
    mov $24, %eax
    ltr %ax

    # One interrupt gate for each exception; stub n is at stubs + 16 * n.
    mov $pvh.stubs, %rax
    mov $pvh.idt, %rdi
    mov ${nr_vectors}, %ecx
1:  mov %ax, (%rdi)
    movw $8, 2(%rdi)                        # code segment
    movw $0x8E00, 4(%rdi)                   # present, interrupt gate, no stack switch
    mov %eax, %edx
    shr $16, %edx
    mov %dx, 6(%rdi)
    movl ${upper_half:#x}, 8(%rdi)
    movl $0, 12(%rdi)
    add $16, %rax
    add $16, %rdi
    dec %ecx
    jnz 1b
{own_stacks}{user_gates}    lidt pvh.idt_register

{start_kernel}pvh.stop:
    cli
    hlt
    jmp pvh.stop
    .cfi_endproc
"""

_START_KERNEL: Final = """\
    mov ${kernel_struct:#x}, %rdi
    mov $pvh.start_info{physical}, %rsi
    xor %ebp, %ebp
    call kmain
"""

# On the stack at the entry, from rsp up: error code, rip, cs, rflags, rsp, ss. The processor aligned it before.
_PAGE_FAULT: Final = """
pvh.page_fault:
    push %rax
    push %rcx
    push %rdx
    push %rsi
    push %rdi
    push %r8
    push %r9
    push %r10
    push %r11
    sub $8, %rsp                            # the C ABI: rsp is a multiple of 16 at a call
    cld
    mov ${kernel_struct:#x}, %rdi
    mov 80(%rsp), %rsi                      # error code
    mov 88(%rsp), %rdx                      # rip
    call on_page_fault
    add $8, %rsp
    pop %r11
    pop %r10
    pop %r9
    pop %r8
    pop %rdi
    pop %rsi
    pop %rdx
    pop %rcx
    pop %rax
    add $8, %rsp
    iretq                                   # retries the access
"""

# The stub pushed the vector, and the error code where the processor did not. The handler does not come back.
_EXCEPTION: Final = """
pvh.exception:
    mov %rdi, %r8                           # vector 6: the site of a trap in a checked build
    mov ${kernel_struct:#x}, %rdi
    mov (%rsp), %rsi                        # vector
    mov 8(%rsp), %rdx                       # error code
    mov 16(%rsp), %rcx                      # rip
    sub $8, %rsp
    cld
    call on_exception
    jmp pvh.stop
"""

# Limits are inclusive. The accessed bits are set beforehand; ltr sets the busy bit, so the table is writable.
_TABLES: Final = """
.section .boot_data, "aw", @progbits
.balign 16
pvh.gdt:
    .quad 0
    .quad 0x00AF9B000000FFFF                #  8: code, 64 bits, ring 0
    .quad 0x00CF93000000FFFF                # 16: data
pvh.gdt_tss:
    .quad 0x0000890000000067, {upper_half:#x}             # 24: TSS, 104 bytes; its base is put in at boot
{user_segments}pvh.gdt_register:
    .word pvh.gdt_register - pvh.gdt - 1
    .long pvh.gdt{physical}
{gdt_register_above}.balign 8
pvh.idt_register:
    .word {nr_vectors} * 16 - 1
    .quad pvh.idt
.balign 8
pvh.tss:
    .long 0
    .quad {stack_of_ring_0:#x}, 0, 0        # stacks of rings 0 to 2
    .quad 0
    .quad {stack_tops}
    .quad 0
    .word 0, 104                            # no map of permitted ports
.balign 8
{own_module}:                             # where it lies, and its bytes: put in by own_module.py; 0: none
    .quad 0, 0
.section .boot_bss, "aw", @nobits
.balign 16
pvh.start_info:
    .skip {start_info_bytes}
.balign 16
pvh.memory_map:
    .skip ({max_regions} + 1) * {region_bytes}      # and one for the module
.balign 16
pvh.modules:
    .skip 2 * {module_entry_bytes}
pvh.module_content:
    .skip {module_bytes}
.balign 16
pvh.idt:
    .skip {nr_vectors} * 16
{stack_memory}"""


_STACK: Final = """\
pvh.{name}_stack:
    .skip {nbytes}
pvh.{name}_stack_top:
"""


def _stub(vector: int, has_ring3: bool) -> str:
    """The first instructions of one exception, 16 bytes at most."""
    zero = '' if vector in VECTORS_WITH_ERROR_CODE else '    push $0\n'
    if has_ring3:
        return boot_ring3.stub(vector, zero)
    if vector == PAGE_FAULT:
        return '.balign 16\n    jmp pvh.page_fault\n'
    return f'.balign 16\n{zero}    push ${vector}\n    jmp pvh.exception\n'


def assembly(layout: BootLayout) -> str:
    """The boot code in AT&T syntax, for the sections .boot, .boot_data, .boot_bss and .note.pvh."""
    level4 = layout.page_tables
    stack_end = layout.stack_top + layout.window & _WORD
    values: dict[str, Any] = {
        'physical': f' - {layout.window & _WORD:#x}' if layout.window else '',
        'upper_entries': upper_entries(level4, layout.window),
        'find_levels': find_levels(level4, layout.window, layout.levels),
        'move_up': _MOVE_UP.format(stack_top_above=stack_end) if layout.window else '',
        'gdt_register_above': _GDT_REGISTER_ABOVE if layout.window else '',
        'upper_half': layout.window >> 32 & 0xFFFF_FFFF,
        'level4': level4,
        'level3': level4 + PAGE_BYTES,
        'level2': level4 + 2 * PAGE_BYTES,
        'level1': level4 + 3 * PAGE_BYTES,
        'table_dwords': layout.nr_tables * PAGE_BYTES // 4,
        'guard_page': layout.guard_page,
        'stack_top': layout.stack_top,
        'kernel_struct': layout.kernel_struct + layout.window & _WORD,
        'start_info_bytes': START_INFO_BYTES,
        'region_bytes': REGION_BYTES,
        'max_regions': MAX_REGIONS,
        'module_entry_bytes': MODULE_ENTRY_BYTES,
        'module_bytes': MODULE_BYTES,
        'own_module': OWN_MODULE,
        'mapped_bytes': MAPPED_BYTES,
        'screen': SCREEN,
        'screen_bytes': SCREEN_BYTES,
        'max_waits': MAX_WAITS,
        'exit_port': layout.exit_port.port,
        'exit_code': layout.exit_port.code,
    }
    values |= _stacks(boot_ring3.STACKS if layout.has_ring3 else {DOUBLE_FAULT: 'fault'})
    values |= boot_ring3.fill_in(values, stack_end) if layout.has_ring3 else _alone(values)
    sentences = ''.join(f'pvh.{name}:\n    .asciz "{text}\\n"\n' for name, text in SENTENCES.items())
    stubs = '.balign 16\npvh.stubs:\n' + ''.join(
        _stub(vector, layout.has_ring3) for vector in range(values['nr_vectors'])
    )
    groups = ((_NOTE, _ENTRY, _FAIL), (_LONG_START, '{entries}'), (_TABLES, '{processor}'))
    texts = [''.join(part.format(**values) for part in group) for group in groups]
    return f'{texts[0]}{sentences}{texts[1]}{stubs}{texts[2]}'


def _stacks(names: dict[int, str]) -> dict[str, Any]:
    """The stacks that vectors have of their own, by number in the TSS."""
    gates = (f'    movb ${number}, pvh.idt + {vector} * 16 + 4\n' for number, vector in enumerate(names, start=1))
    tops = [f'pvh.{name}_stack_top' for name in names.values()]
    return {
        'own_stacks': ''.join(gates),
        'stack_tops': ', '.join(tops + ['0'] * (NR_STACKS - len(tops))),
        'stack_memory': ''.join(_STACK.format(name=name, nbytes=FAULT_STACK_BYTES) for name in names.values()),
    }


def _alone(values: dict[str, Any]) -> dict[str, Any]:
    """What differs in a kernel that runs no programs."""
    return {
        'nr_vectors': NR_VECTORS,
        'user_gates': '',
        'start_kernel': _START_KERNEL.format(**values),
        'entries': _PAGE_FAULT.format(**values) + _EXCEPTION.format(**values),
        'user_segments': '',
        'stack_of_ring_0': 0,
        'processor': '',
    }
