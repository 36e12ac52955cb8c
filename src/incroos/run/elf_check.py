"""What can be refused about a program before anything starts, with a sentence that says what to do instead.

The kernel checks headers itself, and trusts nobody; here are the mistakes that people make. Format: "System V
Application Binary Interface", chapter 4, "Object files".
"""

import os
import shutil
import stat
import struct
from typing import IO, Final

from .outcome import Unusable

ELF_HEADER: Final = struct.Struct('<16sHHIQQQIHHHHHH')
PROGRAM_HEADER: Final = struct.Struct('<IIQQQQQQ')
MAGIC: Final = b'\x7fELF'
CLASS_64: Final = 2
LITTLE_ENDIAN: Final = 1
RELOCATABLE: Final = 1  # e_type
SHARED: Final = 3
CORE: Final = 4
INTERPRETER: Final = 3  # p_type
X86_64: Final = 62
MACHINES: Final = {
    2: 'SPARC',
    3: '32-bit x86',
    8: 'MIPS',
    20: 'PowerPC',
    21: 'PowerPC 64',
    22: 'S/390',
    40: '32-bit ARM',
    43: 'SPARC 64',
    50: 'Itanium',
    183: '64-bit ARM',
    243: 'RISC-V',
    247: 'BPF',
    258: 'LoongArch',
}
STATIC: Final = 'link it with -static'


def check_program(path: str, shown: str) -> None:
    """Raise Unusable if the file at `path` is no program that runs here; the sentence calls it `shown`."""
    shown = shown or "''"
    try:
        facts = os.stat(path)
    except OSError as error:
        raise Unusable(f'{shown} cannot be run ({error.strerror}){advice_about(shown, error)}') from error
    if stat.S_ISDIR(facts.st_mode):
        raise Unusable(f'{shown} is a folder: name a program')
    if not stat.S_ISREG(facts.st_mode):
        raise Unusable(f'{shown} is no regular file: name a program')
    try:
        with open(path, 'rb') as file:
            head = file.read(ELF_HEADER.size)
            refuse_others(head, shown)
            refuse_kinds(head, types_in(file, head), shown)
    except OSError as error:
        raise Unusable(f'{shown} cannot be read ({error.strerror})') from error


def advice_about(shown: str, error: OSError) -> str:
    """A program that the shell would find is named without its path, perhaps."""
    found = shutil.which(shown) if isinstance(error, FileNotFoundError) and '/' not in shown else None
    return f': write its path, {found}' if found else ''


def refuse_others(head: bytes, shown: str) -> None:
    """Refuse what is not ELF, or for another machine."""
    if head.startswith(b'#!'):
        raise Unusable(f'{shown} is a script: run the program that its first line names, with it as an argument')
    if not head.startswith(MAGIC):
        raise Unusable(f'{shown} is not ELF: name a program that was compiled and linked for Linux')
    if len(head) < ELF_HEADER.size:
        raise Unusable(f'{shown} is cut off: it ends within the header of ELF')
    is_big = head[5] != LITTLE_ENDIAN
    (machine,) = struct.unpack_from('>H' if is_big else '<H', head, 18)
    if machine != X86_64 or is_big:
        raise Unusable(f'{shown} is for {MACHINES.get(machine, f"machine {machine}")}, and this is x86-64')
    if head[4] != CLASS_64:
        raise Unusable(f'{shown} has 32-bit addresses: compile it without -m32 or -mx32')


def types_in(file: IO[bytes], head: bytes) -> list[int]:
    """The types of the program headers, as far as the file has them."""
    _, _, _, _, _, offset, _, _, _, nbytes, number, _, _, _ = ELF_HEADER.unpack(head)
    if nbytes < PROGRAM_HEADER.size or offset >= 1 << 63:
        return []
    file.seek(offset)
    table = file.read(nbytes * number)
    return [struct.unpack_from('<I', table, at)[0] for at in range(0, len(table) - 3, nbytes)]


def refuse_kinds(head: bytes, types: list[int], shown: str) -> None:
    """Refuse files that are no whole program."""
    _, kind, _, _, entry, *_ = ELF_HEADER.unpack(head)
    if kind == RELOCATABLE:
        raise Unusable(f'{shown} is an object file that is not linked: {STATIC}')
    if kind == CORE:
        raise Unusable(f'{shown} is what a program left when it crashed (a core): name the program itself')
    if INTERPRETER in types:
        raise Unusable(f'{shown} is linked dynamically, and there are no shared libraries here: {STATIC}')
    if kind == SHARED and not entry:
        raise Unusable(f'{shown} is a shared library: name a program')
