"""Soaks: long random runs that the kernel makes up by itself, in each configuration and with both frame allocators.

INCROOS_BUDGET=full makes ten million operations of each.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Final

import pytest

from incroos.guest import soak
from incroos.guest.soak.slots import (
    CHUNK,
    FRAME,
    FRAMES_BROKEN,
    HEAP_BROKEN,
    LARGE_PAGE,
    LOST,
    NOT_ZEROED,
    NR_SLOTS,
    PAGE,
    PAGES_BROKEN,
    RANGE,
    SPACE_BROKEN,
    VMALLOC_BROKEN,
    WRONG_ANSWER,
    WRONG_COUNT,
    WRONG_TRANSLATION,
    Slot,
)
from incroos.inspect.address_space import AddressSpace
from incroos.inspect.digest import differences, digest, digests
from incroos.kernel import pmm
from incroos.kernel.codes import OK
from incroos.kernel.configs import MODERN, MODERN_CHECKED
from incroos.kernel.heap.size_classes import SMALL_BYTES
from incroos.kernel.layout import PAGE_BYTES
from incroos.kernel.pmm import frames
from incroos.kernel.pmm.all import buddy
from incroos.kernel.vmm import PRESENT, WRITABLE
from incroos.lang import VirtAddr, offset_of
from incroos.run.firmware import BIOS, PVH, UEFI, file_for_qemu
from incroos.run.harness import Driver, MailboxDriver
from incroos.run.qemu_guest import Guest

from ..budget import FULL
from ..kernel.drivers import CHECKED, FULL_BUILDS, MEMORY, MODERN_BUILD, MODERN_PLAIN, PLAIN, Build, booted, open_driver

MIB: Final = 1 << 20
GIB: Final = 1 << 30
BUDDY_BUILD: Final = Build(replace(MODERN_CHECKED, frames=buddy), is_checked=True)
BUDDY_PLAIN: Final = Build(replace(MODERN, frames=buddy), is_checked=False, is_quick=True)
NR_OPERATIONS: Final = 10_000_000 if FULL else 200_000
BATCH: Final = 100_000  # a driver waits half a minute for it
NR_SHORT: Final = 1500  # also interpreted

CHECKED_BUILDS: Final = {
    'classic': CHECKED,
    'modern': MODERN_BUILD,
    'modern with buddy': BUDDY_BUILD,
    'classic, heap fully hardened': FULL_BUILDS['classic'],
    'modern, heap fully hardened': FULL_BUILDS['modern'],
}
PLAIN_BUILDS: Final = {'classic': PLAIN, 'modern': MODERN_PLAIN, 'modern with buddy': BUDDY_PLAIN}


def soak_in(driver: Driver, seed: int, nr_operations: int) -> int:
    """Operations of a soak, and a look at all; the address of the Soak, which goes on holding what it has."""
    at = driver.call('soak_begin', seed)
    assert at != 0
    for done in range(0, nr_operations, BATCH):
        assert driver.call('soak_run', at, min(BATCH, nr_operations - done)) == 0
    assert driver.call('soak_check', at) == 0
    return at


def nr_frames(driver: Driver) -> int:
    """All frames that are free, tables or the heap's."""
    heap_frames = driver.call('committed_bytes') >> 12
    return (
        driver.call('nr_free_frames') + driver.call('nr_free_pool_frames') + driver.kernel.space.nr_tables + heap_frames
    )


def check_soak(build: Build, memory_bytes: int, seed: int, nr_operations: int) -> None:
    """A soak from the start to the end, in jit."""
    with open_driver('jit', memory_bytes, build) as driver:
        before, used_bytes = nr_frames(driver), driver.call('used_bytes')
        at = soak_in(driver, seed, nr_operations)
        assert nr_frames(driver) < before - 100
        assert driver.call('soak_finish', at) == 0
        assert (nr_frames(driver), driver.call('used_bytes')) == (before, used_bytes)
        checks = ('check_pmm', 'check_vmm', 'check_heap', 'check_vmalloc')
        assert [driver.call(name) for name in checks] == [0, 0, 0, 0]


@pytest.mark.parametrize('build', CHECKED_BUILDS)
def test_soak(build: str) -> None:
    """With requests for frames that are refused."""
    check_soak(CHECKED_BUILDS[build], MEMORY, 1, NR_OPERATIONS)


@pytest.mark.parametrize(('memory_bytes', 'seed'), [(16 * MIB, 2), (256 * GIB, 3)])
@pytest.mark.parametrize('build', PLAIN_BUILDS if FULL else ['modern'])
def test_soak_of_the_kernel_that_users_get(build: str, memory_bytes: int, seed: int) -> None:
    """With so little memory that it runs out, and with much."""
    check_soak(PLAIN_BUILDS[build], memory_bytes, seed, NR_OPERATIONS)


# ------------------------------------------------------------------ the same everywhere
@contextmanager
def open_by(firmware: str, build: Build) -> Iterator[Driver]:
    """A kernel on a PC in QEMU that this firmware started."""
    image = booted(build)
    with Guest(file_for_qemu(firmware, image, print), MEMORY, firmware=firmware) as guest:
        driver = MailboxDriver(guest.ram, guest.is_running, config=build.config)
        driver.wait_until_ready()
        yield driver


@pytest.mark.parametrize('build', ['classic', 'modern'])
def test_a_soak_leaves_the_same_memory_in_every_place_and_by_every_firmware(build: str) -> None:
    """With all that it holds in the middle of the run."""
    kernel = CHECKED_BUILDS[build]
    with open_driver('sim', build=kernel) as driver:
        soak_in(driver, 5, NR_SHORT)
        memory, wanted = digests(driver.ram), digest(driver.ram)
    drivers = [open_driver('jit', build=kernel), open_by(PVH, kernel), open_by(BIOS, kernel)]
    for opening in drivers:
        with opening as driver:
            soak_in(driver, 5, NR_SHORT)
            assert differences(memory, digests(driver.ram)) == []
            assert digest(driver.ram) == wanted


@pytest.mark.parametrize('build', ['classic', 'modern'] if FULL else ['modern'])
def test_soak_by_uefi(build: str) -> None:
    """Whose memory map is another, so the frames are."""
    with open_by(UEFI, CHECKED_BUILDS[build]) as driver:
        before = nr_frames(driver)
        assert driver.call('soak_finish', soak_in(driver, 6, NR_SHORT)) == 0
        assert nr_frames(driver) == before


# ------------------------------------------------------------------ a soak notices what is wrong
class Soaked:
    """A compiled kernel in the middle of a soak, and the host's view of it."""

    def __init__(self, driver: Driver) -> None:
        self.driver, self.call = driver, driver.call
        self.at = soak_in(driver, 7, 3000)
        self.memory = AddressSpace(driver.ram, driver.kernel.space.root)
        self.soak = soak.Soak(self.memory, VirtAddr(self.at))

    def slots(self, kind: int) -> list[Slot]:
        """The slots that have such a thing."""
        slots = [self.soak.slots[index] for index in range(NR_SLOTS)]
        return [slot for slot in slots if slot.kind == kind]

    def add(self, addr: int, value: int) -> None:
        """Add to a word of the kernel's memory."""
        self.call('store', addr, self.call('load', addr) + value)


@pytest.fixture
def soaked() -> Iterator[Soaked]:
    with open_driver('jit', build=MODERN_BUILD) as driver:
        yield Soaked(driver)


def lose_frame(soaked: Soaked) -> None:
    assert soaked.call('alloc_page') > 0


def lose_table(soaked: Soaked) -> None:
    soaked.driver.kernel.space.nr_tables += 1


def break_heap(soaked: Soaked) -> None:
    chunk = next(slot for slot in soaked.slots(CHUNK) if slot.nbytes > SMALL_BYTES)
    soaked.call('store', chunk.start - 8, 0)


def break_zone(soaked: Soaked) -> None:
    soaked.driver.kernel.blocks.zones[1].nr_total_frames += 1


def break_vmalloc(soaked: Soaked) -> None:
    soaked.driver.kernel.vmalloc.nr_pages += 1


def map_writable_and_executable(soaked: Soaked) -> None:
    assert soaked.call('map_page', 0x1000_0000, 1 << 44, PRESENT | WRITABLE) == OK


@pytest.mark.parametrize(
    ('sabotage', 'fault'),
    [
        (lose_frame, WRONG_COUNT),
        (lose_table, PAGES_BROKEN),
        (break_heap, HEAP_BROKEN),
        (break_zone, FRAMES_BROKEN),
        (break_vmalloc, VMALLOC_BROKEN),
        (map_writable_and_executable, SPACE_BROKEN),
    ],
)
def test_the_look_at_all_notices(soaked: Soaked, sabotage: Callable[[Soaked], None], fault: int) -> None:
    assert soaked.call('soak_check', soaked.at) == OK
    sabotage(soaked)
    assert soaked.call('soak_check', soaked.at) == fault


def write_to_frame(soaked: Soaked) -> None:
    soaked.call('store', soaked.slots(FRAME)[0].start + PAGE_BYTES - 8, 1)


def map_other_frame(soaked: Soaked) -> None:
    page, frame = soaked.slots(PAGE)[0], soaked.slots(FRAME)[0]
    assert soaked.call('unmap_page', page.start) == page.memory
    assert soaked.call('map_page', page.start, frame.memory, PRESENT) == OK


def free_chunk(soaked: Soaked) -> None:
    assert soaked.call('kfree', soaked.slots(CHUNK)[0].start) == OK


def unmap_from_range(soaked: Soaked) -> None:
    whole = next(slot for slot in soaked.slots(RANGE) if slot.hole == slot.hole_end)
    assert soaked.call('unmap_range', whole.start, PAGE_BYTES) == OK


def unmap_large_page(soaked: Soaked) -> None:
    large = soaked.slots(LARGE_PAGE)[0]
    assert soaked.call('unmap_leaf', large.start, 3 if large.nbytes == GIB else 2) == large.memory


@pytest.mark.parametrize(
    ('sabotage', 'fault'),
    [
        (lose_frame, WRONG_COUNT),
        (write_to_frame, LOST),
        (map_other_frame, LOST),
        (free_chunk, LOST),
        (unmap_from_range, WRONG_ANSWER),
        (unmap_large_page, WRONG_ANSWER),
    ],
)
def test_the_end_notices(soaked: Soaked, sabotage: Callable[[Soaked], None], fault: int) -> None:
    sabotage(soaked)
    assert soaked.call('soak_finish', soaked.at) == fault


def test_an_operation_notices_a_wrong_translation(soaked: Soaked) -> None:
    for slot in soaked.slots(RANGE):
        soaked.add(slot.addr + offset_of(Slot, 'memory'), PAGE_BYTES)
    assert soaked.call('soak_run', soaked.at, 3000) == WRONG_TRANSLATION
    assert 3000 < soaked.soak.nr_operations < 6000


def test_an_operation_notices_a_frame_that_is_not_zeroed(monkeypatch: pytest.MonkeyPatch) -> None:
    with open_driver('sim') as driver:
        at = soak_in(driver, 7, 10)
        monkeypatch.setattr(frames, 'zero_frame', lambda k, pa: k.m.fill(pmm.address_of(k, pa), 1, PAGE_BYTES))
        assert driver.call('soak_run', at, 100) == NOT_ZEROED


def test_no_room_for_a_soak() -> None:
    with open_driver('jit') as driver:
        while driver.call('kmalloc', PAGE_BYTES) != 0:
            pass
        assert driver.call('soak_begin', 1) == 0
