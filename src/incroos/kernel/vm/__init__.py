"""Virtual memory of programs: user spaces with ranges, demand paging, and copies between kernel and program.

spaces makes and ends them, fork makes one like another; mapping has mmap, munmap and brk, protection mprotect,
remapping mremap with moving, advice madvise, locking mlock; fault is the one fault function, in which copy-on-write
happens, large_pages brings 2 MiB for it, populating calls it early; user_copy is the only way to a program's bytes.
Below: ranges (what may be used, and how) in a tree, objects (contents that ranges show) with cutting and the page_tree,
pages (which frame lies where) with the reverse map, families (who may have a frame, too), addresses (limits). check
looks over all. Each call acts on a UserSpace, loaded or not.
"""

from incroos.kernel.vm.addresses import LOWEST, USER_END, end_of, is_user, page_up
from incroos.kernel.vm.advice import advise, is_advice
from incroos.kernel.vm.check import check
from incroos.kernel.vm.cutting import clear_behind_end
from incroos.kernel.vm.cutting import punch as punch_content
from incroos.kernel.vm.cutting import resize as resize_content
from incroos.kernel.vm.families import nr_large
from incroos.kernel.vm.fault import bring_up_to, fault
from incroos.kernel.vm.fork import fork, part
from incroos.kernel.vm.large_pages import can_have_large
from incroos.kernel.vm.locking import lock, lock_all
from incroos.kernel.vm.mapping import (
    check_place,
    find_place,
    map_anywhere,
    map_at,
    map_at_free,
    put_free_range,
    set_break,
    unmap,
)
from incroos.kernel.vm.objects import (
    bytes_at,
    is_page_changed,
    next_data,
    next_hole,
    nr_data_pages,
    page_to_write,
)
from incroos.kernel.vm.objects import create as create_shared
from incroos.kernel.vm.objects import destroy as destroy_shared
from incroos.kernel.vm.objects import free_pages as free_content_pages
from incroos.kernel.vm.objects import read as read_content
from incroos.kernel.vm.populating import bring_covered, populate, populate_all
from incroos.kernel.vm.protection import protect
from incroos.kernel.vm.remapping import remap
from incroos.kernel.vm.spaces import create, destroy, drop, give_up_pages, hold, init, use
from incroos.kernel.vm.tree import find as find_range
from incroos.kernel.vm.tree import find_behind as find_range_behind
from incroos.kernel.vm.tree import find_gap
from incroos.kernel.vm.tree import following as next_range
from incroos.kernel.vm.user_copy import (
    clear_out,
    clear_out_some,
    copy_in,
    copy_in_some,
    copy_out,
    copy_out_some,
    copy_text,
    load32,
    load64,
    store32,
    store64,
    text_length,
)

__all__ = [
    'LOWEST',
    'USER_END',
    'advise',
    'bring_covered',
    'bring_up_to',
    'bytes_at',
    'can_have_large',
    'check',
    'check_place',
    'clear_behind_end',
    'clear_out',
    'clear_out_some',
    'copy_in',
    'copy_in_some',
    'copy_out',
    'copy_out_some',
    'copy_text',
    'create',
    'create_shared',
    'destroy',
    'destroy_shared',
    'drop',
    'end_of',
    'fault',
    'find_gap',
    'find_place',
    'find_range',
    'find_range_behind',
    'fork',
    'free_content_pages',
    'give_up_pages',
    'hold',
    'init',
    'is_advice',
    'is_page_changed',
    'is_user',
    'load32',
    'load64',
    'lock',
    'lock_all',
    'map_anywhere',
    'map_at',
    'map_at_free',
    'next_data',
    'next_hole',
    'next_range',
    'nr_data_pages',
    'nr_large',
    'page_to_write',
    'page_up',
    'part',
    'populate',
    'populate_all',
    'protect',
    'punch_content',
    'put_free_range',
    'read_content',
    'remap',
    'resize_content',
    'set_break',
    'store32',
    'store64',
    'text_length',
    'unmap',
    'use',
]
