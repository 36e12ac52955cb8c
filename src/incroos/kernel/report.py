"""Reports: what the kernel tells of the machine's memory, in lines of text.

Knows nothing of what the figures are for; statistics.py makes them.
"""

from incroos.kernel import console, statistics
from incroos.kernel.pmm import memory_map
from incroos.kernel.start_info import entry_of, info_of
from incroos.kernel.state import NR_ORDERS, NR_ZONES, Kernel, ZoneStatistics
from incroos.lang import PhysAddr, kernel, word


@kernel
def put_memory_map(k: Kernel, start_info: PhysAddr) -> None:
    """Put the firmware's list as it is, and then the RAM that is left of it in whole frames. Needs console.init."""
    memory_map.read(k, start_info)
    console.put_text(k, b'Memory map of the firmware:\n')
    info = info_of(k, start_info)
    for index in range(info.nr_entries):
        entry = entry_of(k, info, index)
        put_range(k, entry.start, memory_map.clipped_end(entry))
        put_kind(k, entry.kind)
    console.put_text(k, b'RAM in whole frames:\n')
    for index in range(k.memory_map.nr_regions):
        region = k.memory_map.regions[index]
        put_range(k, region.start, region.end)
        console.put_decimal(k, (region.end - region.start) >> 10)
        console.put_text(k, b' KiB\n')


@kernel
def put_range(k: Kernel, start: word, end: word) -> None:
    """Put a range of addresses."""
    console.put_text(k, b'  [0x')
    console.put_hex(k, start)
    console.put_text(k, b', 0x')
    console.put_hex(k, end)
    console.put_text(k, b') ')


@kernel
def put_kind(k: Kernel, kind: word) -> None:
    """Put what the firmware says that a range is: ACPI, "System Address Map Interfaces"."""
    if kind == 1:
        console.put_text(k, b'RAM\n')
    elif kind == 2:
        console.put_text(k, b'reserved\n')
    elif kind == 3:
        console.put_text(k, b'ACPI tables\n')
    elif kind == 4:
        console.put_text(k, b'ACPI, kept over sleep\n')
    elif kind == 5:
        console.put_text(k, b'broken\n')
    elif kind == 7:
        console.put_text(k, b'persistent\n')
    else:
        console.put_text(k, b'of kind ')
        console.put_decimal(k, kind)
        console.put_text(k, b'\n')


@kernel
def put_statistics(k: Kernel) -> None:
    """Count, and put the figures, a line for each."""
    found = statistics.collect(k)
    put_figure(k, b'frames of RAM', found.ram)
    put_figure(k, b'frames in the books', found.books)
    put_figure(k, b'free frames', found.free)
    put_figure(k, b'frames of pages', found.pages)
    put_figure(k, b'page tables', found.tables)
    put_figure(k, b'reserved below 2 MiB', found.reserved_low)
    put_figure(k, b'reserved for books', found.reserved_books)
    put_figure(k, b'largest free order', found.largest_free_order)
    put_figure(k, b'fragmentation, per mille', found.fragmentation)
    put_figure(k, b'pages of 4 KiB', found.mapped[0])
    put_figure(k, b'pages of 2 MiB', found.mapped[1])
    put_figure(k, b'pages of 1 GiB', found.mapped[2])
    put_figure(k, b'allocs', k.counters.allocs)
    put_figure(k, b'frees', k.counters.frees)
    put_figure(k, b'splits', found.splits)
    put_figure(k, b'merges', found.merges)
    put_figure(k, b'flushes', k.counters.flushes)
    for number in range(NR_ZONES):
        put_zone(k, number, found.zones[number])


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
