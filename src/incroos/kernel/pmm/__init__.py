"""Physical memory manager: the memory map, the boot pool and the zone of managed frames.

frames is the interface, and all/huge what only `modern` has of it; memory_map knows what is RAM. Which frames are free
knows the stock that the configuration names: classic, or all/modern with a frame allocator.
"""

from incroos.kernel.pmm.all.huge import free_block, take_huge
from incroos.kernel.pmm.all.modern import (
    add_another_mapping,
    add_mapping,
    bytes_of_page,
    drop_mapping,
    nr_mappings,
    owner_word,
    set_owner_word,
)
from incroos.kernel.pmm.all.unmapped import free_unmapped, settle_unmapped
from incroos.kernel.pmm.frames import (
    address_of,
    alloc_page,
    alloc_table,
    check,
    free_page,
    free_table,
    init,
    init_embedded,
    is_managed,
    is_page,
    is_table,
    nr_free_frames,
    nr_free_pool_frames,
    nr_total_frames,
    nr_total_pool_frames,
    open_zone,
    record_of,
    take_frame,
    take_table,
    zero_ahead,
    zero_frame,
)

__all__ = [
    'add_another_mapping',
    'add_mapping',
    'address_of',
    'alloc_page',
    'alloc_table',
    'bytes_of_page',
    'check',
    'drop_mapping',
    'free_block',
    'free_page',
    'free_table',
    'free_unmapped',
    'init',
    'init_embedded',
    'is_managed',
    'is_page',
    'is_table',
    'nr_free_frames',
    'nr_free_pool_frames',
    'nr_mappings',
    'nr_total_frames',
    'nr_total_pool_frames',
    'open_zone',
    'owner_word',
    'record_of',
    'set_owner_word',
    'settle_unmapped',
    'take_frame',
    'take_huge',
    'take_table',
    'zero_ahead',
    'zero_frame',
]
