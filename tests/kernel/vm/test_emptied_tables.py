"""Tables that were emptied are full of zeros: they wait for who needs such frames, and nobody zeroes them again."""

from typing import Final

import pytest

from incroos.kernel import pmm, vm
from incroos.kernel.codes import OK
from incroos.kernel.configs import MODERN, MODERN_CHECKED
from incroos.kernel.pmm import hot_list
from incroos.kernel.state import NR_SLOTS, UserSpace
from incroos.lang import PhysAddr, VirtAddr

from .families import BASE, end, fork, nr_free, write, zeros
from .space_model import MIB, PAGE, Machine

FAR: Final = 0x7000_0000_0000


def stock(machine: Machine) -> list[PhysAddr]:
    """Frames that are said to be full of zeros."""
    frames = machine.k.blocks
    hot = frames.zones[frames.preferred].zeroed
    return [PhysAddr(hot.slots[at % NR_SLOTS] << 12) for at in range(hot.bottom, hot.top)]


def is_zero(machine: Machine, frame: PhysAddr) -> bool:
    start = pmm.address_of(machine.k, frame)
    return all(machine.k.m.load64(VirtAddr(start + offset)) == 0 for offset in range(0, PAGE, 8))


@pytest.fixture
def machine() -> Machine:
    """A kernel that does not poison what is freed."""
    return Machine(8 * MIB, MODERN)


def test_they_are_kept_and_used_again(machine: Machine) -> None:
    user = machine.new_space()
    before = nr_free(machine)
    for start in (BASE, FAR):
        zeros(user, start, 3)
        write(user, start, 1)
        write(user, start + 2 * PAGE, 2)
    assert vm.unmap(user, BASE, 3 * PAGE) == vm.unmap(user, FAR, 3 * PAGE) == OK
    assert len(stock(machine)) == 6  # of three levels each
    assert all(is_zero(machine, frame) for frame in stock(machine))
    assert nr_free(machine) == before
    machine.check()
    zeros(user, BASE, 3)
    kept = set(stock(machine))
    write(user, BASE, 1)
    child = fork(machine, user)
    assert set(stock(machine)) < kept
    assert machine.leaves(child) == machine.leaves(user)
    machine.check()
    end(machine, [child, user])
    assert all(is_zero(machine, frame) for frame in stock(machine))
    assert hot_list.check(machine.k.blocks.zones[machine.k.blocks.preferred].zeroed) == OK


def test_there_is_room_for_so_many(machine: Machine) -> None:
    user = machine.new_space()
    for index in range(NR_SLOTS + 3):
        zeros(user, BASE + index * 2 * MIB, 1)
        write(user, BASE + index * 2 * MIB, 1)
    before = nr_free(machine)
    assert vm.unmap(user, BASE, (NR_SLOTS + 3) * 2 * MIB) == OK
    assert len(stock(machine)) == NR_SLOTS
    assert nr_free(machine) > before + 2 * NR_SLOTS
    machine.check()
    end(machine, [user])


def test_a_kernel_that_poisons_keeps_none() -> None:
    machine = Machine(8 * MIB, MODERN_CHECKED)
    user = machine.new_space()
    zeros(user, BASE, 1)
    write(user, BASE, 1)
    end(machine, [user])
    assert stock(machine) == []


def test_a_root_is_kept_as_the_next_space_needs_it(machine: Machine) -> None:
    user = machine.new_space()
    write_one(user)
    root, upper = user.space.root, upper_half(machine, user.space.root)
    nr_before = nr_free(machine)
    other = machine.new_space()
    end(machine, [other])
    assert nr_free(machine) == nr_before
    machine.check()
    end(machine, [user])
    assert pmm.has_kept(machine.k)
    again = machine.new_space()
    assert again.space.root == root
    assert upper_half(machine, root) == upper
    assert machine.leaves(again) == {}
    write_one(again)
    machine.check()
    end(machine, [again])


def write_one(user: UserSpace) -> None:
    zeros(user, BASE, 1)
    write(user, BASE, 1)


def upper_half(machine: Machine, root: PhysAddr) -> list[int]:
    """Entries of a root, without the bits that the processor sets."""
    start = pmm.address_of(machine.k, root)
    return [machine.k.m.load64(VirtAddr(start + 8 * index)) & ~0x60 for index in range(256, 512)]
