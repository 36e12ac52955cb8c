"""Reports: what the kernel tells of the machine's memory, in lines of text.

Knows nothing of what the figures are for; statistics.py makes them.
"""

from typing import Final

from incroos.kernel import heap, statistics
from incroos.kernel.io import console
from incroos.kernel.layout import PAGE_SHIFT
from incroos.kernel.pmm import memory_map
from incroos.kernel.pmm.memory_kinds import ACPI_NVS, ACPI_TABLES, PERSISTENT, RAM, RUNTIME, UNACCEPTED, UNUSABLE
from incroos.kernel.state import NR_KINDS, NR_ORDERS, NR_ZONES, Kernel, ZoneStatistics
from incroos.lang import PhysAddr, kernel, word

FRAMES_OF_MEBIBYTE: Final = 256
COUNT_COLUMNS: Final = 14  # for as many frames as there are addresses for


@kernel
def put_memory_map(k: Kernel, start_info: PhysAddr) -> None:
    """Put the regions, and what there is of each kind in all. Needs console.init."""
    memory_map.read(k, start_info)
    console.put_text(k, b'Memory map:\n')
    for index in range(k.memory_map.nr_regions):
        region = k.memory_map.regions[index]
        put_range(k, region.start, region.end)
        put_kind(k, region.kind)
        put_frames(k, (region.end - region.start) >> PAGE_SHIFT)
        console.put_text(k, b'\n')
    put_kinds(k)


@kernel
def put_range(k: Kernel, start: word, end: word) -> None:
    """Put a range of addresses."""
    console.put_text(k, b'  [0x')
    console.put_hex(k, start)
    console.put_text(k, b', 0x')
    console.put_hex(k, end)
    console.put_text(k, b') ')


@kernel
def put_total(k: Kernel, kind: word) -> None:
    """Put what there is of a kind, and how much of it is in no region."""
    nr_frames = k.memory_map.nr_frames[kind]
    console.put_text(k, b'  ')
    put_kind(k, kind)
    put_frames(k, nr_frames)
    put_right(k, nr_frames // FRAMES_OF_MEBIBYTE, COUNT_COLUMNS)
    console.put_text(k, b' MiB')
    if k.memory_map.nr_left_out[kind] != 0:
        put_right(k, k.memory_map.nr_left_out[kind], COUNT_COLUMNS)
        console.put_text(k, b' left out')
    console.put_text(k, b'\n')


@kernel
def put_kind(k: Kernel, kind: word) -> None:
    """Put the name of a kind of memory, in a column."""
    if kind == RAM:
        console.put_text(k, b'RAM         ')
    elif kind == ACPI_TABLES:
        console.put_text(k, b'ACPI tables ')
    elif kind == UNACCEPTED:
        console.put_text(k, b'unaccepted  ')
    elif kind == PERSISTENT:
        console.put_text(k, b'persistent  ')
    elif kind == ACPI_NVS:
        console.put_text(k, b'ACPI NVS    ')
    elif kind == RUNTIME:
        console.put_text(k, b'UEFI runtime')
    elif kind == UNUSABLE:
        console.put_text(k, b'unusable    ')
    else:
        console.put_text(k, b'reserved    ')


@kernel
def put_frames(k: Kernel, nr_frames: word) -> None:
    """Put how many frames, in a column."""
    put_right(k, nr_frames, COUNT_COLUMNS)
    console.put_text(k, b' frames')


@kernel
def put_right(k: Kernel, number: word, nr_columns: word) -> None:
    """Put a number that is not negative, right-aligned in this many columns, or in as many as it needs."""
    nr_digits = 1
    rest = number // 10
    while rest != 0:
        nr_digits += 1
        rest //= 10
    for _ in range(nr_columns - nr_digits):
        console.put_text(k, b' ')
    console.put_decimal(k, number)


@kernel
def put_statistics(k: Kernel) -> None:
    """Count, and put the figures, a line for each."""
    found = statistics.collect(k)
    put_figure(k, b'frames of RAM', found.ram)
    put_figure(k, b'frames managed', found.managed)
    put_figure(k, b'free frames', found.free)
    put_figure(k, b'frames of pages', found.pages)
    put_figure(k, b'frames kept', found.kept)
    put_figure(k, b'page tables', found.tables)
    put_figure(k, b'reserved below 2 MiB', found.reserved_low)
    put_figure(k, b'reserved for metadata', found.reserved_metadata)
    put_figure(k, b'largest free order', found.largest_free_order)
    put_figure(k, b'pages of 4 KiB', found.mapped[0])
    put_figure(k, b'pages of 2 MiB', found.mapped[1])
    put_figure(k, b'pages of 1 GiB', found.mapped[2])
    put_figure(k, b'allocs', k.counters.allocs)
    put_figure(k, b'frees', k.counters.frees)
    put_figure(k, b'splits', found.splits)
    put_figure(k, b'merges', found.merges)
    put_figure(k, b'flushes', k.counters.flushes)
    put_heap(k)
    console.put_text(k, b'fragmentation by order, per mille:')
    for order in range(NR_ORDERS):
        console.put_text(k, b' ')
        console.put_decimal(k, found.fragmentation[order])
    console.put_text(k, b'\n')
    for number in range(NR_ZONES):
        put_zone(k, number, found.zones[number])
    put_kinds(k)


@kernel
def put_heap(k: Kernel) -> None:
    """Put the figures of the heap that are one number each; the host has the others (inspect/heap_statistics.py)."""
    put_figure(k, b'heap bytes in use', heap.used_bytes(k))
    if not k.heap.config.objects.HAS_FIGURES:
        return
    put_figure(k, b'at most', k.heap.figures.peak_used_bytes)
    put_figure(k, b'heap bytes with frames', k.heap.figures.committed_bytes)
    put_figure(k, b'at most with frames', k.heap.figures.peak_committed_bytes)
    put_figure(k, b'heap bytes asked for in all', k.heap.figures.asked_bytes)
    put_figure(k, b'requests refused', k.heap.figures.nr_refused)


@kernel
def put_kinds(k: Kernel) -> None:
    """Put what there is of each kind in all."""
    console.put_text(k, b'In all:\n')
    for kind in range(NR_KINDS):
        if k.memory_map.nr_frames[kind] != 0:
            put_total(k, kind)


@kernel
def put_figure(k: Kernel, name: bytes, figure: word) -> None:
    """Put a name and a number."""
    console.put_text(k, name)
    console.put_text(k, b': ')
    console.put_decimal(k, figure)
    console.put_text(k, b'\n')


@kernel
def put_zone(k: Kernel, number: word, zone: ZoneStatistics) -> None:
    """Put a zone's frames, those that are free, and its free blocks of each order."""
    console.put_text(k, b'zone ')
    console.put_decimal(k, number)
    console.put_text(k, b': ')
    console.put_decimal(k, zone.free)
    console.put_text(k, b' of ')
    console.put_decimal(k, zone.total)
    console.put_text(k, b' free; by order')
    for order in range(NR_ORDERS):
        console.put_text(k, b' ')
        console.put_decimal(k, zone.free_blocks[order])
    console.put_text(k, b'\n')
