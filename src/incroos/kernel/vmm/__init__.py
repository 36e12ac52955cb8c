"""Virtual memory manager: the page tables.

front has the names that act on the kernel's own space; pages, ranges and mapping act on any Space. spaces makes those.
Below them: tables (the tree), windows (how a table is reached), tlb (forgetting), pcid (which space is loaded); the
bits of entries are in arch/pte.py. init/ makes the kernel's own space, embed/space.py in a library; check/ looks over.
"""

from incroos.kernel.arch.memory_types import UNCACHED, WRITE_BACK, WRITE_COMBINING, with_type
from incroos.kernel.arch.pte import (
    ACCESSED,
    CACHE_DISABLE,
    DATA,
    DIRTY,
    FREE_HIGH,
    FREE_LOW,
    GLOBAL,
    HUGE,
    NX,
    PAT,
    PAT_LARGE,
    PRESENT,
    USER,
    WRITABLE,
    WRITE_THROUGH,
)
from incroos.kernel.vmm.check.classic import check
from incroos.kernel.vmm.check.modern import check_in, check_space, find_fault, find_fault_in
from incroos.kernel.vmm.front import (
    get_physical,
    map_fresh,
    map_leaf,
    map_page,
    map_range,
    merge,
    protect,
    protect_leaf,
    protect_range,
    unmap_and_free,
    unmap_leaf,
    unmap_page,
    unmap_range,
    walk,
)
from incroos.kernel.vmm.init.classic import init
from incroos.kernel.vmm.mapping import map_fresh_in, unmap_and_free_in
from incroos.kernel.vmm.pages import (
    get_physical_in,
    map_in,
    map_leaf_in,
    protect_in,
    protect_leaf_in,
    unmap_in,
    unmap_leaf_in,
)
from incroos.kernel.vmm.pcid import switch_to
from incroos.kernel.vmm.ranges import map_range_in, merge_in, protect_range_in, unmap_range_in
from incroos.kernel.vmm.spaces import deinit_space, init_space
from incroos.kernel.vmm.vmalloc import check as check_vmalloc
from incroos.kernel.vmm.vmalloc import (
    heap_pages_from,
    pages_from,
    vfree,
    vfree_of_heap,
    vmalloc,
    vmalloc_for_heap,
)

__all__ = [
    'ACCESSED',
    'CACHE_DISABLE',
    'DATA',
    'DIRTY',
    'FREE_HIGH',
    'FREE_LOW',
    'GLOBAL',
    'HUGE',
    'NX',
    'PAT',
    'PAT_LARGE',
    'PRESENT',
    'UNCACHED',
    'USER',
    'WRITABLE',
    'WRITE_BACK',
    'WRITE_COMBINING',
    'WRITE_THROUGH',
    'check',
    'check_in',
    'check_space',
    'check_vmalloc',
    'deinit_space',
    'find_fault',
    'find_fault_in',
    'get_physical',
    'get_physical_in',
    'heap_pages_from',
    'init',
    'init_space',
    'map_fresh',
    'map_fresh_in',
    'map_in',
    'map_leaf',
    'map_leaf_in',
    'map_page',
    'map_range',
    'map_range_in',
    'merge',
    'merge_in',
    'pages_from',
    'protect',
    'protect_in',
    'protect_leaf',
    'protect_leaf_in',
    'protect_range',
    'protect_range_in',
    'switch_to',
    'unmap_and_free',
    'unmap_and_free_in',
    'unmap_in',
    'unmap_leaf',
    'unmap_leaf_in',
    'unmap_page',
    'unmap_range',
    'unmap_range_in',
    'vfree',
    'vfree_of_heap',
    'vmalloc',
    'vmalloc_for_heap',
    'walk',
    'with_type',
]
