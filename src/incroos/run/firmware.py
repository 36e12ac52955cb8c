"""How a kernel gets into a PC: by which firmware, as which file, and where QEMU puts that file.

PVH is no firmware of its own: the virtual machine's loader puts an ELF image into memory. A BIOS starts the first
sector of a disk, UEFI a program on a volume. The kernel and the state in which it starts are the same.
"""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Final

from incroos.kernel.codes import EXIT_PANIC, EXIT_PORT

from .outcome import Say, Unusable

if TYPE_CHECKING:
    from .images import KernelImage

PVH: Final = 'pvh'
BIOS: Final = 'bios'
UEFI: Final = 'uefi'
FIRMWARES: Final = (PVH, BIOS, UEFI)
FORMATS: Final = {'elf': PVH, 'bios': BIOS, 'uefi': UEFI}  # which file each of them wants
DISK: Final = 'kernel.img'
PROGRAM: Final = 'BOOTX64.EFI'
VOLUME: Final = 'uefi.img'
MIN_MEMORY_BYTES: Final = {PVH: 3 << 20, BIOS: 3 << 20, UEFI: 64 << 20}  # with less, the kernel cannot run


def check_firmware(firmware: str) -> None:
    """Look for what QEMU does not bring along, before anything is built for it. Raises Unusable."""
    if firmware == UEFI:
        from .uefi import find_firmware

        find_firmware()


def bootable_file(firmware: str, image: 'KernelImage', say: Say) -> Path:
    """The file that the firmware starts: the image itself, or one made from it. Raises Unusable where that fails."""
    if firmware == PVH:
        return image.path
    return {BIOS: bios_disk, UEFI: uefi_program}[firmware](image.path.read_bytes(), say)


def file_for_qemu(firmware: str, image: 'KernelImage', say: Say) -> Path:
    """What QEMU gets: the file that the firmware starts, and of a program the volume on which it finds it."""
    file = bootable_file(firmware, image, say)
    return file.with_name(VOLUME) if firmware == UEFI else file


def bios_disk(elf: bytes, say: Say) -> Path:
    """A disk image with a kernel, from the cache or made. Whoever boots a disk that is there needs no compiler."""

    def make() -> dict[str, bytes]:
        from incroos.build.bios_disk import disk_of
        from incroos.build.boot_pvh import ExitPort

        return {DISK: disk_of(elf, ExitPort(EXIT_PORT, EXIT_PANIC))}

    return made_from(elf, DISK, make, say) / DISK


def uefi_program(elf: bytes, say: Say) -> Path:
    """A program with a kernel, from the cache or made; beside it lies a volume that has it."""

    def make() -> dict[str, bytes]:
        from incroos.build.fat_volume import volume_with

        program = uefi_program_of(elf)
        return {PROGRAM: program, VOLUME: volume_with(program)}

    return made_from(elf, PROGRAM, make, say) / PROGRAM


def uefi_program_of(elf: bytes, module: bytes = b'') -> bytes:
    """A program with a kernel, and what that is handed over, if there is something. Raises BuildError."""
    from incroos.build.boot_pvh import ExitPort
    from incroos.build.boot_uefi_handover import Range
    from incroos.build.uefi_program import program_of
    from incroos.kernel import layout
    from incroos.kernel.pmm.memory_kinds import e820_numbers_of_uefi

    tables = Range(layout.BOOT_TABLES, layout.BOOT_TABLES_END)
    kernel = Range(layout.IMAGE_START, layout.KERNEL_STATE_END)
    exit_port = ExitPort(EXIT_PORT, EXIT_PANIC)
    return program_of(elf, (tables, kernel), e820_numbers_of_uefi(), exit_port, module)


def made_from(elf: bytes, name: str, make: Callable[[], dict[str, bytes]], say: Say) -> Path:
    """The folder in the cache with what is made from an ELF image, among it the file of that name."""
    from incroos.build.cache import PACKAGE, Cache, key_of
    from incroos.build.errors import BuildError
    from incroos.build.link import linker_identity

    sources = (
        PACKAGE / 'build',
        PACKAGE / 'run' / 'firmware.py',
        PACKAGE / 'kernel' / 'layout.py',
        PACKAGE / 'kernel' / 'pmm' / 'memory_kinds.py',
    )
    values = (hashlib.sha256(elf).hexdigest(), f'exit={EXIT_PORT},{EXIT_PANIC}', linker_identity())
    cache = Cache(say)
    try:
        key = key_of(sources, (name, *values))
        return cache.fetch(key) or cache.store(key, make())
    except BuildError as error:
        raise Unusable(str(error)) from error


def image_options(firmware: str, file: Path) -> list[str]:
    """What QEMU is told about the file. What a guest writes to its disk is forgotten."""
    if firmware == PVH:
        return ['-kernel', str(file)]
    if firmware == UEFI:
        from .uefi import options

        return options(file)
    name = str(file).replace(',', ',,')
    return ['-drive', f'file={name},format=raw,if=ide,snapshot=on']
