"""Virtual memory of programs: user spaces with ranges, demand paging, and copies between kernel and program.

spaces makes and ends them, fork makes one like another; mapping has mmap, munmap, mprotect and brk; fault is the one
fault function, in which copy-on-write happens; user_copy the only way to a program's bytes. Below: ranges (what may be
used, and how) in a tree, objects (contents that ranges show) with cutting and the page_tree, pages (which frame lies
where) with the reverse map, families (who may have a frame, too), addresses (limits). check looks over all. Each call
acts on a UserSpace, loaded or not.
"""

from incroos.kernel.vm.addresses import LOWEST, USER_END, is_user, page_up
from incroos.kernel.vm.check import check
from incroos.kernel.vm.cutting import clear_behind_end
from incroos.kernel.vm.cutting import punch as punch_content
from incroos.kernel.vm.cutting import resize as resize_content
from incroos.kernel.vm.fault import bring_up_to, fault
from incroos.kernel.vm.fork import fork, part
from incroos.kernel.vm.mapping import map_anywhere, map_at, map_at_free, protect, set_break, unmap
from incroos.kernel.vm.objects import bytes_at, give_up_pages, is_page_changed, page_to_write
from incroos.kernel.vm.objects import create as create_shared
from incroos.kernel.vm.objects import destroy as destroy_shared
from incroos.kernel.vm.objects import free_pages as free_content_pages
from incroos.kernel.vm.objects import read as read_content
from incroos.kernel.vm.spaces import create, destroy, drop, hold, init, use
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
    load64,
    store32,
    store64,
    text_length,
)

__all__ = [
    'LOWEST',
    'USER_END',
    'bring_up_to',
    'bytes_at',
    'check',
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
    'fault',
    'find_gap',
    'find_range',
    'find_range_behind',
    'fork',
    'free_content_pages',
    'give_up_pages',
    'hold',
    'init',
    'is_page_changed',
    'is_user',
    'load64',
    'map_anywhere',
    'map_at',
    'map_at_free',
    'next_range',
    'page_to_write',
    'page_up',
    'part',
    'protect',
    'punch_content',
    'read_content',
    'resize_content',
    'set_break',
    'store32',
    'store64',
    'text_length',
    'unmap',
    'use',
]
