"""Each design of the heap against a list of intervals, in every place: Hypothesis makes up what users do.

INCROOS_BUDGET=full makes up more of it.
"""

from contextlib import ExitStack
from typing import Any, Final

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    MultipleResults,
    RuleBasedStateMachine,
    consumes,
    invariant,
    multiple,
    precondition,
    rule,
)

from incroos.kernel.codes import BAD_FREE
from incroos.kernel.config import FULL as FULL_HARDENING
from incroos.kernel.heap.chunk import first_fit

from ...budget import FULL
from ..drivers import open_driver
from .heap_builds import HEAP_BUILDS

CHECKS: Final = ('check_heap', 'check_vmm', 'check_pmm', 'check_vmalloc')
SIZES: Final = st.one_of(
    st.integers(1, 64), st.integers(1, 1100), st.integers(1000, 20_000), st.sampled_from([1024, 1025, 4072, 1 << 20])
)
LARGE: Final = (1 << 20) + 1
ALIGNMENTS: Final = st.sampled_from([1, 2, 16, 32, 64, 256, 4096, 8192])
SEEN: Final = 96  # bytes at both ends of a payload that are written and read
MOST_LIVE: Final = 4 << 20  # bytes; each heap has room for these, however they lie


class HeapAgainstIntervals(RuleBasedStateMachine):
    """Each block that is handed out is an interval; its ends have a byte of its own."""

    place: str
    design: str
    blocks: Bundle[int] = Bundle('blocks')

    def __init__(self) -> None:
        super().__init__()
        self.closing = ExitStack()
        self.driver = self.closing.enter_context(open_driver(self.place, 64 << 20, HEAP_BUILDS[self.design]))
        self.call = self.driver.call
        self.live: dict[int, tuple[int, int, int]] = {}  # bytes, alignment, byte
        self.config = HEAP_BUILDS[self.design].config
        self.before = self.nr_frames()

    def nr_frames(self) -> int:
        """All that are free, tables, the heap's or vmalloc's."""
        nr_free = self.call('nr_free_frames') + self.call('nr_free_pool_frames')
        kernel = self.driver.kernel
        return nr_free + kernel.space.nr_tables + (self.call('committed_bytes') >> 12) + kernel.vmalloc.nr_pages

    # -------------------------------------------------------------- allocate
    def has_room(self) -> bool:
        """Whether one more request of the largest size must be granted."""
        return sum(nbytes for nbytes, _, _ in self.live.values()) <= MOST_LIVE - LARGE

    @precondition(has_room)
    @rule(target=blocks, nbytes=SIZES, byte=st.integers(0, 255))
    def kmalloc(self, nbytes: int, byte: int) -> int:
        return self.take(self.call('kmalloc', nbytes), nbytes, 1, byte)

    @precondition(has_room)
    @rule(target=blocks, byte=st.integers(0, 255))
    def kmalloc_large(self, byte: int) -> int:
        return self.take(self.call('kmalloc', LARGE), LARGE, 1, byte)

    @precondition(has_room)
    @rule(target=blocks, nbytes=SIZES)
    def kzalloc(self, nbytes: int) -> int:
        return self.take_zeroed(self.call('kzalloc', nbytes), nbytes)

    @precondition(has_room)
    @rule(target=blocks, nr_items=st.integers(1, 40), nbytes=st.integers(1, 100))
    def kcalloc(self, nr_items: int, nbytes: int) -> int:
        return self.take_zeroed(self.call('kcalloc', nr_items, nbytes), nr_items * nbytes)

    @precondition(has_room)
    @rule(target=blocks, alignment=ALIGNMENTS, nbytes=SIZES, byte=st.integers(0, 255))
    def kmemalign(self, alignment: int, nbytes: int, byte: int) -> int | MultipleResults[int]:
        ptr = self.call('kmemalign', alignment, nbytes)
        if self.config.objects is first_fit and alignment > 16:
            assert ptr == 0
            return multiple()
        return self.take(ptr, nbytes, alignment, byte)

    @rule(target=blocks, nbytes=SIZES, refused=st.integers(1, 4))
    def kmalloc_while_a_frame_is_refused(self, nbytes: int, refused: int) -> int | MultipleResults[int]:
        standing = self.call('used_bytes'), self.call('committed_bytes')
        self.call('refuse_at', refused)
        ptr = self.call('kmalloc', nbytes)
        was_refused = self.driver.kernel.frames.requests >= refused
        self.call('refuse_at', 0)
        if ptr != 0:
            return self.take(ptr, nbytes, 1, 0)
        assert was_refused
        assert (self.call('used_bytes'), self.call('committed_bytes')) == standing
        return multiple()

    def take_zeroed(self, ptr: int, nbytes: int) -> int:
        assert self.call('count_other', ptr, 0, nbytes) == 0
        return self.take(ptr, nbytes, 1, 0x5A)

    def take(self, ptr: int, nbytes: int, alignment: int, byte: int) -> int:
        assert ptr != 0
        assert ptr % max(16, alignment) == 0
        assert all(ptr + nbytes <= other or other + size <= ptr for other, (size, _, _) in self.live.items())
        assert self.call('kmalloc_usable_size', ptr) >= nbytes
        seen = min(nbytes, SEEN)
        self.call('fill', ptr, byte, seen)
        self.call('fill', ptr + nbytes - seen, byte, seen)
        self.live[ptr] = nbytes, alignment, byte
        return ptr

    # -------------------------------------------------------------- change and give back
    @precondition(has_room)
    @rule(target=blocks, ptr=consumes(blocks), nbytes=SIZES)
    def krealloc(self, ptr: int, nbytes: int) -> int:
        before, alignment, byte = self.drop(ptr)
        new = self.call('krealloc', ptr, nbytes)
        assert self.call('count_other', new, byte, min(before, nbytes, SEEN)) == 0
        if nbytes >= before:
            seen = min(before, SEEN)
            assert self.call('count_other', new + before - seen, byte, seen) == 0
        return self.take(new, nbytes, alignment, byte)

    @rule(ptr=consumes(blocks))
    def kfree(self, ptr: int) -> None:
        self.drop(ptr)
        assert self.call('kfree', ptr) == 0
        if self.config.hardening != FULL_HARDENING:
            assert self.call('kfree', ptr) == BAD_FREE

    @rule(ptr=blocks, off=st.integers(-300, 300))
    def kfree_of_what_is_no_block(self, ptr: int, off: int) -> None:
        if ptr + off not in self.live and self.config.hardening != FULL_HARDENING:
            assert self.call('kfree', ptr + off) == BAD_FREE
            assert self.call('kmalloc_usable_size', ptr + off) == 0

    @rule()
    def shrink(self) -> None:
        before = self.call('committed_bytes')
        assert before - self.call('committed_bytes') <= self.call('shrink') <= before

    def drop(self, ptr: int) -> tuple[int, int, int]:
        nbytes, alignment, byte = self.live.pop(ptr)
        seen = min(nbytes, SEEN)
        assert self.call('count_other', ptr, byte, seen) == 0
        assert self.call('count_other', ptr + nbytes - seen, byte, seen) == 0
        return nbytes, alignment, byte

    # -------------------------------------------------------------- always
    @invariant()
    def the_heap_is_in_order(self) -> None:
        assert self.call('check_heap') == 0
        assert self.call('used_bytes') >= sum(nbytes for nbytes, _, _ in self.live.values())
        assert self.nr_frames() == self.before

    def teardown(self) -> None:
        try:
            for ptr in list(self.live):
                self.drop(ptr)
                assert self.call('kfree', ptr) == 0
            self.call('shrink')
            assert self.call('used_bytes') == 0
            assert [self.call(name) for name in CHECKS] == [0, 0, 0, 0]
            assert self.nr_frames() == self.before
        finally:
            self.closing.close()


def machine(design: str, place: str, nr_examples: int, nr_steps: int) -> Any:
    """The test of a design in a place."""
    name = f'{design}_{place}'
    kind: Any = type(name, (HeapAgainstIntervals,), {'design': design, 'place': place})
    found = kind.TestCase
    found.settings = settings(
        max_examples=nr_examples * (20 if FULL else 1),
        stateful_step_count=nr_steps,
    )
    return found


TestKmallocInSim = machine('kmalloc', 'sim', 4, 30)
TestKmallocInJit = machine('kmalloc', 'jit', 4, 50)
TestKmallocInQemu = machine('kmalloc', 'qemu', 3, 50)
TestFirstFitInJit = machine('first-fit', 'jit', 4, 50)
TestFirstFitInQemu = machine('first-fit', 'qemu', 3, 50)
TestChunksInSim = machine('chunks', 'sim', 3, 30)
TestChunksInJit = machine('chunks', 'jit', 4, 50)
TestSlabsInJit = machine('slabs', 'jit', 4, 50)
TestFullInSim = machine('kmalloc, full', 'sim', 3, 30)
TestFullInJit = machine('kmalloc, full', 'jit', 4, 50)
