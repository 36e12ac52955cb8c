"""The Heap struct and its parts but for chunks and slabs: what hardens it, and its figures."""

from typing import Annotated, Final

from incroos.kernel.config import NR_QUARANTINED, KernelConfig
from incroos.kernel.state.chunks import ChunkState, FirstFitState
from incroos.kernel.state.slabs import CachesState, SlabState
from incroos.lang import Array, Struct, VirtAddr, address_of, kernel, u64

NR_SIZES: Final = 40  # powers of two that a request may have


class HardeningState(Struct):
    """What the heap hardens itself with. Owner: heap.hardening."""

    secret: u64  # in the seals of headers and tags, and in the masks of links
    generator: u64  # of random places in slabs
    nr_given: u64  # blocks that got a tag so far: the number of the last one


class Tag(Struct):
    """What stands in front of each block of a user, in builds that tell who asked for it. Owner: heap.harden.tag."""

    seal: u64
    about: u64
    site: u64  # the address of the call that asked for the block; 0 when it did not say
    number: u64  # the first block has 1


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


class Heap(Struct):
    """A heap. Owner: heap.

    From `first_fit` on it is the state of the design that the configuration names. Those of this package have fields
    here; a design from outside has its own struct there (design_state), of at most HEAP_STATE_BYTES.
    """

    config: KernelConfig
    owner: VirtAddr  # of a heap in a kernel: the Kernel struct
    hardening: HardeningState
    quarantine: QuarantineState
    figures: HeapFigures
    first_fit: FirstFitState
    chunks: ChunkState
    slabs: SlabState
    caches: CachesState


@kernel
def design_state(heap: Heap) -> VirtAddr:
    """Where the state of the design begins."""
    return address_of(heap, 'first_fit')
