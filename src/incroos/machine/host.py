"""Memory of this process, as the interpreter sees it when it runs the core of the simulated computer.

Compiled, the core's loads and stores are plain ones of the process. Here they are checked to stay inside one mapping.
"""

import ctypes
import mmap
import sys
from collections.abc import Callable
from struct import Struct as Format
from typing import Final

from incroos.lang import VirtAddr, word

from .atomics import Atomics

MAP_NORESERVE: Final = 0x40 if sys.platform == 'darwin' else 0x4000  # the module has the name from Python 3.13 on

Callback = Callable[[int, int, int, int], int]

C_FUNCTION: Final = ctypes.CFUNCTYPE(ctypes.c_int64, *[ctypes.c_int64] * 4)

BYTE: Final = Format('<B')
HALF: Final = Format('<H')
QUARTER: Final = Format('<I')
WORD: Final = Format('<q')
unpack_word: Final = WORD.unpack_from


class HostMemory(Atomics):
    """A mapping of zeros that child processes share; a page takes memory when it is first touched."""

    def __init__(self, nbytes: int) -> None:
        flags = mmap.MAP_SHARED | mmap.MAP_ANONYMOUS | MAP_NORESERVE
        self.buffer = mmap.mmap(-1, nbytes, flags=flags)
        self.nbytes = nbytes
        self.base = ctypes.addressof(ctypes.c_char.from_buffer(self.buffer))
        self.callbacks: dict[int, Callback] = {}

    def register(self, callback: Callback) -> int:
        """Register a Python function; returns the number by which call4 calls it."""
        code = len(self.callbacks) + 1
        self.callbacks[code] = callback
        return code

    def call4(self, code: word, a: word, b: word, c: word, d: word) -> word:
        """Call a Python function by its number, or a C function by its address."""
        callback = self.callbacks.get(code) or C_FUNCTION(code)
        return callback(a, b, c, d)

    def load8(self, addr: VirtAddr) -> word:
        return self._load(BYTE, addr)

    def load16(self, addr: VirtAddr) -> word:
        return self._load(HALF, addr)

    def load32(self, addr: VirtAddr) -> word:
        return self._load(QUARTER, addr)

    def load64(self, addr: VirtAddr) -> word:
        at = addr - self.base  # as _load, for the width that most accesses have
        if at < 0:
            return self._load(WORD, addr)
        value: int = unpack_word(self.buffer, at)[0]
        return value

    def store8(self, addr: VirtAddr, value: word) -> None:
        self._store(BYTE, addr, value)

    def store16(self, addr: VirtAddr, value: word) -> None:
        self._store(HALF, addr, value)

    def store32(self, addr: VirtAddr, value: word) -> None:
        self._store(QUARTER, addr, value)

    def store64(self, addr: VirtAddr, value: word) -> None:
        self._store(WORD, addr, value)

    def fill(self, addr: VirtAddr, byte: word, nbytes: word) -> None:
        at = self._range(addr, nbytes)
        self.buffer[at : at + nbytes] = bytes([byte]) * nbytes

    def copy(self, to: VirtAddr, source: VirtAddr, nbytes: word) -> None:
        self.buffer.move(self._range(to, nbytes), self._range(source, nbytes), nbytes)

    def _load(self, number: Format, addr: int) -> int:
        at = addr - self.base
        if at < 0:
            raise IndexError(f'load at {addr:#x}, below the mapping')
        value: int = number.unpack_from(self.buffer, at)[0]
        return value

    def _store(self, number: Format, addr: int, value: int) -> None:
        at = addr - self.base
        if at < 0:
            raise IndexError(f'store at {addr:#x}, below the mapping')
        number.pack_into(self.buffer, at, value)

    def _range(self, addr: int, nbytes: int) -> int:
        at = addr - self.base
        if not 0 <= at <= at + nbytes <= self.nbytes:
            raise IndexError(f'{nbytes} bytes at {addr:#x} are not all in the mapping')
        return at
