"""The walk over the heap against lists of what is live, in every place; and the leak report that is made of it."""

import random
from collections.abc import Iterator
from dataclasses import replace

import pytest

from incroos.guest import mailbox
from incroos.inspect.address_space import kernel_in
from incroos.inspect.heap_view import Block, LiveBlock, blocks_of, by_site, live_blocks, snapshot
from incroos.inspect.ram import RamMachine
from incroos.kernel.config import FULL
from incroos.kernel.configs import CLASSIC_CHECKED, MODERN_CHECKED
from incroos.kernel.heap import chunks_alone, slabs_and_pages
from incroos.kernel.heap.chunk.header import HEADER_BYTES
from incroos.kernel.heap.report import walk
from incroos.kernel.layout import KERNEL_STATE, PAGE_BYTES, SLAB_RECORDS
from incroos.kernel.state import Kernel
from incroos.lang import VirtAddr
from incroos.run.harness import DirectDriver, Driver
from incroos.run.sim import Sim

from ..drivers import CHECKED, MODERN_BUILD, PLACES, Build, open_driver

SITES = Build(replace(MODERN_CHECKED, call_sites=1), is_checked=True)
FULL_BUILD = Build(replace(MODERN_CHECKED, hardening=FULL), is_checked=True)
ONE_DESIGN = {
    'chunks': Build(replace(MODERN_CHECKED, objects=chunks_alone), is_checked=True),
    'slabs': Build(replace(MODERN_CHECKED, objects=slabs_and_pages), is_checked=True),
    'first fit with sites': Build(replace(CLASSIC_CHECKED, call_sites=1), is_checked=True),
    'full': FULL_BUILD,
    'sites': SITES,
}
KINDS_OF_BLOCKS = {'object', 'object of a cache', 'chunk', 'pages', 'range of vmalloc'}
HEADERS = {'chunk': HEADER_BYTES}


class Live:
    """What was taken and not given back: addresses and bytes, by how they are given back."""

    def __init__(self, driver: Driver) -> None:
        self.driver, self.call = driver, driver.call
        self.blocks: dict[int, int] = {}
        self.ranges: dict[int, int] = {}
        self.objects: dict[int, int] = {}
        self.cache = self.call('cache_create', 200, 32)

    def step(self, rng: random.Random) -> None:
        nbytes = rng.choice((rng.randint(1, 100), rng.randint(1, 1024), rng.randint(1, 30_000)))
        match rng.randrange(10):
            case 0 | 1 | 2 | 3:
                self.blocks[self.call('kmalloc', nbytes)] = nbytes
            case 4:
                alignment = 1 << rng.randrange(13)
                if ptr := self.call('kmemalign', alignment, nbytes):
                    self.blocks[ptr] = nbytes
            case 5 if self.cache:
                self.objects[self.call('cache_alloc', self.cache)] = 200
            case 6 if self.objects:
                ptr = rng.choice(list(self.objects))
                del self.objects[ptr]
                assert self.call('cache_free', self.cache, ptr) == 0
            case 7 if self.blocks:
                ptr = rng.choice(list(self.blocks))
                del self.blocks[ptr]
                assert self.call('kfree', ptr) == 0
            case _ if self.blocks:
                ptr = rng.choice(list(self.blocks))
                del self.blocks[ptr]
                self.blocks[self.call('krealloc', ptr, nbytes)] = nbytes

    def large(self) -> None:
        """Two blocks with pages of their own, and two ranges that are nobody's but vmalloc's user."""
        for nbytes in (2 << 20, (1 << 20) + 1):
            self.blocks[self.call('kmalloc', nbytes)] = nbytes
            self.ranges[self.call('vmalloc', nbytes)] = nbytes


def covers(visited: list[Block]) -> bool:
    """Whether each visit begins behind the last one, and inside a range just at its end."""
    ends = [block.start + block.nbytes for block in visited]
    starts = [block.start for block in visited[1:]]
    return all(end <= start for end, start in zip(ends, starts, strict=False))


def check_against(live: Live) -> None:
    """Each live block lies in a visit of its own, of a kind that fits, and nothing else is used."""
    visited = list(blocks_of(live.driver.ram))
    assert covers(visited)
    used = [block for block in visited if block.state == 'used']
    assert {block.kind for block in used} <= KINDS_OF_BLOCKS
    places = {block.start + HEADERS.get(block.kind, 0): block for block in used}
    wanted = {**live.blocks, **live.ranges, **live.objects, **({live.cache: 1} if live.cache else {})}
    starts = sorted(places)
    for ptr, nbytes in wanted.items():
        base = max(start for start in starts if start <= ptr)  # a tag may be in front
        block = places.pop(base)
        starts.remove(base)
        assert ptr + nbytes <= block.start + block.nbytes
        assert (block.kind == 'object of a cache') == (ptr in live.objects or ptr == live.cache)
        assert (block.kind == 'range of vmalloc') == (ptr in live.ranges)
    assert places == {}


def check_coverage(driver: Driver) -> None:
    """All bytes with frames are visited, and those without only where pages have no slab."""
    visited = list(blocks_of(driver.ram))
    k = driver.kernel
    with_frames = sum(block.nbytes for block in visited if block.state != 'no frames')
    pages = sum(block.nbytes for block in visited if block.kind in ('pages', 'range of vmalloc'))
    assert with_frames == driver.call('committed_bytes') + k.vmalloc.nr_pages * PAGE_BYTES
    assert pages == k.vmalloc.nr_pages * PAGE_BYTES
    area = k.heap.slabs.area
    slabs = sum(block.nbytes for block in visited if area.start <= block.start < area.top)
    assert slabs == area.top - area.start
    records = [block.nbytes for block in visited if block.kind == 'records']
    assert sum(records) == area.records_end - area.records
    used = sum(block.nbytes for block in visited if block.state == 'used' and block.kind != 'range of vmalloc')
    assert used == driver.call('used_bytes')
    for state in range(5):
        wanted = sum(block.nbytes for block in visited if block.state == STATE_NAMES[state])
        assert driver.call('visited_bytes', state) == wanted


STATE_NAMES = ('free', 'used', 'in quarantine', 'no block', 'no frames')


def run_against_lists(place: str, build: Build, nr_steps: int, seed: int) -> None:
    with open_driver(place, build=build) as driver:
        live, rng = Live(driver), random.Random(seed)
        if build.config.space:
            live.large()
        for step in range(nr_steps):
            live.step(rng)
            if step % 60 == 0:
                check_against(live)
        check_against(live)
        check_coverage(driver)
        assert driver.call('check_heap') == 0
        driver.call('shrink')
        check_against(live)
        check_coverage(driver)


@pytest.mark.parametrize('build', [CHECKED, MODERN_BUILD], ids=['classic', 'modern'])
@pytest.mark.parametrize('place', PLACES)
def test_a_walk_sees_what_is_live_and_nothing_else(place: str, build: Build) -> None:
    run_against_lists(place, build, 240, 7)


@pytest.mark.parametrize('design', ONE_DESIGN)
def test_the_same_of_each_design_and_of_blocks_with_tags(design: str) -> None:
    run_against_lists('sim', ONE_DESIGN[design], 120, 8)


def test_the_kernel_walks_as_the_host_does() -> None:
    """Interpreted on the strict computer, which refuses to read what nobody wrote, and on a dump of its RAM."""
    with open_driver('sim', build=FULL_BUILD) as driver:
        assert isinstance(driver, DirectDriver)
        live, rng = Live(driver), random.Random(3)
        live.large()
        for _ in range(150):
            live.step(rng)
        cursor, ends = walk.START, []
        while (end := driver.call('next_visit', cursor)) != 0:
            ends.append(end)
            cursor = VirtAddr(end)
        visited = list(blocks_of(RamMachine(bytearray(driver.ram.bytes), FULL_BUILD.config)))
        assert [block.start + block.nbytes for block in visited] == ends
        assert {'in quarantine', 'used', 'free'} < {block.state for block in visited}


def test_a_look_leaves_the_guests_memory_alone() -> None:
    with open_driver('jit', build=MODERN_BUILD) as driver:
        driver.call('kmalloc', 5 << 20)
        before = driver.ram.read(KERNEL_STATE, Kernel.SIZE)
        assert len(list(blocks_of(driver.ram))) > 0
        assert driver.ram.read(KERNEL_STATE, Kernel.SIZE) == before


def test_an_empty_heap_has_no_blocks(driver: Driver) -> None:
    assert list(blocks_of(driver.ram)) == []
    assert driver.call('next_visit', walk.START) == 0


def test_a_walk_ends_at_a_header_that_was_written_over() -> None:
    with open_driver('jit', build=MODERN_BUILD) as driver:
        first, second, third = (driver.call('kmalloc', 2000) for _ in range(3))
        driver.call('store', second - HEADER_BYTES, 0x41)
        chunks = [block for block in blocks_of(driver.ram) if block.start < SLAB_RECORDS]
        assert [block.kind for block in chunks] == ['edge', 'chunk', 'edge']
        assert chunks[1].start == first - HEADER_BYTES
        assert chunks[2].start + chunks[2].nbytes > third


# ------------------------------------------------------------------ leaks
@pytest.fixture(params=['sim', 'jit'])
def with_sites(request: pytest.FixtureRequest) -> Iterator[Driver]:
    with open_driver(request.param, build=SITES) as driver:
        yield driver


def test_what_was_taken_since_a_snapshot(with_sites: Driver) -> None:
    driver = with_sites
    old = driver.call('kmalloc_at', 100, 0xAAA)
    gone = driver.call('kmalloc_at', 100, 0xBBB)
    moment = driver.call('snapshot')
    assert moment == snapshot(driver.ram) == 2
    assert live_blocks(driver.ram, moment) == []
    sizes = (10, 100, 3000, 2 << 20, 64)
    taken = [driver.call('kmalloc_at', nbytes, 0xCCC + index % 2) for index, nbytes in enumerate(sizes)]
    driver.call('vmalloc', 5000)  # is not the heap's
    cache = driver.call('cache_create', 50, 8)
    driver.call('cache_alloc', cache)
    driver.call('kfree', gone)
    driver.call('kfree', taken.pop())
    wanted = [LiveBlock(ptr, sizes[index], 0xCCC + index % 2, 3 + index) for index, ptr in enumerate(taken)]
    assert live_blocks(driver.ram, moment) == wanted
    assert live_blocks(driver.ram)[0] == LiveBlock(old, 100, 0xAAA, 1)
    assert driver.call('leaked_blocks', moment) == 4
    assert driver.call('leaked_bytes', moment) == sum(sizes[:4])
    assert by_site(wanted) == {0xCCD: (2, 100 + (2 << 20)), 0xCCC: (2, 3010)}
    assert driver.call('check_heap') == 0


def test_blocks_that_moved_are_new_and_those_that_grew_are_not(with_sites: Driver) -> None:
    driver = with_sites
    small, chunk = driver.call('kmalloc_at', 100, 1), driver.call('kmalloc_at', 5000, 2)
    moment = driver.call('snapshot')
    assert driver.call('krealloc_at', chunk, 9000, 3) == chunk
    moved = driver.call('krealloc_at', small, 500, 4)
    assert moved != small
    assert live_blocks(driver.ram, moment) == [LiveBlock(moved, 500, 4, 3)]
    assert [(block.nbytes, block.site) for block in live_blocks(driver.ram)] == [(9000, 3), (500, 4)]


def test_the_report_of_the_kernel_says_the_same() -> None:
    sim = Sim(64 << 20, SITES.config)
    sim.start(mailbox.start)
    driver = DirectDriver(sim.kernel, sim.ram)
    moment = driver.call('snapshot')
    told, not_told = driver.call('kmalloc_at', 100, 0x401234), driver.call('kmalloc', 2000)
    driver.call('put_leaks', moment)
    assert sim.console().decode() == (
        f'0x{not_told & 2**64 - 1:016X}: 2000 bytes, number 2\n'
        f'0x{told & 2**64 - 1:016X}: 100 bytes, number 1, asked for at 0x0000000000401234\n'
        '2 blocks, 2100 bytes\n'
    )


def test_without_tags_there_is_nothing_to_tell() -> None:
    with open_driver('sim', build=MODERN_BUILD) as driver:
        driver.call('kmalloc', 100)
        assert driver.call('leaked_blocks', 0) == 0
        with pytest.raises(ValueError, match='call_sites=1'):
            live_blocks(driver.ram)


def test_the_view_is_the_kernels_by_the_address_that_it_has() -> None:
    with open_driver('sim', build=MODERN_BUILD) as driver:
        assert kernel_in(driver.ram).addr == MODERN_BUILD.config.image_window + KERNEL_STATE
