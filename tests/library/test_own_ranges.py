"""The library's own ranges: the surrounding kernel changes nothing in them, and all beside them.

The model is the list of ranges that the header has, and intervals of whole numbers.
"""

import random
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Final

import pytest

from incroos.kernel import heap, pmm, vmm
from incroos.kernel.arch.pte import DATA, HUGE_BYTES, page_bytes
from incroos.kernel.codes import BAD_LEVEL, LIBRARY_RANGE, NOT_CANONICAL, OK
from incroos.kernel.config import CLASSIC_SPACE, KernelConfig
from incroos.kernel.configs import EMBEDDED_CLASSIC, EMBEDDED_MODERN
from incroos.kernel.embed import pages
from incroos.kernel.layout import FRAME_RECORDS, PAGE_BYTES, VMALLOC_BYTES
from incroos.kernel.state import Kernel
from incroos.lang import PhysAddr, VirtAddr
from incroos.run.library_constants import ranges_of
from incroos.run.outcome import Status

from ..budget import FULL
from .c_kernels import run
from .interpreted import IMAGE, started

FRAME: Final = PhysAddr(0x3F_0000_0000)  # no RAM, and aligned for a page of any size
GIANT_BYTES: Final = 1 << 30
LENGTHS: Final = (0, 3 * PAGE_BYTES, HUGE_BYTES, 1 << 46, (1 << 63) - 1, -PAGE_BYTES)
EDGES: Final = (0, 1 << 47, -1 << 47, -1 << 63, (1 << 63) - PAGE_BYTES, -PAGE_BYTES)  # of all addresses
CONFIGS: Final = {
    'classic': EMBEDDED_CLASSIC,
    'modern': EMBEDDED_MODERN,
    'vmalloc first': replace(EMBEDDED_MODERN, vmalloc=FRAME_RECORDS - VMALLOC_BYTES),
}
each_config = pytest.mark.parametrize('name', CONFIGS)

Call = Callable[[], int]


def own_ranges(config: KernelConfig) -> list[tuple[int, int]]:
    """[start, end) of each range in the header that is one of virtual addresses; in `modern` the pool's is not."""
    values = [constant.value for constant in ranges_of(config)]
    pairs = list(zip(values[::2], values[1::2], strict=True))
    return pairs if config.space == CLASSIC_SPACE else pairs[1:]


class Model:
    """What must be refused."""

    def __init__(self, config: KernelConfig) -> None:
        self.ranges = own_ranges(config)

    def is_own(self, va: int, nbytes: int) -> bool:
        if not -(1 << 47) <= va < 1 << 47:
            return False
        return any(max(va, start) < min(va + nbytes, end) for start, end in self.ranges)

    def places(self) -> list[int]:
        """Addresses on both sides of each edge, as far from it as pages of any size are long."""
        edges = (*EDGES, *(edge for ends in self.ranges for edge in ends))
        distances = (0, 1, PAGE_BYTES, HUGE_BYTES, GIANT_BYTES)
        found = {edge + sign * distance for edge in edges for distance in distances for sign in (-1, 1)}
        return sorted(va for va in found if -(1 << 63) <= va < 1 << 63)


def calls_of(k: Kernel, va: int, lengths: Iterable[int]) -> Iterator[tuple[str, int, Call]]:
    """Each call about va that leaves the kernel's image alone: its name, the bytes that it is about, and the call."""
    at = VirtAddr(va)
    calls: list[tuple[str, int, Call]] = [
        ('map_page', PAGE_BYTES, lambda: pages.map_page(k, at, FRAME, DATA)),
        ('protect', PAGE_BYTES, lambda: pages.protect(k, at, DATA)),
        ('unmap_page', PAGE_BYTES, lambda: pages.unmap_page(k, at)),
    ]
    for level in (1, 2, 3):
        calls += [
            ('map_leaf', page_bytes(level), partial(pages.map_leaf, k, at, FRAME, DATA, level)),
            ('protect_leaf', page_bytes(level), partial(pages.protect_leaf, k, at, DATA, level)),
            ('unmap_leaf', page_bytes(level), partial(pages.unmap_leaf, k, at, level)),
        ]
    for nbytes in lengths:
        if nbytes <= GIANT_BYTES:
            calls.append(('map_range', nbytes, partial(pages.map_range, k, at, FRAME, nbytes, DATA)))
        calls += [
            ('protect_range', nbytes, partial(pages.protect_range, k, at, nbytes, DATA)),
            ('unmap_range', nbytes, partial(pages.unmap_range, k, at, nbytes)),
        ]
    return (call for call in calls if not max(va, IMAGE.start) < min(va + call[1], IMAGE.stop))


def seen(k: Kernel, va: int) -> int:
    return vmm.get_physical(k, VirtAddr(va))


@each_config
def test_a_call_is_refused_where_it_has_an_address_of_the_librarys_and_nowhere_else(name: str) -> None:
    k, model = started(CONFIGS[name]), Model(CONFIGS[name])
    kept = [heap.kmalloc(k, nbytes) for nbytes in (16, 1000, 100_000)]
    nr_refused = nr_made = 0
    for va in model.places():
        for what, nbytes, call in calls_of(k, va, LENGTHS):
            before = pmm.nr_free_frames(k), seen(k, va)
            code = call()
            is_refused = model.is_own(va, nbytes)
            assert (code == LIBRARY_RANGE) == is_refused, (what, hex(va), hex(nbytes), code)
            if is_refused:
                assert (pmm.nr_free_frames(k), seen(k, va)) == before, what
            nr_refused += is_refused
            nr_made += code >= 0
    assert nr_refused > 300
    assert nr_made > 100
    assert [vmm.check(k), pmm.check(k), heap.check(k)] == [OK] * 3
    assert [heap.kfree(k, block) for block in kept] == [OK] * 3


@each_config
def test_places_at_random(name: str) -> None:
    """Also ranges that begin outside and end inside, or cover a range, and that have no whole pages."""
    k, model, rng = started(CONFIGS[name]), Model(CONFIGS[name]), random.Random(name)
    places = model.places()
    for _ in range(20_000 if FULL else 1_000):
        va = min(max(rng.choice(places) + rng.randrange(-1 << 22, 1 << 22), -1 << 63), (1 << 63) - 1)
        for what, nbytes, call in calls_of(k, va, [rng.randrange(1 << rng.randrange(1, 63))]):
            assert (call() == LIBRARY_RANGE) == model.is_own(va, nbytes), (what, hex(va), hex(nbytes))
    assert [vmm.check(k), pmm.check(k), heap.check(k)] == [OK] * 3


@each_config
def test_other_codes_come_first_where_nothing_can_be_an_address(name: str) -> None:
    k = started(CONFIGS[name])
    inside = VirtAddr(own_ranges(CONFIGS[name])[-1][0])
    for level in (0, 4, 64, -1, 1 << 62):
        assert pages.map_leaf(k, inside, FRAME, DATA, level) == BAD_LEVEL
        assert pages.unmap_leaf(k, inside, level) == pages.protect_leaf(k, inside, DATA, level) == BAD_LEVEL
    assert pages.map_page(k, VirtAddr(1 << 47), FRAME, DATA) == NOT_CANONICAL
    assert pages.unmap_range(k, VirtAddr((-1 << 47) - PAGE_BYTES), 1 << 48) == NOT_CANONICAL
    assert pages.map_page(k, VirtAddr(inside + 8), FRAME, 0) == LIBRARY_RANGE


@each_config
def test_the_library_itself_works_in_its_ranges_and_they_can_be_asked_about(name: str) -> None:
    config = CONFIGS[name]
    k, model = started(config), Model(config)
    for nbytes in (16, 1000, 100_000):
        block = heap.kmalloc(k, nbytes)
        assert model.is_own(block, nbytes)
        assert seen(k, block) >= 0
        assert pages.unmap_page(k, VirtAddr(block & -PAGE_BYTES)) == LIBRARY_RANGE
        assert heap.kfree(k, block) == OK
    frame = pmm.alloc_page(k)
    assert model.is_own(pmm.address_of(k, frame), PAGE_BYTES)
    assert seen(k, pmm.address_of(k, frame)) == frame
    heap.shrink(k)
    assert [vmm.check(k), pmm.check(k), heap.check(k)] == [OK] * 3


@pytest.mark.parametrize('config', ['classic', 'modern'])
def test_a_kernel_in_c_is_refused_under_each_root(tmp_path: Path, config: str) -> None:
    outcome, text = run(tmp_path, 'ranges', config)
    assert [line for line in text.splitlines() if not line.endswith(': yes')] == []
    assert len(text.splitlines()) == (4 if config == 'modern' else 3)
    assert outcome.status == Status.PASSED
