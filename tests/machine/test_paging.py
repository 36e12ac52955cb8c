"""Translation: levels, rights, reserved bits, accessed and dirty bits. Intel SDM volume 3, chapter "Paging"."""

import pytest

from incroos.machine import architecture as arch

from .lab import DATA, LEAF, NX, A, Bench, D, G, P, U, W

READ, WRITE, USER, FETCH = arch.READ, arch.WRITE, arch.USER, arch.FETCH
PRESENT, RESERVED = arch.ERROR_PRESENT, arch.ERROR_RESERVED
LOW = 0x40_0000_0000
HIGH = -0x80_0000_0000  # in the canonical high half
SIZES = {1: 1 << 12, 2: 1 << 21, 3: 1 << 30}


@pytest.mark.parametrize('va', [LOW, HIGH, 0, -4096])
@pytest.mark.parametrize('level', [1, 2, 3])
def test_a_leaf_of_each_size_maps_its_page(bench: Bench, va: int, level: int) -> None:
    va &= -SIZES[level]
    bench.map(va, 0 if level == 3 else DATA, P | W, level)
    base = 0 if level == 3 else DATA
    for offset in (0, 8, SIZES[level] - 8, SIZES[level] // 2):
        assert bench.call('translate', va + offset, READ) == base + offset


@pytest.mark.parametrize('level', [1, 2, 3, 4])
def test_an_absent_entry_of_any_level_faults(bench: Bench, level: int) -> None:
    at = bench.entry_address(LOW, level)
    bench.put(at, ~P)
    assert bench.call('translate', LOW, READ) == ~0
    assert bench.call('translate', LOW, WRITE) == ~WRITE
    assert bench.call('translate', LOW, USER) == ~USER
    assert bench.call('translate', LOW, FETCH) == ~FETCH


@pytest.mark.parametrize('missing', [W, U, 0])
@pytest.mark.parametrize('level', [1, 2, 3, 4])
def test_rights_of_all_levels_count(bench: Bench, level: int, missing: int) -> None:
    bench.map(LOW, DATA, P | W | U)
    at = bench.entry_address(LOW, level)
    bench.put(at, (bench.word(at) & ~missing) | (0 if missing else NX))

    def error(access: int, forbidden: bool) -> int:
        return ~(access | PRESENT) if forbidden else DATA

    assert bench.call('translate', LOW, READ) == DATA
    assert bench.call('translate', LOW, WRITE) == error(WRITE, missing == W)
    assert bench.call('translate', LOW, USER) == error(USER, missing == U)
    assert bench.call('translate', LOW, USER | WRITE) == error(USER | WRITE, missing in (U, W))
    assert bench.call('translate', LOW, FETCH) == error(FETCH, missing == 0)
    assert bench.call('translate', LOW, USER | FETCH) == error(USER | FETCH, missing in (0, U))


def test_without_write_protection_the_kernel_writes_anywhere_and_users_do_not(bench: Bench) -> None:
    bench.map(LOW, DATA, P | U)
    bench.call('write_cr0', bench.cpu.cr0 & ~arch.CR0_WP)
    assert bench.call('translate', LOW, WRITE) == DATA
    assert bench.call('translate', LOW, WRITE | USER) == ~(WRITE | USER | PRESENT)
    bench.call('write_cr0', bench.cpu.cr0 | arch.CR0_WP)
    assert bench.call('translate', LOW, WRITE) == ~(WRITE | PRESENT)


def test_without_nx_the_bit_is_reserved_and_fetches_are_not_told_apart(bench: Bench) -> None:
    bench.map(LOW, DATA, P | W)
    bench.call('write_msr', arch.MSR_EFER, bench.cpu.efer & ~arch.EFER_NXE)
    assert bench.call('translate', LOW, FETCH) == DATA
    bench.map(LOW, DATA, P | W | NX)
    assert bench.call('translate', LOW, READ) == ~(PRESENT | RESERVED)
    assert bench.call('translate', LOW, FETCH) == ~(PRESENT | RESERVED)


@pytest.mark.parametrize(
    ('level', 'bits'),
    [(level, 1 << bit) for level in (1, 2, 3, 4) for bit in (46, 51)]
    + [(4, LEAF), (2, LEAF | 1 << 13), (2, LEAF | 1 << 20), (3, LEAF | 1 << 13), (3, LEAF | 1 << 29)],
)
def test_reserved_bits_fault(bench: Bench, level: int, bits: int) -> None:
    at = bench.map(LOW, DATA, P | W) if level == 1 else bench.entry_address(LOW, level - 1)
    at = bench.entry_address(LOW, level)
    bench.put(at, (0 if bits & LEAF else bench.word(at)) | P | W | bits)
    assert bench.call('translate', LOW, READ) == ~(PRESENT | RESERVED)
    assert bench.call('translate', LOW, WRITE | USER) == ~(PRESENT | RESERVED | WRITE | USER)


@pytest.mark.parametrize(('level', 'bits'), [(1, LEAF), (2, 1 << 12), (3, 1 << 12), (1, 7 << 9), (1, 0x7FF << 52)])
def test_bits_that_are_free_or_name_a_memory_type_change_nothing(bench: Bench, level: int, bits: int) -> None:
    at = bench.map(LOW, 0 if level == 3 else DATA, P | W, level)
    bench.put(at, bench.word(at) | bits)
    assert bench.call('translate', LOW, READ) == (0 if level == 3 else DATA)


def test_the_width_of_physical_addresses_decides_what_is_reserved() -> None:
    wide, narrow = Bench('interpreted', pa_bits=52), Bench('interpreted', pa_bits=40)
    for bench in (wide, narrow):
        at = bench.map(LOW, DATA, P | W)
        bench.put(at, bench.word(at) | 1 << 51)
    assert wide.call('translate', LOW, READ) == DATA | 1 << 51
    assert narrow.call('translate', LOW, READ) == ~(PRESENT | RESERVED)


def test_accessed_and_dirty_bits(bench: Bench) -> None:
    leaf = bench.map(LOW, DATA, P | W)
    entries = [bench.entry_address(LOW, level) for level in (4, 3, 2)]
    assert bench.call('translate', LOW, READ) == DATA
    assert [bench.word(at) & (A | D) for at in entries] == [A] * 3
    assert bench.word(leaf) & (A | D) == A
    assert bench.call('translate', LOW, WRITE) == DATA
    assert [bench.word(at) & (A | D) for at in entries] == [A] * 3
    assert bench.word(leaf) & (A | D) == A | D


@pytest.mark.parametrize('level', [2, 3])
def test_a_large_leaf_becomes_dirty(bench: Bench, level: int) -> None:
    leaf = bench.map(LOW, 0, P | W, level)
    bench.store(LOW + 0x20_0000 * (level == 3), 7)
    assert bench.word(leaf) & (A | D) == A | D


def test_a_forbidden_access_leaves_the_leaf_unmarked(bench: Bench) -> None:
    leaf = bench.map(LOW, DATA, P)
    assert bench.call('translate', LOW, WRITE) < 0
    assert bench.word(leaf) & (A | D) == 0


def test_a_write_through_a_remembered_clean_page_marks_it_dirty(bench: Bench) -> None:
    leaf = bench.map(LOW, DATA, P | W)
    bench.put(DATA, 5)
    assert bench.load(LOW) == 5
    bench.store(LOW, 6)
    assert bench.word(leaf) & D == D
    assert bench.word(DATA) == 6


def test_user_rights_and_global_bits_do_not_hinder_the_kernel(bench: Bench) -> None:
    bench.map(LOW, DATA, P | W | U | G)
    bench.store(LOW, -3)
    assert bench.load(LOW) == -3
    assert bench.faults == []
