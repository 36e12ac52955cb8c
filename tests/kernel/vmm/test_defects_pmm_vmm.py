"""Mistakes of the first IncroOS memory manager, the ones of frames and pages: each must not come back, in any place."""

from typing import Final

import pytest

from incroos.kernel.codes import (
    ALREADY_MAPPED,
    BAD_FLAGS,
    DOUBLE_FREE,
    LARGE_PAGE,
    MISALIGNED,
    NO_FRAME,
    NOT_CANONICAL,
    NOT_MAPPED,
    OK,
    RESERVED,
)
from incroos.kernel.layout import BOOT_TABLES, POOL_END, POOL_START, STACK_END, STACK_START, ZONE_END, ZONE_START
from incroos.kernel.vmm import FREE_HIGH, HUGE, NX, PRESENT, USER, WRITABLE
from incroos.run.harness import Driver, call_of
from incroos.run.simulated import FIRMWARE_BYTES

from ..drivers import PLACES, open_driver
from ..guest import CountedLoads, Guest
from ..models import leaves_in

DATA: Final = PRESENT | WRITABLE | NX
HEAP: Final = 0x1000_0000
FAR: Final = 0x7FFF_C000_0000
PAGE: Final = 0x1000
ADDRESS: Final = 0x000F_FFFF_FFFF_F000


def whole_pool(driver: Driver) -> list[int]:
    """Take every frame of the pool."""
    return driver.execute([call_of('alloc_table', 1)] * driver.call('nr_free_pool_frames'))


def keeps(driver: Driver, pa: int, value: int) -> bool:
    """Whether a frame keeps a word written to its start and end."""
    ends = (pa, pa + PAGE - 8)
    driver.execute([call_of('store', at, value) for at in ends])
    return driver.execute([call_of('load', at) for at in ends]) == [value, value]


def test_defect_01_no_live_stack_in_the_boot_pool(driver: Driver) -> None:
    """The pool and the stack are apart, and the kernel lives on when every frame of the pool is overwritten."""
    assert STACK_START >= POOL_END
    pool = whole_pool(driver)
    assert all(pa + PAGE <= STACK_START or pa >= STACK_END for pa in pool)
    driver.execute([call_of('fill', pa, 0xEE, PAGE) for pa in pool])
    assert driver.call('alloc_table', 1) == ZONE_START
    assert driver.call('check_pmm') == OK


def test_defect_02_boot_pool_holds_no_video_memory(driver: Driver) -> None:
    """No frame lies in video memory or BIOS ROM: each is zero when it comes and keeps what is written to it."""
    pool = whole_pool(driver)
    assert len(pool) > 128
    assert min(pool) == POOL_START
    assert max(pool) < 0xA_0000
    for number, pa in enumerate(pool):
        assert driver.call('count_other', pa, 0, PAGE) == 0
        assert keeps(driver, pa, number << 40 | 0x55)


def test_defect_03_frames_of_the_pool_are_counted_and_freed_once(driver: Driver) -> None:
    free = driver.call('nr_free_pool_frames')
    pool = whole_pool(driver)
    assert driver.call('nr_free_pool_frames') == 0
    assert driver.call('nr_free_frames') == 8192
    for pa in pool:
        assert driver.call('free_page', pa) == RESERVED
        assert driver.call('free_table', pa) == OK
        assert driver.call('free_table', pa) == DOUBLE_FREE
    assert driver.call('nr_free_pool_frames') == free
    assert driver.call('check_pmm') == OK


def test_defect_04_frames_from_2_mib_up_are_zeroed_and_mapped_before_they_become_tables(driver: Driver) -> None:
    dirty = driver.call('alloc_page')
    driver.call('fill', dirty, 0xFF, PAGE)
    assert driver.call('free_page', dirty) == OK
    whole_pool(driver)
    assert driver.call('map_page', FAR, 0x5000, DATA) == OK
    assert driver.call('nr_free_frames') == 8192 - 3
    assert driver.kernel.frames.records[dirty >> 12].level == 1, 'the dirty frame is a table now'
    assert [va for va, _, _ in leaves_in(driver) if va >= HEAP] == [FAR]
    assert driver.call('get_physical', FAR + PAGE) == NOT_MAPPED


def test_defect_05_all_of_the_zone_can_be_touched(driver: Driver) -> None:
    """The first version faulted at 2 MiB. The heap's growth has its own test."""
    frames = driver.execute([call_of('alloc_page')] * 8192)
    assert frames == list(range(ZONE_START, ZONE_END, PAGE))
    driver.execute([call_of('store', pa + PAGE - 8, pa) for pa in frames])
    assert driver.execute([call_of('load', pa + PAGE - 8) for pa in frames]) == frames
    assert driver.call('alloc_page') == NO_FRAME
    assert set(driver.execute([call_of('free_page', pa) for pa in frames])) == {OK}
    assert driver.call('nr_free_frames') == 8192


def test_defect_09_a_failed_mapping_leaks_no_table(driver: Driver) -> None:
    """The first version leaked on the way out of a growth that failed."""
    free = driver.call('nr_free_pool_frames')
    for refused in (1, 2, 3):
        driver.call('refuse_at', refused)
        assert driver.call('map_page', FAR, 0x5000, DATA) == NO_FRAME
        assert driver.call('nr_free_pool_frames') == free
        assert driver.call('check_vmm') == driver.call('check_pmm') == OK
    driver.call('refuse_at', 0)
    assert driver.call('map_page', FAR, 0x5000, DATA) == OK
    assert driver.call('nr_free_pool_frames') == free - 3


@pytest.mark.parametrize('high', [NX, FREE_HIGH, NX | FREE_HIGH, 1 << 52, 1 << 62])
def test_defect_10_bits_52_to_63_are_no_part_of_the_address(driver: Driver, high: int) -> None:
    pa = 0x000F_FFFF_FFFF_F000
    assert driver.call('map_page', FAR, pa, PRESENT | high) == OK
    assert driver.call('get_physical', FAR + 0x123) == pa + 0x123
    assert driver.call('protect', FAR, PRESENT | WRITABLE | high) == OK
    assert driver.call('unmap_page', FAR) == pa


def test_defect_11_a_large_page_is_not_taken_for_a_table(driver: Driver) -> None:
    """The identity map of the zone is made of 2 MiB pages; what is in them looks like tables full of pages."""
    pa = driver.call('alloc_page')
    assert driver.call('fill', pa, 0xFF, PAGE) == OK
    assert driver.call('get_physical', pa + 0x234) == pa + 0x234
    assert driver.call('map_page', pa, 0x5000, DATA) == ALREADY_MAPPED
    assert driver.call('unmap_page', pa) == LARGE_PAGE
    assert driver.call('protect', pa, PRESENT) == LARGE_PAGE
    giant = 0x80_4000_0000
    assert driver.call('map_leaf', giant, 0, DATA | HUGE, 3) == OK
    assert driver.call('map_page', giant + PAGE, 0x5000, DATA) == ALREADY_MAPPED
    assert driver.call('get_physical', giant + 0x1234_5678) == 0x1234_5678
    assert driver.call('unmap_page', giant + PAGE) == LARGE_PAGE
    assert driver.call('unmap_leaf', giant, 3) == 0
    assert driver.call('count_other', pa, 0xFF, PAGE) == 0, 'nobody wrote an entry into the frame'


@pytest.mark.parametrize('va', [HEAP, 0x4000_0000, FAR])
def test_defect_12_the_user_bit_is_set_on_all_levels(driver: Driver, va: int) -> None:
    """Whoever made the upper entries: the boot code for HEAP, in part for 0x4000_0000, this kernel for FAR."""
    assert driver.call('map_page', va, 0x5000, PRESENT | USER | WRITABLE) == OK
    table = 0x1000
    for shift in (39, 30, 21, 12):
        entry = int.from_bytes(driver.ram.read(table + 8 * (va >> shift & 511), 8), 'little')
        assert entry & (PRESENT | USER | WRITABLE) == PRESENT | USER | WRITABLE
        assert entry >> 63 == 0
        table = entry & ADDRESS


def test_defect_13_flags_in_cr3_are_no_part_of_the_root() -> None:
    guest = Guest(4 << 20, cr3=BOOT_TABLES | 0x18)
    assert guest.cpu.cr3 & 0xFFF == 0x18
    assert guest.k.space.root == BOOT_TABLES
    assert guest.call('map_page', HEAP, 0, DATA) == guest.call('check_vmm') == OK
    assert guest.walk(HEAP) == (0, 1)


def test_defect_13_bad_addresses_are_refused(driver: Driver) -> None:
    for va, code in ((1 << 47, NOT_CANONICAL), (-1 << 63, NOT_CANONICAL), (HEAP + 8, MISALIGNED)):
        assert driver.call('map_page', va, 0x5000, DATA) == code
        assert driver.call('unmap_page', va) == driver.call('protect', va, DATA) == code
    assert driver.call('map_page', HEAP, 0x5008, DATA) == MISALIGNED
    assert driver.call('get_physical', 1 << 47) == NOT_CANONICAL


def test_defect_13_a_live_mapping_is_not_overwritten(driver: Driver) -> None:
    assert driver.call('map_page', HEAP, 0x5000, DATA) == OK
    assert driver.call('map_page', HEAP, 0x6000, DATA) == ALREADY_MAPPED
    assert driver.call('get_physical', HEAP) == 0x5000


def test_defect_13_mapping_without_the_present_bit_is_refused(driver: Driver) -> None:
    assert driver.call('map_page', HEAP, 0x5000, WRITABLE) == BAD_FLAGS
    assert driver.call('get_physical', HEAP) == NOT_MAPPED


def test_defect_13_address_0_can_be_told_from_not_mapped(driver: Driver) -> None:
    assert driver.call('get_physical', HEAP) == NOT_MAPPED
    assert driver.call('map_page', HEAP, 0, PRESENT) == OK
    assert driver.call('get_physical', HEAP) == 0
    assert driver.call('unmap_page', HEAP) == 0
    assert driver.call('unmap_page', HEAP) == NOT_MAPPED


def test_defect_13_tables_are_freed(driver: Driver) -> None:
    free = driver.call('nr_free_pool_frames')
    for _ in range(3):
        assert driver.call('map_page', FAR, 0x5000, DATA) == OK
        assert driver.call('nr_free_pool_frames') == free - 3
        assert driver.call('unmap_page', FAR) == 0x5000
        assert driver.call('nr_free_pool_frames') == free


def test_defect_13_pages_can_be_not_executable(driver: Driver) -> None:
    assert driver.call('map_page', HEAP, 0x5000, DATA) == OK
    assert {entry >> 63 for va, _, entry in leaves_in(driver) if va >= ZONE_START} == {1}


@pytest.mark.parametrize('place', PLACES)
@pytest.mark.parametrize('memory', [4 << 20, 16 << 20])
def test_defect_14_ram_is_what_the_memory_map_says_and_no_frame_is_the_heaps_own(place: str, memory: int) -> None:
    """The first version took 4 GiB for granted, and its first frame was the first page of its heap."""
    with open_driver(place, memory) as driver:
        block = driver.call('kmalloc', 100)
        of_the_heap = driver.call('get_physical', block) & -PAGE
        frames = driver.execute([call_of('alloc_page')] * driver.call('nr_free_frames'))
        assert driver.call('alloc_page') == NO_FRAME
        assert sorted([*frames, of_the_heap]) == list(range(ZONE_START, ZONE_START + PAGE * (len(frames) + 1), PAGE))
        assert driver.call('nr_total_frames') == len(frames) + 1 == (memory - ZONE_START - FIRMWARE_BYTES) // PAGE
        driver.execute([call_of('store', pa, pa) for pa in frames])
        assert driver.execute([call_of('load', pa) for pa in frames]) == frames


def test_defect_15_the_search_for_a_frame_reads_a_handful_of_words() -> None:
    """The first version scanned bytes from the start. The worst case: all frames but the last are taken."""
    guest = Guest()
    for _ in range(8191):
        guest.call('take_frame')
    counted = CountedLoads(guest)
    assert guest.call('take_frame') == ZONE_END - PAGE
    assert counted.nr_loads < 16
