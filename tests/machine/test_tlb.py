"""What the processor remembers stays until it is flushed. Intel SDM volume 3, "Caching Translation Information"."""

import pytest

from incroos.machine import architecture as arch
from incroos.machine.cpu import TLB_SLOTS

from .lab import DATA, ROOT, Bench, D, G, P, U, W

VA = 0x40_0000_0000
OTHER = DATA + 0x1000


@pytest.fixture
def leaf(bench: Bench) -> int:
    """A page mapped to DATA and remembered; memory says OTHER by now. 1 is at DATA and 2 at OTHER."""
    at = bench.map(VA, DATA, P | W | D)
    bench.put(DATA, 1)
    bench.put(OTHER, 2)
    assert bench.load(VA) == 1
    bench.put(at, OTHER | P | W | D)
    return at


def flushes(bench: Bench) -> dict[str, tuple[str, tuple[int, ...]]]:
    return {
        'invlpg': ('invlpg', (VA + 0x123,)),
        'cr3': ('write_cr3', (ROOT,)),
        'wp': ('write_cr0', (bench.cpu.cr0 & ~arch.CR0_WP,)),
        'pge': ('write_cr4', (bench.cpu.cr4 | arch.CR4_PGE,)),
        'nxe': ('write_msr', (arch.MSR_EFER, bench.cpu.efer & ~arch.EFER_NXE)),
    }


@pytest.mark.parametrize('how', ['invlpg', 'cr3', 'wp', 'pge', 'nxe'])
def test_a_translation_stays_until_it_is_flushed(bench: Bench, leaf: int, how: str) -> None:
    assert bench.load(VA) == 1
    name, words = flushes(bench)[how]
    bench.call(name, *words)
    assert bench.load(VA) == 2


def test_writes_through_a_stale_translation_go_to_the_old_frame(bench: Bench, leaf: int) -> None:
    bench.store(VA, 7)
    assert bench.word(DATA) == 7
    assert bench.word(OTHER) == 2


def test_flushing_another_page_leaves_this_one(bench: Bench, leaf: int) -> None:
    bench.call('invlpg', VA + 4096)
    bench.call('invlpg', VA + TLB_SLOTS * 4096)  # in the same slot
    assert bench.load(VA) == 1


def test_another_page_in_the_same_slot_displaces_it(bench: Bench, leaf: int) -> None:
    bench.map(VA + TLB_SLOTS * 4096, DATA, P)
    assert bench.load(VA + TLB_SLOTS * 4096) == 1
    assert bench.load(VA) == 2


def test_an_absent_entry_is_not_remembered(bench: Bench) -> None:
    at = bench.map(VA, DATA, 0)
    assert bench.call('translate', VA, arch.READ) < 0
    bench.put(at, DATA | P)
    assert bench.call('translate', VA, arch.READ) == DATA


def test_a_page_that_becomes_writable_needs_no_flush(bench: Bench) -> None:
    at = bench.map(VA, DATA, P)
    bench.load(VA)
    bench.put(at, DATA | P | W)
    bench.store(VA, 4)
    assert bench.faults == []
    assert bench.word(DATA) == 4


def test_a_page_that_becomes_read_only_stays_writable_until_flushed(bench: Bench, leaf: int) -> None:
    bench.store(VA, 3)
    bench.put(leaf, DATA | P)
    bench.store(VA, 4)
    assert bench.faults == []
    bench.call('invlpg', VA)
    bench.on_fault = lambda va, error: bench.put(leaf, DATA | P | W)
    bench.store(VA, 5)
    assert bench.faults == [(VA, arch.ERROR_WRITE | arch.ERROR_PRESENT)]


def test_a_clean_page_walks_again_to_become_dirty(bench: Bench) -> None:
    at = bench.map(VA, DATA, P | W)
    bench.load(VA)
    bench.put(at, OTHER | P | W)
    bench.store(VA, 6)
    assert bench.word(OTHER) == 6


def test_global_pages_outlive_a_load_of_cr3(bench: Bench) -> None:
    bench.call('write_cr4', bench.cpu.cr4 | arch.CR4_PGE)
    pages = {VA: G, VA + 4096: 0}
    entries = {va: bench.map(va, DATA, P | flags) for va, flags in pages.items()}
    bench.put(DATA, 1)
    bench.put(OTHER, 2)
    assert [bench.load(va) for va in pages] == [1, 1]
    for va, at in entries.items():
        bench.put(at, OTHER | P | pages[va])
    bench.call('write_cr3', ROOT)
    assert [bench.load(va) for va in pages] == [1, 2]
    bench.call('invlpg', VA)
    assert [bench.load(va) for va in pages] == [2, 2]


def test_without_pge_the_global_bit_means_nothing(bench: Bench) -> None:
    at = bench.map(VA, DATA, P | G)
    bench.put(OTHER, 2)
    bench.load(VA)
    bench.put(at, OTHER | P | G)
    bench.call('write_cr3', ROOT)
    assert bench.load(VA) == 2


@pytest.mark.parametrize('level', [2, 3])
def test_invlpg_of_any_address_in_a_large_page_drops_all_of_it(bench: Bench, level: int) -> None:
    at = bench.map(VA, 0, P | W, level)
    bench.put(DATA, 1)
    addresses = [VA + DATA - 0x20_0000 + 0x20_0000 * (level == 3) + 4096 * index for index in (0, 5, 300)]
    bench.ram[0x1F_0000:0x1F_0008] = bytes(8)
    if level == 2:
        addresses = [VA + 4096 * index for index in (0x190, 0x1F0, 0x1FF)]
    for va in addresses:
        bench.load(va)
    bench.put(at, 0)
    for va in addresses:
        bench.load(va)
    assert bench.faults == []
    bench.call('invlpg', addresses[1] + 0x777)
    for va in addresses:
        assert bench.call('translate', va, arch.READ) == ~0
        bench.on_fault = lambda fault, error: bench.put(at, P | W | arch.ENTRY_LEAF)
        bench.load(va)
        bench.put(at, 0)
        bench.call('invlpg', va)
    assert bench.faults == [(va, 0) for va in addresses]


@pytest.mark.parametrize('level', [2, 3, 4])
def test_an_upper_entry_is_remembered_until_any_flush(bench: Bench, level: int) -> None:
    bench.map(VA, DATA, P | W)
    bench.map(VA + 4096, DATA + 4096, P | W)
    bench.load(VA)
    upper = bench.entry_address(VA, level)
    before = bench.word(upper)
    bench.put(upper, 0)
    assert bench.call('translate', VA + 4096, arch.READ) == DATA + 4096
    bench.call('invlpg', 0)  # any address: all upper entries go
    assert bench.call('translate', VA + 4096, arch.READ) == ~0
    bench.put(upper, before)
    assert bench.call('translate', VA + 4096, arch.READ) == DATA + 4096


def test_rights_of_remembered_upper_entries_count(bench: Bench) -> None:
    bench.map(VA, DATA, P | W | U)
    bench.map(VA + 4096, DATA + 4096, P | W | U)
    bench.load(VA)
    upper = bench.entry_address(VA, 3)
    bench.put(upper, bench.word(upper) & ~(W | U))
    assert bench.call('translate', VA + 4096, arch.WRITE) == DATA + 4096
    bench.call('write_cr3', ROOT)
    assert bench.call('translate', VA + 4096, arch.WRITE) == ~(arch.ERROR_WRITE | arch.ERROR_PRESENT)


def test_a_fault_is_found_again_from_the_root(bench: Bench) -> None:
    """A table that moved: what is remembered leads to the old one, whose entry is gone; memory has the page."""
    at = bench.map(VA, DATA, P)
    bench.load(VA)
    table = bench.next_table
    bench.ram[table : table + 4096] = bytes(4096)
    bench.put(table + (at & 0xFFF), DATA | P)
    bench.put(bench.entry_address(VA, 2), table | P | W)
    bench.put(at, 0)
    bench.call('translate', VA, arch.READ)
    assert bench.call('translate', VA, arch.READ) == DATA


def test_two_address_spaces(bench: Bench) -> None:
    bench.map(VA, DATA, P)
    bench.put(DATA, 1)
    bench.put(OTHER, 2)
    assert bench.load(VA) == 1
    second = 0x8000
    bench.ram[second : second + 4096] = bytes(4096)
    for level, table in ((4, second), (3, second + 0x1000), (2, second + 0x2000)):
        index = VA >> 12 + 9 * (level - 1) & 511
        bench.ram[table + 0x1000 : table + 0x2000] = bytes(4096)
        bench.put(table + 8 * index, table + 0x1000 | P | W)
    bench.put(second + 0x3000, OTHER | P)
    bench.call('write_cr3', second)
    assert bench.load(VA) == 2
    bench.call('write_cr3', ROOT | 0x18)  # with the two flags that CR3 has
    assert bench.load(VA) == 1
    assert bench.cpu.cr3 == ROOT | 0x18
