"""Virtual memory manager: the page tables.

pages is the interface. Below it: tables (the tree), windows (how a table is reached), tlb (forgetting); the bits of
entries are in arch/pte.py. init/ makes the address space, embed/space.py in a library; check/ looks over it.
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
from incroos.kernel.vmm.check.modern import check_space, find_fault
from incroos.kernel.vmm.init.classic import init
from incroos.kernel.vmm.mapping import map_fresh, unmap_and_free
from incroos.kernel.vmm.pages import (
    get_physical,
    map_leaf,
    map_page,
    protect,
    protect_leaf,
    unmap_leaf,
    unmap_page,
)
from incroos.kernel.vmm.ranges import map_range, merge, protect_range, unmap_range
from incroos.kernel.vmm.tables import walk
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
    'check_space',
    'check_vmalloc',
    'find_fault',
    'get_physical',
    'heap_pages_from',
    'init',
    'map_fresh',
    'map_leaf',
    'map_page',
    'map_range',
    'merge',
    'pages_from',
    'protect',
    'protect_leaf',
    'protect_range',
    'unmap_and_free',
    'unmap_leaf',
    'unmap_page',
    'unmap_range',
    'vfree',
    'vfree_of_heap',
    'vmalloc',
    'vmalloc_for_heap',
    'walk',
    'with_type',
]
