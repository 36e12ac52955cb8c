"""Sizes, alignments and pointers that are wrong, in each design of the heap: a code or 0, and no byte has changed."""

from collections.abc import Iterator
from typing import Final

import pytest

from incroos.inspect.digest import differences, digests
from incroos.kernel.codes import BAD_FREE
from incroos.kernel.config import FULL
from incroos.kernel.layout import (
    FRAME_METADATA,
    FRAME_RECORDS,
    HEAP,
    IMAGE_START,
    KERNEL_STATE,
    MODERN_HEAP,
    PAGE_BYTES,
    SLAB_RECORDS,
    SLABS,
    VMALLOC,
    VMALLOC_END,
)
from incroos.lang.words import signed
from incroos.run.harness import Driver

from ..drivers import PLACES, open_driver
from .heap_builds import HEAP_BUILDS

CHECKS: Final = ('check_heap', 'check_vmm', 'check_pmm', 'check_vmalloc')
LOWEST: Final = -(1 << 63)
NO_SIZES: Final = [0, *map(signed, (1 << 63, (1 << 64) - 1, (1 << 64) - 7, (1 << 64) - 8, (1 << 64) - 4096))]
TOO_MUCH: Final = [(1 << 63) - 1, (1 << 63) - 8, 1 << 62, (1 << 40) - 8, 1 << 40, (1 << 38) + 1]
NO_ALIGNMENTS: Final = [0, -1, -16, 3, 24, 48, 4095, LOWEST, (1 << 63) - 1]
SIZES: Final = (24, 100, 500, 1024, 1025, 1500, 5000, 5000, 9000, 70_000, (1 << 20) + 1)
NR_OF_EACH: Final = 5


class Scene:
    """A heap with used blocks of all kinds, and free ones of all kinds among them."""

    def __init__(self, driver: Driver) -> None:
        self.driver, self.call = driver, driver.call
        taken = [(self.call('kmalloc', nbytes), nbytes) for _ in range(NR_OF_EACH) for nbytes in SIZES]
        assert all(ptr for ptr, _ in taken)
        self.freed = taken[1::3]
        self.live = [each for each in taken if each not in self.freed]
        for ptr, _ in self.freed:
            assert self.call('kfree', ptr) == 0
        for ptr, _ in self.live:
            self.call('fill', ptr, 0x6B, self.call('kmalloc_usable_size', ptr))
        self.nr_refused = driver.kernel.heap.figures.nr_refused
        self.before = digests(driver.ram)

    def assert_nothing_has_changed(self) -> None:
        """But for the count of what was refused."""
        self.driver.kernel.heap.figures.nr_refused = self.nr_refused
        assert differences(self.before, digests(self.driver.ram)) == []
        assert [self.call(name) for name in CHECKS] == [0, 0, 0, 0]

    def wrong_pointers(self) -> set[int]:
        """In, before and behind blocks; those that were freed; in the metadata; in all other ranges; in none."""
        found = {ptr for ptr, _ in self.freed}
        for ptr, nbytes in self.live:
            found |= {ptr + off for off in (-4096, -64, -32, -16, -8, -1, 1, 2, 4, 7, 8, 9, 15, 24)}
            found |= {ptr + 16 * step for step in (1, 2, 3, 5, 8, nbytes // 32)}
            found |= {(ptr + nbytes + 15) & -16, ptr + nbytes - 1, ptr & -PAGE_BYTES, (ptr & -PAGE_BYTES) + PAGE_BYTES}
            found |= {ptr ^ 1 << bit for bit in (20, 28, 36, 40, 46, 47, 48, 55, 62)} | {signed(ptr ^ 1 << 63)}
        kernel = self.driver.kernel
        area, chunks, first_fit = kernel.heap.slabs.area, kernel.heap.chunks, kernel.heap.first_fit
        found |= {area.records, area.records + 64, area.top, area.top + 64, area.end, area.start, chunks.end}
        found |= {chunks.top, chunks.top + 8, chunks.top + 24, chunks.committed_end}
        found |= {first_fit.top + 8, first_fit.committed_end}
        found |= {kernel.addr, IMAGE_START, KERNEL_STATE, HEAP, HEAP + 8, HEAP + 16 + (1 << 24), MODERN_HEAP, SLABS}
        found |= {
            SLAB_RECORDS,
            FRAME_METADATA,
            FRAME_RECORDS,
            VMALLOC,
            VMALLOC_END,
            VMALLOC + (1 << 40),
            MODERN_HEAP + 8,
        }
        found |= {8, 16, 4096, -1, -8, -16, -4096, LOWEST, LOWEST + 16, 1 << 47, (1 << 47) - 16, (1 << 63) - 16}
        return found - {ptr for ptr, _ in self.live} - {0}


# With hardening FULL a wrong pointer is a panic: test_tags.py has these.
HEAPS: Final = [
    *(('kmalloc', place) for place in PLACES),
    *((name, 'jit') for name, build in HEAP_BUILDS.items() if build.config.hardening != FULL and name != 'kmalloc'),
]


@pytest.fixture(params=HEAPS, ids='-'.join)
def scene(request: pytest.FixtureRequest) -> Iterator[Scene]:
    name, place = request.param
    with open_driver(place, 128 << 20, HEAP_BUILDS[name]) as driver:
        yield Scene(driver)


def test_what_is_no_size_gets_nothing(scene: Scene) -> None:
    ptr = scene.live[0][0]
    for nbytes in [*NO_SIZES, *TOO_MUCH]:
        assert scene.call('kmalloc', nbytes) == 0
        assert scene.call('kzalloc', nbytes) == 0
        assert scene.call('kcalloc', 1, nbytes) == scene.call('kcalloc', nbytes, 1) == 0
        assert scene.call('kmemalign', 16, nbytes) == scene.call('kmemalign', 4096, nbytes) == 0
        assert scene.call('krealloc', 0, nbytes) == 0
        if nbytes != 0:
            assert scene.call('krealloc', ptr, nbytes) == 0
            assert scene.call('kcalloc', 1 << 62, nbytes) == scene.call('kcalloc', nbytes, 8) == 0
    scene.assert_nothing_has_changed()


def test_what_is_no_alignment_gets_nothing(scene: Scene) -> None:
    for alignment in NO_ALIGNMENTS:
        for nbytes in (1, 100, 5000, 1 << 21, *NO_SIZES):
            assert scene.call('kmemalign', alignment, nbytes) == 0
    for alignment in (1 << 39, 1 << 50, 1 << 62):  # powers of two for which there is no room
        assert scene.call('kmemalign', alignment, 100) == 0
    scene.assert_nothing_has_changed()


def test_pointers_of_every_wrong_kind_are_refused(scene: Scene) -> None:
    for ptr in sorted(scene.wrong_pointers()):
        assert scene.call('kfree', ptr) == BAD_FREE, hex(ptr)
        assert scene.call('kmalloc_usable_size', ptr) == 0, hex(ptr)
        assert scene.call('krealloc', ptr, 50) == scene.call('krealloc', ptr, 5000) == 0, hex(ptr)
    assert scene.call('kfree', 0) == 0
    scene.assert_nothing_has_changed()
    for ptr, nbytes in scene.live:
        assert scene.call('count_other', ptr, 0x6B, nbytes) == 0
        assert scene.call('kfree', ptr) == 0
    assert scene.call('used_bytes') == 0
