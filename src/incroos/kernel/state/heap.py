"""What the heap keeps beside chunks and slabs: hardening, quarantine, counters."""

from typing import Annotated, Final

from incroos.kernel.config import NR_QUARANTINED
from incroos.lang import Array, Struct, VirtAddr, u64

NR_SIZES: Final = 40  # powers of two that a request may have


class HardeningState(Struct):
    """What the heap hardens itself with. Owner: heap.hardening."""

    secret: u64  # in the seals of headers and tags, and in the masks of links
    generator: u64  # of random places in slabs
    nr_given: u64  # blocks that got a tag so far: the number of the last one


class QuarantineState(Struct):
    """Blocks that came back and are kept from everybody for a while: a ring. Owner: heap.quarantine."""

    first: u64  # the place of the oldest one
    nr_blocks: u64
    nbytes: u64  # that the design below counts as used for them
    payloads: Annotated[Array[VirtAddr], NR_QUARANTINED]


class HeapFigures(Struct):
    """What requests came and what they got, where config.counters is set. Owner: heap.figures."""

    asked_bytes: u64  # by all requests that were served
    nr_refused: u64  # requests of a size that there is, for which there was no room
    peak_used_bytes: u64
    committed_bytes: u64
    peak_committed_bytes: u64
    large_bytes: u64  # that the requests got which no slab served: headers and rounding included
    nr_large_frees: u64
    large_requests: Annotated[Array[u64], NR_SIZES]  # that no slab served, of 2**index to 2**(index + 1) - 1 bytes
