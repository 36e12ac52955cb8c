"""Runs of pages that have no slab: a pointer into them is refused, and they do not become more from cycle to cycle."""

from incroos.guest import mailbox
from incroos.kernel import heap
from incroos.kernel.codes import BAD_FREE, OK
from incroos.kernel.configs import MODERN
from incroos.kernel.heap.slab import pages as slab_pages
from incroos.kernel.state import Kernel, ObjectCache, SlabRecord
from incroos.lang import VirtAddr
from incroos.run.sim import Sim

PAGE_OBJECT_BYTES = 4096  # in slabs of the longest runs


def start() -> Kernel:
    sim = Sim(32 << 20, MODERN)
    sim.start(mailbox.start)
    return sim.kernel


def make_cache(k: Kernel, nbytes: int) -> ObjectCache:
    return heap.cache_create(k, b'test', nbytes, 8, VirtAddr(0), VirtAddr(0))


def test_an_object_of_a_cache_that_is_gone_is_refused() -> None:
    """The record of its slab names the cache still, whose own page is gone as well."""
    k = start()
    cache = make_cache(k, 200)
    ptr = heap.cache_alloc(k, cache)
    assert heap.cache_free(k, cache, ptr) == heap.cache_destroy(k, cache) == OK
    heap.shrink(k)
    assert heap.kfree(k, ptr) == BAD_FREE
    assert heap.kmalloc_usable_size(k, ptr) == 0
    assert heap.check(k) == OK


def test_a_run_that_was_split_off_is_refused() -> None:
    """Nobody has ever written a cache into the record of its first page."""
    k = start()
    cache = make_cache(k, PAGE_OBJECT_BYTES)
    heap.cache_keep(k, cache, 0)
    taken = [heap.cache_alloc(k, cache) for _ in range(16)]
    assert {heap.cache_free(k, cache, ptr) for ptr in taken} == {OK}
    assert heap.kmalloc(k, 16) != 0
    split_off = next(record for record in (k.heap.slabs.area.spare[length] for length in range(3)) if record != 0)
    ptr = slab_pages.address_of(k.heap, SlabRecord(k.m, split_off))
    assert heap.kfree(k, ptr) == BAD_FREE
    assert heap.cache_free(k, cache, ptr) == BAD_FREE
    assert heap.cache_free(k, ObjectCache(k.m, VirtAddr(0)), ptr) == BAD_FREE
    assert heap.check(k) == OK


def test_cycles_of_long_and_short_runs_need_no_more_addresses() -> None:
    """What is split is never joined: so a run is split only where there is none of the length."""
    k = start()
    tops = []
    for _ in range(6):
        for nbytes, nr_objects in ((1024, 256), (64, 3000)):
            taken = [heap.kmalloc(k, nbytes) for _ in range(nr_objects)]
            assert {heap.kfree(k, ptr) for ptr in taken} == {OK}
        tops.append(k.heap.slabs.area.top)
    assert tops[2] == tops[-1]
    assert heap.check(k) == OK
