"""Each frame that a call asks for is refused once: the call says so, and all is as it was before."""

from collections.abc import Callable
from typing import Final

import pytest

from incroos.kernel import heap, pmm, vm
from incroos.kernel.codes import BAD_POINTER, NO_FRAME, NO_ROOM, OK
from incroos.kernel.state import (
    GROWS_DOWN,
    IS_LOCKED,
    IS_SHARED,
    READ,
    WRITE,
    Content,
    ObjectCache,
    PageNode,
    UserSpace,
)
from incroos.kernel.vm import advice_kinds
from incroos.kernel.vm.remapping import KEEPS_RANGE, MAY_MOVE, TO_PLACE
from incroos.lang import VirtAddr

from .space_model import END, MIB, PAGE, WRITE_ERROR, Machine

BASE: Final = 0x4000_0000
SHARED: Final = 0x60_0000_0000
ELSEWHERE: Final = 0x58_0000_0000
FAR: Final = 0x50_0000_0000  # nothing near: three tables are missing
Call = Callable[[Machine, UserSpace], int]


def zeros(user: UserSpace, start: int, nr_pages: int, rights: int = READ | WRITE, flags: int = 0) -> int:
    return vm.map_at(user, start, nr_pages * PAGE, rights, flags, VirtAddr(0), 0)


def map_over(machine: Machine, user: UserSpace) -> int:
    return zeros(user, BASE + PAGE, 2, READ)


def map_a_file(machine: Machine, user: UserSpace) -> int:
    content = next(iter(machine.contents))
    return vm.map_anywhere(user, 0, 3 * PAGE, READ | WRITE, 0, VirtAddr(content), 0)


def fault_of_content(machine: Machine, user: UserSpace) -> int:
    return vm.fault(user, VirtAddr(FAR + 16 * PAGE), 0)


def map_shared(machine: Machine, user: UserSpace) -> int:
    """As mmap does it."""
    memory = vm.create_shared(machine.k, PAGE)
    if memory == 0:
        return NO_ROOM
    found = vm.map_anywhere(user, 0, PAGE, READ | WRITE, IS_SHARED, memory, 0)
    if found < 0:
        vm.destroy_shared(machine.k, Content(machine.k.m, memory))
    return found


def fork(machine: Machine, user: UserSpace) -> int:
    """vm.fork, with a code for none."""
    return OK if vm.fork(machine.k, user) != 0 else NO_FRAME


def advise(user: UserSpace, advice: int) -> int:
    return vm.advise(user, VirtAddr(BASE + PAGE), VirtAddr(BASE + 2 * PAGE), advice)


def lock(user: UserSpace, flags: int) -> int:
    return vm.lock(user, VirtAddr(BASE + PAGE), VirtAddr(BASE + 2 * PAGE), flags)


def remap(user: UserSpace, start: int, nr_pages: int, nr_wanted: int, flags: int, place: int) -> int:
    return vm.remap(user, VirtAddr(start), nr_pages * PAGE, nr_wanted * PAGE, flags | MAY_MOVE, place)


CALLS: Final[dict[str, tuple[Call, tuple[int, ...]]]] = {
    'map over': (map_over, (NO_ROOM,)),
    'map anywhere': (lambda m, u: vm.map_anywhere(u, 0, PAGE, READ, 0, VirtAddr(0), 0), (NO_ROOM,)),
    'map a file': (map_a_file, (NO_ROOM,)),
    'unmap the middle': (lambda m, u: vm.unmap(u, BASE + PAGE, PAGE), (NO_ROOM,)),
    'protect the middle': (lambda m, u: vm.protect(u, BASE + PAGE, PAGE, READ), (NO_ROOM,)),
    'advice for the middle': (lambda m, u: advise(u, advice_kinds.DONT_FORK), (NO_ROOM,)),
    'lock the middle': (lambda m, u: lock(u, IS_LOCKED), (NO_ROOM,)),
    'bring pages': (lambda m, u: vm.populate(u, VirtAddr(FAR), VirtAddr(FAR + PAGE)), (NO_FRAME,)),
    'move the middle': (lambda m, u: remap(u, BASE + PAGE, 4, 4, TO_PLACE, ELSEWHERE), (NO_ROOM,)),
    'move where there is room': (lambda m, u: remap(u, BASE, 7, 600, 0, 0), (NO_ROOM,)),
    'move without the range': (lambda m, u: remap(u, BASE + PAGE, 7, 7, KEEPS_RANGE, ELSEWHERE), (NO_ROOM,)),
    'first write': (lambda m, u: vm.fault(u, VirtAddr(FAR), WRITE_ERROR), (NO_FRAME,)),
    'first read': (lambda m, u: vm.fault(u, VirtAddr(END - PAGE), 0), (NO_FRAME,)),  # for its tables
    'write to the page of zeros': (lambda m, u: vm.fault(u, VirtAddr(BASE + 3 * PAGE), WRITE_ERROR), (NO_FRAME,)),
    'file': (fault_of_content, (NO_FRAME,)),
    'stack': (lambda m, u: vm.fault(u, VirtAddr(END - MIB), WRITE_ERROR), (NO_FRAME,)),
    'copy on write': (lambda m, u: vm.fault(u, VirtAddr(BASE + 6 * PAGE), WRITE_ERROR), (NO_FRAME,)),
    'copy out on write': (lambda m, u: vm.copy_out(u, BASE + 6 * PAGE, m.buffer, 8), (BAD_POINTER,)),
    'page of shared memory': (lambda m, u: vm.fault(u, VirtAddr(SHARED + 70 * PAGE), 0), (NO_FRAME,)),
    'shared memory': (map_shared, (NO_ROOM,)),
    'fork': (fork, (NO_FRAME,)),
    'store': (lambda m, u: vm.store64(u, FAR, -1), (BAD_POINTER,)),
    'copy out': (lambda m, u: vm.copy_out(u, FAR, m.buffer, 1000), (BAD_POINTER,)),
}


def prepared() -> tuple[Machine, UserSpace]:
    """Ranges of all kinds, pages of all kinds, and no node in stock: the next request for one asks for a frame."""
    machine = Machine(16 * MIB)
    content = machine.new_content(bytes(range(256)) * 40)
    user = machine.new_space()
    assert zeros(user, BASE, 8) == BASE
    assert vm.fault(user, VirtAddr(BASE), WRITE_ERROR) == vm.fault(user, VirtAddr(BASE + PAGE), WRITE_ERROR) == OK
    assert vm.fault(user, VirtAddr(BASE + 3 * PAGE), 0) == OK
    assert zeros(user, FAR, 4) == FAR
    assert vm.map_at(user, FAR + 16 * PAGE, 3 * PAGE, READ, 0, content.addr, 0) > 0
    assert zeros(user, END - 4 * PAGE, 4, READ | WRITE, GROWS_DOWN) > 0
    memory = vm.create_shared(machine.k, 100 * PAGE)
    assert vm.map_at(user, SHARED, 100 * PAGE, READ | WRITE, IS_SHARED, memory, 0) == SHARED
    assert vm.fault(user, VirtAddr(BASE + 6 * PAGE), WRITE_ERROR) == OK
    assert vm.fault(user, VirtAddr(FAR + PAGE), 0) == OK
    assert vm.fork(machine.k, user) != 0  # so that all pages are borrowed
    fill_stocks(machine)
    return machine, user


def fill_stocks(machine: Machine) -> None:
    """Let the next request for anything ask for a frame."""
    for nbytes in (Content.SIZE, PageNode.SIZE, UserSpace.SIZE):
        heap.shrink(machine.k)
        nr_free = pmm.nr_free_frames(machine.k)
        while pmm.nr_free_frames(machine.k) == nr_free:
            last = heap.kmalloc(machine.k, nbytes)
        heap.kfree(machine.k, last)
    cache = ObjectCache(machine.k.m, machine.k.vm.ranges)
    nodes = []
    nr_free = pmm.nr_free_frames(machine.k)
    while pmm.nr_free_frames(machine.k) == nr_free:  # nodes up to the first of a slab that is made for it
        nodes.append(heap.cache_alloc(machine.k, cache))
    heap.cache_free(machine.k, cache, nodes.pop())
    heap.shrink(machine.k)


@pytest.mark.parametrize('name', CALLS)
def test_a_refused_frame_changes_nothing(name: str) -> None:
    call, codes = CALLS[name]
    machine, user = prepared()
    before = machine.state(user)
    for request in range(1, 40):
        machine.refuse(request)
        answer = call(machine, user)
        was_refused = machine.k.frames.requests >= request
        machine.refuse(0)
        machine.check()
        if not was_refused:
            assert answer >= 0
            assert request > 1, 'nothing was asked for'
            assert machine.state(user) != before
            return
        assert answer in codes
        assert machine.state(user) == before
    raise AssertionError('it asks without end')


def test_a_space_is_made_or_nothing_is() -> None:
    machine = Machine(16 * MIB)
    heap.shrink(machine.k)
    before = pmm.nr_free_frames(machine.k)
    for request in range(1, 30):
        machine.refuse(request)
        user = vm.create(machine.k)
        was_refused = machine.k.frames.requests >= request
        machine.refuse(0)
        if not was_refused:
            assert user != 0
            assert vm.destroy(UserSpace(machine.k.m, user)) == OK
            return
        assert user == 0
        heap.shrink(machine.k)
        assert pmm.nr_free_frames(machine.k) == before
    raise AssertionError('it asks without end')


def test_a_break_without_memory_stays() -> None:
    machine, user = prepared()
    user.brk_start = user.brk = VirtAddr(0x80_0000)
    before = machine.state(user)
    machine.refuse(1)
    assert vm.set_break(user, 0x80_1000) == 0x80_0000
    machine.refuse(0)
    assert machine.state(user) == before
    assert vm.set_break(user, 0x80_1000) == 0x80_1000


def test_trimming_needs_no_memory() -> None:
    machine, user = prepared()
    for start, nbytes in ((BASE, PAGE), (BASE + 7 * PAGE, PAGE), (BASE - PAGE, 9 * PAGE), (0, END)):
        machine.refuse(1)
        assert vm.unmap(user, start, nbytes) == OK
        assert machine.k.frames.requests == 0
        machine.refuse(0)
        machine.check()
    assert machine.ranges(user) == []
    assert user.nr_resident == 0
