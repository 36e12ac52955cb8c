"""Frame database: what is known of each frame that was handed out or reserved, in a record of 16 bytes.

Unit: the frame, named by its PFN. Knows nothing of zones, and not where the free frames are.

    records   16 bytes a frame; the one of PFN 0 would lie at the address `records`
    known     a byte for each aligned 512 frames, one huge block: which of their records have been written

        NONE    none of them: nobody ever asked for a frame in there
        FIRST   the first one: the huge block was handed out or kept as a whole, or is the start of a larger one
        ALL     all of them

Start-up writes `known` and no record; a huge block's records are written when the first of its frames is wanted. A
record is never read before `known` allows it, so records may be unmapped wherever an aligned 512 frames hold no RAM.
"""

from typing import Final

from incroos.kernel.codes import OK, SHARED, WRONG_BLOCK
from incroos.kernel.state import MAX_ORDER, FrameDatabase, FrameRecord, KnownBytes, Records
from incroos.lang import (
    Pfn,
    VirtAddr,
    cold,
    fill,
    kernel,
    load64,
    store64,
    unsigned_less,
    word,
)

# DATABASE-1  the record of a used or reserved block lies at a multiple of its size, and its order is at most MAX_ORDER
# DATABASE-2  used and reserved blocks do not overlap
# DATABASE-3  a used block has at least one reference
# DATABASE-4  a used block has more references than mappings; where no used block begins, no mapping is counted

HUGE_ORDER: Final = 9
HUGE_FRAMES: Final = 1 << HUGE_ORDER
MAX_FRAMES: Final = (1 << 32) - (1 << MAX_ORDER)  # so that a PFN fits a link, and NO_LINK is none
NO_LINK: Final = (1 << 32) - 1

# known
NONE: Final = 0
FIRST: Final = 1
ALL: Final = 2

# state
INSIDE: Final = 0  # no block that anybody has begins here
USED: Final = 1  # a block begins here that was handed out
ON_LIST: Final = 2  # a block begins here that is on a list of free blocks
KEPT: Final = 3  # a block begins here that is reserved: nobody gets it

# The first eight bytes of a record as one word.
ORDER_SHIFT: Final = 8
OWNER_SHIFT: Final = 16
OWNER_MASK: Final = 0xFFFF << OWNER_SHIFT
ONE_REFERENCE: Final = 1 << 32
MAX_REFERENCES: Final = (1 << 32) - 1
USED_ONCE: Final = USED | ONE_REFERENCE  # of order 0, once its owner is masked

# The other eight.
SECOND_WORD: Final = 8
ONE_MAPPING: Final = 1 << 32


@kernel
def known_bytes(nr_frames: word) -> word:
    """How much memory `known` takes: whole words."""
    return ((nr_frames + HUGE_FRAMES - 1) // HUGE_FRAMES + 7) & ~7


@kernel
def init(database: FrameDatabase, records: VirtAddr, known: VirtAddr, nr_frames: word) -> None:
    """Know nothing of nr_frames <= MAX_FRAMES frames. Writes known_bytes(nr_frames) bytes from `known` on."""
    database.records = records
    database.known = known
    database.nr_frames = nr_frames
    fill(database.m, known, NONE, known_bytes(nr_frames))


@kernel
def record_of(database: FrameDatabase, pfn: word) -> FrameRecord:
    """The record of a frame, wherever it may be; see can_read."""
    return Records(database.m, database.records).items[pfn]


@kernel
def head_of(database: FrameDatabase, pfn: word) -> word:
    """The first eight bytes of the record of a frame."""
    return load64(database.m, record_of(database, pfn).addr)


@kernel
def known_of(database: FrameDatabase, pfn: word) -> word:
    """Which records of the huge block round a frame have been written."""
    return KnownBytes(database.m, database.known).items[pfn >> HUGE_ORDER]


@kernel
def can_read(database: FrameDatabase, pfn: word) -> bool:
    """Whether the record of a frame below nr_frames has been written."""
    known = known_of(database, pfn)
    return known == ALL or (known == FIRST and pfn % HUGE_FRAMES == 0)


@kernel
def open_all(database: FrameDatabase, pfn: word) -> None:
    """Make the records of the huge block round a frame readable."""
    if known_of(database, pfn) != ALL:
        write_all(database, pfn & -HUGE_FRAMES)


@cold
@kernel
def write_all(database: FrameDatabase, first: word) -> None:
    """Write the records of a huge block, all but the first if that one is known."""
    keep = 1 if known_of(database, first) == FIRST else 0
    fill(database.m, record_of(database, first + keep).addr, 0, (HUGE_FRAMES - keep) * FrameRecord.SIZE)
    KnownBytes(database.m, database.known).items[first >> HUGE_ORDER] = ALL


@kernel
def open_record(database: FrameDatabase, pfn: word, order: word) -> FrameRecord:
    """The record of the frame at which a block begins, readable from now on."""
    record = record_of(database, pfn)
    if order < HUGE_ORDER:
        open_all(database, pfn)
    elif known_of(database, pfn) == NONE:
        KnownBytes(database.m, database.known).items[pfn >> HUGE_ORDER] = FIRST
        fill(database.m, record.addr, 0, FrameRecord.SIZE)
    return record


@kernel
def note_used(database: FrameDatabase, pfn: word, order: word, owner: word) -> None:
    """A block is handed out, with one reference."""
    note(database, pfn, order, USED_ONCE | owner << OWNER_SHIFT)


@kernel
def note(database: FrameDatabase, pfn: word, order: word, mark: word) -> None:
    """A block is free no more: it has this state, these references and this owner."""
    record = open_record(database, pfn, order)
    store64(database.m, record.addr, mark | order << ORDER_SHIFT)


@kernel
def part_huge(database: FrameDatabase, first: word, owner: word) -> None:
    """Let each frame of a used huge block be a used block of its own, with one reference and one mapping more."""
    KnownBytes(database.m, database.known).items[first >> HUGE_ORDER] = ALL
    at = record_of(database, first).addr
    for _ in range(HUGE_FRAMES):
        store64(database.m, at, USED_ONCE + ONE_REFERENCE | owner << OWNER_SHIFT)
        store64(database.m, VirtAddr(at + SECOND_WORD), ONE_MAPPING)
        at = VirtAddr(at + FrameRecord.SIZE)


@kernel
def note_free(database: FrameDatabase, pfn: word) -> None:
    """A used or reserved block is nobody's from now on."""
    store64(database.m, record_of(database, pfn).addr, INSIDE)


@kernel
def state_of(database: FrameDatabase, pfn: word) -> word:
    """What begins at a frame, which may be any number."""
    if not unsigned_less(pfn, database.nr_frames) or not can_read(database, pfn):
        return INSIDE
    return record_of(database, pfn).state


@kernel
def is_used(database: FrameDatabase, pfn: word) -> bool:
    """Whether a block begins at the frame that was handed out."""
    return state_of(database, pfn) == USED


@kernel
def find_block_round(database: FrameDatabase, pfn: word) -> word:
    """The first frame of the used or reserved block that a frame lies in; -1."""
    for order in range(MAX_ORDER + 1):
        first = pfn & -(1 << order)
        state = state_of(database, first)
        if (state == USED or state == KEPT) and pfn - first < 1 << record_of(database, first).order:
            return first
    return -1


@kernel
def add_reference(database: FrameDatabase, pfn: Pfn) -> word:
    """One more reference to a used block; how many it has now.

    WRONG_BLOCK where no used block begins; SHARED when the count can go no higher.
    """
    if not is_used(database, pfn):
        return WRONG_BLOCK
    record = record_of(database, pfn)
    if record.nr_references == MAX_REFERENCES:
        return SHARED
    record.nr_references += 1
    return record.nr_references


@kernel
def add_mapping(database: FrameDatabase, pfn: Pfn) -> word:
    """One more entry of a page table leads to a used block, and is a reference; how many do now. Else as in get."""
    code = add_reference(database, pfn)
    if code < 0:
        return code
    record = record_of(database, pfn)
    record.nr_mappings += 1
    return record.nr_mappings


@kernel
def drop_mapping(database: FrameDatabase, pfn: Pfn) -> word:
    """One entry less leads to a used block; how many are left. WRONG_BLOCK where none begins or none leads to it."""
    if not is_used(database, pfn) or record_of(database, pfn).nr_mappings == 0:
        return WRONG_BLOCK
    record = record_of(database, pfn)
    record.nr_references -= 1
    record.nr_mappings -= 1
    return record.nr_mappings


@kernel
def nr_known(database: FrameDatabase, first: word) -> word:
    """How many records of the huge block that begins at a frame can be read."""
    known = known_of(database, first)
    return min(database.nr_frames - first, HUGE_FRAMES) if known == ALL else known


@kernel
def count_frames(database: FrameDatabase) -> tuple[word, word]:
    """Frames in used blocks, and in reserved ones. Looks at all records."""
    nr_used = 0
    nr_kept = 0
    for first in range(0, database.nr_frames, HUGE_FRAMES):
        for pfn in range(first, first + nr_known(database, first)):
            record = record_of(database, pfn)
            state = record.state
            if state == USED:
                nr_used += 1 << record.order
            elif state == KEPT:
                nr_kept += 1 << record.order
    return nr_used, nr_kept


@kernel
def nr_frames_of(database: FrameDatabase, state: word, owner: word) -> word:
    """Frames in blocks of a state and an owner. Looks at all records."""
    total = 0
    for first in range(0, database.nr_frames, HUGE_FRAMES):
        for pfn in range(first, first + nr_known(database, first)):
            record = record_of(database, pfn)
            total += 1 << record.order if record.state == state and record.owner == owner else 0
    return total


@kernel
def check(database: FrameDatabase) -> word:
    """0, or the number of the first DATABASE invariant that does not hold."""
    end = 0  # of the used block that began last
    for first in range(0, database.nr_frames, HUGE_FRAMES):
        for pfn in range(first, first + nr_known(database, first)):
            record = record_of(database, pfn)
            state = record.state
            if state != USED and state != ON_LIST and record.nr_mappings != 0:
                return 4
            if state != USED and state != KEPT:
                continue
            if record.order > MAX_ORDER or pfn % (1 << record.order) != 0:
                return 1
            if pfn < end:
                return 2
            if state == USED and record.nr_references == 0:
                return 3
            if state == USED and record.nr_references <= record.nr_mappings:
                return 4
            end = pfn + (1 << record.order)
    return OK
