"""The checker of the slabs: one walk over the records, compared with what the caches count.

Unit: the object. Changes nothing, and reads no address that has no frame.
"""

from incroos.kernel.codes import OK
from incroos.kernel.heap.slab import magazine, slab
from incroos.kernel.heap.slab import pages as slab_pages
from incroos.kernel.heap.slab.pages import SPARE
from incroos.kernel.heap.slab.slab import CURRENT, EMPTY, FULL, NOTHING, PARTIAL
from incroos.kernel.layout import PAGE_SHIFT
from incroos.kernel.state import NR_ROUNDS, NR_RUN_LENGTHS, NR_SLAB_WORDS, Cache, Heap, Round, SlabRecord
from incroos.lang import VirtAddr, kernel, offset_of, shr_logical, word

# SLAB-1  records follow each other as runs: the distance of each page's says how far the first one is
# SLAB-2  a bit is set only for an object that there is
# SLAB-3  a slab of which all free objects are in the magazine, or none is free, is FULL or CURRENT, one with all
#         objects free EMPTY or CURRENT, else PARTIAL or CURRENT; only the slab that its cache says is CURRENT
# SLAB-4  the lists of a cache have the slabs of their state, and links agree
# SLAB-5  nr_slabs and nr_empty are the counts of a cache's slabs; nr_empty is at most max_empty
# SLAB-6  the pages of a slab or a spare run are mapped, those of another run without a slab are not; records are mapped
# SLAB-7  nr_mapped and nr_spare are the counts of pages that are mapped and of those in spare runs, and each of these
#         is on the list of its length
# SLAB-8  the records of all pages of a slab have its colour, at most last_colour, and the reciprocal of its cache
# SLAB-9  the magazine has free objects of its cache's slabs, each once, at their addresses, and none of EMPTY slabs


@kernel
def check_records(heap: Heap) -> word:
    """SLAB-1 to SLAB-3 and SLAB-6 to SLAB-8: 0, or the number of the first that does not hold."""
    at = heap.slabs.area.start
    nr_mapped = 0
    nr_spare = 0
    while at < heap.slabs.area.top:
        record, distance = slab_pages.locate(heap, at)
        if distance != 0:
            return 1
        nr_pages = slab_pages.length_of(heap, record)
        has_slab = record.state != NOTHING
        if has_slab and Cache(heap.m, record.cache).nr_pages != nr_pages:
            return 1
        code = check_slab(heap, record) if has_slab else OK
        if code == OK and has_slab and not are_pages_alike(heap, record):
            code = 8
        is_spare = not has_slab and record.colour == SPARE
        if code == OK:
            code = check_pages(heap, at, nr_pages, has_slab or is_spare)
        if code != OK:
            return code
        nr_spare += is_spare * nr_pages
        nr_mapped += (has_slab or is_spare) * nr_pages
        at = VirtAddr(at + (nr_pages << PAGE_SHIFT))
    is_right = nr_mapped == heap.slabs.area.nr_mapped and nr_spare == heap.slabs.area.nr_spare == count_spare(heap)
    return OK if is_right else 7


@kernel
def count_spare(heap: Heap) -> word:
    """How many pages the lists of spare runs have; -1 when a run is not spare or not of its list's length."""
    nr_pages = 0
    for length in range(NR_RUN_LENGTHS):
        at = heap.slabs.area.spare[length]
        while at != 0:
            record = SlabRecord(heap.m, at)
            if record.state != NOTHING or record.colour != SPARE or slab_pages.length_of(heap, record) != 1 << length:
                return -1
            nr_pages += 1 << length
            at = record.next
    return nr_pages


@kernel
def check_slab(heap: Heap, record: SlabRecord) -> word:
    """SLAB-2 and SLAB-3 of one slab, and what SLAB-9 says of it."""
    cache = Cache(heap.m, record.cache)
    nr_free = 0
    for index in range(NR_SLAB_WORDS):
        if record.free[index] & ~cache.all_free[index] != 0:
            return 2
    nr_free = cache.nr_objects - slab.nr_used(heap, cache, record)
    if (record.state == CURRENT) != (cache.current == record.addr):
        return 3
    if record.state == CURRENT:
        return OK
    loaded = cache.top - magazine.bottom_of(cache)
    if not 0 <= loaded <= NR_ROUNDS * Round.SIZE or loaded % Round.SIZE != 0:
        return 9
    nr_rounds = magazine.nr_of(cache, record, magazine.nr_rounds(cache))
    wanted = PARTIAL
    if nr_free == cache.nr_objects:
        wanted = EMPTY
    elif nr_free == nr_rounds:
        wanted = FULL
    if record.state != wanted:
        return 3
    return OK if nr_rounds == 0 or wanted != EMPTY else 9


@kernel
def are_pages_alike(heap: Heap, record: SlabRecord) -> bool:
    """SLAB-8 of one slab."""
    cache = Cache(heap.m, record.cache)
    for number in range(cache.nr_pages):
        page = SlabRecord(heap.m, VirtAddr(record.addr + number * SlabRecord.SIZE))
        if page.colour != record.colour or page.reciprocal != cache.reciprocal:
            return False
    return record.colour <= cache.last_colour


@kernel
def check_pages(heap: Heap, start: VirtAddr, nr_pages: word, wanted: bool) -> word:
    """SLAB-6 of one run."""
    return OK if heap.config.pages.are_as(heap, start, VirtAddr(start + (nr_pages << PAGE_SHIFT)), wanted) else 6


@kernel
def count_list(heap: Heap, first: VirtAddr, state: word) -> word:
    """How many slabs a list has; -1 when one of them is not of that state, or links do not agree."""
    count = 0
    previous = VirtAddr(0)
    at = first
    while at != 0:
        record = SlabRecord(heap.m, at)
        if record.state != state or record.previous != previous:
            return -1
        previous = at
        at = record.next
        count += 1
    return count


@kernel
def check_cache(heap: Heap, cache: Cache) -> word:
    """SLAB-4, SLAB-5 and SLAB-9, once the records are right: 0, or the number of the first that does not hold."""
    nr_slabs = 0
    nr_partial = 0
    nr_empty = 0
    at = heap.slabs.area.start
    while at < heap.slabs.area.top:
        record, _ = slab_pages.locate(heap, at)
        if record.state != NOTHING and record.cache == cache.addr:
            nr_slabs += 1
            nr_partial += record.state == PARTIAL
            nr_empty += record.state == EMPTY
        at = VirtAddr(at + (slab_pages.length_of(heap, record) << PAGE_SHIFT))
    if count_list(heap, cache.partial, PARTIAL) != nr_partial or count_list(heap, cache.empty, EMPTY) != nr_empty:
        return 4
    if nr_slabs != cache.nr_slabs or nr_empty != cache.nr_empty or nr_empty > cache.max_empty:
        return 5
    for number in range(magazine.nr_rounds(cache)):
        if not is_round(heap, cache, number):
            return 9
    return OK


@kernel
def is_round(heap: Heap, cache: Cache, number: word) -> bool:
    """What SLAB-9 says of one object of the magazine."""
    of = cache.rounds[number]
    record = magazine.record_of(of)
    if not slab_pages.is_record(heap, record.addr) or not slab_pages.has(heap, of.ptr):
        return False
    found, distance, index = slab.find(heap, of.ptr)
    if found.addr != record.addr or record.state == NOTHING or record.cache != cache.addr:
        return False
    if not slab.is_object(cache, distance, index, cache.nr_objects):
        return False
    word_at = VirtAddr(record.addr + offset_of(SlabRecord, 'free') + 8 * (index >> 6))
    if magazine.word_of(of) != word_at or magazine.bit_of(of) != index & 63:
        return False
    for earlier in range(number):
        if cache.rounds[earlier].place == of.place:
            return False
    return shr_logical(record.free[index >> 6], index & 63) & 1 != 0


@kernel
def check_area(heap: Heap) -> word:
    """SLAB-6 of the records."""
    area = heap.slabs.area
    return OK if heap.config.pages.are_as(heap, area.records, area.records_end, True) else 6
