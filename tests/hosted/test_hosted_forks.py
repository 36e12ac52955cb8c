"""A process is copied at each instant of a call: the pool and the heaps of the threads that go on are in order.

An instant is the time before a store to memory or a call to map; the code is interpreted. Whoever is in the call is
either left behind, or it is interrupted by a signal handler that forks, and goes on in the child.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Final

import pytest

from incroos.hosted import malloc as front
from incroos.hosted import pool
from incroos.kernel.codes import NO_ADDRESSES, OK
from incroos.kernel.state import HostedHeap
from incroos.lang import VirtAddr, word

from ..budget import FULL
from .test_hosted_model import NOBODY, SITE, HeapsOfAProcess, ProcessMemory, interpreted

CHILDREN: Final = ((True, 1), (False, 1), (True, 0))  # has fork handlers, and how much its number differs
STEP: Final = 11 if FULL else 197


class LeftBehind(Exception):
    """The thread that is in a call is not in the child."""


class InterruptedMemory(ProcessMemory):
    """Does something once, before one of the stores, which are numbered."""

    nr_stores = 0
    when = -1
    what: Callable[[], None]
    atomic: Sequence[int] = ()  # those on which other threads and a child depend
    is_atomic = False

    def interrupt(self, when: int, what: Callable[[], None]) -> None:
        self.nr_stores, self.when, self.what, self.atomic = 0, when, what, []

    def store(self) -> None:
        if self.is_atomic:
            return
        self.nr_stores += 1
        if self.nr_stores - 1 == self.when:
            self.what()

    def store8(self, addr: VirtAddr, value: word) -> None:
        self.store()
        super().store8(addr, value)

    def store32(self, addr: VirtAddr, value: word) -> None:
        self.store()
        super().store32(addr, value)

    def store64(self, addr: VirtAddr, value: word) -> None:
        self.store()
        super().store64(addr, value)

    def fill(self, addr: VirtAddr, byte: word, nbytes: word) -> None:
        self.store()
        super().fill(addr, byte, nbytes)

    @contextmanager
    def atomically(self) -> Iterator[None]:
        self.atomic = [*self.atomic, self.nr_stores]
        self.store()
        self.is_atomic = True
        yield
        self.is_atomic = False

    def atomic_compare_exchange64(self, addr: VirtAddr, expected: word, desired: word) -> word:
        with self.atomically():
            return super().atomic_compare_exchange64(addr, expected, desired)

    def atomic_exchange64(self, addr: VirtAddr, value: word) -> word:
        with self.atomically():
            return super().atomic_exchange64(addr, value)

    def atomic_store64(self, addr: VirtAddr, value: word) -> None:
        with self.atomically():
            super().atomic_store64(addr, value)


class Process(HeapsOfAProcess):
    """Two threads: the one that forks, and another one."""

    nr_slots = 9

    def __init__(self) -> None:
        super().__init__()
        memory = InterruptedMemory(1 << 30)
        memory.buffer, memory.base, memory.nbytes = self.memory.buffer, self.memory.base, self.memory.nbytes
        memory.callbacks = self.memory.callbacks
        self.memory: InterruptedMemory = memory
        self.calls = interpreted(memory)
        self.mine = self.threads[0]
        self.other = self.call(pool.get, self.pool, self.process)
        self.old = [self.call(front.malloc, heap, 100, SITE) for heap in (self.mine, self.other)]

    def map(self, start: int, nbytes: int, *more: int) -> int:
        """A heap that was not begun may have been mapped. The time before this is an instant, too."""
        if isinstance(self.memory, InterruptedMemory):
            self.memory.store()
        if self.pages(start, nbytes) & self.mapped:
            return NO_ADDRESSES
        return super().map(start, nbytes, *more)

    def give_way(self, *_: int) -> int:
        raise AssertionError('nobody will leave the shared heap')

    # what a thread does meanwhile
    def get_fresh(self) -> int:
        return self.call(pool.get, self.pool, self.process)

    def get_abandoned(self) -> int:
        self.call(front.leave, self.other)
        return self.call(pool.get, self.pool, self.process)

    def leave(self) -> int:
        self.call(front.leave, self.other)
        return NOBODY

    def allocate(self) -> int:
        self.call(front.free, self.other, self.call(front.malloc, self.other, 5000, SITE), SITE)
        return self.other

    def share(self) -> int:
        for nbytes in (40, 5000):
            shared = self.call(pool.enter_shared, self.pool, self.process)
            self.call(front.free, shared, self.call(front.malloc, shared, nbytes, SITE), SITE)
            self.call(pool.leave_shared, shared)
        return NOBODY

    def replace(self) -> int:
        assert self.call(pool.enter_shared, self.pool, self.process + 1000) != NOBODY  # by a thread of a parent
        return self.share()

    def become_the_child(self, own: int, has_handler: bool, difference: int) -> None:
        """In another namespace of processes its number may be its parent's."""
        parent = self.process
        self.process += difference
        if has_handler:
            self.call(pool.after_fork_in_child, self.pool, own, parent, self.process)
            assert self.call(pool.check, self.pool) == OK

    def work(self, heap: int) -> None:
        blocks = [self.call(front.malloc, heap, nbytes, SITE) for nbytes in (8, 100, 900, 3000, 100_000)]
        for block in blocks:
            self.memory.fill(VirtAddr(block), 0x5A, 8)
            self.call(front.free, heap, block, SITE)
        assert self.call(front.check, heap) == OK

    def check_the_child(self, *heaps: int) -> None:
        """These are in order, apart from all that others get, and blocks of the others can be freed."""
        shared = self.call(pool.enter_shared, self.pool, self.process)
        self.call(pool.leave_shared, shared)
        fresh = self.call(pool.get, self.pool, self.process)
        all_heaps = [*heaps, shared, fresh]
        assert len(set(all_heaps)) == len(all_heaps)
        assert NOBODY not in all_heaps
        for heap in all_heaps:
            self.work(heap)
        for block in self.old:
            self.call(front.free, self.mine, block, SITE)
        assert self.call(front.check, self.mine) == OK


CALLS: Final = (
    Process.get_fresh,
    Process.get_abandoned,
    Process.leave,
    Process.allocate,
    Process.share,
    Process.replace,
)


def instants_of(call: Callable[[Process], int]) -> list[int]:
    """The stores of a call before which something happens: those around atomic ones, and some of the others."""
    process = Process()
    process.memory.interrupt(-1, lambda: None)
    call(process)
    process.teardown()
    near = {at + offset for at in process.memory.atomic for offset in (-1, 0, 1, 2)}
    return sorted(near.intersection(range(process.memory.nr_stores)) | {*range(0, process.memory.nr_stores, STEP)})


@pytest.mark.parametrize(('has_handler', 'difference'), CHILDREN)
@pytest.mark.parametrize('call', CALLS)
def test_a_thread_is_left_behind(call: Callable[[Process], int], has_handler: bool, difference: int) -> None:
    def vanish() -> None:
        raise LeftBehind

    for instant in instants_of(call):
        process = Process()
        process.memory.interrupt(instant, vanish)
        with pytest.raises(LeftBehind):
            call(process)
        process.become_the_child(process.mine, has_handler, difference)
        process.check_the_child(process.mine)
        process.teardown()


@pytest.mark.parametrize(('has_handler', 'difference'), CHILDREN)
@pytest.mark.parametrize('call', CALLS)
def test_a_signal_handler_forks(call: Callable[[Process], int], has_handler: bool, difference: int) -> None:
    """The fork handlers that run meanwhile have another heap, as the shim sees to. Then a thread begins."""
    for instant in instants_of(call):
        process = Process()
        begun: list[int] = []

        def fork(process: Process = process, begun: list[int] = begun) -> None:
            meanwhile = process.call(pool.get, process.pool, process.process)
            process.work(meanwhile)
            process.become_the_child(process.mine, has_handler, difference)
            process.work(meanwhile)
            begun.append(process.call(pool.get, process.pool, process.process))
            process.old.append(process.call(front.malloc, begun[0], 100, SITE))
            process.call(front.leave, meanwhile)

        process.memory.interrupt(instant, fork)
        heap = call(process)
        process.check_the_child(process.mine, *begun, *([heap] if heap != NOBODY else []))
        assert not has_handler or process.call(pool.check, process.pool) == OK
        process.teardown()


@pytest.mark.parametrize('difference', [0, 1])
def test_a_heap_that_is_lost_is_told_from_one_that_is_not(difference: int) -> None:
    process = Process()
    process.become_the_child(process.mine, True, difference)
    lost = [pool.is_lost(HostedHeap(process.memory, VirtAddr(heap))) for heap in (process.mine, process.other)]
    assert lost == [False, True]
    process.teardown()
