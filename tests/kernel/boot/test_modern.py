"""Config `modern`: its boot in all places, its address space, and what the checker of the address space finds."""

import re

import pytest

from incroos.guest import mailbox
from incroos.kernel import pmm, statistics, vmm
from incroos.kernel.arch.pte import HUGE
from incroos.kernel.codes import DOUBLE_FREE, NOT_MAPPED, OK, RESERVED
from incroos.kernel.config import KernelConfig
from incroos.kernel.configs import MODERN, MODERN_FIXMAP, MODERN_RECURSIVE
from incroos.kernel.layout import (
    DIRECT_MAP_START,
    IMAGE_START,
    IMAGE_WINDOW,
    KERNEL_STATE,
    MAILBOX,
    MODERN_HEAP,
    MODERN_STACK_END,
    PAGE_SHIFT,
    STACK_GUARD,
    VGA_TEXT,
)
from incroos.kernel.pmm.all import frame_database
from incroos.kernel.pmm.memory_kinds import RAM
from incroos.kernel.vmm import NX, PRESENT, USER, WRITABLE, find_fault, windows
from incroos.kernel.vmm.check import modern as space_check
from incroos.lang import Pfn, PhysAddr, VirtAddr
from incroos.machine.errors import MachineStopped
from incroos.run import images, jit, qemu
from incroos.run.boot import Boot
from incroos.run.harness import call_of
from incroos.run.outcome import Outcome, Status
from incroos.run.sim import Sim, boot

from ...budget import SECONDS
from ..drivers import MODERN_BUILD, MODERN_BUILDS, PLACES, open_driver
from .test_selftest import TRANSCRIPT

MIB = 1 << 20
METADATA = 1  # frame that goes into what the kernel knows of frames, with 64 MiB
RECORDS = 2 + 62  # of the first 2 MiB and of the rest
NR_FRAMES = (62 * MIB >> 12) - 32 - METADATA - RECORDS + 125  # from 2 MiB on, less the firmware's; of the pool
MEMORY_MAP = """\
Memory map:
  [0x0000000000000000, 0x000000000009F000) RAM                    159 frames
  [0x000000000009F000, 0x00000000000A0000) reserved                 1 frames
  [0x00000000000F0000, 0x0000000000100000) reserved                16 frames
  [0x0000000000100000, 0x0000000003FE0000) RAM                  16096 frames
  [0x0000000003FE0000, 0x0000000004000000) reserved                32 frames
  [0x00000000FFFC0000, 0x0000000100000000) reserved                64 frames
  [0x000000FD00000000, 0x0000010000000000) reserved           3145728 frames
In all:
  RAM                  16255 frames            63 MiB
  reserved           3145841 frames         12288 MiB
"""
SPACE_LINE = 'pmm_free_page: SUCCESS\naddress space: SUCCESS\n'
LOW_PAGE = VirtAddr(0x4000_0000)


def boot_in(place: str, memory_bytes: int, config: KernelConfig = MODERN) -> tuple[Outcome, str]:
    """How the boot ended, and what the kernel wrote."""
    console = bytearray()
    if place == 'sim':
        end = boot(Boot(memory_bytes, SECONDS, console.extend, config=config))
    elif place == 'jit':
        end = jit.boot(Boot(memory_bytes, SECONDS, console.extend), jit.cached_kernel(print, config=config))
    else:
        image = images.kernel_image(print, config=config)
        end = qemu.boot(Boot(memory_bytes, SECONDS, console.extend, accel='tcg'), image.path)
    return end, console.decode()


@pytest.fixture(params=MODERN_BUILDS)
def sim(request: pytest.FixtureRequest) -> Sim:
    """A kernel that has started, with each way to page tables."""
    sim = Sim(64 * MIB, MODERN_BUILDS[request.param].config)
    sim.start(mailbox.start)
    return sim


# ------------------------------------------------------------------ boots
@pytest.mark.parametrize('place', PLACES)
def test_the_transcript_is_that_of_classic_and_a_line_for_the_address_space(place: str) -> None:
    assert_transcript(*boot_in(place, 64 * MIB))


@pytest.mark.parametrize('config', [MODERN_RECURSIVE, MODERN_FIXMAP], ids=['recursive', 'fixmap'])
def test_the_self_test_passes_however_tables_are_reached(config: KernelConfig) -> None:
    tables_of_the_fixmap = 2
    assert_transcript(*boot_in('sim', 64 * MIB, config), NR_FRAMES - tables_of_the_fixmap)


def assert_transcript(end: Outcome, text: str, nr_frames: int = NR_FRAMES) -> None:
    """The boot ended well, and wrote what it should."""
    frame = re.search('addr: 0x([0-9A-F]{16})', text)
    assert frame
    wanted = TRANSCRIPT.format(frame=int(frame[1], 16)).replace('pmm_free_page: SUCCESS\n', SPACE_LINE)
    wanted = MEMORY_MAP + wanted.replace('8192', str(nr_frames))
    assert (end.status, text) == (Status.PASSED, wanted)


@pytest.mark.parametrize(
    ('place', 'memory_mib'),
    [('jit', 3), ('jit', 3584), ('jit', 64 << 10), ('jit', 1 << 20), ('qemu', 3), ('qemu', 2048), ('qemu', 64 << 10)],
)
def test_it_boots_with_little_memory_and_with_much(place: str, memory_mib: int) -> None:
    end, text = boot_in(place, memory_mib * MIB)
    assert end.status == Status.PASSED, text
    assert SPACE_LINE in text


# ------------------------------------------------------------------ the address space
def flags_at(sim: Sim, va: int) -> int:
    """The rights of the page at an address; 0 when there is none."""
    code, _level, _slot, entry = vmm.walk(sim.kernel, VirtAddr(va))
    return entry & (PRESENT | WRITABLE | USER | NX) if code == OK else 0


def test_sections_have_their_rights_in_the_image_window_and_none_can_be_executed_elsewhere(sim: Sim) -> None:
    data = PRESENT | WRITABLE | NX
    assert flags_at(sim, IMAGE_WINDOW + IMAGE_START) == PRESENT
    assert flags_at(sim, DIRECT_MAP_START + IMAGE_START) == PRESENT | NX
    for pa in (MAILBOX, KERNEL_STATE, VGA_TEXT):
        assert flags_at(sim, IMAGE_WINDOW + pa) == data
    for guard in (STACK_GUARD, MODERN_STACK_END):
        assert flags_at(sim, IMAGE_WINDOW + guard) == flags_at(sim, DIRECT_MAP_START + guard) == 0


def test_identity_and_page_0_are_gone(sim: Sim) -> None:
    for va in (0, 0x1000, IMAGE_START, KERNEL_STATE, 0x20_0000, DIRECT_MAP_START, IMAGE_WINDOW):
        assert flags_at(sim, va) == 0


def test_the_direct_map_shows_all_ram_and_nothing_else(sim: Sim) -> None:
    regions = [
        range(region.start, region.end)
        for region in (sim.kernel.memory_map.regions[index] for index in range(sim.kernel.memory_map.nr_regions))
        if region.kind == RAM
    ]
    unmapped = {0, STACK_GUARD, MODERN_STACK_END}
    for pa in range(0, 80 * MIB, 0x1000):
        is_ram = any(pa in region for region in regions) and pa not in unmapped
        assert vmm.get_physical(sim.kernel, VirtAddr(DIRECT_MAP_START + pa)) == (pa if is_ram else NOT_MAPPED)


def test_a_page_is_as_large_as_the_memory_map_allows(sim: Sim) -> None:
    levels = [vmm.walk(sim.kernel, VirtAddr(DIRECT_MAP_START + at * MIB))[1] for at in (1, 2, 60, 62)]
    assert levels == [1, 2, 2, 1]


@pytest.mark.parametrize('place', PLACES)
def test_heap_and_frames_work_through_the_upper_half(place: str) -> None:
    with open_driver(place, build=MODERN_BUILD) as driver:
        ptr = driver.call('kmalloc', 5000)
        frame = driver.call('alloc_page')
        assert ptr == MODERN_HEAP + 16
        assert driver.call('load', DIRECT_MAP_START + frame) == 0
        assert driver.call('store', DIRECT_MAP_START + frame, 7) == 0
        assert driver.ram.load64(VirtAddr(frame)) == 7
        assert [driver.call(name) for name in ('check_heap', 'check_pmm', 'check_vmm')] == [OK, OK, OK]
        assert driver.call('kfree', ptr) == driver.call('free_page', frame) == OK


def test_frames_below_2_mib_are_freed_once_as_all_others() -> None:
    with open_driver('sim', 3 * MIB, MODERN_BUILD) as driver:
        frames = driver.execute([call_of('alloc_page')] * driver.call('nr_free_frames'))
        low = [frame for frame in frames if frame < 2 * MIB]
        assert len(low) > 100
        driver.execute([call_of('free_page', frame) for frame in frames])
        for free in ('free_page', 'free_table'):
            assert {driver.call(free, frame) for frame in low} == {DOUBLE_FREE}
            assert {driver.call(free, frame) for frame in (0, 0x1000, KERNEL_STATE)} == {RESERVED}


def test_statistics_count_pages_and_not_the_ways_to_tables(sim: Sim) -> None:
    """The same numbers for each way."""
    found = statistics.collect(sim.kernel)
    assert [found.mapped[index] for index in range(3)] == [1212, 30, 0]


# ------------------------------------------------------------------ what the checker finds
def test_a_writable_and_executable_page_is_found(sim: Sim) -> None:
    assert vmm.map_page(sim.kernel, LOW_PAGE, PhysAddr(0x20_0000), PRESENT | WRITABLE) == OK
    assert find_fault(sim.kernel) == (space_check.WRITABLE_AND_EXECUTABLE, LOW_PAGE)
    assert vmm.check(sim.kernel) == OK


def test_a_users_page_in_the_kernels_half_is_found_and_one_in_the_users_half_is_right(sim: Sim) -> None:
    assert vmm.map_page(sim.kernel, LOW_PAGE, PhysAddr(0x20_0000), PRESENT | USER | NX) == OK
    assert find_fault(sim.kernel) == (OK, 0)
    high = VirtAddr(MODERN_HEAP)
    assert vmm.map_page(sim.kernel, high, PhysAddr(0x20_0000), PRESENT | USER | NX) == OK
    assert find_fault(sim.kernel) == (space_check.USER_IN_KERNEL_HALF, high)


@pytest.mark.parametrize('level', [1, 2])
def test_an_alias_of_a_page_table_is_found(sim: Sim, level: int) -> None:
    k = sim.kernel
    table = k.space.root & -(1 << 12 + 9 * (level - 1))
    assert vmm.map_leaf(k, LOW_PAGE, PhysAddr(table), PRESENT | NX, level) == OK
    assert find_fault(k) == (OK, 0)  # it can be read
    assert vmm.protect_leaf(k, LOW_PAGE, PRESENT | WRITABLE | NX, level) == OK
    assert find_fault(k) == (space_check.ALIAS_OF_TABLE, LOW_PAGE)


@pytest.mark.parametrize('guard', [STACK_GUARD, MODERN_STACK_END])
@pytest.mark.parametrize('window', [IMAGE_WINDOW, DIRECT_MAP_START])
def test_a_guard_that_is_mapped_is_found(sim: Sim, guard: int, window: int) -> None:
    at = VirtAddr(window + guard)
    assert vmm.map_page(sim.kernel, at, PhysAddr(guard), PRESENT | NX) == OK
    assert find_fault(sim.kernel) == (space_check.MAPPED_GUARD, at)
    assert vmm.unmap_page(sim.kernel, at) == guard
    assert find_fault(sim.kernel) == (OK, 0)


def test_frame_0_in_the_direct_map_is_found(sim: Sim) -> None:
    at = VirtAddr(DIRECT_MAP_START)
    assert vmm.map_page(sim.kernel, at, PhysAddr(0), PRESENT | NX) == OK
    assert find_fault(sim.kernel) == (space_check.MAPPED_GUARD, at)


@pytest.mark.parametrize('level', [1, 2, 3])
def test_wrong_rights_are_found_whatever_the_size_of_the_page(sim: Sim, level: int) -> None:
    for va, flags, code in (
        (0x5000_0000_0000, PRESENT | WRITABLE, space_check.WRITABLE_AND_EXECUTABLE),
        (-0x60_0000_0000, PRESENT | USER | NX, space_check.USER_IN_KERNEL_HALF),
        (0, PRESENT | NX, space_check.PAGE_ZERO),
    ):
        assert vmm.map_leaf(sim.kernel, VirtAddr(va), PhysAddr(1 << 30), flags, level) == OK
        assert find_fault(sim.kernel) == (code, va)
        assert vmm.unmap_leaf(sim.kernel, VirtAddr(va), level) == 1 << 30
    assert find_fault(sim.kernel) == (OK, 0)


def test_a_recursive_slot_that_is_not_as_it_was_is_found() -> None:
    sim = Sim(64 * MIB, MODERN_RECURSIVE)
    sim.start(mailbox.start)
    slot = VirtAddr(DIRECT_MAP_START + sim.kernel.space.root + 8 * windows.RECURSIVE_INDEX)
    right = sim.kernel.m.load64(slot)
    for wrong in (right | USER, right & ~NX):
        sim.kernel.m.store64(slot, wrong)
        sim.machine.write_cr3(sim.machine.read_cr3())
        assert find_fault(sim.kernel) == (space_check.WRONG_WINDOW, 0)
    sim.kernel.m.store64(slot, right)
    sim.machine.write_cr3(sim.machine.read_cr3())
    assert find_fault(sim.kernel) == (OK, 0)


def test_page_0_is_found(sim: Sim) -> None:
    assert vmm.map_page(sim.kernel, VirtAddr(0), PhysAddr(0x20_0000), PRESENT | NX) == OK
    assert find_fault(sim.kernel) == (space_check.PAGE_ZERO, 0)


@pytest.mark.parametrize(
    ('pa', 'flags', 'size'),
    [
        (0x20_0000, NX, 1),  # another frame
        (80 * MIB, NX, 1),  # no RAM
        (80 * MIB, NX, 2),
        (DIRECT_MAP_START, 0, 1),  # executable
    ],
)
def test_a_wrong_page_in_the_direct_map_is_found(sim: Sim, pa: int, flags: int, size: int) -> None:
    at = VirtAddr(DIRECT_MAP_START + 80 * MIB)
    frame = PhysAddr(80 * MIB if pa == DIRECT_MAP_START else pa)
    assert vmm.map_leaf(sim.kernel, at, frame, PRESENT | flags, size) == OK
    assert find_fault(sim.kernel) == (space_check.WRONG_DIRECT_MAP, at)


def test_broken_entries_are_found(sim: Sim) -> None:
    huge = VirtAddr(DIRECT_MAP_START + 4 * MIB)
    _code, _level, slot, entry = vmm.walk(sim.kernel, huge)
    broken = {
        entry | 1 << 13: space_check.WRONG_BITS,  # an address bit that a huge page does not have
        entry & ~(HUGE | NX) | USER: space_check.NOT_A_TREE,  # the page as a table
        entry & ~(HUGE | NX): space_check.WRONG_BITS,  # and as one for the kernel alone
    }
    for wrong, code in broken.items():
        sim.kernel.m.store64(VirtAddr(DIRECT_MAP_START + slot), wrong)
        assert vmm.check(sim.kernel) == code
        assert find_fault(sim.kernel) == (code, huge)


def test_a_table_with_two_names_is_found_and_the_marks_are_gone_afterwards(sim: Sim) -> None:
    k = sim.kernel
    root = k.space.root
    first = DIRECT_MAP_START + root + 8 * 256
    second = VirtAddr(DIRECT_MAP_START + root + 8 * 300)
    pmm.record_of(k, PhysAddr(root)).nr_entries += 1
    k.m.store64(second, k.m.load64(VirtAddr(first)))
    assert vmm.check(k) == space_check.NOT_A_TREE
    k.m.store64(second, 0)
    pmm.record_of(k, PhysAddr(root)).nr_entries -= 1
    assert vmm.check(k) == OK


def test_wrong_counts_and_another_root_are_found(sim: Sim) -> None:
    k = sim.kernel
    k.space.nr_tables += 1
    assert vmm.check(k) == space_check.WRONG_TOTAL
    k.space.nr_tables -= 1
    pmm.record_of(k, k.space.root).nr_entries += 1
    assert vmm.check(k) == space_check.WRONG_COUNT
    pmm.record_of(k, k.space.root).nr_entries -= 1
    root = k.space.root
    k.space.root = PhysAddr(root + 0x1000)
    assert vmm.check(k) == space_check.NOT_THE_ROOT
    k.space.root = root
    assert vmm.check(k) == OK


def test_a_boot_page_that_is_writable_and_executable_is_refused() -> None:
    sim = Sim(64 * MIB, MODERN)
    sim.machine.poke(0x4000 + 8 * (IMAGE_START >> 12), (IMAGE_START | PRESENT | WRITABLE).to_bytes(8, 'little'))
    with pytest.raises(MachineStopped):
        sim.start(mailbox.start)
    assert b'writable and executable: address 0x0000000000100000' in sim.console()


# ------------------------------------------------------------------ frames that are mapped
def mapped_frame(free: str) -> tuple[Sim, PhysAddr]:
    """A kernel of the build that users get, and a frame or a huge block that an entry is counted for."""
    sim = Sim(64 * MIB, MODERN)
    sim.start(mailbox.start)
    pa = pmm.alloc_page(sim.kernel) if free == 'free_page' else pmm.take_huge(sim.kernel)
    assert frame_database.add_mapping(sim.kernel.blocks.database, Pfn(pa >> PAGE_SHIFT)) == 1
    assert pmm.check(sim.kernel) == OK
    return sim, pa


@pytest.mark.parametrize('free', ['free_page', 'free_block'])
def test_a_frame_that_is_freed_while_it_is_mapped_is_a_panic(free: str) -> None:
    sim, pa = mapped_frame(free)
    with pytest.raises(MachineStopped):
        getattr(pmm, free)(sim.kernel, pa)
    words = f'a frame is freed that is mapped or shared: address, mappings, references 0x{pa:016X}'
    assert words.encode() in sim.console()


@pytest.mark.parametrize('free', ['free_page', 'free_block'])
def test_a_frame_that_was_mapped_can_be_freed(free: str) -> None:
    sim, pa = mapped_frame(free)
    assert frame_database.drop_mapping(sim.kernel.blocks.database, Pfn(pa >> PAGE_SHIFT)) == 0
    assert getattr(pmm, free)(sim.kernel, pa) == OK
    assert pmm.check(sim.kernel) == OK
