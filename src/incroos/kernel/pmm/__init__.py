"""Physical memory manager: the memory map, the boot pool and the zone of managed frames.

frames is the interface; memory_map knows what is RAM, bitmap which frames are free.
"""

from incroos.kernel.pmm.all_ram import bytes_of_page, note_of_page, set_note_of_page
from incroos.kernel.pmm.frames import (
    address_of,
    alloc_page,
    alloc_table,
    check,
    free_block,
    free_page,
    free_table,
    init,
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
    take_huge,
    take_table,
    zero_ahead,
    zero_frame,
)

__all__ = [
    'address_of',
    'alloc_page',
    'alloc_table',
    'bytes_of_page',
    'check',
    'free_block',
    'free_page',
    'free_table',
    'init',
    'is_managed',
    'is_page',
    'is_table',
    'note_of_page',
    'nr_free_frames',
    'nr_free_pool_frames',
    'nr_total_frames',
    'nr_total_pool_frames',
    'open_zone',
    'record_of',
    'set_note_of_page',
    'take_frame',
    'take_huge',
    'take_table',
    'zero_ahead',
    'zero_frame',
]
