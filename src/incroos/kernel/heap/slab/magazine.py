"""The magazine of a cache: objects that came back last, and are handed out first, the last one first.

Unit: the object. Knows no lists of slabs. Where slabs are full or nearly so, an object that comes back is the only free
one of its slab: without a magazine the slab would go on a list for it, and off again with the next request. What is in
the magazine is free by the metadata, too: its bit is set, so that a second free is refused. The slab of which all free
objects are in the magazine is as a full one. Nothing else is taken from a cache as long as its magazine has a round.

J. Bonwick, J. Adams, "Magazines and Vmem: Extending the Slab Allocator to Many CPUs and Arbitrary Resources" (2001):
magazines and their rounds. There each processor has one, to be alone with it; here it spares the lists.
"""

from incroos.kernel.heap.secret import has_random_places
from incroos.kernel.state import NR_ROUNDS, Cache, Heap, Round, SlabRecord
from incroos.lang import VirtAddr, kernel, load64, offset_of, shl_wrap, store64, word


@kernel
def are_used(heap: Heap) -> bool:
    """Whether the configuration has magazines."""
    return heap.config.magazines != 0 and not has_random_places(heap)


@kernel
def clear(cache: Cache) -> None:
    """Let there be no object in the magazine."""
    cache.top = bottom_of(cache)


@kernel
def bottom_of(cache: Cache) -> VirtAddr:
    """Where the first round is."""
    return VirtAddr(cache.addr + offset_of(Cache, 'rounds'))


@kernel
def nr_rounds(cache: Cache) -> word:
    """How many objects there are in the magazine."""
    return (cache.top - bottom_of(cache)) // Round.SIZE


@kernel
def has_any(heap: Heap, cache: Cache) -> bool:
    """Whether there is an object to hand out."""
    return are_used(heap) and cache.top != bottom_of(cache)


@kernel
def has_room(heap: Heap, cache: Cache) -> bool:
    """Whether there is room for one more."""
    return are_used(heap) and cache.top != bottom_of(cache) + NR_ROUNDS * Round.SIZE


@kernel
def push(cache: Cache, ptr: VirtAddr, word_at: VirtAddr, bit: word) -> None:
    """Put in a free object, whose bit has that number in the word there. PRE there is room."""
    of = Round(cache.m, cache.top)
    of.ptr = ptr
    of.place = shl_wrap(word_at, 3) | bit
    cache.top = VirtAddr(of.addr + Round.SIZE)


@kernel
def pop(cache: Cache) -> VirtAddr:
    """The object that was put in last; by its bit it is somebody's now. PRE there is one."""
    of = Round(cache.m, VirtAddr(cache.top - Round.SIZE))
    cache.top = of.addr
    word_at = word_of(of)
    store64(cache.m, word_at, load64(cache.m, word_at) & ~shl_wrap(1, bit_of(of)))
    return of.ptr


@kernel
def word_of(of: Round) -> VirtAddr:
    """Where the word with its bit is."""
    return VirtAddr(of.place >> 3 & -8)


@kernel
def bit_of(of: Round) -> word:
    """Which bit of that word it is."""
    return of.place & 63


@kernel
def record_of(of: Round) -> SlabRecord:
    """The record of its slab, the first bytes of which are the words."""
    return SlabRecord(of.m, VirtAddr(of.place >> 3 & -SlabRecord.SIZE))


@kernel
def forget(cache: Cache, record: SlabRecord) -> None:
    """Take out all objects of a slab; the others keep their order."""
    nr_kept = 0
    for number in range(nr_rounds(cache)):
        of = cache.rounds[number]
        if record_of(of).addr != record.addr:
            kept = cache.rounds[nr_kept]
            kept.ptr = of.ptr
            kept.place = of.place
            nr_kept += 1
    cache.top = VirtAddr(bottom_of(cache) + nr_kept * Round.SIZE)


@kernel
def nr_of(cache: Cache, record: SlabRecord, nr_first: word) -> word:
    """How many objects of a slab are among the first so many of the magazine."""
    count = 0
    for number in range(nr_first):
        count += record_of(cache.rounds[number]).addr == record.addr
    return count
