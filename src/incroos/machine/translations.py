"""The memory of translations: finds stale ones, and says which need no second check.

A real TLB may keep a translation for as long as nothing flushes it, or lose it at any time. The simulated TLB loses
what another page displaces; this memory loses nothing, so a missing flush is found however long after. It keeps
translations as a large TLB would: a page of the leaf's size, its frame, and whether writes need no walk. And it keeps
the upper entries that walks read, as large paging-structure caches would: a walk may start below any of them, so all of
them must still be what a walk from the root finds, or grant less.

    MEMO-1  a page in `readable` or `writable` is known here, with that frame and that right
    MEMO-2  a walk from the root gives that frame and that right now
MEMO-1 holds because a page leaves the dicts when its translation is flushed, MEMO-2 because it leaves them when an
entry that its walk read is written.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Final

from incroos.lang import PhysAddr, VirtAddr

from .access import resolve_read, resolve_write
from .architecture import (
    CR4_PGE,
    ENTRY_DIRTY,
    ENTRY_GLOBAL,
    ENTRY_NX,
    ENTRY_PRESENT,
    ERROR_WRITE,
    OFFSET_MASK,
    PAGE_SHIFT,
    READ,
    ROOT_LEVEL,
)
from .computer import Computer
from .errors import OutsideRam, StaleTranslation
from .host import WORD
from .physical import host_to_read, host_to_write, is_memory, load_entry
from .walk import (
    ALL_RIGHTS,
    FOUND_LEVEL_SHIFT,
    NO_FAULT,
    entry_address,
    fault_at,
    is_canonical,
    is_leaf,
    probe,
    shift_of,
)

LEAF_LEVELS: Final = (1, 2, 3)
ENTRY_BYTES: Final = 8


@dataclass(frozen=True)
class Known:
    """A translation that was used: where the page lies, and whether a write through it needs no walk."""

    pa: int
    is_writable: bool
    is_global: bool


class Translations:
    """All translations used since they were last flushed; `check_entry` is called with each entry that a walk reads."""

    def __init__(self, computer: Computer, check_entry: Callable[[int], None]) -> None:
        self.cpu, self.memory, self.check_entry = computer.cpu, computer.memory, check_entry
        self.readable: dict[int, int] = {}  # page number -> physical address of its frame
        self.writable: dict[int, int] = {}
        self.tables: set[int] = set()  # numbers of the frames in which walks read entries
        self._known: dict[int, dict[int, Known]] = {level: {} for level in LEAF_LEVELS}  # by level, then page
        self._users: dict[int, set[int]] = {}  # address of an entry / 8 -> numbers of the pages whose walk read it
        self._uppers: dict[tuple[int, int], tuple[int, int]] = {}  # level and address bits -> table it names, rights

    # -------------------------------------------------------------- use
    def translate(self, va: VirtAddr, access: int) -> int:
        """The physical address of va for the kernel's read or write; the access's faults are delivered on the way."""
        for level in LEAF_LEVELS:
            known = self._known[level].get(va >> shift_of(level))
            if known is not None and (known.is_writable or access != ERROR_WRITE):
                self._compare(va, access, known.pa + (va & ((1 << shift_of(level)) - 1)))
                break
        else:
            self._take_uppers(va)
        if is_canonical(va):
            for entry in self._walk(va):
                self.check_entry(entry)
        host = (resolve_write if access == ERROR_WRITE else resolve_read)(self.cpu, va)
        fresh, found = probe(self.cpu, va, access)
        to_host = host_to_write if access == ERROR_WRITE else host_to_read
        if fresh < 0 or to_host(self.cpu, PhysAddr(fresh)) != host:
            self._refuse(va, host - self.memory.base, fresh)
        if not is_memory(self.cpu, PhysAddr(fresh)):
            raise OutsideRam(f'access to {va:#x}, mapped to physical {fresh:#x}: there is no RAM')
        self._learn(va, access, fresh, found)
        return fresh

    def _compare(self, va: VirtAddr, access: int, pa: int) -> None:
        fresh, _ = probe(self.cpu, va, access)
        if fresh != pa:
            self._refuse(va, pa, fresh)

    def _take_uppers(self, va: VirtAddr) -> None:
        """Check the upper entries that are remembered for va, and remember those that a walk finds now."""
        table, rights = PhysAddr(self.cpu.cr3 & self.cpu.frame_mask), ALL_RIGHTS
        for level in range(ROOT_LEVEL if is_canonical(va) else 0, 1, -1):
            place = level, va >> shift_of(level)
            entry = load_entry(self.cpu, entry_address(table, va, level))
            rights &= entry ^ ENTRY_NX
            is_upper = fault_at(self.cpu, entry, level, READ, rights) == NO_FAULT and not is_leaf(entry, level)
            table = PhysAddr(entry & self.cpu.frame_mask)
            used, used_rights = self._uppers.get(place, (table, 0))
            if place in self._uppers and (not is_upper or used != table or used_rights & ~rights):
                now = f'names {table:#x}' if is_upper else 'names none'
                raise StaleTranslation(
                    f'stale upper entry: the one of level {level} for {va:#x} is remembered to name the table at'
                    f' {used:#x}, or to grant more than it does; it {now} now: flush what changes'
                )
            if not is_upper:
                break
            self._uppers[place] = table, rights

    def _refuse(self, va: VirtAddr, used: int, fresh: int) -> None:
        now = f'gives physical {fresh:#x}' if fresh >= 0 else f'gives a page fault, error code {~fresh:#x}'
        raise StaleTranslation(
            f'stale translation: {va:#x} is remembered at physical {used:#x}; a walk {now} now: flush what changes'
        )

    def _learn(self, va: VirtAddr, access: int, pa: int, found: int) -> None:
        level = (found >> FOUND_LEVEL_SHIFT) & 7
        shift = shift_of(level)
        is_writable = access == ERROR_WRITE or (self.cpu.supervisor_write & ~found == 0 and found & ENTRY_DIRTY != 0)
        known = Known(pa & -(1 << shift), is_writable, found & ENTRY_GLOBAL != 0)
        before = self._known[level].get(va >> shift)
        if before is not None and before.pa == known.pa and before.is_writable:
            known = replace(known, is_writable=True)
        self._known[level][va >> shift] = known
        page = va >> PAGE_SHIFT
        # Not both for a write: there may be another translation of the page, good for reads only, and stale.
        (self.writable if access == ERROR_WRITE else self.readable)[page] = pa & ~OFFSET_MASK
        for entry in self._walk(va):
            self.tables.add(entry >> PAGE_SHIFT)
            self._users.setdefault(entry // ENTRY_BYTES, set()).add(page)

    def _walk(self, va: VirtAddr) -> Iterator[int]:
        """The physical addresses of the entries that a walk from the root reads, as far as they lie in memory."""
        table = PhysAddr(self.cpu.cr3 & self.cpu.frame_mask)
        for level in range(ROOT_LEVEL, 0, -1):
            at = entry_address(table, va, level)
            if not is_memory(self.cpu, at):
                break
            yield at
            entry: int = WORD.unpack_from(self.memory.buffer, at)[0]
            if entry & ENTRY_PRESENT == 0 or is_leaf(entry, level):
                break
            table = PhysAddr(entry & self.cpu.frame_mask)

    # -------------------------------------------------------------- what makes a second check necessary
    def entries_written(self, pa: int, nbytes: int) -> None:
        """Memory that may hold entries was written: what walks read there must be checked again."""
        for entry in range(pa // ENTRY_BYTES, (pa + nbytes - 1) // ENTRY_BYTES + 1):
            for page in self._users.pop(entry, ()):
                self._drop(page)

    def forget_page(self, va: VirtAddr) -> None:
        """The page of va was flushed, with all of the large page that it lies in."""
        for level in LEAF_LEVELS:
            shift = shift_of(level)
            if self._known[level].pop(va >> shift, None) is not None and level > 1:
                inside = {page for page in self.readable if page << PAGE_SHIFT >> shift == va >> shift}
                inside |= {page for page in self.writable if page << PAGE_SHIFT >> shift == va >> shift}
                for page in inside:
                    self._drop(page)
        self._drop(va >> PAGE_SHIFT)
        self._uppers.clear()

    def forget_space(self) -> None:
        """All translations but the global ones were flushed."""
        for level, known in self._known.items():
            keeps = self.cpu.cr4 & CR4_PGE != 0
            self._known[level] = {page: one for page, one in known.items() if keeps and one.is_global}
        self._drop_all()

    def forget_all(self) -> None:
        """Everything was flushed."""
        for known in self._known.values():
            known.clear()
        self._drop_all()

    def _drop(self, page: int) -> None:
        self.readable.pop(page, None)
        self.writable.pop(page, None)

    def _drop_all(self) -> None:
        self.readable.clear()
        self.writable.clear()
        self._users.clear()
        self.tables.clear()
        self._uppers.clear()
