"""The memory map: ranges in order and apart, and room in them for what they hold."""

from incroos.guest.mailbox import Mailbox
from incroos.kernel import codes, layout
from incroos.kernel.state import BITMAP_WORDS, SUMMARY_WORDS, Kernel, TableRecord

RANGES = [
    (layout.BOOT_TABLES, layout.BOOT_TABLES_END),
    (layout.POOL_START, layout.POOL_END),
    (layout.IMAGE_START, layout.IMAGE_END),
    (layout.MAILBOX, layout.MAILBOX_END),
    (layout.STACK_GUARD, layout.STACK_START),
    (layout.STACK_START, layout.STACK_END),
    (layout.KERNEL_STATE, layout.KERNEL_STATE_END),
    (layout.ZONE_START, layout.ZONE_END),
    (layout.HEAP, layout.HEAP + layout.HEAP_MAX_BYTES),
]


def test_ranges_are_whole_pages_in_rising_order() -> None:
    ends = [address for pair in RANGES for address in pair]
    assert ends == sorted(ends)
    assert all(start < end for start, end in RANGES)
    assert all(address % layout.PAGE_BYTES == 0 for address in ends)


def test_the_boot_map_covers_all_below_the_zone() -> None:
    assert layout.BOOT_MAP_END == layout.KERNEL_STATE_END == layout.ZONE_START == 2 << 20


def test_what_the_ranges_hold_fits() -> None:
    assert Kernel.SIZE <= layout.KERNEL_STATE_END - layout.KERNEL_STATE
    assert Mailbox.SIZE <= layout.MAILBOX_END - layout.MAILBOX


def test_the_metadata_covers_all_frames() -> None:
    assert BITMAP_WORDS * 64 == layout.ZONE_FRAMES >= (layout.POOL_END - layout.POOL_START) // layout.PAGE_BYTES
    assert SUMMARY_WORDS * 64 == BITMAP_WORDS
    assert layout.NR_TRACKED_FRAMES * layout.PAGE_BYTES == layout.ZONE_END
    assert TableRecord.SIZE <= 16


def test_no_two_codes_are_one_number() -> None:
    found = [value for name, value in vars(codes).items() if isinstance(value, int) and value < 0]
    assert len(found) == len(set(found)) > 60
