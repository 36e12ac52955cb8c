"""The heap as a whole: the design that serves kmalloc, the caches beside it, and what hardens it.

Unit: the byte. Knows nothing of what a design is made of.
"""

from typing import Final

from incroos.kernel.codes import OK
from incroos.kernel.heap import caches, caches_check, counters, secret
from incroos.kernel.heap.harden import quarantine
from incroos.kernel.heap.report import verify_all
from incroos.kernel.state import Heap, design_state
from incroos.lang import VirtAddr, fill, kernel, offset_of, word

TAG_INVARIANTS: Final = 60
QUARANTINE_INVARIANTS: Final = 70
FIGURES_INVARIANT: Final = 80


@kernel
def init(heap: Heap, owner: VirtAddr) -> None:
    """Begin with an empty heap that owns addresses and no frame; in a kernel its owner is the Kernel struct."""
    heap.owner = owner
    fill(heap.m, design_state(heap), 0, Heap.SIZE - offset_of(Heap, 'first_fit'))
    secret.init(heap)
    quarantine.init(heap)
    heap.config.objects.init(heap)
    counters.init(heap)
    if caches.can_have_caches(heap):
        caches.init(heap)


@kernel
def used_bytes(heap: Heap) -> word:
    """Bytes that are handed out, headers, tags and rounding included; blocks in quarantine are nobody's."""
    return heap.config.objects.used_bytes(heap) - heap.quarantine.nbytes


@kernel
def shrink(heap: Heap) -> word:
    """Empty the quarantine; give back frames that nothing lies in; how many bytes. First fit keeps them."""
    quarantine.drain(heap)
    nbytes = caches.shrink(heap) if caches.can_have_caches(heap) else 0
    return nbytes + heap.config.objects.shrink(heap)


@kernel
def check(heap: Heap) -> word:
    """0, or the number of the first invariant that does not hold: of the design, or of what is beside it.

    Of CACHE as 40 + n, of TAG as 60 + n, of QUARANTINE as 70 + n, FIGURES as 80.
    """
    code = heap.config.objects.check(heap)
    if code == OK and counters.are_counted(heap) and not are_figures_right(heap):
        code = FIGURES_INVARIANT
    if code == OK and caches.can_have_caches(heap):
        code = caches_check.check(heap)
    if code != OK or not secret.is_tagged(heap):
        return code
    code, _at = verify_all.find(heap)
    if code != OK:
        return TAG_INVARIANTS + code
    code = quarantine.check(heap)
    return QUARANTINE_INVARIANTS + code if code != OK else OK


@kernel
def are_figures_right(heap: Heap) -> bool:
    """FIGURES: what was counted on the way is what the metadata says."""
    counted = heap.figures
    used = heap.config.objects.used_bytes(heap)
    if counters.used_bytes(heap) != used or used > counted.peak_used_bytes:
        return False
    if heap.slabs.mark != counted.peak_used_bytes - (used - heap.slabs.used_bytes):
        return False
    if not heap.config.pages.HAS_FRAMES:
        return True
    return counted.peak_committed_bytes >= counted.committed_bytes == heap.config.objects.committed_bytes(heap)


@kernel
def find_damage(heap: Heap) -> VirtAddr:
    """The address of the first byte of a tag, red zone or freed block that is not as it should be; 0."""
    if not secret.is_tagged(heap) or heap.config.objects.check(heap) != OK:
        return VirtAddr(0)
    code, at = verify_all.find(heap)
    return at if code != OK else VirtAddr(0)
