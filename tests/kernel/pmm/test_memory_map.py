"""The memory map: whatever the firmware says, each frame is what the most restrictive of its bytes is."""

import random
from collections.abc import Iterator

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from incroos.kernel.codes import EXIT_PANIC, OK
from incroos.kernel.layout import KERNEL_STATE, KERNEL_STATE_END
from incroos.kernel.pmm import memory_map
from incroos.kernel.state import MAX_REGIONS
from incroos.lang import PhysAddr
from incroos.machine.errors import MachineStopped
from incroos.run.harness import Driver
from incroos.run.simulated import MEMORY_MAP, START_INFO

from ..drivers import PLACES, open_driver
from ..guest import RAM, RESERVED, Guest
from .memory_map_model import (
    END,
    FRAME,
    NUMBERS,
    ORDER,
    Entry,
    best,
    compressed,
    counts_of,
    frames_by_kind,
    painted,
    read_in,
    regions_of,
)

ACPI = 3
NVS = 4
UNUSABLE = 5
ALL = 1 << 64
NR_BOOT_ENTRIES = 1024  # that the boot code hands over
NR_SMALL_FRAMES = 24


@pytest.fixture(scope='module', params=PLACES)
def driver(request: pytest.FixtureRequest) -> Iterator[Driver]:
    """A kernel that reads one list after another."""
    with open_driver(request.param) as driver:
        yield driver


@pytest.fixture(scope='module')
def guest() -> Guest:
    return Guest(3 << 20)


def check_all(driver: Driver, entries: list[Entry]) -> None:
    """Regions and counts are those of the model."""
    assert read_in(driver, entries) == OK
    wanted = compressed(entries)
    kept = best(wanted, MAX_REGIONS)
    assert regions_of(driver.kernel) == kept
    assert counts_of(driver.kernel, 'nr_frames') == frames_by_kind(wanted)
    assert counts_of(driver.kernel, 'nr_left_out') == frames_by_kind(set(wanted) - set(kept))


# ------------------------------------------------------------------ cases
CASES: dict[str, tuple[list[Entry], list[tuple[int, int, str]]]] = {
    'unsorted': ([(0x5000, 0x1000, RAM), (0, 0x1000, RAM)], [(0, 0x1000, 'RAM'), (0x5000, 0x6000, 'RAM')]),
    'touching': ([(0, 0x3000, RAM), (0x3000, 0x1000, RAM)], [(0, 0x4000, 'RAM')]),
    'overlapping': ([(0, 0x3000, RAM), (0x1000, 0x4000, RAM)], [(0, 0x5000, 'RAM')]),
    'twice the same': ([(0x1000, 0x1000, RAM)] * 3, [(0x1000, 0x2000, 'RAM')]),
    'RAM is cut to whole frames': ([(0x1001, 0x2FFF, RAM)], [(0x2000, 0x4000, 'RAM')]),
    'RAM without a whole frame': ([(0x1001, 0x1FFE, RAM)], []),
    'a frame of two halves': ([(0x1000, 0x800, RAM), (0x1800, 0x800, RAM)], [(0x1000, 0x2000, 'RAM')]),
    'a frame without one byte': ([(0x1000, 0x800, RAM), (0x1801, 0x7FF, RAM)], []),
    'all else grows to whole frames': (
        [(0, 0x9000, RAM), (0x3800, 0x1000, RESERVED)],
        [(0, 0x3000, 'RAM'), (0x3000, 0x5000, 'reserved'), (0x5000, 0x9000, 'RAM')],
    ),
    'in a hole, too': ([(0x3FFF, 2, ACPI)], [(0x3000, 0x5000, 'ACPI tables')]),
    'the order of entries says nothing': (
        [(0x3800, 1, RESERVED), (0, 0x5000, RAM)],
        [(0, 0x3000, 'RAM'), (0x3000, 0x4000, 'reserved'), (0x4000, 0x5000, 'RAM')],
    ),
    'all of it reserved': ([(0, 0x9000, RAM), (0, 0x9000, RESERVED)], [(0, 0x9000, 'reserved')]),
    'no bytes': ([(0x1000, 0, RAM), (0x3000, 0, RESERVED)], []),
    'no bytes inside RAM': ([(0, 0x9000, RAM), (0x2800, 0, RESERVED)], [(0, 0x9000, 'RAM')]),
    'the more restrictive wins': (
        [(0, 0x4000, RAM), (0x1000, 0x3000, ACPI), (0x2000, 0x2000, NVS), (0x3000, 0x1000, UNUSABLE)],
        [(0, 0x1000, 'RAM'), (0x1000, 0x2000, 'ACPI tables'),
         (0x2000, 0x3000, 'ACPI NVS'), (0x3000, 0x4000, 'unusable')],
    ),
    'also within a frame': ([(0, 0x10, NVS), (0x10, 0x10, UNUSABLE), (0x20, 0xFE0, RAM)], [(0, 0x1000, 'unusable')]),
    'unknown numbers are reserved': (
        [(0, 0x4000, RAM), (0, 0x1000, 0), (0x1000, 0x1000, 99), (0x3000, 0x1000, 0xFFFF_FFFF)],
        [(0, 0x2000, 'reserved'), (0x2000, 0x3000, 'RAM'), (0x3000, 0x4000, 'reserved')],
    ),
    'up to the end of all': ([(0, ALL - 1, RAM)], [(0, END, 'RAM')]),
    'beyond the last frame': ([(END - 0x2000, 0x9000, RAM)], [(END - 0x2000, END, 'RAM')]),
    'RAM beyond the last frame': ([(END, 0x9000, RAM), (1 << 63, 0x9000, RAM), (ALL - 1, ALL - 1, RAM)], []),
    'wraps round': ([(ALL - 0x1000, 0x2000, RAM), (0, 0x1000, RAM)], [(0, 0x1000, 'RAM')]),
    'wraps round from RAM': (
        [(0, 0x9000, RAM), (0x8000, ALL - 0x7000, RESERVED)],
        [(0, 0x8000, 'RAM'), (0x8000, END, 'reserved')],
    ),
}  # fmt: skip


@pytest.mark.parametrize('case', CASES)
def test_cases(driver: Driver, case: str) -> None:
    entries, wanted = CASES[case]
    assert compressed(entries) == wanted
    check_all(driver, entries)


@pytest.mark.parametrize('number', NUMBERS)
def test_each_number_of_the_firmware(driver: Driver, number: int) -> None:
    """Alone, and against each other."""
    check_all(driver, [(0x1000, 0x1000, number)])
    check_all(driver, [(0x1000 * index, 0x1000, other) for index, other in enumerate(NUMBERS)] + [(0, ALL - 1, number)])


# ------------------------------------------------------------------ more than there is room for
def test_pieces_of_ram_as_many_as_there_is_room_for(driver: Driver) -> None:
    pieces = [(index * 0x2000, 0x1000, RAM) for index in range(MAX_REGIONS)]
    check_all(driver, pieces)
    assert driver.kernel.memory_map.nr_regions == MAX_REGIONS
    assert counts_of(driver.kernel, 'nr_left_out') == {}


def test_the_smallest_piece_of_ram_is_left_out_and_counted(driver: Driver) -> None:
    """Wherever it is; what the kernel boots in stays, small or not."""
    high = [(0x1000_0000 + index * 0x8000, 0x3000, RAM) for index in range(MAX_REGIONS - 1)]
    small = (0x1000_5000 + 0x8000 * 77, 0x1000, RAM)
    check_all(driver, [*high, (0x1000, 0x1000, RAM), small])
    assert (small[0], small[0] + 0x1000, 'RAM') not in regions_of(driver.kernel)
    assert counts_of(driver.kernel, 'nr_left_out') == {'RAM': 1}
    check_all(driver, [*high, (0x1000, 0x1000, RAM), (0x3000, 0x1000, RAM)])
    assert regions_of(driver.kernel)[:2] == [(0x1000, 0x2000, 'RAM'), (0x3000, 0x4000, 'RAM')]
    assert counts_of(driver.kernel, 'nr_left_out') == {'RAM': 3}


def test_what_is_no_ram_is_left_out_before_any_ram(driver: Driver) -> None:
    holes = [(0x1000_1000 + index * 0x2000, 0x1000, RESERVED) for index in range(200)]
    check_all(driver, [(0x1000_0000, 0x2000 * 200, RAM), (1 << 40, 1 << 30, NVS), *holes])
    kinds = [kind for _, _, kind in regions_of(driver.kernel)]
    assert kinds.count('RAM') == 200
    assert kinds.count('ACPI NVS') == 1
    assert counts_of(driver.kernel, 'nr_left_out') == {'reserved': 200 - (MAX_REGIONS - 201)}


# ------------------------------------------------------------------ random lists
spots = st.integers(0, NR_SMALL_FRAMES * FRAME) | st.integers(0, NR_SMALL_FRAMES * 4).map(lambda n: n * FRAME // 4)
sizes = st.integers(0, 3 * FRAME) | st.integers(0, 40).map(lambda n: n * FRAME // 4)
far_spots = spots | st.sampled_from([END - 0x1000, END - 1, END, (1 << 63) - 1, 1 << 63, ALL - 0x800, ALL - 1])
far_sizes = sizes | st.sampled_from([1, END, (1 << 63) - 1, 1 << 63, ALL - 1])
numbers = st.sampled_from([RAM, RAM, RAM, RESERVED, *NUMBERS])


@settings(max_examples=150)
@given(st.lists(st.tuples(far_spots, far_sizes, numbers), max_size=12))
def test_the_models_agree(entries: list[Entry]) -> None:
    """The one that paints bytes is the simpler one, the other knows all addresses."""
    end = NR_SMALL_FRAMES * FRAME
    low = [(start, min(stop, end), kind) for start, stop, kind in compressed(entries) if start < end]
    assert painted(entries, NR_SMALL_FRAMES) == low


@settings(max_examples=60)
@given(entries=st.lists(st.tuples(far_spots, far_sizes, numbers), min_size=1, max_size=12))
@example(entries=[(0, 1, number) for number in NUMBERS])
def test_random_lists(driver: Driver, entries: list[Entry]) -> None:
    check_all(driver, entries)


def random_list(seed: int, nr_entries: int) -> list[Entry]:
    """Entries like those of a firmware gone mad: everywhere, of all sizes, mostly RAM."""
    choice = random.Random(seed)

    def entry() -> Entry:
        start = choice.randrange(1 << choice.randrange(12, 50))
        nbytes = choice.randrange(1 << choice.randrange(1, 32))
        number = choice.choice((RAM, RAM, RAM, *NUMBERS))
        return (start, nbytes, number) if choice.random() < 0.5 else (start & -FRAME, nbytes & -FRAME, number)

    return [entry() for _ in range(nr_entries)]


@pytest.mark.parametrize('place', ['jit', 'qemu'])
def test_as_many_entries_as_the_boot_code_hands_over(place: str) -> None:
    with open_driver(place) as driver:
        for seed in range(2):
            check_all(driver, random_list(seed, NR_BOOT_ENTRIES))
            assert driver.kernel.memory_map.nr_regions == MAX_REGIONS


def test_more_than_128_entries(driver: Driver) -> None:
    check_all(driver, random_list(7, 150))


# ------------------------------------------------------------------ what the checker finds
def test_each_broken_invariant_is_found(guest: Guest) -> None:
    guest.write_start_info([(0, 0x9_FC00, RAM), (0x9_FC00, 0x400, RESERVED), (0x10_0000, 0x10_0000, RAM)])
    memory_map.read(guest.k, PhysAddr(START_INFO))
    regions = guest.k.memory_map
    assert memory_map.check(regions) == OK

    def broken(change: str) -> int:
        before = bytes(guest.ram[KERNEL_STATE:KERNEL_STATE_END])
        exec(change, {'regions': regions, 'first': regions.regions[0], 'second': regions.regions[1]})
        code = memory_map.check(regions)
        guest.ram[KERNEL_STATE:KERNEL_STATE_END] = before
        return code

    assert broken(f'regions.nr_regions = {MAX_REGIONS + 1}') == 1
    assert broken('regions.nr_regions = -1') == 1
    assert broken('first.end = 0x9_F800') == 2
    assert broken('first.start = 0x800') == 2
    assert broken('first.start = -0x1000') == 2
    assert broken('first.end = first.start') == 2
    assert broken(f'regions.regions[2].end = {END + FRAME}') == 2
    assert broken('second.start = first.end - 0x1000') == 3
    assert broken('second.kind = first.kind') == 3
    for kind in (0, ORDER.index('hole'), len(ORDER), -1):
        assert broken(f'second.kind = {kind}') == 4
    assert broken('regions.nr_regions = 2') == 5
    assert broken('regions.nr_frames[1] += 1') == 5
    assert broken('regions.nr_left_out[8] += 1') == 5
    assert broken(f'second.kind = {ORDER.index("unusable")}') == 5
    assert broken('first.end = first.end - 0x1000') == 5
    assert memory_map.check(regions) == OK


# ------------------------------------------------------------------ no list at all
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
