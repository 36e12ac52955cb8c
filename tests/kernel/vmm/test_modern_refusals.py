"""Each request for a frame refused once, in config `modern` with every way to page tables: the call answers with its
error, nothing leaks, and what there was is as it was. While the kernel starts, a refusal is a panic with words.
"""

from collections.abc import Callable
from typing import Final

import pytest

from incroos.guest import mailbox
from incroos.inspect.digest import differences, digests
from incroos.inspect.ram import RamMachine
from incroos.kernel import heap, pmm, vmm
from incroos.kernel.codes import NO_FRAME, OK
from incroos.kernel.io import console
from incroos.kernel.state import NR_KNOWN, Counters, Kernel, KnownTable
from incroos.kernel.vmm import NX, PRESENT, WRITABLE, windows
from incroos.lang import PhysAddr, VirtAddr
from incroos.machine.errors import MachineStopped
from incroos.run.sim import Sim
from incroos.run.simulated import START_INFO

from ..drivers import MODERN_BUILDS

MIB: Final = 1 << 20
PAGE: Final = 1 << 12
FIXMAP: Final = windows.FIXMAP_START & (1 << 48) - 1
HUGE: Final = 1 << 21
GIANT: Final = 1 << 30
FAR: Final = VirtAddr(0x7000_0000_0000)
DATA: Final = PRESENT | WRITABLE | NX
CHECKERS: Final = (pmm.check, vmm.check, heap.check, vmm.check_vmalloc)
INNER: Final = VirtAddr(FAR - GIANT + PAGE)  # in the pages that are mapped before: two of 1 GiB

KNOWN_BYTES: Final = NR_KNOWN * KnownTable.SIZE

Call = Callable[[Kernel], int]

# What each call answers when it is refused a frame, and how many requests it makes.
CALLS: Final[dict[str, tuple[Call, int, int]]] = {
    'alloc_page': (pmm.alloc_page, NO_FRAME, 1),
    'alloc_table': (lambda k: pmm.alloc_table(k, 1), NO_FRAME, 1),
    'map_page': (lambda k: vmm.map_page(k, VirtAddr(FAR << 1 >> 2), PhysAddr(0), DATA), NO_FRAME, 3),
    'map_leaf': (lambda k: vmm.map_leaf(k, VirtAddr(FAR << 1 >> 2), PhysAddr(0), DATA, 2), NO_FRAME, 2),
    'map_range': (
        lambda k: vmm.map_range(k, VirtAddr(FAR - 2 * GIANT - PAGE), PhysAddr(7 * GIANT - PAGE), PAGE, DATA),
        NO_FRAME,
        2,
    ),
    'map_long_range': (
        lambda k: vmm.map_range(k, VirtAddr(FAR + GIANT - PAGE), PhysAddr(GIANT - PAGE), GIANT + HUGE + 2 * PAGE, DATA),
        NO_FRAME,
        5,
    ),
    'protect_range': (lambda k: vmm.protect_range(k, INNER, GIANT - 2 * PAGE, PRESENT), NO_FRAME, 3),
    'unmap_range': (lambda k: vmm.unmap_range(k, INNER, HUGE), NO_FRAME, 3),
    'vmalloc': (lambda k: vmm.vmalloc(k, 5 * PAGE), 0, 7),
    'kmalloc': (lambda k: heap.kmalloc(k, 3 * PAGE), 0, 6),
}


def start(way: str, memory_bytes: int = 8 * MIB) -> Sim:
    """A kernel that has started, with two pages of 1 GiB."""
    sim = Sim(memory_bytes, MODERN_BUILDS[way].config)
    sim.start(mailbox.start)
    assert vmm.map_range(sim.kernel, VirtAddr(FAR - 2 * GIANT), PhysAddr(0), 2 * GIANT, DATA) == OK
    return sim


def state_of(sim: Sim) -> tuple[dict[str, str], list[int]]:
    """Memory as it counts, and the numbers of frames; which block a frame is in may change, as may the counters.

    Nor do caches count: which tables are known, and which table a window of the fixmap showed last. The generation of
    PCIDs moves on when something in the upper half is flushed, also for what is undone.
    """
    k = sim.kernel
    requests, k.frames.requests = k.frames.requests, 0
    generation, k.pcids.generation = k.pcids.generation, 1
    counters = [k.counters.allocs, k.counters.frees, k.counters.flushes]
    k.counters.allocs = k.counters.frees = k.counters.flushes = 0
    known = slice(k.space.known.addr - k.config.image_window, k.space.known.addr - k.config.image_window + KNOWN_BYTES)
    kept, sim.ram[known] = bytes(sim.ram[known]), bytes(KNOWN_BYTES)
    memory = digests(RamMachine(sim.ram, k.config))
    sim.ram[known] = kept
    k.frames.requests, k.pcids.generation = requests, generation
    k.counters.allocs, k.counters.frees, k.counters.flushes = counters
    assert 8 * len(counters) == Counters.SIZE
    del memory['free blocks']
    memory.pop(next((part for part in memory if part.endswith(f'level 1 for {FIXMAP:#x}')), ''), None)
    return memory, [pmm.nr_free_frames(k), k.space.nr_tables]


@pytest.mark.parametrize('way', MODERN_BUILDS)
@pytest.mark.parametrize('name', CALLS)
def test_each_frame_of_a_call_refused_once(name: str, way: str) -> None:
    call, error, nr_requests = CALLS[name]
    sim = start(way)
    k = sim.kernel
    before = state_of(sim)
    for refused in range(1, nr_requests + 1):
        k.frames.requests, k.frames.refuse_at = 0, refused
        assert call(k) == error
        k.frames.refuse_at = 0
        k.heap.figures.nr_refused = 0
        memory, counts = state_of(sim)
        assert differences(before[0], memory) == []
        assert counts == before[1]
        assert [check(k) for check in CHECKERS] == [OK] * len(CHECKERS)
    k.frames.requests = 0
    k.frames.refuse_at = nr_requests + 1
    assert call(k) != error
    assert k.frames.requests == nr_requests


@pytest.mark.parametrize('way', MODERN_BUILDS)
def test_joining_asks_for_no_frame(way: str) -> None:
    sim = start(way)
    k = sim.kernel
    assert vmm.protect_range(k, INNER, PAGE, PRESENT) == vmm.protect_leaf(k, INNER, DATA, 1) == OK
    k.frames.requests, k.frames.refuse_at = 0, 1
    assert vmm.merge(k, INNER, PAGE) == 2
    assert k.frames.requests == 0


@pytest.mark.parametrize('way', MODERN_BUILDS)
def test_a_refusal_while_the_kernel_starts_is_a_panic_with_words(way: str) -> None:
    config = MODERN_BUILDS[way].config
    refused = 0
    while True:
        refused += 1
        sim = Sim(3 * MIB, config)
        console.init(sim.kernel, PhysAddr(START_INFO))
        pmm.init(sim.kernel, PhysAddr(START_INFO))
        sim.kernel.frames.refuse_at = refused
        try:
            vmm.init(sim.kernel)
        except MachineStopped:
            assert sim.console().startswith(b'PANIC: vmm: ')
        else:
            break
    assert sim.kernel.frames.requests == refused - 1 > 10
