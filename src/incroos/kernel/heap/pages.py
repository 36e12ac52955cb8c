"""Frames for ranges of the heap: mapped before anything reaches them, given back when nothing does.

Unit: the page. Knows nothing of chunks or slabs. Never by a page fault, so that running out of frames is a code and not
a fault. In a process the system has the frames: it maps them as they are touched, and here only limits are kept.
"""

from typing import Final

from incroos.kernel import vmm
from incroos.kernel.codes import NO_ADDRESSES, NO_FRAME, OK
from incroos.kernel.config import HOSTED_SPACE
from incroos.kernel.heap import counters
from incroos.kernel.layout import PAGE_BYTES, PAGE_SHIFT
from incroos.kernel.state import Kernel
from incroos.lang import VirtAddr, call4, cold, kernel, word

AHEAD_SHIFT: Final = 6  # of what is in use, this part is asked for ahead: one in 64
LEAST_AHEAD: Final = 4 << PAGE_SHIFT
MOST_AHEAD: Final = 64 << PAGE_SHIFT


@cold
@kernel
def map_fresh(k: Kernel, start: VirtAddr, end: VirtAddr, limit: VirtAddr) -> word:
    """Map frames at [start, end), writable and never executed; a code, and nothing changed, when one is refused."""
    if end > limit:
        return NO_ADDRESSES
    if k.config.space == HOSTED_SPACE:
        return commit(k, start, end)
    else:
        code = vmm.map_fresh(k, start, end, vmm.DATA)
        if code == OK and k.config.counters != 0:
            counters.note_committed(k, end - start)
        return code


@kernel
def commit(k: Kernel, start: VirtAddr, end: VirtAddr) -> word:
    """Ask the system for the pages, where it wants to be asked."""
    if k.host.commit == 0 or call4(k.m, k.host.commit, start, end - start, 0, 0) == 0:
        return OK
    return NO_FRAME


@kernel
def get_ready(k: Kernel, ready: VirtAddr, end: VirtAddr, limit: VirtAddr, used_bytes: word) -> VirtAddr:
    """Pages up to `end` will be touched; those up to the result were asked for, where those below `ready` have been.

    In a process, a system call for pages in a row is dearer than a fault for one and cheaper than for two. So some are
    asked for that are not wanted yet, in proportion to what is in use.
    """
    if k.config.space == HOSTED_SPACE:
        return populate(k, ready, end, limit, used_bytes)
    else:
        return end


@kernel
def populate(k: Kernel, ready: VirtAddr, end: VirtAddr, limit: VirtAddr, used_bytes: word) -> VirtAddr:
    """What get_ready does where there is something to do. Of a large range nobody knows whether it is touched."""
    if end <= ready or k.host.populate == 0:
        return max(ready, end)
    ahead = min(max(used_bytes >> AHEAD_SHIFT, LEAST_AHEAD), MOST_AHEAD) & -PAGE_BYTES
    if end - ready > ahead:
        return end
    until = VirtAddr(min(end + ahead, limit))
    call4(k.m, k.host.populate, ready, until - ready, 0, 0)
    return until


@cold
@kernel
def unmap_and_free(k: Kernel, start: VirtAddr, end: VirtAddr) -> None:
    """Give back the frames of [start, end)."""
    if k.config.space == HOSTED_SPACE:
        call4(k.m, k.host.release, start, end - start, 0, 0)
    else:
        vmm.unmap_and_free(k, start, end)
        if k.config.counters != 0:
            counters.note_committed(k, start - end)


@kernel
def are_as(k: Kernel, start: VirtAddr, end: VirtAddr, wanted: bool) -> bool:
    """Whether all pages of [start, end) have frames, or none has: for checkers. In a process only the system knows."""
    if k.config.space == HOSTED_SPACE:
        return True
    else:
        return are_mapped_as(k, start, end, wanted)


@kernel
def are_mapped_as(k: Kernel, start: VirtAddr, end: VirtAddr, wanted: bool) -> bool:
    """The same where page tables know it."""
    for va in range(start, end, PAGE_BYTES):
        if (vmm.get_physical(k, VirtAddr(va)) >= 0) != wanted:
            return False
    return True
