"""Quarantine: blocks that came back and are nobody's for a while, so that a write through an old pointer is found.

Unit: the block. A ring of the last ones, so many of them and with so many bytes at most; the oldest leaves, is
verified, filled with zeros, and only then given back to the design below. Knows nothing of who asks for memory.

    payloads    | 7th | 8th | newest |        |        | oldest | 2nd | ... |
                                                         ^ first

The ring lies in the Heap struct and not in the blocks: nobody who writes to freed blocks can lead it astray.
"""

from incroos.kernel.codes import OK
from incroos.kernel.config import NR_QUARANTINED
from incroos.kernel.heap import zeroing
from incroos.kernel.heap.block import POISON_FREED
from incroos.kernel.heap.chunk.header import HEADER_BYTES
from incroos.kernel.heap.defaults import NOWHERE
from incroos.kernel.heap.harden import tag
from incroos.kernel.heap.harden.verify import BAD_TAG, report, require_whole
from incroos.kernel.state import Heap, QuarantineState, Tag
from incroos.lang import VirtAddr, fill, kernel, load64, word

# QUARANTINE-1  nr_blocks <= config.quarantine_blocks, nbytes <= config.quarantine_bytes, first is a place of the ring
# QUARANTINE-2  each block in the ring is used, says the design, and its tag says that it was freed
# QUARANTINE-3  nbytes == the sum of what the designs count as used for them


@kernel
def init(heap: Heap) -> None:
    """Begin without blocks."""
    fill(heap.m, heap.quarantine.addr, 0, QuarantineState.SIZE)


@kernel
def put(heap: Heap, of: Tag, base: VirtAddr, room: word) -> None:
    """Take in a block whose tag says that it was freed; one that is too large is given back at once, zeroed."""
    ring = heap.quarantine
    nbytes = heap.config.objects.cost_of(heap, base, room)
    if nbytes > heap.config.quarantine_bytes or heap.config.quarantine_blocks == 0:
        zeroing.zero(heap, base, room, VirtAddr(NOWHERE))
        heap.config.objects.free(heap, base)
        return
    fill(heap.m, tag.payload_of(heap, of), POISON_FREED, tag.nbytes_of(of))
    while ring.nr_blocks >= heap.config.quarantine_blocks or ring.nbytes + nbytes > heap.config.quarantine_bytes:
        release_oldest(heap)
    ring.payloads[(ring.first + ring.nr_blocks) % NR_QUARANTINED] = tag.payload_of(heap, of)
    ring.nr_blocks += 1
    ring.nbytes += nbytes


@kernel
def release_oldest(heap: Heap) -> None:
    """Let the block leave that waited longest."""
    ring = heap.quarantine
    of = tag.tag_of(heap, ring.payloads[ring.first])
    ring.payloads[ring.first] = VirtAddr(0)
    ring.first = (ring.first + 1) % NR_QUARANTINED
    ring.nr_blocks -= 1
    ring.nbytes -= release(heap, of)


@kernel
def release(heap: Heap, of: Tag) -> word:
    """Give a block back to its design, zeroed, after a look whether it is as it was; what it cost."""
    if not tag.is_sealed(heap, of):
        report(heap, of, BAD_TAG, VirtAddr(of.addr))
    base = tag.base_of(heap, of)
    room = room_of(heap, of, base)
    nbytes = heap.config.objects.cost_of(heap, base, room)
    require_whole(heap, of, VirtAddr(base + room))
    fill(heap.m, base, 0, room)
    heap.config.objects.free(heap, base)
    return nbytes


@kernel
def room_of(heap: Heap, of: Tag, base: VirtAddr) -> word:
    """How many bytes the design says that there are at a block in quarantine; panics when it knows of no such block."""
    room = heap.config.objects.usable_bytes(heap, base)
    if room == 0:
        header = VirtAddr(base - HEADER_BYTES)
        heap.config.damage.end_with_tag(
            heap, b'the header of a chunk is overwritten', header, load64(heap.m, header), of
        )
    return room


@kernel
def drain(heap: Heap) -> bool:
    """Let all blocks leave; whether there were any."""
    had_any = heap.quarantine.nr_blocks != 0
    while heap.quarantine.nr_blocks != 0:
        release_oldest(heap)
    return had_any


@kernel
def check(heap: Heap) -> word:
    """0, or the number of the first QUARANTINE invariant that does not hold."""
    ring = heap.quarantine
    if (
        ring.nr_blocks > min(heap.config.quarantine_blocks, NR_QUARANTINED)
        or ring.nbytes > heap.config.quarantine_bytes
    ):
        return 1
    if ring.first >= NR_QUARANTINED:
        return 1
    nbytes = 0
    for index in range(ring.nr_blocks):
        of = tag.tag_of(heap, ring.payloads[(ring.first + index) % NR_QUARANTINED])
        if not tag.is_sealed(heap, of) or not tag.is_freed(of):
            return 2
        base = tag.base_of(heap, of)
        room = heap.config.objects.usable_bytes(heap, base)
        if room == 0:
            return 2
        nbytes += heap.config.objects.cost_of(heap, base, room)
    return OK if nbytes == ring.nbytes else 3
