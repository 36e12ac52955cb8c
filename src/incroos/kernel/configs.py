"""The named configurations: what is built, tested and offered to users."""

from dataclasses import replace
from typing import Final

from incroos.kernel.config import (
    ALL_PCIDS,
    DIRECT_MAP,
    FIXMAP,
    FULL,
    MODERN_SPACE,
    NO_HARDENING,
    RECURSIVE,
    KernelConfig,
)
from incroos.kernel.heap import pages, report_text, size_classes
from incroos.kernel.heap.chunk import first_fit
from incroos.kernel.heap.report import damage
from incroos.kernel.layout import (
    DIRECT_MAP_START,
    IMAGE_WINDOW,
    MODERN_HEAP,
    MODERN_HEAP_MAX_BYTES,
)
from incroos.kernel.pmm import classic
from incroos.kernel.pmm.all import modern
from incroos.kernel.pmm.tree import tree

CLASSIC: Final = KernelConfig(tree, classic, objects=first_fit, pages=pages, text=report_text, damage=damage)
CLASSIC_CHECKED: Final = replace(CLASSIC, fault_injection=1, poison=1)
CLASSIC_RECURSIVE: Final = replace(CLASSIC, fault_injection=1, table_access=RECURSIVE)
CLASSIC_FIXMAP: Final = replace(CLASSIC, fault_injection=1, table_access=FIXMAP)
MODERN: Final = replace(
    CLASSIC,
    stock=modern,
    objects=size_classes,
    counters=1,
    space=MODERN_SPACE,
    image_window=IMAGE_WINDOW,
    frame_window=DIRECT_MAP_START,
    table_access=DIRECT_MAP,
    nr_pcids=ALL_PCIDS,
    heap=MODERN_HEAP,
    heap_max_bytes=MODERN_HEAP_MAX_BYTES,
    spare_bytes=1 << 18,
)
MODERN_CHECKED: Final = replace(MODERN, fault_injection=1, poison=1)
MODERN_RECURSIVE: Final = replace(MODERN, fault_injection=1, table_access=RECURSIVE)
MODERN_FIXMAP: Final = replace(MODERN, fault_injection=1, table_access=FIXMAP)
EMBEDDED_CLASSIC: Final = replace(CLASSIC, embedded=1)
EMBEDDED_MODERN: Final = replace(MODERN, embedded=1, image_window=0, nr_pcids=0, constructors=1)
MODERN_LA57: Final = replace(MODERN, levels=5)
MODERN_LA57_CHECKED: Final = replace(MODERN_CHECKED, levels=5)
CLASSIC_LA57: Final = replace(CLASSIC_CHECKED, levels=5)
CLASSIC_RECURSIVE_LA57: Final = replace(CLASSIC_RECURSIVE, levels=5)
CLASSIC_FIXMAP_LA57: Final = replace(CLASSIC_FIXMAP, levels=5)

# With other levels of hardening than CHEAP, under the name of the configuration and the level.
CLASSIC_OFF: Final = replace(CLASSIC, hardening=NO_HARDENING)
CLASSIC_FULL: Final = replace(CLASSIC, hardening=FULL)
CLASSIC_FULL_CHECKED: Final = replace(CLASSIC_CHECKED, hardening=FULL)
MODERN_OFF: Final = replace(MODERN, hardening=NO_HARDENING)
MODERN_FULL: Final = replace(MODERN, hardening=FULL)
MODERN_FULL_CHECKED: Final = replace(MODERN_CHECKED, hardening=FULL)
MODERN_LA57_OFF: Final = replace(MODERN_LA57, hardening=NO_HARDENING)
MODERN_LA57_FULL: Final = replace(MODERN_LA57, hardening=FULL)
