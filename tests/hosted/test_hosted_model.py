"""Heaps of a process against a model: threads that come, end and fork, blocks that any of them gives back.

Interpreted, on memory of this process, and compiled with checks. Threads take turns here; that they may run at once is
for tests/run/test_shared_library_threads.py.
"""

import ctypes
import mmap
import os
import random
from collections.abc import Callable
from contextlib import ExitStack
from functools import cache
from typing import Any, Final
from unittest.mock import patch

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from incroos.build.codegen import compile_host
from incroos.build.memory_code import CodeInMemory
from incroos.hosted import kept, pool, remote
from incroos.hosted import malloc as front
from incroos.hosted.calls import CALLS
from incroos.hosted.configs import HOSTED
from incroos.hosted.figures import Figures, count
from incroos.hosted.pool import Pool
from incroos.kernel.codes import NO_ADDRESSES, NO_FRAME, NOT_MAPPED, OK
from incroos.kernel.heap.chunk.resize import LEAST_MOVED
from incroos.kernel.heap.zeroing import LEAST_EMPTIED
from incroos.kernel.state import HostedHeap
from incroos.lang import VirtAddr
from incroos.lang.frontend import RAW, compile_unit
from incroos.machine.host import C_FUNCTION, HostMemory

from ..budget import FULL

SLOT_BYTES: Final = 1 << 26
NR_SLOTS: Final = 6  # the first thread has two: few enough to run out
NR_WIDE: Final = 2
HEAD_BYTES: Final = 4096 + HostedHeap.SIZE & -4096
JUNK: Final = 0xE5  # in pages that are not mapped
MAX_BLOCKS: Final = 60
MAX_FOREIGN: Final = 8
SITE: Final = 0x1234
NOBODY: Final = 0  # a thread without a heap: it shares one
sizes = st.integers(0, 200) | st.integers(0, 5000) | st.sampled_from([16, 1024, 4096, 70_000, 300_000])

OF_POOLS: Final = (*(row.function for row in CALLS if '(struct pool *' in row.shim), pool.check)
OF_HEAPS: Final = tuple(row.function for row in CALLS if '(struct heap *' in row.shim)
NR_WORDS: Final = (
    dict.fromkeys(('get', 'enter_shared', 'trim_others', 'give_back', 'usable_bytes'), 2)
    | dict.fromkeys(('malloc', 'free'), 3)
    | dict.fromkeys(('after_fork_in_child', 'count', 'calloc', 'realloc', 'memalign'), 4)
    | {'init': 6, 'exchange': 5}
)
VOID: Final = ctypes.c_void_p
# Bounds for the few blocks that live here: else no heap would look at the lists of others.
SMALL: Final = {remote: {'LEAST_WAITING': 100}, kept: {'LEAST_WORTH': 100, 'LEAST_GROWTH': 0, 'NR_SORTED': 3}}
Calls = dict[Any, Callable[..., int]]


class ProcessMemory(HostMemory):
    """Memory of this process as the machine of hosted heaps."""

    config = HOSTED


def interpreted(memory: ProcessMemory) -> Calls:
    """The functions by themselves, each called with the address of its pool or heap, and words."""

    def on(function: Callable[..., Any]) -> Callable[..., int]:
        view = Pool if function in OF_POOLS else HostedHeap
        return lambda addr, *words: function(view(memory, VirtAddr(addr)), *words) or 0

    return {f: on(f) for f in (*OF_POOLS, *OF_HEAPS)}


def small_bounds() -> ExitStack:
    """The bounds for as long as they are wanted: a library that is built meanwhile must not get them."""
    stack = ExitStack()
    for module, bounds in SMALL.items():
        for name, value in bounds.items():
            stack.enter_context(patch.object(module, name, value))
    return stack


@cache
def compiled() -> tuple[Calls, CodeInMemory]:
    """The same, compiled with checks; there as long as the code is kept."""
    roots = {f'{"pool" if f in OF_POOLS else "heap"}_{f.__name__}': f for f in (*OF_POOLS, *OF_HEAPS)}
    with small_bounds():
        unit = compile_unit(roots, RAW, HOSTED, checked=True)
    code = CodeInMemory(compile_host(unit.ir, is_quick=True), ctypes.cast(TRAP, VOID).value or 0)
    return {f: code.function(name, NR_WORDS.get(f.__name__, 1)) for name, f in roots.items()}, code


def trap(site: int) -> None:
    os.write(2, f'a check failed at site {site}\n'.encode())  # no exception reaches over compiled code
    os.abort()


TRAP: Final = ctypes.CFUNCTYPE(None, ctypes.c_int64)(trap)


class Stopped(Exception):
    """A heap ends its process with a sentence."""


class HeapsOfAProcess(RuleBasedStateMachine):
    """Whatever threads do in turn, blocks lie apart and keep their bytes, and all metadata is in order."""

    is_compiled = False
    nr_slots = NR_SLOTS

    def __init__(self) -> None:
        super().__init__()
        self.kept: list[Any] = []
        self.bounds = ExitStack() if self.is_compiled else small_bounds()
        self.memory = ProcessMemory((self.nr_slots + 2) * SLOT_BYTES)
        self.calls = compiled()[0] if self.is_compiled else interpreted(self.memory)
        self.pool = self.memory.base
        base = (self.memory.base + SLOT_BYTES) & -SLOT_BYTES
        view = Pool(self.memory, VirtAddr(self.pool))
        self.mapped: set[int] = set()  # pages
        self.foreign: set[int] = set()  # pages that somebody else has
        self.moved: set[int] = set()  # pages that a mapping of their own has
        self.lost: set[int] = set()  # pages that nobody has any more
        self.is_locked = False  # memory, so that no page is given back
        self.refusal = OK  # the code of the next move, or renewal
        for name in ('give_way', 'map', 'unmap', 'release', 'renew', 'move', 'no_room', 'stop'):
            setattr(view, name, self.address_of(getattr(self, name)))
        view.secret = 0x1234_5678_9ABC_DEF1
        self.pool_base = base
        self.call(pool.init, self.pool, base, SLOT_BYTES, self.nr_slots, NR_WIDE, self.pool + Pool.SIZE)
        self.process = 100
        self.slots = ['unused'] * self.nr_slots  # the model of the pool
        self.threads: list[int] = []  # their heaps; the first forks, and never ends
        self.begin_thread()
        self.blocks: dict[int, bytes] = {}
        self.alignments: dict[int, int] = {}  # of those that asked for one, live or not

    def call(self, function: Callable[..., Any], *words: int) -> int:
        return self.calls[function](*words)

    def address_of(self, function: Callable[..., int]) -> int:
        """By which kernel code calls a function; one that raises only where it is interpreted."""
        if not self.is_compiled:
            return self.memory.register(function)
        self.kept.append(C_FUNCTION(function))
        return ctypes.cast(self.kept[-1], VOID).value or 0

    def give_way(self, *_: int) -> int:
        return 0

    def no_room(self, heap: int, alignment: int, nbytes: int, site: int) -> int:
        other = 0
        if heap in self.threads:
            other = self.call(pool.exchange, self.pool, heap, alignment, nbytes, self.process)
        if other == 0:
            self.see_left_out()
            return 0
        assert other == self.take_wide(self.number_of(heap) + 1) or other == self.begin_slot(
            0, self.nr_slots - 1, NR_WIDE, 'owned'
        )
        self.threads[self.threads.index(heap)] = other
        self.slots[self.number_of(heap)] = 'abandoned'
        if alignment == front.ZEROED:
            return self.call(front.calloc, other, 1, nbytes, site)
        return self.call(front.memalign, other, alignment, nbytes, site)

    def see_left_out(self) -> None:
        """The search for a heap may have found foreign pages, and nothing else in the end."""
        for number in range(self.nr_slots):
            holder = self.memory.load64(pool.holder_of(Pool(self.memory, VirtAddr(self.pool)), number))
            if holder == pool.LEFT_OUT and self.slots[number] == 'unused':
                assert self.pages(self.pool_base + number * SLOT_BYTES, HEAD_BYTES) & self.foreign
                self.slots[number] = 'left out'

    def pages(self, start: int, nbytes: int) -> set[int]:
        assert start % 4096 == nbytes % 4096 == 0
        assert nbytes > 0
        return set(range(start, start + nbytes, 4096))

    def map(self, start: int, nbytes: int, *_: int) -> int:
        """Fresh pages are not what they were when they were unmapped; these are zeros, as the system's."""
        pages = self.pages(start, nbytes)
        assert not pages & self.mapped
        if pages & self.foreign:
            return NO_ADDRESSES
        self.mapped |= pages
        ctypes.memset(start, 0, nbytes)
        return 0

    def unmap(self, start: int, nbytes: int, *_: int) -> int:
        pages = self.pages(start, nbytes)
        assert pages <= self.mapped
        self.mapped -= pages
        ctypes.memset(start, JUNK, nbytes)
        return 0

    def release(self, start: int, nbytes: int, *_: int) -> int:
        pages = self.pages(start, nbytes)
        assert pages <= self.mapped | self.lost
        if self.is_locked:
            return NOT_MAPPED
        if pages & self.lost:
            return NO_FRAME  # some are not there, and the rest of them is emptied
        ctypes.memset(start, 0, nbytes)
        return 0

    def next_code(self) -> int:
        code, self.refusal = self.refusal, OK
        return code

    def lose(self, pages: set[int]) -> None:
        self.mapped -= pages
        self.lost |= pages
        for page in pages:
            ctypes.memset(page, JUNK, 4096)

    def renew(self, start: int, nbytes: int, *_: int) -> int:
        pages, code = self.pages(start, nbytes), self.next_code()
        assert pages <= self.mapped
        if code == NO_FRAME:  # a limit is reached: what is there stays
            return code
        self.moved -= pages
        if code != OK:
            self.lose(pages)
        else:
            ctypes.memset(start, 0, nbytes)
        return code

    def move(self, start: int, nbytes: int, to: int, to_bytes: int) -> int:
        pages, others, code = self.pages(start, nbytes), self.pages(to, to_bytes), self.next_code()
        assert pages <= self.mapped
        assert others <= self.mapped
        assert not pages & others
        if not self.moved.isdisjoint(pages) and not pages <= self.moved:
            code = NO_FRAME  # the system moves parts of one mapping
        if code in (OK, NOT_MAPPED):
            self.moved = self.moved - pages | others
            ctypes.memmove(to, start, nbytes)
            ctypes.memset(to + nbytes, 0, to_bytes - nbytes)
            ctypes.memset(start, 0, nbytes)
        if code in (NOT_MAPPED, NO_ADDRESSES):
            self.lose(pages if code == NOT_MAPPED else others)
        return code

    def stop(self, text: int, nbytes: int, *_: int) -> int:
        raise Stopped(ctypes.string_at(text, nbytes))

    # -------------------------------------------------------------- the model of the pool
    def number_of(self, heap: int) -> int:
        assert (heap - self.pool_base) % SLOT_BYTES == 0
        return (heap - self.pool_base) // SLOT_BYTES

    def take_slot(self, end: int, kind: str) -> int:
        """The heap that somebody gets next, or NOBODY; the model's slot becomes one of this kind."""
        for number in range(end):
            if self.slots[number] == 'abandoned':
                self.slots[number] = kind
                return self.pool_base + number * SLOT_BYTES
            if self.slots[number] == 'unused':
                return self.begin_slot(number, end, NR_WIDE if number == 0 else 1, kind)
        return NOBODY

    def take_wide(self, start: int) -> int:
        """The first abandoned heap behind one that is wide, which becomes owned; or NOBODY."""
        for number in range(start, self.nr_slots - 1):
            parts = self.slots[number + 1 : number + NR_WIDE]
            if self.slots[number] == 'abandoned' and parts == ['part'] * (NR_WIDE - 1):
                self.slots[number] = 'owned'
                return self.pool_base + number * SLOT_BYTES
        return NOBODY

    def begin_slot(self, start: int, end: int, nr_wanted: int, kind: str) -> int:
        for number in range(start, end):
            heap = self.pool_base + number * SLOT_BYTES
            if self.slots[number] == 'unused' and self.pages(heap, HEAD_BYTES) & self.foreign:
                self.slots[number] = 'left out'
            elif self.slots[number] == 'unused':
                self.slots[number] = kind
                for part in range(number + 1, min(number + nr_wanted, end)):
                    if self.slots[part] != 'unused':
                        break
                    self.slots[part] = 'part'
                return heap
        return NOBODY

    def enter_shared(self) -> int:
        """The shared heap for the thread that calls; NOBODY when there is none and no slot for one."""
        if 'shared' in self.slots:
            wanted = self.pool_base + self.slots.index('shared') * SLOT_BYTES
        else:
            wanted = self.take_slot(self.nr_slots, 'shared')
        assert self.call(pool.enter_shared, self.pool, self.process) == wanted
        return wanted

    def thread_of(self, number: int) -> int:
        """One of the threads that have a heap, or that can share one."""
        can_share = any(kind in ('shared', 'abandoned', 'unused') for kind in self.slots)
        able = [at for at, heap in enumerate(self.threads) if heap != NOBODY or can_share]
        return able[number % len(able)]

    def on_heap_of(self, thread: int, function: Callable[..., Any], *words: int) -> int:
        """Call a function as this thread does, which may have to share a heap."""
        heap = self.threads[self.thread_of(thread)]
        if heap != NOBODY:
            return self.call(function, heap, *words)
        shared = self.enter_shared()
        if shared == NOBODY:
            assert self.foreign
            return 0
        answer = self.call(function, shared, *words)
        self.call(pool.leave_shared, shared)
        return answer

    def note(self, ptr: int, nbytes: int, byte: int) -> None:
        """A block that somebody got: all of it is filled."""
        if ptr == 0:
            assert self.foreign, 'nobody had the addresses'
            return
        usable = self.on_heap_of(0, front.usable_bytes, ptr)
        assert ptr % 16 == 0
        assert usable >= nbytes
        for other, content in self.blocks.items():
            assert ptr + usable <= other or other + len(content) <= ptr
        self.blocks[ptr] = bytes([byte]) * usable
        self.alignments.pop(ptr, None)
        ctypes.memset(ptr, byte, usable)

    def take(self, number: int) -> int:
        """One of the blocks."""
        return list(self.blocks)[number % len(self.blocks)]

    # -------------------------------------------------------------- threads
    @rule()
    def begin_thread(self) -> None:
        wanted = self.take_slot(self.nr_slots - 1, 'owned')  # with all that lives in it
        assert self.call(pool.get, self.pool, self.process) == wanted
        self.threads.append(wanted)

    @precondition(lambda self: len(self.threads) > 1)
    @rule(number=st.integers(0, 100))
    def end_thread(self, number: int) -> None:
        heap = self.threads.pop(1 + number % (len(self.threads) - 1))
        if heap != NOBODY:
            self.call(front.leave, heap)
            self.slots[self.number_of(heap)] = 'abandoned'

    @rule(is_entered=st.booleans(), has_handler=st.booleans(), difference=st.integers(0, 1))
    def fork_and_be_the_child(self, is_entered: bool, has_handler: bool, difference: int) -> None:
        """Another thread may be in the shared heap meanwhile. There may be no handler, which sees who is lost.

        The child may have its parent's number, but not without a handler.
        """
        if is_entered and self.enter_shared() != NOBODY:
            self.slots[self.slots.index('shared')] = 'lost'
        parent = self.process
        self.process += difference if has_handler else 1
        kind = 'owned'
        if has_handler:
            self.call(pool.after_fork_in_child, self.pool, self.threads[0], parent, self.process)
            kind = 'lost'
        for heap in self.threads[1:]:
            if heap != NOBODY:
                self.slots[self.number_of(heap)] = kind
        self.threads = self.threads[:1]
        if has_handler:
            lost = [self.pool_base + n * SLOT_BYTES for n, kind in enumerate(self.slots) if kind == 'lost']
            assert all(pool.is_lost(HostedHeap(self.memory, VirtAddr(heap))) for heap in lost)

    # -------------------------------------------------------------- others
    @precondition(lambda self: len(self.foreign) < MAX_FOREIGN)
    @rule(thread=st.integers(0, 100), in_slabs=st.booleans(), distance=st.integers(0, 20) | st.integers(0, 4000))
    def take_a_page_before_a_heap(self, thread: int, in_slabs: bool, distance: int) -> None:
        """Somebody else maps a page where a heap has not grown to, or where the next one would begin."""
        heap = HostedHeap(self.memory, VirtAddr(self.threads[thread % len(self.threads)] or self.pool_base))
        if in_slabs:
            page = heap.heap.slabs.area.mapped_end if heap.addr in self.threads else self.next_slot()
        else:
            page = heap.heap.chunks.committed_end if heap.addr in self.threads else self.next_slot()
        page += distance * 4096
        if self.pool_base <= page < self.pool_base + self.nr_slots * SLOT_BYTES and page not in self.mapped:
            self.foreign.add(page)

    def next_slot(self) -> int:
        number = self.slots.index('unused') if 'unused' in self.slots else self.nr_slots
        return self.pool_base + number * SLOT_BYTES

    # -------------------------------------------------------------- blocks
    @precondition(lambda self: len(self.blocks) < MAX_BLOCKS)
    @rule(thread=st.integers(0, 100), nbytes=sizes, byte=st.integers(0, 255))
    def malloc(self, thread: int, nbytes: int, byte: int) -> None:
        self.note(self.on_heap_of(thread, front.malloc, nbytes, SITE), nbytes, byte)

    @precondition(lambda self: len(self.blocks) < MAX_BLOCKS)
    @rule(thread=st.integers(0, 100), nbytes=sizes, byte=st.integers(0, 255))
    def calloc(self, thread: int, nbytes: int, byte: int) -> None:
        ptr = self.on_heap_of(thread, front.calloc, 1, nbytes, SITE)
        assert ptr == 0 or ctypes.string_at(ptr, nbytes) == bytes(nbytes)
        self.note(ptr, nbytes, byte)

    @precondition(lambda self: len(self.blocks) < MAX_BLOCKS)
    @rule(thread=st.integers(0, 100), shift=st.integers(0, 16), nbytes=sizes, byte=st.integers(0, 255))
    def memalign(self, thread: int, shift: int, nbytes: int, byte: int) -> None:
        ptr = self.on_heap_of(thread, front.memalign, 1 << shift, nbytes, SITE)
        assert ptr % (1 << shift) == 0
        self.note(ptr, nbytes, byte)
        if ptr != 0:
            self.alignments[ptr] = 1 << shift

    @precondition(lambda self: self.blocks)
    @rule(thread=st.integers(0, 100), number=st.integers(0, 1000))
    def free(self, thread: int, number: int) -> None:
        ptr = self.take(number)
        del self.blocks[ptr]
        self.on_heap_of(thread, front.free, ptr, SITE)

    @precondition(lambda self: self.blocks)
    @rule(number=st.integers(0, 1000))
    def free_without_a_heap(self, number: int) -> None:
        ptr = self.take(number)
        del self.blocks[ptr]
        assert self.call(front.give_back, self.pool, ptr) == 1

    @precondition(lambda self: self.blocks)
    @rule(thread=st.integers(0, 100), number=st.integers(0, 1000), nbytes=sizes, byte=st.integers(0, 255))
    def realloc(self, thread: int, number: int, nbytes: int, byte: int) -> None:
        ptr = self.take(number)
        before = self.blocks.pop(ptr)
        alignment = self.alignments.get(ptr, 1)
        new = self.on_heap_of(thread, front.realloc, ptr, max(nbytes, 1), SITE)
        if new == 0:
            assert self.foreign
            self.blocks[ptr] = before
            return
        kept = min(nbytes, len(before))
        assert ctypes.string_at(new, kept) == before[:kept]
        self.note(new, nbytes, byte)
        assert new % alignment == 0
        self.alignments[new] = alignment

    @precondition(lambda self: self.blocks and sum(map(len, self.blocks.values())) < 6 << 20)
    @rule(
        thread=st.integers(0, 100),
        number=st.integers(0, 1000),
        nbytes=st.sampled_from([LEAST_MOVED, LEAST_MOVED + 9000, 3 * LEAST_MOVED]),
        code=st.sampled_from([OK, OK, OK, OK, NO_FRAME, NO_ADDRESSES, NOT_MAPPED]),
    )
    def realloc_what_is_large(self, thread: int, number: int, nbytes: int, code: int) -> None:
        """To where it fits, and once more; the system may refuse to move pages, and lose some."""
        self.realloc(thread, number, nbytes, 7)
        self.refusal = code
        self.realloc(thread, len(self.blocks) - 1, nbytes * 3 // 2, 8)
        self.refusal = OK

    @precondition(lambda self: sum(map(len, self.blocks.values())) < 6 << 20)
    @rule(thread=st.integers(0, 100), is_locked=st.booleans(), code=st.sampled_from([OK, OK, NO_FRAME, NO_ADDRESSES]))
    def calloc_what_is_large(self, thread: int, is_locked: bool, code: int) -> None:
        self.is_locked = is_locked
        self.calloc(thread, LEAST_EMPTIED + 20_000, 9)
        if self.blocks:
            self.refusal = code
            self.free(thread, len(self.blocks) - 1)
            self.refusal = OK
        self.is_locked = False

    @precondition(lambda self: self.blocks and not self.is_compiled)
    @rule(thread=st.integers(0, 100), number=st.integers(0, 1000))
    def free_twice(self, thread: int, number: int) -> None:
        """By one thread, at once. The process would end; here it goes on, and nothing has changed."""
        heap = self.threads[thread % len(self.threads)]
        ptr = self.take(number)
        if heap == NOBODY or not heap <= ptr < heap + SLOT_BYTES:
            return
        del self.blocks[ptr]
        self.call(front.free, heap, ptr, SITE)
        with pytest.raises(Stopped, match=f'{ptr:#x}'):
            self.call(front.free, heap, ptr, SITE)
        HostedHeap(self.memory, VirtAddr(heap)).host.nr_chars = 0

    @rule(thread=st.integers(0, 100))
    def trim(self, thread: int) -> None:
        self.on_heap_of(thread, front.trim)

    @rule()
    def trim_others(self) -> None:
        self.call(front.trim_others, self.pool, self.process)

    @rule(thread=st.integers(0, 100))
    def look_at_figures(self, thread: int) -> None:
        """The figures of all heaps: never less is used than the blocks of living heaps, never more than there is."""
        own = self.threads[thread % len(self.threads)]
        figures = Figures(self.memory, VirtAddr(self.memory.base + 4096))
        total = 0
        for number in range(self.nr_slots):
            if self.call(count, self.pool, number, own, figures.addr):
                assert 0 <= figures.used_bytes <= figures.system_bytes
                assert figures.nr_free >= 1
                total += figures.used_bytes
        assert total >= sum(map(len, self.blocks.values()))

    # -------------------------------------------------------------- metadata
    @invariant()
    def nobody_has_what_is_lost(self) -> None:
        for page in self.lost:
            assert ctypes.string_at(page, 4096) == bytes([JUNK]) * 4096

    @invariant()
    def metadata_is_in_order(self) -> None:
        assert self.call(pool.check, self.pool) == OK
        for number, kind in enumerate(self.slots):
            if kind not in ('unused', 'left out', 'part', 'lost'):
                assert self.call(front.check, self.pool_base + number * SLOT_BYTES) == OK

    def teardown(self) -> None:
        self.bounds.close()
        for ptr, content in self.blocks.items():
            assert ctypes.string_at(ptr, len(content)) == content
        self.memory.buffer.madvise(mmap.MADV_REMOVE)  # views of it are left, and so is the mapping


class Compiled(HeapsOfAProcess):
    is_compiled = True


Checks = {'suppress_health_check': list(HealthCheck)}
TestInterpreted = HeapsOfAProcess.TestCase
TestInterpreted.settings = settings(max_examples=300 if FULL else 25, stateful_step_count=60, **Checks)  # type: ignore[arg-type]
TestCompiled = Compiled.TestCase
TestCompiled.settings = settings(max_examples=3000 if FULL else 100, stateful_step_count=100, **Checks)  # type: ignore[arg-type]


# ------------------------------------------------------------------ addresses
@pytest.mark.parametrize('machine', [HeapsOfAProcess, Compiled])
def test_a_thread_goes_on_elsewhere_when_others_have_the_addresses_behind_its_heap(
    machine: type[HeapsOfAProcess],
) -> None:
    heaps = machine()
    heaps.malloc(0, 300_000, 1)
    first, block = heaps.threads[0], heaps.take(0)
    heaps.take_a_page_before_a_heap(0, False, 0)
    heaps.take_a_page_before_a_heap(0, True, 0)
    heaps.foreign.add(heaps.next_slot())
    for _ in range(4):
        heaps.malloc(0, 300_000, 2)
    assert len(heaps.blocks) == 5
    assert heaps.threads[0] != first
    assert heaps.slots[heaps.number_of(first)] == 'abandoned'
    heaps.realloc(0, 0, 500_000, 3)  # of a heap that is left
    assert block not in heaps.blocks
    heaps.metadata_is_in_order()
    heaps.teardown()


def test_a_request_that_is_larger_than_a_slot_gets_a_wide_heap() -> None:
    heaps = HeapsOfAProcess()
    heaps.begin_thread()
    heaps.malloc(1, 100, 1)
    heaps.malloc(1, SLOT_BYTES * 3 // 4, 2)
    assert len(heaps.blocks) == 2
    heaps.malloc(1, 100, 3)
    heaps.free(0, 0)
    heaps.metadata_is_in_order()
    before = list(heaps.threads)
    assert heaps.on_heap_of(1, front.malloc, SLOT_BYTES * 2, SITE) == 0  # no heap has so much: none is used up
    assert heaps.threads == before
    heaps.teardown()


def test_a_wide_heap_that_was_left_serves_the_next_request_that_is_larger_than_a_slot() -> None:
    """Each such thread began another wide heap, and after the last slots such requests got nothing."""
    heaps = HeapsOfAProcess()
    for _ in range(2 * heaps.nr_slots):
        heaps.begin_thread()
        heaps.malloc(1, SLOT_BYTES * 3 // 4, 2)
        heaps.free(1, 0)
        heaps.end_thread(0)
        heaps.metadata_is_in_order()
    assert heaps.slots.count('abandoned') == 2
    heaps.teardown()


class Refused(HeapsOfAProcess):
    """The system may refuse pages to a thread."""

    meanwhile: Callable[[], object] | None = None  # what another thread does while it refuses the next ones

    def map(self, start: int, nbytes: int, *more: int) -> int:
        if self.meanwhile is None:
            return super().map(start, nbytes, *more)
        work, self.meanwhile = self.meanwhile, None
        work()
        return NO_FRAME

    def begin_behind(self) -> None:
        """Another thread begins in the slot behind."""
        self.behind = self.call(pool.get, self.pool, self.process)


def test_a_heap_that_was_left_is_found_behind_a_slot_for_which_there_is_no_memory() -> None:
    heaps = Refused()
    heaps.meanwhile = heaps.begin_behind
    assert heaps.call(pool.get, heaps.pool, heaps.process) == NOBODY
    heaps.call(front.leave, heaps.behind)
    heaps.meanwhile = lambda: None
    assert heaps.call(pool.get, heaps.pool, heaps.process) == heaps.behind
    assert heaps.call(pool.check, heaps.pool) == OK
    heaps.teardown()


class CountsReleases(HeapsOfAProcess):
    """The same, with the pages that each call gave back."""

    def __init__(self) -> None:
        self.released: list[set[int]] = []
        super().__init__()

    def release(self, start: int, nbytes: int, *_: int) -> int:
        self.released.append(self.pages(start, nbytes))
        return super().release(start, nbytes)


def test_pages_of_free_slabs_go_back_neighbours_together() -> None:
    """Nearly all of them, without a trim, and while some stay in use; what they held is had again."""
    heaps = CountsReleases()
    own = heaps.threads[0]
    blocks = [heaps.call(front.malloc, own, 500, SITE) for _ in range(6400)]
    kept = set(blocks[::1600])
    for ptr in random.Random(1).sample(blocks, len(blocks)):
        if ptr not in kept:
            heaps.call(front.free, own, ptr, SITE)
    area = HostedHeap(heaps.memory, VirtAddr(own)).heap.slabs.area
    released = set[int]().union(*heaps.released)
    assert len(released) > 400
    assert len(heaps.released) < len(released) / 4
    assert area.nr_spare < area.top - area.start >> 13
    assert heaps.call(front.check, own) == OK
    again = [heaps.call(front.malloc, own, 500, SITE) for _ in range(6000)]
    assert 0 not in again
    assert len(set(again) | kept) == len(again) + len(kept)
    assert heaps.call(front.check, own) == OK
    heaps.teardown()


@pytest.mark.parametrize('code', [OK, NO_FRAME, NO_ADDRESSES, NOT_MAPPED])
def test_a_large_block_grows_by_its_pages_or_is_copied(code: int) -> None:
    heaps = HeapsOfAProcess()
    heaps.memalign(0, 6, LEAST_MOVED, 1)
    heaps.malloc(0, LEAST_MOVED, 2)
    heaps.refusal = code
    heaps.realloc(0, 0, 2 * LEAST_MOVED, 3)
    assert (len(heaps.moved) > LEAST_MOVED >> 12) == (code in (OK, NOT_MAPPED))
    assert (len(heaps.lost) > 0) == (code in (NO_ADDRESSES, NOT_MAPPED))
    for _ in range(3):
        heaps.realloc(0, 0, 2 * LEAST_MOVED, 4)
        heaps.realloc(0, 0, 3 * LEAST_MOVED, 5)
    while heaps.blocks:
        heaps.free(0, 0)
    assert not heaps.moved - heaps.lost
    heaps.nobody_has_what_is_lost()
    heaps.metadata_is_in_order()
    heaps.teardown()


@pytest.mark.parametrize('code', [OK, NOT_MAPPED])
def test_a_large_block_of_another_thread_grows_by_its_pages(code: int) -> None:
    heaps = HeapsOfAProcess()
    heaps.begin_thread()
    heaps.memalign(0, 6, LEAST_MOVED, 1)
    for thread in (1, 0, 1):
        heaps.refusal = code
        heaps.realloc(thread, 0, len(next(iter(heaps.blocks.values()))) * 2, 2)
        ptr = heaps.take(0)
        assert heaps.threads[thread] < ptr
        assert (ptr + 4096 & -4096) in heaps.moved
    heaps.free(0, 0)
    for thread in (0, 1):
        heaps.trim(thread)
    assert not heaps.moved
    heaps.nobody_has_what_is_lost()
    heaps.metadata_is_in_order()
    heaps.teardown()
