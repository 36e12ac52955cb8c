"""A program for UEFI firmware, made from a kernel's ELF image: headers, boot code, and the kernel as data.

The headers: "PE Format" in Microsoft's documentation, with what the UEFI specification, chapter 2, asks of an image.
The program may be loaded anywhere and has nothing to relocate, which an empty list of relocations says.
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from .bios_disk import boot_code, padded_bytes, payload_of
from .boot_pvh import ExitPort
from .boot_tables import PAGE_BYTES
from .boot_uefi import DATA, TEXT, assembly, carried_by
from .boot_uefi_handover import Range

FILE_UNIT: Final = 512
HEADERS_BYTES: Final = 1024
DOS_HEADER_BYTES: Final = 64

X86_64: Final = 0x8664
EXECUTABLE_LARGE_ADDRESSES: Final = 0x22
PE32_PLUS: Final = 0x20B
UEFI_APPLICATION: Final = 10
NX_COMPATIBLE: Final = 0x100
NR_DIRECTORIES: Final = 16
RELOCATIONS: Final = 5  # which of the directories
OPTIONAL_HEADER_BYTES: Final = 112 + NR_DIRECTORIES * 8

CODE: Final = 0x6000_0020  # a section's characteristics: what it holds and what may be done with it
WRITABLE_DATA: Final = 0xC000_0040
DISCARDABLE_DATA: Final = 0x4200_0040

NO_RELOCATIONS: Final = struct.pack('<IIHH', TEXT, 12, 0, 0)  # a block for one page, with two fillers

_SCRIPT: Final = f"""
uefi.kernel = {DATA:#x};
SECTIONS {{
  . = {TEXT:#x};
  .uefi : {{ *(.uefi) }}
  ASSERT(. <= {DATA:#x}, "the boot code is too large")
  /DISCARD/ : {{ *(.text .eh_frame .comment .note.GNU-stack) }}
}}
"""


@dataclass(frozen=True)
class Section:
    """A part of the program: its offset in memory, its flags and its content."""

    name: bytes
    address: int
    content: bytes
    characteristics: int


def program_of(
    elf: bytes, needed: tuple[Range, ...], kinds: tuple[int, ...], exit_port: ExitPort, module: bytes = b''
) -> bytes:
    """The program for a kernel whose ELF image has a PVH entry, and that needs some memory besides.

    It hands a module over, if there is one. `kinds` translates each type of UEFI's memory map to PVH's number.
    """
    payload = payload_of(elf)
    text = boot_code(_SCRIPT, '.uefi', assembly(payload, module, needed, kinds, exit_port))
    carried = carried_by(payload, module)
    relocations = padded_bytes(DATA + len(carried), PAGE_BYTES)
    return portable_executable(
        (
            Section(b'.text', TEXT, text, CODE),
            Section(b'.data', DATA, carried, WRITABLE_DATA),
            Section(b'.reloc', relocations, NO_RELOCATIONS, DISCARDABLE_DATA),
        )
    )


def portable_executable(sections: Sequence[Section]) -> bytes:
    """The file: headers, then text, data and relocations. The entry is where the text starts."""
    text, data, relocations = sections
    dos_header = struct.pack('<2s58xI', b'MZ', DOS_HEADER_BYTES)
    file_header = struct.pack(
        '<4sHHIIIHH', b'PE', X86_64, len(sections), 0, 0, 0, OPTIONAL_HEADER_BYTES, EXECUTABLE_LARGE_ADDRESSES
    )
    standard_fields = struct.pack(
        *('<HBBIIIII', PE32_PLUS, 0, 0),
        *(file_bytes(text), file_bytes(data) + file_bytes(relocations), 0, text.address, text.address),
    )
    end = padded_bytes(relocations.address + len(relocations.content), PAGE_BYTES)
    uefi_fields = struct.pack(
        *('<QIIHHHHHHIIIIHHQQQQII', 0, PAGE_BYTES, FILE_UNIT, 0, 0, 0, 0, 0, 0, 0, end, HEADERS_BYTES, 0),
        *(UEFI_APPLICATION, NX_COMPATIBLE, 0, 0, 0, 0, 0, NR_DIRECTORIES),
    )
    directories = bytearray(NR_DIRECTORIES * 8)
    struct.pack_into('<II', directories, RELOCATIONS * 8, relocations.address, len(relocations.content))
    headers = dos_header + file_header + standard_fields + uefi_fields + directories
    at = HEADERS_BYTES
    for section in sections:
        headers += section_header(section, at)
        at += file_bytes(section)
    contents = (section.content.ljust(file_bytes(section), b'\0') for section in sections)
    return b''.join((headers.ljust(HEADERS_BYTES, b'\0'), *contents))


def section_header(section: Section, at: int) -> bytes:
    """The header of a section that begins at a place in the file."""
    sizes = (len(section.content), section.address, file_bytes(section), at)
    return struct.pack('<8sIIIIIIHHI', section.name, *sizes, 0, 0, 0, 0, section.characteristics)


def file_bytes(section: Section) -> int:
    """What a section takes in the file."""
    return padded_bytes(len(section.content), FILE_UNIT)
