"""What a configuration of a heap names: the designs of which a heap is put together.

    objects     who serves requests: first fit, size classes, or a file of one's own
    pages       who has the pages: the kernel, or the process that the heap is in
    text        where reports go
    damage      what is said about damage

A design of `objects` has to have six functions (init, alloc, free, usable_bytes, used_bytes and check) and the bytes of
its state. For all else defaults.py has what is right for a design that cannot do it; constants say what one can do.
One of `pages` has to have map_fresh, unmap_and_free and two constants; the rest is in page_defaults.py.
"""

from typing import Protocol

from incroos.kernel.state import Heap, Tag
from incroos.lang import VirtAddr, word


class HeapDesign(Protocol):
    """Who serves requests. Where the state of the design lies: state.design_state."""

    STATE_BYTES: int  # of its state, at most HEAP_STATE_BYTES
    # These are for designs whose state is Heap's own fields, as those of the package: others say False.
    HAS_SLABS: bool  # small requests are objects of slabs, and caches can be had
    HAS_CHUNKS: bool  # others are chunks, whose headers reports can read
    HAS_FIRST_FIT: bool  # the chunks are those of first fit, and not of best fit
    HAS_WHOLE_PAGES: bool  # a request that no slab serves gets whole pages
    HAS_FIGURES: bool  # it counts for HeapFigures
    NEEDS_MODERN_SPACE: bool  # in a kernel

    def init(self, heap: Heap) -> None:
        """Begin with an empty heap that owns addresses and no frame. All bytes of the state are 0."""

    def alloc(self, heap: Heap, nbytes: word) -> VirtAddr:
        """Give nbytes bytes at an address that is a multiple of 16; 0 when that cannot be, and nothing has changed.

        nbytes may be anything: 2**63 and more arrive as negative words.
        """

    def free(self, heap: Heap, ptr: VirtAddr) -> word:
        """Take back what was given; 0 does nothing. BAD_FREE, and nothing changed, for all else."""

    def usable_bytes(self, heap: Heap, ptr: VirtAddr) -> word:
        """How many bytes there are at what was given, at least those asked for; 0 for every other pointer."""

    def used_bytes(self, heap: Heap) -> word:
        """Bytes that are handed out, headers and rounding included."""

    def check(self, heap: Heap) -> word:
        """0, or the number of the first invariant that does not hold."""

    # defaults.py has these
    def alloc_aligned(self, heap: Heap, alignment: word, nbytes: word) -> VirtAddr:
        """As alloc, at a multiple of the alignment, a power of two above 16."""

    def alignment_of(self, heap: Heap, ptr: VirtAddr) -> word:
        """The alignment with which what was given was asked for, where no tag tells it; 1 without one."""

    def fits_in_place(self, heap: Heap, ptr: VirtAddr, have: word, nbytes: word) -> bool:
        """Whether nbytes bytes can be had at ptr, where there are `have` bytes; makes them fit."""

    def grow_large(self, heap: Heap, ptr: VirtAddr, have: word, nbytes: word, alignment: word) -> VirtAddr:
        """Give a large block at ptr, of `have` bytes, room for nbytes, and move its pages where it cannot stay.

        It keeps this alignment, and the one that the design notes. 0, and nothing changed, if that cannot be.
        """

    def bring_large(self, heap: Heap, owner: Heap, ptr: VirtAddr, have: word, nbytes: word) -> tuple[VirtAddr, word]:
        """The same for a block of another heap of the design, in this one; and OK if the caller may free it there."""

    def cost_of(self, heap: Heap, ptr: VirtAddr, usable: word) -> word:
        """How much of used_bytes is for what was given at ptr, where there are `usable` bytes, in builds with tags."""

    def owns(self, heap: Heap, ptr: VirtAddr) -> bool:
        """Whether an address lies in the heap's ranges."""

    def committed_bytes(self, heap: Heap) -> word:
        """Bytes of the pages that have frames; whole ranges of pages are among their owner's."""

    def free_bytes(self, heap: Heap) -> word:
        """Bytes that can be had before the range must grow, with frames or without; used_bytes is not among them."""

    def unused_from(self, heap: Heap) -> VirtAddr:
        """What is handed out next has not been used since its pages were mapped from there on, but for headers."""

    def shrink(self, heap: Heap) -> word:
        """Give back frames that nothing lies in; how many bytes."""


class HeapPages(Protocol):
    """Who has the pages of a heap."""

    HAS_FRAMES: bool  # pages are mapped to frames of the kernel, and counted
    HAS_FIXED_RANGES: bool  # the configuration says where the ranges are, and not the place of the heap
    HAS_LARGE_RANGES: bool  # whole ranges of pages can be had, too
    HAS_HOLES: bool  # pages between others can be emptied, and read as zeros when they are next touched
    CAN_MOVE: bool  # pages can be moved without a copy of what they hold
    HAS_ZEROS: bool  # fresh pages read as zeros
    PIECE_BYTES: int  # pages are mapped in pieces of so many bytes, where the caller has no better measure

    def range_of(self, heap: Heap, which: word) -> tuple[VirtAddr, word]:
        """Where the heap's chunks, slabs or records of slabs (ranges.py) begin, and how many bytes they may have."""

    def map_fresh(self, heap: Heap, start: VirtAddr, end: VirtAddr, limit: VirtAddr) -> word:
        """Let there be pages at [start, end) of a range that ends at the limit, writable and never executed.

        A code, and nothing changed, if that cannot be. Never by a page fault, so that running out of frames is a code.
        """

    def map_ahead(self, heap: Heap, start: VirtAddr, end: VirtAddr, limit: VirtAddr, used_bytes: word) -> VirtAddr:
        """The same for pages that will be touched in a row, and more of them where that pays; where they end.

        `start` if not even [start, end) can be. used_bytes is what is in use.
        """

    def unmap_and_free(self, heap: Heap, start: VirtAddr, end: VirtAddr) -> word:
        """Give back the pages of [start, end); a code, and nothing changed, if that cannot be."""

    def empty(self, heap: Heap, start: VirtAddr, end: VirtAddr) -> word:
        """Give back what the pages hold, where HAS_HOLES; OK only if they read as zeros now."""

    def renew(self, heap: Heap, start: VirtAddr, end: VirtAddr) -> word:
        """Let there be fresh pages in the place of those at [start, end). Else a code, and they must not be used."""

    def move(self, heap: Heap, start: VirtAddr, end: VirtAddr, to: VirtAddr, to_end: VirtAddr) -> word:
        """Move what pages hold to others of the heap, [to, to_end), where CAN_MOVE. Behind it these are fresh.

        NO_FRAME: nothing has changed. NO_ADDRESSES: the same, but the pages of [to, to_end) are lost. NOT_MAPPED: what
        they hold was moved, and the pages of [start, end) are lost.
        """

    def are_as(self, heap: Heap, start: VirtAddr, end: VirtAddr, wanted: bool) -> bool:
        """Whether all pages of [start, end) have frames, or none has: for checkers."""

    def take_large(self, heap: Heap, nbytes: word) -> VirtAddr:
        """A range of whole pages of its own for nbytes bytes, more than 0; 0 when that cannot be."""

    def give_large(self, heap: Heap, ptr: VirtAddr) -> word:
        """Take such a range back; BAD_FREE, and nothing changed, for all else."""

    def large_bytes(self, heap: Heap, ptr: VirtAddr) -> word:
        """How many bytes such a range has; 0 for every other pointer."""


class HeapText(Protocol):
    """Where the words of a heap go."""

    def put_text(self, heap: Heap, text: bytes) -> None:
        """Put the characters of text."""

    def put_hex(self, heap: Heap, value: word) -> None:
        """Put 0x and the 64 bits of value as 16 hexadecimal digits."""

    def put_decimal(self, heap: Heap, value: word) -> None:
        """Put a number that is not negative in decimal digits."""

    def panic(self, heap: Heap, site: bytes, a: word, b: word, c: word) -> None:
        """End the machine, or the process, with a sentence and three words. Never returns."""


class DamageReport(Protocol):
    """What is said about damage before the panic. Each function never returns."""

    def end_with(self, heap: Heap, what: bytes, addr: VirtAddr, found: word, block: VirtAddr) -> None:
        """Report what was found at an address, which lies in or beside a block."""

    def end_with_tag(self, heap: Heap, what: bytes, addr: VirtAddr, found: word, of: Tag) -> None:
        """Report what was found at an address in or beside a block that is known by its tag."""

    def end_with_call(self, heap: Heap, what: bytes, addr: VirtAddr, site: word) -> None:
        """Report a call with a wrong address."""
