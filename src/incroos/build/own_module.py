"""Puts a module into a kernel's ELF image, so that it needs no loader that hands one over.

    ELF header, program headers   one more, behind the others: a PT_LOAD for the module
    the kernel                    unchanged but for two words of its boot code, which say where the module lies
    the module                    from a multiple of a page on

Unit: the byte. Format: "System V Application Binary Interface", chapter 5, "Program Header".
"""

import io
import struct
from typing import Any, Final

from elftools.elf.elffile import ELFFile
from elftools.elf.sections import SymbolTableSection

from .boot_pvh import OWN_MODULE
from .boot_tables import PAGE_BYTES
from .errors import BuildError

PT_LOAD: Final = 1
READABLE: Final = 4
PROGRAM_HEADER: Final = struct.Struct('<IIQQQQQQ')
NR_HEADERS: Final = 0x38  # where the ELF header has their number
MOST_BYTES: Final = (1 << 32) - 1  # which the boot code counts in 32 bits


def with_module(elf: bytes, module: bytes, start: int) -> bytes:
    """The image with a module that is loaded at a physical address, a multiple of a page. Raises BuildError."""
    file = ELFFile(io.BytesIO(elf))
    if len(module) > MOST_BYTES - start:
        raise BuildError(f'a module of {len(module):,} bytes does not fit below 4 GiB')
    headers, nr_headers = file['e_phoff'], file['e_phnum']
    behind = headers + nr_headers * PROGRAM_HEADER.size
    if behind + PROGRAM_HEADER.size > min(segment['p_offset'] for segment in loads_of(file)):
        raise BuildError('the linker left no room for the module among the program headers: install another linker')
    at = -(-len(elf) // PAGE_BYTES) * PAGE_BYTES
    image = bytearray(elf)
    header = (PT_LOAD, READABLE, at, start, start, len(module), len(module), PAGE_BYTES)
    PROGRAM_HEADER.pack_into(image, behind, *header)
    struct.pack_into('<H', image, NR_HEADERS, nr_headers + 1)
    struct.pack_into('<QQ', image, offset_of(file, OWN_MODULE), start, len(module))
    return b''.join((image.ljust(at, b'\0'), module))


def loads_of(file: ELFFile) -> list[Any]:
    """The program headers of what is loaded."""
    return [segment.header for segment in file.iter_segments('PT_LOAD')]


def offset_of(file: ELFFile, name: str) -> int:
    """Where in the file a symbol's bytes are."""
    table = file.get_section_by_name('.symtab')
    found = table.get_symbol_by_name(name) if isinstance(table, SymbolTableSection) else None
    for symbol in found or ():
        for segment in loads_of(file):
            offset = symbol['st_value'] - segment['p_vaddr']
            if 0 <= offset < segment['p_filesz']:
                return int(segment['p_offset'] + offset)
    raise BuildError(f'the image has no {name}: build the kernel that runs programs')
