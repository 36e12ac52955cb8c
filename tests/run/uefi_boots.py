"""Programs for UEFI firmware that tests start in QEMU."""

import struct
from pathlib import Path
from typing import Final

from incroos.build.bios_disk import boot_code
from incroos.build.boot_pvh import ExitPort
from incroos.build.boot_uefi import DATA, TEXT
from incroos.build.boot_uefi_handover import Range
from incroos.build.fat_volume import volume_with
from incroos.build.uefi_program import (
    CODE,
    DISCARDABLE_DATA,
    NO_RELOCATIONS,
    WRITABLE_DATA,
    Section,
    portable_executable,
    program_of,
)
from incroos.kernel.pmm.memory_kinds import e820_numbers_of_uefi
from incroos.run import qemu
from incroos.run.boot import Boot
from incroos.run.firmware import UEFI
from incroos.run.outcome import Outcome, Status

from ..budget import SECONDS

MIB: Final = 1 << 20
EXIT: Final = ExitPort(0xF4, 0x12)
NEEDED: Final = (Range(0x1000, 0x7000), Range(MIB, 2 * MIB))
MAP_BYTES: Final = 0x8000

# Sends STX, the bytes of the firmware's memory map, the bytes of a piece, and the map as the firmware tells it.
_TELL_MAP: Final = f"""
.section .uefi, "ax", @progbits
.code64
    and $-16, %rsp
    sub $112, %rsp
    mov 0x60(%rdx), %r14
    movq ${MAP_BYTES}, 40(%rsp)
    lea 40(%rsp), %rcx
    lea test.map(%rip), %rdx
    lea 64(%rsp), %r8
    lea 48(%rsp), %r9
    lea 72(%rsp), %rax
    mov %rax, 32(%rsp)
    call *0x38(%r14)
    movb $2, 39(%rsp)
    lea 39(%rsp), %rsi
    mov $17, %ecx
    call test.send
    lea test.map(%rip), %rsi
    mov 40(%rsp), %ecx
    call test.send
    mov $0x10, %al
    out %al, $0xF4
test.send:
    mov $0x3FD, %dx
1:  in %dx, %al
    test $0x40, %al
    jz 1b
    mov $0x3F8, %dx
    lodsb
    out %al, %dx
    dec %ecx
    jnz test.send
    mov $0x3FD, %dx
2:  in %dx, %al
    test $0x40, %al
    jz 2b
    ret
"""
_SCRIPT: Final = f"""
test.map = {DATA:#x};
SECTIONS {{
  . = {TEXT:#x};
  .uefi : {{ *(.uefi) }}
  /DISCARD/ : {{ *(.text .eh_frame .comment .note.GNU-stack) }}
}}
"""


def boot_program(folder: Path, program: bytes, memory_bytes: int) -> tuple[Outcome, bytes]:
    """How a program ends in QEMU, and what it sends."""
    volume = folder / 'uefi.img'
    volume.write_bytes(volume_with(program))
    console = bytearray()
    outcome = qemu.boot(Boot(memory_bytes, SECONDS, console.extend, accel='tcg', firmware=UEFI), volume)
    return outcome, bytes(console)


def program_with(elf: bytes) -> bytes:
    """The program that carries a kernel."""
    return program_of(elf, NEEDED, e820_numbers_of_uefi(), EXIT)


def firmware_map(folder: Path, memory_bytes: int) -> list[tuple[int, int, int]]:
    """Type, start and pages of each piece of the memory map, as the firmware tells it to a program."""
    sections = (
        Section(b'.text', TEXT, boot_code(_SCRIPT, '.uefi', _TELL_MAP), CODE),
        Section(b'.data', DATA, bytes(MAP_BYTES), WRITABLE_DATA),
        Section(b'.reloc', DATA + MAP_BYTES, NO_RELOCATIONS, DISCARDABLE_DATA),
    )
    outcome, sent = boot_program(folder, portable_executable(sections), memory_bytes)
    assert outcome.status == Status.PASSED
    map_bytes, piece_bytes = struct.unpack_from('<QQ', sent)
    assert len(sent) == 16 + map_bytes
    return [struct.unpack_from('<I4xQ8xQ', sent, at) for at in range(16, len(sent), piece_bytes)]
