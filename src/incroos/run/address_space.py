"""A guest's memory by virtual address, as the host sees it: struct views work on it as they do in the kernel.

Walks the page tables in the guest's RAM for every access, and writes nothing.
"""

from incroos.kernel.config import FOUR_LEVELS
from incroos.kernel.vmm.entries import index_in, is_leaf, is_present, page_bytes, page_of, table_of
from incroos.lang import Machine, VirtAddr, word

from .ram import RamMachine


class NotMapped(Exception):
    """No page is mapped at an address."""


class AddressSpace(Machine):
    """What the tables under a root map; its level is 4 or 5."""

    def __init__(self, ram: RamMachine, root: int, level: int = FOUR_LEVELS) -> None:
        self.ram, self.root, self.level, self.config = ram, root, level, ram.config

    def physical(self, va: int) -> int:
        """Where a byte lies. Raises NotMapped."""
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
        return self.ram.load64(VirtAddr(self.physical(addr)))
