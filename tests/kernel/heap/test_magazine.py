"""The magazine of a cache: who gets what came back, what is refused, and that no page stays behind for it."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from incroos.guest import mailbox
from incroos.kernel import heap
from incroos.kernel.codes import BAD_FREE, CACHE_IN_USE, OK
from incroos.kernel.config import KernelConfig
from incroos.kernel.configs import MODERN, MODERN_FULL
from incroos.kernel.heap import caches
from incroos.kernel.heap.size_classes import cache_for
from incroos.kernel.heap.slab import magazine, slab
from incroos.kernel.state import NR_ROUNDS, Cache, Heap, Kernel, ObjectCache, SlabRecord, SlabState
from incroos.lang import VirtAddr, offset_of
from incroos.run.sim import Sim

from ...budget import FULL

NBYTES = 500  # eight objects to a slab


def start(config: KernelConfig = MODERN) -> Kernel:
    sim = Sim(32 << 20, config)
    sim.start(mailbox.start)
    return sim.kernel


def state_of(k: Kernel, ptr: VirtAddr) -> int:
    record, _distance, _number = slab.find(k.heap, ptr)
    return record.state


def test_what_each_call_needs_of_a_cache_is_in_one_line() -> None:
    first = offset_of(Kernel, 'heap') + offset_of(Heap, 'slabs') + offset_of(SlabState, 'caches')
    assert (first % 64, Cache.SIZE % 64) == (0, 0)
    assert offset_of(Cache, 'top') == 64  # with the magazine behind; in front of it there is a line for the bits


def test_what_came_back_last_is_handed_out_first() -> None:
    k = start()
    taken = [heap.kmalloc(k, NBYTES) for _ in range(40)]
    back = [taken[number] for number in (3, 30, 12, 20)]
    assert {heap.kfree(k, ptr) for ptr in back} == {OK}
    assert [heap.kmalloc(k, NBYTES) for _ in back] == back[::-1]
    assert heap.check(k) == OK


def test_a_full_slab_is_on_no_list_for_what_is_in_the_magazine() -> None:
    k = start()
    taken = [heap.kmalloc(k, NBYTES) for _ in range(40)]
    heap.kfree(k, taken[3])
    assert state_of(k, taken[3]) == slab.FULL
    assert cache_for(k.heap, NBYTES).partial == 0


def test_an_object_in_the_magazine_is_refused() -> None:
    k = start()
    taken = [heap.kmalloc(k, NBYTES) for _ in range(40)]
    assert heap.kfree(k, taken[3]) == OK
    assert heap.kfree(k, taken[3]) == BAD_FREE
    assert heap.kmalloc_usable_size(k, taken[3]) == 0
    assert magazine.nr_rounds(cache_for(k.heap, NBYTES)) == 1


def test_without_room_the_slab_goes_on_its_list() -> None:
    k = start()
    taken = [heap.kmalloc(k, NBYTES) for _ in range(400)]
    back = taken[:-8:8]  # one of each slab
    assert {heap.kfree(k, ptr) for ptr in back} == {OK}
    states = [state_of(k, ptr) for ptr in back]
    assert states == [slab.FULL] * NR_ROUNDS + [slab.PARTIAL] * (len(back) - NR_ROUNDS)
    assert heap.check(k) == OK
    assert sorted(heap.kmalloc(k, NBYTES) for _ in back) == sorted(back)


def test_a_slab_that_is_empty_takes_its_objects_with_it() -> None:
    k = start()
    taken = [heap.kmalloc(k, NBYTES) for _ in range(40)]
    for ptr in (taken[8], taken[16], *taken[:8]):
        heap.kfree(k, ptr)
    cache = cache_for(k.heap, NBYTES)
    assert state_of(k, taken[0]) == slab.EMPTY
    assert [cache.rounds[number].ptr for number in range(magazine.nr_rounds(cache))] == [taken[8], taken[16]]
    assert heap.check(k) == OK


def test_shrinking_gives_all_back_that_is_in_magazines() -> None:
    k = start()
    before = heap.committed_bytes(k)
    taken = [heap.kmalloc(k, nbytes) for nbytes in range(16, 1024, 16) for _ in range(20)]
    assert {heap.kfree(k, ptr) for ptr in taken} == {OK}
    heap.shrink(k)
    assert k.heap.slabs.area.nr_mapped == 0
    records = k.heap.slabs.area.records_end - k.heap.slabs.area.records
    assert heap.committed_bytes(k) == before + records
    assert heap.check(k) == OK


def test_slabs_of_live_objects_stay_when_the_heap_shrinks() -> None:
    k = start()
    taken = [heap.kmalloc(k, NBYTES) for _ in range(40)]
    heap.kfree(k, taken[3])
    heap.shrink(k)
    assert state_of(k, taken[3]) == slab.PARTIAL
    assert magazine.nr_rounds(cache_for(k.heap, NBYTES)) == 0
    assert heap.check(k) == OK
    assert taken[3] in {heap.kmalloc(k, NBYTES) for _ in range(8)}


@pytest.mark.parametrize('config', [MODERN_FULL, replace(MODERN, magazines=0)], ids=['full', 'without'])
def test_some_configurations_have_none(config: KernelConfig) -> None:
    k = start(config)
    taken = [heap.kmalloc(k, 64) for _ in range(400)]
    assert {heap.kfree(k, ptr) for ptr in taken} == {OK}
    assert all(magazine.nr_rounds(cache) == 0 for cache in k.heap.slabs.caches)
    assert heap.check(k) == OK


@settings(max_examples=200 if FULL else 25)
@given(st.lists(st.integers(0, 63), min_size=1, max_size=90))
def test_usage_counts_what_is_in_the_magazine(numbers: list[int]) -> None:
    """Against a count by object, whatever is free and in what order it became so."""
    k = start()
    cache = heap.cache_create(k, b'test', 1000, 8, VirtAddr(0), VirtAddr(0))
    heap.cache_keep(k, cache, 8)  # all slabs: objects stay where they are
    taken = {number: heap.cache_alloc(k, cache) for number in range(64)}
    slab_of = {number: slab.find(k.heap, ptr)[0].addr for number, ptr in taken.items()}
    for number in numbers:
        if number in taken:
            assert heap.cache_free(k, cache, taken.pop(number)) == OK
        else:  # somebody gets one of those that are free
            ptr = heap.cache_alloc(k, cache)
            at = next(free for free in range(64) if free not in taken and ptr == address(k, cache, slab_of, free))
            taken[at] = ptr
    lives = [sum(slab_of[number] == addr for number in taken) for addr in set(slab_of.values())]
    sizes = [sum(at == addr for at in slab_of.values()) for addr in set(slab_of.values())]
    nr_used, nr_full, nr_partial, _nr_empty = caches.usage(k.heap, cache.slabs)
    assert nr_used == len(taken)
    assert nr_full == sum(live == size for live, size in zip(lives, sizes, strict=True))
    assert nr_partial == sum(0 < live < size for live, size in zip(lives, sizes, strict=True))
    assert heap.cache_destroy(k, cache) == (CACHE_IN_USE if taken else OK)
    assert heap.check(k) == OK


def address(k: Kernel, cache: ObjectCache, slab_of: dict[int, VirtAddr], number: int) -> int:
    record = SlabRecord(k.m, slab_of[number])
    first = min(other for other, addr in slab_of.items() if addr == record.addr)
    return slab.first_object(k.heap, record) + (number - first) * cache.slabs.object_bytes
