"""Spaces: address spaces beside the kernel's own, made, used and given back to the last frame.

    root        0 ... 255 | 256 ... 511
                its own   | copies of the entries in the kernel's own root, which are there for good

Unit: the Space, a struct of the caller's. Knows nothing of who owns the memory that is mapped in one: a space that ends
gives back its tables alone. A space is used by pcid.switch_to. Only in `modern`: in `classic` the kernel itself is in
the lower half.
"""

from typing import Final

from incroos.kernel import cpu, pmm
from incroos.kernel.arch.pte import NR_ENTRIES, is_leaf, is_present, page_bytes, table_of
from incroos.kernel.codes import NO_FRAME, OK, SPACE_IN_USE
from incroos.kernel.config import MODERN_SPACE, RECURSIVE
from incroos.kernel.state import Kernel, Space, kernel_of
from incroos.kernel.vmm import levels, pcid
from incroos.kernel.vmm.levels import canonical_end, is_own, root_level
from incroos.kernel.vmm.tables import find_slot, free_table, note_freed, plant, record_of, walk
from incroos.kernel.vmm.windows import (
    RECURSIVE_FLAGS,
    RECURSIVE_INDEX,
    close_loose,
    close_table,
    load_entry,
    load_linked,
    open_loose,
    open_table,
    store_entry,
    store_linked,
)
from incroos.lang import PhysAddr, VirtAddr, copy, fill, kernel, load64, word

FIRST_SHARED: Final = NR_ENTRIES // 2  # the root's entries from here on are the upper half's
SHARED_BYTES: Final = 8 * FIRST_SHARED  # and so many bytes


@kernel
def begin(k: Kernel) -> None:
    """Begin with the kernel's own space, whose root is not known yet, on this processor."""
    k.space.kernel = VirtAddr(k.addr)
    k.space.tag = 0
    k.space.nr_large = 0
    k.space.nr_shared = 0
    levels.init(k.space)
    cpu.init(k)
    pcid.init(k)


@kernel
def init_space(k: Kernel, space: Space) -> word:
    """Make a space with nothing in its lower half: OK or NO_FRAME; NO_FRAME also in `classic`, which has one space."""
    if k.config.space != MODERN_SPACE:
        return NO_FRAME
    space.kernel = VirtAddr(k.addr)
    space.root_level = k.space.root_level
    space.tag = 0
    space.root = PhysAddr(0)
    space.nr_large = 0
    is_kept = pmm.has_kept(k)
    root = pmm.take_kept_table(k, root_level(space)) if is_kept else pmm.take_table(k, root_level(space))
    if root < 0:
        return root
    plant(space, root, 1)
    if is_kept:
        record_of(space, root).nr_entries = k.space.nr_shared
        return OK
    record_of(space, root).nr_entries = share_upper_half(k, space)
    if space.config.table_access == RECURSIVE:
        store_entry(space, PhysAddr(root + 8 * RECURSIVE_INDEX), root | RECURSIVE_FLAGS)
    return OK


@kernel
def share_upper_half(k: Kernel, space: Space) -> word:
    """Fill a new root: nothing in the lower half, what the kernel's own has in the upper one. How many entries.

    They are counted once: the kernel's own root has them for good.
    """
    middle = VirtAddr(-canonical_end(space))
    source = open_table(k.space, PhysAddr(k.space.root + SHARED_BYTES), middle, root_level(space))
    to = open_loose(space, space.root)
    fill(space.m, to, 0, SHARED_BYTES)
    copy(space.m, VirtAddr(to + SHARED_BYTES), source, SHARED_BYTES)
    if k.space.nr_shared == 0:
        for offset in range(0, SHARED_BYTES, 8):
            k.space.nr_shared += load64(space.m, VirtAddr(source + offset)) != 0
    close_loose(space)
    close_table(k.space, root_level(space))
    return k.space.nr_shared


@kernel
def shared_entry(space: Space, index: word) -> word:
    """What the space's root has as an entry of the upper half."""
    if space.config.table_access == RECURSIVE and index == RECURSIVE_INDEX:
        return space.root | RECURSIVE_FLAGS
    return load_entry(space, PhysAddr(kernel_of(space).space.root + 8 * index))


@kernel
def deinit_space(space: Space) -> word:
    """Give back all tables of a space. SPACE_IN_USE, and nothing changed, when it is loaded or the kernel's own, or
    has no tables any more.

    What is mapped there still is the business of its owner. The TLB may know it, under a tag that nobody uses again.
    """
    if space.root == 0 or cpu.is_loaded(space) or is_own(space):
        return SPACE_IN_USE
    at = VirtAddr(0)
    while at < canonical_end(space) and space.nr_tables > 1:  # most often the others went with their pages
        _code, level, _slot, _entry = walk(space, at)
        step = page_bytes(max(level, 2))
        end = VirtAddr((at & -step) + step)
        free_tables_before(space, end)
        at = end
    free_root(space)
    plant(space, PhysAddr(0), 0)
    return OK


@kernel
def free_root(space: Space) -> None:
    """Give back the last table. If nothing is in its lower half, the next space may find it as it is."""
    k = kernel_of(space)
    record = record_of(space, space.root)
    if record.nr_entries != k.space.nr_shared:
        free_table(space, space.root)
        return
    record.nr_entries = 0
    note_freed(space, space.root, pmm.free_kept_table(k, space.root))


@kernel
def free_tables_before(space: Space, end: VirtAddr) -> None:
    """Free the tables whose last address lies right before end, the lowest first."""
    level = 1
    while level < root_level(space) and end & (page_bytes(level + 1) - 1) == 0:
        free_table_of(space, VirtAddr(end - 1), level)
        level += 1


@kernel
def free_table_of(space: Space, va: VirtAddr, level: word) -> None:
    """Cut off and free the table of the level on the way to va, if there is one. Nothing under it is a table."""
    slot = find_slot(space, va, level + 1)
    entry = load_linked(space, slot, va, level + 1) if slot != 0 else 0
    if is_present(entry) and not is_leaf(entry, level + 1):
        store_linked(space, slot, va, level + 1, 0)
        record_of(space, slot).nr_entries -= 1
        free_table(space, table_of(entry))
