"""Traces: a seeded mix of all operations that is recorded in one place and replayed, call by call, in others.

The recorder knows what it holds (frames, mappings, chunks) and what is in it. Calls go out in batches; what a call of a
batch uses is put aside until its result is known, so no call depends on a result that is not there yet.
"""

import random
from collections.abc import Callable, Sequence
from typing import Final

from incroos.kernel.arch.pte import GLOBAL, NX, PRESENT, USER, WRITABLE
from incroos.kernel.codes import BAD_FREE, DOUBLE_FREE, OK
from incroos.kernel.config import FULL
from incroos.kernel.layout import PAGE_BYTES, ZONE_START

from .harness import Call, Driver, call_of
from .mix_caches import CacheActions
from .mix_parts import Held, Large, LostContent, Settle, T, Trace, must_be, must_be_any

BATCH: Final = 64
WINDOW: Final = 0x40_0000_0000  # addresses that the trace maps: some in one table, some far apart
STRIDES: Final = (PAGE_BYTES, 1 << 21, 1 << 30)
NR_PLACES: Final = 64  # per stride
SIZES: Final = (1, 8, 24, 25, 64, 100, 100, 256, 1000, 4096, 20_000, 60_000)
BAD_SIZES: Final = (0, -1, -7, -1 << 63, (1 << 63) - 1, 1 << 24)
CHECKS: Final = ('check_heap', 'check_pmm', 'check_vmm', 'check_vmalloc')
STATISTICS: Final = (
    'nr_total_frames',
    'nr_free_frames',
    'nr_free_pool_frames',
    'used_bytes',
    'free_bytes',
    'committed_bytes',
)
MAX_VERIFIED_BYTES: Final = 64  # each is a load of its own
MAX_HELD: Final = 400
LARGE_WINDOW: Final = 0x48_0000_0000  # where pages of 2 MiB and 1 GiB are mapped; nobody looks into them
LARGE_LEVELS: Final = (2, 3)
NR_LARGE_PLACES: Final = 8
GIGABYTE: Final = 1 << 30
RANGE_WINDOW: Final = 0x70_0000_0000  # where ranges are mapped, split and merged; nobody looks into them either
RANGE_STARTS: Final = (*range(0, 16 << 20, 2 << 20), 0x1000, 0x1F_F000, 0x20_3000)
RANGE_BYTES: Final = (0x1000, 0x5000, 0x20_0000, 0x20_0000, 0x60_1000, 0x100_0000)
MAX_VMALLOCED: Final = 40


class Recorder:
    """Makes up calls and keeps account of what they gave."""

    def __init__(self, driver: Driver, seed: int) -> None:
        self.driver, self.random, self.trace = driver, random.Random(seed), Trace()
        self.is_forgiving = driver.kernel.config.hardening != FULL  # which ends the machine at a wrong kfree
        self.chunks: list[Held] = []
        self.vmalloced: list[Held] = []
        self.frames: list[int] = []
        self.mapped: list[Held] = []
        self.places = [WINDOW + stride * place for stride in STRIDES for place in range(1, NR_PLACES)]
        self.tables: list[int] = []
        self.large: list[Large] = []
        self.large_places = [
            Large(LARGE_WINDOW + (level * NR_LARGE_PLACES + place) * GIGABYTE, level)
            for level in LARGE_LEVELS
            for place in range(NR_LARGE_PLACES)
        ]
        self._batch: list[tuple[Call, Settle]] = []
        self._actions: list[tuple[Callable[[], None], int]] = [
            (self.kmalloc, 24),
            (self.kfree, 20),
            (self.write_chunk, 12),
            (self.verify_chunk, 8),
            (self.free_wrongly, 4),
            (self.other_alloc, 6),
            (self.krealloc, 5),
            (self.look_at_chunk, 2),
            (self.alloc_page, 8),
            (self.free_page, 6),
            (self.map_page, 8),
            (self.unmap_page, 6),
            (self.protect, 4),
            (self.get_physical, 4),
            (self.map_leaf, 4),
            (self.unmap_leaf, 3),
            (self.protect_leaf, 2),
            (self.alloc_table, 3),
            (self.free_table, 3),
            (self.write_page, 4),
            (self.verify_page, 4),
            (self.change_range, 3),
            (self.ask_wrongly, 4),
            (self.refuse, 1),
            (self.count, 4),
            (self.vmalloc, 2),
            (self.vfree, 2),
            *CacheActions(self).weighted(),
        ]

    def record(self, nr_operations: int) -> Trace:
        """Make up and execute so many operations, and then each room's own check."""
        actions, weights = zip(*self._actions, strict=True)
        while len(self.trace.calls) + len(self._batch) < nr_operations:
            self.random.choices(actions, weights)[0]()
            if len(self._batch) >= BATCH:
                self.flush()
        for name in CHECKS:
            self.check(name)
        self.flush()
        return self.trace

    def flush(self) -> None:
        """Execute what waits and settle its results."""
        batch, self._batch = self._batch, []
        results = self.driver.execute([call for call, _ in batch])
        self.trace.calls += [call for call, _ in batch]
        self.trace.results += results
        for (call, settle), result in zip(batch, results, strict=True):
            try:
                settle(result)
            except LostContent as error:
                raise LostContent(f'{call} answered {result}: {error}') from None

    # -------------------------------------------------------------- the heap
    def kmalloc(self) -> None:
        nbytes = self.random.choice(SIZES if len(self.chunks) < MAX_HELD else BAD_SIZES)
        self.add(lambda ptr: self.chunks.append(Held(ptr, nbytes)) if ptr else None, 'kmalloc', nbytes)

    def kfree(self) -> None:
        chunk = self.pick(self.chunks)
        if chunk:
            self.add(must_be(OK), 'kfree', chunk.addr)
            if self.random.randrange(4) == 0 and self.is_forgiving:
                self.add(must_be(BAD_FREE), 'kfree', chunk.addr)

    def write_chunk(self) -> None:
        self.write(self.chunks)

    def verify_chunk(self) -> None:
        self.verify(self.chunks)

    def free_wrongly(self) -> None:
        chunk = self.pick(self.chunks) if self.is_forgiving else None
        if chunk:
            self.chunks.append(chunk)
            off = self.random.choice((-8, 1, 8, 24, 1 << 28, 1 << 40, -1 << 62))  # nothing begins there
            self.add(must_be(BAD_FREE), 'kfree', chunk.addr + off)

    def other_alloc(self) -> None:
        """Ask for zeros, for items, or for an alignment."""
        nbytes = self.random.choice(SIZES if len(self.chunks) < MAX_HELD else BAD_SIZES)
        name, words = self.random.choice(
            (
                ('kzalloc', (nbytes,)),
                ('kcalloc', (self.random.choice((1, 2, 1 << 60)), nbytes)),
                ('kmemalign', (1 << self.random.randrange(14), nbytes)),
                ('kmemalign', (48, nbytes)),
            )
        )
        self.add(lambda ptr: self.chunks.append(Held(ptr, nbytes)) if ptr else None, name, *words)

    def krealloc(self) -> None:
        chunk = self.pick(self.chunks)
        nbytes = self.random.choice(SIZES)
        if chunk:
            self.add(
                lambda ptr: self.chunks.append(Held(ptr, nbytes) if ptr else chunk), 'krealloc', chunk.addr, nbytes
            )

    def look_at_chunk(self) -> None:
        chunk = self.pick(self.chunks)
        if chunk:
            self.chunks.append(chunk)
            self.add(must_be_any, 'kmalloc_usable_size', chunk.addr)

    # -------------------------------------------------------------- vmalloc
    def vmalloc(self) -> None:
        nbytes = self.random.choice(SIZES if len(self.vmalloced) < MAX_VMALLOCED else BAD_SIZES)
        self.add(lambda va: self.vmalloced.append(Held(va, nbytes)) if va else None, 'vmalloc', nbytes)

    def vfree(self) -> None:
        held = self.pick(self.vmalloced)
        if held:
            self.add(must_be(OK), 'vfree', held.addr)
        self.add(must_be(BAD_FREE), 'vfree', held.addr if held else PAGE_BYTES)

    # -------------------------------------------------------------- frames and pages
    def alloc_page(self) -> None:
        if len(self.frames) < MAX_HELD:
            self.add(lambda pa: self.frames.append(pa) if pa >= 0 else None, 'alloc_page')

    def free_page(self) -> None:
        frame = self.pick(self.frames)
        if frame is not None:
            self.add(must_be(OK), 'free_page', frame)
            if self.random.randrange(4) == 0:
                self.add(must_be(DOUBLE_FREE), 'free_page', frame)

    def map_page(self) -> None:
        frame, va = self.pick(self.frames), self.pick(self.places)
        if frame is not None and va is not None:
            flags = PRESENT | WRITABLE | self.random.choice((0, NX, USER, GLOBAL))
            self.add(lambda code: self._settle_map(code, va, frame), 'map_page', va, frame, flags)
        else:
            self.frames += [frame] if frame is not None else []
            self.places += [va] if va is not None else []

    def _settle_map(self, code: int, va: int, frame: int) -> None:
        if code == OK:
            self.mapped.append(Held(va, PAGE_BYTES, frame=frame))
        else:
            self.frames.append(frame)
            self.places.append(va)

    def unmap_page(self) -> None:
        page = self.pick(self.mapped)
        if page:
            self.add(lambda frame: self._settle_unmap(page, frame), 'unmap_page', page.addr)

    def _settle_unmap(self, page: Held, frame: int) -> None:
        must_be(page.frame)(frame)
        self.frames.append(frame)
        self.places.append(page.addr)

    def protect(self) -> None:
        page = self.pick(self.mapped)
        if page:
            flags = PRESENT | WRITABLE | self.random.choice((0, NX, USER, GLOBAL, GLOBAL | NX))
            self.add(lambda code: self._give_back(page, code), 'protect', page.addr, flags)

    def _give_back(self, page: Held, code: int) -> None:
        must_be(OK)(code)
        self.mapped.append(page)

    # -------------------------------------------------------------- large pages and tables
    def map_leaf(self) -> None:
        """Map the memory from 0 on; its content is not the trace's."""
        place = self.pick(self.large_places)
        if place:
            flags = PRESENT | self.random.choice((0, NX, WRITABLE | NX, USER, GLOBAL))
            self.add(lambda code: self._settle_leaf(code, place), 'map_leaf', place.addr, 0, flags, place.level)

    def _settle_leaf(self, code: int, place: Large) -> None:
        (self.large if code == OK else self.large_places).append(place)

    def unmap_leaf(self) -> None:
        place = self.pick(self.large)
        if place:
            self.add(lambda memory: self._settle_unmap_leaf(memory, place), 'unmap_leaf', place.addr, place.level)

    def _settle_unmap_leaf(self, memory: int, place: Large) -> None:
        must_be(0)(memory)
        self.large_places.append(place)

    def protect_leaf(self) -> None:
        place = self.pick(self.large)
        if place:
            flags = PRESENT | self.random.choice((0, NX, WRITABLE, USER | NX, GLOBAL))
            self.add(lambda code: self._keep_leaf(code, place), 'protect_leaf', place.addr, flags, place.level)

    def _keep_leaf(self, code: int, place: Large) -> None:
        must_be(OK)(code)
        self.large.append(place)

    def alloc_table(self) -> None:
        if len(self.tables) < MAX_HELD:
            self.add(lambda pa: self.tables.append(pa) if pa >= 0 else None, 'alloc_table', self.random.randrange(1, 5))

    def free_table(self) -> None:
        table = self.pick(self.tables)
        if table is not None:
            self.add(must_be(OK), 'free_table', table)
            if self.random.randrange(4) == 0:
                self.add(must_be(DOUBLE_FREE), 'free_table', table)

    # -------------------------------------------------------------- ranges of pages
    def change_range(self) -> None:
        """Ranges that overlap as they come: what each call answers is not foreseen here, only the same everywhere."""
        start, nbytes = self.random.choice(RANGE_STARTS), self.random.choice(RANGE_BYTES)
        flags = PRESENT | self.random.choice((0, WRITABLE, NX))
        name, *words = self.random.choice(
            (
                ('map_range', GIGABYTE + start, nbytes, flags),
                ('unmap_range', nbytes),
                ('protect_range', nbytes, flags),
                ('merge', nbytes),
            )
        )
        self.add(must_be_any, name, RANGE_WINDOW + start, *words)

    # -------------------------------------------------------------- questions and content
    def get_physical(self) -> None:
        va = self.random.choice([0, WINDOW, WINDOW + self.random.choice(STRIDES) * self.random.randrange(NR_PLACES)])
        self.add(must_be_any, 'get_physical', va + self.random.randrange(PAGE_BYTES))

    def write_page(self) -> None:
        self.write(self.mapped)

    def verify_page(self) -> None:
        self.verify(self.mapped)

    # -------------------------------------------------------------- the rest
    def ask_wrongly(self) -> None:
        wrong: list[tuple[str, tuple[int, ...]]] = [
            ('free_page', (self.random.choice((1, 0, 0x1000, 0x10_0000, -PAGE_BYTES, 1 << 45)),)),
            ('map_page', (1 << 47, ZONE_START, PRESENT)),
            ('map_page', (WINDOW, 12, PRESENT)),
            ('map_page', (WINDOW, ZONE_START, WRITABLE)),
            ('map_page', (ZONE_START, ZONE_START, PRESENT)),
            ('unmap_page', (WINDOW + 8,)),
            ('unmap_page', (ZONE_START,)),
            ('protect', (WINDOW, PRESENT)),
            ('kmalloc', (self.random.choice(BAD_SIZES),)),
        ]
        if self.is_forgiving:
            wrong.append(('kfree', (self.random.choice((0x1000, 0x20_0000, (1 << 63) - 16, -1 << 63)),)))
        name, words = self.random.choice(wrong)
        self.add(must_be_any, name, *words)

    def refuse(self) -> None:
        self.add(must_be_any, 'refuse_at', self.random.randrange(4))

    def count(self) -> None:
        if self.random.randrange(20) == 0:
            self.check(self.random.choice(CHECKS))
        if self.random.randrange(10) == 0:
            self.add(must_be_any, 'visited_bytes', self.random.randrange(5))
        if self.random.randrange(10) == 0:
            self.add(must_be_any, 'shrink')
        elif self.random.randrange(10) == 0:
            self.add(must_be_any, 'zero_ahead', self.random.randrange(9))
        else:
            self.add(must_be_any, self.random.choice(STATISTICS))

    def check(self, name: str) -> None:
        """One room's own check. Tables that no entry names are against the vmm's, so they go back first."""
        if name == 'check_vmm':
            self.flush()
            while self.tables:
                self.free_table()
        self.add(must_be(OK), name)

    # -------------------------------------------------------------- help
    def add(self, settle: Settle, name: str, *words: int) -> None:
        self._batch.append((call_of(name, *words), settle))

    def pick(self, held: list[T]) -> T | None:
        """Take something out of a list; None when it is empty."""
        if not held:
            return None
        at = self.random.randrange(len(held))
        held[at], held[-1] = held[-1], held[at]
        return held.pop()

    def write(self, held: list[Held]) -> None:
        thing = self.pick(held)
        if thing:
            thing.byte = self.random.randrange(256)
            self.add(lambda _: held.append(thing), 'fill', thing.addr, thing.byte, thing.nbytes)

    def verify(self, held: list[Held]) -> None:
        """Look at one end of something that was filled, and keep it."""
        thing = self.pick(held)
        if thing:
            held.append(thing)
            nbytes = min(thing.nbytes, MAX_VERIFIED_BYTES)
            start = thing.addr + self.random.choice((0, thing.nbytes - nbytes))
            if thing.byte >= 0:
                self.add(must_be(0), 'count_other', start, thing.byte, nbytes)


def record(driver: Driver, seed: int, nr_operations: int) -> Trace:
    """Record a trace of so many operations on a kernel that has just started."""
    return Recorder(driver, seed).record(nr_operations)


def replay(driver: Driver, calls: Sequence[Call]) -> list[int]:
    """The results of the calls on another kernel that has just started."""
    return driver.execute(calls)
