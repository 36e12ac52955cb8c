"""fork and copy-on-write: pages that several spaces borrow, until each has written its own."""

from typing import Final

import pytest

from incroos.kernel import pmm, vm
from incroos.kernel.codes import FAULT_NO_RIGHT, OK
from incroos.kernel.cpu import this_cpu
from incroos.kernel.state import GROWS_DOWN, READ, WRITE, Range, UserSpace
from incroos.kernel.vmm import switch_to
from incroos.lang import VirtAddr
from incroos.machine.tlb import slot_of

from .families import BASE, end, fork, frame_of, is_writable, nr_free, read, words, write, zeros
from .space_model import END, MIB, PAGE, WRITE_ERROR, Machine

NR_CHILDREN: Final = 300


@pytest.fixture
def machine() -> object:
    """A kernel that has all its frames again when the test is over."""
    machine = Machine(16 * MIB)
    end(machine, [machine.new_space()])  # so that what the heap keeps of spaces is there
    before = nr_free(machine)
    yield machine
    machine.check()
    assert nr_free(machine) == before
    assert machine.k.vm.contents == 0


# ------------------------------------------------------------------ who has which frame
def test_each_changes_its_own_alone(machine: Machine) -> None:
    user = machine.new_space()
    zeros(user, BASE, 4)
    for index in range(3):
        write(user, BASE + index * PAGE, index + 1)
    child = fork(machine, user)
    machine.check()
    assert machine.ranges(child) == machine.ranges(user)
    assert frame_of(child, BASE) == frame_of(user, BASE)
    write(child, BASE, 10)
    write(user, BASE + PAGE, 20)
    assert words(user, 4) == [1, 20, 3, 0]
    assert words(child, 4) == [10, 2, 3, 0]
    end(machine, [user, child])


def test_the_last_owner_keeps_the_frame(machine: Machine) -> None:
    user = machine.new_space()
    zeros(user, BASE, 2)
    write(user, BASE, 1)
    write(user, BASE + PAGE, 2)
    frames = frame_of(user, BASE), frame_of(user, BASE + PAGE)
    child = fork(machine, user)
    write(child, BASE, 10)
    before = pmm.nr_free_frames(machine.k)
    write(user, BASE, 11)
    assert pmm.nr_free_frames(machine.k) == before
    assert frame_of(user, BASE) == frames[0]
    end(machine, [user])  # and now the child alone has the other one
    before = pmm.nr_free_frames(machine.k)
    write(child, BASE + PAGE, 20)
    assert pmm.nr_free_frames(machine.k) == before
    assert frame_of(child, BASE + PAGE) == frames[1]
    assert words(child, 2) == [10, 20]
    end(machine, [child])


def test_a_chain_of_forks_without_a_write_between(machine: Machine) -> None:
    chain = [machine.new_space()]
    zeros(chain[0], BASE, 3)
    write(chain[0], BASE, 7)
    write(chain[0], BASE + PAGE, 8)
    for _ in range(20):
        chain.append(fork(machine, chain[-1]))
    machine.check()
    assert {frame_of(user, BASE) for user in chain} == {frame_of(chain[0], BASE)}
    assert pmm.nr_mappings(machine.k, frame_of(chain[0], BASE)) == 21
    order = chain[10:] + chain[:10]
    for index, user in enumerate(order):
        assert words(user, 3) == [7, 8, 0]
        write(user, BASE, 100 + index)
    machine.check()
    assert [words(user, 3) for user in order] == [[100 + index, 8, 0] for index in range(21)]
    assert len({frame_of(user, BASE) for user in chain}) == 21
    assert len({frame_of(user, BASE + PAGE) for user in chain}) == 1
    end(machine, chain[1::2] + chain[::2])


def test_300_children_share_one_page(machine: Machine) -> None:
    user = machine.new_space()
    zeros(user, BASE, 1)
    write(user, BASE, 1)
    frame = frame_of(user, BASE)
    children = [fork(machine, user) for _ in range(NR_CHILDREN)]
    assert pmm.nr_mappings(machine.k, frame) == NR_CHILDREN + 1
    machine.check()
    assert all(frame_of(child, BASE) == frame for child in children)
    for index, child in enumerate(children[::2]):
        write(child, BASE, 1000 + index)
    assert pmm.nr_mappings(machine.k, frame) == NR_CHILDREN // 2 + 1
    assert [read(child, BASE) for child in children[1::2]] == [1] * (NR_CHILDREN // 2)
    assert [read(child, BASE) for child in children[::2]] == [1000 + index for index in range(NR_CHILDREN // 2)]
    end(machine, children)
    assert pmm.nr_mappings(machine.k, frame) == 1
    write(user, BASE, 2)
    assert frame_of(user, BASE) == frame
    end(machine, [user])


def test_a_child_outlives_its_parent_and_forks_on(machine: Machine) -> None:
    user = machine.new_space()
    zeros(user, BASE, 2)
    write(user, BASE, 1)
    child = fork(machine, user)
    end(machine, [user])
    grandchild = fork(machine, child)
    end(machine, [child])
    assert words(grandchild, 2) == [1, 0]
    write(grandchild, BASE, 2)
    end(machine, [grandchild])


def test_without_memory_there_is_no_child(machine: Machine) -> None:
    """Each request is refused once. What the parent would have shared it may have borrowed from itself: it keeps it."""
    user = machine.new_space()
    starts = [BASE, BASE + 4 * MIB, 0x7000_0000_0000]
    for start in starts:
        zeros(user, start, 2)
        write(user, start, 5)
    frames = [frame_of(user, start) for start in starts]
    before, ranges = nr_free(machine), machine.ranges(user)
    request, child = 1, 0
    while child == 0:
        machine.refuse(request)
        child = vm.fork(machine.k, user)
        machine.refuse(0)
        machine.check()
        assert [frame_of(user, start) for start in starts] == frames
        assert [pmm.nr_mappings(machine.k, frame) for frame in frames] == [1 if child == 0 else 2] * 3
        if child == 0:
            assert machine.ranges(user) == ranges
            assert nr_free(machine) == before
            write(user, starts[request % 3], 5)  # a page that is its own again
            assert nr_free(machine) == before
        request += 1
    assert request > 9
    end(machine, [UserSpace(machine.k.m, VirtAddr(child)), user])


def test_tasks_hold_a_space(machine: Machine) -> None:
    user = machine.new_space()
    vm.hold(user)
    child = fork(machine, user)
    assert child.nr_tasks == 0
    vm.hold(child)
    vm.hold(child)
    vm.drop(machine.k, child)
    zeros(child, BASE, 1)
    vm.drop(machine.k, child)
    vm.drop(machine.k, user)
    vm.give_up_pages(machine.k)


def test_spare_spaces(machine: Machine) -> None:
    """What the last task leaves is the next space: its tables, and nothing else of it."""
    user = machine.new_space()
    for start in (BASE, BASE + 4 * MIB, END - PAGE):
        zeros(user, start, 1)
        write(user, start, start)
    children = [fork(machine, user) for _ in range(3)]
    tables = user.space.nr_tables
    for child in children:
        vm.hold(child)
        vm.drop(machine.k, child)
    machine.check()
    assert machine.k.vm.nr_spares == 3
    nr_nodes = machine.k.vm.nr_nodes
    assert nr_nodes == 4 * 3
    there = {child.space.root for child in children}
    child, other = fork(machine, user), machine.new_space()
    assert {child.space.root, other.space.root} < there
    assert machine.k.vm.nr_spares == 1
    assert child.space.nr_tables == other.space.nr_tables == tables
    assert words(child, 1, BASE) == [BASE]
    assert machine.leaves(other) == {}
    assert other.nr_ranges == 0
    zeros(other, BASE, 1)
    assert words(other, 1, BASE) == [0]
    assert machine.k.vm.nr_nodes == nr_nodes  # the nodes were there
    machine.check()
    machine.k.vm.nr_spares += 1
    assert vm.check(machine.k) == 14
    machine.k.vm.nr_spares -= 1
    assert vm.give_up_pages(machine.k) == tables
    many = machine.new_space()
    for index in range(20):
        zeros(many, BASE + 2 * MIB * index, 1)
        write(many, BASE + 2 * MIB * index, 1)
    vm.hold(many)
    vm.drop(machine.k, many)
    assert machine.k.vm.nr_spares == 0
    end(machine, [user, child, other])


# ------------------------------------------------------------------ rights
@pytest.mark.parametrize('first', ['parent', 'child'])
def test_protect_fork_and_protect_back(machine: Machine, first: str) -> None:
    user = machine.new_space()
    zeros(user, BASE, 2)
    write(user, BASE, 1)
    assert vm.protect(user, BASE, 2 * PAGE, READ) == OK
    child = fork(machine, user)
    spaces = [user, child] if first == 'parent' else [child, user]
    for space in spaces:
        assert vm.fault(space, VirtAddr(BASE), WRITE_ERROR) == FAULT_NO_RIGHT
        assert vm.protect(space, BASE, 2 * PAGE, READ | WRITE) == OK
        assert not is_writable(space, BASE)
        machine.check()
    write(spaces[0], BASE, 10)
    assert words(spaces[1], 2) == [1, 0]
    write(spaces[1], BASE, 20)
    assert words(spaces[0], 2) == [10, 0]
    end(machine, spaces)


def test_borrowed_pages_follow_their_range(machine: Machine) -> None:
    """Through no right and back, in one of two spaces, with the bytes kept in both."""
    user = machine.new_space()
    zeros(user, BASE, 3)
    for index in range(3):
        write(user, BASE + index * PAGE, index + 1)
    child = fork(machine, user)
    for rights in (0, READ, WRITE, READ | WRITE):
        assert vm.protect(user, BASE, 3 * PAGE, rights) == OK
        machine.check()
        assert words(child, 3) == [1, 2, 3]
    write(user, BASE + PAGE, 20)
    assert vm.protect(user, BASE, 3 * PAGE, READ) == vm.protect(user, BASE, 3 * PAGE, READ | WRITE) == OK
    assert [is_writable(user, BASE + index * PAGE) for index in range(3)] == [False, True, False]
    assert words(user, 3) == [1, 20, 3]
    end(machine, [child, user])


def test_a_mapping_is_split_and_then_forked(machine: Machine) -> None:
    user = machine.new_space()
    zeros(user, BASE, 9)
    for index in range(9):
        write(user, BASE + index * PAGE, index + 1)
    assert vm.protect(user, BASE + 3 * PAGE, PAGE, READ) == OK
    assert vm.unmap(user, BASE + 6 * PAGE, PAGE) == OK
    child = fork(machine, user)
    assert machine.ranges(child) == machine.ranges(user)
    assert child.nr_resident == user.nr_resident == 8
    assert (child.nr_ranges, child.nr_pages, child.nr_data_pages) == (4, 8, 7)
    machine.check()
    assert vm.unmap(child, BASE + PAGE, PAGE) == OK
    assert vm.protect(child, BASE + 2 * PAGE, 2 * PAGE, READ | WRITE) == OK
    for index in (0, 2, 3, 4, 8):
        write(child, BASE + index * PAGE, 100 + index)
    assert words(user, 6) == [1, 2, 3, 4, 5, 6]
    assert words(child, 4, BASE + 2 * PAGE) == [102, 103, 104, 6]
    machine.check()
    assert vm.unmap(user, BASE, 9 * PAGE) == OK
    assert read(child, BASE + 7 * PAGE) == 8
    end(machine, [user, child])


def test_the_processor_forgets_that_it_could_write(machine: Machine) -> None:
    user = machine.new_space()
    vm.use(machine.k, user)
    zeros(user, BASE, 40)
    places = [BASE + index * PAGE for index in range(40)]
    for page in places:
        write(user, page, 1)
        machine.k.m.store64(VirtAddr(page), 2)
        assert slot_of(machine.sim.computer.cpu, VirtAddr(page)).write_page == page
    child = fork(machine, user)
    assert all(slot_of(machine.sim.computer.cpu, VirtAddr(page)).write_page != page for page in places)
    assert machine.k.m.load64(VirtAddr(BASE)) == 2
    frame = frame_of(user, BASE)
    write(user, BASE, 3)
    assert frame_of(user, BASE) != frame
    assert machine.k.m.load64(VirtAddr(BASE)) == 3  # not by what was remembered
    assert words(child, 2) == [2, 2]
    end(machine, [user, child])


# ------------------------------------------------------------------ who writes
@pytest.mark.parametrize('is_loaded', [False, True])
def test_the_kernel_writes_to_a_borrowed_page(machine: Machine, is_loaded: bool) -> None:
    user = machine.new_space()
    zeros(user, BASE, 5)
    for index in range(5):
        write(user, BASE + index * PAGE, index + 1)
    child = fork(machine, user)
    if is_loaded:
        vm.use(machine.k, child)
    machine.k.m.store64(machine.buffer, 77)
    assert vm.copy_out(child, BASE + PAGE - 4, machine.buffer, 8) == OK
    assert vm.store64(child, BASE + 2 * PAGE, 30) == OK
    assert vm.store32(child, BASE + 3 * PAGE, 40) == OK
    assert vm.clear_out(child, BASE + 4 * PAGE, 8) == OK
    assert words(user, 5) == [1, 2, 3, 4, 5]
    assert words(child, 5) == [1, 0, 30, 40, 0]
    assert read(child, BASE + PAGE - 4) == 77
    machine.check()
    end(machine, [child, user])


def test_pages_of_files_and_of_zeros(machine: Machine) -> None:
    content = machine.new_content(b''.join(bytes([index]) * PAGE for index in range(1, 5)))
    user = machine.new_space()
    assert vm.map_at(user, BASE, 4 * PAGE, READ | WRITE, 0, content.addr, 0) == BASE
    zeros(user, BASE + 8 * PAGE, 2)
    byte = 0x0101_0101_0101_0101
    assert words(user, 2) == [byte, 2 * byte]
    write(user, BASE + PAGE, 9)
    assert read(user, BASE + 8 * PAGE) == 0
    child = fork(machine, user)
    assert content.nr_users == 2
    machine.check()
    assert words(child, 4) == [byte, 9, 3 * byte, 4 * byte]
    assert (child.nr_resident, user.nr_resident) == (4, 2)
    write(child, BASE, 1)
    write(user, BASE + 8 * PAGE, 5)
    assert (read(user, BASE), read(child, BASE + 8 * PAGE)) == (byte, 0)
    end(machine, [user, child])
    assert content.nr_users == 0
    machine.forget_content(content)


def test_the_stack_grows_in_one_of_them(machine: Machine) -> None:
    user = machine.new_space()
    zeros(user, END - 4 * PAGE, 4, READ | WRITE, GROWS_DOWN)
    user.brk_start = user.brk = VirtAddr(0x40_0000)
    assert vm.set_break(user, 0x40_2000) == 0x40_2000
    write(user, END - PAGE, 1)
    child = fork(machine, user)
    write(child, END - 20 * PAGE, 2)
    assert vm.set_break(child, 0x40_1000) == 0x40_1000
    assert user.brk == 0x40_2000
    assert Range(user.m, vm.find_range(user, VirtAddr(END - PAGE))).start == END - 4 * PAGE
    assert read(child, END - PAGE) == 1
    end(machine, [user, child])


def test_many_tables(machine: Machine) -> None:
    """Pages at both ends of tables, in ranges that begin and end within them, and far from each other."""
    user = machine.new_space()
    starts = [
        BASE,
        BASE + 2 * MIB - 2 * PAGE,
        BASE + 6 * MIB - PAGE,
        BASE + (1 << 30),
        0x7000_0000_0000,
        END - 3 * PAGE,
    ]
    for start in starts:
        zeros(user, start, 3)
    for number, start in enumerate(starts):
        for index in range(3):
            write(user, start + index * PAGE, 10 * number + index)
    child = fork(machine, user)
    assert machine.leaves(child) == machine.leaves(user)
    assert child.nr_resident == user.nr_resident == 18
    assert child.space.nr_tables == user.space.nr_tables
    machine.check()
    for number, start in enumerate(starts):
        assert words(child, 3, start) == [10 * number, 10 * number + 1, 10 * number + 2]
        write(child, start + PAGE, -1)
        assert words(user, 3, start) == [10 * number, 10 * number + 1, 10 * number + 2]
    switch_to(this_cpu(machine.k), machine.k.space)
    end(machine, [user, child])
