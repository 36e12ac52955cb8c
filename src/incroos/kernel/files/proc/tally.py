"""Pages of ranges, counted by what they are: as smaps, status and statm tell.

    resident    that are there, the frame of zeros left out
    shared      whose frame others map, too
    anonymous   of no content: a file's and shared memory's frames are the content's

Unit: the page; of `proportional` the 4096th of one. Looks at each page.
"""

from typing import Final

from incroos.kernel import pmm, vmm
from incroos.kernel.arch.pte import ADDRESS
from incroos.kernel.files.proc.maps import node_of
from incroos.kernel.layout import PAGE_BYTES
from incroos.kernel.state import IS_LOCKED, Kernel, Range, UserSpace
from incroos.kernel.vm import reverse_map
from incroos.lang import PhysAddr, Struct, VirtAddr, fill, kernel, u64, word

SHARE_BITS: Final = 12


class Tally(Struct):
    """In memory of whoever counts."""

    nr_resident: u64
    proportional: u64
    proportional_dirty: u64
    proportional_anonymous: u64
    proportional_file: u64
    proportional_locked: u64
    nr_shared_clean: u64
    nr_shared_dirty: u64
    nr_private_clean: u64
    nr_private_dirty: u64
    nr_referenced: u64
    nr_anonymous: u64
    nr_of_files: u64
    nr_of_memory: u64  # shared, of no file
    nr_large: u64  # pages of 2 MiB


@kernel
def clear(tally: Tally) -> None:
    """Begin to count."""
    fill(tally.m, VirtAddr(tally.addr), 0, Tally.SIZE)


@kernel
def count(k: Kernel, user: UserSpace, found: Range, tally: Tally) -> None:
    """Count the pages of a range."""
    is_of_file = node_of(k, found) != 0
    tally.nr_large += vmm.nr_large_in(user.space, found.start, found.end)
    before = tally.proportional
    page, entry = vmm.next_leaf_in(user.space, found.start, found.end)
    while page < found.end:
        if entry & vmm.UNCOUNTED == 0:
            count_page(k, entry, is_of_file, tally)
        page, entry = vmm.next_leaf_in(user.space, VirtAddr(page + PAGE_BYTES), found.end)
    if found.flags & IS_LOCKED != 0:
        tally.proportional_locked += tally.proportional - before


@kernel
def count_page(k: Kernel, entry: word, is_of_file: bool, tally: Tally) -> None:
    """Count a page that is there."""
    frame = PhysAddr(entry & ADDRESS)
    nr_mappings = max(pmm.nr_mappings(k, frame), 1)
    share = (1 << SHARE_BITS) // nr_mappings
    is_dirty = entry & vmm.DIRTY != 0
    tally.nr_resident += 1
    tally.proportional += share
    tally.nr_referenced += 1 if entry & vmm.ACCESSED != 0 else 0
    if not is_of_content(k, frame):
        tally.nr_anonymous += 1
        tally.proportional_anonymous += share
        is_dirty = True
    elif is_of_file:
        tally.nr_of_files += 1
        tally.proportional_file += share
    else:
        tally.nr_of_memory += 1
    tally.proportional_dirty += share if is_dirty else 0
    if nr_mappings > 1:
        tally.nr_shared_dirty += 1 if is_dirty else 0
        tally.nr_shared_clean += 0 if is_dirty else 1
    else:
        tally.nr_private_dirty += 1 if is_dirty else 0
        tally.nr_private_clean += 0 if is_dirty else 1


@kernel
def is_of_content(k: Kernel, frame: PhysAddr) -> bool:
    """Whether a frame belongs to a content, and not to the spaces that map it."""
    return reverse_map.word_of(k, frame) < 0
