"""Atomic accesses of a machine that does one thing at a time: ordinary accesses, aligned on their size."""

from typing import Final

from incroos.lang import Machine, VirtAddr, add_wrap, word

from .errors import Misuse

WORD_BYTES: Final = 8


class Atomics(Machine):
    """The atomic primitives, made of load64 and store64. One that may write always writes, so it faults as a write."""

    def atomic_load64(self, addr: VirtAddr) -> word:
        check_aligned(addr)
        return self.load64(addr)

    def atomic_store64(self, addr: VirtAddr, value: word) -> None:
        check_aligned(addr)
        self.store64(addr, value)

    def atomic_exchange64(self, addr: VirtAddr, value: word) -> word:
        before = self.atomic_load64(addr)
        self.store64(addr, value)
        return before

    def atomic_add64(self, addr: VirtAddr, value: word) -> word:
        before = self.atomic_load64(addr)
        self.store64(addr, add_wrap(before, value))
        return before

    def atomic_compare_exchange64(self, addr: VirtAddr, expected: word, desired: word) -> word:
        before = self.atomic_load64(addr)
        self.store64(addr, desired if before == expected else before)
        return before


def check_aligned(addr: int) -> None:
    if addr % WORD_BYTES:
        raise Misuse(f'an atomic access at {addr:#x}, which is no multiple of {WORD_BYTES}')
