"""Slots: what a soak has, and the random numbers that it goes by.

Unit: the slot. Knows nothing of how what is in it is taken and given back.
"""

from typing import Annotated, Final

from incroos.guest.soak.generator import MAX_LIMIT, Generator, draw
from incroos.kernel.codes import NO_FRAME, OK
from incroos.kernel.state import Kernel
from incroos.kernel.vmm import GLOBAL, NX, PRESENT, USER, WRITABLE
from incroos.lang import Array, PhysAddr, Struct, VirtAddr, i64, kernel, load64, store64, u64, word

# What a slot has
NOTHING: Final = 0
FRAME: Final = 1
PAGE: Final = 2
CHUNK: Final = 3
VMALLOCED: Final = 4
RANGE: Final = 5
LARGE_PAGE: Final = 6
OBJECT: Final = 7

# What can be wrong; 0 is nothing
NOT_ZEROED: Final = 1  # a fresh frame has something in it
LOST: Final = 2  # memory does not hold what was written to it
WRONG_ANSWER: Final = 3  # a call answered what it must not
WRONG_TRANSLATION: Final = 4
WRONG_COUNT: Final = 5  # frames, tables or bytes got lost, or there are more than before
HEAP_BROKEN: Final = 6  # an invariant that the part's own check found
FRAMES_BROKEN: Final = 7
PAGES_BROKEN: Final = 8
VMALLOC_BROKEN: Final = 9
SPACE_BROKEN: Final = 10

NR_SLOTS: Final = 1024
NR_CACHES: Final = 4

GIANT_BYTES: Final = 1 << 30


class Slot(Struct):
    """One thing, or nothing."""

    kind: i64
    start: VirtAddr  # where it begins; of a frame, through the frame window
    nbytes: i64
    memory: PhysAddr  # what it is or is mapped to
    hole: VirtAddr  # of a range: [hole, hole_end) is not mapped
    hole_end: VirtAddr
    stamp: i64  # what was written to its first and last word
    cache: VirtAddr  # of an object


class Soak(Struct):
    """See the head of this file."""

    generator: Generator
    nr_operations: u64
    nr_refused: u64  # calls that found no frame, or no room
    nr_frames: u64  # in slots
    balance: i64  # count_frames at the start
    used_bytes: u64  # of the heap, at the start
    caches: Annotated[Array[VirtAddr], NR_CACHES]  # 0 in heaps that have none
    slots: Annotated[Array[Slot], NR_SLOTS]


@kernel
def draw_flags(soak: Soak) -> word:
    """Flags of a page, never both writable and executable."""
    flags = PRESENT
    what = draw(soak.generator, 16)
    if what & 1 != 0:
        flags |= NX
        if what & 2 != 0:
            flags |= WRITABLE
    if what & 4 != 0:
        flags |= USER
    if what & 8 != 0:
        flags |= GLOBAL
    return flags


# ------------------------------------------------------------------ slots
@kernel
def empty(slot: Slot) -> None:
    """Let it have nothing."""
    slot.kind = NOTHING
    slot.start = VirtAddr(0)
    slot.nbytes = 0
    slot.memory = PhysAddr(0)
    slot.hole = VirtAddr(0)
    slot.hole_end = VirtAddr(0)
    slot.stamp = 0
    slot.cache = VirtAddr(0)


@kernel
def keep(slot: Slot, kind: word, start: VirtAddr, nbytes: word, memory: PhysAddr) -> None:
    """Let it have something, of which nothing is written yet."""
    slot.kind = kind
    slot.start = start
    slot.nbytes = nbytes
    slot.memory = memory
    slot.hole = start
    slot.hole_end = start


@kernel
def stamp(k: Kernel, soak: Soak, slot: Slot, at: VirtAddr) -> None:
    """Write to the first and the last word of what begins at `at`."""
    slot.stamp = draw(soak.generator, MAX_LIMIT)
    store64(k.m, VirtAddr(at + ((slot.nbytes - 8) & -8)), slot.stamp)
    store64(k.m, at, ~slot.stamp if slot.nbytes >= 16 else slot.stamp)


@kernel
def has_stamp(k: Kernel, slot: Slot) -> bool:
    """Whether the first and the last word are what was written."""
    last = load64(k.m, VirtAddr(slot.start + ((slot.nbytes - 8) & -8)))
    return last == slot.stamp and load64(k.m, slot.start) == (~slot.stamp if slot.nbytes >= 16 else slot.stamp)


# ------------------------------------------------------------------ answers
@kernel
def refused(soak: Soak, code: word) -> word:
    """OK if the code says that there is no frame, else that it is wrong."""
    soak.nr_refused += 1
    return OK if code == NO_FRAME else WRONG_ANSWER


@kernel
def expect(code: word, wanted: word) -> word:
    """OK if the code is the one that is wanted."""
    return OK if code == wanted else WRONG_ANSWER
