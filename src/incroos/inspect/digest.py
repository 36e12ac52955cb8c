"""The digest: a hash of the part of a guest's RAM that must be equal in every place after the same operations.

It covers the Kernel struct but for its last parts, which are about free frames and the processor, each page table that
the kernel made, and each other frame of pool or zone that is handed out, including the heap's. It leaves out accessed
and dirty bits, which a processor may set early; the boot code's tables, though not the kernel's tables below them; free
frames, image, stack, mailbox. In `modern` the tables for the first 2 MiB count without rights, because the rights
follow the image, which differs by place. Of the metadata of all frames the record of each used block counts, and the
number of free blocks of each order and zone.
"""

import hashlib
from collections.abc import Iterator
from typing import Final

from incroos.kernel.arch.pte import ACCESSED, DIRTY, NX, WRITABLE, is_leaf, is_present, page_bytes, table_of
from incroos.kernel.config import FOUR_LEVELS
from incroos.kernel.layout import (
    BOOT_TABLES,
    BOOT_TABLES_END,
    DIRECT_MAP_START,
    IMAGE_WINDOW,
    KERNEL_STATE,
    PAGE_BYTES,
    PAGE_SHIFT,
)
from incroos.kernel.pmm.all import frame_database, zones
from incroos.kernel.pmm.all.frame_database import ALL, HUGE_FRAMES, KEPT, USED, known_of
from incroos.kernel.state import BITMAP_WORDS, MAX_ORDER, NR_ZONES, FrameBitmap, Frames, Kernel
from incroos.lang import VirtAddr, offset_of

from .address_space import AddressSpace
from .ram import RamMachine

SEEN: Final = ACCESSED | DIRTY
RIGHTS: Final = WRITABLE | NX
LOW_48: Final = (1 << 48) - 1
OF_THE_IMAGE: Final = [window & LOW_48 for window in (DIRECT_MAP_START, IMAGE_WINDOW)]


def digests(ram: RamMachine, kernel_state: int = KERNEL_STATE) -> dict[str, str]:
    """A hash of each part, by the part's name, so that two guests can be compared part by part."""
    parts = {'Kernel struct': hash_of(ram.read(kernel_state, offset_of(Kernel, 'blocks')))}  # the part before
    tables: set[int] = set()
    k = Kernel(ram, VirtAddr(kernel_state))
    frames = k.frames
    for pa, level, va, entries in walk_tables(ram, k.space.root, k.space.root_level):
        tables.add(pa)
        if not BOOT_TABLES <= pa < BOOT_TABLES_END:
            unequal = SEEN | RIGHTS if level == 1 and va & LOW_48 in OF_THE_IMAGE else SEEN
            parts[f'table {pa:#x} of level {level} for {va:#x}'] = hash_of(masked(entries, unequal))
    own = [*handed_out(frames.pool), *handed_out(frames.zone)]
    if frames.early_limit:
        metadata = metadata_of(ram, k)
        own = [pfn << PAGE_SHIFT for pfn, _, _ in used_blocks(metadata)]
        parts['used blocks'] = hash_of(repr(list(used_blocks(metadata))).encode())
        parts['free blocks'] = hash_of(repr(free_blocks(metadata)).encode())
    for pa in own:
        if pa not in tables:
            parts[f'frame {pa:#x}'] = hash_of(ram.read(pa, PAGE_BYTES))
    return parts


def metadata_of(ram: RamMachine, k: Kernel) -> Frames:
    """The metadata of all frames in config `modern`."""
    space = AddressSpace(ram, k.space.root, k.space.root_level)
    return Frames(space, VirtAddr(k.config.frame_window + k.blocks.addr))


def used_blocks(metadata: Frames) -> Iterator[tuple[int, int, int]]:
    """First frame, order with state, and owner with references of each block that is used or reserved."""
    database = metadata.database
    for first in range(0, database.nr_frames, HUGE_FRAMES):
        known = known_of(database, first)
        for pfn in range(first, first + (HUGE_FRAMES if known == ALL else known)):
            record = frame_database.record_of(database, pfn)
            if record.state in (USED, KEPT):
                yield pfn, record.order | record.state << 8, record.owner << 32 | record.nr_references


def free_blocks(metadata: Frames) -> list[tuple[int, ...]]:
    """For each zone the number of frames, of free frames, and of free blocks of each order."""
    return [
        (
            zone.nr_total_frames,
            zones.nr_free_frames(zone),
            *(zone.config.frames.nr_free_blocks(zone, order) for order in range(MAX_ORDER + 1)),
        )
        for zone in (metadata.zones[number] for number in range(NR_ZONES))
    ]


def digest(ram: RamMachine, kernel_state: int = KERNEL_STATE) -> str:
    """One hash over all digests."""
    return hash_of(repr(sorted(digests(ram, kernel_state).items())).encode())


def differences(one: dict[str, str], other: dict[str, str]) -> list[str]:
    """The names of the parts in which two memories differ."""
    return sorted(name for name in one.keys() | other.keys() if one.get(name) != other.get(name))


def walk_tables(
    ram: RamMachine, root: int = BOOT_TABLES, root_level: int = FOUR_LEVELS
) -> Iterator[tuple[int, int, int, list[int]]]:
    """Address, level, first virtual address, and entries of each table reachable from the root.

    The addresses have only the bits that tables use.
    """
    waiting = [(root, root_level, 0)]
    while waiting:
        pa, level, start = waiting.pop()
        entries = list(memoryview(ram.read(pa, PAGE_BYTES)).cast('q'))
        yield pa, level, start, entries
        for index, entry in enumerate(entries):
            if is_present(entry) and not is_leaf(entry, level) and table_of(entry) != pa:  # not the recursive slot
                waiting.append((table_of(entry), level - 1, start + index * page_bytes(level)))


def masked(entries: list[int], unequal: int) -> bytes:
    """The entries, and of present ones only the bits that must be equal."""
    return repr([entry & ~unequal if is_present(entry) else entry for entry in entries]).encode()


def handed_out(bitmap: FrameBitmap) -> Iterator[int]:
    """The frames of pool or zone that are in use, in ascending order."""
    for index in range(BITMAP_WORDS):
        bits = bitmap.managed[index] & ~bitmap.free[index]
        for bit in range(64):
            if bits >> bit & 1:
                yield bitmap.start + ((index * 64 + bit) << PAGE_SHIFT)


def hash_of(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
