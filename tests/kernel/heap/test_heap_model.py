"""The heap against a list of intervals: Hypothesis makes up what users do, the model says what must be true."""

from contextlib import ExitStack

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, MultipleResults, RuleBasedStateMachine, consumes, invariant, multiple, rule

from incroos.kernel.codes import BAD_FREE
from incroos.kernel.layout import HEAP, HEAP_MAX_BYTES

from ...budget import FULL
from ..drivers import open_driver
from .heap_help import assert_in_order, committed_bytes, free_all, is_payload_kept, nr_used_frames, write_payload

SIZES = st.one_of(st.integers(1, 64), st.integers(1, 600), st.integers(1, 20_000), st.sampled_from([4072, 4073, 4088]))
ALL_BYTES = 256


class HeapAgainstIntervals(RuleBasedStateMachine):
    """Each chunk that is handed out is an interval with a byte that fills it."""

    chunks: Bundle[int] = Bundle('chunks')

    def __init__(self) -> None:
        super().__init__()
        self.closing = ExitStack()
        self.driver = self.closing.enter_context(open_driver('sim'))
        self.live: dict[int, tuple[int, int]] = {}
        self.peak = 0

    @rule(target=chunks, nbytes=SIZES, byte=st.integers(0, 255))
    def kmalloc(self, nbytes: int, byte: int) -> int:
        ptr = self.driver.call('kmalloc', nbytes)
        self.take(ptr, nbytes, byte)
        return ptr

    @rule(target=chunks, nbytes=SIZES, refused=st.integers(1, 4))
    def kmalloc_while_a_frame_is_refused(self, nbytes: int, refused: int) -> int | MultipleResults[int]:
        self.driver.call('refuse_at', refused)
        before = committed_bytes(self.driver)
        ptr = self.driver.call('kmalloc', nbytes)
        was_refused = self.driver.kernel.frames.requests >= refused
        self.driver.call('refuse_at', 0)
        assert (ptr == 0) == was_refused
        if ptr == 0:
            assert committed_bytes(self.driver) == before
            return multiple()
        self.take(ptr, nbytes, 0)
        return ptr

    def take(self, ptr: int, nbytes: int, byte: int) -> None:
        assert ptr % 16 == 0
        assert HEAP <= ptr <= HEAP + HEAP_MAX_BYTES - nbytes
        assert all(ptr + nbytes <= other or other + size <= ptr for other, (size, _) in self.live.items())
        write_payload(self.driver, ptr, nbytes, byte)
        self.live[ptr] = nbytes, byte

    @rule(ptr=consumes(chunks))
    def kfree(self, ptr: int) -> None:
        nbytes, byte = self.live.pop(ptr)
        seen = min(nbytes, ALL_BYTES)
        assert is_payload_kept(self.driver, ptr, seen, byte)
        assert is_payload_kept(self.driver, ptr + nbytes - seen, seen, byte)
        assert self.driver.call('kfree', ptr) == 0
        assert self.driver.call('kfree', ptr) == BAD_FREE

    @rule(ptr=chunks, off=st.integers(-40, 200))
    def kfree_of_what_is_no_chunk(self, ptr: int, off: int) -> None:
        if ptr + off not in self.live:
            assert self.driver.call('kfree', ptr + off) == BAD_FREE

    @invariant()
    def the_heap_is_in_order(self) -> None:
        assert self.driver.call('check_heap') == 0
        sizes = (max(32, -(-(nbytes + 8) // 16) * 16) for nbytes, _ in self.live.values())
        least = sum(sizes)
        assert least <= self.driver.call('used_bytes') <= least + 16 * len(self.live)

    @invariant()
    def frames_are_the_pages_that_chunks_reached(self) -> None:
        self.peak = max(self.peak, self.driver.kernel.heap.first_fit.top)
        pages = -(-(self.peak - HEAP - 8) // 4096) if self.peak > HEAP + 8 else 0
        assert nr_used_frames(self.driver) * 4096 == committed_bytes(self.driver) >= pages * 4096

    def teardown(self) -> None:
        free_all(self.driver, self.live)
        assert self.driver.call('used_bytes') == 0
        assert self.driver.kernel.heap.first_fit.top == HEAP + 8
        assert_in_order(self.driver)
        self.closing.close()


TestHeapAgainstIntervals = HeapAgainstIntervals.TestCase
TestHeapAgainstIntervals.settings = settings(max_examples=200 if FULL else 15, stateful_step_count=40)
