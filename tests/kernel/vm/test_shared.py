"""Shared memory: what one space writes, the others of its family read, as long as any range has it."""

from typing import Final

import pytest

from incroos.kernel import pmm, vm
from incroos.kernel.codes import FAULT_NO_RIGHT, OK
from incroos.kernel.state import READ, WRITE, Content, UserSpace
from incroos.kernel.vm import page_tree, pages
from incroos.lang import PhysAddr, VirtAddr

from . import families
from .families import BASE, end, fork, frame_of, nr_free, read, words, write, zeros
from .space_model import MIB, PAGE, WRITE_ERROR, Machine

NR_PAGES: Final = 6


@pytest.fixture
def machine() -> object:
    machine = Machine(16 * MIB)
    end(machine, [machine.new_space()])
    before = nr_free(machine)
    yield machine
    machine.check()
    assert nr_free(machine) == before
    assert machine.k.vm.contents == 0


@pytest.fixture
def user(machine: Machine) -> UserSpace:
    """A space with six pages of shared memory and a private one behind them."""
    user = machine.new_space()
    families.shared(machine, user, BASE, NR_PAGES)
    zeros(user, BASE + NR_PAGES * PAGE, 1)
    return user


def memory_of(machine: Machine) -> Content:
    assert machine.k.vm.nr_contents == 1
    return Content(machine.k.m, machine.k.vm.contents)


def test_it_stays_shared_over_fork(machine: Machine, user: UserSpace) -> None:
    write(user, BASE, 1)
    write(user, BASE + NR_PAGES * PAGE, 5)
    child = fork(machine, user)
    grandchild = fork(machine, child)
    spaces = [user, child, grandchild]
    assert [read(space, BASE) for space in spaces] == [1, 1, 1]
    write(child, BASE, 2)
    write(grandchild, BASE + PAGE, 3)  # which nobody has touched
    write(child, BASE + NR_PAGES * PAGE, 6)
    machine.check()
    assert [words(space, 3) for space in spaces] == [[2, 3, 0]] * 3
    assert [read(space, BASE + NR_PAGES * PAGE) for space in spaces] == [5, 6, 5]
    assert len({frame_of(space, BASE) for space in spaces}) == 1
    assert pmm.nr_mappings(machine.k, frame_of(user, BASE)) == 3
    end(machine, spaces)


def test_what_is_read_first_is_seen_when_another_writes(machine: Machine, user: UserSpace) -> None:
    child = fork(machine, user)
    assert words(user, 2) == words(child, 2) == [0, 0]
    write(child, BASE, 1)
    write(user, BASE + PAGE, 2)
    assert words(user, 2) == words(child, 2) == [1, 2]
    end(machine, [child, user])


def test_pages_stay_when_ranges_go(machine: Machine, user: UserSpace) -> None:
    child = fork(machine, user)
    for index in range(NR_PAGES):
        write(user, BASE + index * PAGE, index + 1)
    memory = memory_of(machine)
    assert memory.nr_frames == NR_PAGES
    assert vm.unmap(user, BASE + PAGE, 2 * PAGE) == OK  # the middle: two ranges are left
    assert memory.nr_users == 3
    machine.check()
    assert words(child, NR_PAGES) == [1, 2, 3, 4, 5, 6]
    assert words(user, 3, BASE + 3 * PAGE) == [4, 5, 6]
    write(user, BASE + 4 * PAGE, 50)
    assert read(child, BASE + 4 * PAGE) == 50
    assert vm.unmap(child, BASE, NR_PAGES * PAGE) == OK
    assert memory.nr_frames == NR_PAGES  # also those that nobody maps
    other = fork(machine, user)
    assert vm.unmap(user, BASE, NR_PAGES * PAGE) == OK
    assert read(other, BASE + 4 * PAGE) == 50
    assert vm.unmap(other, BASE, NR_PAGES * PAGE) == OK
    assert machine.k.vm.nr_contents == 0
    end(machine, [user, child, other])


def test_it_is_dropped_and_comes_back(machine: Machine, user: UserSpace) -> None:
    """Pages that are unmapped without their range, as MADV_DONTNEED does."""
    write(user, BASE, 1)
    frame = frame_of(user, BASE)
    pages.clear(user, VirtAddr(BASE), VirtAddr(BASE + PAGE))
    machine.check()
    assert user.nr_resident == 0
    assert read(user, BASE) == 1
    assert frame_of(user, BASE) == frame
    end(machine, [user])


def test_rights_are_the_ranges(machine: Machine, user: UserSpace) -> None:
    write(user, BASE, 1)
    child = fork(machine, user)
    assert vm.protect(child, BASE, 2 * PAGE, READ) == OK
    assert vm.fault(child, VirtAddr(BASE), WRITE_ERROR) == FAULT_NO_RIGHT
    assert vm.store64(user, BASE, 2) == OK
    assert read(child, BASE) == 2
    assert vm.protect(child, BASE, 2 * PAGE, READ | WRITE) == OK
    write(child, BASE, 3)
    assert read(user, BASE) == 3
    assert child.nr_ranges == user.nr_ranges == 2
    end(machine, [user, child])


def test_parts_of_a_split_mapping_have_their_own_offsets(machine: Machine, user: UserSpace) -> None:
    write(user, BASE, 1)
    assert vm.protect(user, BASE + 2 * PAGE, PAGE, READ) == OK
    child = fork(machine, user)
    assert memory_of(machine).nr_users == 6
    assert vm.protect(child, BASE + 2 * PAGE, PAGE, READ | WRITE) == OK
    assert memory_of(machine).nr_users == 4
    for index in range(NR_PAGES):
        write(child, BASE + index * PAGE, index + 1)
    assert words(user, NR_PAGES) == [1, 2, 3, 4, 5, 6]
    end(machine, [user, child])


def test_two_memories_are_two(machine: Machine, user: UserSpace) -> None:
    families.shared(machine, user, BASE + 16 * PAGE, 2)
    families.shared(machine, user, BASE + 18 * PAGE, 2)
    for start in (BASE, BASE + 16 * PAGE, BASE + 18 * PAGE):
        write(user, start, 0)
    assert machine.k.vm.nr_contents == 3
    write(user, BASE + 16 * PAGE, 1)
    assert words(user, 4, BASE + 16 * PAGE) == [1, 0, 0, 0]
    machine.check()
    assert vm.unmap(user, BASE + 16 * PAGE, 2 * PAGE) == OK
    assert machine.k.vm.nr_contents == 2
    machine.check()
    end(machine, [user])


@pytest.mark.parametrize('nr_pages', [1, 64, 65, 4096, 4097, 1 << 30])
def test_the_tree_of_pages(machine: Machine, nr_pages: int) -> None:
    """As many levels as the size needs; frames at both ends and around each edge."""
    k = machine.k
    memory = Content(k.m, vm.create_shared(k, nr_pages * PAGE))
    places = {0, 1, 63, 64, 65, 4095, 4096, nr_pages // 2, nr_pages - 1}
    wanted = {index: pmm.alloc_page(k) for index in sorted(places) if index < nr_pages}
    for index, frame in wanted.items():
        assert page_tree.frame_at(memory, index) == 0
        assert page_tree.put_frame(k, memory, index, frame) == OK
    for index in (*places, 2, 62, 66, nr_pages // 3):
        if index < nr_pages:
            assert page_tree.frame_at(memory, index) == wanted.get(index, PhysAddr(0))
    assert page_tree.check(k, memory) == 0
    vm.destroy_shared(k, memory)
    machine.check()
