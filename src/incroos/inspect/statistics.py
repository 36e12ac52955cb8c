"""Statistics of a guest in config `modern`, as its kernel left them in the Kernel struct."""

from typing import Any, Final

from incroos.kernel.layout import KERNEL_STATE, PAGE_BYTES
from incroos.kernel.pmm import memory_kinds as kinds
from incroos.kernel.state import NR_ORDERS, Kernel, ZoneStatistics
from incroos.lang import VirtAddr

from .heap_statistics import heap_statistics
from .ram import RamMachine

ZONES: Final = ('below 1 MiB', 'below 4 GiB', 'above')
NOT_RAM: Final = {
    'acpi_tables': kinds.ACPI_TABLES,
    'unaccepted': kinds.UNACCEPTED,
    'persistent': kinds.PERSISTENT,
    'acpi_nvs': kinds.ACPI_NVS,
    'uefi_runtime': kinds.RUNTIME,
    'reserved': kinds.RESERVED,
    'unusable': kinds.UNUSABLE,
}
PAGE_SIZES: Final = ('4 KiB', '2 MiB', '1 GiB')
NAME_WIDTH: Final = 28


def statistics_of(ram: RamMachine) -> dict[str, Any]:
    """All statistics, by their names; {} if the kernel has collected none yet."""
    k = Kernel(ram, VirtAddr(KERNEL_STATE))
    found = k.statistics
    if found.nr_collected == 0:
        return {}
    order = found.largest_free_order
    return {
        'frames': {
            'ram': found.ram,
            'managed': found.managed,
            'free': found.free,
            'pages': found.pages,
            'kept': found.kept,
        },
        'reserved': {'below_2_mib': found.reserved_low, 'metadata': found.reserved_metadata},
        'not_ram': {name: k.memory_map.nr_frames[kind] for name, kind in NOT_RAM.items()},
        'page_tables': found.tables,
        'largest_free_block_bytes': PAGE_BYTES << order if order >= 0 else 0,
        'fragmentation_per_mille': [found.fragmentation[order] for order in range(NR_ORDERS)],  # by order
        'mappings': {size: found.mapped[index] for index, size in enumerate(PAGE_SIZES)},
        'vmalloc': {'ranges': k.vmalloc.nr_ranges, 'pages': k.vmalloc.nr_pages},
        'counters': {
            'allocs': k.counters.allocs,
            'frees': k.counters.frees,
            'splits': found.splits,
            'merges': found.merges,
            'flushes': k.counters.flushes,
        },
        'heap': heap_statistics(ram),
        'zones': {name: figures_of(found.zones[number]) for number, name in enumerate(ZONES)},
    }


def figures_of(zone: ZoneStatistics) -> dict[str, Any]:
    """The statistics of a zone."""
    return {
        'total': zone.total,
        'free': zone.free,
        'free_blocks': [zone.free_blocks[order] for order in range(NR_ORDERS)],
    }


def table_of(figures: dict[str, Any], indent: str = '') -> str:
    """The statistics as lines of text, each group under its name."""
    lines = ''
    for name, figure in figures.items():
        words = name.replace('_', ' ')
        if isinstance(figure, dict):
            lines += f'{indent}{words}\n{table_of(figure, indent + "  ")}'
        else:
            text = ' '.join(map(str, figure)) if isinstance(figure, list) else f'{figure:,}'
            lines += f'{indent}{words:<{NAME_WIDTH - len(indent)}} {text}\n'
    return lines
