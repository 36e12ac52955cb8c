"""Whether a tagged block is whole: its tag, its red zones, and in quarantine its poison.

Unit: the byte. Nothing here ends the machine: who asks says what is wrong, with the words of report/damage.py.
"""

from typing import Final

from incroos.kernel.codes import OK
from incroos.kernel.config import FULL
from incroos.kernel.heap.block import POISON_FREED
from incroos.kernel.heap.harden import tag
from incroos.kernel.heap.harden.tag import RED, RED_ZONE_BYTES, find_other, nbytes_of, payload_of
from incroos.kernel.state import Heap, Tag
from incroos.lang import VirtAddr, cold, kernel, load8, load64, word

BAD_TAG: Final = 1  # numbers of the TAG invariants
BAD_FRONT: Final = 2
BAD_BEHIND: Final = 3
BAD_POISON: Final = 4


@kernel
def find_damage(heap: Heap, of: Tag, end: VirtAddr) -> tuple[word, VirtAddr]:
    """The first TAG invariant that does not hold for a block that ends there, and where; OK."""
    if not tag.is_sealed(heap, of) or payload_of(heap, of) + nbytes_of(of) + tag.behind_bytes(heap) > end:
        return BAD_TAG, VirtAddr(of.addr)
    if heap.config.hardening != FULL:
        return OK, end
    payload = payload_of(heap, of)
    at = VirtAddr(payload - RED_ZONE_BYTES + (8 if tag.is_freed(of) else 0))
    at = find_other(heap, at, payload, RED)
    if at != payload:
        return BAD_FRONT, at
    payload_end = VirtAddr(payload + nbytes_of(of))
    at = find_other(heap, payload_end, end, RED)
    if at != end:
        return BAD_BEHIND, at
    if tag.is_freed(of):
        at = find_other(heap, payload, payload_end, POISON_FREED)
        if at != payload_end:
            return BAD_POISON, at
    return OK, end


@kernel
def require_whole(heap: Heap, of: Tag, end: VirtAddr) -> None:
    """Panic, with a report, unless a block that ends there is whole."""
    code, at = find_damage(heap, of, end)
    if code != OK:
        report(heap, of, code, at)


@cold
@kernel
def report(heap: Heap, of: Tag, code: word, at: VirtAddr) -> None:
    """Panic, with a report about a block that is not whole."""
    if code == BAD_TAG:
        heap.config.damage.end_with_tag(heap, b'the tag of a block is overwritten', at, load64(heap.m, at), of)
    if code == BAD_FRONT:
        heap.config.damage.end_with_tag(heap, b'written in front of a block', at, load8(heap.m, at), of)
    if code == BAD_BEHIND:
        heap.config.damage.end_with_tag(heap, b'written behind the end of a block', at, load8(heap.m, at), of)
    heap.config.damage.end_with_tag(heap, b'written to a block after its kfree', at, load8(heap.m, at), of)
