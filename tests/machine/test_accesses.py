"""Loads, stores, ranges and atomics through translation; faults that a handler mends; what is no RAM."""

import pytest

from incroos.machine import architecture as arch
from incroos.machine.cpu import MAX_FAULT_DEPTH

from .lab import DATA, Bench, P, W

VA = 0x40_0000_0000
WRITE, PRESENT = arch.ERROR_WRITE, arch.ERROR_PRESENT
WIDTHS = [8, 16, 32, 64]


def two_pages(bench: Bench) -> None:
    """Two pages in a row whose frames are not."""
    bench.map(VA, DATA + 0x5000, P | W)
    bench.map(VA + 4096, DATA + 0x2000, P | W)


def number(value: int, bits: int) -> int:
    """The word that a load of so many bits gives."""
    value &= (1 << bits) - 1
    return value - (1 << 64) if bits == 64 and value >> 63 else value


@pytest.mark.parametrize('bits', WIDTHS)
@pytest.mark.parametrize('offset', [0, 1, 8, 4087, 4088, 4089, 4091, 4093, 4094, 4095])
def test_numbers_at_every_offset_also_across_pages(bench: Bench, bits: int, offset: int) -> None:
    two_pages(bench)
    for pattern in (0x7172_7374_7576_7778, 0x8182_8384_8586_8788):  # the second time the pages are remembered
        value = number(pattern, bits)
        bench.call(f'store{bits}', VA + offset, value)
        assert bench.call(f'load{bits}', VA + offset) == value
    memory = bytes(bench.ram[DATA + 0x5000 : DATA + 0x6000]) + bytes(bench.ram[DATA + 0x2000 : DATA + 0x3000])
    assert memory[offset : offset + bits // 8] == (value & (1 << 64) - 1).to_bytes(8, 'little')[: bits // 8]
    assert memory.count(0) == 8192 - bits // 8
    assert not any(bench.ram[DATA + 0x6000 : DATA + 0x7000])


def test_fill_and_copy_go_from_page_to_page(bench: Bench) -> None:
    two_pages(bench)
    bench.call('fill', VA + 100, 0xA5, 5000)
    assert bench.ram[DATA + 0x5064 : DATA + 0x6000] == b'\xa5' * (4096 - 100)
    assert bench.ram[DATA + 0x2000 : DATA + 0x2000 + 1004] == b'\xa5' * 1004
    assert bench.ram[DATA + 0x2000 + 1004] == 0
    bench.ram[DATA + 0x5000 : DATA + 0x5064] = bytes(range(100))
    bench.call('copy', VA, VA + 50, 6000)
    assert bench.ram[DATA + 0x5000 : DATA + 0x5000 + 50] == bytes(range(50, 100))
    assert bench.ram[DATA + 0x2000 + 953] == 0xA5
    assert bench.ram[DATA + 0x2000 + 954] == 0


def test_atomics(bench: Bench) -> None:
    two_pages(bench)
    bench.call('atomic_store64', VA + 8, -5)
    assert bench.call('atomic_load64', VA + 8) == -5
    assert bench.call('atomic_exchange64', VA + 8, (1 << 63) - 1) == -5
    assert bench.call('atomic_add64', VA + 8, 1) == (1 << 63) - 1
    assert bench.call('atomic_compare_exchange64', VA + 8, 0, 9) == -1 << 63
    assert bench.call('atomic_compare_exchange64', VA + 8, -1 << 63, 9) == -1 << 63
    assert bench.load(VA + 8) == 9


@pytest.mark.parametrize(
    ('name', 'words', 'error', 'left'),
    [
        ('load64', (), 0, 77),
        ('store64', (3,), WRITE, 3),
        ('fill', (3, 8), WRITE, 0x0303_0303_0303_0303),
        ('atomic_load64', (), 0, 77),
        ('atomic_store64', (3,), WRITE, 3),
    ],
)
def test_the_handler_maps_and_the_access_is_tried_again(
    bench: Bench, name: str, words: tuple[int, ...], error: int, left: int
) -> None:
    bench.put(DATA + 8, 77)
    bench.on_fault = lambda va, code: bench.map(va & ~0xFFF, DATA, P | W)
    result = bench.call(name, VA + 8, *words)
    assert bench.faults == [(VA + 8, error)]
    assert bench.cpu.cr2 == VA + 8
    assert bench.word(DATA + 8) == left
    if 'load' in name:
        assert result == left


def test_a_copy_whose_handler_maps_both_sides(bench: Bench) -> None:
    bench.ram[DATA : DATA + 4096] = bytes(range(256)) * 16
    frames = {VA: DATA, VA + 0x10000: DATA + 0x1000}
    bench.on_fault = lambda va, code: bench.map(va & ~0xFFF, frames[va & ~0xFFF], P | W)
    bench.call('copy', VA + 0x10000, VA, 4096)
    assert bench.faults == [(VA, 0), (VA + 0x10000, WRITE)]
    assert bench.ram[DATA + 0x1000 : DATA + 0x2000] == bytes(range(256)) * 16


def test_a_handler_that_needs_two_attempts(bench: Bench) -> None:
    leaf = bench.map(VA, DATA, 0)
    steps = iter([P, P | W])

    def mend(_va: int, _error: int) -> None:
        bench.put(leaf, DATA | next(steps))

    bench.on_fault = mend
    bench.store(VA, 9)
    assert bench.faults == [(VA, WRITE), (VA, WRITE | PRESENT)]
    assert bench.word(DATA) == 9


def test_any_number_of_faults_one_after_the_other(bench: Bench) -> None:
    bench.on_fault = lambda va, code: bench.map(va & ~0xFFF, DATA, P | W)
    for page in range(3 * MAX_FAULT_DEPTH):
        bench.store(VA + 4096 * page, page)
        assert bench.cpu.fault_depth == 0
    assert len(bench.faults) == 3 * MAX_FAULT_DEPTH


def test_a_store_across_pages_does_nothing_before_it_can_do_all(bench: Bench) -> None:
    bench.map(VA, DATA, P | W)
    before = []

    def mend(va: int, _error: int) -> None:
        before.append(bytes(bench.ram[DATA + 4088 : DATA + 4096]))
        bench.map(va & ~0xFFF, DATA + 0x1000, P | W)

    bench.on_fault = mend
    bench.store(VA + 4092, 0x1122_3344_5566_7788)
    assert bench.faults == [(VA + 4096, WRITE)]
    assert before == [bytes(8)]
    assert bench.load(VA + 4092) == 0x1122_3344_5566_7788


def test_a_handler_that_moves_the_first_page_of_an_access_across_pages(bench: Bench) -> None:
    first = bench.map(VA, DATA, P | W)

    def mend(va: int, _error: int) -> None:
        bench.put(first, DATA + 0x3000 | P | W)
        bench.call('invlpg', VA)
        bench.map(va & ~0xFFF, DATA + 0x1000, P | W)

    bench.on_fault = mend
    bench.store(VA + 4092, -1)
    assert bench.ram[DATA + 4092 : DATA + 4096] == bytes(4)
    assert bench.ram[DATA + 0x3000 + 4092 : DATA + 0x4000] == b'\xff' * 4


def test_a_load_across_pages_whose_handler_moves_the_first(bench: Bench) -> None:
    first = bench.map(VA, DATA, P | W)
    bench.ram[DATA + 0x3000 + 4092 : DATA + 0x4000] = b'\x11' * 4

    def mend(va: int, _error: int) -> None:
        bench.put(first, DATA + 0x3000 | P | W)
        bench.call('invlpg', VA)
        bench.map(va & ~0xFFF, DATA + 0x1000, P | W)

    bench.on_fault = mend
    assert bench.load(VA + 4092) == 0x1111_1111


@pytest.mark.parametrize('pa', [0xA0000, 0xB7000, 0xC0000, 0xFF000, 4 << 20, 1 << 32, 1 << 45])
def test_where_no_ram_is_reads_give_ones_and_writes_vanish(bench: Bench, pa: int) -> None:
    bench.map(VA, pa, P | W)
    for _ in range(2):
        bench.store(VA, 12)
        assert bench.load(VA) == -1
        bench.call('store8', VA + 100, 12)
        assert bench.call('load8', VA + 100) == 0xFF
    if pa < 4 << 20:
        assert bytes(bench.ram[pa : pa + 4096]) == bytes(4096)


@pytest.mark.parametrize('pa', [0, 0x9F000, 0xB8000, 0xBF000, 0x100000, (4 << 20) - 4096])
def test_what_is_ram_and_screen_keeps_what_is_written(bench: Bench, pa: int) -> None:
    bench.map(VA, pa, P | W)
    bench.store(VA + 16, 12)
    assert bench.load(VA + 16) == 12
    assert bench.word(pa + 16) == 12


def test_a_table_where_no_ram_is_reads_as_ones(bench: Bench) -> None:
    at = bench.entry_address(VA, 2)
    bench.put(at, 0xC0000 | P | W)
    assert bench.call('translate', VA, 0) == ~(PRESENT | arch.ERROR_RESERVED)
