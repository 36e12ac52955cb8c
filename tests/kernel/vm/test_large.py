"""Large pages: 2 MiB by one fault where a range wants them, split where a part differs, never seen but by count."""

from collections.abc import Callable
from dataclasses import replace
from random import Random
from typing import Final

import pytest

from incroos.kernel import pmm, vm, vmm
from incroos.kernel.codes import BAD_POINTER, NO_FRAME, NO_ROOM, OK
from incroos.kernel.config import KernelConfig
from incroos.kernel.configs import MODERN_CHECKED, MODERN_LA57_CHECKED, MODERN_RECURSIVE
from incroos.kernel.pmm.all import buddy
from incroos.kernel.state import IS_LOCKED, READ, WRITE, UserSpace
from incroos.kernel.vm import advice_kinds
from incroos.kernel.vm.remapping import KEEPS_RANGE, MAY_MOVE, TO_PLACE
from incroos.lang import VirtAddr

from ...budget import FULL
from .families import fork, frame_of, nr_free, read, write, zeros
from .space_model import MIB, PAGE, WRITE_ERROR, Machine

BASE: Final = 0x4000_0000
LARGE: Final = 2 * MIB
PAGES: Final = LARGE // PAGE  # of a large one
ELSEWHERE: Final = 0x50_0000_0000
WITH_WORDS: Final = (*range(10), *range(10, PAGES, 20), PAGES - 1)  # pages that begin with 1, 2, 3 and so on
ALL: Final = sum(index + 1 for index in WITH_WORDS)


@pytest.fixture(name='machine', scope='module')
def make_machine() -> Machine:
    """One for all tests: each ends its spaces."""
    return Machine(24 * MIB)


def wants(user: UserSpace, start: int, nbytes: int, advice: int = advice_kinds.HUGE_PAGES) -> None:
    assert vm.advise(user, VirtAddr(start), VirtAddr(start + nbytes), advice) == OK


def touch(user: UserSpace, va: int) -> None:
    assert vm.fault(user, VirtAddr(va), WRITE_ERROR) == OK


def with_large(machine: Machine, nr_large: int = 1) -> UserSpace:
    """A space with so many large pages from BASE on, in a range that goes on behind them."""
    user = machine.new_space()
    zeros(user, BASE, (nr_large + 1) * PAGES)
    wants(user, BASE, (nr_large + 1) * LARGE)
    for index in range(nr_large):
        touch(user, BASE + index * LARGE + 5 * PAGE)
    assert user.space.nr_large == nr_large
    return user


def end(machine: Machine, *users: UserSpace) -> None:
    assert vm.check(machine.k) == OK
    for user in users:
        assert vm.destroy(user) == OK
    machine.check()


# ------------------------------------------------------------------ faults
def test_a_fault_brings_2_mib_where_they_are_wanted(machine: Machine) -> None:
    user = with_large(machine)
    assert (user.nr_faults, user.nr_resident) == (1, PAGES)
    first = frame_of(user, BASE)
    assert first % LARGE == 0
    assert [frame_of(user, BASE + index * PAGE) - first for index in range(PAGES)] == [*range(0, LARGE, PAGE)]
    assert all(read(user, va) == 0 for va in range(BASE, BASE + LARGE, 37 * PAGE))
    write(user, BASE + 9 * PAGE, 9)
    assert read(user, BASE + 9 * PAGE) == 9
    assert (user.nr_faults, user.space.nr_large) == (1, 1)
    end(machine, user)


@pytest.mark.parametrize(
    ('first', 'nr_pages', 'advice'),
    [
        (0, PAGES, advice_kinds.NORMAL),  # nobody asked
        (0, PAGES, advice_kinds.NO_HUGE_PAGES),
        (1, PAGES, advice_kinds.HUGE_PAGES),  # not the whole block
        (0, PAGES - 1, advice_kinds.HUGE_PAGES),
    ],
)
def test_a_fault_brings_a_page_where_they_do_not_fit(machine: Machine, first: int, nr_pages: int, advice: int) -> None:
    user = machine.new_space()
    zeros(user, BASE + first * PAGE, nr_pages)
    wants(user, BASE + first * PAGE, nr_pages * PAGE, advice)
    touch(user, BASE + PAGE)
    assert (user.nr_resident, user.space.nr_large) == (1, 0)
    end(machine, user)


def test_a_page_that_is_there_forbids_a_large_one(machine: Machine) -> None:
    user = machine.new_space()
    zeros(user, BASE, PAGES)
    assert vm.fault(user, VirtAddr(BASE + PAGE), 0) == OK  # the frame of zeros
    wants(user, BASE, LARGE)
    touch(user, BASE)
    assert user.nr_resident == 1
    assert vm.advise(user, VirtAddr(BASE), VirtAddr(BASE + LARGE), advice_kinds.DONT_NEED) == OK
    touch(user, BASE)
    assert user.nr_resident == PAGES
    end(machine, user)


def test_a_table_of_a_space_before_forbids_none(machine: Machine) -> None:
    """A spare space has tables without entries, in the place of one of which a large page may come."""
    before = machine.new_space()
    for start in (BASE, BASE + LARGE):
        zeros(before, start, 1)
        write(before, start, 1)
    vm.hold(before)
    vm.drop(machine.k, before)
    user = with_large(machine)
    assert user.space.root == before.space.root
    write(user, BASE + LARGE + PAGE, 2)
    assert user.space.nr_large == 2
    end(machine, user)


def test_where_no_block_is_free_a_page_comes() -> None:
    machine = Machine(8 * MIB)
    blocks = []
    while (block := pmm.take_huge(machine.k)) >= 0:
        blocks.append(block)
    user = machine.new_space()
    zeros(user, BASE, PAGES)
    wants(user, BASE, LARGE)
    touch(user, BASE)
    assert (user.nr_resident, user.space.nr_large) == (1, 0)
    for block in blocks:
        pmm.free_block(machine.k, block)
    end(machine, user)


def test_populating_brings_large_pages_and_stops_at_none(machine: Machine) -> None:
    user = machine.new_space()
    zeros(user, BASE + 3 * PAGE, 2 * PAGES)
    wants(user, BASE + 3 * PAGE, 2 * LARGE)
    assert vm.populate(user, VirtAddr(BASE), VirtAddr(BASE + 3 * LARGE)) == OK
    assert (user.nr_resident, user.space.nr_large, user.nr_faults) == (2 * PAGES, 1, 1 + PAGES)
    end(machine, user)


# ------------------------------------------------------------------ what comes back
@pytest.mark.parametrize(
    'config',
    [
        MODERN_CHECKED,
        replace(MODERN_CHECKED, frames=buddy),
        MODERN_RECURSIVE,
        MODERN_LA57_CHECKED,
    ],
    ids=['tree', 'buddy', 'recursive', 'five levels'],
)
def test_all_comes_back_whole_or_in_parts(config: KernelConfig) -> None:
    machine = Machine(16 * MIB, config)
    assert vm.destroy(with_large(machine)) == OK
    before, nr_blocks = nr_free(machine), nr_free_blocks(machine)
    user = with_large(machine, 2)
    assert vm.unmap(user, BASE + 3 * PAGE, PAGE) == OK
    assert (user.nr_resident, user.space.nr_large) == (2 * PAGES - 1, 1)
    assert vm.check(machine.k) == OK
    assert vm.unmap(user, BASE + LARGE, LARGE) == OK
    assert (user.nr_resident, user.space.nr_large) == (PAGES - 1, 0)
    assert vm.unmap(user, BASE, LARGE) == OK
    assert user.nr_resident == 0
    end(machine, user)
    assert (nr_free(machine), nr_free_blocks(machine)) == (before, nr_blocks)


def nr_free_blocks(machine: Machine) -> int:
    """How many blocks of 2 MiB can be had: what was freed in parts must have come together."""
    blocks = []
    while (block := pmm.take_huge(machine.k)) >= 0:
        blocks.append(block)
    for block in blocks:
        assert pmm.free_block(machine.k, block) == OK
    return len(blocks)


def test_an_emptied_large_page_is_large_again(machine: Machine) -> None:
    user = with_large(machine)
    write(user, BASE, 1)
    for advice in (advice_kinds.DONT_NEED, advice_kinds.FREE):
        assert vm.advise(user, VirtAddr(BASE), VirtAddr(BASE + LARGE), advice) == OK
        assert (user.nr_resident, user.space.nr_large) == (0, 0)
        assert read(user, BASE + LARGE) == 0  # elsewhere: it would be the frame of zeros
        touch(user, BASE + 7 * PAGE)
        assert (read(user, BASE), user.nr_resident, user.space.nr_large) == (0, PAGES, 1)
    end(machine, user)


# ------------------------------------------------------------------ splits
def protect(user: UserSpace) -> None:
    assert vm.protect(user, BASE + PAGE, PAGE, READ) == OK


def protect_the_end(user: UserSpace) -> None:
    assert vm.protect(user, BASE + LARGE - PAGE, 2 * PAGE, READ) == OK


def drop(user: UserSpace) -> None:
    assert vm.advise(user, VirtAddr(BASE + PAGE), VirtAddr(BASE + 2 * PAGE), advice_kinds.DONT_NEED) == OK


def lock(user: UserSpace) -> None:
    assert vm.lock(user, VirtAddr(BASE + PAGE), VirtAddr(BASE + 2 * PAGE), IS_LOCKED) == OK


def refuse(user: UserSpace) -> None:
    wants(user, BASE, PAGE, advice_kinds.NO_HUGE_PAGES)


def shrink(user: UserSpace) -> None:
    assert vm.remap(user, VirtAddr(BASE), 2 * LARGE, PAGE, 0, 0) == BASE


def move(user: UserSpace) -> None:
    assert vm.remap(user, VirtAddr(BASE + PAGE), PAGE, PAGE, MAY_MOVE | TO_PLACE, ELSEWHERE) == ELSEWHERE
    assert read(user, ELSEWHERE) == 2


def move_from(user: UserSpace) -> None:
    found = vm.remap(user, VirtAddr(BASE), LARGE, LARGE, MAY_MOVE | KEEPS_RANGE | TO_PLACE, ELSEWHERE)
    assert found == ELSEWHERE


def map_over(user: UserSpace) -> None:
    zeros(user, BASE + PAGE, 1)


ACTS: Final[dict[Callable[[UserSpace], None], int]] = {  # and what the words of all pages are together then
    protect: ALL,
    protect_the_end: ALL,
    drop: ALL - 2,
    lock: ALL,
    refuse: ALL,
    shrink: 1,
    move: ALL,
    move_from: ALL,
    map_over: ALL - 2,
}


@pytest.mark.parametrize('act', ACTS)
def test_what_changes_a_part_splits(machine: Machine, act: Callable[[UserSpace], None]) -> None:
    user = with_large(machine)
    for index in WITH_WORDS:
        write(user, BASE + index * PAGE, index + 1)
    act(user)
    assert user.space.nr_large == 0
    assert vm.check(machine.k) == OK
    places = [start + index * PAGE for start in (BASE, ELSEWHERE) for index in WITH_WORDS]
    assert sum(read_if_there(user, page) for page in places) == ACTS[act]
    end(machine, user)


def read_if_there(user: UserSpace, page: int) -> int:
    code, value = vm.load64(user, page)
    return value if code == OK else 0


@pytest.mark.parametrize('rights', [READ, 0, READ | WRITE | 4])
def test_rights_of_the_whole_keep_it_large(machine: Machine, rights: int) -> None:
    user = with_large(machine)
    write(user, BASE + PAGE, 3)
    assert vm.protect(user, BASE, 2 * LARGE, rights) == OK
    assert user.space.nr_large == 1
    assert (vm.store64(user, BASE + PAGE, 4) == OK) == bool(rights & WRITE)
    machine.check()
    assert vm.protect(user, BASE, 2 * LARGE, READ | WRITE) == OK
    assert read(user, BASE + PAGE) == (4 if rights & WRITE else 3)
    end(machine, user)


def test_a_copy_after_fork_is_of_4_kib(machine: Machine) -> None:
    user = with_large(machine)
    write(user, BASE + 7 * PAGE, 7)
    child = fork(machine, user)
    assert (user.space.nr_large, child.space.nr_large) == (0, 0)
    assert (user.nr_resident, child.nr_resident) == (PAGES, PAGES)
    before = nr_free(machine)
    write(child, BASE + 7 * PAGE, 8)
    assert nr_free(machine) == before - 1
    assert (read(user, BASE + 7 * PAGE), read(child, BASE + 7 * PAGE)) == (7, 8)
    assert frame_of(user, BASE + 8 * PAGE) == frame_of(child, BASE + 8 * PAGE)
    end(machine, child, user)


def test_accessed_and_dirty_are_those_of_the_large_page(machine: Machine) -> None:
    user = with_large(machine)
    seen = vmm.ACCESSED | vmm.DIRTY
    assert vmm.leaf_in(user.space, VirtAddr(BASE)) & seen == 0
    read(user, BASE + PAGE)
    assert vmm.leaf_in(user.space, VirtAddr(BASE)) & seen == vmm.ACCESSED
    write(user, BASE + PAGE, 1)
    assert vmm.leaf_in(user.space, VirtAddr(BASE)) & seen == seen
    protect(user)
    assert vmm.leaf_in(user.space, VirtAddr(BASE + 9 * PAGE)) & seen == seen
    end(machine, user)


# ------------------------------------------------------------------ frames that are refused
CALLS: Final[dict[str, Callable[[Machine, UserSpace], object]]] = {
    'fault far away': lambda machine, user: touch(user, ELSEWHERE),
    'populate': lambda machine, user: vm.populate(user, VirtAddr(BASE), VirtAddr(BASE + 2 * LARGE)),
    'protect': lambda machine, user: vm.protect(user, BASE + PAGE, PAGE, READ),
    'advise': lambda machine, user: vm.advise(
        user, VirtAddr(BASE + PAGE), VirtAddr(BASE + 2 * PAGE), advice_kinds.DONT_FORK
    ),
    'move': lambda machine, user: vm.remap(
        user, VirtAddr(BASE + PAGE), PAGE, PAGE, MAY_MOVE | TO_PLACE, ELSEWHERE + LARGE
    ),
    'fork': lambda machine, user: vm.fork(machine.k, user),
}


@pytest.mark.parametrize('name', CALLS)
def test_a_refused_frame_loses_nothing(machine: Machine, name: str) -> None:
    """A call succeeds without large pages, or fails, and all pages are as they were."""
    user = with_large(machine)
    zeros(user, ELSEWHERE, PAGES)
    wants(user, ELSEWHERE, LARGE)
    write(user, BASE + 3 * PAGE, 3)
    before = summary(machine, user)
    for request in range(1, 40):
        machine.refuse(request)
        code = CALLS[name](machine, user)
        was_refused = machine.k.frames.requests >= request
        machine.refuse(0)
        assert vm.check(machine.k) == OK
        assert read(user, BASE + 3 * PAGE) == 3
        if not was_refused or summary(machine, user) != before:
            break
        assert code in (NO_ROOM, NO_FRAME, 0)
    else:
        raise AssertionError('it asks without end')
    end(machine, *others_of(user), user)


def summary(machine: Machine, user: UserSpace) -> tuple[object, ...]:
    """What a call that fails must leave alone, but the pages one by one."""
    counts = user.nr_ranges, user.nr_resident, user.nr_faults, user.space.nr_large, user.space.nr_tables
    return machine.ranges(user), counts, nr_free(machine)


def others_of(user: UserSpace) -> list[UserSpace]:
    other = UserSpace(user.m, user.next_in_family)
    return [other] if other.addr != user.addr else []


# ------------------------------------------------------------------ at random
class Area:
    """Two large pages and some pages, with a dict that says which page begins with which word."""

    def __init__(self, machine: Machine, seed: int) -> None:
        self.machine, self.random = machine, Random(seed)
        self.user = machine.new_space()
        self.words: dict[int, int] = {}
        self.renew()

    def renew(self) -> None:
        zeros(self.user, BASE, 2 * PAGES + 8)
        wants(self.user, BASE, 2 * LARGE + 8 * PAGE)
        self.words = dict.fromkeys(range(BASE, BASE + 2 * LARGE + 8 * PAGE, PAGE), 0)

    def piece(self) -> tuple[int, int]:
        """Start and length of some pages, or of a large one, or nearly."""
        nr_pages = self.random.choice([1, 2, 7, PAGES - 1, PAGES, PAGES])
        first = self.random.choice([0, 0, 1, PAGES, PAGES, self.random.randrange(2 * PAGES)])
        return BASE + first * PAGE, min(nr_pages, 2 * PAGES + 8 - first) * PAGE

    def write(self) -> None:
        for _ in range(6):
            page = BASE + self.random.randrange(2 * PAGES + 8) * PAGE
            value = self.random.randrange(1 << 40)
            if (vm.store64(self.user, page, value) == OK) == (page in self.words) and page in self.words:
                self.words[page] = value

    def step(self) -> None:
        start, nbytes = self.piece()
        pages = range(start, start + nbytes, PAGE)
        match self.random.randrange(8):
            case 0:
                assert vm.unmap(self.user, start, nbytes) == OK
                for page in pages:
                    self.words.pop(page, None)
            case 1:
                rights = self.random.choice([READ, 0])
                vm.protect(self.user, start, nbytes, rights)
                self.machine.check()
                vm.protect(self.user, start, nbytes, READ | WRITE)
            case 2:
                vm.advise(self.user, VirtAddr(start), VirtAddr(start + nbytes), advice_kinds.DONT_NEED)
                self.words.update({page: 0 for page in pages if page in self.words})
            case 3:
                child = fork(self.machine, self.user)
                self.write()
                assert vm.destroy(child) == OK
            case 4:
                if all(page in self.words for page in pages):
                    for at, to in ((start, ELSEWHERE), (ELSEWHERE, start)):
                        moved = vm.remap(self.user, VirtAddr(at), nbytes, nbytes, MAY_MOVE | TO_PLACE, to)
                        assert moved in (to, BAD_POINTER)
                        if moved != to:
                            break
            case 5:
                self.renew()
                self.write()
            case _:
                self.write()


@pytest.mark.parametrize('seed', range(40 if FULL else 1))
def test_at_random_nothing_is_seen_of_them(machine: Machine, seed: int) -> None:
    area = Area(machine, seed)
    nr_seen = 0
    for _ in range(30):
        area.step()
        assert vm.check(machine.k) == OK
        nr_seen += area.user.space.nr_large
        written = {page: value for page, value in area.words.items() if value != 0}  # a read first makes pages small
        assert all(read(area.user, page) == value for page, value in written.items())
    assert nr_seen > 10
    assert sum(read_if_there(area.user, page) for page in range(BASE, BASE + 2 * LARGE, PAGE)) == sum(
        value for page, value in area.words.items() if page < BASE + 2 * LARGE
    )
    end(machine, area.user)
