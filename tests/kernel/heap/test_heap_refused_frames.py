"""Each request for a frame refused once, in each function and design of the heap: nothing given, nothing changed."""

from typing import Final

import pytest

from incroos.run.harness import Driver

from ..drivers import open_driver
from .heap_builds import HEAP_BUILDS

CHECKS: Final = ('check_heap', 'check_vmm', 'check_pmm', 'check_vmalloc')
MIB: Final = 1 << 20
MEMORY: Final = 256 * MIB
MANY: Final = 40  # requests for frames from which on only some are refused
STRIDE: Final = 61
ENOUGH: Final = 4000

# What is called: its words. A word that is `PTR` is a block of BEFORE bytes, alone or with others behind it.
PTR: Final = -(1 << 62)
CASES: Final = {
    'an object': ('kmalloc', (100,), 0),
    'a chunk': ('kmalloc', (5000,), 0),
    'large': ('kmalloc', (2 * MIB,), 0),
    'zeroed object': ('kzalloc', (700,), 0),
    'zeroed chunk': ('kcalloc', (30, 100), 0),
    'large, zeroed': ('kcalloc', (3, MIB), 0),
    'aligned': ('kmemalign', (64, 100), 0),
    'aligned on pages': ('kmemalign', (8192, 3000), 0),
    'object, larger': ('krealloc', (PTR, 900), 100),
    'object, now a chunk': ('krealloc', (PTR, 6000), 100),
    'chunk that has to move': ('krealloc', (PTR, 90_000), 3000),
    'chunk, now large': ('krealloc', (PTR, 2 * MIB), 5000),
    'large, larger': ('krealloc', (PTR, 3 * MIB), 2 * MIB),
}
WAIVERS: Final = {  # first fit refuses alignments; without slabs, the page that the block lies in has room
    'first-fit': {'aligned', 'aligned on pages', 'object, larger'},
    'chunks': {'object, larger'},
}


def standing(driver: Driver) -> dict[str, int]:
    """What a refused call leaves alone. Which slab is current is not of it: the metadata of slabs says the same."""
    kernel = driver.kernel
    names = ('used_bytes', 'committed_bytes', 'free_bytes', 'nr_free_frames', 'nr_free_pool_frames')
    found = {name: driver.call(name) for name in names}
    found['tables'] = kernel.space.nr_tables
    found['ranges'] = kernel.vmalloc.nr_ranges
    found['pages of ranges'] = kernel.vmalloc.nr_pages
    return found


class Refusing:
    """Calls one function again and again, each time with another request for a frame refused."""

    def __init__(self, driver: Driver, case: str) -> None:
        self.driver, self.call = driver, driver.call
        self.name, self.words, self.nbytes = CASES[case]
        self.ptr = 0
        self.begin()

    def begin(self) -> None:
        """Allocate the block that is to grow, and one behind it, so that it cannot grow where it is."""
        if self.nbytes:
            self.ptr = self.call('kmalloc', self.nbytes)
            assert self.ptr != 0
            assert self.call('kmalloc', self.nbytes) != 0
            self.call('fill', self.ptr, 0x3C, self.nbytes)

    def attempt(self, refused: int) -> tuple[int, bool]:
        """What the call gives, and whether it asked for so many frames."""
        words = [self.ptr if word == PTR else word for word in self.words]
        self.call('refuse_at', refused)
        found = self.call(self.name, *words)
        was_refused = self.driver.kernel.frames.requests >= refused
        self.call('refuse_at', 0)
        return found, was_refused

    def is_content_kept(self) -> bool:
        """Whether the block that was to grow is what it was."""
        return self.ptr == 0 or self.call('count_other', self.ptr, 0x3C, self.nbytes) == 0

    def undo(self, found: int) -> None:
        """After a call that made up for what was refused: give back, and begin anew where it moved a block."""
        assert self.call('kfree', found) == 0
        self.begin()


@pytest.mark.parametrize(
    ('name', 'case'), [(name, case) for name in HEAP_BUILDS for case in CASES if case not in WAIVERS.get(name, ())]
)
def test_each_frame_refused_once(name: str, case: str) -> None:
    with open_driver('jit', MEMORY, HEAP_BUILDS[name]) as driver:
        refusing = Refusing(driver, case)
        refused = 1
        while refused < ENOUGH:
            before = standing(driver)
            found, was_refused = refusing.attempt(refused)
            if not was_refused:
                assert found != 0
                break
            if found == 0:
                assert standing(driver) == before
                assert refusing.is_content_kept()
            else:
                refusing.undo(found)  # small frames made up for a huge one, or another place for the top
            assert [driver.call(check) for check in CHECKS] == [0, 0, 0, 0]
            refused += 1 if refused < MANY else STRIDE
        assert 1 < refused < ENOUGH
