"""A guest's RAM as the host sees it: the machine behind the kernel's struct views over a buffer.

Addresses are physical. It only loads and stores. The guest may run meanwhile: a word at a multiple of
8 is read and written whole.
"""

import struct
from typing import Any

from incroos.lang import Machine, VirtAddr, word


class RamMachine(Machine):
    """Physical memory from address 0 on, in a writable buffer that the caller keeps. Little-endian hosts only."""

    def __init__(self, buffer: Any, config: Any = None) -> None:
        self.bytes = memoryview(buffer).cast('B')
        self.words = self.bytes.cast('q')
        self.config = config

    def load8(self, addr: VirtAddr) -> word:
        return self.bytes[self._at(addr, 1)]

    def load16(self, addr: VirtAddr) -> word:
        value: int = struct.unpack_from('<H', self.bytes, self._at(addr, 2))[0]
        return value

    def load32(self, addr: VirtAddr) -> word:
        value: int = struct.unpack_from('<I', self.bytes, self._at(addr, 4))[0]
        return value

    def load64(self, addr: VirtAddr) -> word:
        at = self._at(addr, 8)
        if at & 7 == 0:
            return self.words[at >> 3]
        value: int = struct.unpack_from('<q', self.bytes, at)[0]
        return value

    def store8(self, addr: VirtAddr, value: word) -> None:
        self.bytes[self._at(addr, 1)] = value

    def store16(self, addr: VirtAddr, value: word) -> None:
        struct.pack_into('<H', self.bytes, self._at(addr, 2), value)

    def store32(self, addr: VirtAddr, value: word) -> None:
        struct.pack_into('<I', self.bytes, self._at(addr, 4), value)

    def store64(self, addr: VirtAddr, value: word) -> None:
        at = self._at(addr, 8)
        if at & 7 == 0:
            self.words[at >> 3] = value
        else:
            struct.pack_into('<q', self.bytes, at, value)

    def fill(self, addr: VirtAddr, byte: word, nbytes: word) -> None:
        at = self._at(addr, nbytes)
        self.bytes[at : at + nbytes] = bytes([byte]) * nbytes

    def atomic_load64(self, addr: VirtAddr) -> word:
        return self.words[self._at_word(addr)]

    def atomic_store64(self, addr: VirtAddr, value: word) -> None:
        self.words[self._at_word(addr)] = value

    def read(self, addr: int, nbytes: int) -> bytes:
        """A copy of nbytes bytes."""
        at = self._at(addr, nbytes)
        return bytes(self.bytes[at : at + nbytes])

    def _at(self, addr: int, nbytes: int) -> int:
        if not 0 <= addr <= addr + nbytes <= len(self.bytes):
            raise IndexError(f'{nbytes} bytes at {addr:#x} are not all RAM')
        return addr

    def _at_word(self, addr: int) -> int:
        if addr & 7:
            raise IndexError(f'{addr:#x} is not a multiple of 8')
        return self._at(addr, 8) >> 3
