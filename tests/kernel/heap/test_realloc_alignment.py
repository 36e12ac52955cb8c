"""krealloc keeps the alignment that was asked for, and not the one that an address happens to have; in every design.

An address may be a multiple of far more than its user asked for. A block that moves and keeps all of that takes room up
to the next such address, with frames for each page of it.
"""

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from typing import Any, Final

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, precondition, rule

from incroos.kernel.config import CHEAP, NO_HARDENING
from incroos.kernel.config import FULL as FULL_HARDENING
from incroos.kernel.heap import slabs_and_pages
from incroos.kernel.heap.chunk import first_fit
from incroos.kernel.layout import VMALLOC, VMALLOC_END
from incroos.run.harness import Driver

from ...budget import FULL
from ..drivers import MODERN_BUILD, PLACES, Build, open_driver
from .heap_builds import HEAP_BUILDS

CHECKS: Final = ('check_heap', 'check_vmm', 'check_pmm', 'check_vmalloc')
PAGE: Final = 4096
MIB: Final = 1 << 20
SIZES: Final = st.one_of(st.integers(1, 1100), st.integers(1000, 20_000), st.sampled_from([4072, 70_000, MIB + 1]))
SEEN: Final = 96  # bytes at both ends of a payload that are written and read
MOST_LIVE: Final = 8 << 20  # bytes; each heap has room for these, however they lie


def assert_in_order(driver: Driver) -> None:
    assert [driver.call(name) for name in CHECKS] == [0, 0, 0, 0]


# ------------------------------------------------------------------ what was seen
@pytest.fixture(params=PLACES)
def modern(request: pytest.FixtureRequest) -> Iterator[Driver]:
    with open_driver(request.param, build=MODERN_BUILD) as driver:
        yield driver


def test_a_block_on_a_boundary_of_16_mib_that_asked_for_32_bytes_moves_by_a_page(modern: Driver) -> None:
    """It took 4,105 frames to grow from 2,000 to 3,000 bytes."""
    for nbytes in (*(MIB - 8,) * 15, MIB - 24):
        assert modern.call('kmalloc', nbytes) != 0
    ptr = modern.call('kmemalign', 32, 2000)
    assert ptr % (16 * MIB) == 0
    assert modern.call('kmalloc', 5000) != 0  # in the way
    before = modern.call('nr_free_frames')
    new = modern.call('krealloc', ptr, 3000)
    assert new not in (0, ptr)
    assert new % 32 == 0
    assert before - modern.call('nr_free_frames') <= 1
    assert_in_order(modern)


# ------------------------------------------------------------------ chains of krealloc, in each design and level
class Chains(RuleBasedStateMachine):
    """Blocks of some alignment, also on greater boundaries; whatever a krealloc takes, kmemalign would have taken."""

    place: str
    build: Build
    blocks: Bundle[int] = Bundle('blocks')

    def __init__(self) -> None:
        super().__init__()
        self.closing = ExitStack()
        self.driver = self.closing.enter_context(open_driver(self.place, 64 << 20, self.build))
        self.call = self.driver.call
        self.config = self.build.config
        self.live: dict[int, tuple[int, int, int]] = {}  # bytes, alignment, byte

    def has_room(self) -> bool:
        return sum(nbytes for nbytes, _, _ in self.live.values()) <= MOST_LIVE - 2 * MIB

    @precondition(has_room)
    @rule(target=blocks, shift=st.sampled_from([0, 4, 5, 6, 8, 12, 13, 16]), nbytes=SIZES, byte=st.integers(0, 255))
    def kmemalign(self, shift: int, nbytes: int, byte: int) -> int:
        return self.take(nbytes, 1 << (min(shift, 4) if self.config.objects is first_fit else shift), byte)

    @precondition(lambda self: self.has_room() and self.config.objects is not first_fit)
    @rule(target=blocks, shift=st.integers(16, 19), nbytes=SIZES, byte=st.integers(0, 255))
    def kmemalign_where_more_is_aligned(self, shift: int, nbytes: int, byte: int) -> int:
        """Fill up to the next multiple of 2**shift before, as far as there is no hole that is taken instead."""
        if self.config.objects is slabs_and_pages:
            self.take(16, PAGE, byte)
        top = self.driver.kernel.heap.chunks.top
        gap = (top + 8 + 2 * PAGE + (1 << shift) - 1 & -(1 << shift)) - 8 - top
        if self.config.objects is slabs_and_pages:
            self.take(gap - 128, 32, byte)  # whole pages
        else:
            self.take(gap - (72 if self.config.hardening == FULL_HARDENING else 8), 1, byte)
        return self.take(nbytes, 32, byte)

    def take(self, nbytes: int, alignment: int, byte: int) -> int:
        return self.note(self.call('kmemalign', alignment, nbytes), nbytes, alignment, byte)

    def note(self, ptr: int, nbytes: int, alignment: int, byte: int) -> int:
        assert ptr != 0
        assert ptr % max(16, alignment) == 0
        usable = self.call('kmalloc_usable_size', ptr)
        assert usable >= nbytes
        assert all(ptr + usable <= other or other + size <= ptr for other, (size, _, _) in self.live.items())
        seen = min(usable, SEEN)
        self.call('fill', ptr, byte, seen)
        self.call('fill', ptr + usable - seen, byte, seen)  # to the last byte that a user may use
        self.live[ptr] = usable, alignment, byte
        return ptr

    def drop(self, ptr: int) -> tuple[int, int, int]:
        usable, alignment, byte = self.live.pop(ptr)
        seen = min(usable, SEEN)
        assert self.call('count_other', ptr, byte, seen) == 0
        assert self.call('count_other', ptr + usable - seen, byte, seen) == 0
        return usable, alignment, byte

    @precondition(has_room)
    @rule(target=blocks, ptr=consumes(blocks), nbytes=SIZES)
    def krealloc(self, ptr: int, nbytes: int) -> int:
        usable, alignment, byte = self.drop(ptr)
        most = self.frames_for_a_fresh_block(alignment, nbytes)
        self.call('refuse_at', 0)  # counts from here
        new = self.call('krealloc', ptr, nbytes)
        nr_frames = self.driver.kernel.frames.requests
        if (
            VMALLOC <= new < VMALLOC_END
        ):  # has no alignment; a frame beside the row is asked for twice, and other tables
            most = 2 * most + 8
        if new == ptr:
            most = max(most, 3 + max(nbytes - usable, 0) // PAGE)
        assert nr_frames <= most
        assert self.call('count_other', new, byte, min(usable, nbytes, SEEN)) == 0
        return self.note(new, nbytes, alignment, byte)

    def frames_for_a_fresh_block(self, alignment: int, nbytes: int) -> int:
        """How many frames kmemalign would take now: one such block comes and goes."""
        ptr = self.call('kmemalign', alignment, nbytes)
        assert ptr != 0
        before = self.nr_free_frames()
        assert self.call('kfree', ptr) == 0
        return self.nr_free_frames() - before

    def nr_free_frames(self) -> int:
        return self.call('nr_free_frames') + self.call('nr_free_pool_frames')

    @rule(ptr=consumes(blocks))
    def kfree(self, ptr: int) -> None:
        self.drop(ptr)
        assert self.call('kfree', ptr) == 0

    @invariant()
    def the_heap_is_in_order(self) -> None:
        assert self.call('check_heap') == 0

    def teardown(self) -> None:
        try:
            for ptr in list(self.live):
                self.drop(ptr)
                assert self.call('kfree', ptr) == 0
            self.call('shrink')
            assert self.call('used_bytes') == 0
            assert_in_order(self.driver)
        finally:
            self.closing.close()


DESIGNS: Final = {
    'FirstFit': HEAP_BUILDS['first-fit'],
    'Kmalloc': HEAP_BUILDS['kmalloc'],
    'Chunks': HEAP_BUILDS['chunks'],
    'Slabs': HEAP_BUILDS['slabs'],
}
LEVELS: Final = {'Off': NO_HARDENING, 'Cheap': CHEAP, 'Full': FULL_HARDENING}


def machine(design: str, level: str, place: str, nr_examples: int) -> Any:
    """The test of a design in a level in a place. What kmemalign gave must be free again: nothing waits in FULL."""
    build = DESIGNS[design]
    if level != 'Cheap':
        build = Build(replace(build.config, hardening=LEVELS[level], quarantine_blocks=0), is_checked=True)
    kind: Any = type(f'{design}{level}_{place}', (Chains,), {'build': build, 'place': place})
    found = kind.TestCase
    found.settings = settings(
        max_examples=nr_examples * (20 if FULL else 1),
        stateful_step_count=30,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    return found


TestFirstFitOffInSim = machine('FirstFit', 'Off', 'sim', 2)
TestFirstFitCheapInJit = machine('FirstFit', 'Cheap', 'jit', 4)
TestFirstFitFullInSim = machine('FirstFit', 'Full', 'sim', 2)
TestKmallocOffInSim = machine('Kmalloc', 'Off', 'sim', 2)
TestKmallocCheapInJit = machine('Kmalloc', 'Cheap', 'jit', 5)
TestKmallocCheapInQemu = machine('Kmalloc', 'Cheap', 'qemu', 2)
TestKmallocFullInSim = machine('Kmalloc', 'Full', 'sim', 2)
TestChunksOffInSim = machine('Chunks', 'Off', 'sim', 2)
TestChunksCheapInJit = machine('Chunks', 'Cheap', 'jit', 5)
TestChunksFullInSim = machine('Chunks', 'Full', 'sim', 2)
TestSlabsOffInSim = machine('Slabs', 'Off', 'sim', 2)
TestSlabsCheapInJit = machine('Slabs', 'Cheap', 'jit', 5)
TestSlabsFullInSim = machine('Slabs', 'Full', 'sim', 2)
