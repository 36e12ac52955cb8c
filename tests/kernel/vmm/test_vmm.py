"""The virtual memory manager: flags, page sizes, tables given back, failures half-way, the checker."""

from typing import Final

import pytest

from incroos.kernel import pmm, vmm
from incroos.kernel.codes import (
    ALREADY_MAPPED,
    EXIT_PANIC,
    LARGE_PAGE,
    NO_FRAME,
    NOT_MAPPED,
    OK,
)
from incroos.kernel.configs import CLASSIC
from incroos.kernel.layout import BOOT_TABLES, KERNEL_STATE, POOL_START, STACK_GUARD, ZONE_END, ZONE_START
from incroos.kernel.state import NR_KNOWN, Kernel
from incroos.kernel.vmm import ACCESSED, NX, PRESENT, USER, WRITABLE
from incroos.kernel.vmm.init import classic as takeover
from incroos.lang import PhysAddr, VirtAddr
from incroos.machine.errors import MachineStopped

from ..guest import ADDRESS, WHOLE_4_MIB, Guest

DATA: Final = PRESENT | WRITABLE | NX
HEAP: Final = 0x1000_0000
FAR: Final = 0x7FFF_C000_0000  # nothing near it: three new tables
HIGH: Final = -0x8000_0000  # the top 2 GiB
HUGE: Final = 2 << 20
GIANT: Final = 1 << 30


@pytest.fixture
def guest() -> Guest:
    return Guest(4 << 20, WHOLE_4_MIB)


# ------------------------------------------------------------------ boot
def test_identity_map_grows_over_the_zone_and_not_beyond_ram() -> None:
    guest = Guest((8 << 20) - 0x3000)  # the last 2 MiB are not whole
    end = (8 << 20) - 0x3000 - 0x2_0000
    for va in range(0, end, 0x1000):
        if va != STACK_GUARD:
            assert guest.walk(va) == (va, 2 if 0x20_0000 <= va < 0x60_0000 else 1)
    assert guest.call('get_physical', end) == NOT_MAPPED
    assert guest.call('get_physical', STACK_GUARD) == NOT_MAPPED
    assert guest.k.space.nr_tables == 1
    assert guest.entries_to(0x20_0000)[-1] == 0x20_0000 | DATA | vmm.HUGE
    assert guest.call('check_vmm') == guest.call('check_pmm') == OK


def test_holes_in_the_zone_are_not_mapped() -> None:
    holes = [(0, 0x9_0000, 1), (0x10_0000, 0x20_0000, 1), (0x40_0000, 0x10_1000, 1), (0x70_0000, 0x10_0000, 1)]
    guest = Guest(8 << 20, holes)
    ram = [
        *range(0x20_0000, 0x30_0000, 0x1000),
        *range(0x40_0000, 0x50_1000, 0x1000),
        *range(0x70_0000, 8 << 20, 0x1000),
    ]
    assert [va for va in range(0x20_0000, 8 << 20, 0x1000) if guest.call('get_physical', va) >= 0] == ram
    assert [guest.call('alloc_page') for _ in ram] == ram
    assert guest.call('alloc_page') == NO_FRAME


def test_tables_elsewhere_than_the_boot_codes_are_a_panic(guest: Guest) -> None:
    guest.poke(0x9_0000, '4096s', guest.frame(BOOT_TABLES))
    guest.sim.machine.write_cr3(0x9_0000)
    with pytest.raises(MachineStopped):
        vmm.init(guest.k)
    assert guest.cpu.stop_code == EXIT_PANIC


def test_an_edge_in_the_zone_and_no_pool_is_a_panic(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[tuple[bytes, int, int, int]] = []

    def panic(k: Kernel, site: bytes, a: int, b: int, c: int) -> None:
        said.append((site, a, b, c))
        raise MachineStopped

    monkeypatch.setattr(takeover, 'panic', panic)
    with pytest.raises(MachineStopped):
        Guest(4 << 20, [(0x10_0000, 0x2F_0000, 1)])
    assert said == [(b'vmm: the zone cannot be mapped: address, code, level', 0x20_0000, NO_FRAME, 1)]


def test_a_zone_without_edges_needs_no_pool() -> None:
    guest = Guest(4 << 20, [(0x10_0000, 0x30_0000, 1)])
    assert guest.call('nr_total_pool_frames') == 0
    assert guest.call('map_page', FAR, guest.call('alloc_page'), DATA) == OK
    assert guest.call('nr_free_frames') == 512 - 1 - 3
    assert guest.call('check_vmm') == guest.call('check_pmm') == OK


# ------------------------------------------------------------------ mapping
@pytest.mark.parametrize('va', [HEAP, FAR, HIGH, -1 << 47, (1 << 47) - 0x1000, -0x1000])
def test_map_translate_unmap(guest: Guest, va: int) -> None:
    before = guest.state()
    pa = guest.call('alloc_page')
    assert guest.call('get_physical', va) == NOT_MAPPED
    assert guest.call('map_page', va, pa, DATA) == OK
    assert guest.flushed[-1] == va
    assert guest.walk(va) == (pa, 1)
    assert [guest.call('get_physical', va + at) for at in (0, 1, 0xFFF)] == [pa, pa + 1, pa + 0xFFF]
    assert guest.call('check_vmm') == guest.call('check_pmm') == OK
    assert guest.call('unmap_page', va) == pa
    assert guest.flushed[-1] == va
    assert guest.call('get_physical', va) == NOT_MAPPED
    assert guest.call('free_page', pa) == OK
    assert guest.state() == before
    assert guest.call('check_vmm') == guest.call('check_pmm') == OK


def test_physical_address_zero_can_be_mapped(guest: Guest) -> None:
    assert guest.call('map_page', HEAP, 0, PRESENT) == OK
    assert guest.call('get_physical', HEAP) == 0
    assert guest.call('map_page', HEAP, 0x1000, PRESENT) == ALREADY_MAPPED
    assert guest.call('unmap_page', HEAP) == 0
    assert guest.call('unmap_page', HEAP) == NOT_MAPPED


SINGLE_FLAGS: Final = [1 << bit for bit in [*range(1, 12), *range(52, 63)]] + [NX]


@pytest.mark.parametrize('flag', SINGLE_FLAGS)
@pytest.mark.parametrize('level', [1, 2, 3])
def test_every_flag_reaches_the_leaf_and_only_the_leaf_limits(guest: Guest, flag: int, level: int) -> None:
    va, pa = 0x80_0000_0000, 0x4000_0000
    assert guest.call('map_leaf', va, pa, PRESENT | flag, level) == OK
    *above, leaf = guest.entries_to(va)
    assert leaf == pa | PRESENT | flag | (vmm.HUGE if level > 1 else 0)
    assert above == [entry & ADDRESS | PRESENT | WRITABLE | USER for entry in above]
    assert guest.call('protect_leaf', va, PRESENT, level) == OK
    kept = flag & (vmm.ACCESSED | vmm.DIRTY)
    assert guest.entries_to(va)[-1] == pa | PRESENT | kept | (vmm.HUGE if level > 1 else 0)
    assert guest.call('protect_leaf', va, PRESENT | flag, level) == OK
    assert guest.entries_to(va)[-1] == leaf
    assert guest.call('check_vmm') == OK


@pytest.mark.parametrize('level', [2, 3])
def test_the_memory_type_bit_of_large_leaves(guest: Guest, level: int) -> None:
    assert guest.call('map_leaf', FAR, 0x4000_0000, DATA | vmm.PAT_LARGE, level) == OK
    assert guest.entries_to(FAR)[-1] == 0x4000_0000 | DATA | vmm.PAT_LARGE | vmm.HUGE
    assert guest.call('get_physical', FAR) == 0x4000_0000
    assert guest.call('check_vmm') == OK
    assert guest.call('unmap_leaf', FAR, level) == 0x4000_0000


@pytest.mark.parametrize(('flag', 'rights'), [(USER, USER), (WRITABLE, 0), (USER | WRITABLE, USER)])
def test_rights_of_a_leaf_reach_the_upper_entries_of_the_boot_code(guest: Guest, flag: int, rights: int) -> None:
    """The boot code's entries are writable and for the supervisor; a page under them may be the user's."""
    old = guest.entries_to(HEAP)
    assert all(entry & 7 == PRESENT | WRITABLE for entry in old[:2])
    assert guest.call('map_page', HEAP, 0, PRESENT | flag | NX) == OK
    new = guest.entries_to(HEAP)
    assert new[:2] == [entry | rights for entry in old[:2]]
    assert new[-1] == PRESENT | flag | NX


def test_protect_widens_the_upper_entries_too(guest: Guest) -> None:
    assert guest.call('map_page', HEAP, 0, PRESENT) == OK
    assert guest.entries_to(HEAP)[0] & USER == 0
    assert guest.call('protect', HEAP, PRESENT | USER) == OK
    assert all(entry & USER for entry in guest.entries_to(HEAP))
    assert guest.call('protect', HEAP, PRESENT) == OK
    assert guest.flushed[-1] == HEAP
    assert guest.entries_to(HEAP)[-1] == PRESENT


def test_protect_makes_text_of_the_boot_map_read_only(guest: Guest) -> None:
    assert guest.call('protect', 0x10_0000, PRESENT) == OK
    assert guest.entries_to(0x10_0000)[-1] == 0x10_0000 | PRESENT


# ------------------------------------------------------------------ tables
def test_tables_are_counted_and_given_back_when_they_are_empty(guest: Guest) -> None:
    pool = guest.call('nr_free_pool_frames')
    pages = [FAR, FAR + 0x1000, FAR + HUGE, FAR - GIANT, FAR - (1 << 39)]
    tables = [3, 3, 4, 6, 9]
    base = guest.k.space.nr_tables
    for va, nr_tables in zip(pages, tables, strict=True):
        assert guest.call('map_page', va, 0, DATA) == OK
        assert guest.k.space.nr_tables == base + nr_tables == base + pool - guest.call('nr_free_pool_frames')
    for va, nr_tables in zip(pages, [9, 8, 6, 3, 0], strict=True):
        assert guest.call('unmap_page', va) == 0
        assert guest.k.space.nr_tables == base + nr_tables == base + pool - guest.call('nr_free_pool_frames')
        assert guest.call('check_vmm') == OK


def test_the_boot_codes_tables_are_never_given_back(guest: Guest) -> None:
    in_use = {BOOT_TABLES, 0x2000, 0x3000, 0x4000, POOL_START, STACK_GUARD}
    for va in range(0, KERNEL_STATE, 0x1000):
        if va not in in_use:
            assert guest.call('unmap_page', va) == va
    assert [entry & ~ACCESSED for entry in guest.entries_to(BOOT_TABLES)[:3]] == [0x2003, 0x3003, 0x4003]
    assert guest.call('check_vmm') == OK


def test_an_emptied_table_is_unlinked_and_flushed_before_it_is_freed(guest: Guest) -> None:
    """What was in the freed tables is poisoned in this build: no walk may lead there any more."""
    assert guest.call('map_page', FAR, 0, DATA) == OK
    assert guest.call('unmap_page', FAR) == 0
    assert guest.entries_to(FAR) == [0]
    assert guest.flushed[-1] == FAR


def test_tables_come_from_the_zone_when_the_pool_is_empty(guest: Guest) -> None:
    while guest.call('nr_free_pool_frames') > 1:
        assert guest.call('alloc_table', 4) > 0
    zone = guest.call('nr_free_frames')
    assert guest.call('map_page', FAR, 0, DATA) == OK
    assert guest.call('nr_free_frames') == zone - 2
    assert guest.call('get_physical', FAR) == 0
    assert guest.call('check_pmm') == OK
    assert guest.call('unmap_page', FAR) == 0
    assert guest.call('nr_free_frames') == zone


# ------------------------------------------------------------------ failures half-way
TABLES_NEEDED: Final = [
    (FAR, 1, 3), (FAR, 2, 2), (FAR, 3, 1), (HIGH, 1, 3), (HIGH, 2, 2), (GIANT, 1, 2), (GIANT, 2, 1), (HEAP, 1, 1),
]  # fmt: skip


@pytest.mark.parametrize(
    ('va', 'level', 'refused'),
    [(va, level, refused) for va, level, needed in TABLES_NEEDED for refused in range(1, needed + 1)],
)
def test_no_frame_for_one_of_the_tables_leaves_everything_as_it_was(
    guest: Guest, va: int, level: int, refused: int
) -> None:
    guest.k.frames.refuse_at = guest.k.frames.requests + refused
    before = guest.state()
    assert guest.call('map_leaf', va, 0x4000_0000, DATA | USER, level) == NO_FRAME
    assert guest.state() == before
    assert guest.call('check_vmm') == guest.call('check_pmm') == OK
    assert guest.call('map_leaf', va, 0x4000_0000, DATA | USER, level) == OK
    assert guest.call('check_vmm') == guest.call('check_pmm') == OK


@pytest.mark.parametrize(('va', 'level', 'needed'), TABLES_NEEDED)
def test_no_more_tables_are_made_than_needed(guest: Guest, va: int, level: int, needed: int) -> None:
    before = guest.k.space.nr_tables
    assert guest.call('map_leaf', va, 0x4000_0000, DATA, level) == OK
    assert guest.k.space.nr_tables == before + needed


def test_a_full_machine_refuses_a_mapping_and_changes_nothing(guest: Guest) -> None:
    while guest.call('take_frame') >= 0:
        pass
    tables = []
    while (table := guest.call('alloc_table', 4)) >= 0:
        tables.append(table)
    for have in range(3):
        before = guest.state()
        assert guest.call('map_page', FAR, 0, DATA) == NO_FRAME
        assert guest.state() == before
        assert guest.call('free_table', tables[have]) == OK
    assert guest.call('map_page', FAR, 0, DATA) == OK


# ------------------------------------------------------------------ the checker finds what it promises to find
def test_check_names_the_broken_invariant(guest: Guest) -> None:
    assert guest.call('map_page', FAR, 0, DATA) == OK
    assert guest.call('map_leaf', FAR + GIANT - HUGE, 0, DATA, 2) == OK
    level4, level3, level2, level1 = 0x1000, *(entry & ADDRESS for entry in guest.entries_to(FAR)[:3])
    assert vmm.check(guest.k) == OK

    def broken(slot: int, entry: int) -> int:
        old = guest.word_at(slot)
        guest.poke(slot, '<q', entry)
        code = vmm.check(guest.k)
        assert all(record[3] == 0 for record in guest.records()), 'the checker left notes'
        guest.poke(slot, '<q', old)
        return code

    at = [slot + 8 * (FAR >> shift & 511) for slot, shift in ((level4, 39), (level3, 30), (level2, 21), (level1, 12))]
    upper = guest.entries_to(FAR)
    large = level2 + 8 * 511
    assert broken(level1 + 8 * 5, PRESENT) == 2  # an entry that nobody counted
    assert broken(level1 + 8 * 5, 0x40) == 2
    assert broken(at[3], 0) == 2
    assert broken(large, DATA | vmm.HUGE | 1 << 13) == 3
    assert broken(at[0], upper[0] | vmm.HUGE) == 3
    assert broken(at[1], upper[1] | NX) == 3
    assert broken(at[1], level1 | 7) == 4  # of a wrong level
    assert broken(at[2], ZONE_START | 7) == 4  # no table
    assert broken(at[2], ZONE_END | 7) == 4
    assert broken(at[2], 1 << 40 | 7) == 4
    assert broken(large, level1 | 7) == 4  # named twice
    guest.k.space.nr_tables += 1
    assert vmm.check(guest.k) == 5
    guest.k.space.nr_tables -= 1
    stray = pmm.alloc_table(guest.k, 1)
    assert vmm.check(guest.k) == 4  # a table that no entry names
    assert pmm.free_table(guest.k, stray) == OK
    guest.k.space.root = PhysAddr(level3)
    assert vmm.check(guest.k) == 1
    guest.k.space.root = PhysAddr(BOOT_TABLES)
    guest.k.frames.records[1].level = 3
    assert vmm.check(guest.k) == 1
    guest.k.frames.records[1].level = 4
    assert vmm.check(guest.k) == OK


# ------------------------------------------------------------------ known tables
def test_tables_that_leave_the_tree_are_known_no_more(guest: Guest) -> None:
    def is_known(va: int) -> bool:
        return any(guest.k.space.known[index].start == va for index in range(NR_KNOWN))

    def know(va: int) -> None:
        assert guest.call('get_physical', va) == 0
        assert is_known(va)
        assert guest.call('check_vmm') == OK

    def check_forgotten(va: int) -> None:
        assert not is_known(va)
        assert guest.call('check_vmm') == OK
        assert guest.call('get_physical', va) == guest.call('unmap_page', va) == NOT_MAPPED

    assert guest.call('map_page', FAR, 0, DATA) == OK
    know(FAR)
    assert guest.call('unmap_page', FAR) == 0
    check_forgotten(FAR)
    assert guest.call('map_range', FAR, 0, HUGE - 0x1000, DATA) == OK
    know(FAR)
    assert guest.call('unmap_range', FAR, HUGE - 0x1000) == OK
    check_forgotten(FAR)
    assert guest.call('map_range', FAR, 0, HUGE - 0x1000, DATA) == OK
    assert guest.call('map_page', FAR + HUGE - 0x1000, HUGE - 0x1000, DATA) == OK
    know(FAR)
    assert guest.call('merge', FAR, HUGE) == 1
    assert not is_known(FAR)
    assert guest.call('map_page', FAR, 0, DATA) == ALREADY_MAPPED
    assert guest.call('unmap_page', FAR) == LARGE_PAGE
    assert guest.call('protect_range', FAR, 0x1000, PRESENT) == OK
    know(FAR)
    assert guest.call('protect_range', FAR, 0x1000, DATA) == OK  # which joins
    assert not is_known(FAR)
    assert guest.call('unmap_leaf', FAR, 2) == 0
    check_forgotten(FAR)


def test_many_tables_share_the_places_of_known_ones(guest: Guest) -> None:
    pages = [FAR + index * HUGE + (index << 12) for index in range(3 * NR_KNOWN)]
    for number, va in enumerate(pages):
        assert guest.call('map_page', va, number << 12, DATA) == OK
    for _ in range(2):
        for number, va in reversed(list(enumerate(pages))):
            assert guest.call('get_physical', va + 5) == (number << 12) + 5
            assert guest.call('map_page', va, 0, DATA) == ALREADY_MAPPED
            assert guest.call('get_physical', va + 0x1000) == NOT_MAPPED
    assert guest.call('check_vmm') == OK
    for number, va in enumerate(pages):
        assert guest.call('unmap_page', va) == number << 12
        assert guest.call('get_physical', va) == NOT_MAPPED
    assert guest.call('check_vmm') == OK


def test_rights_are_granted_above_also_where_the_table_is_known(guest: Guest) -> None:
    free = STACK_GUARD  # in a table of the boot code, under entries that do not grant USER
    assert guest.call('get_physical', free) == NOT_MAPPED
    assert guest.call('map_page', free, 0, DATA) == OK
    assert not any(entry & USER for entry in guest.entries_to(free))
    assert guest.call('unmap_page', free) == 0
    assert guest.call('map_page', free, 0, DATA | USER) == OK
    assert all(entry & USER for entry in guest.entries_to(free))
    assert guest.call('unmap_page', free) == 0
    assert guest.call('check_vmm') == OK


def test_the_check_finds_what_is_not_known_rightly(guest: Guest) -> None:
    va = FAR + HUGE
    assert guest.call('map_page', va, 0, DATA) == OK
    assert guest.call('get_physical', va) == guest.call('get_physical', 0) == 0
    known = [guest.k.space.known[index] for index in range(NR_KNOWN)]
    far = next(one for one in known if one.start == va)
    low = next(one for one in known if one.start == 0)
    far.entry += 0x1000
    assert vmm.check(guest.k) == 7
    far.entry -= 0x1000
    far.start = VirtAddr(va + HUGE)
    assert vmm.check(guest.k) == 7
    far.start = VirtAddr(va)
    low.entry |= USER
    assert vmm.check(guest.k) == 7
    low.entry &= ~USER
    assert vmm.check(guest.k) == OK


def test_a_table_that_pmm_does_not_take_back_is_a_panic() -> None:
    guest = Guest(4 << 20, config=CLASSIC)  # without poison the freed table still leads to the page
    assert guest.call('map_page', FAR, 0, DATA) == OK
    assert pmm.free_table(guest.k, PhysAddr(guest.entries_to(FAR)[2] & ADDRESS)) == OK
    with pytest.raises(MachineStopped):
        guest.call('unmap_page', FAR)
