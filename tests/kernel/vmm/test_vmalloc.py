"""vmalloc: ranges of pages, against a list of intervals, in all places; and that a refused frame leaves nothing."""

import random
from functools import partial
from itertools import pairwise

import pytest

from incroos.guest import mailbox
from incroos.kernel import pmm, vmm
from incroos.kernel.codes import BAD_FREE, NO_FRAME, NOT_MAPPED, OK, WRONG_BLOCK
from incroos.kernel.configs import MODERN_CHECKED
from incroos.kernel.layout import PAGE_BYTES, VMALLOC, VMALLOC_BYTES, VMALLOC_END
from incroos.lang import PhysAddr, VirtAddr
from incroos.run.harness import call_of
from incroos.run.sim import Sim

from ..drivers import MODERN_BUILD, PLACES, open_driver

MIB = 1 << 20
DATA = vmm.DATA
COUNTS = ('nr_free_frames', 'check_vmalloc', 'check_vmm', 'check_pmm')


@pytest.mark.parametrize('place', PLACES)
def test_ranges_do_not_touch_and_keep_what_is_written(place: str) -> None:
    rng = random.Random(7)
    with open_driver(place, build=MODERN_BUILD) as driver:
        before = driver.execute([call_of(name) for name in COUNTS])
        held: dict[int, tuple[int, int]] = {}
        for step in range(60):
            if held and rng.random() < 0.45:
                va = rng.choice(list(held))
                nbytes, byte = held.pop(va)
                looked_at = min(nbytes, 100_000)
                assert driver.call('count_other', va + nbytes - looked_at, byte, looked_at) == 0
                assert driver.call('vfree', va) == OK
                assert driver.call('vfree', va) == BAD_FREE
            else:
                nbytes = rng.choice((1, 4096, 4097, 20_000, 100_000, 2 * MIB, 2 * MIB + 1))
                va = driver.call('vmalloc', nbytes)
                assert va % PAGE_BYTES == 0
                assert VMALLOC <= va < VMALLOC_END
                for other, (its_bytes, _) in held.items():
                    assert va > other + its_bytes + PAGE_BYTES - 1 or other > va + nbytes + PAGE_BYTES - 1
                driver.call('fill', va, step, nbytes)
                held[va] = nbytes, step
                end = va + -(-nbytes // PAGE_BYTES) * PAGE_BYTES
                assert driver.call('get_physical', end) == NOT_MAPPED
            assert driver.call('check_vmalloc') == OK
        for va in held:
            assert driver.call('vfree', va) == OK
        assert driver.execute([call_of(name) for name in COUNTS]) == before


@pytest.fixture
def sim() -> Sim:
    """A kernel that has started."""
    sim = Sim(64 * MIB, MODERN_CHECKED)
    sim.start(mailbox.start)
    return sim


@pytest.mark.parametrize('nbytes', [0, -1, -1 << 63, (1 << 63) - 1, VMALLOC_BYTES, VMALLOC_BYTES + 1, 63 * MIB])
def test_what_cannot_be_had_changes_nothing(sim: Sim, nbytes: int) -> None:
    k = sim.kernel
    before = pmm.nr_free_frames(k), k.space.nr_tables, k.vmalloc.next
    assert vmm.vmalloc(k, nbytes) == 0
    assert (pmm.nr_free_frames(k), k.space.nr_tables, k.vmalloc.next) == before
    assert vmm.check_vmalloc(k) == vmm.check(k) == OK


def test_each_frame_can_be_refused(sim: Sim) -> None:
    k = sim.kernel
    before = pmm.nr_free_frames(k), k.space.nr_tables
    nr_pages, nr_tables = 5, 2
    for refused in range(1, nr_pages + nr_tables + 1):
        k.frames.requests, k.frames.refuse_at = 0, refused
        assert vmm.vmalloc(k, nr_pages * PAGE_BYTES) == 0
        assert (pmm.nr_free_frames(k), k.space.nr_tables) == before
    k.frames.refuse_at = 0
    assert vmm.vfree(k, vmm.vmalloc(k, nr_pages * PAGE_BYTES)) == OK
    assert (pmm.nr_free_frames(k), k.space.nr_tables) == before


def test_each_frame_can_be_refused_where_no_two_free_ones_are_neighbours() -> None:
    """So that the range is mapped in many parts, of which those that are done must go again."""
    sim = Sim(4 * MIB, MODERN_CHECKED)
    sim.start(mailbox.start)
    k = sim.kernel
    frames = sorted(iter(partial(pmm.take_frame, k), NO_FRAME))
    kept, freed = frames[1::2], frames[::2]
    assert [pmm.free_page(k, frame) for frame in freed] == [OK] * len(freed)
    before = pmm.nr_free_frames(k), k.space.nr_tables
    nr_pages, refused, va = 5, 0, 0
    while va == 0:
        refused += 1
        k.frames.requests, k.frames.refuse_at = 0, refused
        va = vmm.vmalloc(k, nr_pages * PAGE_BYTES)
        assert va != 0 or (pmm.nr_free_frames(k), k.space.nr_tables) == before
        assert pmm.check(k) == vmm.check_vmalloc(k) == vmm.check(k) == OK
    assert refused > nr_pages
    k.frames.refuse_at = 0
    assert vmm.vfree(k, VirtAddr(va)) == OK
    assert vmm.vmalloc(k, len(freed) * PAGE_BYTES) == 0  # there is no frame for its tables
    assert (pmm.nr_free_frames(k), k.space.nr_tables) == before
    assert [pmm.free_page(k, frame) for frame in kept] == [OK] * len(kept)
    assert pmm.check(k) == vmm.check_vmalloc(k) == vmm.check(k) == OK


def test_large_ranges_are_of_huge_pages_and_small_ones_where_no_huge_block_is_to_be_had(sim: Sim) -> None:
    k = sim.kernel
    before = pmm.nr_free_frames(k), k.space.nr_tables
    small, large = vmm.vmalloc(k, PAGE_BYTES), vmm.vmalloc(k, 5 * MIB)
    assert large % (2 * MIB) == 0
    assert [vmm.walk(k, VirtAddr(large + at * MIB))[1] for at in range(5)] == [2, 2, 2, 2, 1]
    assert vmm.vfree(k, VirtAddr(large + 2 * MIB)) == BAD_FREE
    assert pmm.free_page(k, vmm.get_physical(k, large)) == WRONG_BLOCK
    assert pmm.check(k) == vmm.check_vmalloc(k) == vmm.check(k) == OK
    frames = [pmm.take_frame(k) for _ in range(1536)]
    for frame in frames[::2]:
        assert pmm.free_page(k, frame) == OK
    blocks = [pmm.take_huge(k)]
    while blocks[-1] >= 0:
        blocks.append(pmm.take_huge(k))
    scattered = vmm.vmalloc(k, 2 * MIB)
    assert scattered != 0
    assert vmm.walk(k, scattered)[1] == 1
    assert vmm.check_vmalloc(k) == OK
    for block in (*blocks[:-1], *frames[1::2]):
        assert pmm.free_block(k, block) == OK
    for va in (large, scattered, small):
        assert vmm.vfree(k, va) == OK
    assert (pmm.nr_free_frames(k), k.space.nr_tables) == before
    assert pmm.check(k) == vmm.check_vmalloc(k) == vmm.check(k) == OK


def test_frames_from_anywhere_make_a_range(sim: Sim) -> None:
    k = sim.kernel
    before = pmm.nr_free_frames(k)
    frames = [pmm.take_frame(k) for _ in range(300)]
    random.Random(5).shuffle(frames)
    kept = [frame for frame in frames if frame >> 12 & 3 == 3]
    for frame in frames:
        assert frame in kept or pmm.free_page(k, frame) == OK
    va = vmm.vmalloc(k, 500 * PAGE_BYTES)
    found = [vmm.get_physical(k, VirtAddr(va + at * PAGE_BYTES)) for at in range(500)]
    assert len(set(found)) == 500
    assert not set(found) & set(kept)
    assert sum(after != frame + PAGE_BYTES for frame, after in pairwise(found)) > 20
    assert vmm.check_vmalloc(k) == vmm.check(k) == OK
    assert vmm.vfree(k, va) == OK
    for frame in kept:
        assert pmm.free_page(k, frame) == OK
    assert pmm.nr_free_frames(k) == before
    assert pmm.check(k) == vmm.check_vmalloc(k) == vmm.check(k) == OK


def test_a_refused_huge_block_is_no_loss(sim: Sim) -> None:
    k = sim.kernel
    before = pmm.nr_free_frames(k), k.space.nr_tables
    k.frames.requests, k.frames.refuse_at = 0, 1
    va = vmm.vmalloc(k, 2 * MIB)
    assert va != 0
    assert k.frames.requests > 512
    assert vmm.check_vmalloc(k) == OK
    assert vmm.vfree(k, va) == OK
    assert (pmm.nr_free_frames(k), k.space.nr_tables) == before


def test_what_is_no_range_is_refused(sim: Sim) -> None:
    k = sim.kernel
    va = vmm.vmalloc(k, 3 * PAGE_BYTES)
    assert vmm.vfree(k, VirtAddr(0)) == OK
    for wrong in (va + PAGE_BYTES, va + 8, va + 3 * PAGE_BYTES, va - PAGE_BYTES, VMALLOC_END, 0x20_0000, 8):
        assert vmm.vfree(k, VirtAddr(wrong)) == BAD_FREE
    assert vmm.check_vmalloc(k) == OK


def test_addresses_are_used_again_when_the_end_is_reached(sim: Sim) -> None:
    k = sim.kernel
    first = vmm.vmalloc(k, PAGE_BYTES)
    end = k.vmalloc.end
    k.vmalloc.next = VirtAddr(end - 2 * PAGE_BYTES)
    assert vmm.vmalloc(k, PAGE_BYTES) == end - 2 * PAGE_BYTES
    assert vmm.vmalloc(k, PAGE_BYTES) == first + 2 * PAGE_BYTES
    assert vmm.check_vmalloc(k) == OK


def test_the_check_finds_a_lost_page_and_wrong_counts(sim: Sim) -> None:
    k = sim.kernel
    va = vmm.vmalloc(k, 3 * PAGE_BYTES)
    frame = vmm.unmap_page(k, VirtAddr(va + PAGE_BYTES))
    assert vmm.check_vmalloc(k) == 1
    assert vmm.map_page(k, VirtAddr(va + PAGE_BYTES), PhysAddr(frame), vmm.PRESENT | vmm.WRITABLE | vmm.NX) == OK
    k.vmalloc.nr_pages += 1
    assert vmm.check_vmalloc(k) == 2
    k.vmalloc.nr_pages -= 1
    assert vmm.check_vmalloc(k) == OK


def test_what_was_mapped_of_a_range_for_which_frames_run_out_half_way_is_given_back(sim: Sim) -> None:
    """Each free frame is a row of its own, and the tables that take some of them make the last page's missing."""
    k = sim.kernel
    frames = [pmm.take_frame(k) for _ in range(pmm.nr_free_frames(k))]
    for frame in frames[:2000:2]:
        assert pmm.free_page(k, frame) == OK
    before = pmm.nr_free_frames(k), k.space.nr_tables
    assert vmm.vmalloc(k, before[0] * PAGE_BYTES) == 0
    assert (pmm.nr_free_frames(k), k.space.nr_tables) == before
    assert vmm.map_fresh(k, VirtAddr(0x4000_0000), VirtAddr(0x4000_0000 + before[0] * PAGE_BYTES), DATA) == NO_FRAME
    assert (pmm.nr_free_frames(k), k.space.nr_tables) == before
    assert pmm.check(k) == vmm.check_vmalloc(k) == vmm.check(k) == OK
