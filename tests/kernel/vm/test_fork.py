"""fork: two spaces with the same bytes, of which each changes its own alone."""

from typing import Final

from incroos.kernel import heap, pmm, vm
from incroos.kernel.codes import OK
from incroos.kernel.state import READ, WRITE, UserSpace
from incroos.lang import VirtAddr

from .space_model import MIB, PAGE, Machine

BASE: Final = 0x4000_0000


def test_each_changes_its_own_alone() -> None:
    machine = Machine(16 * MIB)
    k, user = machine.k, machine.new_space()
    assert vm.map_at(user, BASE, 4 * PAGE, READ | WRITE, 0, VirtAddr(0), 0) == BASE
    for index in range(3):
        assert vm.store64(user, BASE + index * PAGE, index + 1) == OK
    child = UserSpace(k.m, vm.fork(k, user))
    assert child.addr != 0
    machine.check()
    assert machine.ranges(child) == machine.ranges(user)
    assert vm.store64(child, BASE, 10) == vm.store64(user, BASE + PAGE, 20) == OK
    assert [vm.load64(user, BASE + index * PAGE) for index in range(4)] == [(OK, 1), (OK, 20), (OK, 3), (OK, 0)]
    assert [vm.load64(child, BASE + index * PAGE) for index in range(4)] == [(OK, 10), (OK, 2), (OK, 3), (OK, 0)]
    machine.check()
    vm.hold(child)
    vm.hold(child)
    vm.drop(k, child)
    assert vm.load64(child, BASE) == (OK, 10)
    vm.drop(k, child)
    assert vm.destroy(user) == OK
    machine.check()


def test_without_memory_there_is_no_child() -> None:
    machine = Machine(16 * MIB)
    k, user = machine.k, machine.new_space()
    assert vm.map_at(user, BASE, 4 * PAGE, READ | WRITE, 0, VirtAddr(0), 0) == BASE
    assert vm.store64(user, BASE, 1) == OK
    heap.shrink(k)
    before = pmm.nr_free_frames(k)
    for request in range(1, 40):
        machine.refuse(request)
        at = vm.fork(k, user)
        was_refused = k.frames.requests >= request
        machine.refuse(0)
        if not was_refused:
            assert at != 0
            return
        assert at == 0
        heap.shrink(k)
        assert pmm.nr_free_frames(k) == before
        machine.check()
    raise AssertionError('it asks without end')
