"""Huge frames: 512 frames in a row as one page, which only `modern` has.

Unit: the frame, named by its physical address. As frames.py: counts what is refused, and poisons what is freed.
"""

from incroos.kernel.codes import NO_FRAME, OK
from incroos.kernel.layout import PAGE_BYTES
from incroos.kernel.pmm.all import modern
from incroos.kernel.pmm.frames import free_page, is_refused, poison
from incroos.kernel.state import Kernel
from incroos.lang import PhysAddr, kernel, word


@kernel
def take_huge(k: Kernel) -> PhysAddr:
    """512 frames in a row, at a multiple of 2 MiB, as their last owners left them; NO_FRAME."""
    return PhysAddr(NO_FRAME) if is_refused(k) else modern.take_huge(k)


@kernel
def free_block(k: Kernel, pa: PhysAddr) -> word:
    """Take back what take_frame or take_huge gave; else the codes of free_page."""
    if not modern.is_page(k, pa) or modern.bytes_of_page(k, pa) == PAGE_BYTES:
        return free_page(k, pa)
    nbytes = modern.bytes_of_page(k, pa)
    modern.put_huge(k, pa)
    for at in range(0, nbytes, PAGE_BYTES):
        poison(k, PhysAddr(pa + at))
    return OK
