"""The heap as a whole: the design that serves kmalloc, the caches beside it, and what hardens it.

Unit: the byte. Knows nothing of what a design is made of.
"""

from typing import Final

from incroos.kernel.codes import OK
from incroos.kernel.config import HOSTED_SPACE
from incroos.kernel.heap import caches, caches_check, counters, designs, secret
from incroos.kernel.heap.harden import quarantine, verify_all
from incroos.kernel.state import Kernel
from incroos.lang import VirtAddr, kernel, word

TAG_INVARIANTS: Final = 60
QUARANTINE_INVARIANTS: Final = 70
FIGURES_INVARIANT: Final = 80


@kernel
def init(k: Kernel) -> None:
    """Begin with an empty heap that owns addresses and no frame."""
    secret.init(k)
    quarantine.init(k)
    designs.init(k)
    counters.init(k)
    caches.init(k)


@kernel
def used_bytes(k: Kernel) -> word:
    """Bytes that are handed out, headers, tags and rounding included; blocks in quarantine are nobody's."""
    return designs.used_bytes(k) - k.quarantine.nbytes


@kernel
def shrink(k: Kernel) -> word:
    """Empty the quarantine; give back frames that nothing lies in; how many bytes. First fit keeps them."""
    quarantine.drain(k)
    nbytes = caches.shrink(k) if caches.can_have_caches(k) else 0
    return nbytes + designs.shrink(k)


@kernel
def check(k: Kernel) -> word:
    """0, or the number of the first invariant that does not hold: of the design, or of what is beside it.

    Of CACHE as 40 + n, of TAG as 60 + n, of QUARANTINE as 70 + n, FIGURES as 80.
    """
    code = designs.check(k)
    if code == OK and counters.are_counted(k) and not are_figures_right(k):
        code = FIGURES_INVARIANT
    if code == OK and caches.can_have_caches(k):
        code = caches_check.check(k)
    if code != OK or not secret.is_tagged(k):
        return code
    code, _at = verify_all.find(k)
    if code != OK:
        return TAG_INVARIANTS + code
    code = quarantine.check(k)
    return QUARANTINE_INVARIANTS + code if code != OK else OK


@kernel
def are_figures_right(k: Kernel) -> bool:
    """FIGURES: what was counted on the way is what the metadata says."""
    counted = k.figures
    used = designs.used_bytes(k)
    if counters.used_bytes(k) != used or used > counted.peak_used_bytes:
        return False
    if k.slabs.mark != counted.peak_used_bytes - (used - k.slabs.used_bytes):
        return False
    if k.config.space == HOSTED_SPACE:
        return True
    return counted.peak_committed_bytes >= counted.committed_bytes == designs.committed_bytes(k)


@kernel
def find_damage(k: Kernel) -> VirtAddr:
    """The address of the first byte of a tag, red zone or freed block that is not as it should be; 0."""
    if not secret.is_tagged(k) or designs.check(k) != OK:
        return VirtAddr(0)
    code, at = verify_all.find(k)
    return at if code != OK else VirtAddr(0)
