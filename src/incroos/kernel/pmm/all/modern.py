"""All of RAM: what frames.py hands out in config `modern`, from the blocks of the whole machine.

Unit: the frame, named by its physical address. Frames come in three steps while the kernel starts:

    early tables   from the boot pool, which the boot code mapped; their notes are in the Kernel struct for good
    early memory   from the end of the largest piece of RAM below 1 GiB: the metadata and the first records
    blocks         everything else, from the moment when the metadata is open; also what is left of the boot pool

Knows nothing of virtual addresses but where the metadata and the records are; vmm maps them.
"""

from typing import Final

from incroos.kernel.codes import FOREIGN, MISALIGNED, NO_FRAME, OK, RESERVED, WRONG_BLOCK
from incroos.kernel.config import MODERN_SPACE
from incroos.kernel.io.panic import panic
from incroos.kernel.layout import (
    BOOT_MAP_END,
    FIRST_PIECE_END,
    PAGE_BYTES,
    PAGE_SHIFT,
)
from incroos.kernel.pmm import bitmap
from incroos.kernel.pmm.all import blocks, frame_database, zeroing
from incroos.kernel.pmm.memory_kinds import RAM
from incroos.kernel.state import FrameRecord, Kernel, Records, TableRecord
from incroos.lang import Machine, Pfn, PhysAddr, VirtAddr, cold, inlined, kernel, offset_of, word

# PMM-5   the blocks are in order               1001 on: 1000 + BLOCKS invariant

SPACE: Final = MODERN_SPACE
BLOCKS_INVARIANTS: Final = 1000
PAGE_OWNER: Final = 1  # in a block's record: a frame that alloc_page gave, or a page table
TABLE_OWNER: Final = 2


# ------------------------------------------------------------------ early memory
@kernel
def init(k: Kernel) -> None:
    """Find the piece of RAM that early memory comes from. The fields are 0 before."""
    for index in range(k.memory_map.nr_regions):
        region = k.memory_map.regions[index]
        start = max(region.start, BOOT_MAP_END)
        end = min(region.end, FIRST_PIECE_END)
        if region.kind == RAM and end - start > k.frames.early_end - k.frames.early_start:
            k.frames.early_start = PhysAddr(start)
            k.frames.early_end = PhysAddr(end)
    k.frames.early_limit = k.frames.early_end


@kernel
def take_early(k: Kernel, nbytes: word, alignment: word, offset: word) -> PhysAddr:
    """So many bytes, whole frames, of early memory, at `offset` behind a multiple of the alignment; NO_FRAME."""
    start = k.frames.early_end - nbytes
    start -= (start - offset) % alignment
    if start < k.frames.early_start:
        return PhysAddr(NO_FRAME)
    k.frames.early_end = PhysAddr(start)
    return PhysAddr(start)


# ------------------------------------------------------------------ the metadata
@kernel
def nr_frames(k: Kernel) -> word:
    """The PFNs of all RAM are below it, but for what lies beyond the last record: nobody uses or maps that."""
    end = 0
    for index in range(k.memory_map.nr_regions):
        region = k.memory_map.regions[index]
        if region.kind == RAM:
            end = region.end
    return min(end >> PAGE_SHIFT, frame_database.MAX_FRAMES)


@kernel
def metadata_bytes(k: Kernel) -> word:
    """How much memory the metadata takes at config.frame_metadata: whole pages."""
    return (blocks.metadata_bytes(k.blocks, nr_frames(k)) + PAGE_BYTES - 1) & -PAGE_BYTES


@kernel
def open_metadata(k: Kernel) -> None:
    """Begin the metadata, which is mapped, without RAM."""
    blocks.init(k.blocks, VirtAddr(k.config.frame_metadata), VirtAddr(k.config.frame_records), nr_frames(k))


@kernel
def add_ram(k: Kernel, start: PhysAddr, end: PhysAddr) -> None:
    """Call [start, end) free; its records are mapped. Leaves out what early memory has given."""
    add_whole(k, start, PhysAddr(min(end, k.frames.early_end)))
    add_whole(k, PhysAddr(max(start, k.frames.early_limit)), end)


@kernel
def add_whole(k: Kernel, start: PhysAddr, end: PhysAddr) -> None:
    """Call [start, end) free, if it is anything."""
    first = start >> PAGE_SHIFT
    behind = min(end >> PAGE_SHIFT, nr_frames(k))
    if first < behind:
        blocks.add_ram(k.blocks, Pfn(first), Pfn(behind))


@kernel
def add_pool(k: Kernel) -> None:
    """Call free what is left of the boot pool, the records of which are mapped; from now on it has nothing."""
    pa = bitmap.take(k.frames.pool)
    while pa >= 0:
        add_whole(k, pa, PhysAddr(pa + PAGE_BYTES))
        pa = bitmap.take(k.frames.pool)


# ------------------------------------------------------------------ pages
@kernel
def take_frame(k: Kernel) -> PhysAddr:
    """A frame with whatever its last owner left in it; NO_FRAME."""
    pfn = blocks.alloc_frame(k.blocks, PAGE_OWNER)
    if k.config.counters != 0 and pfn >= 0:
        k.counters.allocs += 1
    return PhysAddr(pfn << PAGE_SHIFT if pfn >= 0 else pfn)


@kernel
def take_huge(k: Kernel) -> PhysAddr:
    """The same for 512 frames in a row, at a multiple of 2 MiB."""
    frames = k.blocks
    pfn = blocks.alloc_block(frames, frames.preferred, frame_database.HUGE_ORDER, PAGE_OWNER)
    if k.config.counters != 0 and pfn >= 0:
        k.counters.allocs += frame_database.HUGE_FRAMES
    return PhysAddr(pfn << PAGE_SHIFT if pfn >= 0 else pfn)


@kernel
def part_huge(k: Kernel, pa: PhysAddr) -> None:
    """Let what take_huge gave be 512 frames of take_frame, each mapped once: they are freed one by one."""
    blocks.part_huge(k.blocks, Pfn(pa >> PAGE_SHIFT), PAGE_OWNER)


@kernel
def has_zeroed(k: Kernel) -> bool:
    """Whether a frame was zeroed ahead."""
    return k.frames.are_frames_open != 0 and zeroing.nr_zeroed(k.blocks) != 0


@kernel
def take_zeroed(k: Kernel) -> PhysAddr:
    """A frame that was zeroed ahead; NO_FRAME when none is in stock."""
    pfn = zeroing.alloc_zeroed(k.blocks, PAGE_OWNER)
    if k.config.counters != 0 and pfn >= 0:
        k.counters.allocs += 1
    return PhysAddr(pfn << PAGE_SHIFT if pfn >= 0 else pfn)


@kernel
def zero_ahead(k: Kernel, nr_frames: word) -> word:
    """Zero so many free frames for alloc_page, or as many as there is room for; how many."""
    return zeroing.zero_ahead(k.blocks, VirtAddr(k.config.frame_window), nr_frames)


@kernel
def check_free_page(k: Kernel, pa: PhysAddr) -> word:
    """OK if free_page may have the frame back, else why not."""
    if pa & (PAGE_BYTES - 1) != 0:
        return MISALIGNED
    if is_page(k, pa):
        return OK if bytes_of_page(k, pa) == PAGE_BYTES else WRONG_BLOCK
    return RESERVED if is_table(k, pa) else why_not_free(k, pa)


@kernel
def why_not_free(k: Kernel, pa: PhysAddr) -> word:
    """Why the frame at pa cannot be freed; below 2 MiB, what is in no metadata has a use."""
    code = blocks.why_not_free(k.blocks, Pfn(pa >> PAGE_SHIFT), 0)
    return RESERVED if code == FOREIGN and 0 <= pa < BOOT_MAP_END else code


@kernel
def put_frame(k: Kernel, pa: PhysAddr) -> None:
    """Take back a page's or a table's frame, checked before."""
    if blocks.free_frame(k.blocks, Pfn(pa >> PAGE_SHIFT)) != OK:
        fail_to_free(k, pa)
    if k.config.counters != 0:
        k.counters.frees += 1


@kernel
def put_huge(k: Kernel, pa: PhysAddr) -> None:
    """Take back what take_huge gave."""
    if blocks.free_block(k.blocks, Pfn(pa >> PAGE_SHIFT), frame_database.HUGE_ORDER) != OK:
        fail_to_free(k, pa)
    if k.config.counters != 0:
        k.counters.frees += frame_database.HUGE_FRAMES


@cold
@kernel
def fail_to_free(k: Kernel, pa: PhysAddr) -> None:
    """Who was mapped would be read and written by two owners from now on."""
    record = frame_database.record_of(k.blocks.database, pa >> PAGE_SHIFT)
    words = b'pmm: a frame is freed that is mapped or shared: address, mappings, references'
    panic(k, words, pa, record.nr_mappings, record.nr_references)


@kernel
def bytes_of_page(k: Kernel, pa: PhysAddr) -> word:
    """How much memory was handed out as one, at the frame where it begins; see is_page."""
    return PAGE_BYTES << frame_database.record_of(k.blocks.database, pa >> PAGE_SHIFT).order


@kernel
def is_page(k: Kernel, pa: PhysAddr) -> bool:
    """Whether memory was handed out that begins at the frame round pa, and not as a page table."""
    return is_owned(k, pa, PAGE_OWNER)


@kernel
def is_owned(k: Kernel, pa: PhysAddr, owner: word) -> bool:
    """Whether a used block begins at the frame round pa, of this owner."""
    database = k.blocks.database
    pfn = pa >> PAGE_SHIFT
    return frame_database.is_used(database, pfn) and frame_database.record_of(database, pfn).owner == owner


@kernel
def owner_word(k: Kernel, pa: PhysAddr) -> word:
    """The number that the owner of a page's frame gave it; anything if it gave none."""
    return frame_database.record_of(k.blocks.database, pa >> PAGE_SHIFT).owner_word


@kernel
def set_owner_word(k: Kernel, pa: PhysAddr, owner: word) -> None:
    """Give a page's frame a number of 32 bits, to be kept with it until it is freed."""
    frame_database.record_of(k.blocks.database, pa >> PAGE_SHIFT).owner_word = owner


# ------------------------------------------------------------------ mappings that are counted
@kernel
def add_mapping(k: Kernel, pa: PhysAddr) -> word:
    """One more entry of a page table leads to a page's frame: how many do. Until all are gone it cannot be freed."""
    record = frame_database.record_of(k.blocks.database, pa >> PAGE_SHIFT)
    if record.state != frame_database.USED or record.nr_references == frame_database.MAX_REFERENCES:
        fail_to_count(k, pa)
    record.nr_references += 1
    record.nr_mappings += 1
    return record.nr_mappings


@inlined
@kernel
def add_another_mapping(m: Machine, records: VirtAddr, pa: PhysAddr) -> None:
    """The same of a frame to which an entry leads that is counted: it is a page's, and nothing can be wrong.

    `records` are the database's, had once for many frames. All entries that lead to a frame lie at one address in
    different spaces: there are never 2**32 of them.
    """
    record = Records(m, records).items[pa >> PAGE_SHIFT]
    record.nr_references += 1
    record.nr_mappings += 1


@kernel
def drop_mapping(k: Kernel, pa: PhysAddr) -> word:
    """One entry less leads to it: how many are left."""
    record = frame_database.record_of(k.blocks.database, pa >> PAGE_SHIFT)
    if record.state != frame_database.USED or record.nr_mappings == 0:
        fail_to_count(k, pa)
    record.nr_references -= 1
    record.nr_mappings -= 1
    return record.nr_mappings


@inlined
@kernel
def drop_mapping_to(k: Kernel, records: VirtAddr, pa: PhysAddr, behind: PhysAddr) -> bool:
    """The same of a frame that becomes the first of a list, before the one `behind`, if no entry leads to it: whether.

    `records` are the database's, had once for many frames.
    """
    record = Records(k.m, records).items[pa >> PAGE_SHIFT]
    nr_mappings = record.nr_mappings
    if record.state != frame_database.USED or nr_mappings == 0:
        fail_to_count(k, pa)
    record.nr_references -= 1
    record.nr_mappings = nr_mappings - 1
    if nr_mappings != 1:
        return False
    record.owner_word = behind >> PAGE_SHIFT
    return True


@cold
@kernel
def fail_to_count(k: Kernel, pa: PhysAddr) -> None:
    """The frame is nobody's, or nobody mapped it."""
    record = frame_database.record_of(k.blocks.database, pa >> PAGE_SHIFT)
    words = b'pmm: a mapping begins or ends that cannot be: address, mappings, references'
    panic(k, words, pa, record.nr_mappings, record.nr_references)


@kernel
def nr_mappings(k: Kernel, pa: PhysAddr) -> word:
    """How many entries lead to the page's frame, of those that are counted."""
    return frame_database.record_of(k.blocks.database, pa >> PAGE_SHIFT).nr_mappings


# ------------------------------------------------------------------ tables
@kernel
def take_table(k: Kernel, level: word) -> PhysAddr:
    """A frame to be a page table, as its last owner left it: of the pool until the metadata is open; NO_FRAME."""
    if k.frames.are_frames_open == 0:
        pa = bitmap.take(k.frames.pool)
        if pa >= 0:
            k.frames.records[pa >> PAGE_SHIFT].level = level
        return pa
    pfn = blocks.alloc_frame(k.blocks, TABLE_OWNER)
    if pfn < 0:
        return PhysAddr(pfn)
    note_table(k, pfn, level)
    return PhysAddr(pfn << PAGE_SHIFT)


@kernel
def note_table(k: Kernel, pfn: Pfn, level: word) -> None:
    """A frame is a page table from now on."""
    if k.config.counters != 0:
        k.counters.allocs += 1
    record = table_record_in(k, pfn)
    record.level = level
    record.nr_entries = 0
    record.nr_references = 0


@kernel
def take_zeroed_table(k: Kernel, level: word) -> PhysAddr:
    """A frame in stock that is full of zeros, to be a page table; NO_FRAME when none is."""
    pfn = zeroing.alloc_zeroed(k.blocks, TABLE_OWNER)
    if pfn < 0:
        return PhysAddr(pfn)
    note_table(k, pfn, level)
    return PhysAddr(pfn << PAGE_SHIFT)


@kernel
def has_kept(k: Kernel) -> bool:
    """Whether a root was put back as it was."""
    return k.frames.are_frames_open != 0 and zeroing.nr_kept(k.blocks) != 0


@kernel
def take_kept_table(k: Kernel, level: word) -> PhysAddr:
    """Such a root; NO_FRAME when there is none."""
    pfn = zeroing.alloc_kept(k.blocks, TABLE_OWNER)
    if pfn < 0:
        return PhysAddr(pfn)
    note_table(k, pfn, level)
    return PhysAddr(pfn << PAGE_SHIFT)


@kernel
def put_kept_table(k: Kernel, pa: PhysAddr) -> bool:
    """Take back a root as it is, if it is a table that may be freed and the stock of such has room."""
    if k.frames.are_frames_open == 0 or not zeroing.put_kept(k.blocks, pa, TABLE_OWNER):
        return False
    if k.config.counters != 0:
        k.counters.frees += 1
    return True


@kernel
def put_zeroed_table(k: Kernel, pa: PhysAddr) -> bool:
    """Take back a table that is full of zeros, if it is one that may be freed and the stock of such has room."""
    if k.frames.are_frames_open == 0 or not zeroing.put_zeroed(k.blocks, pa, TABLE_OWNER):
        return False
    if k.config.counters != 0:
        k.counters.frees += 1
    return True


@kernel
def check_free_table(k: Kernel, pa: PhysAddr) -> word:
    """OK if free_table may have the frame back, else why not; early tables are for ever once the metadata is open."""
    if pa & (PAGE_BYTES - 1) != 0:
        return MISALIGNED
    if k.frames.are_frames_open == 0:
        return OK if is_early_table(k, pa) else RESERVED
    if is_owned(k, pa, TABLE_OWNER):
        return OK
    return RESERVED if is_page(k, pa) else why_not_free(k, pa)


@kernel
def put_table(k: Kernel, pa: PhysAddr) -> None:
    """Take back a table's frame, checked before."""
    if k.frames.are_frames_open == 0:
        k.frames.records[pa >> PAGE_SHIFT].level = 0
        bitmap.put(k.frames.pool, pa)
    else:
        put_frame(k, pa)


@kernel
def is_early_table(k: Kernel, pa: PhysAddr) -> bool:
    """Whether the frame round pa became a table before the metadata was open."""
    return 0 <= pa < BOOT_MAP_END and k.frames.records[pa >> PAGE_SHIFT].level != 0


@kernel
def is_table(k: Kernel, pa: PhysAddr) -> bool:
    """Whether the frame round any pa is a page table."""
    if is_early_table(k, pa):
        return True
    return k.frames.are_frames_open != 0 and is_owned(k, pa, TABLE_OWNER)


@kernel
def record_of(k: Kernel, pa: PhysAddr) -> TableRecord:
    """The record of the table round pa."""
    if is_early_table(k, pa):
        return k.frames.records[pa >> PAGE_SHIFT]
    return table_record_in(k, pa >> PAGE_SHIFT)


@kernel
def table_record_in(k: Kernel, pfn: word) -> TableRecord:
    """A used block has a word in its record for its owner: there."""
    record = frame_database.record_of(k.blocks.database, pfn)
    return TableRecord(k.m, VirtAddr(record.addr + offset_of(FrameRecord, 'owner_word')))


# ------------------------------------------------------------------ counts and the check
@kernel
def is_managed(k: Kernel, pa: PhysAddr) -> bool:
    """Whether there is a record for the frame round any pa."""
    return 0 <= pa >> PAGE_SHIFT < nr_frames(k)


@kernel
def nr_total_frames(k: Kernel) -> word:
    """Frames that blocks have, free or not."""
    return blocks.nr_total_frames(k.blocks)


@kernel
def nr_free_frames(k: Kernel) -> word:
    """Free frames among them."""
    return blocks.nr_free_frames(k.blocks)


@kernel
def check(k: Kernel) -> word:
    """0, or BLOCKS_INVARIANTS and the number of the first one that does not hold."""
    code = blocks.check(k.blocks)
    return code if code == OK else BLOCKS_INVARIANTS + code
