"""A kernel that starts a program by itself, on a PC: the files are in the artefact, the console is the terminal.

The module (handover.py) is the same that `incroos run` hands over; only who puts it into memory differs.
"""

import os
import shlex
import stat
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from incroos.build.boot_pvh import ExitPort
from incroos.build.errors import BuildError
from incroos.kernel import layout
from incroos.kernel.codes import EXIT_PANIC, EXIT_PORT
from incroos.kernel.state.run_info import CLOCK_IS_TSC, ON_PC, RunInfo
from incroos.lang import VirtAddr

from ..inspect.ram import RamMachine
from .firmware import BIOS, FORMATS, MIN_MEMORY_BYTES, PVH, UEFI, uefi_program_of
from .handover import Standard, module_of
from .images import RUN, kernel_image
from .names import NamedConfig
from .outcome import Say, Unusable
from .program import Program
from .root_folder import folder_with, program_alone

EXIT: Final = ExitPort(EXIT_PORT, EXIT_PANIC)
MEGABYTE: Final = 1 << 20
MOST_BYTES: Final = 1 << 30  # of program and files
RAM_BESIDE: Final = 24 << 20  # for the kernel, a small program, and firmware: SeaBIOS writes up to 17 MiB below the end
LEAVE_AWAY: Final = f'an image has room for {MOST_BYTES >> 20:,}M, so leave something away'
SERIAL_TERMINAL: Final = os.makedev(4, 64)  # Linux's /dev/ttyS0
TERMINAL: Final = Standard(stat.S_IFCHR | 0o620, is_terminal=True, rdev=SERIAL_TERMINAL)


class NoCommand(ValueError):
    """The text after --run names no program."""


@dataclass(frozen=True)
class OnPc:
    """The program that a kernel starts by itself."""

    command: str  # as a shell would take it apart
    root: Path | None = None
    environment: Sequence[bytes] = ()  # NAME=VALUE

    def module(self, say: Say) -> bytes:
        """What the kernel finds in its memory. Raises NoCommand, and Unusable where it is no program that runs here."""
        path, *arguments = words_of(self.command)
        wanted = Program(
            path=path,
            arguments=tuple(map(os.fsencode, arguments)),
            environment=self.environment,
            root=self.root,
            memory_bytes=MOST_BYTES,
            say=say,
            standard=(TERMINAL,) * 3,
            flags=ON_PC | CLOCK_IS_TSC,
            start_seconds=int(time.time()),
        )
        wanted.check()
        if self.root is None:
            require_room(path, os.path.getsize(path))
            return summed(module_of(wanted.start(), program_alone(Path(path))))
        module = module_of(wanted.start(), folder_with(path, self.root, MOST_BYTES, say, LEAVE_AWAY))
        require_room(str(self.root), len(module))
        return summed(module)


def summed(module: bytes) -> bytes:
    """The module with its sum, by which the kernel sees that it is whole."""
    content = bytearray(module.ljust(-(-len(module) // layout.PAGE_BYTES) * layout.PAGE_BYTES, b'\0'))
    with memoryview(content) as view, view.cast('I') as words:
        total = sum(words)
    info = RunInfo(RamMachine(content), VirtAddr(0))
    info.sum = total
    return bytes(content)


def require_room(name: str, nbytes: int) -> None:
    """Raise Unusable for more than fits the memory of a PC below 4 GiB."""
    if nbytes > MOST_BYTES:
        raise Unusable(f'{name} takes {nbytes >> 20:,}M, and all of it lies in memory: {LEAVE_AWAY}')


def words_of(command: str) -> list[str]:
    """The words of a command. Raises NoCommand."""
    try:
        words = shlex.split(command)
    except ValueError as error:
        raise NoCommand(f'{command!r} cannot be taken apart ({str(error).lower()}): quote it as for a shell') from None
    if not words or not words[0]:
        raise NoCommand('it names no program: write its path, and its arguments behind it')
    return words


def artefact_of(
    program: OnPc, image_format: str, say: Say, *, config: NamedConfig, checked: bool, debug: bool
) -> tuple[bytes, dict[str, Any]]:
    """The file that starts the program, and what was built. Raises NoCommand, Unusable."""
    module = program.module(say)
    image = kernel_image(say, entry=RUN, config=config, checked=checked, debug=debug)
    try:
        content = ARTEFACTS[FORMATS[image_format]](image.path.read_bytes(), module)
    except BuildError as error:
        raise Unusable(str(error)) from error
    facts = {'memory_bytes': memory_for(image_format, len(module)), 'module_bytes': len(module)}
    return content, {**facts, **{name: image.facts[name] for name in ('nr_functions', 'stack')}}


def memory_for(image_format: str, module_bytes: int) -> int:
    """The RAM with which a program of a few megabytes runs, whole megabytes.

    UEFI firmware has the module three times for a while: the file, the program, and its copy below 4 GiB; one more is
    for what it finds no room in.
    """
    nr_copies = 4 if FORMATS[image_format] == UEFI else 1
    least = max(MIN_MEMORY_BYTES[FORMATS[image_format]], layout.BOOT_MAP_END + RAM_BESIDE)
    return (least + nr_copies * module_bytes + MEGABYTE - 1) & -MEGABYTE


def elf_with(elf: bytes, module: bytes) -> bytes:
    """The image with the module right behind the kernel's own memory."""
    from incroos.build.own_module import with_module

    return with_module(elf, module, layout.BOOT_MAP_END)


def bios_disk(elf: bytes, module: bytes) -> bytes:
    """A disk whose loader reads the image, and with it the module, to where they belong."""
    from incroos.build.bios_disk import disk_of

    return disk_of(elf_with(elf, module), EXIT)


ARTEFACTS: Final = {PVH: elf_with, BIOS: bios_disk, UEFI: uefi_program_of}
