"""Heaps of a process against a model: threads that come, end and fork, blocks that any of them gives back.

Interpreted, on memory of this process, and compiled with checks. Threads take turns here; that they may run at once is
for tests/run/test_shared_library_threads.py.
"""

import ctypes
import mmap
import os
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, Final

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from incroos.build.codegen import compile_host
from incroos.build.memory_code import CodeInMemory
from incroos.hosted import malloc as front
from incroos.hosted import pool
from incroos.hosted.calls import CALLS
from incroos.hosted.configs import HOSTED
from incroos.hosted.figures import Figures, count
from incroos.hosted.pool import Pool
from incroos.kernel.codes import OK
from incroos.kernel.state import HostedHeap
from incroos.kernel.sync import spinlock as locks
from incroos.lang import VirtAddr, word
from incroos.lang.frontend import RAW, compile_unit
from incroos.machine.host import C_FUNCTION, HostMemory

from ..budget import FULL

SLOT_BYTES: Final = 1 << 26
NR_SLOTS: Final = 5  # the first of them is shared: few enough to run out
MAX_BLOCKS: Final = 60
SITE: Final = 0x1234
NOBODY: Final = 0  # a thread without a heap: it shares one
sizes = st.integers(0, 200) | st.integers(0, 5000) | st.sampled_from([16, 1024, 4096, 70_000, 300_000])

OF_POOLS: Final = (*(row.function for row in CALLS if '(struct pool *' in row.shim), pool.check)
OF_HEAPS: Final = tuple(row.function for row in CALLS if '(struct heap *' in row.shim)
NR_WORDS: Final = {'after_fork_in_child': 2, 'malloc': 3, 'free': 3, 'usable_bytes': 2} | dict.fromkeys(
    ('init', 'count', 'calloc', 'realloc', 'memalign'), 4
)
VOID: Final = ctypes.c_void_p
Calls = dict[Any, Callable[..., int]]


class ProcessMemory(HostMemory):
    """Memory of this process as the machine of hosted heaps. Interpreted, it sees in which order locks are got."""

    config = HOSTED
    order: Sequence[int] = ()  # addresses of locks: who holds one gets only those behind it

    def watch(self, *order: int) -> None:
        """Nobody holds one of these locks now."""
        self.order, self.held = order, list[int]()

    def atomic_compare_exchange64(self, addr: VirtAddr, expected: word, desired: word) -> word:
        before = super().atomic_compare_exchange64(addr, expected, desired)
        if addr in self.order:
            assert (before, desired) == (locks.FREE, locks.HELD), 'a lock that nobody will release: threads take turns'
            behind = self.order[self.order.index(addr) :]
            assert not set(self.held).intersection(behind), "locks are got in an order that is not the pool's"
            self.held.append(addr)
        return before

    def atomic_store64(self, addr: VirtAddr, value: word) -> None:
        if addr in self.order:
            assert value == locks.FREE
            assert addr in self.held, 'a lock is released that nobody holds'
            self.held.remove(addr)
        super().atomic_store64(addr, value)


def interpreted(memory: ProcessMemory) -> Calls:
    """The functions by themselves, each called with the address of its pool or heap, and words."""

    def on(view: type[Pool] | type[HostedHeap], function: Callable[..., Any]) -> Callable[..., int]:
        return lambda addr, *words: function(view(memory, addr), *words) or 0

    return {f: on(Pool, f) for f in OF_POOLS} | {f: on(HostedHeap, f) for f in OF_HEAPS}


@cache
def compiled() -> tuple[Calls, CodeInMemory]:
    """The same, compiled with checks; there as long as the code is kept."""
    roots = {f'{"pool" if f in OF_POOLS else "heap"}_{f.__name__}': f for f in (*OF_POOLS, *OF_HEAPS)}
    unit = compile_unit(roots, RAW, HOSTED, checked=True)
    code = CodeInMemory(compile_host(unit.ir), ctypes.cast(TRAP, VOID).value or 0)
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

    def __init__(self) -> None:
        super().__init__()
        self.kept: list[Any] = []
        self.memory = ProcessMemory((NR_SLOTS + 2) * SLOT_BYTES)
        self.calls = compiled()[0] if self.is_compiled else interpreted(self.memory)
        self.pool = self.memory.base
        base = (self.memory.base + SLOT_BYTES) & -SLOT_BYTES
        view = Pool(self.memory, VirtAddr(self.pool))
        functions = (self.nothing, self.release, self.nothing, self.stop)
        view.give_way, view.release, view.no_memory, view.stop = [self.address_of(each) for each in functions]
        view.secret = 0x1234_5678_9ABC_DEF1
        self.call(pool.init, self.pool, base, SLOT_BYTES, NR_SLOTS)
        self.memory.watch(pool.lock_of(view), pool.shared_lock_of(view))
        self.threads = [self.call(pool.get, self.pool)]  # their heaps; the first forks, and never ends
        self.nr_lost = 0
        self.abandoned: list[int] = []
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

    def nothing(self, *_: int) -> int:
        return 0

    def release(self, start: int, nbytes: int, *_: int) -> int:
        assert start % 4096 == nbytes % 4096 == 0
        ctypes.memset(start, 0, nbytes)
        return 0

    def stop(self, text: int, nbytes: int, *_: int) -> int:
        raise Stopped(ctypes.string_at(text, nbytes))

    def on_heap_of(self, thread: int, function: Callable[..., Any], *words: int) -> int:
        """Call a function as this thread does, which may have to share a heap."""
        heap = self.threads[thread % len(self.threads)]
        if heap != NOBODY:
            return self.call(function, heap, *words)
        shared = self.call(pool.enter_shared, self.pool)
        assert shared != 0
        answer = self.call(function, shared, *words)
        self.call(pool.leave_shared, self.pool)
        return answer

    def note(self, ptr: int, nbytes: int, byte: int) -> None:
        """A block that somebody got: all of it is filled."""
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
        heap = self.call(pool.get, self.pool)
        if self.abandoned:
            assert heap == self.abandoned.pop()  # with all that lives in it
        else:
            nr_used = len([each for each in self.threads if each != NOBODY]) + self.nr_lost
            assert (heap != NOBODY) == (nr_used < NR_SLOTS - 1)
            assert heap == NOBODY or heap not in self.threads
        self.threads.append(heap)

    @precondition(lambda self: len(self.threads) > 1)
    @rule(number=st.integers(0, 100))
    def end_thread(self, number: int) -> None:
        heap = self.threads.pop(1 + number % (len(self.threads) - 1))
        if heap != NOBODY:
            self.call(front.leave, heap)
            self.abandoned.append(heap)

    @rule()
    def fork_and_be_the_parent(self) -> None:
        self.call(pool.before_fork, self.pool)
        self.call(pool.after_fork, self.pool)

    @rule()
    def fork_and_be_the_child(self) -> None:
        self.call(pool.before_fork, self.pool)
        self.call(pool.after_fork_in_child, self.pool, self.threads[0])
        lost = [heap for heap in self.threads[1:] if heap != NOBODY]
        assert all(HostedHeap(self.memory, VirtAddr(heap)).host.ownership == pool.LOST for heap in lost)
        self.nr_lost += len(lost)
        self.threads = self.threads[:1]

    # -------------------------------------------------------------- blocks
    @precondition(lambda self: len(self.blocks) < MAX_BLOCKS)
    @rule(thread=st.integers(0, 100), nbytes=sizes, byte=st.integers(0, 255))
    def malloc(self, thread: int, nbytes: int, byte: int) -> None:
        self.note(self.on_heap_of(thread, front.malloc, nbytes, SITE), nbytes, byte)

    @precondition(lambda self: len(self.blocks) < MAX_BLOCKS)
    @rule(thread=st.integers(0, 100), nbytes=sizes, byte=st.integers(0, 255))
    def calloc(self, thread: int, nbytes: int, byte: int) -> None:
        ptr = self.on_heap_of(thread, front.calloc, 1, nbytes, SITE)
        assert ctypes.string_at(ptr, nbytes) == bytes(nbytes)
        self.note(ptr, nbytes, byte)

    @precondition(lambda self: len(self.blocks) < MAX_BLOCKS)
    @rule(thread=st.integers(0, 100), shift=st.integers(0, 16), nbytes=sizes, byte=st.integers(0, 255))
    def memalign(self, thread: int, shift: int, nbytes: int, byte: int) -> None:
        ptr = self.on_heap_of(thread, front.memalign, 1 << shift, nbytes, SITE)
        assert ptr % (1 << shift) == 0
        self.note(ptr, nbytes, byte)
        self.alignments[ptr] = 1 << shift

    @precondition(lambda self: self.blocks)
    @rule(thread=st.integers(0, 100), number=st.integers(0, 1000))
    def free(self, thread: int, number: int) -> None:
        ptr = self.take(number)
        del self.blocks[ptr]
        self.on_heap_of(thread, front.free, ptr, SITE)

    @precondition(lambda self: self.blocks)
    @rule(thread=st.integers(0, 100), number=st.integers(0, 1000), nbytes=sizes, byte=st.integers(0, 255))
    def realloc(self, thread: int, number: int, nbytes: int, byte: int) -> None:
        ptr = self.take(number)
        before = self.blocks.pop(ptr)
        alignment = self.alignments.get(ptr, 1)
        new = self.on_heap_of(thread, front.realloc, ptr, max(nbytes, 1), SITE)
        kept = min(nbytes, len(before))
        assert ctypes.string_at(new, kept) == before[:kept]
        self.note(new, nbytes, byte)
        assert new % alignment == 0
        self.alignments[new] = alignment

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
        self.call(front.trim_others, self.pool)
        self.abandoned.sort()  # each was adopted and left in turn, and the last one left is the next to be adopted

    @rule(thread=st.integers(0, 100))
    def look_at_figures(self, thread: int) -> None:
        """The figures of all heaps: never less is used than the blocks of living heaps, never more than there is."""
        own = self.threads[thread % len(self.threads)]
        figures = Figures(self.memory, VirtAddr(self.memory.base + 4096))
        total = 0
        for number in range(NR_SLOTS):
            if self.call(count, self.pool, number, own, figures.addr):
                assert 0 <= figures.used_bytes <= figures.system_bytes
                assert figures.nr_free >= 1
                total += figures.used_bytes
        assert total >= sum(map(len, self.blocks.values()))

    # -------------------------------------------------------------- metadata
    @invariant()
    def nobody_holds_a_lock(self) -> None:
        assert self.memory.held == []

    @invariant()
    def metadata_is_in_order(self) -> None:
        assert self.call(pool.check, self.pool) == OK
        for heap in (*self.threads, *self.abandoned):
            if heap != NOBODY:
                assert self.call(front.check, heap) == OK

    def teardown(self) -> None:
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


# ------------------------------------------------------------------ locks
@pytest.mark.parametrize('has_shared', [True, False])
def test_a_fork_holds_both_locks_the_pools_first(has_shared: bool) -> None:
    heaps = HeapsOfAProcess()
    if has_shared:
        heaps.threads.append(NOBODY)
        heaps.on_heap_of(1, front.malloc, 10, SITE)
    for after, words in ((pool.after_fork, ()), (pool.after_fork_in_child, (heaps.threads[0],))):
        shared = heaps.call(pool.before_fork, heaps.pool)
        assert (shared != 0) == has_shared
        assert heaps.memory.held == list(heaps.memory.order)
        heaps.call(after, heaps.pool, *words)
        assert heaps.memory.held == []
    heaps.teardown()


def test_no_lock_is_kept_when_there_is_no_shared_heap() -> None:
    heaps = HeapsOfAProcess()
    Pool(heaps.memory, VirtAddr(heaps.pool)).base = VirtAddr(0)
    assert heaps.call(pool.enter_shared, heaps.pool) == 0
    assert heaps.memory.held == []
    heaps.teardown()
