"""The BIOS boot code: from the first sector of a disk to the PVH entry of the kernel behind it.

Assembly text, assembled by LLVM and linked for its own addresses, apart from the kernel. It does what a PVH loader
does, and knows only what a loader knows of the kernel: bytes that belong at an address, zeros behind them, an entry.

```
sector 0            boot sector: reads the loader and adds it up; how to read, and how to fail
sectors 1...        loader: looks at the processor, asks for the memory map, opens A20, reads the kernel
sectors behind it   the kernel's bytes, in one piece

   0x7C00           stack, grows down; from here on the boot sector
   0x7E00           loader, and the start information that it hands over
  0x10000           a piece of the kernel, on the way from disk to where it belongs
  0x20000           the memory map that it hands over
```
All of this is free again when the kernel's entry has copied start information and memory map.

Every failure is one sentence on the screen and on the serial port, and a byte to the exit port.

The sources: the BIOS interface in Ralf Brown's Interrupt List (int 10h, 13h, 15h); INCITS 363, BIOS Enhanced Disk
Drive Services; ACPI specification, "System Address Map Interfaces"; for the state at the entry "x86/HVM direct boot
ABI" of the Xen documentation.
"""

import itertools
from dataclasses import dataclass
from typing import Final

from .boot_bios_loader import LOADER_SENTENCES, LOADER_TEXT, REQUIRE_RAM, TOO_LITTLE_RAM
from .boot_pvh import MAX_REGIONS, REGION_BYTES, ExitPort

SECTOR_BYTES: Final = 512
BOOT_SECTOR: Final = 0x7C00
LOADER: Final = BOOT_SECTOR + SECTOR_BYTES
BUFFER: Final = 0x1_0000
BUFFER_SECTORS: Final = 64  # 32 KiB: within what every BIOS reads at once, and within one segment
MEMORY_MAP: Final = 0x2_0000
LOADER_LIMIT: Final = 0x1_0000  # the loader runs in one segment
NR_TRIES: Final = 5  # of one read; a disk may have to turn, a stick to wake up

# Firmware may write a parameter block of its own into the first sector when it takes a stick for a floppy disk.
PARAMETER_BLOCK_END: Final = 62
PARTITION_TABLE: Final = 446
CORRECTION: Final = 438  # then the disk's signature, which operating systems write, and the partition table

SENTENCES: Final = {
    'unreadable': 'This disk cannot be read.',
    'damaged': 'The loader on this disk is broken.',
}


@dataclass(frozen=True)
class Payload:
    """What the loader puts into memory, and the entry that it jumps to."""

    start: int
    content: bytes  # whole sectors
    end: int  # behind the zeros that follow the content
    entry: int
    has_module: bool = False  # a program and its files: then there may be more of it than there is RAM


BOOT_SECTOR_TEXT: Final = """
.section .bios, "awx", @progbits
.code16
bios.start:
    jmp bios.sector
    nop
    .fill {parameter_block_end} - (. - bios.start), 1, 0
bios.sector:
    cli
    ljmp $0, $1f                            # some firmware comes as 07C0:0000
1:  xor %ax, %ax
    mov %ax, %ds
    mov %ax, %es
    mov %ax, %ss
    mov $bios.start, %sp
    sti
    cld
    mov %dl, bios.drive
    mov $3, %ax                             # text, 80 by 25
    int $0x10

    mov $0x41, %ah                          # can sectors be read by their number?
    mov $0x55AA, %bx
    call bios.int13
    jc 1f
    cmp $0xAA55, %bx
    jne 1f
    test $1, %cl
    jnz 2f
1:  mov $8, %ah                             # no: by cylinder, head and sector, and there are so many
    xor %di, %di
    call bios.int13
    jc bios.fail_unreadable
    and $63, %cx
    jz bios.fail_unreadable
    mov %cx, bios.sectors
    shr $8, %dx
    inc %dx
    mov %dx, bios.heads

2:  mov $(bios.end - bios.loader) / {sector_bytes}, %cx
    call bios.read
    mov $bios.loader, %si
    mov $(bios.end - bios.loader) / 2, %cx
    mov bios.correction, %bx
1:  lodsw
    add %ax, %bx
    loop 1b
    test %bx, %bx
    jz bios.loader
    mov $bios.damaged, %si
    jmp bios.fail

# Read cx sectors, the next ones on the disk, to where the packet says. Does not come back if it cannot.
bios.read:
    cmpw $0, bios.sectors
    jne 1f
    mov $bios.packet, %si
    mov $0x42, %ah
    call bios.disk
    add %cx, bios.packet_sector
    adcw $0, bios.packet_sector + 2
    ret
1:  push %cx
    mov bios.packet_sector, %ax
    mov bios.packet_sector + 2, %dx
    divw bios.sectors                       # ax = track, dx = sector, counted from 0
    mov %dx, %cx
    inc %cx
    xor %dx, %dx
    divw bios.heads                         # ax = cylinder, dx = head
    mov %dl, %dh
    mov %al, %ch
    shl $6, %ah
    or %ah, %cl
    mov bios.packet_segment, %es
    xor %bx, %bx
    mov $0x0201, %ax                        # read, one sector
    call bios.disk
    addw ${sector_bytes} / 16, bios.packet_segment
    incl bios.packet_sector
    pop %cx
    loop 1b
    ret

# int 13h with these registers, a few times if need be. Does not come back if it fails.
bios.disk:
    mov ${nr_tries}, %bp
1:  pusha
    mov %cx, bios.packet_count              # the firmware changes it when it fails
    call bios.int13
    jnc 2f
    xor %ax, %ax                            # reset
    call bios.int13
    popa
    dec %bp
    jnz 1b
bios.fail_unreadable:
    mov $bios.unreadable, %si
    jmp bios.fail
2:  popa
    ret
bios.int13:
    mov bios.drive, %dl
    int $0x13
    ret

# Tell the sentence at si, and stop.
bios.fail:
    mov $0x3FB, %dx                         # serial port: 115,200 baud, 8 bits, no parity
    mov $0x80, %al
    out %al, %dx
    mov $0xF8, %dl
    mov $1, %al
    out %al, %dx
    inc %dx
    dec %ax
    out %al, %dx
    mov $0xFB, %dl
    mov $3, %al
    out %al, %dx
1:  lodsb
    mov %al, %cl
    mov $0x0E, %ah                          # on the screen
    mov $7, %bx
    int $0x10
    mov $0x3FD, %dx
2:  in %dx, %al
    test $0x40, %al                         # all is sent; also where there is no port, which reads as ones
    jz 2b
    mov %cl, %al
    mov $0xF8, %dl
    out %al, %dx
    cmp $10, %al
    jne 1b
3:  in $0x80, %al
    mov $0x3FD, %dx
    in %dx, %al
    test $0x40, %al
    jz 3b
    mov ${exit_code}, %al
    out %al, ${exit_port}
4:  cli
    hlt
    jmp 4b

bios.drive:
    .byte 0
bios.sectors:
    .word 0                                 # of a track; 0: sectors have numbers
bios.heads:
    .word 0
bios.packet:
    .byte 16, 0
bios.packet_count:
    .word 0
    .word 0                                 # the offset in the segment
bios.packet_segment:
    .word {loader} / 16
bios.packet_sector:
    .quad 1
"""

END_TEXT: Final = """
    .balign {sector_bytes}, 0
bios.end:
"""


def sums_of(content: bytes) -> tuple[int, int]:
    """The checksum of what bios.move moves."""
    words = memoryview(content).cast('I')
    return sum(words) & 0xFFFF_FFFF, sum(itertools.accumulate(words)) & 0xFFFF_FFFF


def _sentences(sentences: dict[str, str]) -> str:
    return ''.join(f'bios.{name}:\n    .ascii "{text}\\r\\n"\n' for name, text in sentences.items())


def assembly(payload: Payload, exit_port: ExitPort) -> str:
    """Boot sector and loader in AT&T syntax, in the section .bios, for the address BOOT_SECTOR."""
    low_sum, high_sum = sums_of(payload.content)
    zeros_start = payload.start + len(payload.content)
    end = max(payload.end, zeros_start)
    sentences = dict(LOADER_SENTENCES)
    if payload.has_module:
        sentences['too_little_ram'] = TOO_LITTLE_RAM.format(megabytes=-(-end >> 20))
    values = {
        'parameter_block_end': PARAMETER_BLOCK_END,
        'sector_bytes': SECTOR_BYTES,
        'loader': LOADER,
        'correction': CORRECTION,
        'nr_tries': NR_TRIES,
        'exit_port': exit_port.port,
        'exit_code': exit_port.code,
        'buffer': BUFFER,
        'buffer_sectors': BUFFER_SECTORS,
        'memory_map': MEMORY_MAP,
        'max_regions': MAX_REGIONS,
        'region_bytes': REGION_BYTES,
        'destination': payload.start,
        'end': end,
        'nr_sectors': len(payload.content) // SECTOR_BYTES,
        'low_sum': low_sum,
        'high_sum': high_sum,
        'zeros_start': zeros_start,
        'zeros_bytes': max(payload.end - zeros_start, 0),
        'entry': payload.entry,
    }
    return ''.join(
        (
            BOOT_SECTOR_TEXT.format(**values),
            _sentences(SENTENCES),
            LOADER_TEXT.format(**values, require_ram='    call bios.require_ram\n' if payload.has_module else ''),
            REQUIRE_RAM.format(**values) if payload.has_module else '',
            _sentences(sentences),
            END_TEXT.format(**values),
        )
    )
