"""Large pages: where a range wants them, a first write brings 2 MiB, and one leaf is in the place of a table of them.

Unit: the page of 2 MiB. A block is brought as a whole if it lies in one range, nothing of it is there, and so many
frames in a row are free; else the page that was written, and nobody is told. All else of them is in vmm.large.
"""

from incroos.kernel import pmm, vmm
from incroos.kernel.arch.pte import HUGE_BYTES
from incroos.kernel.codes import OK
from incroos.kernel.state import WANTS_LARGE, Range, UserSpace, kernel_of
from incroos.kernel.vm import pages
from incroos.lang import VirtAddr, cold, fill, kernel


@kernel
def can_have_large(user: UserSpace, node: Range) -> bool:
    """Whether a range has room for a large page, and is to have one."""
    if node.flags & WANTS_LARGE == 0 or node.content != 0 or user.has_no_large != 0:
        return False
    return ((node.start + HUGE_BYTES - 1) & -HUGE_BYTES) + HUGE_BYTES <= node.end


@cold
@kernel
def bring(user: UserSpace, node: Range, page: VirtAddr) -> bool:
    """Map 2 MiB full of zeros round a page of an anonymous range, if that can be, and count the fault."""
    k = kernel_of(user.space)
    start = VirtAddr(page & -HUGE_BYTES)
    if user.has_no_large != 0:
        return False
    if start < node.start or node.end - start < HUGE_BYTES or not vmm.can_be_large_in(user.space, start):
        return False
    frames = pmm.take_huge(k)
    if frames < 0:
        return False
    fill(k.m, pmm.address_of(k, frames), 0, HUGE_BYTES)
    if pages.put_large(user, start, frames, node.rights) != OK:
        return False
    user.nr_faults += 1
    return True
