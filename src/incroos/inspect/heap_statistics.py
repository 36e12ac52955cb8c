"""Statistics of a guest's heap: the kernel's counters, and what its metadata says, read from its RAM.

For builds with config.counters whose heap has size classes, as config `modern`. The guest must not be in the middle of
a call of the heap.
"""

from collections.abc import Iterator
from typing import Any, Final

from incroos.kernel.heap import caches, lifecycle
from incroos.kernel.heap.report import walk
from incroos.kernel.state import NR_CLASSES, NR_NAME_BYTES, NR_SIZES, Cache, Heap, ObjectCache
from incroos.lang import VirtAddr

from .address_space import kernel_in
from .ram import RamMachine

PER_MILLE: Final = 1000


def heap_statistics(ram: RamMachine) -> dict[str, Any]:
    """All statistics of the heap, by their names."""
    heap = kernel_in(ram).heap
    counted = heap.figures
    if not heap.config.objects.HAS_FIGURES:  # a design of which only used_bytes is known
        used = lifecycle.used_bytes(heap)
        return {'used_bytes': used, 'asked_bytes': counted.asked_bytes, 'refused': counted.nr_refused}
    classes = [heap.slabs.caches[number] for number in range(NR_CLASSES)]
    given = counted.large_bytes + sum(cache.allocs * cache.object_bytes for cache in classes)
    used_chunks, free_chunks = chunks_by_size(heap)
    return {
        'used_bytes': heap.chunks.used_bytes + heap.slabs.large_bytes + heap.slabs.used_bytes - heap.quarantine.nbytes,
        'peak_used_bytes': counted.peak_used_bytes,
        'committed_bytes': counted.committed_bytes,
        'peak_committed_bytes': counted.peak_committed_bytes,
        'asked_bytes': counted.asked_bytes,
        'given_bytes': given,
        'internal_fragmentation_per_mille': PER_MILLE * (given - counted.asked_bytes) // given if given else 0,
        'refused': counted.nr_refused,
        'large_blocks': sum_of(counted.large_requests) - counted.nr_large_frees,
        'large_requests_by_power_of_2': [counted.large_requests[index] for index in range(NR_SIZES)],
        'used_chunks_by_power_of_2': used_chunks,
        'free_chunks_by_power_of_2': free_chunks,
        'size_classes': {f'{cache.object_bytes} bytes': slabs_of(heap, cache) for cache in classes if cache.allocs},
        'caches': dict(named_caches(heap)) if heap.config.objects.HAS_SLABS else {},
    }


def sum_of(counts: Any) -> int:
    return sum(counts[index] for index in range(NR_SIZES))


def chunks_by_size(heap: Heap) -> tuple[list[int], list[int]]:
    """The numbers of used and of free chunks of 2**index to 2**(index + 1) - 1 bytes."""
    found = {walk.USED: [0] * NR_SIZES, walk.FREE: [0] * NR_SIZES, walk.WAITING: [0] * NR_SIZES}
    start, nbytes, kind, state = walk.find_next(heap, heap.chunks.start)
    while kind != walk.END and start < heap.chunks.top:
        if kind == walk.CHUNK:
            found[state][nbytes.bit_length() - 1] += 1
        start, nbytes, kind, state = walk.find_next(heap, VirtAddr(start + nbytes))
    return found[walk.USED], found[walk.FREE]


def named_caches(heap: Heap) -> Iterator[tuple[str, dict[str, int]]]:
    """The caches made by `cache_create`, by name, and the cache of caches; a name that is taken gets a number."""
    names: dict[str, int] = {}
    addr = heap.caches.first
    cache = heap.caches.own
    while True:
        name = name_of(cache)
        names[name] = names.get(name, 0) + 1
        yield name if names[name] == 1 else f'{name} ({names[name]})', figures_of(heap, cache)
        if addr == 0:
            return
        cache = ObjectCache(heap.m, addr)
        addr = cache.next


def name_of(cache: ObjectCache) -> str:
    """A cache's name as text."""
    name = bytes(cache.name[index] for index in range(NR_NAME_BYTES))
    return name.rstrip(b'\0').decode('utf-8', 'replace') or 'without a name'


def figures_of(heap: Heap, cache: ObjectCache) -> dict[str, int]:
    """The statistics of a cache made by `cache_create`."""
    rounding, ends = caches.lost_bytes(cache)
    nr_slabs = cache.slabs.nr_slabs
    return {
        'object_bytes': cache.asked_bytes,
        **slabs_of(heap, cache.slabs),
        'bytes_lost_to_rounding': rounding * nr_slabs,
        'bytes_lost_at_ends': ends * nr_slabs,
    }


def slabs_of(heap: Heap, cache: Cache) -> dict[str, int]:
    """The numbers of objects and slabs of a size class, or of a cache."""
    nr_used, nr_full, nr_partial, nr_empty = caches.usage(heap, cache)
    return {
        'in_use': nr_used,
        'objects': cache.nr_slabs * cache.nr_objects,
        'requests': cache.allocs,
        'full_slabs': nr_full,
        'partial_slabs': nr_partial,
        'empty_slabs': nr_empty,
    }
