"""Quarantine: blocks that came back and are nobody's for a while, so that a write through an old pointer is found.

Unit: the block. A ring of the last ones, so many of them and with so many bytes at most; the oldest leaves, is
verified, filled with zeros, and only then given back to the design below. Knows nothing of who asks for memory.

    payloads    | 7th | 8th | newest |        |        | oldest | 2nd | ... |
                                                         ^ first

The ring lies in the Kernel struct and not in the blocks: nobody who writes to freed blocks can lead it astray.
"""

from incroos.kernel.codes import OK
from incroos.kernel.config import NR_QUARANTINED
from incroos.kernel.heap import designs
from incroos.kernel.heap.chunk.header import HEADER_BYTES
from incroos.kernel.heap.harden import tag
from incroos.kernel.heap.harden.tag import POISON_FREED, Tag
from incroos.kernel.heap.harden.verify import BAD_TAG, report, require_whole
from incroos.kernel.heap.report.damage import end_with_tag
from incroos.kernel.state import Kernel, QuarantineState
from incroos.lang import VirtAddr, fill, kernel, load64, word

# QUARANTINE-1  nr_blocks <= config.quarantine_blocks, nbytes <= config.quarantine_bytes, first is a place of the ring
# QUARANTINE-2  each block in the ring is used, says the design, and its tag says that it was freed
# QUARANTINE-3  nbytes == the sum of what the designs count as used for them


@kernel
def init(k: Kernel) -> None:
    """Begin without blocks."""
    fill(k.m, k.quarantine.addr, 0, QuarantineState.SIZE)


@kernel
def put(k: Kernel, of: Tag, base: VirtAddr, room: word) -> None:
    """Take in a block whose tag says that it was freed; it leaves at once where it is too large."""
    fill(k.m, tag.payload_of(k, of), POISON_FREED, tag.nbytes_of(of))
    ring = k.quarantine
    nbytes = designs.cost_of(k, base, room)
    if nbytes > k.config.quarantine_bytes or k.config.quarantine_blocks == 0:
        release(k, of)
        return
    while ring.nr_blocks >= k.config.quarantine_blocks or ring.nbytes + nbytes > k.config.quarantine_bytes:
        release_oldest(k)
    ring.payloads[(ring.first + ring.nr_blocks) % NR_QUARANTINED] = tag.payload_of(k, of)
    ring.nr_blocks += 1
    ring.nbytes += nbytes


@kernel
def release_oldest(k: Kernel) -> None:
    """Let the block leave that waited longest."""
    ring = k.quarantine
    of = tag.tag_of(k, ring.payloads[ring.first])
    ring.payloads[ring.first] = VirtAddr(0)
    ring.first = (ring.first + 1) % NR_QUARANTINED
    ring.nr_blocks -= 1
    ring.nbytes -= release(k, of)


@kernel
def release(k: Kernel, of: Tag) -> word:
    """Give a block back to its design, zeroed, after a look whether it is as it was; what it cost."""
    if not tag.is_sealed(k, of):
        report(k, of, BAD_TAG, VirtAddr(of.addr))
    base = tag.base_of(k, of)
    room = room_of(k, of, base)
    nbytes = designs.cost_of(k, base, room)
    require_whole(k, of, VirtAddr(base + room))
    fill(k.m, base, 0, room)
    designs.free(k, base)
    return nbytes


@kernel
def room_of(k: Kernel, of: Tag, base: VirtAddr) -> word:
    """How many bytes the design says that there are at a block in quarantine; panics when it knows of no such block."""
    room = designs.usable_bytes(k, base)
    if room == 0:
        header = VirtAddr(base - HEADER_BYTES)
        end_with_tag(k, b'the header of a chunk is overwritten', header, load64(k.m, header), of)
    return room


@kernel
def drain(k: Kernel) -> bool:
    """Let all blocks leave; whether there were any."""
    had_any = k.quarantine.nr_blocks != 0
    while k.quarantine.nr_blocks != 0:
        release_oldest(k)
    return had_any


@kernel
def check(k: Kernel) -> word:
    """0, or the number of the first QUARANTINE invariant that does not hold."""
    ring = k.quarantine
    if ring.nr_blocks > min(k.config.quarantine_blocks, NR_QUARANTINED) or ring.nbytes > k.config.quarantine_bytes:
        return 1
    if ring.first >= NR_QUARANTINED:
        return 1
    nbytes = 0
    for index in range(ring.nr_blocks):
        of = tag.tag_of(k, ring.payloads[(ring.first + index) % NR_QUARANTINED])
        if not tag.is_sealed(k, of) or not tag.is_freed(of):
            return 2
        base = tag.base_of(k, of)
        room = designs.usable_bytes(k, base)
        if room == 0:
            return 2
        nbytes += designs.cost_of(k, base, room)
    return OK if nbytes == ring.nbytes else 3
