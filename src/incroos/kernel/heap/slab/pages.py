"""Pages for slabs: runs of 1, 2, 4 or 8 pages of one range, each page with a record.

Unit: the page, by its number in the range. Knows nothing of objects. A run that comes back keeps its addresses, on a
list of runs of that length, and its records. Up to a limit it keeps its frames, too, and is spare: the next slab of its
length takes them, or a shorter one of whose length there is no run. What is beyond the limit goes back at once; in a
process, where giving back is a system call, in larger steps, neighbours together.
"""

from typing import Final

from incroos.kernel.codes import OK
from incroos.kernel.config import NO_HARDENING
from incroos.kernel.heap.ranges import map_fresh
from incroos.kernel.layout import PAGE_BYTES, PAGE_SHIFT
from incroos.kernel.state import NR_RUN_LENGTHS, Heap, SlabRecord, host_of
from incroos.lang import VirtAddr, cold, count_trailing_zeros, kernel, word

SPARE: Final = 1  # in the place of a colour, in the first record of a run that is spare
SPARE_FACTOR: Final = 3  # so many times the pages in use are spare at most, beyond config.spare_bytes
LEAST_PATIENCE: Final = 32  # pages
PATIENCE_SHIFT: Final = 5  # and one in 32 of all that the range ever had


@kernel
def init(heap: Heap, records: VirtAddr, start: VirtAddr, max_bytes: word) -> None:
    """Begin without runs in a range that has no frames yet, and with no records; all page-aligned."""
    area = heap.slabs.area
    area.records = records
    area.records_end = records
    area.start = start
    area.top = start
    area.end = VirtAddr(start + max_bytes)
    area.mapped_end = start
    area.nr_mapped = 0
    area.nr_spare = 0
    for index in range(NR_RUN_LENGTHS):
        area.runs[index] = VirtAddr(0)
        area.spare[index] = VirtAddr(0)


@kernel
def locate(heap: Heap, ptr: VirtAddr) -> tuple[SlabRecord, word]:
    """The record of the run that has an address, which lies below the top, and how far behind its start that is."""
    page = page_of(heap, ptr)
    return first_of(page), behind_start(page, ptr)


@kernel
def page_of(heap: Heap, ptr: VirtAddr) -> SlabRecord:
    """The record of the page that has an address, which lies below the top."""
    area = heap.slabs.area
    return SlabRecord(heap.m, VirtAddr(area.records + (ptr - area.start >> PAGE_SHIFT) * SlabRecord.SIZE))


@kernel
def first_of(page: SlabRecord) -> SlabRecord:
    """The record of the first page of a page's run."""
    return SlabRecord(page.m, VirtAddr(page.addr - page.distance * SlabRecord.SIZE))


@kernel
def behind_start(page: SlabRecord, ptr: VirtAddr) -> word:
    """How far an address in this page is behind the start of the run."""
    return (ptr & PAGE_BYTES - 1) + (page.distance << PAGE_SHIFT)


@kernel
def address_of(heap: Heap, record: SlabRecord) -> VirtAddr:
    """Where the page of a record is."""
    area = heap.slabs.area
    return VirtAddr(area.start + ((record.addr - area.records) // SlabRecord.SIZE << PAGE_SHIFT))


@kernel
def length_of(heap: Heap, record: SlabRecord) -> word:
    """How many pages the run of its first record has."""
    area = heap.slabs.area
    end = area.records + ((area.top - area.start) >> PAGE_SHIFT) * SlabRecord.SIZE
    nr_pages = 1
    at = VirtAddr(record.addr + SlabRecord.SIZE)
    while at < end and SlabRecord(heap.m, at).distance == nr_pages:
        nr_pages += 1
        at = VirtAddr(at + SlabRecord.SIZE)
    return nr_pages


@kernel
def has(heap: Heap, ptr: VirtAddr) -> bool:
    """Whether an address lies in a page that is or was a slab's."""
    area = heap.slabs.area
    return heap.config.objects.HAS_SLABS and area.start <= ptr < area.top


@kernel
def is_record(heap: Heap, addr: VirtAddr) -> bool:
    """Whether a record is at an address."""
    area = heap.slabs.area
    return area.records <= addr < area.records_end and (addr - area.records) % SlabRecord.SIZE == 0


@kernel
def take(heap: Heap, nr_pages: word) -> SlabRecord:
    """A run of so many pages with frames; at address 0 when there are no addresses or frames."""
    area = heap.slabs.area
    length = count_trailing_zeros(nr_pages)
    if area.spare[length] != 0:
        return take_spare(heap, length, length)
    record = SlabRecord(heap.m, area.runs[length])
    if record.addr == 0:
        return split_or_extend(heap, length)
    start = address_of(heap, record)
    end = VirtAddr(start + (nr_pages << PAGE_SHIFT))
    if not heap.config.pages.HAS_HOLES and map_fresh(heap, start, end, area.end) != OK:
        return SlabRecord(heap.m, VirtAddr(0))
    if heap.config.hardening != NO_HARDENING and record.next != 0 and not is_record(heap, record.next):
        heap.config.text.panic(
            heap, b'heap: the record of a run of pages is overwritten: record, next', record.addr, record.next, 0
        )
    area.runs[length] = record.next
    area.nr_mapped += nr_pages
    if heap.config.pages.HAS_HOLES:
        host_of(heap).nr_retaken += nr_pages
    return record


@cold
@kernel
def split_or_extend(heap: Heap, length: word) -> SlabRecord:
    """A run of a length of which none is left: what was split is never joined, so no run is split before that."""
    for larger in range(length + 1, NR_RUN_LENGTHS):
        if heap.slabs.area.spare[larger] != 0:
            return take_spare(heap, larger, length)
    return extend(heap, 1 << length)


@kernel
def take_spare(heap: Heap, larger: word, length: word) -> SlabRecord:
    """The first of the spare runs of one length, or its low end; what is left of it are spare runs."""
    area = heap.slabs.area
    record = SlabRecord(heap.m, area.spare[larger])
    area.spare[larger] = record.next
    area.nr_spare -= 1 << length
    for half in range(larger - 1, length - 1, -1):
        rest = SlabRecord(heap.m, VirtAddr(record.addr + (SlabRecord.SIZE << half)))
        begin_run(heap, rest, 1 << half)
        push_spare(heap, rest, half)
    return record


@kernel
def push_spare(heap: Heap, record: SlabRecord, length: word) -> None:
    """Put a run in front of the spare ones of its length."""
    record.colour = SPARE
    record.next = heap.slabs.area.spare[length]
    heap.slabs.area.spare[length] = record.addr


@kernel
def begin_run(heap: Heap, first: SlabRecord, nr_pages: word) -> None:
    """Let the records from this one on be those of a run without a slab."""
    for number in range(nr_pages):
        record = SlabRecord(heap.m, VirtAddr(first.addr + number * SlabRecord.SIZE))
        record.distance = number
        record.state = 0


@kernel
def extend(heap: Heap, nr_pages: word) -> SlabRecord:
    """A run of pages that were never used; at address 0 when there are no addresses or frames."""
    area = heap.slabs.area
    records_before = area.records_end
    nothing = SlabRecord(heap.m, VirtAddr(0))
    first = (area.top - area.start) >> PAGE_SHIFT
    wanted = area.records + (first + nr_pages) * SlabRecord.SIZE
    end = VirtAddr(area.top + (nr_pages << PAGE_SHIFT))
    if wanted > area.records_end:
        piece = heap.config.pages.PIECE_BYTES
        records_end = VirtAddr((wanted + piece - 1) & -piece)
        if map_fresh(heap, area.records_end, records_end, area.start) != OK:
            return nothing
        area.records_end = records_end
    if end > area.mapped_end:
        used_bytes = area.nr_mapped << PAGE_SHIFT
        area.mapped_end = heap.config.pages.map_ahead(heap, area.mapped_end, end, area.end, used_bytes)
    if end > area.mapped_end:
        are_new = records_before < area.records_end
        if are_new and heap.config.pages.unmap_and_free(heap, records_before, area.records_end) == OK:
            area.records_end = records_before
        return nothing
    area.top = end
    area.nr_mapped += nr_pages
    record = SlabRecord(heap.m, VirtAddr(area.records + first * SlabRecord.SIZE))
    begin_run(heap, record, nr_pages)
    return record


@kernel
def put(heap: Heap, record: SlabRecord, nr_pages: word) -> None:
    """Take back a run; it keeps its frames as long as not too many of them are spare."""
    area = heap.slabs.area
    length = count_trailing_zeros(nr_pages)
    most = most_spare(heap)
    if heap.config.pages.HAS_HOLES or area.nr_spare + nr_pages <= most:
        push_spare(heap, record, length)
        area.nr_spare += nr_pages
        if heap.config.pages.HAS_HOLES and area.nr_spare > most + patience(heap):
            give_back(heap, most)
    else:
        release(heap, record, length)
        if area.nr_spare > most_spare(heap):  # so few are left after a while
            release_one(heap)


@kernel
def most_spare(heap: Heap) -> word:
    """How many pages without a slab keep their frames.

    In a process also half of those that were given back and then wanted again: whoever frees all and allocates as much
    again and again soon keeps it.
    """
    area = heap.slabs.area
    most = (heap.config.spare_bytes >> PAGE_SHIFT) + SPARE_FACTOR * (area.nr_mapped - area.nr_spare)
    if heap.config.pages.HAS_HOLES:
        most += host_of(heap).nr_retaken >> 1
    return most


@kernel
def patience(heap: Heap) -> word:
    """So many pages more are spare before the system gets them: a step is dear, and neighbours are one."""
    area = heap.slabs.area
    return LEAST_PATIENCE + ((area.top - area.start) >> PAGE_SHIFT + PATIENCE_SHIFT)


@cold
@kernel
def give_back(heap: Heap, most: word) -> None:
    """Give the frames of spare runs back until so many pages are left: from the top down, neighbours at once."""
    area = heap.slabs.area
    for length in range(NR_RUN_LENGTHS):
        area.spare[length] = VirtAddr(0)
    start = area.top
    end = start
    at = VirtAddr(area.records + (area.top - area.start >> PAGE_SHIFT) * SlabRecord.SIZE)
    while at > area.records:
        last = SlabRecord(heap.m, VirtAddr(at - SlabRecord.SIZE))
        nr_pages = last.distance + 1
        record = first_of(last)
        at = VirtAddr(record.addr)
        if record.state == 0 and record.colour == SPARE:
            length = count_trailing_zeros(nr_pages)
            if area.nr_spare <= most:
                push_spare(heap, record, length)
            else:
                run_end = VirtAddr(address_of(heap, record) + (nr_pages << PAGE_SHIFT))
                if run_end != start:
                    empty(heap, start, end)
                    end = run_end
                start = address_of(heap, record)
                area.nr_spare -= nr_pages
                push_bare(heap, record, length)
    empty(heap, start, end)


@kernel
def empty(heap: Heap, start: VirtAddr, end: VirtAddr) -> None:
    """Give the frames of pages back whose addresses are kept."""
    if start < end:
        heap.config.pages.empty(heap, start, end)


@kernel
def release_one(heap: Heap) -> None:
    """Give the frames of a spare run back. PRE there is one."""
    area = heap.slabs.area
    for length in range(NR_RUN_LENGTHS):
        record = SlabRecord(heap.m, area.spare[length])
        if record.addr != 0:
            area.spare[length] = record.next
            area.nr_spare -= 1 << length
            release(heap, record, length)
            return


@kernel
def release(heap: Heap, record: SlabRecord, length: word) -> None:
    """Give the frames of a run back that is on no list."""
    start = address_of(heap, record)
    end = VirtAddr(start + (PAGE_BYTES << length))
    if heap.config.pages.HAS_HOLES:
        empty(heap, start, end)
    else:
        heap.config.pages.unmap_and_free(heap, start, end)
    push_bare(heap, record, length)


@kernel
def push_bare(heap: Heap, record: SlabRecord, length: word) -> None:
    """Put a run whose frames are given back in front of those of its length."""
    area = heap.slabs.area
    area.nr_mapped -= 1 << length
    record.colour = 0
    record.next = area.runs[length]
    area.runs[length] = record.addr


@kernel
def release_spare(heap: Heap) -> None:
    """Give the frames of all spare runs back."""
    if heap.config.pages.HAS_HOLES:
        give_back(heap, 0)
        host_of(heap).nr_retaken = 0
        return
    while heap.slabs.area.nr_spare != 0:
        release_one(heap)
