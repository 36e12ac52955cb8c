"""The named configurations of heaps in a process."""

from dataclasses import replace
from typing import Final

from incroos.hosted import pages, text
from incroos.kernel.config import NO_HARDENING, KernelConfig
from incroos.kernel.heap import chunks_alone, size_classes, slabs_and_pages
from incroos.kernel.heap.chunk import first_fit
from incroos.kernel.heap.report import damage
from incroos.kernel.pmm import classic
from incroos.kernel.pmm.tree import tree

HOSTED: Final = KernelConfig(
    tree,  # this one and the next are not used
    classic,
    objects=size_classes,
    pages=pages,
    text=text,
    damage=damage,
    hardening=NO_HARDENING,
    constructors=1,
    slab_bytes=4096,
    empty_slabs=0,  # another class may need the pages more, and they are spare
    magazines=0,
    spare_bytes=1 << 20,
)
HOSTED_CHUNKS: Final = replace(HOSTED, objects=chunks_alone)
HOSTED_SLABS: Final = replace(HOSTED, objects=slabs_and_pages)
HOSTED_FIRST_FIT: Final = replace(HOSTED, objects=first_fit)
