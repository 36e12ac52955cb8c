"""A framebuffer that is handed to a kernel: its shape, and what a loader says of it.

The loader is build/boot_uefi.py, or here the host, for computers without such firmware. Unit: the pixel, four bytes.
"""

import struct
from dataclasses import dataclass
from typing import Final

from incroos.machine.architecture import OFFSET_MASK, PAGE_BYTES
from incroos.machine.computer import DeviceMemory

MAGIC: Final = b'IBUF'
RED_FIRST: Final = 0
BLUE_FIRST: Final = 1
BYTES_PER_PIXEL: Final = 4


@dataclass(frozen=True)
class Framebuffer:
    """Of so many pixels in a row, rows, and pixels from one row to the next; somewhere in memory that is no RAM."""

    address: int
    width: int
    height: int
    pitch: int
    format: int = BLUE_FIRST

    @property
    def nbytes(self) -> int:
        return self.pitch * self.height * BYTES_PER_PIXEL

    @property
    def description(self) -> bytes:
        """The content of the module that tells a kernel of it."""
        shape = (self.width, self.height, self.pitch)
        return MAGIC + struct.pack('<IQQIIII', self.format, self.address, self.nbytes, *shape, 0)

    @property
    def device(self) -> DeviceMemory:
        """The pages that it touches."""
        start = self.address & ~OFFSET_MASK
        return DeviceMemory(start, -(-(self.address + self.nbytes - start) // PAGE_BYTES) * PAGE_BYTES)

    def pixels_in(self, memory: memoryview) -> memoryview:
        """Its own bytes of the memory of its pages."""
        return memory[self.address & OFFSET_MASK :][: self.nbytes]
