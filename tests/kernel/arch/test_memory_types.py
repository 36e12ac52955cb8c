"""Memory types and global pages: what config modern sets up, and what a flush of everything has to do then."""

from collections.abc import Iterator
from typing import Final, cast

import pytest

from incroos.kernel import vmm
from incroos.kernel.arch import memory_types
from incroos.kernel.codes import ALREADY_MAPPED, OK
from incroos.kernel.state import Kernel
from incroos.kernel.vmm import (
    CACHE_DISABLE,
    GLOBAL,
    HUGE,
    NX,
    PAT,
    PAT_LARGE,
    PRESENT,
    UNCACHED,
    WRITABLE,
    WRITE_BACK,
    WRITE_COMBINING,
    tlb,
)
from incroos.lang import PhysAddr, VirtAddr
from incroos.machine.architecture import CR4_PGE, MSR_PAT, PAT_AT_RESET
from incroos.machine.errors import MachineStopped, StaleTranslation
from incroos.run.harness import DirectDriver

from ..drivers import CHECKED, MODERN_BUILD, open_driver

VA: Final = VirtAddr(0x7000_0000_0000)
PAGE: Final = 0x1000
NR_PAGES: Final = 64  # more than are flushed one by one
MEMORY: Final = PhysAddr(0x40_1000)
DATA: Final = PRESENT | WRITABLE | NX | GLOBAL


@pytest.fixture
def k() -> Iterator[Kernel]:
    with open_driver('sim', build=MODERN_BUILD) as driver:
        yield cast(DirectDriver, driver).k


def test_modern_offers_write_combining_and_keeps_the_types_that_were() -> None:
    with open_driver('sim', build=MODERN_BUILD) as driver:
        types = cast(DirectDriver, driver).k.m.read_msr(MSR_PAT)
    assert types >> 32 & 0xFF == 1
    assert types & ~(0xFF << 32) == PAT_AT_RESET & ~(0xFF << 32)


def test_classic_leaves_the_processor_as_the_boot_code_did() -> None:
    with open_driver('sim', build=CHECKED) as driver:
        m = cast(DirectDriver, driver).k.m
        assert m.read_msr(MSR_PAT) == PAT_AT_RESET
        assert m.read_cr4() & CR4_PGE == 0


@pytest.mark.parametrize(
    ('memory_type', 'small', 'large'),
    [
        (WRITE_BACK, 0, 0),
        (UNCACHED, CACHE_DISABLE | vmm.WRITE_THROUGH, CACHE_DISABLE | vmm.WRITE_THROUGH),
        (WRITE_COMBINING, PAT, PAT_LARGE),
    ],
)
def test_a_memory_type_reaches_pages_of_each_size(k: Kernel, memory_type: int, small: int, large: int) -> None:
    flags = vmm.with_type(PRESENT | NX | PAT | CACHE_DISABLE, memory_type)
    start, device = VirtAddr(VA - PAGE), PhysAddr((1 << 32) - PAGE)
    assert vmm.map_range(k, start, device, (2 << 20) + PAGE, flags) == OK
    _, level, _, entry = vmm.walk(k, start)
    assert (level, entry) == (1, device | PRESENT | NX | small)
    _, level, _, entry = vmm.walk(k, VA)
    assert (level, entry) == (2, 1 << 32 | PRESENT | NX | large | HUGE)


def test_a_flush_of_everything_reaches_global_pages(k: Kernel) -> None:
    assert k.m.read_cr4() & CR4_PGE
    assert vmm.map_range(k, VA, MEMORY, NR_PAGES * PAGE, DATA) == OK
    for at in range(0, NR_PAGES * PAGE, PAGE):
        k.m.store64(VirtAddr(VA + at), at)
    assert vmm.unmap_range(k, VA, NR_PAGES * PAGE) == OK
    assert vmm.map_range(k, VA, PhysAddr(MEMORY + PAGE), NR_PAGES * PAGE, DATA) == OK
    for at in range(0, (NR_PAGES - 1) * PAGE, PAGE):
        assert k.m.load64(VirtAddr(VA + at)) == at + PAGE
    assert k.m.read_cr4() & CR4_PGE


def test_a_flush_of_everything_reaches_pages_that_were_global_before(k: Kernel) -> None:
    assert vmm.map_range(k, VA, MEMORY, NR_PAGES * PAGE, DATA) == OK
    for at in range(0, NR_PAGES * PAGE, PAGE):
        k.m.store64(VirtAddr(VA + at), at)
    assert vmm.protect_range(k, VA, NR_PAGES * PAGE, PRESENT | NX) == OK
    for at in range(0, NR_PAGES * PAGE, PAGE):
        with pytest.raises(MachineStopped):  # by a page fault, and not by a translation that is remembered
            k.m.store64(VirtAddr(VA + at), 7)


def test_what_a_refused_range_had_mapped_is_flushed_if_it_was_global(k: Kernel) -> None:
    """Nobody but the processor uses a page before map_range answers: it looks at each page as soon as it is mapped."""
    end = VirtAddr(VA + NR_PAGES * PAGE)
    assert vmm.map_page(k, end, MEMORY, DATA) == OK
    store64 = k.m.store64
    seen = set()

    def store_and_look(addr: VirtAddr, value: int) -> None:
        store64(addr, value)
        at = (value ^ DATA) - MEMORY
        if 0 <= at < NR_PAGES * PAGE:  # the entry of a page
            k.m.load8(VirtAddr(VA + at))
            seen.add(at)

    for at in range(0, (NR_PAGES + 1) * PAGE, PAGE):
        k.m.store8(VirtAddr(k.config.frame_window + MEMORY + at), 7)
    k.m.store64 = store_and_look  # type: ignore[method-assign]
    assert vmm.map_range(k, VA, MEMORY, (NR_PAGES + 1) * PAGE, DATA) == ALREADY_MAPPED
    k.m.store64 = store64  # type: ignore[method-assign]
    assert len(seen) == NR_PAGES
    assert vmm.map_range(k, VA, PhysAddr(MEMORY + PAGE), NR_PAGES * PAGE, DATA) == OK
    for at in range(0, NR_PAGES * PAGE, PAGE):
        k.m.load8(VirtAddr(VA + at))


def test_a_load_of_cr3_would_not_have(k: Kernel) -> None:
    """The witness sees the difference."""
    assert vmm.map_range(k, VA, MEMORY, PAGE, DATA) == OK
    k.m.store64(VA, 7)
    slot = vmm.walk(k, VA)[2]
    k.m.store64(VirtAddr(k.config.frame_window + slot), (MEMORY + PAGE) | DATA)
    tlb.flush_all(k.space, 0)
    with pytest.raises(StaleTranslation):
        k.m.load64(VA)
    tlb.flush_all(k.space, GLOBAL)
    k.m.store64(VA, 8)


def test_a_processor_without_them_is_left_alone(k: Kernel) -> None:
    k.m.cpuid = lambda leaf, subleaf: (0, 0, 0, 0)  # type: ignore[method-assign]
    k.m.write_msr = lambda index, value: pytest.fail('written')  # type: ignore[method-assign]
    k.m.write_cr4 = lambda value: pytest.fail('written')  # type: ignore[method-assign]
    memory_types.init(k)
