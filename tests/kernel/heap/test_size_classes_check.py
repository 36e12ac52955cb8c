"""Each invariant of slabs, chunks and bins broken once: the checker names it."""

from collections.abc import Callable, Iterator

import pytest

from incroos.kernel.heap.chunk import bins
from incroos.kernel.heap.chunk import header as chunks
from incroos.kernel.heap.chunk.verified import masked
from incroos.kernel.heap.size_classes import SLAB_INVARIANTS, cache_for
from incroos.kernel.heap.slab import slab
from incroos.kernel.layout import PAGE_BYTES
from incroos.kernel.state import Cache, Kernel, SizedChunk, SlabRecord
from incroos.lang import VirtAddr
from incroos.run.harness import DirectDriver

from ..drivers import MODERN_BUILD, open_driver

BIN: int = 10


class Scene:
    """A heap with chunks in small bins, tries and rings, a remainder, and slabs of all states."""

    def __init__(self, driver: DirectDriver) -> None:
        self.driver, self.k = driver, driver.k
        holes = self.holes(6000, 6000, 6000, 9000, 10_000, 8200, 11_500, 9500)
        self.ring, self.trie = holes[:3], holes[3:]
        self.objects = [self.call('kmalloc', 500) for _ in range(33)]  # four slabs of 8 and a current one
        for ptr in self.objects[1:32:2]:  # every other one, into the magazine
            self.call('kfree', ptr)
        self.call('kfree', self.objects[0])  # which has no room for this one
        for ptr in [self.call('kmalloc', 64) for _ in range(300)]:  # of five slabs one stays, two are empty, two spare
            self.call('kfree', ptr)
        assert self.call('check_heap') == 0

    def call(self, name: str, *words: int) -> int:
        return self.driver.call(name, *words)

    def holes(self, *sizes: int) -> list[int]:
        """Chunks of these sizes that are free, each between used ones."""
        pointers = []
        for nbytes in sizes:
            pointers.append(self.call('kmalloc', nbytes))
            self.call('kmalloc', 1100)
        for ptr in pointers:
            assert self.call('kfree', ptr) == 0
        return [ptr - chunks.HEADER_BYTES for ptr in pointers]

    def chunk(self, addr: int) -> SizedChunk:
        return chunks.chunk_at(self.k.heap, addr)

    def record(self, ptr: int) -> SlabRecord:
        area = self.k.heap.slabs.area
        return SlabRecord(self.k.m, VirtAddr(area.records + (ptr - area.start) // 4096 * 64))


@pytest.fixture
def scene() -> Iterator[Scene]:
    with open_driver('sim', build=MODERN_BUILD) as driver:
        assert isinstance(driver, DirectDriver)
        yield Scene(driver)


def free_small_chunk(scene: Scene) -> SizedChunk:
    """A chunk in a small bin: what is left of a large one that a small request was cut from."""
    bins_of = scene.k.heap.chunks.bins
    for _ in range(20):
        for index in range(64):
            if bins_of.small[index]:
                return scene.chunk(bins_of.small[index])
        scene.call('kmalloc', 5500)  # leaves some 500 bytes of a hole
    raise AssertionError('no chunk came into a small bin')


def raise_top(k: Kernel, scene: Scene) -> None:
    k.heap.chunks.top = VirtAddr(k.heap.chunks.top + 8)


def unseal(k: Kernel, scene: Scene) -> None:
    scene.chunk(scene.ring[0]).header ^= 1 << 50


def flag_the_first(k: Kernel, scene: Scene) -> None:
    chunk = scene.chunk(k.heap.chunks.start + chunks.FIRST_CHUNK)
    chunk.header = chunk.header & ~chunks.PREVIOUS_USED


def change_the_boundary_tag(k: Kernel, scene: Scene) -> None:
    chunk = scene.chunk(scene.trie[0])
    k.m.store64(VirtAddr(chunk.addr + chunks.bytes_of(chunk) - 8), 32)


def count_too_many_bytes(k: Kernel, scene: Scene) -> None:
    k.heap.chunks.used_bytes += 16


def lose_a_chunk(k: Kernel, scene: Scene) -> None:
    chunk = scene.chunk(scene.trie[1])
    bins.remove(k.heap, chunk, chunks.bytes_of(chunk))


def lose_the_remainder(k: Kernel, scene: Scene) -> None:
    k.heap.chunks.remainder_bytes += 16


def commit_more_than_there_is(k: Kernel, scene: Scene) -> None:
    k.heap.chunks.committed_end = VirtAddr(k.heap.chunks.committed_end + PAGE_BYTES)


def turn_a_small_link(k: Kernel, scene: Scene) -> None:
    chunk = free_small_chunk(scene)
    chunk.previous = masked(k.heap, chunk, chunk.addr)


def turn_a_parent(k: Kernel, scene: Scene) -> None:
    nodes = [scene.chunk(at) for at in scene.trie]
    roots = [node for node in nodes if masked(k.heap, node, node.parent) == node.addr]
    root = next(node for node in roots if bins.child_of(k.heap, node))
    child = scene.chunk(bins.child_of(k.heap, root))
    child.parent = masked(k.heap, child, child.addr)


def turn_a_ring(k: Kernel, scene: Scene) -> None:
    chunk = scene.chunk(scene.ring[1])
    chunk.previous = masked(k.heap, chunk, chunk.addr)


def forget_a_bin(k: Kernel, scene: Scene) -> None:
    k.heap.chunks.bins.tree_map &= k.heap.chunks.bins.tree_map - 1


def move_a_page_of_a_slab(k: Kernel, scene: Scene) -> None:
    scene.record(scene.objects[0] + 4096).distance = 2


def invent_an_object(k: Kernel, scene: Scene) -> None:
    scene.record(scene.objects[0]).free[3] = 1


def call_a_slab_full(k: Kernel, scene: Scene) -> None:
    scene.record(scene.objects[0]).state = slab.FULL


def turn_a_slab_link(k: Kernel, scene: Scene) -> None:
    scene.record(scene.objects[0]).previous = VirtAddr(scene.record(scene.objects[0]).addr)


def count_too_many_slabs(k: Kernel, scene: Scene) -> None:
    k.heap.slabs.caches[k.heap.slabs.class_of[500 // 16 + 1]].nr_slabs += 1


def take_a_page_of_a_slab_away(k: Kernel, scene: Scene) -> None:
    scene.call('unmap_page', scene.objects[32] & -PAGE_BYTES)


def forget_a_spare_page(k: Kernel, scene: Scene) -> None:
    area = k.heap.slabs.area
    assert area.nr_spare > 0
    area.spare[0] = SlabRecord(k.m, area.spare[0]).next


def shift_a_page_of_a_slab(k: Kernel, scene: Scene) -> None:
    first = scene.record(scene.call('kmalloc', 1000))
    assert SlabRecord(k.m, VirtAddr(first.addr + 64)).distance == 1
    SlabRecord(k.m, VirtAddr(first.addr + 64)).colour += 64


def shift_a_slab(k: Kernel, scene: Scene) -> None:
    scene.record(scene.objects[0]).colour = 4096


def magazine_of(scene: Scene) -> Cache:
    """The cache of the objects, whose magazine is full."""
    return cache_for(scene.k.heap, 500)


def load_an_object_twice(k: Kernel, scene: Scene) -> None:
    rounds = magazine_of(scene).rounds
    rounds[3].ptr, rounds[3].place = rounds[2].ptr, rounds[2].place  # all of one slab, which is on a list


def load_a_used_object(k: Kernel, scene: Scene) -> None:
    third = magazine_of(scene).rounds[3]
    third.ptr, third.place = VirtAddr(scene.objects[6]), third.place - 1


def load_another_address(k: Kernel, scene: Scene) -> None:
    magazine_of(scene).rounds[3].ptr = VirtAddr(scene.objects[9] + 16)


def load_what_is_no_object(k: Kernel, scene: Scene) -> None:
    magazine_of(scene).rounds[3].ptr = VirtAddr(0)


def load_an_object_of_an_empty_slab(k: Kernel, scene: Scene) -> None:
    """In the place of one whose slab is current, and may have free objects elsewhere."""
    cache = cache_for(k.heap, 64)
    record = SlabRecord(k.m, cache.empty)
    first = cache.rounds[0]
    assert cache.top > first.addr
    first.ptr, first.place = slab.first_object(k.heap, record), record.addr << 3


def load_too_many(k: Kernel, scene: Scene) -> None:
    cache = magazine_of(scene)
    cache.top = VirtAddr(cache.top + 16)


def load_half_an_object(k: Kernel, scene: Scene) -> None:
    cache = magazine_of(scene)
    cache.top = VirtAddr(cache.top - 8)


def lose_an_object(k: Kernel, scene: Scene) -> None:
    cache = magazine_of(scene)
    cache.top = VirtAddr(cache.top - 16)


@pytest.mark.parametrize(
    ('damage', 'number'),
    [
        (raise_top, 1),
        (unseal, 2),
        (flag_the_first, 3),
        (change_the_boundary_tag, 4),
        (count_too_many_bytes, 5),
        (lose_a_chunk, 6),
        (lose_the_remainder, 6),
        (commit_more_than_there_is, 7),
        (turn_a_small_link, BIN + 1),
        (turn_a_parent, BIN + 2),
        (turn_a_ring, BIN + 3),
        (forget_a_bin, BIN + 4),
        (move_a_page_of_a_slab, SLAB_INVARIANTS + 1),
        (invent_an_object, SLAB_INVARIANTS + 2),
        (call_a_slab_full, SLAB_INVARIANTS + 3),
        (turn_a_slab_link, SLAB_INVARIANTS + 4),
        (count_too_many_slabs, SLAB_INVARIANTS + 5),
        (take_a_page_of_a_slab_away, SLAB_INVARIANTS + 6),
        (forget_a_spare_page, SLAB_INVARIANTS + 7),
        (shift_a_page_of_a_slab, SLAB_INVARIANTS + 8),
        (shift_a_slab, SLAB_INVARIANTS + 8),
        (load_an_object_twice, SLAB_INVARIANTS + 9),
        (load_a_used_object, SLAB_INVARIANTS + 9),
        (load_another_address, SLAB_INVARIANTS + 9),
        (load_what_is_no_object, SLAB_INVARIANTS + 9),
        (load_an_object_of_an_empty_slab, SLAB_INVARIANTS + 9),
        (load_too_many, SLAB_INVARIANTS + 9),
        (load_half_an_object, SLAB_INVARIANTS + 9),
        (lose_an_object, SLAB_INVARIANTS + 3),
    ],
)
def test_a_broken_invariant_is_named(scene: Scene, damage: Callable[[Kernel, Scene], None], number: int) -> None:
    damage(scene.k, scene)
    assert scene.call('check_heap') == number
