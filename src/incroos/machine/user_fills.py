"""What ring 3's processor was told since it was last flushed: finds a translation that the kernel forgot to flush.

A real TLB keeps what it was told until it is flushed. So each answer is kept with the entries that its walk read; when
one of these was written, the answer is compared with a fresh walk before ring 3 goes on. It must give the same frame,
and no right more: a right that was added needs no flush, since the processor asks again. Kept for each PCID. What was
told of a large page is forgotten together, when any page in it is flushed.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from incroos.lang import PhysAddr, VirtAddr

from .architecture import ENTRY_WRITABLE, LEVEL_BITS, PAGE_SHIFT, USER
from .cpu import Cpu
from .errors import StaleTranslation
from .user_pages import MAY, MAY_EXECUTE, MAY_WRITE
from .walk import EXECUTABLE, probe

ENTRY_BYTES: Final = 8


@dataclass(frozen=True)
class Told:
    """An answer, and the right to write that was not told because the leaf was clean."""

    frame: int
    may: int


class UserFills:
    """The answers, by PCID and page."""

    def __init__(self, cpu: Cpu) -> None:
        self.cpu = cpu
        self._large: defaultdict[int, defaultdict[int, set[int]]] = defaultdict(lambda: defaultdict(set))
        self._told: defaultdict[int, dict[int, Told]] = defaultdict(dict)
        self._readers: dict[int, set[tuple[int, int]]] = {}  # address of an entry / 8 -> PCID and page
        self._suspects: set[tuple[int, int]] = set()

    def learn(self, va: VirtAddr, answer: int, entries: Sequence[int]) -> None:
        """The processor was told this answer, whose walk read these entries; one less than levels: a large page."""
        page = va >> PAGE_SHIFT
        before = self._told[self.cpu.pcid].get(page)
        frame, may = answer & ~MAY, answer & MAY
        if before is not None and before.frame == frame:
            may |= before.may
        self._told[self.cpu.pcid][page] = Told(frame, may)
        if len(entries) < self.cpu.root_level:
            self._large[self.cpu.pcid][page >> LEVEL_BITS].add(page)
        for entry in entries:
            self._readers.setdefault(entry // ENTRY_BYTES, set()).add((self.cpu.pcid, page))

    def entries_written(self, pa: int, nbytes: int) -> None:
        """Memory that may hold entries was written."""
        for entry in range(pa // ENTRY_BYTES, (pa + nbytes - 1) // ENTRY_BYTES + 1):
            self._suspects |= self._readers.get(entry, set())

    def check(self) -> None:
        """Compare what may have become wrong, before ring 3 goes on."""
        pcid = self.cpu.pcid
        for suspect in [suspect for suspect in self._suspects if suspect[0] == pcid]:
            self._suspects.discard(suspect)
            told = self._told[pcid].get(suspect[1])
            if told is not None:
                self._compare(VirtAddr(suspect[1] << PAGE_SHIFT), told)

    def _compare(self, va: VirtAddr, told: Told) -> None:
        fresh, found = probe(self.cpu, va, USER)
        if fresh < 0:
            now = f'gives a page fault, error code {~fresh:#x}'
        elif fresh != told.frame:
            now = f'gives physical {fresh:#x}'
        elif told.may & MAY_WRITE and not found & ENTRY_WRITABLE:
            now = 'gives no right to write'
        elif told.may & MAY_EXECUTE and not found & EXECUTABLE:
            now = 'gives no right to execute'
        else:
            return
        raise StaleTranslation(
            f'stale translation: ring 3 remembers {va:#x} at physical {PhysAddr(told.frame):#x}; '
            f'a walk {now} now: flush what changes before you return to it'
        )

    def forget_page(self, va: VirtAddr) -> None:
        """A page was flushed."""
        self.forget_address(self.cpu.pcid, va)

    def forget_address(self, pcid: int, va: VirtAddr) -> None:
        """A page of a PCID was flushed."""
        page = va >> PAGE_SHIFT
        for forgotten in (page, *self._large[pcid].pop(page >> LEVEL_BITS, ())):
            self._told[pcid].pop(forgotten, None)

    def forget_space(self, pcid: int) -> None:
        """A PCID was flushed."""
        self._told[pcid].clear()
        self._large[pcid].clear()

    def forget_all(self) -> None:
        """Everything was flushed."""
        self._told.clear()
        self._large.clear()
        self._readers.clear()
        self._suspects.clear()
