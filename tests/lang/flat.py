"""The plainest machine: bytes at some address, strict about what fits and what lies inside."""

from incroos.lang import Machine, VirtAddr, word
from incroos.lang.words import signed


class FlatMachine(Machine):
    """Interpreted memory from `base` on; an access outside is an error."""

    def __init__(self, base: int, nbytes: int, config: object = None) -> None:
        self.base, self.bytes, self.config = base, bytearray(nbytes), config

    def _slice(self, addr: int, nbytes: int) -> slice:
        at = addr - self.base
        if nbytes < 0 or not 0 <= at <= len(self.bytes) - nbytes:
            raise IndexError(f'{nbytes} bytes at {addr:#x}')
        return slice(at, at + nbytes)

    def _load(self, addr: int, nbytes: int) -> int:
        return int.from_bytes(self.bytes[self._slice(addr, nbytes)], 'little')

    def _store(self, addr: int, nbytes: int, value: int) -> None:
        self.bytes[self._slice(addr, nbytes)] = value.to_bytes(nbytes, 'little')  # OverflowError if it does not fit

    def load8(self, addr: VirtAddr) -> word:
        return self._load(addr, 1)

    def load16(self, addr: VirtAddr) -> word:
        return self._load(addr, 2)

    def load32(self, addr: VirtAddr) -> word:
        return self._load(addr, 4)

    def load64(self, addr: VirtAddr) -> word:
        return signed(self._load(addr, 8))

    def store8(self, addr: VirtAddr, value: word) -> None:
        self._store(addr, 1, value)

    def store16(self, addr: VirtAddr, value: word) -> None:
        self._store(addr, 2, value)

    def store32(self, addr: VirtAddr, value: word) -> None:
        self._store(addr, 4, value)

    def store64(self, addr: VirtAddr, value: word) -> None:
        self.bytes[self._slice(addr, 8)] = value.to_bytes(8, 'little', signed=True)

    def fill(self, addr: VirtAddr, byte: word, nbytes: word) -> None:
        self.bytes[self._slice(addr, nbytes)] = bytes([byte]) * nbytes

    def copy(self, to: VirtAddr, source: VirtAddr, nbytes: word) -> None:
        if to > source and to - source < nbytes:
            raise ValueError('copy goes forward: the ranges overlap')
        self.bytes[self._slice(to, nbytes)] = self.bytes[self._slice(source, nbytes)]
