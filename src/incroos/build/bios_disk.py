"""A disk image that a PC's BIOS starts, made from a kernel's ELF image: boot sector, loader, kernel, partition table.

The image is written to a disk or a stick from its first sector on. All of it except the boot sector lies in one
partition, so that firmware that reads the partition table finds a disk that can be started, and other systems find no
space that looks free.

Unit: the sector. The partition table: "Master boot record" in the UEFI specification, chapter 5.
"""

import io
import struct
from typing import Final

from elftools.elf.elffile import ELFFile

from .boot_bios import BOOT_SECTOR, CORRECTION, LOADER_LIMIT, PARTITION_TABLE, SECTOR_BYTES, Payload, assembly
from .boot_pvh import MAPPED_BYTES, ExitPort
from .codegen import compile_bare
from .errors import BuildError
from .link import link_with

# Some firmware takes a stick's geometry from where the partition ends. A cylinder is 1 MiB, so an image is whole ones.
NR_HEADS: Final = 64
SECTORS_PER_TRACK: Final = 32
MAX_CYLINDER: Final = 1023  # that the partition table can tell
CYLINDER_SECTORS: Final = NR_HEADS * SECTORS_PER_TRACK
BOOTABLE: Final = 0x80
PARTITION_TYPE: Final = 0x7F  # for experiments: no other system claims it
MAX_PAYLOAD_SECTORS: Final = 0x40_0000  # 2 GiB: the loader counts in 32 bits, and a disk of CHS has few more

_SCRIPT: Final = f"""
SECTIONS {{
  . = {BOOT_SECTOR:#x};
  .bios : {{ *(.bios) }}
  ASSERT(. <= {LOADER_LIMIT:#x}, "the loader is too large")
  /DISCARD/ : {{ *(.text .eh_frame .comment .note.GNU-stack) }}
}}
"""


def disk_of(elf: bytes, exit_port: ExitPort) -> bytes:
    """The disk image for a kernel whose ELF image has a PVH entry. Raises BuildError if that is impossible."""
    payload = payload_of(elf)
    boot = bytearray(boot_code(_SCRIPT, '.bios', assembly(payload, exit_port)))
    words = struct.unpack(f'<{(len(boot) - SECTOR_BYTES) // 2}H', boot[SECTOR_BYTES:])
    struct.pack_into('<H', boot, CORRECTION, -sum(words) & 0xFFFF)
    nr_sectors = padded_bytes(len(boot) + len(payload.content), CYLINDER_SECTORS * SECTOR_BYTES) // SECTOR_BYTES
    boot[PARTITION_TABLE : PARTITION_TABLE + 16] = partition(1, nr_sectors)
    return (bytes(boot) + payload.content).ljust(nr_sectors * SECTOR_BYTES, b'\0')


def boot_code(script: str, name: str, text: str) -> bytes:
    """Assemble boot code and link it with a linker script, to a section of the given name."""
    linked = link_with(script, compile_bare('', text, debug=False).object_bytes)
    section = ELFFile(io.BytesIO(linked)).get_section_by_name(name)
    if section is None:
        raise BuildError('the linker left out the boot code: install a working linker')
    return bytes(section.data())


def payload_of(elf: bytes) -> Payload:
    """The memory that a loader fills for an ELF image, in one piece."""
    file = ELFFile(io.BytesIO(elf))
    segments = [segment for segment in file.iter_segments('PT_LOAD') if segment['p_memsz']]
    start = min(segment['p_paddr'] for segment in segments)
    end = max(segment['p_paddr'] + segment['p_memsz'] for segment in segments)
    content = bytearray()
    for segment in sorted(segments, key=lambda segment: int(segment['p_paddr'])):
        content = content.ljust(segment['p_paddr'] - start, b'\0') + segment.data()
    content = content.ljust(padded_bytes(len(content), SECTOR_BYTES), b'\0')
    if len(content) > MAX_PAYLOAD_SECTORS * SECTOR_BYTES:
        raise BuildError(f'the kernel takes {len(content):,} bytes on a disk, which is more than the BIOS loader reads')
    return Payload(start, bytes(content), end, file['e_entry'], has_module=end > MAPPED_BYTES)


def padded_bytes(nbytes: int, unit: int) -> int:
    """The next multiple of a unit."""
    return -(-nbytes // unit) * unit


def partition(start: int, end: int) -> bytes:
    """The partition table's entry for the sectors [start, end)."""
    first, last = cylinder_head_sector(start), cylinder_head_sector(end - 1)
    return struct.pack('<B3sB3sII', BOOTABLE, first, PARTITION_TYPE, last, start, end - start)


def cylinder_head_sector(number: int) -> bytes:
    """The place of a sector, in the three bytes of a partition table."""
    track, sector = divmod(number, SECTORS_PER_TRACK)
    cylinder, head = divmod(track, NR_HEADS)
    cylinder = min(cylinder, MAX_CYLINDER)
    return bytes((head, sector + 1 | cylinder >> 8 << 6, cylinder & 0xFF))
