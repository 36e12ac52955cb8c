"""The kernel's own address space, by the names that callers know: each acts on k.space, which the last line names.

For another Space call the functions that end in `_in` (pages, ranges, mapping), whose docstrings hold here too.
"""

from incroos.kernel.state import Kernel
from incroos.kernel.vmm import mapping, pages, ranges, tables
from incroos.lang import PhysAddr, VirtAddr, kernel, word


@kernel
def map_page(k: Kernel, va: VirtAddr, pa: PhysAddr, flags: word) -> word:
    """Map the page at va to the frame at pa. In flags PRESENT must be set, and bit 7 is PAT."""
    return pages.map_in(k.space, va, pa, flags)


@kernel
def unmap_page(k: Kernel, va: VirtAddr) -> word:
    """Unmap the page at va and return its frame, which is the caller's again."""
    return pages.unmap_in(k.space, va)


@kernel
def protect(k: Kernel, va: VirtAddr, flags: word) -> word:
    """Give the page at va other flags."""
    return pages.protect_in(k.space, va, flags)


@kernel
def get_physical(k: Kernel, va: VirtAddr) -> PhysAddr:
    """The physical address of the byte at va; NOT_MAPPED, NOT_CANONICAL."""
    return pages.get_physical_in(k.space, va)


@kernel
def map_leaf(k: Kernel, va: VirtAddr, pa: PhysAddr, flags: word, level: word) -> word:
    """Map the page of the level at va to the memory at pa."""
    return pages.map_leaf_in(k.space, va, pa, flags, level)


@kernel
def unmap_leaf(k: Kernel, va: VirtAddr, level: word) -> word:
    """Unmap the page of the level at va and return the memory that it mapped."""
    return pages.unmap_leaf_in(k.space, va, level)


@kernel
def protect_leaf(k: Kernel, va: VirtAddr, flags: word, level: word) -> word:
    """Give the page of the level at va other flags."""
    return pages.protect_leaf_in(k.space, va, flags, level)


@kernel
def walk(k: Kernel, va: VirtAddr) -> tuple[word, word, PhysAddr, word]:
    """Go down to the entry that decides about va: code, level, slot and entry."""
    return tables.walk(k.space, va)


@kernel
def map_range(k: Kernel, va: VirtAddr, pa: PhysAddr, nbytes: word, flags: word) -> word:
    """Map [va, va + nbytes) to the memory from pa on."""
    return ranges.map_range_in(k.space, va, pa, nbytes, flags)


@kernel
def unmap_range(k: Kernel, va: VirtAddr, nbytes: word) -> word:
    """Unmap [va, va + nbytes), whatever the sizes of its pages."""
    return ranges.unmap_range_in(k.space, va, nbytes)


@kernel
def protect_range(k: Kernel, va: VirtAddr, nbytes: word, flags: word) -> word:
    """Give [va, va + nbytes) other flags."""
    return ranges.protect_range_in(k.space, va, nbytes, flags)


@kernel
def merge(k: Kernel, va: VirtAddr, nbytes: word) -> word:
    """Join what can be joined to larger pages in and round [va, va + nbytes): how many joints, or a code."""
    return ranges.merge_in(k.space, va, nbytes)


@kernel
def map_fresh(k: Kernel, start: VirtAddr, end: VirtAddr, flags: word) -> word:
    """Map a frame at each page of [start, end); a code, and nothing changed."""
    return mapping.map_fresh_in(k.space, start, end, flags)


@kernel
def unmap_and_free(k: Kernel, start: VirtAddr, end: VirtAddr) -> None:
    """Unmap the pages of [start, end), which map_fresh mapped, and free their frames."""
    mapping.unmap_and_free_in(k.space, start, end)
