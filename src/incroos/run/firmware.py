"""How a kernel gets into a PC: by which firmware, as which file, and where QEMU puts that file.

PVH is no firmware of its own: the virtual machine's loader puts an ELF image into memory. A BIOS starts the first
sector of a disk. The kernel and the state in which it starts are the same.
"""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Final

from incroos.kernel.codes import EXIT_PANIC, EXIT_PORT

from .outcome import Unusable

if TYPE_CHECKING:
    from .images import KernelImage

PVH: Final = 'pvh'
BIOS: Final = 'bios'
FIRMWARES: Final = (PVH, BIOS)
FORMATS: Final = {'elf': PVH, 'bios': BIOS}  # which file each of them wants
DISK: Final = 'kernel.img'


def bootable_file(firmware: str, image: 'KernelImage', say: Callable[[str], object]) -> Path:
    """The file that the firmware starts: the image itself, or a disk made from it. Raises Unusable where that fails."""
    return image.path if firmware == PVH else bios_disk(image.path.read_bytes(), say)


def bios_disk(elf: bytes, say: Callable[[str], object]) -> Path:
    """A disk image with a kernel, from the cache or made. Whoever boots a disk that is there needs no compiler."""
    from incroos.build.cache import PACKAGE, Cache, key_of
    from incroos.build.errors import BuildError
    from incroos.build.link import linker_identity

    sources = (PACKAGE / 'build', PACKAGE / 'run' / 'firmware.py')
    values = (hashlib.sha256(elf).hexdigest(), f'exit={EXIT_PORT},{EXIT_PANIC}', linker_identity())
    cache = Cache(say)
    try:
        key = key_of(sources, (DISK, *values))
        folder = cache.fetch(key)
        if folder is None:
            from incroos.build.bios_disk import disk_of
            from incroos.build.boot_bios import ExitPort

            folder = cache.store(key, {DISK: disk_of(elf, ExitPort(EXIT_PORT, EXIT_PANIC))})
    except BuildError as error:
        raise Unusable(str(error)) from error
    return folder / DISK


def image_options(firmware: str, file: Path) -> list[str]:
    """What QEMU is told about the file. What a guest writes to its disk is forgotten."""
    if firmware == PVH:
        return ['-kernel', str(file)]
    name = str(file).replace(',', ',,')
    return ['-drive', f'file={name},format=raw,if=ide,snapshot=on']
