"""The physical memory manager: stocks, refusals, counts, and random use against a set."""

import random

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from incroos.kernel import pmm
from incroos.kernel.codes import DOUBLE_FREE, EXIT_PANIC, FOREIGN, MISALIGNED, NO_FRAME, OK, RESERVED
from incroos.kernel.configs import CLASSIC, CLASSIC_CHECKED
from incroos.kernel.layout import KERNEL_STATE, KERNEL_STATE_END, POOL_START, ZONE_END, ZONE_FRAMES, ZONE_START
from incroos.kernel.pmm.frames import POISON
from incroos.machine.errors import MachineStopped

from ...budget import FULL
from ..guest import Guest

POOL_OF_A_PC = range(0x1_0000, 0x9_F000, 0x1000)


@pytest.fixture(scope='module')
def small() -> Guest:
    """A computer of 4 MiB, shared by tests that leave it as it was: 480 frames in the zone."""
    return Guest(4 << 20)


@pytest.fixture
def guest() -> Guest:
    return Guest(4 << 20)


@pytest.mark.parametrize(
    ('ram_bytes', 'nr_frames'),
    [
        (64 << 20, ZONE_FRAMES),
        (34 << 20, ZONE_FRAMES - 32),  # the firmware keeps the last 128 KiB
        (8 << 20, 6 * 256 - 32),
        (4 << 20, 2 * 256 - 32),
        (2 << 20, 0),
    ],
)
def test_counts_are_what_is_ram(ram_bytes: int, nr_frames: int) -> None:
    guest = Guest(ram_bytes)
    assert guest.call('nr_total_frames') == guest.call('nr_free_frames') == nr_frames
    assert guest.call('nr_total_pool_frames') == len(POOL_OF_A_PC)
    assert guest.call('check_pmm') == guest.call('check_vmm') == OK


def test_all_frames_of_the_zone_are_handed_out_once_and_zeroed(guest: Guest) -> None:
    nr_frames = guest.call('nr_total_frames')
    frames = [guest.call('alloc_page') for _ in range(nr_frames)]
    assert frames == list(range(ZONE_START, ZONE_START + 0x1000 * nr_frames, 0x1000))
    assert all(guest.frame(pa) == bytes(0x1000) for pa in frames)
    assert guest.call('nr_free_frames') == 0
    before = guest.state()
    assert guest.call('alloc_page') == NO_FRAME
    assert guest.state() == before
    assert guest.call('check_pmm') == OK
    order = frames[:]
    random.Random(1).shuffle(order)
    assert {guest.call('free_page', pa) for pa in order} == {OK}
    assert guest.call('nr_free_frames') == nr_frames
    assert guest.call('check_pmm') == OK


def test_fills_the_whole_zone_of_8192_frames() -> None:
    guest = Guest()
    assert [guest.call('take_frame') for _ in range(ZONE_FRAMES)] == list(range(ZONE_START, ZONE_END, 0x1000))
    assert guest.call('take_frame') == NO_FRAME
    assert guest.call('free_page', ZONE_END - 0x1000) == OK
    assert guest.call('free_page', ZONE_START + 0x40_0000) == OK
    assert guest.call('check_pmm') == OK
    assert [guest.call('take_frame') for _ in range(3)] == [ZONE_START + 0x40_0000, ZONE_END - 0x1000, NO_FRAME]


def test_a_dirty_frame_comes_back_zeroed(guest: Guest) -> None:
    pa = guest.call('alloc_page')
    guest.poke(pa, '4096s', b'\xa5' * 0x1000)
    assert guest.call('free_page', pa) == OK
    assert guest.call('alloc_page') == pa
    assert guest.frame(pa) == bytes(0x1000)


def test_take_frame_leaves_what_is_in_the_frame(guest: Guest) -> None:
    assert guest.frame(guest.call('take_frame')) == b'\xcc' * 0x1000


@pytest.mark.parametrize(
    ('pa', 'code'),
    [
        (ZONE_START + 1, MISALIGNED),
        (ZONE_START + 0x1000 - 8, MISALIGNED),
        (POOL_START + 16, MISALIGNED),
        (-1, MISALIGNED),
        (0, RESERVED),
        (0x1000, RESERVED),  # the root table
        (POOL_START, RESERVED),
        (0xA_0000, RESERVED),  # video memory
        (0x10_0000, RESERVED),  # the image
        (ZONE_START - 0x1000, RESERVED),  # the Kernel struct
        (4 << 20, FOREIGN),  # behind the RAM of this computer
        ((4 << 20) - 0x1000, FOREIGN),  # the firmware's
        (ZONE_END, FOREIGN),
        (1 << 40, FOREIGN),
        ((1 << 63) - 0x1000, FOREIGN),
        (-1 << 63, FOREIGN),
        (-0x1000, FOREIGN),
        (ZONE_START + 0x5000, DOUBLE_FREE),  # never handed out
    ],
)
def test_free_page_refuses_and_changes_nothing(small: Guest, pa: int, code: int) -> None:
    before = small.state()
    assert small.call('free_page', pa) == code
    assert small.state() == before


def test_a_second_free_is_refused(guest: Guest) -> None:
    pa = guest.call('alloc_page')
    other = guest.call('alloc_page')
    assert guest.call('free_page', pa) == OK
    before = guest.state()
    assert guest.call('free_page', pa) == DOUBLE_FREE
    assert guest.state() == before
    assert guest.call('free_page', other) == OK


def test_whose_a_frame_is_is_the_callers_to_know(guest: Guest) -> None:
    pa = guest.call('alloc_page')
    assert guest.call('map_page', 0x60_0000_0000, pa, 1) == OK
    assert guest.call('free_page', pa) == OK
    assert guest.call('get_physical', 0x60_0000_0000) == pa


def test_tables_come_from_the_pool_then_from_the_zone(guest: Guest) -> None:
    nr_pool = guest.call('nr_total_pool_frames')
    nr_zone = guest.call('nr_total_frames')
    in_use = nr_pool - guest.call('nr_free_pool_frames')  # the edge of the zone took a table
    from_pool = [guest.call('alloc_table', 1) for _ in range(nr_pool - in_use)]
    assert from_pool == list(POOL_OF_A_PC)[in_use:]
    assert guest.call('nr_free_pool_frames') == 0
    from_zone = [guest.call('alloc_table', 2) for _ in range(3)]
    assert from_zone == [ZONE_START, ZONE_START + 0x1000, ZONE_START + 0x2000]
    assert guest.call('nr_free_frames') == nr_zone - 3
    assert all(guest.frame(pa) == bytes(0x1000) for pa in from_pool + from_zone)
    assert guest.call('check_pmm') == OK
    for pa in from_zone:
        assert guest.call('free_page', pa) == RESERVED
    for pa in from_pool + from_zone:
        assert guest.call('free_table', pa) == OK
        assert guest.call('free_table', pa) == DOUBLE_FREE
    assert guest.call('nr_free_frames') == nr_zone
    assert guest.call('nr_free_pool_frames') == nr_pool - in_use
    assert guest.call('check_pmm') == OK


def test_no_table_when_both_stocks_are_empty(guest: Guest) -> None:
    while guest.call('take_frame') >= 0:
        pass
    while guest.call('alloc_table', 1) >= 0:
        pass
    before = guest.state()
    assert guest.call('alloc_table', 1) == NO_FRAME
    assert guest.state() == before
    assert guest.call('check_pmm') == OK


@pytest.mark.parametrize(
    ('pa', 'code'),
    [
        (POOL_START + 8, MISALIGNED),
        (0x1000, RESERVED),
        (0xF000, RESERVED),
        (0x10_0000, RESERVED),
        (0xA_0000, FOREIGN),  # video memory, where the pool has no RAM
        (0x9_F000, FOREIGN),  # cut in two by the firmware's own data
        (4 << 20, FOREIGN),
        (-0x1000, FOREIGN),
        (0x9_E000, DOUBLE_FREE),
        (ZONE_START, DOUBLE_FREE),
    ],
)
def test_free_table_refuses_and_changes_nothing(small: Guest, pa: int, code: int) -> None:
    before = small.state()
    assert small.call('free_table', pa) == code
    assert small.state() == before


def test_free_table_refuses_a_page(guest: Guest) -> None:
    pa = guest.call('alloc_page')
    before = guest.state()
    assert guest.call('free_table', pa) == RESERVED
    assert guest.state() == before


@pytest.mark.parametrize('name', ['alloc_page', 'alloc_table'])
def test_the_request_to_be_refused_is_refused_and_only_that(guest: Guest, name: str) -> None:
    words = [1] * (name == 'alloc_table')
    guest.k.frames.refuse_at = guest.k.frames.requests + 2
    before = guest.state()
    first = guest.call(name, *words)
    assert first >= 0
    assert guest.call(name, *words) == NO_FRAME
    assert guest.call('free_page' if name == 'alloc_page' else 'free_table', first) == OK
    assert guest.state() == before
    assert guest.call(name, *words) == first


def test_a_plain_build_neither_counts_requests_nor_poisons() -> None:
    guest = Guest(4 << 20, config=CLASSIC)
    guest.k.frames.refuse_at = 1
    pa = guest.call('alloc_page')
    assert pa == ZONE_START
    assert guest.k.frames.requests == 0
    guest.poke(pa, 'B', 0x77)
    assert guest.call('free_page', pa) == OK
    assert guest.frame(pa) == b'\x77' + bytes(0xFFF)


def test_freed_frames_are_poisoned_in_a_build_that_poisons(guest: Guest) -> None:
    assert guest.sim.machine.config == CLASSIC_CHECKED
    page, table = guest.call('alloc_page'), guest.call('alloc_table', 1)
    assert guest.call('free_page', page) == guest.call('free_table', table) == OK
    assert guest.frame(page) == guest.frame(table) == bytes([POISON]) * 0x1000


def test_a_frame_of_the_zone_before_it_is_mapped_is_a_panic(guest: Guest) -> None:
    guest.k.frames.are_frames_open = 0
    with pytest.raises(MachineStopped):
        guest.call('alloc_page')
    assert guest.cpu.stop_code == EXIT_PANIC


def test_a_table_does_not_come_from_a_zone_that_is_not_mapped(guest: Guest) -> None:
    while guest.call('nr_free_pool_frames') > 0:
        assert guest.call('alloc_table', 1) in POOL_OF_A_PC
    guest.k.frames.are_frames_open = 0
    assert guest.call('alloc_table', 1) == NO_FRAME


# ------------------------------------------------------------------ the checker finds what it promises to find
def test_check_names_the_broken_invariant(guest: Guest) -> None:
    frames = guest.k.frames
    held = guest.call('alloc_page')
    assert guest.call('check_pmm') == OK

    def broken(change: str) -> int:
        before = bytes(guest.ram[KERNEL_STATE:KERNEL_STATE_END])
        exec(change, {'k': guest.k, 'frames': frames, 'pool': frames.pool, 'zone': frames.zone, 'held': held})
        code = guest.call('check_pmm')
        guest.ram[KERNEL_STATE:KERNEL_STATE_END] = before
        return code

    assert broken('k.memory_map.nr_regions = 257') == 1
    assert broken('k.memory_map.regions[0].end = 0x9_F800') == 2
    assert broken('k.memory_map.regions[1].start = k.memory_map.regions[0].start') == 3
    assert broken('k.memory_map.regions[1].kind = 0') == 4
    assert broken('k.memory_map.nr_frames[1] -= 1') == 5
    for base, stock in ((10, 'pool'), (20, 'zone')):
        assert broken(f'{stock}.hint = {stock}.hint + 1') == base + 1
        assert broken(f'{stock}.hint = -1') == base + 1
        assert broken(f'{stock}.free[100] = 1') == base + 2
        assert broken(f'{stock}.summary[0] = {stock}.summary[0] & ~1') == base + 3
        assert broken(f'{stock}.summary[1] = -1 << 63') == base + 3
        assert broken(f'{stock}.nr_free_frames -= 1') == base + 4
        assert broken(f'{stock}.nr_total_frames += 1') == base + 4
    assert broken('frames.records[(held >> 12) + 1].level = 1') == 31
    assert broken('frames.records[0xA0].level = 4') == 31
    assert broken('frames.records[held >> 12].nr_entries = 1') == 31
    assert broken('frames.records[held >> 12].nr_references = 1') == 31
    assert guest.call('check_pmm') == OK


# ------------------------------------------------------------------ random use against a set
@settings(max_examples=100 if FULL else 8, stateful_step_count=40)
class FramesAgainstASet(RuleBasedStateMachine):
    """Frames held, as a set for pages and a set for tables; which frame comes next is the lowest free one."""

    def __init__(self) -> None:
        super().__init__()
        self.guest = Guest(3 << 20)
        self.zone = set(range(ZONE_START, ZONE_START + 0x1000 * self.guest.call('nr_total_frames'), 0x1000))
        nr_tables = len(POOL_OF_A_PC) - self.guest.call('nr_free_pool_frames')
        self.pool = set(POOL_OF_A_PC[nr_tables:])
        self.tables_of_the_kernel = set(POOL_OF_A_PC[:nr_tables])
        self.all_zone, self.all_pool = len(self.zone), len(self.pool)
        self.pages: set[int] = set()
        self.tables: set[int] = set()

    @rule(count=st.integers(1, 90))
    def alloc_pages(self, count: int) -> None:
        for _ in range(count):
            expected = min(self.zone, default=NO_FRAME)
            assert self.guest.call('alloc_page') == expected
            if expected != NO_FRAME:
                assert self.guest.frame(expected) == bytes(0x1000)
                self.zone.remove(expected)
                self.pages.add(expected)

    @rule(count=st.integers(1, 90), level=st.integers(1, 4))
    def alloc_tables(self, count: int, level: int) -> None:
        for _ in range(count):
            stock = self.pool or self.zone
            expected = min(stock, default=NO_FRAME)
            assert self.guest.call('alloc_table', level) == expected
            if expected != NO_FRAME:
                stock.remove(expected)
                self.tables.add(expected)

    @precondition(lambda self: self.pages)
    @rule(data=st.data(), count=st.integers(1, 60))
    def free_pages(self, data: st.DataObject, count: int) -> None:
        for pa in data.draw(st.permutations(sorted(self.pages)))[:count]:
            assert self.guest.call('free_table', pa) == RESERVED
            assert self.guest.call('free_page', pa) == OK
            assert self.guest.call('free_page', pa) == DOUBLE_FREE
            self.pages.remove(pa)
            self.zone.add(pa)

    @precondition(lambda self: self.tables)
    @rule(data=st.data(), count=st.integers(1, 60))
    def free_tables(self, data: st.DataObject, count: int) -> None:
        for pa in data.draw(st.permutations(sorted(self.tables)))[:count]:
            assert self.guest.call('free_page', pa) == RESERVED
            assert self.guest.call('free_table', pa) == OK
            assert self.guest.call('free_table', pa) == DOUBLE_FREE
            self.tables.remove(pa)
            (self.pool if pa < ZONE_START else self.zone).add(pa)

    @rule(pa=st.integers(-(1 << 63), (1 << 63) - 1) | st.integers(0, 1100).map(lambda pfn: pfn << 12))
    def free_anything(self, pa: int) -> None:
        if pa not in self.pages:
            assert self.guest.call('free_page', pa) < 0
        if pa not in self.tables | self.tables_of_the_kernel:
            assert self.guest.call('free_table', pa) < 0

    @invariant()
    def counts(self) -> None:
        assert pmm.nr_free_frames(self.guest.k) == len(self.zone)
        assert pmm.nr_free_pool_frames(self.guest.k) == len(self.pool)

    def teardown(self) -> None:
        assert self.guest.call('check_pmm') == OK
        for pa in self.pages:
            assert self.guest.call('free_page', pa) == OK
        for pa in self.tables:
            assert self.guest.call('free_table', pa) == OK
        assert self.guest.call('nr_free_frames') == self.all_zone
        assert self.guest.call('nr_free_pool_frames') == self.all_pool
        assert self.guest.call('check_pmm') == OK


TestFramesAgainstASet = FramesAgainstASet.TestCase
