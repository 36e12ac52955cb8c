"""Links an object with its boot code to the ELF image that a PVH loader starts.

The image is linked for where it runs, and loaded at its physical addresses: less by the layout's window. Its entry is a
physical address, since it is entered without paging.

Sections are grouped by what the processor may do with them, each group on its own pages: the boot code maps
`[__text_start, __text_end)` read-only and executable, what follows up to `__rodata_end` read-only, the rest writable.
"""

import platform
import shutil
import sys
from pathlib import Path
from typing import Final

from .boot_pvh import ENTRY_SYMBOL, BootLayout
from .boot_tables import PAGE_BYTES
from .errors import BuildError
from .tool import NO_FILE, output_of

# GNU ld links in a fifth of lld's time, but the system's `ld` makes x86-64 ELF on such a system only.
_IS_X86_64_LINUX: Final = sys.platform.startswith('linux') and platform.machine() in ('x86_64', 'AMD64')
LINKERS: Final = ('ld', 'ld.lld') if _IS_X86_64_LINUX else ('ld.lld', 'x86_64-linux-gnu-ld', 'x86_64-elf-ld')

SECONDS: Final = 120  # that a linker may take; GNU ld takes some hundredths

_SCRIPT: Final = """
ENTRY({entry})
PHDRS {{ text PT_LOAD FLAGS(5); rodata PT_LOAD FLAGS(4); data PT_LOAD FLAGS(6); note PT_NOTE FLAGS(4); }}
SECTIONS {{
  {set_entry}
  . = {window:#x} + {image_start:#x};
  __text_start = .;
  .text : AT(ADDR(.text) - {window:#x}) {{ *(.boot) *(.text .text.* .ltext .ltext.*) }} :text
  . = ALIGN({page}); __text_end = .;
  .rodata : AT(ADDR(.rodata) - {window:#x}) {{ *(.rodata .rodata.* .lrodata .lrodata.*) }} :rodata
  .note : AT(ADDR(.note) - {window:#x}) {{ *(.note.pvh) }} :rodata :note
  . = ALIGN({page}); __rodata_end = .;
  .data : AT(ADDR(.data) - {window:#x}) {{ *(.boot_data) *(.data .data.* .ldata .ldata.*) }} :data
  .bss : AT(ADDR(.bss) - {window:#x}) {{ *(.boot_bss) *(.bss .bss.* .lbss .lbss.* COMMON) }} :data
  __image_end = .;
  ASSERT(__image_end <= {window:#x} + {image_limit:#x}, "the image is too large")
  /DISCARD/ : {{ *(.eh_frame) *(.comment) *(.note.GNU-stack) }}
}}
"""


def find_linker() -> Path:
    """The linker to use. Raises BuildError if there is none."""
    for name in LINKERS:
        found = shutil.which(name)
        if found is not None:
            return Path(found)
    raise BuildError(
        f'no linker is installed ({" or ".join(LINKERS)}): install one (on Debian and Ubuntu: apt install binutils),'
        ' or boot with --on jit, which needs none'
    )


def linker_identity() -> str:
    """The identity of the linker without starting it: its path, time and size. Empty if there is none."""
    try:
        linker = find_linker()
        facts = linker.stat()
    except (BuildError, OSError):
        return ''
    return f'{linker} {facts.st_mtime_ns} {facts.st_size}'


def link(object_bytes: bytes, layout: BootLayout) -> bytes:
    """The ELF image. Debug sections of the object are kept."""
    return link_with(linker_script(layout), object_bytes)


def link_with(script: str, object_bytes: bytes) -> bytes:
    """The output of the linker for an object, with a given linker script."""
    arguments = ('-m', 'elf_x86_64', '-nostdlib', '-static', '-z', 'noexecstack', '-T', 'kernel.lds')
    command = [str(find_linker()), *arguments, '-o', 'kernel.elf', 'kernel.o']
    files = {'kernel.o': object_bytes, 'kernel.lds': script.encode()}
    return output_of(command, files, 'kernel.elf', SECONDS, 'linker', why_not_linked)


def why_not_linked(status: int, messages: str) -> str:
    """What is wrong with a linker, judged by its status and its messages."""
    if status == NO_FILE:
        return 'wrote no image: install a working linker'
    return f'cannot link the image: {reason_in(messages) or f"exit status {status}"}'


def reason_in(messages: str) -> str:
    """The line that says why a link failed, among warnings and headings."""
    lines = [line.strip() for line in messages.splitlines() if 'warning:' not in line and not line.endswith(':')]
    return next(filter(None, lines), '')


def linker_script(layout: BootLayout) -> str:
    """Where the sections go."""
    window = layout.window & (1 << 64) - 1
    return _SCRIPT.format(
        entry='__entry' if window else ENTRY_SYMBOL,
        set_entry=f'__entry = {ENTRY_SYMBOL} - {window:#x};' if window else '',
        image_start=layout.image_start,
        image_limit=layout.image_limit,
        page=PAGE_BYTES,
        window=window,
    )
