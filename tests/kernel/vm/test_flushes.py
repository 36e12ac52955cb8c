"""What the processor has to forget: rights that are lost, pages that go, pages in whose place another comes."""

from typing import Final

import pytest

from incroos.kernel import vm, vmm
from incroos.kernel.codes import OK
from incroos.kernel.cpu import this_cpu
from incroos.kernel.state import EXECUTE, READ, WRITE, UserSpace
from incroos.lang import VirtAddr
from incroos.machine.tlb import slot_of

from .space_model import MIB, PAGE, WRITE_ERROR, Machine

BASE: Final = 0x4000_0000
THRESHOLD: Final = 32


@pytest.fixture(scope='module')
def machine() -> Machine:
    return Machine(8 * MIB)


@pytest.fixture
def user(machine: Machine) -> object:
    user = machine.new_space()
    vm.use(machine.k, user)
    yield user
    machine.check()
    vmm.switch_to(this_cpu(machine.k), machine.k.space)
    assert vm.destroy(user) == OK


def is_remembered(machine: Machine, va: int) -> bool:
    return slot_of(machine.sim.computer.cpu, VirtAddr(va)).read_page == va


def fill(machine: Machine, user: UserSpace, nr_pages: int, rights: int) -> None:
    """Pages that the processor remembers, all of them."""
    assert vm.map_at(user, BASE, nr_pages * PAGE, READ | WRITE, 0, VirtAddr(0), 0) == BASE
    for va in range(BASE, BASE + nr_pages * PAGE, PAGE):
        assert vm.fault(user, VirtAddr(va), WRITE_ERROR) == OK
    assert vm.protect(user, BASE, nr_pages * PAGE, rights) == OK
    remember(machine, nr_pages)


def remember(machine: Machine, nr_pages: int) -> None:
    for va in range(BASE, BASE + nr_pages * PAGE, PAGE):
        machine.k.m.load64(VirtAddr(va))
        assert is_remembered(machine, va)


ALL: Final = (READ, READ | WRITE, READ | EXECUTE, READ | WRITE | EXECUTE, 0)


@pytest.mark.parametrize('before', ALL)
@pytest.mark.parametrize('after', ALL)
@pytest.mark.parametrize('nr_pages', [3, THRESHOLD + 1])
def test_a_right_that_is_lost(machine: Machine, user: UserSpace, before: int, after: int, nr_pages: int) -> None:
    fill(machine, user, nr_pages, before)
    flushes = machine.k.counters.flushes
    assert vm.protect(user, BASE, nr_pages * PAGE, after) == OK
    is_lost = bool(before & ~after)
    assert any(is_remembered(machine, va) for va in range(BASE, BASE + nr_pages * PAGE, PAGE)) != is_lost
    assert machine.k.counters.flushes - flushes == (nr_pages if is_lost and nr_pages <= THRESHOLD else 0)


@pytest.mark.parametrize('nr_pages', [1, 3, THRESHOLD, THRESHOLD + 1, 600])
def test_pages_that_go(machine: Machine, user: UserSpace, nr_pages: int) -> None:
    fill(machine, user, nr_pages, READ)
    nr_resident = user.nr_resident
    flushes = machine.k.counters.flushes
    assert vm.unmap(user, BASE, nr_pages * PAGE) == OK
    assert not any(is_remembered(machine, va) for va in range(BASE, BASE + nr_pages * PAGE, PAGE))
    assert machine.k.counters.flushes - flushes == (nr_pages if nr_pages <= THRESHOLD else 0)
    assert user.nr_resident == nr_resident - nr_pages == 0


def test_holes_are_not_flushed(machine: Machine, user: UserSpace) -> None:
    """What counts is how far the pages that are there lie apart, not how long the range is."""
    assert vm.map_at(user, BASE, 600 * PAGE, READ | WRITE, 0, VirtAddr(0), 0) == BASE
    for index in (500, 505, 515):
        assert vm.fault(user, VirtAddr(BASE + index * PAGE), WRITE_ERROR) == OK
    flushes = machine.k.counters.flushes
    assert vm.unmap(user, BASE, 600 * PAGE) == OK
    assert machine.k.counters.flushes - flushes == 16
    assert vm.map_at(user, BASE, 600 * PAGE, READ | WRITE, 0, VirtAddr(0), 0) == BASE
    assert vm.protect(user, BASE, 600 * PAGE, READ) == vm.unmap(user, BASE, 600 * PAGE) == OK
    assert machine.k.counters.flushes - flushes == 16


def test_the_page_of_zeros_is_forgotten_when_another_comes(machine: Machine, user: UserSpace) -> None:
    assert vm.map_at(user, BASE, PAGE, READ | WRITE, 0, VirtAddr(0), 0) == BASE
    assert vm.fault(user, VirtAddr(BASE), 0) == OK
    remember(machine, 1)
    assert vm.fault(user, VirtAddr(BASE), WRITE_ERROR | 1) == OK
    assert not is_remembered(machine, BASE)


def test_a_fault_for_what_was_remembered(machine: Machine, user: UserSpace) -> None:
    """A right that came needs no flush: who still faults is told to try again, and has forgotten."""
    fill(machine, user, 1, READ)
    assert vm.protect(user, BASE, PAGE, READ | WRITE) == OK
    assert is_remembered(machine, BASE)
    nr_faults = user.nr_faults
    assert vm.fault(user, VirtAddr(BASE), WRITE_ERROR | 1) == OK
    assert not is_remembered(machine, BASE)
    assert user.nr_faults == nr_faults


def test_a_space_that_is_not_loaded_begins_anew(machine: Machine, user: UserSpace) -> None:
    fill(machine, user, 2, READ | WRITE)
    vmm.switch_to(this_cpu(machine.k), machine.k.space)
    assert user.space.tag != 0
    assert vm.protect(user, BASE, 2 * PAGE, READ) == OK
    assert user.space.tag == 0
    vm.use(machine.k, user)
    tag = user.space.tag
    vmm.switch_to(this_cpu(machine.k), machine.k.space)
    assert vm.protect(user, BASE, 2 * PAGE, READ | WRITE) == OK
    assert user.space.tag == tag
