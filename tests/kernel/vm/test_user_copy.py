"""Copies to and from programs: all pages, all rights, pointers that are bad at once, in the middle, or at the end."""

from typing import Final

import pytest

from incroos.kernel import pmm, vm
from incroos.kernel.codes import BAD_POINTER, OK, TOO_LONG
from incroos.kernel.state import EXECUTE, READ, WRITE, UserSpace
from incroos.kernel.vmm import ACCESSED, DIRTY, UNCOUNTED, leaf_in, switch_to
from incroos.lang import VirtAddr

from .space_model import END, MIB, PAGE, Machine

BASE: Final = 0x4000_0000  # a page to read and write, one to read, one for neither, one to write, one to execute
RIGHTS: Final = (READ | WRITE, READ, 0, WRITE, EXECUTE)
BAD: Final = (0, 1, PAGE, END, END - 1, 1 << 47, -1, -PAGE, -1 << 47, -1 << 63, (1 << 63) - 1, (1 << 63) - 8)


@pytest.fixture(scope='module')
def machine() -> Machine:
    return Machine(8 * MIB)


@pytest.fixture
def user(machine: Machine) -> object:
    user = machine.new_space()
    for index, rights in enumerate(RIGHTS):
        start = BASE + index * PAGE
        assert vm.map_at(user, start, PAGE, rights, 0, VirtAddr(0), 0) == start
    yield user
    machine.check()
    assert vm.destroy(user) == OK


def put(machine: Machine, data: bytes) -> None:
    for index, byte in enumerate(data):
        machine.k.m.store8(VirtAddr(machine.buffer + index), byte)


def got(machine: Machine, nbytes: int) -> bytes:
    return bytes(machine.k.m.load8(VirtAddr(machine.buffer + index)) for index in range(nbytes))


def test_there_and_back(machine: Machine, user: UserSpace) -> None:
    assert vm.map_at(user, BASE, 3 * PAGE, READ | WRITE, 0, VirtAddr(0), 0) == BASE
    data = bytes(range(1, 256)) * 33
    put(machine, data)
    assert vm.copy_out(user, BASE + 100, machine.buffer, len(data)) == OK
    put(machine, bytes(len(data) + 200))
    assert vm.copy_in(user, machine.buffer, BASE, len(data) + 200) == OK
    assert got(machine, len(data) + 200) == bytes(100) + data + bytes(100)
    assert vm.clear_out(user, BASE + 101, len(data) - 2) == OK
    assert vm.copy_in(user, machine.buffer, BASE + 100, len(data)) == OK
    assert got(machine, len(data)) == data[:1] + bytes(len(data) - 2) + data[-1:]
    assert user.nr_resident == 3


@pytest.mark.parametrize('is_loaded', [False, True])
def test_it_goes_by_the_users_rights(machine: Machine, user: UserSpace, is_loaded: bool) -> None:
    if is_loaded:
        vm.use(machine.k, user)
    for index, rights in enumerate(RIGHTS):
        va = BASE + index * PAGE
        assert vm.copy_in(user, machine.buffer, va, 8) == (OK if rights else BAD_POINTER)
        assert vm.load64(user, va) == ((OK, 0) if rights else (BAD_POINTER, 0))
        wanted = OK if rights & WRITE else BAD_POINTER
        assert vm.copy_out(user, va, machine.buffer, 8) == vm.store64(user, va, 7) == wanted
        assert vm.store32(user, va + 8, -1) == vm.clear_out(user, va + 16, 8) == wanted
    switch_to(machine.k.processors[0], machine.k.space)


@pytest.mark.parametrize('va', BAD)
def test_no_pointer_of_a_users(machine: Machine, user: UserSpace, va: int) -> None:
    for nbytes in (1, 8, PAGE):
        assert vm.copy_in(user, machine.buffer, va, nbytes) == vm.copy_out(user, va, machine.buffer, nbytes)
        assert vm.copy_out(user, va, machine.buffer, nbytes) == vm.clear_out(user, va, nbytes) == BAD_POINTER
        assert vm.copy_in_some(user, machine.buffer, va, nbytes) == 0
        assert vm.copy_out_some(user, va, machine.buffer, nbytes) == 0
    assert vm.load64(user, va) == (BAD_POINTER, 0)
    assert vm.store64(user, va, 1) == vm.store32(user, va, 1) == BAD_POINTER
    assert vm.copy_text(user, machine.buffer, va, 100) == BAD_POINTER
    assert vm.copy_in(user, machine.buffer, va, 0) == vm.copy_out(user, va, machine.buffer, 0) == OK
    assert user.nr_resident == 0


def test_bad_in_the_middle(machine: Machine, user: UserSpace) -> None:
    put(machine, b'x' * 3 * PAGE)
    assert vm.copy_out(user, BASE + 10, machine.buffer, PAGE) == BAD_POINTER
    assert vm.copy_out_some(user, BASE + 10, machine.buffer, PAGE) == PAGE - 10
    assert vm.copy_in_some(user, machine.buffer, BASE + 10, 3 * PAGE) == 2 * PAGE - 10
    assert vm.copy_in(user, machine.buffer, BASE + 10, 3 * PAGE) == BAD_POINTER
    assert vm.copy_in(user, machine.buffer, BASE + PAGE, -1) == BAD_POINTER


def test_words_across_pages(machine: Machine, user: UserSpace) -> None:
    assert vm.store64(user, BASE + PAGE - 4, -1) == BAD_POINTER
    assert vm.store32(user, BASE + PAGE - 1, -1) == BAD_POINTER
    assert vm.load64(user, BASE + PAGE - 8) == (OK, 0)  # nothing was written
    assert vm.load64(user, BASE + 2 * PAGE - 1) == (BAD_POINTER, 0)
    assert vm.protect(user, BASE, 2 * PAGE, READ | WRITE) == OK
    for distance in range(1, 8):
        value = 0x0102_0304_0506_0708 << distance & ((1 << 63) - 1)
        assert vm.store64(user, BASE + PAGE - distance, value) == OK
        assert vm.load64(user, BASE + PAGE - distance) == (OK, value)
        assert vm.store64(user, BASE + PAGE - distance, -value) == OK
        assert vm.load64(user, BASE + PAGE - distance) == (OK, -value)
    assert vm.store64(user, BASE, 0) == OK
    assert vm.store32(user, BASE + 1, -2) == OK
    assert vm.load64(user, BASE) == (OK, 0xFF_FFFF_FE00)


def test_texts(machine: Machine, user: UserSpace) -> None:
    put(machine, b'a text\0')
    assert vm.protect(user, BASE + PAGE, PAGE, READ | WRITE) == OK
    for start in (BASE, BASE + PAGE - 3, BASE + PAGE - 7):
        assert vm.copy_out(user, start, machine.buffer, 7) == OK
        assert vm.copy_text(user, VirtAddr(machine.buffer + 100), start, 7) == 6
        assert got(machine, 107)[100:] == b'a text\0'
        assert vm.copy_text(user, machine.buffer, start, 6) == TOO_LONG
        assert vm.copy_text(user, machine.buffer, start, 0) == TOO_LONG
    assert vm.copy_out(user, BASE + 2 * PAGE - 3, machine.buffer, 3) == OK
    assert vm.copy_text(user, machine.buffer, BASE + 2 * PAGE - 3, 100) == BAD_POINTER
    assert vm.copy_text(user, machine.buffer, BASE + 2 * PAGE - 3, 3) == TOO_LONG


def test_marks_are_the_processors(machine: Machine, user: UserSpace) -> None:
    space = user.space
    assert vm.load64(user, BASE) == (OK, 0)
    assert leaf_in(space, VirtAddr(BASE)) & (ACCESSED | DIRTY | UNCOUNTED) == ACCESSED | UNCOUNTED
    assert vm.store64(user, BASE, 1) == OK
    assert leaf_in(space, VirtAddr(BASE)) & (ACCESSED | DIRTY | UNCOUNTED) == ACCESSED | DIRTY
    assert vm.fault(user, VirtAddr(BASE + 3 * PAGE), 2) == OK
    assert leaf_in(space, VirtAddr(BASE + 3 * PAGE)) & (ACCESSED | DIRTY) == 0
    assert vm.load64(user, BASE + 3 * PAGE) == (OK, 0)
    assert leaf_in(space, VirtAddr(BASE + 3 * PAGE)) & (ACCESSED | DIRTY) == ACCESSED
    root_entry = machine.k.m.load64(pmm.address_of(machine.k, space.root))
    assert root_entry & ACCESSED


def test_the_page_of_zeros_stays_zero(machine: Machine, user: UserSpace) -> None:
    assert vm.load64(user, BASE) == vm.load64(user, BASE + PAGE) == (OK, 0)
    assert user.nr_resident == 0
    assert user.nr_zero_faults == user.nr_faults == 2
    assert vm.store64(user, BASE, -1) == OK
    assert vm.load64(user, BASE + PAGE) == (OK, 0)
    assert user.nr_resident == 1
    assert vm.protect(user, BASE + PAGE, PAGE, READ | WRITE) == OK  # which must not make it writable
    machine.check()
    assert vm.store64(user, BASE + PAGE, -1) == OK
    assert vm.load64(user, BASE + 4 * PAGE) == (OK, 0)
