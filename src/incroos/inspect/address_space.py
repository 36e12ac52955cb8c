"""A guest's memory by virtual address, as the host sees it: struct views work on it as they do in the kernel.

Walks the page tables in the guest's RAM for every access, and never writes there: stores stay in the view. So kernel
functions that store notes of their walks can be called on the RAM of a guest, or on a dump of it.
"""

from incroos.kernel.arch.pte import index_in, is_leaf, is_present, page_bytes, page_of, table_of
from incroos.kernel.config import FOUR_LEVELS
from incroos.kernel.layout import KERNEL_STATE
from incroos.kernel.state import Kernel
from incroos.lang import Machine, VirtAddr, word

from .ram import RamMachine


class NotMapped(Exception):
    """No page is mapped at an address."""


class AddressSpace(Machine):
    """The address space under a root, whose level is 4 or 5."""

    def __init__(self, ram: RamMachine, root: int, level: int = FOUR_LEVELS) -> None:
        self.ram, self.root, self.level, self.config = ram, root, level, ram.config
        self.stored: dict[int, word] = {}  # words, by their addresses

    def physical(self, va: int) -> int:
        """The physical address of a byte. Raises NotMapped."""
        table = self.root
        for level in range(self.level, 0, -1):
            entry = self.ram.load64(VirtAddr(table + 8 * index_in(VirtAddr(va), level)))
            if not is_present(entry):
                raise NotMapped(f'no page at {va:#x}')
            if is_leaf(entry, level):
                return page_of(entry, level) | va & (page_bytes(level) - 1)
            table = table_of(entry)
        raise NotMapped(f'the tables at {va:#x} do not end')

    def load8(self, addr: VirtAddr) -> word:
        return self.ram.load8(VirtAddr(self.physical(addr)))

    def load16(self, addr: VirtAddr) -> word:
        return self.ram.load16(VirtAddr(self.physical(addr)))

    def load32(self, addr: VirtAddr) -> word:
        return self.ram.load32(VirtAddr(self.physical(addr)))

    def load64(self, addr: VirtAddr) -> word:
        if addr in self.stored:
            return self.stored[addr]
        return self.ram.load64(VirtAddr(self.physical(addr)))

    def store64(self, addr: VirtAddr, value: word) -> None:
        """Keep a word in the view, for later loads of the same word."""
        self.physical(addr)
        self.stored[addr] = value


def kernel_in(ram: RamMachine) -> Kernel:
    """The kernel in the RAM of a guest, or in a dump of it, for kernel functions that only read."""
    found = Kernel(ram, VirtAddr(KERNEL_STATE))
    space = AddressSpace(ram, found.space.root, found.space.root_level)
    return Kernel(space, VirtAddr(ram.config.image_window + KERNEL_STATE))
