"""The Kernel struct: all state of the kernel in one place. Its memory is given by whoever starts the kernel.

Nothing here may be taken for zero: the `init` of each part writes every field of its struct. Nothing that differs
between places (times, the address of the start information) is kept, so that the same operations leave the same bytes
everywhere. The invariants of each struct are numbered in the file that owns it.
"""

from typing import Annotated, Final

from incroos.kernel.config import NR_QUARANTINED, KernelConfig
from incroos.kernel.layout import NR_TRACKED_FRAMES, TEXT_COLUMNS, TEXT_ROWS, ZONE_FRAMES
from incroos.lang import Array, PhysAddr, Struct, VirtAddr, i64, u8, u16, u32, u64

NR_ZONES: Final = 3  # pmm/zones.py has them
NR_ORDERS: Final = 19  # blocks have 2**0 to 2**18 frames
NR_KINDS: Final = 10  # pmm/memory_kinds.py has them
MAX_REGIONS: Final = 256  # firmware in the field tells up to some 150; a region takes 24 bytes
NR_KNOWN: Final = 8  # tables of level 1 to which walks came
BITMAP_WORDS: Final = ZONE_FRAMES // 64
SUMMARY_WORDS: Final = BITMAP_WORDS // 64
NR_SMALL_BINS: Final = 64
NR_TREE_BINS: Final = 32
NR_SLAB_WORDS: Final = 4
NR_ROUNDS: Final = 16  # of a magazine
NR_RUN_LENGTHS: Final = 4
HOST_TEXT_BYTES: Final = 1024  # a report of damage to the heap and the line of a panic
NR_CLASSES: Final = 48
HOOK_TEXT_BYTES: Final = 160  # a line of text, or what a panic is about
NR_CLASS_STEPS: Final = 280  # 4,096 bytes in steps of 16, and so many that the caches begin with a line
NR_NAME_BYTES: Final = 24  # of a cache
NR_SIZES: Final = 40  # powers of two that a request may have


class ConsoleState(Struct):
    """Owner: console."""

    row: u32  # of the cursor on the screen
    column: u32
    nr_panics: u64  # panics so far; the second one ends the machine without a word


class Hooks(Struct):
    """Functions in C of whoever the kernel's code is a part of; 0 where there is none. Owner: hooks."""

    context: VirtAddr  # handed to each of them first, to nobody's use but theirs
    write: VirtAddr  # text, its bytes
    panic: VirtAddr  # a PanicReport; does not return
    lock: VirtAddr  # before each call that changes or reads the Kernel struct; what it returns is handed to
    unlock: VirtAddr  # after the call


class PanicReport(Struct):
    """What a panic says: where in the kernel and about what, and three words. Owner: hooks."""

    text: VirtAddr  # ends with a 0
    nbytes: u64  # of it, without the 0
    a: u64
    b: u64
    c: u64


class HookState(Struct):
    """Where config.embedded is set. Owner: hooks, and library for the stage."""

    stage: u64  # how far the start has come
    window: VirtAddr  # where the kernel saw physical address 0 at the start
    hooks: Hooks
    report: PanicReport
    nr_waiting: u64  # characters in `text` that were not handed to the hook yet
    text: Annotated[Array[u8], HOOK_TEXT_BYTES]


class ScreenState(Struct):
    """A framebuffer with text on it, four bytes a pixel. Owner: screen."""

    framebuffer: PhysAddr  # 0: there is none, and the other fields mean nothing
    nbytes: u64  # from the first pixel to the end of the last row
    width: u32  # pixels of a row that are seen
    height: u32  # rows
    pitch: u32  # pixels from one row to the next
    scale: u32  # a letter's dot is so many pixels wide and high
    is_drawing: u64
    cells: Annotated[Array[u8], TEXT_COLUMNS * TEXT_ROWS]  # the characters that are seen


class Region(Struct):
    """[start, end), whole frames of one kind."""

    start: PhysAddr
    end: PhysAddr
    kind: u64


class MemoryMap(Struct):
    """What the address space holds: regions of all kinds in rising order. Owner: pmm.memory_map."""

    nr_regions: u64
    nr_frames: Annotated[Array[u64], NR_KINDS]  # by kind, those that no region has included
    nr_left_out: Annotated[Array[u64], NR_KINDS]  # in regions for which there was no room
    regions: Annotated[Array[Region], MAX_REGIONS]


class FrameBitmap(Struct):
    """Up to 8,192 frames in a row, one bit each. Owner: pmm.bitmap."""

    start: PhysAddr  # of the frame of bit 0
    hint: u64  # the word where the search begins
    nr_total_frames: u64
    nr_free_frames: u64
    summary: Annotated[Array[u64], SUMMARY_WORDS]  # a bit for each word of `free`: is it not 0?
    managed: Annotated[Array[u64], BITMAP_WORDS]  # the frame is RAM and may be handed out
    free: Annotated[Array[u64], BITMAP_WORDS]  # the frame is nobody's


class FrameRecord(Struct):
    """What is known of one frame. Owner: pmm for the level, vmm for the rest."""

    nr_entries: u16  # of a table: entries that are not 0, and 1 more if the boot code made it
    level: u8  # 1 to 5: the frame is a page table of this level; 0: it is not a table
    nr_references: u8  # used inside vmm.check, 0 at all other times


class FrameState(Struct):
    """Owner: pmm."""

    pool: FrameBitmap
    zone: FrameBitmap
    is_zone_mapped: u64  # 1 when frames can be had that are not of the pool
    early_start: PhysAddr  # all_ram: early memory is [early_end, early_limit), and may grow down to early_start
    early_end: PhysAddr
    early_limit: PhysAddr
    requests: u64  # frames asked for so far; counted where config.fault_injection is set
    refuse_at: u64  # the request to be refused, counting from 1; 0 refuses none
    records: Annotated[Array[FrameRecord], NR_TRACKED_FRAMES]  # the frame database: by PFN, from address 0 on


class KnownTable(Struct):
    """A table of level 1 to which somebody walked. Owner: vmm.tables."""

    start: VirtAddr  # the first address about which it decides; tables.NOWHERE: there is no such table
    entry: u64  # that names it, with no more rights than all entries above it are known to grant


class PageState(Struct):
    """Owner: vmm."""

    root: PhysAddr  # the table of the highest level, CR3 without its flags
    root_level: u64  # 4 or 5
    nr_tables: u64  # tables taken from pmm and not given back
    known: Annotated[Array[KnownTable], NR_KNOWN]


class PcidState(Struct):
    """Owner: vmm.pcid."""

    generation: u64  # of the tags that are good, from 1 on
    next: u64  # the PCID that is handed out next


class Counters(Struct):
    """How often things were done, where config.counters is set. Owner: who does them."""

    allocs: u64  # frames and tables that were handed out
    frees: u64
    flushes: u64  # pages that the TLB was told to forget


class ZoneStatistics(Struct):
    """Of one zone, in frames."""

    total: u64
    free: u64
    free_blocks: Annotated[Array[u64], NR_ORDERS]  # by order; those on hot lists do not count


class Statistics(Struct):
    """Figures about memory, in frames where nothing else is said; as they were when somebody asked. Owner: statistics.

    ram == books + reserved_low + reserved_books, books == the sum of the zones' totals. What is no RAM is counted
    by kind in memory_map.nr_frames.
    """

    nr_collected: u64  # how often somebody asked
    ram: u64
    books: u64  # frames that blocks are made of
    free: u64
    pages: u64  # handed out, and no page tables
    kept: u64  # that pmm.frame_ranges has reserved
    tables: u64  # page tables, early ones too
    reserved_low: u64  # below 2 MiB: BIOS data, boot tables, image and state, early page tables
    reserved_books: u64  # the books themselves, and the frames' records
    largest_free_order: i64  # -1 when no block is free
    fragmentation: Annotated[Array[u64], NR_ORDERS]  # free frames that are in no free block of the order, per mille
    mapped: Annotated[Array[u64], 3]  # pages of 4 KiB, 2 MiB and 1 GiB
    splits: u64
    merges: u64
    zones: Annotated[Array[ZoneStatistics], NR_ZONES]


class Host(Struct):
    """The process that a hosted heap is in: what it gave, and C functions that call4 calls. Owner: hosted."""

    slot_bytes: u64  # from the Kernel struct on, all of them the heap's
    release: u64  # (start, nbytes): the pages are given back, and read as zeros when they are next touched
    commit: u64  # (start, nbytes): 0 when the pages can be used; 0 where all can be from the start
    populate: u64  # (start, nbytes): the pages will be touched soon; 0 where the system is not told
    no_memory: u64  # (): there is none for a request; sets errno
    stop: u64  # (text, nbytes): ends the process with a sentence
    nr_chars: u64  # of the sentence
    text: Annotated[Array[u8], HOST_TEXT_BYTES]
    ownership: u64  # hosted.pool has the kinds
    next: VirtAddr  # the next of the heaps that nobody has
    pool: VirtAddr
    unused: Annotated[Array[u64], 8]  # what follows is other threads': it shares no cache line with what is the owner's
    remote: VirtAddr  # the first of the blocks that other threads freed; each has the next one's address in it
    unused_too: Annotated[Array[u64], 8]


class VmallocState(Struct):
    """Owner: vmm.vmalloc."""

    next: VirtAddr  # where the search for a gap begins
    nr_ranges: u64
    nr_pages: u64  # in them, guards not counted


class Chunk(Struct):
    """What the heap keeps in front of a payload, and in the payload while it is nobody's. Owner: heap."""

    header: u64  # a tag, the chunk's bytes, flags
    next: VirtAddr  # the neighbours on the list of free chunks
    previous: VirtAddr


class HeapState(Struct):
    """Owner: heap."""

    top: VirtAddr  # the end of the last chunk
    committed_end: VirtAddr  # the addresses below it have frames
    end: VirtAddr  # the addresses below it are the heap's
    used_bytes: u64  # of the chunks that are handed out
    queue: Chunk  # the head of the list of free chunks
    start: VirtAddr  # of the range, in a process; elsewhere the configuration says it, and this is 0


class SizedChunk(Struct):
    """A chunk of the dlmalloc-style heap; all but the header only while it is free. Owner: heap.chunks."""

    header: u64  # a tag, the chunk's bytes, flags
    next: VirtAddr  # the neighbours of its bin, or of the ring of its size
    previous: VirtAddr
    left: VirtAddr  # from 1,024 bytes on: children in the trie of its bin
    right: VirtAddr
    parent: VirtAddr  # itself at the root; 0 for a chunk on a ring that is no node


class BinState(Struct):
    """Free chunks by size. Owner: heap.bins."""

    small_map: u64  # a bit for each bin: is it not empty?
    tree_map: u64
    small: Annotated[Array[VirtAddr], NR_SMALL_BINS]  # the first chunk of 16 * index bytes
    trees: Annotated[Array[VirtAddr], NR_TREE_BINS]  # the root of the trie


class ChunkState(Struct):
    """Owner: heap.dlmalloc."""

    start: VirtAddr
    top: VirtAddr  # the end of the last chunk
    committed_end: VirtAddr  # the addresses below it have frames
    end: VirtAddr
    reach_bytes: u64  # a chunk less far behind the start has frames for all of its links
    remainder: VirtAddr  # what was left of the chunk that was split last; 0 when it is gone
    remainder_bytes: u64
    used_bytes: u64  # of the chunks that are handed out
    release_from: u64  # in a process: bytes of a chunk that ends from which on its pages are given back
    bins: BinState


class SlabRecord(Struct):
    """What is known of a page of the slabs; of those behind a slab's first only reciprocal, colour and distance.

    Owner: heap.slab.
    """

    free: Annotated[Array[u64], NR_SLAB_WORDS]  # a bit for each object: is it nobody's?
    next: VirtAddr  # records of the neighbours on the cache's list, or on that of free runs
    previous: VirtAddr
    cache: VirtAddr
    reciprocal: u32  # that of the cache
    colour: u16  # how far behind the start of the slab its first object is
    distance: u8  # how many pages the first one of the slab is before this one
    state: u8  # which list the slab is on


class Round(Struct):
    """A free object in the magazine of its cache. Owner: heap.magazine."""

    ptr: VirtAddr
    place: u64  # of its bit: 8 times the address of the word, and the bit's number in it


class Cache(Struct):
    """Objects of one size. Owner: heap.slab."""

    word: VirtAddr  # of bits of the current slab, where objects are taken; `nothing` when there is none
    first: VirtAddr  # the object of its bit 0
    object_bytes: u64
    nr_open: u64  # so many of a slab's objects does kfree take back: all, or none where only cache_free does
    all_free: Annotated[Array[u64], NR_SLAB_WORDS]  # the bits of a slab without used objects; here ends a line
    top: VirtAddr  # of the magazine: where the next round goes
    rounds: Annotated[Array[Round], NR_ROUNDS]  # the magazine: those below top
    nothing: u64  # 0: a word without free objects
    reciprocal: u64  # 2**32 divided by object_bytes, rounded up
    current: VirtAddr  # the record of the current slab, or 0
    partial: VirtAddr  # the first record on each list
    empty: VirtAddr
    nr_objects: u64  # in a slab
    nr_pages: u64  # of a slab
    nr_slabs: u64
    nr_empty: u64  # slabs on the list of empty ones, at most max_empty
    max_empty: u64
    next_colour: u64  # how far behind the start of the next slab its objects begin
    last_colour: u64
    colour_bytes: u64
    allocs: u64  # objects that were handed out, counted where config.counters is set
    nr_cold: u64  # of a size class above 1,024 bytes: requests for which it had no slab


class SlabArea(Struct):
    """Pages for slabs, and their records. Owner: heap.slab_pages."""

    records: VirtAddr
    records_end: VirtAddr  # the records below it have frames
    start: VirtAddr
    top: VirtAddr  # the pages below it were a slab's once
    end: VirtAddr
    ready: VirtAddr  # in a process: the system was asked for the pages below it
    runs: Annotated[Array[VirtAddr], NR_RUN_LENGTHS]  # the first record of a run of 2**index pages without frames
    spare: Annotated[Array[VirtAddr], NR_RUN_LENGTHS]  # the same of runs that have frames and no slab
    nr_mapped: u64  # pages with frames
    nr_spare: u64  # those of spare runs


class SlabState(Struct):
    """Owner: heap.kmalloc."""

    area: SlabArea
    nr_large: u64  # requests that vmalloc serves
    large_bytes: u64
    used_bytes: u64  # of objects that somebody has, counted where config.counters is set
    mark: u64  # how many that may be before the heap has never used so much
    class_of: Annotated[Array[u8], NR_CLASS_STEPS]  # by the size in steps of 16 bytes, rounded up
    caches: Annotated[Array[Cache], NR_CLASSES]


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


class ObjectCache(Struct):
    """A cache that somebody made, for objects of one kind. Owner: heap.caches."""

    slabs: Cache
    next: VirtAddr  # neighbours on the list of all of them
    previous: VirtAddr
    asked_bytes: u64  # of an object, before rounding
    alignment: u64
    template: VirtAddr  # what a fresh object is a copy of; 0: its content is not specified
    constructor: VirtAddr  # a C function that fresh objects are handed to; 0: none
    name: Annotated[Array[u8], NR_NAME_BYTES]  # zeros behind it


class CachesState(Struct):
    """Owner: heap.caches."""

    first: VirtAddr  # of the list of all of them, but for `own`
    nr_caches: u64
    own: ObjectCache  # whose objects are the caches


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


class Kernel(Struct):
    """Everything."""

    config: KernelConfig
    console: ConsoleState
    hooks: HookState
    screen: ScreenState
    memory_map: MemoryMap
    frames: FrameState
    pages: PageState
    pcids: PcidState
    heap: HeapState
    chunks: ChunkState
    slabs: SlabState
    hardening: HardeningState
    quarantine: QuarantineState
    caches: CachesState
    vmalloc: VmallocState
    host: Host
    counters: Counters
    figures: HeapFigures
    statistics: Statistics
