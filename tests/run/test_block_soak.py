"""Payloads under random use: filled, and read again wholly, in each design of the heap and at each level of hardening.

INCROOS_BUDGET=full makes ten million operations of each.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Final

import pytest

from incroos.guest.soak.blocks import NR_BLOCKS, Block, BlockSoak
from incroos.guest.soak.slots import HEAP_BROKEN, LOST, PAGES_BROKEN, WRONG_COUNT
from incroos.inspect.address_space import AddressSpace
from incroos.inspect.digest import differences, digests
from incroos.kernel.configs import MODERN_CHECKED, MODERN_FULL_CHECKED, MODERN_OFF
from incroos.kernel.heap import chunks_alone, slabs_and_pages
from incroos.lang import VirtAddr
from incroos.run.harness import Driver

from ..budget import FULL
from ..kernel.drivers import CHECKED, MODERN_BUILD, MODERN_PLAIN, PLACES, PLAIN, Build, open_driver

MEMORY: Final = 256 << 20
NR_OPERATIONS: Final = 10_000_000 if FULL else 150_000
BATCH: Final = 100_000
NR_SHORT: Final = 60  # also interpreted
CHECKS: Final = ('check_heap', 'check_pmm', 'check_vmm', 'check_vmalloc')

BUILDS: Final = {
    'classic': CHECKED,
    'modern': MODERN_BUILD,
    'modern, chunks': Build(replace(MODERN_CHECKED, objects=chunks_alone), is_checked=True),
    'modern, full': Build(MODERN_FULL_CHECKED, is_checked=True),
    'modern for users': MODERN_PLAIN,
}
RARE_BUILDS: Final = {
    'modern, slabs': Build(replace(MODERN_CHECKED, objects=slabs_and_pages), is_checked=True),
    'modern, off': Build(replace(MODERN_OFF, fault_injection=1), is_checked=True),
    'classic for users': PLAIN,
}


class Soaked:
    """A kernel with a soak of blocks, and the host's view of it."""

    def __init__(self, driver: Driver, seed: int, nr_operations: int) -> None:
        self.driver, self.call = driver, driver.call
        self.at = driver.call('block_soak_begin', seed)
        assert self.at != 0
        self.memory = AddressSpace(driver.ram, driver.kernel.space.root)
        self.soak = BlockSoak(self.memory, VirtAddr(self.at))
        for done in range(0, nr_operations, BATCH):
            code = driver.call('block_soak_run', self.at, min(BATCH, nr_operations - done))
            assert code == 0, f'operation {self.soak.nr_operations}'

    def largest(self) -> Block:
        """The block with most bytes."""
        blocks = [self.soak.blocks[index] for index in range(NR_BLOCKS)]
        return max((block for block in blocks if block.ptr), key=lambda block: block.nbytes)


def frames(driver: Driver) -> tuple[int, int]:
    """Free ones, tables among them, and the heap's."""
    nr_free = driver.call('nr_free_frames') + driver.call('nr_free_pool_frames') + driver.kernel.space.nr_tables
    return nr_free, driver.call('committed_bytes') >> 12


@pytest.mark.parametrize(('name', 'build'), (BUILDS | RARE_BUILDS if FULL else BUILDS).items())
def test_each_block_keeps_what_was_written_into_it(name: str, build: Build) -> None:
    with open_driver('jit', MEMORY, build) as driver:
        before, used_bytes = sum(frames(driver)), driver.call('used_bytes')
        soaked = Soaked(driver, 1, NR_OPERATIONS)
        assert sum(frames(driver)) < before or driver.kernel.vmalloc.nr_pages == 0
        assert driver.call('block_soak_check', soaked.at) == 0
        assert soaked.largest().nbytes > 50_000
        assert soaked.soak.nr_wrong > NR_OPERATIONS // 10 or name == 'modern, full'
        assert soaked.soak.nr_refused > 0 or not build.config.fault_injection
        assert driver.call('block_soak_finish', soaked.at) == 0
        assert (sum(frames(driver)), driver.call('used_bytes')) == (before, used_bytes)
        assert [driver.call(name) for name in CHECKS] == [0, 0, 0, 0]


@pytest.mark.parametrize('build', ['classic', 'modern'])
def test_a_soak_of_blocks_leaves_the_same_memory_in_every_place(build: str) -> None:
    memories = []
    for place in PLACES:
        with open_driver(place, build=BUILDS[build]) as driver:
            soaked = Soaked(driver, 5, NR_SHORT)
            assert driver.call('block_soak_check', soaked.at) == 0
            memories.append(digests(driver.ram))
    for other in memories[1:]:
        assert differences(memories[0], other) == []


# ------------------------------------------------------------------ a soak notices what is wrong
@pytest.fixture
def soaked() -> Iterator[Soaked]:
    with open_driver('jit', build=MODERN_BUILD) as driver:
        yield Soaked(driver, 7, 5000)


def add(soaked: Soaked, addr: int, value: int) -> None:
    """Add to a word of the kernel's memory."""
    soaked.call('store', addr, soaked.call('load', addr) + value)


def change_the_last_byte(soaked: Soaked) -> None:
    block = soaked.largest()
    byte = soaked.memory.load8(VirtAddr(block.ptr + block.nbytes - 1))
    soaked.call('fill', block.ptr + block.nbytes - 1, byte ^ 1, 1)


def change_the_middle(soaked: Soaked) -> None:
    block = soaked.largest()
    add(soaked, block.ptr + (block.nbytes >> 1 & -8), 1)


def lose_a_frame(soaked: Soaked) -> None:
    assert soaked.call('alloc_page') > 0


def lose_a_table(soaked: Soaked) -> None:
    soaked.driver.kernel.space.nr_tables += 1


def count_too_many_bytes(soaked: Soaked) -> None:
    soaked.driver.kernel.heap.chunks.used_bytes += 16


@pytest.mark.parametrize(
    ('sabotage', 'fault'),
    [
        (change_the_last_byte, LOST),
        (change_the_middle, LOST),
        (lose_a_frame, WRONG_COUNT),
        (lose_a_table, PAGES_BROKEN),
        (count_too_many_bytes, HEAP_BROKEN),
    ],
)
def test_a_soak_of_blocks_notices(soaked: Soaked, sabotage: Callable[[Soaked], None], fault: int) -> None:
    assert soaked.call('block_soak_check', soaked.at) == 0
    sabotage(soaked)
    assert soaked.call('block_soak_check', soaked.at) == fault
    assert soaked.call('block_soak_finish', soaked.at) == fault
