"""What tests of fork have in common: spaces of one family, words in their pages, and frames that are counted."""

from collections.abc import Iterable
from typing import Final

from incroos.kernel import heap, pmm, vm, vmm
from incroos.kernel.codes import OK
from incroos.kernel.cpu import this_cpu
from incroos.kernel.state import IS_SHARED, READ, WRITE, UserSpace
from incroos.lang import PhysAddr, VirtAddr

from .space_model import PAGE, Machine

BASE: Final = 0x4000_0000


def zeros(user: UserSpace, start: int, nr_pages: int, rights: int = READ | WRITE, flags: int = 0) -> None:
    assert vm.map_at(user, start, nr_pages * PAGE, rights, flags, VirtAddr(0), 0) == start


def shared(machine: Machine, user: UserSpace, start: int, nr_pages: int, rights: int = READ | WRITE) -> int:
    """Map shared memory: its address."""
    memory = vm.create_shared(machine.k, nr_pages * PAGE)
    assert memory != 0
    assert vm.map_at(user, start, nr_pages * PAGE, rights, IS_SHARED, memory, 0) == start
    return memory


def fork(machine: Machine, user: UserSpace) -> UserSpace:
    child = UserSpace(machine.k.m, vm.fork(machine.k, user))
    assert child.addr != 0
    return child


def write(user: UserSpace, page: int, value: int) -> None:
    assert vm.store64(user, page, value) == OK


def read(user: UserSpace, page: int) -> int:
    code, value = vm.load64(user, page)
    assert code == OK
    return value


def words(user: UserSpace, nr_pages: int, start: int = BASE) -> list[int]:
    """What the first pages begin with."""
    return [read(user, start + index * PAGE) for index in range(nr_pages)]


def frame_of(user: UserSpace, page: int) -> PhysAddr:
    return PhysAddr(vmm.leaf_in(user.space, VirtAddr(page)) & ((1 << 52) - PAGE))


def is_writable(user: UserSpace, page: int) -> bool:
    return bool(vmm.leaf_in(user.space, VirtAddr(page)) & vmm.WRITABLE)


def nr_free(machine: Machine) -> int:
    heap.shrink(machine.k)
    return pmm.nr_free_frames(machine.k)


def end(machine: Machine, users: Iterable[UserSpace]) -> None:
    """Destroy spaces, with the kernel's own loaded."""
    vmm.switch_to(this_cpu(machine.k), machine.k.space)
    for user in users:
        assert vm.destroy(user) == OK
    machine.check()
