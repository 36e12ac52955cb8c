"""The heap of config `modern`: size classes in slabs, chunks by best fit, whole pages; in every place."""

import random
from collections.abc import Iterator

import pytest

from incroos.kernel.codes import BAD_FREE
from incroos.kernel.heap.size_classes import LARGE_BYTES, SMALL_BYTES
from incroos.kernel.layout import MODERN_HEAP, PAGE_BYTES, SLABS, VMALLOC, VMALLOC_END
from incroos.run.harness import Driver

from ..drivers import MODERN_BUILD, PLACES, open_driver
from .heap_help import free_all

CHECKS = ('check_heap', 'check_vmm', 'check_pmm', 'check_vmalloc')


@pytest.fixture(params=PLACES)
def modern(request: pytest.FixtureRequest) -> Iterator[Driver]:
    with open_driver(request.param, build=MODERN_BUILD) as driver:
        yield driver


@pytest.fixture
def modern_sim() -> Iterator[Driver]:
    with open_driver('sim', build=MODERN_BUILD) as driver:
        yield driver


def assert_in_order(driver: Driver) -> None:
    assert [driver.call(name) for name in CHECKS] == [0, 0, 0, 0]


def seal(driver: Driver, ptr: int, nbytes: int, byte: int) -> None:
    """Fill the first and the last bytes of a payload: enough to see that somebody else has been there."""
    seen = min(nbytes, 64)
    driver.call('fill', ptr, byte, seen)
    driver.call('fill', ptr + nbytes - seen, byte, seen)


def is_kept(driver: Driver, ptr: int, nbytes: int, byte: int) -> bool:
    seen = min(nbytes, 64)
    return (
        driver.call('count_other', ptr, byte, seen) == 0 == driver.call('count_other', ptr + nbytes - seen, byte, seen)
    )


class Intervals:
    """What is handed out: no two blocks overlap, and each keeps what was written into it."""

    def __init__(self, driver: Driver) -> None:
        self.driver = driver
        self.live: dict[int, tuple[int, int]] = {}
        self.nr_steps = 0

    def take(self, ptr: int, nbytes: int, alignment: int = 16) -> None:
        assert ptr != 0
        assert ptr % max(alignment, 16) == 0
        assert all(ptr + nbytes <= other or other + size <= ptr for other, (size, _) in self.live.items())
        assert self.driver.call('kmalloc_usable_size', ptr) >= nbytes
        self.nr_steps += 1
        self.live[ptr] = nbytes, self.nr_steps % 251
        seal(self.driver, ptr, *self.live[ptr])

    def drop(self, ptr: int) -> tuple[int, int]:
        nbytes, byte = self.live.pop(ptr)
        assert is_kept(self.driver, ptr, nbytes, byte)
        return nbytes, byte

    def free(self, ptr: int) -> None:
        self.drop(ptr)
        assert self.driver.call('kfree', ptr) == 0
        assert self.driver.call('kfree', ptr) == BAD_FREE

    def reallocate(self, ptr: int, nbytes: int) -> None:
        before, byte = self.live.pop(ptr)
        new = self.driver.call('krealloc', ptr, nbytes)
        assert is_kept(self.driver, new, min(before, nbytes), byte) or before > nbytes
        assert self.driver.call('count_other', new, byte, min(before, nbytes, 64)) == 0
        self.take(new, nbytes)


def a_size(rng: random.Random) -> int:
    return rng.choice((rng.randint(1, 64), rng.randint(1, SMALL_BYTES), rng.randint(1, 20_000), 1024, 1025, 4096))


def test_a_mix_of_requests_against_intervals(modern: Driver) -> None:
    rng = random.Random(41)
    model = Intervals(modern)
    free_before = modern.call('nr_free_frames')
    for step in range(250):
        match rng.randrange(8):
            case 0 | 1 | 2:
                nbytes = a_size(rng)
                model.take(modern.call('kmalloc', nbytes), nbytes)
            case 3:
                nbytes, alignment = a_size(rng), 1 << rng.randrange(13)
                model.take(modern.call('kmemalign', alignment, nbytes), nbytes, alignment)
            case 4 if model.live:
                model.reallocate(rng.choice(list(model.live)), a_size(rng))
            case _ if model.live:
                model.free(rng.choice(list(model.live)))
        if step % 50 == 0:
            assert_in_order(modern)
    for ptr in list(model.live):
        model.free(ptr)
    assert modern.call('used_bytes') == 0
    assert modern.call('shrink') > 0
    assert_in_order(modern)
    tables_and_records = free_before - modern.call('nr_free_frames')
    assert 0 <= tables_and_records <= 9


def test_each_size_of_the_small_classes(modern: Driver) -> None:
    model = Intervals(modern)
    for nbytes in range(1, SMALL_BYTES + 2, 7):
        ptr = modern.call('kmalloc', nbytes)
        model.take(ptr, nbytes)
        usable = modern.call('kmalloc_usable_size', ptr)
        assert usable < nbytes + max(16, nbytes // 8 + 8)
        assert (ptr >= SLABS) == (nbytes <= SMALL_BYTES)
    assert_in_order(modern)
    free_all(modern, model.live)
    assert modern.call('used_bytes') == 0


def test_a_large_request_has_pages_of_its_own(modern: Driver) -> None:
    ptr = modern.call('kmalloc', LARGE_BYTES + 1)
    assert VMALLOC <= ptr < VMALLOC_END
    assert modern.call('used_bytes') == LARGE_BYTES + PAGE_BYTES
    assert modern.call('krealloc', ptr, LARGE_BYTES + 2) == ptr
    assert modern.call('kfree', ptr + 16) == BAD_FREE
    assert modern.call('kfree', ptr) == 0
    assert modern.call('kfree', ptr) == BAD_FREE
    assert modern.call('used_bytes') == 0
    assert MODERN_HEAP <= modern.call('kmalloc', LARGE_BYTES) < SLABS
    assert_in_order(modern)


def test_kfree_and_vfree_do_not_take_what_the_other_one_gave(modern: Driver) -> None:
    range_of_pages, block = modern.call('vmalloc', 2 * LARGE_BYTES), modern.call('kmalloc', 2 * LARGE_BYTES)
    used = modern.call('used_bytes')
    assert modern.call('kfree', range_of_pages) == BAD_FREE
    assert modern.call('kmalloc_usable_size', range_of_pages) == 0
    assert modern.call('krealloc', range_of_pages, 100) == 0
    assert modern.call('vfree', block) == BAD_FREE
    assert modern.call('used_bytes') == used == 2 * LARGE_BYTES
    assert_in_order(modern)
    assert modern.call('vfree', range_of_pages) == 0 == modern.call('kfree', block)
    assert modern.call('used_bytes') == 0


def test_what_is_no_size_gets_nothing(modern: Driver) -> None:
    before = modern.call('used_bytes'), modern.call('nr_free_frames')
    for nbytes in (0, -1, -(1 << 63), (1 << 63) - 1, 1 << 62, 1 << 40):
        assert modern.call('kmalloc', nbytes) == 0
        assert modern.call('kzalloc', nbytes) == 0
        assert modern.call('kmemalign', 64, nbytes) == 0
    for items, nbytes in ((0, 8), (8, 0), (-1, 8), (8, -1), (1 << 33, 1 << 33), ((1 << 63) - 1, 2), (1 << 62, 4)):
        assert modern.call('kcalloc', items, nbytes) == 0
    for alignment in (0, -16, 3, 48, -(1 << 63), (1 << 63) - 1):
        assert modern.call('kmemalign', alignment, 100) == 0
    assert modern.call('kmemalign', 1 << 62, 100) == 0
    assert (modern.call('used_bytes'), modern.call('nr_free_frames')) == before
    assert_in_order(modern)


def test_pointers_of_every_wrong_kind(modern: Driver) -> None:
    small, chunk, other = (modern.call('kmalloc', nbytes) for nbytes in (100, 5000, 5000))
    page = modern.call('kmalloc', LARGE_BYTES + 1)
    used = modern.call('used_bytes')
    wrong = [small + 1, small + 16, small - 16, small + 112, chunk + 16, chunk - 8, chunk + 4096, other - 16, page + 8]
    wrong += [page + PAGE_BYTES, page - PAGE_BYTES, 8, -8, 1 << 62, MODERN_HEAP, MODERN_HEAP + 8, SLABS + (1 << 40)]
    wrong += [MODERN_HEAP + (1 << 25), SLABS + (1 << 20), -(1 << 63), 0x1000, small ^ 1 << 62]
    for ptr in wrong:
        assert modern.call('kfree', ptr) == BAD_FREE, hex(ptr)
        assert modern.call('kmalloc_usable_size', ptr) == 0
        assert modern.call('krealloc', ptr, 50) == 0
    assert modern.call('used_bytes') == used
    assert modern.call('kfree', 0) == 0
    assert_in_order(modern)
    free_all(modern, [small, chunk, other, page])


def test_calloc_and_zalloc_clear_what_was_somebodys(modern: Driver) -> None:
    for nbytes in (48, 600, 3000, 70_000):
        ptr = modern.call('kmalloc', nbytes)
        modern.call('fill', ptr, 0xAA, nbytes)
        free_all(modern, [ptr])
        for again in (modern.call('kzalloc', nbytes), modern.call('kcalloc', nbytes // 4, 4)):
            assert modern.call('count_other', again, 0, nbytes) == 0


def test_realloc_keeps_content_and_alignment(modern: Driver) -> None:
    ptr = modern.call('kmemalign', 256, 300)
    modern.call('fill', ptr, 0x17, 300)
    for nbytes in (5000, 40_000, 2000, 100, 9000):
        blocker = modern.call('kmalloc', 1100)
        ptr = modern.call('krealloc', ptr, nbytes)
        assert ptr % 256 == 0
        assert modern.call('count_other', ptr, 0x17, min(nbytes, 100)) == 0
        assert blocker != 0
    assert modern.call('krealloc', ptr, 0) == 0
    assert modern.call('kfree', ptr) == BAD_FREE
    again = modern.call('krealloc', 0, 200)
    assert modern.call('kmalloc_usable_size', again) >= 200
    assert_in_order(modern)


@pytest.mark.parametrize(
    ('before', 'after'),
    [(SMALL_BYTES, 10), (5000, 100), (LARGE_BYTES + 1, SMALL_BYTES), (LARGE_BYTES + 1, 5000)],
    ids=['object to object', 'chunk to object', 'large to object', 'large to chunk'],
)
def test_realloc_to_less_moves_no_more_than_there_is_room_for(modern: Driver, before: int, after: int) -> None:
    """The new block comes to lie among others, which keep all of their bytes."""
    others = [modern.call('kmalloc', after) for _ in range(40)]
    usable = modern.call('kmalloc_usable_size', others[0])
    for ptr in others:
        modern.call('fill', ptr, 0x17, usable)
    free_all(modern, [others.pop(20)])
    ptr = modern.call('kmalloc', before)
    modern.call('fill', ptr, 0x71, before)
    moved = modern.call('krealloc', ptr, after)
    assert min(others) < moved < max(others)
    assert modern.call('count_other', moved, 0x71, after) == 0
    assert [ptr for ptr in others if modern.call('count_other', ptr, 0x17, usable) != 0] == []
    assert_in_order(modern)


def test_the_last_chunk_grows_where_it_is(modern: Driver) -> None:
    ptr = modern.call('kmalloc', 5000)
    assert modern.call('krealloc', ptr, 100_000) == ptr
    assert modern.call('krealloc', ptr, 3000) == ptr
    assert modern.call('krealloc', ptr, 50_000) == ptr
    assert_in_order(modern)


def test_a_slab_that_empties_is_used_again_and_given_back(modern: Driver) -> None:
    assert modern.call('kmalloc', 500) != 0  # the tables are there from now on
    before = modern.call('nr_free_frames')
    pointers = [modern.call('kmalloc', 64) for _ in range(1000)]
    assert modern.call('nr_free_frames') == before - 16
    free_all(modern, pointers)
    assert modern.call('nr_free_frames') == before - 16  # so few are spare
    pointers = [modern.call('kmalloc', 200) for _ in range(200)]
    assert modern.call('nr_free_frames') == before - 16  # and serve another size
    assert_in_order(modern)
    free_all(modern, pointers)
    assert modern.call('shrink') > 0
    assert modern.call('nr_free_frames') == before
    assert_in_order(modern)


def test_many_slabs_that_empty_are_given_back(modern: Driver) -> None:
    pointers = [modern.call('kmalloc', 1000) for _ in range(1300)]
    before = modern.call('nr_free_frames')
    free_all(modern, pointers)
    nr_given_back = modern.call('nr_free_frames') - before
    assert 100 < nr_given_back < 300  # of some 330 pages
    assert_in_order(modern)


def test_the_end_of_the_chunks_is_given_back(modern: Driver) -> None:
    pointers = [modern.call('kmalloc', 900_000) for _ in range(4)]
    before = modern.call('nr_free_frames')
    free_all(modern, pointers)
    assert modern.call('nr_free_frames') > before + 800
    assert_in_order(modern)


@pytest.mark.parametrize(('nbytes', 'step'), [(100, 1), (5000, 1), (LARGE_BYTES + 1, 60)])
def test_each_frame_refused_once(modern_sim: Driver, nbytes: int, step: int) -> None:
    sim = modern_sim
    for refused in range(1, 400, step):
        used, free = sim.call('used_bytes'), sim.call('nr_free_frames')
        sim.call('refuse_at', refused)
        ptr = sim.call('kmalloc', nbytes)
        was_refused = sim.kernel.frames.requests >= refused
        sim.call('refuse_at', 0)
        if not was_refused:
            assert ptr != 0
            assert refused > 1
            break
        assert ptr == 0 or nbytes > LARGE_BYTES  # a huge frame that is refused is made up for by small ones
        if ptr != 0:
            free_all(sim, [ptr])
        assert (sim.call('used_bytes'), sim.call('nr_free_frames')) == (used, free)
        assert_in_order(sim)
    else:
        pytest.fail('a request that always asks for more frames')


def test_running_out_of_frames_is_no_panic(modern_sim: Driver) -> None:
    sim = modern_sim
    pointers = []
    while ptr := sim.call('kmalloc', 512 << 10):
        pointers.append(ptr)
    assert sim.call('kmalloc', 1000) != 0 or sim.call('nr_free_frames') < 8
    assert_in_order(sim)
    free_all(sim, pointers)
    assert sim.call('shrink') > 0
    assert sim.call('kmalloc', 512 << 10) != 0


def test_what_has_pages_of_its_own_can_grow(modern_sim: Driver) -> None:
    """The first of these lies at a multiple of 2**44, which nobody asked for, and nothing else is."""
    ptr = modern_sim.call('kmalloc', LARGE_BYTES + 1)
    modern_sim.call('fill', ptr, 0x29, LARGE_BYTES + 1)
    new = modern_sim.call('krealloc', ptr, 2 * LARGE_BYTES)
    assert VMALLOC <= new < VMALLOC_END
    assert modern_sim.call('count_other', new, 0x29, LARGE_BYTES + 1) == 0
    assert modern_sim.call('kfree', new) == 0
    assert_in_order(modern_sim)
