"""Each invariant of user spaces, broken by hand: the checker says which."""

from collections.abc import Callable
from typing import Final

import pytest

from incroos.kernel import pmm, vm, vmm
from incroos.kernel.codes import OK
from incroos.kernel.pmm.all import blocks
from incroos.kernel.state import READ, WRITE, Content, PageNode, Range, UserSpace
from incroos.kernel.vm import reverse_map, tree
from incroos.kernel.vm.check import (
    WRONG_BITS,
    WRONG_CONTENT,
    WRONG_FAMILY,
    WRONG_NAME,
    WRONG_RESIDENT,
    WRONG_TOTAL,
)
from incroos.kernel.vmm import tables
from incroos.lang import Pfn, PhysAddr, VirtAddr
from incroos.machine.errors import MachineStopped

from . import families
from .space_model import MIB, PAGE, WRITE_ERROR, Machine

BASE: Final = 0x4000_0000
STRIDE: Final = 16 * PAGE
NR: Final = 9
SHARED: Final = BASE + 64 * STRIDE
Damage = Callable[[Machine, UserSpace], None]


def prepared() -> tuple[Machine, UserSpace]:
    """Nine ranges of two pages, the first of each written and the second read; shared memory far from them."""
    machine = Machine(8 * MIB)
    user = machine.new_space()
    for index in range(NR):
        start = BASE + index * STRIDE
        assert vm.map_at(user, start, 2 * PAGE, READ | WRITE, 0, VirtAddr(0), 0) == start
        assert vm.fault(user, VirtAddr(start), WRITE_ERROR) == OK
        assert vm.fault(user, VirtAddr(start + PAGE), 0) == OK
    families.shared(machine, user, SHARED, 3)
    for page in (SHARED, SHARED + PAGE):
        assert vm.fault(user, VirtAddr(page), WRITE_ERROR) == OK
    machine.check()
    return machine, user


def range_of(user: UserSpace, index: int) -> Range:
    return Range(user.m, vm.find_range(user, VirtAddr(BASE + index * STRIDE)))


def root_of(user: UserSpace) -> Range:
    return Range(user.m, user.root)


def frame_of(user: UserSpace, page: int) -> PhysAddr:
    return PhysAddr(vmm.leaf_in(user.space, VirtAddr(page)) & ((1 << 52) - PAGE))


def set_leaf(machine: Machine, user: UserSpace, page: int, change: Callable[[int], int]) -> None:
    _code, _level, slot, entry = tables.walk(user.space, VirtAddr(page))
    machine.k.m.store64(pmm.address_of(machine.k, slot), change(entry))


def move_a_child(machine: Machine, user: UserSpace) -> None:
    Range(user.m, root_of(user).left).parent = range_of(user, 0).addr


def overlap(machine: Machine, user: UserSpace) -> None:
    range_of(user, 3).end = VirtAddr(BASE + 4 * STRIDE + PAGE)


def wrong_height(machine: Machine, user: UserSpace) -> None:
    root_of(user).height += 1


def wrong_gap(machine: Machine, user: UserSpace) -> None:
    range_of(user, 4).gap += PAGE


def wrong_largest_gap(machine: Machine, user: UserSpace) -> None:
    root_of(user).largest_gap += PAGE


def unaligned(machine: Machine, user: UserSpace) -> None:
    node = range_of(user, 8)
    tree.set_bounds(user, node, node.start, VirtAddr(node.end + 8))


def can_be_merged(machine: Machine, user: UserSpace) -> None:
    node = range_of(user, 8)
    tree.set_bounds(user, node, VirtAddr(range_of(user, 7).end), node.end)


def wrong_count(machine: Machine, user: UserSpace) -> None:
    user.nr_pages += 1


def wrong_locked_count(machine: Machine, user: UserSpace) -> None:
    user.nr_locked_pages += 1


def wrong_data_count(machine: Machine, user: UserSpace) -> None:
    user.nr_data_pages -= 1


def wrong_table_count(machine: Machine, user: UserSpace) -> None:
    user.space.nr_tables += 1


def page_outside(machine: Machine, user: UserSpace) -> None:
    assert vmm.map_in(user.space, VirtAddr(BASE + 5 * PAGE), PhysAddr(0x20_0000), vmm.PRESENT | vmm.NX) == OK


def executable(machine: Machine, user: UserSpace) -> None:
    set_leaf(machine, user, BASE, lambda entry: entry & ~vmm.NX)


def zeros_writable(machine: Machine, user: UserSpace) -> None:
    set_leaf(machine, user, BASE + PAGE, lambda entry: entry | vmm.WRITABLE)


def kernels_own(machine: Machine, user: UserSpace) -> None:
    set_leaf(machine, user, BASE, lambda entry: entry & ~vmm.USER)


def other_page(machine: Machine, user: UserSpace) -> None:
    reverse_map.note(user, frame_of(user, BASE), VirtAddr(BASE + PAGE))


def other_space(machine: Machine, user: UserSpace) -> None:
    word = BASE | (user.family + 1)
    machine.k.m.store64(reverse_map.place_of(machine.k, frame_of(user, BASE)), word)


def mapped_twice(machine: Machine, user: UserSpace) -> None:
    pmm.add_mapping(machine.k, frame_of(user, BASE))


def not_counted(machine: Machine, user: UserSpace) -> None:
    pmm.drop_mapping(machine.k, frame_of(user, BASE))


def wrong_resident(machine: Machine, user: UserSpace) -> None:
    user.nr_resident += 1


def borrowed_and_writable(machine: Machine, user: UserSpace) -> None:
    set_leaf(machine, user, BASE, lambda entry: entry | vmm.BORROWED)


def held_without_memory(machine: Machine, user: UserSpace) -> None:
    set_leaf(machine, user, BASE, lambda entry: entry | vmm.HELD)


def other_frame_of_memory(machine: Machine, user: UserSpace) -> None:
    memory = Content(user.m, Range(user.m, vm.find_range(user, VirtAddr(SHARED))).content)
    node = PageNode(user.m, memory.root)
    node.slots[0], node.slots[1] = node.slots[1], node.slots[0]


def unknown_frame_of_memory(machine: Machine, user: UserSpace) -> None:
    memory = Content(user.m, machine.k.vm.contents)
    memory.nr_frames += 1


def user_of_memory_too_much(machine: Machine, user: UserSpace) -> None:
    Content(user.m, machine.k.vm.contents).nr_users += 1


def range_that_is_not_listed(machine: Machine, user: UserSpace) -> None:
    Content(user.m, machine.k.vm.contents).first_range = VirtAddr(0)


def range_of_another_space(machine: Machine, user: UserSpace) -> None:
    Range(user.m, vm.find_range(user, VirtAddr(SHARED))).user = VirtAddr(0)


def node_elsewhere(machine: Machine, user: UserSpace) -> None:
    PageNode(user.m, Content(user.m, machine.k.vm.contents).root).nr_slots += 1


def changed_and_not_counted(machine: Machine, user: UserSpace) -> None:
    machine.k.vm.nr_changed += 1


def one_more_has_it(machine: Machine, user: UserSpace) -> None:
    """A frame that one space could write is borrowed in another."""
    child = UserSpace(user.m, vm.fork(machine.k, user))
    set_leaf(machine, user, BASE, lambda entry: entry & ~vmm.BORROWED | vmm.WRITABLE)
    assert child.family == user.family


def one_less_is_counted(machine: Machine, user: UserSpace) -> None:
    assert vm.fork(machine.k, user) != 0
    pmm.drop_mapping(machine.k, frame_of(user, BASE))


def cut_ring(machine: Machine, user: UserSpace) -> None:
    assert vm.fork(machine.k, user) != 0
    user.next_in_family = VirtAddr(user.addr)


def lost_number(machine: Machine, user: UserSpace) -> None:
    machine.k.vm.free_family = user.family + 3


def name_too_much(machine: Machine, user: UserSpace) -> None:
    reverse_map.note(user, pmm.alloc_page(machine.k), VirtAddr(BASE))


def no_zeros(machine: Machine, user: UserSpace) -> None:
    machine.k.m.store8(VirtAddr(pmm.address_of(machine.k, machine.k.vm.zero_page) + 4095), 1)


BROKEN: Final[tuple[tuple[Damage, int], ...]] = (
    (move_a_child, 11),
    (overlap, 11),
    (wrong_height, 12),
    (wrong_gap, 13),
    (wrong_largest_gap, 13),
    (unaligned, 21),
    (can_be_merged, 22),
    (wrong_count, 23),
    (wrong_data_count, 23),
    (wrong_locked_count, 23),
    (wrong_table_count, 35),
    (page_outside, WRONG_BITS),
    (executable, WRONG_BITS),
    (zeros_writable, WRONG_BITS),
    (kernels_own, WRONG_BITS),
    (other_page, WRONG_NAME),
    (other_space, WRONG_NAME),
    (mapped_twice, WRONG_NAME),
    (not_counted, WRONG_NAME),
    (borrowed_and_writable, WRONG_BITS),
    (held_without_memory, WRONG_BITS),
    (other_frame_of_memory, WRONG_NAME),
    (unknown_frame_of_memory, WRONG_CONTENT),
    (user_of_memory_too_much, WRONG_CONTENT),
    (range_that_is_not_listed, WRONG_CONTENT),
    (range_of_another_space, WRONG_CONTENT),
    (node_elsewhere, WRONG_CONTENT),
    (changed_and_not_counted, WRONG_CONTENT),
    (one_more_has_it, WRONG_NAME),
    (one_less_is_counted, WRONG_TOTAL),
    (cut_ring, WRONG_FAMILY),
    (lost_number, WRONG_FAMILY),
    (wrong_resident, WRONG_RESIDENT),
    (name_too_much, WRONG_TOTAL),
    (no_zeros, WRONG_TOTAL),
)


@pytest.mark.parametrize(('damage', 'code'), BROKEN, ids=[damage.__name__ for damage, _ in BROKEN])
def test_the_checker_finds(damage: Damage, code: int) -> None:
    machine, user = prepared()
    damage(machine, user)
    assert vm.check(machine.k) == code


def test_before_the_start_all_is_right() -> None:
    machine = Machine(8 * MIB)
    machine.k.vm.is_ready = 0
    assert vm.check(machine.k) == OK


# ------------------------------------------------------------------ bugs that are panics
def test_a_frame_that_is_mapped_is_not_freed() -> None:
    machine, user = prepared()
    with pytest.raises(MachineStopped):
        pmm.free_page(machine.k, frame_of(user, BASE))
    assert b'a frame is freed that is mapped or shared' in machine.sim.console()


def test_a_mapping_of_nobodys_frame_is_not_counted() -> None:
    for call in (pmm.add_mapping, pmm.drop_mapping):
        machine, _user = prepared()
        frame = pmm.alloc_page(machine.k)
        assert pmm.free_page(machine.k, frame) == OK
        with pytest.raises(MachineStopped):
            call(machine.k, frame)
        assert b'a mapping begins or ends that cannot be' in machine.sim.console()


def test_a_frame_that_somebody_else_has_is_not_freed_with_its_page() -> None:
    machine, user = prepared()
    pmm.add_mapping(machine.k, frame_of(user, BASE))
    assert vm.unmap(user, BASE + PAGE, PAGE) == OK
    assert vm.unmap(user, BASE, PAGE) == OK  # one mapping is left, and so is the frame
    assert vm.check(machine.k) == WRONG_TOTAL


def test_a_frame_with_other_references_does_not_go_with_its_page() -> None:
    machine, user = prepared()
    assert blocks.get(machine.k.blocks, Pfn(frame_of(user, BASE) >> 12)) == 3
    with pytest.raises(MachineStopped):
        vm.unmap(user, BASE, PAGE)
    assert b'a frame is freed that is mapped or shared' in machine.sim.console()
