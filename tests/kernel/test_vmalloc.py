"""vmalloc: ranges of pages, against a list of intervals, in all places; and that a refused frame leaves nothing."""

import random

import pytest

from incroos.kernel import mailbox, pmm, vmm
from incroos.kernel.codes import BAD_FREE, NOT_MAPPED, OK
from incroos.kernel.config import MODERN_CHECKED
from incroos.kernel.layout import PAGE_BYTES, VMALLOC, VMALLOC_BYTES, VMALLOC_END
from incroos.lang import PhysAddr, VirtAddr
from incroos.run.harness import call_of
from incroos.run.sim import Sim

from .drivers import MODERN_BUILD, PLACES, open_driver

MIB = 1 << 20
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
                assert driver.call('count_other', va, byte, nbytes) == 0
                assert driver.call('vfree', va) == OK
                assert driver.call('vfree', va) == BAD_FREE
            else:
                nbytes = rng.choice((1, 4096, 4097, 20_000, 100_000))
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
    before = pmm.nr_free_frames(k), k.pages.nr_tables, k.vmalloc.next
    assert vmm.vmalloc(k, nbytes) == 0
    assert (pmm.nr_free_frames(k), k.pages.nr_tables, k.vmalloc.next) == before
    assert vmm.check_vmalloc(k) == vmm.check(k) == OK


def test_each_frame_can_be_refused(sim: Sim) -> None:
    k = sim.kernel
    before = pmm.nr_free_frames(k), k.pages.nr_tables
    nr_pages, nr_tables = 5, 3
    for refused in range(1, nr_pages + nr_tables + 1):
        k.frames.requests, k.frames.refuse_at = 0, refused
        assert vmm.vmalloc(k, nr_pages * PAGE_BYTES) == 0
        assert (pmm.nr_free_frames(k), k.pages.nr_tables) == before
    k.frames.refuse_at = 0
    assert vmm.vfree(k, vmm.vmalloc(k, nr_pages * PAGE_BYTES)) == OK
    assert (pmm.nr_free_frames(k), k.pages.nr_tables) == before


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
    k.vmalloc.next = VirtAddr(VMALLOC_END - 2 * PAGE_BYTES)
    assert vmm.vmalloc(k, PAGE_BYTES) == VMALLOC_END - 2 * PAGE_BYTES
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
