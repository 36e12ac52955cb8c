"""Where the user's addresses end, limits, and the stack's gap: each by itself, with the numbers that Linux gives."""

from typing import Final

import pytest

from incroos.kernel import pmm, vm
from incroos.kernel.codes import (
    BAD_RANGE,
    EXISTS,
    FAULT_NO_RANGE,
    NO_ROOM,
    OK,
    SPACE_IN_USE,
    TOO_LOW,
)
from incroos.kernel.cpu import this_cpu
from incroos.kernel.state import EXECUTE, GROWS_DOWN, READ, WRITE, Range, UserSpace
from incroos.kernel.vmm import switch_to
from incroos.lang import VirtAddr

from .space_model import END, LOWEST, MIB, PAGE, SEARCH_END, WRITE_ERROR, Machine

STACK: Final = END - 32 * PAGE


@pytest.fixture(scope='module')
def machine() -> Machine:
    return Machine(8 * MIB)


@pytest.fixture
def user(machine: Machine) -> UserSpace:
    """A space with a stack."""
    user = machine.new_space()
    assert at(user, STACK, 32, READ | WRITE, GROWS_DOWN) == STACK
    return user


@pytest.fixture(autouse=True)
def all_is_right(machine: Machine, user: UserSpace) -> object:
    yield
    machine.check()
    assert vm.destroy(user) == OK
    machine.check()


def at(user: UserSpace, start: int, nr_pages: int, rights: int = READ | WRITE, flags: int = 0) -> int:
    return vm.map_at(user, start, nr_pages * PAGE, rights, flags, VirtAddr(0), 0)


def anywhere(user: UserSpace, nbytes: int, hint: int = 0, rights: int = READ | WRITE) -> int:
    return vm.map_anywhere(user, hint, nbytes, rights, 0, VirtAddr(0), 0)


def write(user: UserSpace, va: int) -> int:
    return vm.fault(user, VirtAddr(va), WRITE_ERROR)


# ------------------------------------------------------------------ addresses
def test_mappings_go_down_from_below_the_stacks_room(user: UserSpace) -> None:
    assert anywhere(user, PAGE) == SEARCH_END - PAGE
    assert anywhere(user, 3 * PAGE - 1) == SEARCH_END - 4 * PAGE
    assert user.nr_ranges == 2  # the second is one with the first
    assert vm.unmap(user, SEARCH_END - 2 * PAGE, PAGE) == OK
    assert anywhere(user, 2 * PAGE) == SEARCH_END - 6 * PAGE
    assert anywhere(user, PAGE) == SEARCH_END - 2 * PAGE  # the highest gap that fits


def test_a_longer_stack_has_more_room(user: UserSpace) -> None:
    user.limit_stack = 1 << 30
    assert anywhere(user, PAGE) == END - (1 << 30) - MIB - PAGE
    user.limit_stack = -1
    assert anywhere(user, PAGE) == END - (END // 6 * 5 & -PAGE) - PAGE


def test_a_hint_is_taken_where_it_is_free(user: UserSpace) -> None:
    assert anywhere(user, PAGE, 0x7000_0123) == 0x7000_0000
    assert anywhere(user, PAGE, 0x7000_0000) == SEARCH_END - PAGE
    assert anywhere(user, PAGE, 1) == SEARCH_END - 2 * PAGE
    assert anywhere(user, PAGE, PAGE) == LOWEST
    assert anywhere(user, PAGE, STACK - PAGE) == SEARCH_END - 3 * PAGE
    assert anywhere(user, PAGE, STACK - MIB - PAGE) == STACK - MIB - PAGE
    assert anywhere(user, PAGE, -PAGE) == SEARCH_END - 4 * PAGE
    assert anywhere(user, 2 * PAGE, END - PAGE) < SEARCH_END


def test_what_cannot_be_mapped(user: UserSpace) -> None:
    assert at(user, END - PAGE, 1) == END - PAGE
    assert at(user, END, 1) == at(user, END - PAGE, 2) == at(user, -PAGE, 1) == at(user, 1 << 62, 1) == NO_ROOM
    assert at(user, 0, 1) == at(user, LOWEST - PAGE, 2) == TOO_LOW
    assert at(user, LOWEST, 1) == LOWEST
    assert at(user, LOWEST + 1, 1) == at(user, LOWEST, 0) == at(user, LOWEST, 1, 8) == BAD_RANGE
    for nbytes in (-1, END + 1, (1 << 63) - 1, -1 << 63):
        assert vm.map_at(user, LOWEST, nbytes, READ, 0, VirtAddr(0), 0) == NO_ROOM
        assert anywhere(user, nbytes) == NO_ROOM
    assert anywhere(user, END) == anywhere(user, END - LOWEST) == NO_ROOM
    for offset in (1, -PAGE, (1 << 62) + PAGE):
        assert vm.map_anywhere(user, 0, PAGE, READ, 0, VirtAddr(0), offset) == BAD_RANGE


def test_not_over_what_is_there(user: UserSpace) -> None:
    assert vm.map_at_free(user, STACK - PAGE, 2 * PAGE, READ, 0, VirtAddr(0), 0) == EXISTS
    assert vm.map_at_free(user, STACK - PAGE, PAGE, READ, 0, VirtAddr(0), 0) == STACK - PAGE


def test_all_addresses_can_be_had(user: UserSpace) -> None:
    """The gaps above the search's end come last."""
    assert anywhere(user, SEARCH_END - LOWEST) == LOWEST
    assert anywhere(user, PAGE) == STACK - MIB - PAGE
    assert anywhere(user, STACK - MIB - SEARCH_END) == NO_ROOM
    assert anywhere(user, STACK - MIB - SEARCH_END - PAGE) == SEARCH_END
    assert anywhere(user, PAGE) == NO_ROOM
    assert vm.unmap(user, 0, END) == OK
    assert user.nr_ranges == user.nr_pages == 0


# ------------------------------------------------------------------ limits
def test_the_limit_of_addresses(user: UserSpace) -> None:
    user.limit_address_space = 40 * PAGE + 100
    assert at(user, 0x1000_0000, 8) == 0x1000_0000
    assert at(user, 0x2000_0000, 1) == anywhere(user, PAGE, rights=READ) == NO_ROOM
    assert at(user, 0x1000_0000, 8, READ) == 0x1000_0000  # what is replaced does not count
    assert at(user, 0x1000_1000, 8) == NO_ROOM
    user.brk_start = user.brk = VirtAddr(0x40_0000)
    assert vm.set_break(user, 0x40_0001) == 0x40_0000
    assert write(user, STACK - PAGE) == FAULT_NO_RANGE
    user.limit_address_space = -1
    assert write(user, STACK - PAGE) == OK


def test_the_limit_of_data(user: UserSpace) -> None:
    user.limit_data = 4 * PAGE
    assert at(user, 0x1000_0000, 4) == 0x1000_0000  # and the stack does not count
    assert anywhere(user, PAGE) == NO_ROOM
    text = anywhere(user, PAGE, rights=READ | EXECUTE)
    assert text > 0
    assert vm.protect(user, text, PAGE, READ | WRITE) == NO_ROOM
    assert vm.protect(user, text, PAGE, READ) == OK
    assert vm.protect(user, 0x1000_0000, PAGE, READ) == OK
    assert vm.protect(user, text, PAGE, READ | WRITE) == OK
    assert user.nr_data_pages == 4
    assert write(user, STACK - PAGE) == OK


def test_the_break_and_the_limit_of_data(user: UserSpace) -> None:
    user.brk_start = user.brk = VirtAddr(0x40_0000)
    user.limit_data = 4 * PAGE
    user.data_bytes = PAGE
    assert vm.set_break(user, 0x40_3001) == 0x40_0000
    assert vm.set_break(user, 0x40_3000) == 0x40_3000
    assert vm.set_break(user, 0x3F_FFFF) == 0x40_3000
    assert vm.set_break(user, 0) == vm.set_break(user, -1) == vm.set_break(user, END + 1) == 0x40_3000


def test_a_break_keeps_a_page_from_what_comes_next(user: UserSpace) -> None:
    user.brk_start = user.brk = VirtAddr(0x40_0000)
    assert at(user, 0x40_4000, 1) == 0x40_4000
    assert vm.set_break(user, 0x40_3001) == 0x40_0000
    assert vm.set_break(user, 0x40_3000) == 0x40_3000
    assert vm.unmap(user, 0x40_4000, PAGE) == OK
    assert at(user, 0x60_0000, 1, READ | WRITE, GROWS_DOWN) == 0x60_0000
    assert vm.set_break(user, 0x50_0000) == 0x40_3000
    assert vm.set_break(user, 0x4F_F000) == 0x4F_F000
    assert vm.set_break(user, 0x40_0001) == 0x40_0001
    assert vm.find_range(user, VirtAddr(0x40_0000)) != 0
    assert vm.set_break(user, 0x40_0000) == 0x40_0000
    assert vm.find_range(user, VirtAddr(0x40_0000)) == 0


def test_ranges_have_a_share_of_memory(machine: Machine, user: UserSpace) -> None:
    """What would make one more is refused, what makes none or less goes on."""
    state = machine.k.vm
    assert state.most_nodes * Range.SIZE <= pmm.nr_total_frames(machine.k) * PAGE // 4
    assert at(user, 0x1000_0000, 8) == 0x1000_0000
    before, state.most_nodes = state.most_nodes, state.nr_nodes + 1
    assert at(user, 0x2000_0000, 8, READ) == 0x2000_0000
    assert at(user, 0x3000_0000, 8) == vm.unmap(user, 0x1000_1000, PAGE) == NO_ROOM
    assert vm.protect(user, 0x1000_1000, PAGE, READ) == NO_ROOM
    assert vm.fork(machine.k, user) == 0
    assert vm.protect(user, 0x1000_0000, 8 * PAGE, READ) == vm.unmap(user, 0x1000_0000, PAGE) == OK
    assert vm.unmap(user, 0x2000_0000, 8 * PAGE) == OK
    assert at(user, 0x3000_0000, 8) == 0x3000_0000
    state.most_nodes = before


# ------------------------------------------------------------------ the stack
def test_a_stack_grows_as_far_as_it_may(user: UserSpace) -> None:
    assert write(user, STACK - 1) == OK
    assert Range(user.m, vm.find_range(user, VirtAddr(STACK))).start == STACK - PAGE
    assert write(user, END - 8 * MIB - 1) == FAULT_NO_RANGE
    assert write(user, END - 8 * MIB) == OK
    assert user.nr_pages == 8 * MIB // PAGE
    assert user.nr_resident == 2
    assert user.nr_ranges == 1
    user.limit_stack = 9 * MIB
    assert write(user, END - 9 * MIB) == OK


def test_a_stack_keeps_away_from_what_is_below(user: UserSpace) -> None:
    assert at(user, STACK - 2 * MIB, 1) > 0
    assert write(user, STACK - MIB) == FAULT_NO_RANGE
    assert write(user, STACK - MIB + PAGE) == OK
    assert vm.protect(user, STACK - 2 * MIB, PAGE, 0) == OK
    assert write(user, STACK - MIB) == OK  # from what nobody can use it need not


def test_a_stack_does_not_grow_below_the_lowest_address(user: UserSpace) -> None:
    assert at(user, LOWEST + PAGE, 1, READ | WRITE, GROWS_DOWN) > 0
    assert write(user, LOWEST - 1) == FAULT_NO_RANGE
    assert write(user, LOWEST) == OK


def test_a_read_grows_a_stack_too(user: UserSpace) -> None:
    assert vm.fault(user, VirtAddr(STACK - PAGE), 0) == OK
    assert user.nr_resident == 0
    assert user.nr_zero_faults == 1


def test_addresses_that_are_no_users(user: UserSpace) -> None:
    for va in (0, LOWEST - 1, -1, -1 << 63, -1 << 47, END, END + PAGE - 1, 1 << 47, (1 << 63) - 1):
        assert write(user, va) == FAULT_NO_RANGE
        assert vm.fault(user, VirtAddr(va), 0) == FAULT_NO_RANGE


# ------------------------------------------------------------------ spaces
def test_a_space_that_is_loaded_stays(machine: Machine, user: UserSpace) -> None:
    vm.use(machine.k, user)
    assert vm.destroy(user) == SPACE_IN_USE
    switch_to(this_cpu(machine.k), machine.k.space)


def test_families_have_numbers(machine: Machine, user: UserSpace) -> None:
    """The lowest free one, and a child its parent's."""
    before = pmm.nr_free_frames(machine.k)
    views = [machine.new_space() for _ in range(20)]
    numbers = {view.family for view in views}
    assert len(numbers) == 20
    assert user.family not in numbers
    child = UserSpace(machine.k.m, vm.fork(machine.k, views[7]))
    assert child.family == views[7].family
    for view in views:
        assert at(view, LOWEST, 1) == LOWEST
        assert write(view, LOWEST) == OK
    machine.check()
    taken = [view.family for view in views]
    for index in (11, 3, 7):
        assert vm.destroy(views[index]) == OK
    views = [view for index, view in enumerate(views) if index not in (11, 3, 7)]
    views += [machine.new_space() for _ in range(3)]  # the child has its parent's number still
    assert [view.family for view in views[-3:-1]] == [taken[3], taken[11]]
    assert views[-1].family not in taken
    machine.check()
    for view in [*views, child]:
        assert vm.destroy(view) == OK
    machine.state(user)
    assert pmm.nr_free_frames(machine.k) == before
