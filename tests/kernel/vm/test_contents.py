"""Pages of files: the bytes of the content, zeros behind its end, and nothing behind its last page."""

import random
from typing import Final

import pytest

from incroos.kernel import heap, pmm, vm
from incroos.kernel.codes import BAD_POINTER, FAULT_BEYOND_CONTENT, OK
from incroos.kernel.state import EXECUTE, IS_SHARED, READ, WRITE, UserSpace
from incroos.kernel.vm import page_tree
from incroos.lang import PhysAddr, VirtAddr

from .families import frame_of, is_writable, write
from .space_model import MIB, PAGE, WRITE_ERROR, Machine

BASE: Final = 0x4000_0000


@pytest.mark.parametrize('nbytes', [1, 8, PAGE - 1, PAGE, PAGE + 1, 2 * PAGE, 3 * PAGE - 5])
@pytest.mark.parametrize('error', [0, WRITE_ERROR])
def test_the_bytes_of_a_file(nbytes: int, error: int) -> None:
    machine = Machine(8 * MIB)
    data = bytes(1 + index % 255 for index in range(nbytes))
    content = machine.new_content(data)
    dirty = pmm.take_frame(machine.k)  # so that frames are not full of zeros by chance
    machine.k.m.fill(pmm.address_of(machine.k, dirty), 0xEE, PAGE)
    assert pmm.free_page(machine.k, dirty) == OK
    user = machine.new_space()
    assert vm.map_at(user, BASE, 5 * PAGE, READ | WRITE, 0, content.addr, 0) == BASE
    nr_pages = -(-nbytes // PAGE)
    for index in range(5):
        wanted = OK if index < nr_pages else FAULT_BEYOND_CONTENT
        assert vm.fault(user, VirtAddr(BASE + index * PAGE + 7), error) == wanted
    found = bytearray()
    for at in range(0, nr_pages * PAGE, 8):
        code, value = vm.load64(user, BASE + at)
        assert code == OK
        found += value.to_bytes(8, 'little', signed=True)
    assert found == data.ljust(nr_pages * PAGE, b'\0')
    assert vm.load64(user, BASE + nr_pages * PAGE) == (BAD_POINTER, 0)
    assert user.nr_resident == nr_pages
    machine.check()


def test_what_is_written_is_the_programs_alone() -> None:
    machine = Machine(8 * MIB)
    content = machine.new_content(b'text' * PAGE)
    first, second = machine.new_space(), machine.new_space()
    for user in (first, second):
        assert vm.map_at(user, BASE, 2 * PAGE, READ | WRITE | EXECUTE, 0, content.addr, PAGE) == BASE
    assert content.nr_users == 2
    assert vm.store64(first, BASE, 0) == OK
    text = int.from_bytes(b'texttext', 'little')
    assert vm.load64(second, BASE) == (OK, text)
    assert machine.k.m.load64(VirtAddr(content.data + PAGE)) == text
    assert vm.unmap(first, BASE, PAGE) == OK
    assert vm.map_at(first, BASE, PAGE, READ, 0, content.addr, PAGE) == BASE
    assert vm.load64(first, BASE) == (OK, text)
    assert first.nr_ranges == 2  # other rights
    assert vm.protect(first, BASE, 2 * PAGE, READ) == OK
    assert first.nr_ranges == 1
    assert content.nr_users == 2
    for user in (first, second):
        assert vm.destroy(user) == OK
    assert content.nr_users == 0
    machine.check()


def test_what_is_left_of_a_file_shows_the_same_bytes() -> None:
    """After cuts at both ends and in the middle, and changes of rights: offsets move with the starts."""
    machine = Machine(8 * MIB)
    content = machine.new_content(b''.join(bytes([index]) * PAGE for index in range(1, 10)))
    user = machine.new_space()
    assert vm.map_at(user, BASE, 9 * PAGE, READ, 0, content.addr, 0) == BASE
    assert vm.unmap(user, BASE, PAGE) == vm.unmap(user, BASE + 8 * PAGE, PAGE) == OK
    assert vm.unmap(user, BASE + 4 * PAGE, PAGE) == OK
    assert vm.protect(user, BASE + 2 * PAGE, PAGE, READ | WRITE) == OK
    assert vm.protect(user, BASE + 6 * PAGE, PAGE, 0) == OK
    left = [(entry[0] - BASE) // PAGE for entry in machine.ranges(user)]
    assert left == [1, 2, 3, 5, 6, 7]
    assert [entry[6] // PAGE for entry in machine.ranges(user)] == left
    assert content.nr_users == 6
    assert vm.protect(user, BASE + 6 * PAGE, PAGE, READ) == OK
    assert len(machine.ranges(user)) == content.nr_users == 4
    for index in (1, 2, 3, 5, 6, 7):
        assert vm.load64(user, BASE + index * PAGE) == (OK, (index + 1) * 0x0101_0101_0101_0101)
    machine.check()


def test_neighbours_that_do_not_go_on_stay_apart() -> None:
    machine = Machine(8 * MIB)
    content, other = machine.new_content(b'1' * 4 * PAGE), machine.new_content(b'2' * 4 * PAGE)
    user = machine.new_space()
    for index, (wanted, offset) in enumerate(((content, 0), (content, 0), (content, 1), (other, 2), (content, 3))):
        start = BASE + index * PAGE
        assert vm.map_at(user, start, PAGE, READ, 0, wanted.addr, offset * PAGE) == start
    assert [entry[0] - BASE for entry in machine.ranges(user)] == [0, PAGE, 3 * PAGE, 4 * PAGE]
    machine.check()


# ------------------------------------------------------------------ frames of the content
def mapped(machine: Machine, content: int, nr_pages: int, flags: int = 0, rights: int = READ | WRITE) -> UserSpace:
    user = machine.new_space()
    assert vm.map_at(user, BASE, nr_pages * PAGE, rights, flags, VirtAddr(content), 0) == BASE
    return user


def test_readers_have_the_contents_frame_until_they_write() -> None:
    machine = Machine(8 * MIB)
    content = machine.new_content(b'12345678' * 1024)
    first, second = mapped(machine, content.addr, 2), mapped(machine, content.addr, 2)
    third = mapped(machine, content.addr, 2, IS_SHARED)
    for user in (first, second, third):
        assert vm.fault(user, VirtAddr(BASE), 0) == OK
    frame = page_tree.frame_at(content, 0)
    assert frame == frame_of(first, BASE) == frame_of(second, BASE) == frame_of(third, BASE)
    assert [is_writable(user, BASE) for user in (first, second, third)] == [False, False, True]
    write(first, BASE, 1)
    assert frame_of(first, BASE) != frame
    write(second, BASE + PAGE, 2)  # which nobody has read: the content gets no frame for it
    assert (content.nr_frames, page_tree.frame_at(content, 1)) == (1, 0)
    write(third, BASE, 3)
    assert (vm.load64(second, BASE)[1], vm.load64(first, BASE)[1]) == (3, 1)
    assert pmm.nr_mappings(machine.k, frame) == 2
    machine.check()


def test_a_read_maps_its_neighbours_that_have_frames() -> None:
    machine = Machine(8 * MIB)
    content = machine.new_content(b'x' * 40 * PAGE)
    first, second = mapped(machine, content.addr, 40), mapped(machine, content.addr, 40)
    for index in (3, 4, 15, 16, 20):
        assert vm.fault(first, VirtAddr(BASE + index * PAGE), 0) == OK
    before = second.nr_faults
    assert vm.protect(second, BASE + 15 * PAGE, 4 * PAGE, READ) == OK  # another range
    assert vm.fault(second, VirtAddr(BASE + 4 * PAGE), 0) == OK
    assert sorted((va - BASE) // PAGE for va in machine.leaves(second)) == [3, 4]
    assert vm.fault(second, VirtAddr(BASE + 5 * PAGE), WRITE_ERROR) == OK  # a write maps its own page alone
    assert sorted((va - BASE) // PAGE for va in machine.leaves(second)) == [3, 4, 5]
    assert vm.fault(second, VirtAddr(BASE + 16 * PAGE), 0) == OK
    assert sorted((va - BASE) // PAGE for va in machine.leaves(second)) == [3, 4, 5, 16]
    assert (second.nr_faults - before, second.nr_resident) == (3, 4)
    machine.check()


def test_what_can_be_made_anew_is_given_up() -> None:
    machine = Machine(8 * MIB)
    content = machine.new_content(bytes(range(1, 251)) * 100)
    user, other = mapped(machine, content.addr, 6), mapped(machine, content.addr, 6, IS_SHARED)
    for index in range(6):
        assert vm.fault(user, VirtAddr(BASE + index * PAGE), 0) == OK
    assert vm.give_up_pages(machine.k) == 0  # all are mapped
    write(other, BASE + PAGE, 5)
    assert vm.unmap(user, BASE, 5 * PAGE) == vm.unmap(other, BASE, 6 * PAGE) == OK
    content.nr_pins = 1
    assert vm.give_up_pages(machine.k) == 0
    content.nr_pins = 0
    assert vm.give_up_pages(machine.k) == 4  # but the one that was written, and the one that is mapped
    assert content.nr_frames == 2
    machine.check()
    assert vm.map_at(user, BASE, 5 * PAGE, READ, 0, content.addr, 0) == BASE
    assert vm.load64(user, BASE + PAGE) == (OK, 5)
    assert vm.load64(user, BASE) == (OK, int.from_bytes(range(1, 9), 'little'))


def test_a_fault_gives_up_pages_when_no_frame_is_free() -> None:
    machine = Machine(8 * MIB)
    content = machine.new_content(b'x' * 9 * PAGE)
    user = mapped(machine, content.addr, 9)
    for index in range(9):
        assert vm.fault(user, VirtAddr(BASE + index * PAGE), 0) == OK
    assert vm.unmap(user, BASE + PAGE, 8 * PAGE) == OK
    zeros = machine.new_space()
    assert vm.map_at(zeros, BASE, 3 * PAGE, READ | WRITE, 0, VirtAddr(0), 0) == BASE
    assert vm.fault(zeros, VirtAddr(BASE), WRITE_ERROR) == OK
    heap.shrink(machine.k)
    while pmm.alloc_page(machine.k) >= 0:
        pass
    assert vm.fault(zeros, VirtAddr(BASE + PAGE), WRITE_ERROR) == OK
    assert content.nr_frames == 1
    machine.check()


def test_pages_come_and_go() -> None:
    """The tree of pages against a dict: as many levels as it needs, and no node that leads to nothing."""
    machine = Machine(8 * MIB)
    k, content, chance = machine.k, machine.new_content(b'x'), random.Random(14)
    used, there = heap.used_bytes(k), dict[int, PhysAddr]()
    for step in range(300):
        index = chance.choice((chance.randrange(70), chance.randrange(5000), chance.randrange(1 << 28)))
        if there and chance.random() < (0.35 if step < 200 else 0.8):
            index = chance.choice(list(there))
            assert page_tree.take_frame(k, content, index) == there[index]
            assert pmm.free_page(k, there.pop(index)) == OK
        elif index not in there:
            there[index] = pmm.alloc_page(k)
            assert page_tree.put_frame(k, content, index, there[index]) == OK
        assert page_tree.frame_at(content, index) == there.get(index, 0)
        start = chance.choice((0, index, chance.randrange(1 << 28)))
        assert page_tree.next_page(content, start, 1 << 30) == min((i for i in there if i >= start), default=1 << 30)
        if step % 10 == 0:
            assert not there or page_tree.check(k, content) == 0
    vm.free_content_pages(k, content, 0)
    assert (content.root, content.nr_frames, heap.used_bytes(k)) == (0, 0, used)


def test_pages_of_data_are_those_with_a_frame_or_in_the_archive() -> None:
    machine = Machine(8 * MIB)
    content = machine.new_content(b'x' * (2 * PAGE + 5))
    assert vm.nr_data_pages(content) == 3
    content.nbytes = 40 * PAGE
    for index, expected in ((1, 3), (2, 3), (3, 4), (30, 5), (30, 5), (39, 6)):
        assert vm.page_to_write(machine.k, content, index) != 0
        assert vm.nr_data_pages(content) == expected
    alone = machine.new_content(b'')
    alone.nbytes = 3 * PAGE
    assert vm.nr_data_pages(alone) == 0
    assert vm.page_to_write(machine.k, alone, 2) != 0
    assert vm.nr_data_pages(alone) == 1
