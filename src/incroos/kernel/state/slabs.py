"""Slabs: pages of objects of one size, the caches that have them, and the caches that users make."""

from typing import Annotated, Final

from incroos.lang import Array, Struct, VirtAddr, u8, u16, u32, u64

NR_SLAB_WORDS: Final = 4
NR_ROUNDS: Final = 16  # of a magazine
NR_RUN_LENGTHS: Final = 4
NR_CLASSES: Final = 48
NR_CLASS_STEPS: Final = 272  # 4,096 bytes in steps of 16, and so many that the caches begin with a line
NR_NAME_BYTES: Final = 24  # of a cache


class SlabRecord(Struct):
    """What is known of a page of the slabs; of those behind a slab's first only reciprocal, colour and distance.

    Owner: heap.slab. Lock: cache.
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
    """A free object in the magazine of its cache. Owner: heap.slab.magazine. Lock: cache."""

    ptr: VirtAddr
    place: u64  # of its bit: 8 times the address of the word, and the bit's number in it


class Cache(Struct):
    """Objects of one size. Owner: heap.slab. Lock: cache."""

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
    """Pages for slabs, and their records. Owner: heap.slab.pages. Lock: heap."""

    records: VirtAddr
    records_end: VirtAddr  # the records below it have frames
    start: VirtAddr
    top: VirtAddr  # the pages below it were a slab's once
    end: VirtAddr
    mapped_end: VirtAddr  # pages below it were mapped once; in a kernel it is the top
    runs: Annotated[Array[VirtAddr], NR_RUN_LENGTHS]  # the first record of a run of 2**index pages without frames
    spare: Annotated[Array[VirtAddr], NR_RUN_LENGTHS]  # the same of runs that have frames and no slab
    nr_mapped: u64  # pages with frames
    nr_spare: u64  # those of spare runs


class SlabState(Struct):
    """Owner: heap.size_classes. Lock: heap."""

    area: SlabArea
    nr_large: u64  # requests that vmalloc serves
    large_bytes: u64
    used_bytes: u64  # of objects that somebody has, counted where config.counters is set
    mark: u64  # how many that may be before the heap has never used so much
    class_of: Annotated[Array[u8], NR_CLASS_STEPS]  # by the size in steps of 16 bytes, rounded up
    caches: Annotated[Array[Cache], NR_CLASSES]


class ObjectCache(Struct):
    """A cache that somebody made, for objects of one kind. Owner: heap.caches. Lock: heap."""

    slabs: Cache
    next: VirtAddr  # neighbours on the list of all of them
    previous: VirtAddr
    asked_bytes: u64  # of an object, before rounding
    alignment: u64
    template: VirtAddr  # what a fresh object is a copy of; 0: its content is not specified
    constructor: VirtAddr  # a C function that fresh objects are handed to; 0: none
    name: Annotated[Array[u8], NR_NAME_BYTES]  # zeros behind it


class CachesState(Struct):
    """Owner: heap.caches. Lock: heap."""

    first: VirtAddr  # of the list of all of them, but for `own`
    nr_caches: u64
    own: ObjectCache  # whose objects are the caches
