"""Pages of files: the bytes of the content, zeros behind its end, and nothing behind its last page."""

from typing import Final

import pytest

from incroos.kernel import pmm, vm
from incroos.kernel.codes import BAD_POINTER, FAULT_BEYOND_CONTENT, OK
from incroos.kernel.state import EXECUTE, READ, WRITE
from incroos.lang import VirtAddr

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
