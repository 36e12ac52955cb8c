"""What the UEFI boot code hands over to the kernel: start information, the framebuffer, the memory map.

Assembly text, a part of boot_uefi.py's, with its registers and its places on the stack: r13 = system table, r14 = boot
services, r15 = area. The sources: UEFI specification, chapters 4 (configuration table), 7 (memory map, protocols) and
12 (Graphics Output Protocol); the mark of the console's devices: EDK II, MdeModulePkg, `Guid/ConsoleOutDevice.h`.
"""

from dataclasses import dataclass
from typing import Final

from .boot_pvh import MAX_REGIONS, REGION_BYTES
from .boot_tables import PAGE_BYTES

START_INFO: Final = 0x1000  # the first of the places in the area
MODULE: Final = START_INFO + 0x40
FRAMEBUFFER: Final = START_INFO + 0x80
MEMORY_MAP: Final = 0x2000
COPY: Final = 0x8000

FRAMEBUFFER_MAGIC: Final = 0x4655_4249  # 'IBUF'
FRAMEBUFFER_BYTES: Final = 40


@dataclass(frozen=True)
class Own:
    """The module that the program carries: where in the area it is."""

    offset: int
    nbytes: int


@dataclass(frozen=True)
class Range:
    """Memory that must be RAM, [start, end)."""

    start: int
    end: int


_START_INFO = """
# Start information without its memory map.
uefi.fill_start_info:
    lea {start_info}(%r15), %rdi
    xor %eax, %eax
    mov ${page_bytes}, %ecx
    rep stosb
    lea {start_info}(%r15), %rdi
    movl $0x336EC578, (%rdi)                # magic
    movl $1, 4(%rdi)                        # version
    lea {memory_map}(%r15), %rax
    mov %rax, 40(%rdi)

    # ACPI's root: of the newer of its two kinds.
    mov 0x68(%r13), %rcx                    # how many tables
    mov 0x70(%r13), %rdx                    # 24 bytes each: GUID, address
1:  test %rcx, %rcx
    jz 2f
    mov uefi.acpi_guid(%rip), %rax
    cmp %rax, (%rdx)
    jne 3f
    mov uefi.acpi_guid + 8(%rip), %rax
    cmp %rax, 8(%rdx)
    jne 3f
    mov 16(%rdx), %rax
    mov %rax, 32(%rdi)
    jmp 2f
3:  add $24, %rdx
    dec %rcx
    jmp 1b

# The framebuffer: of the screens that have one in a format that is known, the first that is a device of the firmware's
# console, or else the first. What the console makes of all its screens is a screen, too, and has none.
2:  sub $72, %rsp
    xor %esi, %esi                          # the mode of the one that is taken
    mov $2, %ecx                            # by protocol
    lea uefi.graphics_guid(%rip), %rdx
    xor %r8d, %r8d
    lea 40(%rsp), %r9                       # how many handles
    lea 48(%rsp), %rax                      # and where
    mov %rax, 32(%rsp)
    call *0x138(%r14)                       # LocateHandleBuffer
    test %rax, %rax
    jnz 8f
    mov 40(%rsp), %rbx
    mov 48(%rsp), %rbp
5:  test %rbx, %rbx
    jz 8f
    lea uefi.graphics_guid(%rip), %rdx
    call uefi.handle_protocol
    jnz 7f
    mov 56(%rsp), %rdi
    mov 0x18(%rdi), %rdi                    # the mode
    mov 8(%rdi), %rax                       # what the mode is like
    cmpl $1, 12(%rax)                       # 0: red first, 1: blue first; four bytes a pixel both
    ja 7f
    test %rsi, %rsi
    jnz 6f
    mov %rdi, %rsi
6:  lea uefi.console_guid(%rip), %rdx
    call uefi.handle_protocol
    jnz 7f
    mov %rdi, %rsi
    jmp 8f
7:  add $8, %rbp
    dec %rbx
    jmp 5b
8:  add $72, %rsp
    test %rsi, %rsi
    jz 4f
    mov %rsi, %rax
    mov 8(%rax), %rdx
    mov 12(%rdx), %ecx
    lea {start_info}(%r15), %rdi
    movl $1, 12(%rdi)                       # one module
    lea {module}(%r15), %rsi
    mov %rsi, 16(%rdi)
    movq ${framebuffer_bytes}, 8(%rsi)
    lea {framebuffer}(%r15), %rdi
    mov %rdi, (%rsi)
    movl ${framebuffer_magic:#x}, (%rdi)
    mov %ecx, 4(%rdi)
    mov 24(%rax), %rcx                      # address
    mov %rcx, 8(%rdi)
    mov 32(%rax), %rcx                      # bytes
    mov %rcx, 16(%rdi)
    mov 4(%rdx), %ecx                       # pixels of a row that are seen
    mov %ecx, 24(%rdi)
    mov 8(%rdx), %ecx                       # rows
    mov %ecx, 28(%rdi)
    mov 32(%rdx), %ecx                      # pixels from one row to the next
    mov %ecx, 32(%rdi)
4:
{own_module}    ret

# rdx = GUID, rbp = place of a handle; zero is set if it has the protocol, which goes to 56 on the caller's stack.
uefi.handle_protocol:
    mov (%rbp), %rcx
    lea 8 + 56(%rsp), %r8
    sub $40, %rsp
    call *0x98(%r14)                        # HandleProtocol
    add $40, %rsp
    test %rax, %rax
    ret

"""

# The module that the program carries, behind the framebuffer if there is one.
_OWN_MODULE = """\
    lea {start_info}(%r15), %rdi
    lea {module}(%r15), %rsi
    mov %rsi, 16(%rdi)
    mov 12(%rdi), %eax
    incl 12(%rdi)
    shl $5, %eax
    lea {offset}(%r15), %rdx
    mov %rdx, (%rsi, %rax)
    movl ${nbytes}, 8(%rsi, %rax)           # its upper half was cleared
"""

_MEMORY_MAP = """
# The firmware's memory map in the form of PVH; carry is set unless all that the kernel needs is RAM. Pieces that follow
# each other and are of one type become one.
uefi.convert_memory_map:
    lea {map_buffer}(%r15), %rsi
    lea {memory_map} - {region_bytes}(%r15), %rdi   # the last piece written
    xor %ebp, %ebp                          # how many
    mov ${needed_bytes:#x}, %r10d           # that are still to be found
    mov 8 + uefi.map_bytes(%rsp), %r11
    add %rsi, %r11
1:  cmp %r11, %rsi
    jae 5f
    mov (%rsi), %eax
    mov $2, %ecx                            # reserved, as all that has no better name
    cmp ${nr_kinds}, %eax
    jae 2f
    lea uefi.kinds(%rip), %rdx
    mov (%rdx, %rax, 4), %ecx
2:  cmp $1, %ecx
    jne 3f
    btl $18, 32(%rsi)                       # memory with a purpose of its own is no RAM for everybody
    jnc 3f
    mov $2, %ecx
3:  mov 8(%rsi), %rdx                       # start
    mov 24(%rsi), %r8                       # pages
    shl $12, %r8
    cmp $1, %ecx
    jne 4f
    lea (%rdx, %r8), %r9
{count_needed}
4:  test %ebp, %ebp
    jz 6f
    cmp %ecx, 16(%rdi)
    jne 6f
    mov (%rdi), %rax
    add 8(%rdi), %rax
    cmp %rax, %rdx
    jne 6f
    add %r8, 8(%rdi)
    jmp 7f
6:  cmp ${max_regions}, %ebp
    je 7f
    inc %ebp
    add ${region_bytes}, %rdi
    mov %rdx, (%rdi)
    mov %r8, 8(%rdi)
    mov %ecx, 16(%rdi)
    movl $0, 20(%rdi)
7:  add 8 + uefi.descriptor_bytes(%rsp), %rsi
    jmp 1b
5:  mov %ebp, {start_info} + 48(%r15)
    neg %r10                                # carry unless 0
    ret

"""

_DATA = """
.balign 8
uefi.acpi_guid:
    .long 0x8868E871
    .word 0xE4F1, 0x11D3
    .byte 0xBC, 0x22, 0x00, 0x80, 0xC7, 0x3C, 0x88, 0x81
uefi.graphics_guid:
    .long 0x9042A9DE
    .word 0x23DC, 0x4A38
    .byte 0x96, 0xFB, 0x7A, 0xDE, 0xD0, 0x80, 0x51, 0x6A
uefi.console_guid:                          # of a handle that is a device of the console for output
    .long 0xD3B36F2C
    .word 0xD551, 0x11D4
    .byte 0x9A, 0x46, 0x00, 0x90, 0x27, 0x3F, 0xC1, 0x4D
uefi.kinds:
    .long {kinds}
"""

# rdx = start and r9 = end of a piece of RAM: what of it lies in one range.
_COUNT_NEEDED = """\
    mov ${start:#x}, %eax
    cmp %rdx, %rax
    cmovb %rdx, %rax
    mov ${end:#x}, %ecx
    cmp %r9, %rcx
    cmova %r9, %rcx
    sub %rax, %rcx
    jbe 8f
    sub %rcx, %r10
8:  mov $1, %ecx
"""


def code(map_buffer: int, needed: tuple[Range, ...], nr_kinds: int, own: Own | None) -> str:
    """The functions. The firmware's memory map goes to map_buffer in the area; types from nr_kinds on are unknown."""
    place = {'start_info': START_INFO, 'module': MODULE}
    values = {
        'own_module': _OWN_MODULE.format(**place, offset=own.offset, nbytes=own.nbytes) if own else '',
        'page_bytes': PAGE_BYTES,
        'map_buffer': map_buffer,
        'start_info': START_INFO,
        'module': MODULE,
        'framebuffer': FRAMEBUFFER,
        'framebuffer_magic': FRAMEBUFFER_MAGIC,
        'framebuffer_bytes': FRAMEBUFFER_BYTES,
        'memory_map': MEMORY_MAP,
        'region_bytes': REGION_BYTES,
        'max_regions': MAX_REGIONS,
        'nr_kinds': nr_kinds,
        'needed_bytes': sum(part.end - part.start for part in needed),
        'count_needed': ''.join(_COUNT_NEEDED.format(start=part.start, end=part.end) for part in needed),
    }
    return ''.join(part.format(**values) for part in (_START_INFO, _MEMORY_MAP))


def data(kinds: tuple[int, ...]) -> str:
    """The data of the functions. `kinds` translates each type of the firmware's memory map to PVH's."""
    return _DATA.format(kinds=', '.join(map(str, kinds)))
