"""Slabs: objects of one size, side by side in a few pages, and a bit for each that says whether it is free.

Unit: the object. Knows nothing of chunks, nor which size a request has. Nothing is written into free objects.

    pages       | slab of 1 page | slab of 4 pages                | no slab | ...
    records     |   record       | record | distance 1 | 2 | 3    |         | ...     64 bytes a page, apart from it

    cache       magazine  a few objects that came back last, which are handed out first (magazine.py)
                current   the slab whose word of bits further requests are taken from, lowest object first
                partial   slabs with free objects, newest first
                empty     slabs whose objects are all free, kept up to a limit
                (slabs without a free object, or with none that is not in the magazine, are on no list)

From a pointer, arithmetic leads to the record of its page, to the slab and to the bit. So a pointer that is not an
object, or is one that is free, is told from one that can be taken back, always. The word of bits that is current is
used without a look at its slab: a request costs one load, one store and one count of zeros.

J. Bonwick, "The Slab Allocator: An Object-Caching Kernel Memory Allocator" (1994): caches and colouring.
Bits in the place of its lists, and all records off the slab, are our own choice: docs/adr/0401-bits-for-objects.md.
"""

from typing import Final

from incroos.kernel.codes import BAD_FREE, OK
from incroos.kernel.config import NO_HARDENING
from incroos.kernel.heap import counters
from incroos.kernel.heap.secret import draw_below, has_random_places
from incroos.kernel.heap.slab import magazine
from incroos.kernel.heap.slab import pages as slab_pages
from incroos.kernel.layout import PAGE_SHIFT
from incroos.kernel.state import NR_SLAB_WORDS, Cache, Heap, SlabRecord
from incroos.lang import (
    VirtAddr,
    cold,
    count_ones,
    count_trailing_zeros,
    inlined,
    kernel,
    load64,
    offset_of,
    shl_wrap,
    shr_logical,
    store64,
    sub_wrap,
    unsigned_less,
    word,
)

NOTHING: Final = 0  # a record's state: no slab begins here
FULL: Final = 1
PARTIAL: Final = 2
EMPTY: Final = 3
CURRENT: Final = 4

MAX_OBJECTS: Final = NR_SLAB_WORDS * 64
MAX_SLAB_PAGES: Final = 8
KEPT_EMPTY: Final = 2  # slabs a cache keeps, before it gives their pages back


# ------------------------------------------------------------------ alloc
@kernel
def take(heap: Heap, cache: Cache) -> VirtAddr:
    """An object; 0 when there is none and no frame for a slab."""
    if magazine.has_any(heap, cache):
        return take_round(heap, cache)
    bits = load64(heap.m, cache.word)
    if bits == 0:
        return take_slowly(heap, cache)
    return take_lowest(heap, cache, bits)


@kernel
def take_round(heap: Heap, cache: Cache) -> VirtAddr:
    """The object of the magazine that came back last. PRE there is one."""
    if heap.config.counters != 0:
        count_taken(heap, cache)
    return magazine.pop(cache)


@kernel
def take_lowest(heap: Heap, cache: Cache, bits: word) -> VirtAddr:
    """The first object of the current word, which has these bits; with hardening FULL any of them."""
    if heap.config.counters != 0:
        count_taken(heap, cache)
    if has_random_places(heap):
        return take_random(heap, cache, bits)
    store64(heap.m, cache.word, bits & sub_wrap(bits, 1))
    return VirtAddr(cache.first + count_trailing_zeros(bits) * cache.object_bytes)


@kernel
def take_random(heap: Heap, cache: Cache, bits: word) -> VirtAddr:
    """A random object of the current word: nobody who writes past an object knows what is behind it."""
    rest = bits
    for _ in range(draw_below(heap, count_ones(bits))):
        rest &= sub_wrap(rest, 1)
    number = count_trailing_zeros(rest)
    store64(heap.m, cache.word, bits & ~shl_wrap(1, number))
    return VirtAddr(cache.first + number * cache.object_bytes)


@kernel
def count_taken(heap: Heap, cache: Cache) -> None:
    """Count an object that is handed out."""
    cache.allocs += 1
    used = heap.slabs.used_bytes + cache.object_bytes
    heap.slabs.used_bytes = used
    if used > heap.slabs.mark:
        counters.note_used(heap)


@cold
@kernel
def take_slowly(heap: Heap, cache: Cache) -> VirtAddr:
    """An object when magazine and current word have none: from another word, slab or page."""
    while not find_word(heap, cache):
        retire(heap, cache)
        record = next_slab(heap, cache)
        if record.addr == 0:
            return VirtAddr(0)
        record.state = CURRENT
        cache.current = record.addr
    return take_lowest(heap, cache, load64(heap.m, cache.word))


@kernel
def find_word(heap: Heap, cache: Cache) -> bool:
    """Let the first word of the current slab that is not 0 be the current word; False when there is none."""
    if cache.current == 0:
        return False
    record = SlabRecord(heap.m, cache.current)
    for index in range(NR_SLAB_WORDS):
        if record.free[index] != 0:
            cache.word = VirtAddr(record.addr + offset_of(SlabRecord, 'free') + 8 * index)
            cache.first = VirtAddr(first_object(heap, record) + 64 * index * cache.object_bytes)
            return True
    return False


@kernel
def first_object(heap: Heap, record: SlabRecord) -> VirtAddr:
    """Where the first object of a slab is."""
    return VirtAddr(slab_pages.address_of(heap, record) + record.colour)


@kernel
def retire(heap: Heap, cache: Cache) -> None:
    """Let no slab be current; the one that was it has no free object."""
    if cache.current != 0:
        SlabRecord(heap.m, cache.current).state = FULL
    forget_current(cache)


@kernel
def forget_current(cache: Cache) -> None:
    """Point to a word of no objects."""
    cache.current = VirtAddr(0)
    cache.word = VirtAddr(cache.addr + offset_of(Cache, 'nothing'))


@kernel
def next_slab(heap: Heap, cache: Cache) -> SlabRecord:
    """A slab with free objects, on no list: a partial, an empty or a fresh one; at address 0 when there is none."""
    if cache.partial != 0:
        record = SlabRecord(heap.m, cache.partial)
        pull(heap, cache, record)
        return record
    if cache.empty != 0:
        record = SlabRecord(heap.m, cache.empty)
        pull(heap, cache, record)
        return record
    return make(heap, cache)


# ------------------------------------------------------------------ free
@inlined
@kernel
def put(heap: Heap, ptr: VirtAddr) -> word:
    """Take back what lies in the pages of slabs; BAD_FREE, and nothing changed, when it is no object or is free.

    BAD_FREE also for objects that only cache_free takes back.
    """
    record, distance, number = find(heap, ptr)
    if record.state == NOTHING:  # before its cache is looked at, which may be gone
        return BAD_FREE
    cache = Cache(heap.m, record.cache)
    return put_object(heap, cache, record, ptr, distance, number, cache.nr_open)


@inlined
@kernel
def put_object(
    heap: Heap, cache: Cache, record: SlabRecord, ptr: VirtAddr, distance: word, number: word, limit: word
) -> word:
    """As put, what was found to be so far behind a slab's first object and is one of the first `limit` objects."""
    if not is_object(cache, distance, number, limit):
        return BAD_FREE
    index = number >> 6
    before = record.free[index]
    bit = shl_wrap(1, number & 63)
    if before & bit != 0:
        return BAD_FREE
    after = before | bit
    record.free[index] = after
    if heap.config.counters != 0:
        heap.slabs.used_bytes -= cache.object_bytes
    if after == cache.all_free[index] and record.state != CURRENT:
        settle(heap, cache, record)
    elif magazine.has_room(heap, cache):
        magazine.push(cache, ptr, VirtAddr(record.addr + offset_of(SlabRecord, 'free') + 8 * index), number & 63)
    elif record.state == FULL:
        settle(heap, cache, record)
    return OK


@inlined
@kernel
def find(heap: Heap, ptr: VirtAddr) -> tuple[SlabRecord, word, word]:
    """The record of the slab that has an address below the top, how far behind its first object that is, and which
    object begins there, if one does.

    The record of each page has what this takes, so that no load has to wait for the one of the first page's record.
    """
    page = slab_pages.page_of(heap, ptr)
    distance = slab_pages.behind_start(page, ptr) - page.colour
    return slab_pages.first_of(page), distance, (distance * page.reciprocal) >> 32


@kernel
def usable_bytes(heap: Heap, ptr: VirtAddr) -> word:
    """The size of the object at ptr, if kfree would take it back; else 0."""
    record, distance, number = find(heap, ptr)
    if record.state == NOTHING:
        return 0
    cache = Cache(heap.m, record.cache)
    return cache.object_bytes if is_used(cache, record, distance, number, cache.nr_open) else 0


@kernel
def is_used(cache: Cache, record: SlabRecord, distance: word, number: word, limit: word) -> bool:
    """Whether what was found is one of a slab's first `limit` objects, and somebody has it."""
    if not is_object(cache, distance, number, limit):
        return False
    return shr_logical(record.free[number >> 6], number & 63) & 1 == 0


@kernel
def is_object(cache: Cache, distance: word, number: word, limit: word) -> bool:
    """Whether an object begins so far behind the first one, and it is one of the first `limit` objects."""
    return unsigned_less(number, limit) and number * cache.object_bytes == distance


@cold
@kernel
def settle(heap: Heap, cache: Cache, record: SlabRecord) -> None:
    """Put a slab that has a free object on the list where it belongs, unless it is current."""
    if record.state == CURRENT:
        return
    wanted = EMPTY if is_empty(cache, record) else PARTIAL
    if record.state == wanted:
        return
    if record.state != FULL:
        pull(heap, cache, record)
    if wanted == EMPTY:
        magazine.forget(cache, record)
    if wanted == EMPTY and cache.nr_empty >= cache.max_empty:
        unmake(heap, cache, record)
    else:
        push(heap, cache, record, wanted)


@kernel
def is_empty(cache: Cache, record: SlabRecord) -> bool:
    """Whether all objects of a slab are free."""
    for index in range(NR_SLAB_WORDS):
        if record.free[index] != cache.all_free[index]:
            return False
    return True


# ------------------------------------------------------------------ lists
@kernel
def push(heap: Heap, cache: Cache, record: SlabRecord, state: word) -> None:
    """Put a slab in front of the list of that state."""
    record.state = state
    record.previous = VirtAddr(0)
    if state == EMPTY:
        record.next = cache.empty
        cache.empty = record.addr
        cache.nr_empty += 1
    else:
        record.next = cache.partial
        cache.partial = record.addr
    if record.next != 0:
        SlabRecord(heap.m, record.next).previous = record.addr


@kernel
def pull(heap: Heap, cache: Cache, record: SlabRecord) -> None:
    """Take a slab off its list; panics where the links do not agree."""
    require_links(heap, cache, record)
    if record.next != 0:
        SlabRecord(heap.m, record.next).previous = record.previous
    if record.previous != 0:
        SlabRecord(heap.m, record.previous).next = record.next
    elif record.state == EMPTY:
        cache.empty = record.next
    else:
        cache.partial = record.next
    if record.state == EMPTY:
        cache.nr_empty -= 1


@kernel
def require_links(heap: Heap, cache: Cache, record: SlabRecord) -> None:
    """Panic unless the neighbours of a slab on its list are records and point back.

    No user's overflow reaches the records; a write through a wild pointer may.
    """
    if heap.config.hardening == NO_HARDENING:
        return
    first = cache.empty if record.state == EMPTY else cache.partial
    if record.next != 0 and (
        not slab_pages.is_record(heap, record.next) or SlabRecord(heap.m, record.next).previous != record.addr
    ):
        heap.config.text.panic(
            heap, b'heap: the record of a slab is overwritten: record, next', record.addr, record.next, 0
        )
    if record.previous == 0 and first != record.addr:
        heap.config.text.panic(
            heap, b'heap: the record of a slab is overwritten: record, first on its list', record.addr, first, 0
        )
    if record.previous != 0 and (
        not slab_pages.is_record(heap, record.previous) or SlabRecord(heap.m, record.previous).next != record.addr
    ):
        heap.config.text.panic(
            heap, b'heap: the record of a slab is overwritten: record, previous', record.addr, record.previous, 0
        )


# ------------------------------------------------------------------ slabs
@kernel
def make(heap: Heap, cache: Cache) -> SlabRecord:
    """A fresh slab with all objects free, on no list; at address 0 when there are no pages for it."""
    record = slab_pages.take(heap, cache.nr_pages)
    if record.addr == 0:
        return record
    colour = cache.next_colour
    cache.next_colour = 0 if colour + cache.colour_bytes > cache.last_colour else colour + cache.colour_bytes
    record.cache = cache.addr
    for number in range(cache.nr_pages):
        page = SlabRecord(heap.m, VirtAddr(record.addr + number * SlabRecord.SIZE))
        page.reciprocal = cache.reciprocal
        page.colour = colour
    for index in range(NR_SLAB_WORDS):
        record.free[index] = cache.all_free[index]
    cache.nr_slabs += 1
    return record


@kernel
def unmake(heap: Heap, cache: Cache, record: SlabRecord) -> None:
    """Give back the pages of a slab without used objects that is on no list."""
    record.state = NOTHING
    cache.nr_slabs -= 1
    slab_pages.put(heap, record, cache.nr_pages)


@kernel
def shrink(heap: Heap, cache: Cache) -> word:
    """Give back the pages of all slabs without used objects; how many pages."""
    empty_magazine(heap, cache)
    nr_pages = 0
    if cache.current != 0 and is_empty(cache, SlabRecord(heap.m, cache.current)):
        record = SlabRecord(heap.m, cache.current)
        forget_current(cache)
        give_back(heap, cache, record)
        nr_pages += cache.nr_pages
    while cache.empty != 0:
        record = SlabRecord(heap.m, cache.empty)
        pull(heap, cache, record)
        give_back(heap, cache, record)
        nr_pages += cache.nr_pages
    return nr_pages


@kernel
def empty_magazine(heap: Heap, cache: Cache) -> None:
    """Let all free objects be in words of bits alone."""
    for number in range(magazine.nr_rounds(cache)):
        record = magazine.record_of(cache.rounds[number])
        if record.state == FULL:
            push(heap, cache, record, PARTIAL)
    magazine.clear(cache)


@kernel
def give_back(heap: Heap, cache: Cache, record: SlabRecord) -> None:
    """As unmake, with the frames, which are not kept as spare ones."""
    record.state = NOTHING
    cache.nr_slabs -= 1
    slab_pages.release(heap, record, count_trailing_zeros(cache.nr_pages))


# ------------------------------------------------------------------ caches
@kernel
def init_cache(cache: Cache, object_bytes: word, alignment: word) -> None:
    """Begin without slabs. Objects of at least a byte, at most MAX_SLAB_PAGES pages; alignment a power of two."""
    size = (max(object_bytes, 8) + alignment - 1) & -alignment
    cache.object_bytes = size
    cache.reciprocal = ((1 << 32) + size - 1) // size
    cache.nr_pages = pages_for(size)
    cache.nr_objects = min((cache.nr_pages << PAGE_SHIFT) // size, MAX_OBJECTS)
    cache.nr_open = cache.nr_objects
    cache.colour_bytes = max(alignment, 64)
    cache.last_colour = (cache.nr_pages << PAGE_SHIFT) - cache.nr_objects * size
    cache.next_colour = 0
    for index in range(NR_SLAB_WORDS):
        nr_bits = min(max(cache.nr_objects - 64 * index, 0), 64)
        cache.all_free[index] = shr_logical(-1, 64 - nr_bits) if nr_bits > 0 else 0
    cache.partial = VirtAddr(0)
    cache.empty = VirtAddr(0)
    cache.nr_empty = 0
    cache.max_empty = KEPT_EMPTY
    cache.nr_slabs = 0
    cache.allocs = 0
    cache.nothing = 0
    magazine.clear(cache)
    cache.nr_cold = 0
    cache.first = VirtAddr(0)
    forget_current(cache)


@kernel
def pages_for(size: word) -> word:
    """The fewest pages, a power of two, of which at most an eighth is in no object; MAX_SLAB_PAGES where none are."""
    nr_pages = 1
    while nr_pages < MAX_SLAB_PAGES and not is_well_used(nr_pages << PAGE_SHIFT, size):
        nr_pages *= 2
    return nr_pages


@kernel
def is_well_used(nbytes: word, size: word) -> bool:
    """Whether objects of that size fill seven eighths of the bytes, eight of them at least."""
    return nbytes >= 8 * size and nbytes % size <= nbytes >> 3


@kernel
def nr_used(heap: Heap, cache: Cache, record: SlabRecord) -> word:
    """How many objects of a slab are somebody's."""
    nr_free = 0
    for index in range(NR_SLAB_WORDS):
        nr_free += count_ones(record.free[index])
    return cache.nr_objects - nr_free
