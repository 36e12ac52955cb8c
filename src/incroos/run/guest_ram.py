"""The RAM of a PC in QEMU as a file that the host keeps: RAM above 4 GiB follows what lies below it."""

import mmap
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Final

from ..inspect.ram import RamMachine

GIB: Final = 1 << 30
LOW_MAX: Final = 0xE000_0000  # RAM below 4 GiB, unless there is more than that:
LOW_OF_MUCH: Final = 3 * GIB
SHARED_MEMORY: Final = Path('/dev/shm')


def low_bytes(memory_bytes: int) -> int:
    """How much of the RAM lies below 4 GiB."""
    return memory_bytes if memory_bytes < LOW_MAX else LOW_OF_MUCH


def file_offset(memory_bytes: int, pa: int) -> int:
    """Where a physical address of RAM is in the file. Raises ValueError where there is no RAM."""
    low = low_bytes(memory_bytes)
    offset = pa if pa < low else low + pa - 4 * GIB
    if low <= pa < 4 * GIB or not 0 <= offset < memory_bytes:
        raise ValueError(f'{pa:#x} is not RAM of a guest with {memory_bytes:#x} bytes')
    return offset


@contextmanager
def ram_file(memory_bytes: int) -> Iterator[IO[bytes]]:
    """A file without a name for so much RAM; pages that nobody wrote take no room."""
    with tempfile.TemporaryFile(dir=SHARED_MEMORY if SHARED_MEMORY.is_dir() else None) as file:
        file.truncate(memory_bytes)
        yield file


class GuestRam(RamMachine):
    """Physical memory of a PC whose RAM is such a file."""

    def __init__(self, file: IO[bytes], memory_bytes: int, config: Any) -> None:
        super().__init__(mmap.mmap(file.fileno(), memory_bytes), config)
        self.memory_bytes = memory_bytes

    def _at(self, addr: int, nbytes: int) -> int:
        return file_offset(self.memory_bytes, addr)
