"""vmalloc against a list of intervals, with Hypothesis to choose, until frames run out, and with frames refused."""

from contextlib import ExitStack
from typing import Final

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from incroos.kernel.codes import BAD_FREE, NOT_MAPPED, OK
from incroos.kernel.layout import PAGE_BYTES, VMALLOC, VMALLOC_BYTES, VMALLOC_END

from ...budget import FULL
from ..drivers import MODERN_BUILD, open_driver

MEMORY: Final = 4 << 20  # so little that frames run out
CHECKERS: Final = ('check_vmalloc', 'check_vmm', 'check_pmm')


class Vmalloc(RuleBasedStateMachine):
    """Which pages belong to which range; the rest is the kernel's to choose."""

    def __init__(self) -> None:
        super().__init__()
        self.closing = ExitStack()
        self.driver = self.closing.enter_context(open_driver('sim', MEMORY, MODERN_BUILD))
        self.ranges: dict[int, int] = {}
        self.nr_free = self.driver.call('nr_free_frames')

    def call(self, name: str, *words: int) -> int:
        return self.driver.call(name, *words)

    @rule(nr_pages=st.sampled_from([1, 1, 2, 3, 5, 17, 64, 200, 511, 700, 1500]), rest=st.integers(0, PAGE_BYTES - 1))
    def vmalloc(self, nr_pages: int, rest: int) -> None:
        nr_free = self.call('nr_free_frames')
        va = self.call('vmalloc', nr_pages * PAGE_BYTES - rest)
        if va == 0:
            assert nr_free < nr_pages + 2 * (nr_pages // 512 + 3)  # pages, and tables for them
            assert self.call('nr_free_frames') == nr_free
            return
        end = va + nr_pages * PAGE_BYTES
        assert VMALLOC <= va <= end < VMALLOC_END
        for other, nr_others in self.ranges.items():  # a guard lies between any two
            assert end < other or other + nr_others * PAGE_BYTES < va
        assert self.call('get_physical', end) == NOT_MAPPED
        assert self.call('get_physical', end - 1) >= 0
        self.call('fill', va, va >> 12 & 0xFF, nr_pages * PAGE_BYTES)
        self.ranges[va] = nr_pages

    @rule(nbytes=st.sampled_from([0, -1, -1 << 63, VMALLOC_BYTES, (1 << 63) - 1, MEMORY]))
    def ask_for_what_there_is_not(self, nbytes: int) -> None:
        assert self.call('vmalloc', nbytes) == 0

    @rule(nr_pages=st.integers(1, 9), refused=st.integers(1, 4))
    def vmalloc_with_a_frame_refused(self, nr_pages: int, refused: int) -> None:
        nr_free = self.call('nr_free_frames')
        self.call('refuse_at', refused)
        va = self.call('vmalloc', nr_pages * PAGE_BYTES)
        self.call('refuse_at', 0)
        if va:
            assert self.call('vfree', va) == OK
        assert self.call('nr_free_frames') == nr_free

    @precondition(lambda self: self.ranges)
    @rule(at=st.integers(0))
    def vfree(self, at: int) -> None:
        va = sorted(self.ranges)[at % len(self.ranges)]
        nr_pages = self.ranges.pop(va)
        assert self.call('count_other', va, va >> 12 & 0xFF, nr_pages * PAGE_BYTES) == 0
        assert self.call('vfree', va) == OK
        assert self.call('vfree', va) == BAD_FREE
        assert self.call('get_physical', va) == NOT_MAPPED

    @precondition(lambda self: self.ranges)
    @rule(at=st.integers(0), off=st.sampled_from([8, -8, -PAGE_BYTES, 1 << 30]))
    def vfree_wrongly(self, at: int, off: int) -> None:
        va = sorted(self.ranges)[at % len(self.ranges)] + off
        if va not in self.ranges:
            assert self.call('vfree', va) == BAD_FREE

    @invariant()
    def metadata_is_right(self) -> None:
        metadata = self.driver.kernel.vmalloc
        assert (metadata.nr_ranges, metadata.nr_pages) == (len(self.ranges), sum(self.ranges.values()))
        assert [self.call(name) for name in CHECKERS] == [OK] * len(CHECKERS)

    def teardown(self) -> None:
        for va in self.ranges:
            assert self.call('vfree', va) == OK
        assert self.call('nr_free_frames') == self.nr_free
        self.closing.close()


TestVmalloc = Vmalloc.TestCase
TestVmalloc.settings = settings(max_examples=60 if FULL else 6, stateful_step_count=15)
