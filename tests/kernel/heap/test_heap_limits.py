"""How far a heap grows: in config `modern` to all of RAM, in `classic` to 16 MiB; then requests are refused."""

from collections.abc import Iterator

import pytest

from incroos.kernel.heap.caches import MAX_OBJECT_BYTES
from incroos.kernel.heap.size_classes import LARGE_BYTES
from incroos.kernel.layout import (
    HEAP_MAX_BYTES,
    MODERN_END,
    MODERN_HEAP,
    MODERN_HEAP_MAX_BYTES,
    PAGE_BYTES,
    SLAB_RECORDS,
    SLABS,
)
from incroos.run.harness import Driver, call_of

from ..drivers import MODERN_PLAIN, open_driver

GIB = 1 << 30
BATCH = 500


@pytest.fixture(scope='module')
def three_gib() -> Iterator[Driver]:
    """A machine whose RAM no file has to hold: `jit`, in the build that fills nothing."""
    with open_driver('jit', 3 * GIB, MODERN_PLAIN) as driver:
        yield driver


def take_all(driver: Driver, name: str, *words: int) -> list[int]:
    """As many as there are."""
    taken: list[int] = []
    while True:
        found = driver.execute([call_of(name, *words)] * BATCH)
        taken += [ptr for ptr in found if ptr]
        if 0 in found:
            return taken


def free_frames(driver: Driver) -> int:
    return driver.call('nr_free_frames')


def test_chunks_take_all_of_ram_and_then_are_refused(three_gib: Driver) -> None:
    driver = three_gib
    before = free_frames(driver)
    chunks = take_all(driver, 'kmalloc', LARGE_BYTES)
    assert len(set(chunks)) == len(chunks)
    assert len(chunks) * LARGE_BYTES > before * PAGE_BYTES * 0.995 > 2.9 * GIB
    assert free_frames(driver) < LARGE_BYTES // PAGE_BYTES + 8
    assert all(MODERN_HEAP <= ptr < MODERN_HEAP + MODERN_HEAP_MAX_BYTES for ptr in chunks)
    used = driver.call('used_bytes')
    assert driver.call('kmalloc', LARGE_BYTES) == 0
    assert driver.call('kmalloc', 2 * LARGE_BYTES) == 0
    assert driver.call('used_bytes') == used
    assert driver.call('check_heap') == 0
    assert set(driver.execute([call_of('kfree', ptr) for ptr in chunks[::2] + chunks[1::2]])) == {0}
    driver.call('shrink')  # what was kept beyond those that kfree gave back
    assert driver.call('used_bytes') == 0
    assert driver.call('committed_bytes') < 64 * PAGE_BYTES
    assert before - free_frames(driver) < 8  # page tables that are kept
    assert [driver.call(name) for name in ('check_heap', 'check_vmm', 'check_pmm')] == [0, 0, 0]


def test_slabs_take_all_of_ram_and_then_are_refused(three_gib: Driver) -> None:
    driver = three_gib
    before = free_frames(driver)
    cache = driver.call('cache_create', MAX_OBJECT_BYTES, PAGE_BYTES)
    objects = take_all(driver, 'cache_alloc', cache)
    records = len(objects) * MAX_OBJECT_BYTES // PAGE_BYTES * 64
    assert len(objects) * MAX_OBJECT_BYTES + records > before * PAGE_BYTES * 0.995
    assert all(SLABS <= ptr < SLABS + MODERN_HEAP_MAX_BYTES for ptr in objects)
    assert driver.call('cache_alloc', cache) == 0
    assert driver.call('kmalloc', LARGE_BYTES) == 0
    assert driver.call('check_heap') == 0
    assert set(driver.execute([call_of('cache_free', cache, ptr) for ptr in objects])) == {0}
    assert driver.call('cache_destroy', cache) == 0
    assert driver.call('used_bytes') == 0
    driver.call('shrink')
    tables_and_records = before - free_frames(driver)
    assert tables_and_records * PAGE_BYTES <= records + (GIB >> 6)
    assert [driver.call(name) for name in ('check_heap', 'check_vmm', 'check_pmm')] == [0, 0, 0]


def test_the_ranges_do_not_meet() -> None:
    """Chunks, the records of all pages of slabs, slabs: each ends before the next begins."""
    assert MODERN_HEAP + MODERN_HEAP_MAX_BYTES <= SLAB_RECORDS
    assert SLAB_RECORDS + MODERN_HEAP_MAX_BYTES // PAGE_BYTES * 64 <= SLABS
    assert SLABS + MODERN_HEAP_MAX_BYTES <= MODERN_END


def test_classic_keeps_16_mib() -> None:
    with open_driver('jit') as driver:
        chunks = take_all(driver, 'kmalloc', PAGE_BYTES)
        assert HEAP_MAX_BYTES - 2 * PAGE_BYTES < len(chunks) * (PAGE_BYTES + 16) <= HEAP_MAX_BYTES
        assert driver.call('committed_bytes') == HEAP_MAX_BYTES
