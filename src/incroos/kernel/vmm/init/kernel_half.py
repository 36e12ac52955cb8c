"""The kernel's half: the tables right under the root that belong to the upper half, made once and never freed.

    range            starts at                 ends by RAM, and at most
    direct map       config.frame_window       all RAM
    frame records    config.frame_records      16 bytes a frame
    frame metadata   config.frame_metadata     what pmm asks for
    vmalloc          config.vmalloc            twice as much as RAM, for the gaps, and config.vmalloc_max_bytes
    heap, slabs      config.heap, slabs        as much as RAM, and config.heap_max_bytes
    slab records     config.slab_records       a part of that
    image window     config.image_window       its last 2 GiB, with the fixmap; a library has none

So every root has the same entries there for good, and no root can miss a table or name one that was freed. They are
made before the metadata of frames is open, so each counts an entry too many, as all early tables do. Unit: the entry
of the root. `classic` has no upper half.
"""

from typing import Final

from incroos.kernel.arch.pte import PRESENT, TABLE_FLAGS, page_bytes
from incroos.kernel.io.panic import panic
from incroos.kernel.layout import PAGE_BYTES
from incroos.kernel.pmm.all import modern as all_ram
from incroos.kernel.state import FrameRecord, Kernel, SlabRecord
from incroos.kernel.vmm import vmalloc
from incroos.kernel.vmm.levels import root_level
from incroos.kernel.vmm.tables import link, slot_in
from incroos.kernel.vmm.windows import alloc_table, load_linked
from incroos.lang import VirtAddr, kernel, word

NOTHING: Final = 0


@kernel
def build(k: Kernel) -> None:
    """Make the tables. Panics when the boot pool has no frame for one."""
    nr_frames = all_ram.nr_frames(k)
    heap_bytes = min(k.config.heap_max_bytes, nr_frames * PAGE_BYTES)
    add_range(k, k.config.frame_window, nr_frames * PAGE_BYTES)
    add_range(k, k.config.frame_records, nr_frames * FrameRecord.SIZE)
    add_range(k, k.config.frame_metadata, all_ram.metadata_bytes(k))
    add_range(k, k.config.vmalloc, vmalloc.end_of(k) - k.config.vmalloc)
    add_range(k, k.config.heap, heap_bytes)
    add_range(k, k.config.slab_records, heap_bytes // PAGE_BYTES * SlabRecord.SIZE)
    add_range(k, k.config.slabs, heap_bytes)
    if k.config.image_window != NOTHING:
        add_range(k, k.config.image_window, -k.config.image_window)


@kernel
def add_range(k: Kernel, start: word, nbytes: word) -> None:
    """Have a table under each entry of the root that [start, start + nbytes) goes through."""
    step = page_bytes(root_level(k.space))
    at = start & -step
    while at < start + nbytes:  # which is 0 where the range is the last of all
        add_table(k, VirtAddr(at))
        at += step


@kernel
def add_table(k: Kernel, va: VirtAddr) -> None:
    """Have a table under the root's entry for va."""
    level = root_level(k.space)
    slot = slot_in(k.space.root, va, level)
    if load_linked(k.space, slot, va, level) & PRESENT != 0:
        return
    table = alloc_table(k.space, level - 1)
    if table < 0:
        panic(k, b'vmm: no frame for a table of the upper half: address, code', va, table, 0)
    link(k.space, slot, va, level, table | TABLE_FLAGS)
    k.space.nr_tables += 1
