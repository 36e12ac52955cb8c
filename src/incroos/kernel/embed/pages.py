"""Pages as the surrounding kernel may change them: anywhere but in the library's own ranges (ranges.py).

Unit: the page, and the range. LIBRARY_RANGE comes before all other codes, but NOT_CANONICAL and BAD_LEVEL. What is not
refused is vmm/front.py's, which the library itself calls, in its own ranges, too. The calls for one page are fast
paths: one compare sends those that may be refused to the calls for pages of any size.
"""

from incroos.kernel import vmm
from incroos.kernel.arch.pte import LARGEST_LEAF_LEVEL, page_bytes
from incroos.kernel.codes import LIBRARY_RANGE
from incroos.kernel.embed.ranges import is_own, may_be_own
from incroos.kernel.state import Kernel
from incroos.lang import PhysAddr, VirtAddr, cold, kernel, word


@kernel
def map_page(k: Kernel, va: VirtAddr, pa: PhysAddr, flags: word) -> word:
    """Map the page at va to the frame at pa. In flags PRESENT must be set, and bit 7 is PAT. The codes of map_leaf."""
    if may_be_own(k, va):
        return map_leaf(k, va, pa, flags, 1)
    return vmm.map_page(k, va, pa, flags)


@kernel
def unmap_page(k: Kernel, va: VirtAddr) -> word:
    """Unmap the page at va and return its frame, which is the caller's again. The codes of unmap_leaf."""
    if may_be_own(k, va):
        return unmap_leaf(k, va, 1)
    return vmm.unmap_page(k, va)


@kernel
def protect(k: Kernel, va: VirtAddr, flags: word) -> word:
    """Give the page at va other flags. The codes of protect_leaf."""
    if may_be_own(k, va):
        return protect_leaf(k, va, flags, 1)
    return vmm.protect(k, va, flags)


@cold
@kernel
def map_leaf(k: Kernel, va: VirtAddr, pa: PhysAddr, flags: word, level: word) -> word:
    """Map the page of the level at va to the memory at pa.

    LIBRARY_RANGE, BAD_LEVEL, NOT_CANONICAL, MISALIGNED, OUT_OF_RANGE, BAD_FLAGS, ALREADY_MAPPED, ENTRY_IN_USE,
    KERNEL_HALF, NO_FRAME.
    """
    if is_own_page(k, va, level):
        return LIBRARY_RANGE
    return vmm.map_leaf(k, va, pa, flags, level)


@cold
@kernel
def unmap_leaf(k: Kernel, va: VirtAddr, level: word) -> word:
    """Unmap the page of the level at va and return the memory that it mapped.

    LIBRARY_RANGE, BAD_LEVEL, NOT_CANONICAL, MISALIGNED, NOT_MAPPED, LARGE_PAGE, SMALL_PAGE.
    """
    if is_own_page(k, va, level):
        return LIBRARY_RANGE
    return vmm.unmap_leaf(k, va, level)


@cold
@kernel
def protect_leaf(k: Kernel, va: VirtAddr, flags: word, level: word) -> word:
    """Give the page of the level at va other flags. The codes of unmap_leaf, and BAD_FLAGS."""
    if is_own_page(k, va, level):
        return LIBRARY_RANGE
    return vmm.protect_leaf(k, va, flags, level)


@kernel
def map_range(k: Kernel, va: VirtAddr, pa: PhysAddr, nbytes: word, flags: word) -> word:
    """Map [va, va + nbytes) to the memory from pa on.

    LIBRARY_RANGE, NOT_CANONICAL, MISALIGNED, OUT_OF_RANGE, BAD_FLAGS, ALREADY_MAPPED, ENTRY_IN_USE, KERNEL_HALF,
    NO_FRAME.
    """
    if is_own(k, va, nbytes):
        return LIBRARY_RANGE
    return vmm.map_range(k, va, pa, nbytes, flags)


@kernel
def unmap_range(k: Kernel, va: VirtAddr, nbytes: word) -> word:
    """Unmap [va, va + nbytes), whatever the sizes of its pages.

    LIBRARY_RANGE, NOT_CANONICAL, MISALIGNED, NOT_MAPPED; NO_FRAME where a page lies in it in part.
    """
    if is_own(k, va, nbytes):
        return LIBRARY_RANGE
    return vmm.unmap_range(k, va, nbytes)


@kernel
def protect_range(k: Kernel, va: VirtAddr, nbytes: word, flags: word) -> word:
    """Give [va, va + nbytes) other flags. The codes of unmap_range, and BAD_FLAGS."""
    if is_own(k, va, nbytes):
        return LIBRARY_RANGE
    return vmm.protect_range(k, va, nbytes, flags)


@kernel
def is_own_page(k: Kernel, va: VirtAddr, level: word) -> bool:
    """Whether a page of the level at va has an address that is the library's. Never for what is no level of a page."""
    return 1 <= level <= LARGEST_LEAF_LEVEL and is_own(k, va, page_bytes(level))
