"""The memory of all used translations: finds stale ones, and says which need no second check.

A real TLB may keep a translation for as long as nothing flushes it, or lose it at any time. The simulated TLB loses
what another page displaces; this memory loses nothing, so a missing flush is found however long after. It keeps
translations as a large TLB would: a page of the leaf's size, its frame, and whether writes need no walk. And it keeps
the upper entries that walks read, as large paging-structure caches would: a walk may start below any of them, so all of
them must still be what a walk from the root finds, or grant less. Both are kept for each PCID; what it knew is known
again when it comes back. Global translations are known to all.

    MEMO-1  a page in `readable` or `writable` is known here, with that frame and that right
    MEMO-2  a walk from the root gives that frame and that right now
MEMO-1 holds because a page leaves the dicts when its translation is flushed, MEMO-2 because it leaves them when an
entry that its walk read is written.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from incroos.lang import PhysAddr, VirtAddr

from .access import resolve_read, resolve_write
from .architecture import (
    ENTRY_DIRTY,
    ENTRY_GLOBAL,
    ENTRY_NX,
    ENTRY_PRESENT,
    ERROR_WRITE,
    OFFSET_MASK,
    PAGE_SHIFT,
    READ,
)
from .computer import Computer
from .errors import NullPointer, OutsideRam, StaleTranslation
from .host import WORD
from .physical import host_to_read, host_to_write, is_memory, is_ram, load_entry
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


Pages = dict[tuple[int, int], Known]  # by level and number of the page


class Context:
    """The translations of one PCID, without the global ones."""

    def __init__(self) -> None:
        self.pages: Pages = {}
        self.uppers: dict[tuple[int, int], tuple[int, int]] = {}  # level and address bits -> table it names, rights


class Translations:
    """All translations used since they were last flushed; `check_entry` is called with each entry that a walk reads."""

    def __init__(self, computer: Computer, check_entry: Callable[[int], None]) -> None:
        self.cpu, self.memory, self.check_entry = computer.cpu, computer.memory, check_entry
        self.readable: dict[int, int] = {}  # page number -> where its frame is in the computer's mapping
        self.writable: dict[int, int] = {}
        self.tables: set[int] = set()  # numbers of the frames in which walks read entries
        self._watched: set[int] = set()  # those that matter to others
        self._globals: Pages = {}
        self._contexts: defaultdict[int, Context] = defaultdict(Context)  # by PCID
        self._current = self._contexts[self.cpu.pcid]
        self._users: dict[int, set[int]] = {}  # address of an entry / 8 -> numbers of the pages whose walk read it

    # -------------------------------------------------------------- use
    def translate(self, va: VirtAddr, access: int) -> int:
        """Where va is in the computer's mapping, for the kernel's read or write; faults are delivered on the way.

        For RAM that is its physical address.
        """
        remembered = self._remembered(va, access)
        for pa in remembered:
            self._compare(va, access, pa)
        if not remembered:
            self._take_uppers(va)
        if is_canonical(self.cpu, va):
            for entry in self.walk(va):
                self.check_entry(entry)
        host = (resolve_write if access == ERROR_WRITE else resolve_read)(self.cpu, va)
        fresh, found = probe(self.cpu, va, access)
        to_host = host_to_write if access == ERROR_WRITE else host_to_read
        if fresh < 0 or to_host(self.cpu, PhysAddr(fresh)) != host:
            self._refuse(va, host - self.memory.base, fresh)
        if va >> PAGE_SHIFT == 0:
            what = 'store' if access == ERROR_WRITE else 'load'
            raise NullPointer(f'{what} at {va:#x}: nothing lies in the first page, this is a null pointer')
        if not is_memory(self.cpu, PhysAddr(fresh)):
            raise OutsideRam(f'access to {va:#x}, mapped to physical {fresh:#x}: there is no RAM')
        place = host - self.memory.base
        self._learn(va, access, fresh, found, place)
        return place

    def _remembered(self, va: int, access: int) -> list[int]:
        """The physical addresses of va by each translation that may serve an access."""
        found = []
        for level in LEAF_LEVELS:
            for pages in (self._current.pages, self._globals):
                known = pages.get((level, va >> shift_of(level)))
                if known is not None and (known.is_writable or access != ERROR_WRITE):
                    found.append(known.pa + (va & ((1 << shift_of(level)) - 1)))
        return found

    def _compare(self, va: VirtAddr, access: int, pa: int) -> None:
        fresh, _ = probe(self.cpu, va, access)
        if fresh != pa:
            self._refuse(va, pa, fresh)

    def _take_uppers(self, va: VirtAddr) -> None:
        """Check the upper entries that are remembered for va, and remember those that a walk finds now."""
        table, rights, uppers = PhysAddr(self.cpu.cr3 & self.cpu.frame_mask), ALL_RIGHTS, self._current.uppers
        for level in range(self.cpu.root_level if is_canonical(self.cpu, va) else 0, 1, -1):
            place = level, va >> shift_of(level)
            entry = load_entry(self.cpu, entry_address(table, va, level))
            rights &= entry ^ ENTRY_NX
            is_upper = fault_at(self.cpu, entry, level, READ, rights) == NO_FAULT and not is_leaf(entry, level)
            table = PhysAddr(entry & self.cpu.frame_mask)
            used, used_rights = uppers.get(place, (table, 0))
            if place in uppers and (not is_upper or used != table or used_rights & ~rights):
                now = f'names {table:#x}' if is_upper else 'names none'
                raise StaleTranslation(
                    f'stale upper entry: the one of level {level} for {va:#x} is remembered to name the table at'
                    f' {used:#x}, or to grant more than it does; it {now} now: flush what changes'
                )
            if not is_upper:
                break
            uppers[place] = table, rights

    def _refuse(self, va: VirtAddr, used: int, fresh: int) -> None:
        now = f'gives physical {fresh:#x}' if fresh >= 0 else f'gives a page fault, error code {~fresh:#x}'
        raise StaleTranslation(
            f'stale translation: {va:#x} is remembered at physical {used:#x}; a walk {now} now: flush what changes'
        )

    def _learn(self, va: VirtAddr, access: int, pa: int, found: int, place: int) -> None:
        level = (found >> FOUND_LEVEL_SHIFT) & 7
        shift = shift_of(level)
        is_writable = access == ERROR_WRITE or (self.cpu.supervisor_write & ~found == 0 and found & ENTRY_DIRTY != 0)
        pages = self._globals if found & ENTRY_GLOBAL else self._current.pages
        before = pages.get((level, va >> shift))
        was_writable = before is not None and before.pa == pa & -(1 << shift) and before.is_writable
        pages[level, va >> shift] = Known(pa & -(1 << shift), is_writable or was_writable)
        page = va >> PAGE_SHIFT
        # Not both for a write: there may be another translation of the page, good for reads only, and stale.
        (self.writable if access == ERROR_WRITE else self.readable)[page] = place & ~OFFSET_MASK
        for entry in self.walk(va):
            self.tables.add(entry >> PAGE_SHIFT)
            self._users.setdefault(entry // ENTRY_BYTES, set()).add(page)

    def watch(self, frames: set[int]) -> None:
        """Have writes into these frames looked at, too, for ever."""
        self._watched |= frames
        self.tables |= frames

    def walk(self, va: VirtAddr) -> Iterator[int]:
        """The physical addresses of the entries that a walk from the root reads, as far as they lie in RAM."""
        table = PhysAddr(self.cpu.cr3 & self.cpu.frame_mask)
        for level in range(self.cpu.root_level, 0, -1):
            at = entry_address(table, va, level)
            if not is_ram(self.cpu, at):
                break
            yield at
            entry: int = WORD.unpack_from(self.memory.buffer, at)[0]
            if entry & ENTRY_PRESENT == 0 or is_leaf(entry, level):
                break
            table = PhysAddr(entry & self.cpu.frame_mask)

    # -------------------------------------------------------------- what makes a second check necessary
    def entries_written(self, pa: int, nbytes: int) -> None:
        """Memory that may hold entries was written: check the entries that walks read there again."""
        for entry in range(pa // ENTRY_BYTES, (pa + nbytes - 1) // ENTRY_BYTES + 1):
            for page in self._users.pop(entry, ()):
                self._drop(page)

    def forget_page(self, va: VirtAddr) -> None:
        """The page of va was flushed, with all of the large page that it lies in."""
        for level in LEAF_LEVELS:
            shift = shift_of(level)
            place = level, va >> shift
            known = [pages.pop(place, None) for pages in (self._current.pages, self._globals)]
            if level > 1 and any(known):
                inside = {page for page in self.readable if page << PAGE_SHIFT >> shift == va >> shift}
                inside |= {page for page in self.writable if page << PAGE_SHIFT >> shift == va >> shift}
                for page in inside:
                    self._drop(page)
        self._drop(va >> PAGE_SHIFT)
        self._current.uppers.clear()

    def forget_address(self, pcid: int, va: VirtAddr) -> None:
        """A page of a PCID was flushed, and the upper entries on the way to it; nothing global."""
        context = self._contexts[pcid]
        for level in LEAF_LEVELS:
            context.pages.pop((level, va >> shift_of(level)), None)
        for level in range(2, self.cpu.root_level + 1):
            context.uppers.pop((level, va >> shift_of(level)), None)
        self.drop_shortcuts()

    def forget_space(self, pcid: int) -> None:
        """All translations of a PCID but the global ones were flushed."""
        self._contexts[pcid].pages.clear()
        self._contexts[pcid].uppers.clear()
        self.drop_shortcuts()

    def forget_all_spaces(self) -> None:
        """All translations but the global ones were flushed."""
        for pcid in self._contexts:
            self.forget_space(pcid)
        self.drop_shortcuts()

    def forget_all(self) -> None:
        """Everything was flushed."""
        self._globals.clear()
        self.forget_all_spaces()

    def switch_context(self) -> None:
        """The processor may use another PCID now; nothing was flushed."""
        self._current = self._contexts[self.cpu.pcid]
        self.drop_shortcuts()

    def _drop(self, page: int) -> None:
        self.readable.pop(page, None)
        self.writable.pop(page, None)

    def drop_shortcuts(self) -> None:
        """Check every page again at its next access; changes no verdict."""
        self.readable.clear()
        self.writable.clear()
        self._users.clear()
        self.tables.clear()
        self.tables |= self._watched
