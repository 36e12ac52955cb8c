"""The memory map: whatever the firmware says, only frames that are RAM and nothing else are used."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from incroos.kernel.codes import EXIT_PANIC, OK
from incroos.kernel.pmm import memory_map
from incroos.kernel.state import MAX_REGIONS
from incroos.lang import PhysAddr
from incroos.machine.errors import MachineStopped
from incroos.run.simulated import MEMORY_MAP, START_INFO

from .guest import RAM, RESERVED, Entries, Guest

END = 1 << 52


@pytest.fixture(scope='module')
def guest() -> Guest:
    return Guest(3 << 20)


def read(guest: Guest, entries: Entries) -> list[tuple[int, int]]:
    guest.write_start_info(entries)
    memory_map.read(guest.k, PhysAddr(START_INFO))
    assert memory_map.check(guest.k.memory_map) == OK
    return regions_of(guest)


def regions_of(guest: Guest) -> list[tuple[int, int]]:
    regions = guest.k.memory_map.regions
    return [(regions[index].start, regions[index].end) for index in range(guest.k.memory_map.nr_regions)]


@pytest.mark.parametrize(
    ('entries', 'regions'),
    [
        ([(0, 0x9_FC00, RAM), (0x10_0000, 0x40_0000, RAM)], [(0, 0x9_F000), (0x10_0000, 0x50_0000)]),
        ([(0x10_0000, 0x1000, RAM), (0, 0x1000, RAM)], [(0, 0x1000), (0x10_0000, 0x10_1000)]),  # unsorted
        ([(0, 0x3000, RAM), (0x3000, 0x1000, RAM)], [(0, 0x4000)]),  # touching
        ([(0, 0x3000, RAM), (0x1000, 0x4000, RAM)], [(0, 0x5000)]),  # overlapping
        ([(0x1001, 0x1FFE, RAM)], []),  # no whole frame
        ([(0x1001, 0x2FFF, RAM)], [(0x2000, 0x4000)]),
        ([(0x1000, 0, RAM)], []),
        ([(0, 0x9000, RAM), (0x3800, 0x1000, RESERVED)], [(0, 0x3000), (0x5000, 0x9000)]),  # a hole, outward
        ([(0x3800, 1, RESERVED), (0, 0x9000, RAM)], [(0, 0x3000), (0x4000, 0x9000)]),  # first or last, it wins
        ([(0, 0x9000, RAM), (0, 0x9000, RESERVED)], []),
        ([(0, 0x9000, RAM), (0x2000, 0, RESERVED)], [(0, 0x9000)]),
        ([(0, 0x9000, RAM), (0x8000, (1 << 64) - 0x8000, RESERVED)], [(0, 0x8000)]),
        ([(0, (1 << 64) - 1, RAM)], [(0, END)]),
        ([(END - 0x2000, 0x9000, RAM)], [(END - 0x2000, END)]),
        ([(1 << 63, 0x9000, RAM)], []),
        ([((1 << 64) - 0x1000, 0x2000, RAM)], []),  # wraps round
        ([(0, 0x9000, 0)], []),
        ([(0, 0x9000, RAM), (0x1000, 0x1000, 5), (0x3000, 0x1000, 0xFFFF_FFFF)],
         [(0, 0x1000), (0x2000, 0x3000), (0x4000, 0x9000)]),
    ],
)  # fmt: skip
def test_regions(guest: Guest, entries: Entries, regions: list[tuple[int, int]]) -> None:
    assert read(guest, entries) == regions


def test_more_pieces_than_are_kept_cost_memory_and_nothing_else(guest: Guest) -> None:
    pieces = [(index * 0x2000, 0x1000, RAM) for index in range(MAX_REGIONS + 8)]
    assert read(guest, pieces) == [(start, start + 0x1000) for start, _, _ in pieces[:MAX_REGIONS]]
    everything = (0, len(pieces) * 0x2000, RAM)
    holes = [(start + 0x1000, 0x1000, RESERVED) for start, _, _ in pieces]
    assert read(guest, [everything, *holes]) == [(start, start + 0x1000) for start, _, _ in pieces[:MAX_REGIONS]]


spots = st.integers(0, 40).map(lambda n: n * 0x800) | st.sampled_from(
    [END - 0x1000, END, (1 << 63) - 1, (1 << 64) - 0x800]
)
sizes = st.integers(0, 24).map(lambda n: n * 0x800) | st.sampled_from([1, END, 1 << 63, (1 << 64) - 1])


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(spots, sizes, st.sampled_from([RAM, RAM, RESERVED, 7])), min_size=1, max_size=12))
def test_against_a_frame_by_frame_model(guest: Guest, entries: Entries) -> None:
    """A frame is RAM when RAM entries hold it whole, one of them at least, and no other entry touches it."""
    regions = read(guest, entries)

    def is_ram(start: int) -> bool:
        held = any(kind == RAM and at <= start and start + 0x1000 <= at + nbytes for at, nbytes, kind in entries)
        touched = any(
            kind != RAM and nbytes and at < start + 0x1000 and start < at + nbytes for at, nbytes, kind in entries
        )
        return held and not touched

    for start in [*range(0, 0x1_8000, 0x1000), 1 << 40, END - 0x2000, END - 0x1000]:
        assert any(region_start <= start < end for region_start, end in regions) == is_ram(start), hex(start)
    assert all(end <= END for _, end in regions)


def panic_of(guest: Guest) -> str:
    guest.sim.output.clear()
    with pytest.raises(MachineStopped):
        memory_map.read(guest.k, PhysAddr(START_INFO))
    assert guest.cpu.stop_code == EXIT_PANIC
    guest.k.console.nr_panics = 0
    return guest.sim.console().decode()


def test_start_information_that_is_none_is_a_panic(guest: Guest) -> None:
    entries = [(0, 0x9000, RAM)]
    guest.write_start_info(entries, magic=0x1234)
    assert panic_of(guest) == (
        'PANIC: memory map: wrong magic number: address, found, wanted'
        ' 0x0000000000140000 0x0000000000001234 0x00000000336EC578\n'
    )
    guest.write_start_info(entries, version=0)
    assert panic_of(guest).startswith('PANIC: memory map: none')
    guest.write_start_info([])
    assert panic_of(guest).startswith('PANIC: memory map: none')
    guest.write_start_info(entries)
    for address in (0, 0x20_0000 - 16, 0x20_0000, 1 << 40, 1 << 63, (1 << 64) - 8):
        guest.poke(START_INFO + 40, '<Q', address)
        assert panic_of(guest).startswith('PANIC: memory map: out of reach')
    guest.poke(START_INFO + 40, '<QI', MEMORY_MAP, 0xFFFF_FFFF)
    assert panic_of(guest).startswith('PANIC: memory map: out of reach')


@pytest.mark.parametrize('address', [0, -8, -1 << 63, 0x20_0000 - 8, 1 << 40, (1 << 63) - 1])
def test_start_information_out_of_reach_is_a_panic(guest: Guest, address: int) -> None:
    with pytest.raises(MachineStopped):
        memory_map.read(guest.k, PhysAddr(address))
    guest.k.console.nr_panics = 0
