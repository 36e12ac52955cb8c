"""Five levels of page tables: the models of pages and ranges, in every place and with every way to reach tables.

Where the processor has four, a build for five does with them; QEMU's emulation has five.
"""

import random
from dataclasses import replace
from itertools import islice
from typing import Final

import pytest

from incroos.inspect.digest import differences, digests
from incroos.kernel import vmm
from incroos.kernel.arch.pte import page_bytes, page_of
from incroos.kernel.codes import NO_FRAME, NOT_CANONICAL, OK, RESERVED
from incroos.kernel.config import RECURSIVE
from incroos.kernel.configs import (
    CLASSIC_FIXMAP_LA57,
    CLASSIC_LA57,
    CLASSIC_RECURSIVE_LA57,
    MODERN_FIXMAP,
    MODERN_LA57_CHECKED,
    MODERN_RECURSIVE,
)
from incroos.kernel.layout import BOOT_PML5, BOOT_TABLES
from incroos.kernel.vmm import NX, PRESENT, WRITABLE, windows
from incroos.lang import PhysAddr, VirtAddr
from incroos.machine.cpu import ALL_FEATURES, HAS_LA57
from incroos.run.harness import DirectDriver, Driver, MailboxDriver
from incroos.run.qemu_guest import Guest

from ...budget import FULL
from ..drivers import PLACES, Build, make_guest, open_driver
from ..models import BASES_OF_FIVE, PAGE_BYTES, Pages, any_page, leaves_in, nr_steps_in, play
from .range_model import WINDOWS_OF_FIVE, Ranges, pages_in

BUILDS: Final = {
    'identity': Build(CLASSIC_LA57, is_checked=True),
    'direct-map': Build(MODERN_LA57_CHECKED, is_checked=True),
    'recursive': Build(CLASSIC_RECURSIVE_LA57, is_checked=True),
    'fixmap': Build(CLASSIC_FIXMAP_LA57, is_checked=True),
}
ONLY_IN_SIM: Final = {
    'modern-recursive': Build(replace(MODERN_RECURSIVE, levels=5), is_checked=True),
    'modern-fixmap': Build(replace(MODERN_FIXMAP, levels=5), is_checked=True),
}
OPEN_WINDOWS: Final = [va for va in WINDOWS_OF_FIVE if va >= -1 << 48]  # in `modern` the root has one entry there
DATA: Final = PRESENT | WRITABLE | NX
UNSIGNED: Final = (1 << 64) - 1
IDENTITY_END: Final = 0x1000_0000
USUAL: Final = {('jit', 'identity'), ('qemu', 'direct-map'), *(('sim', name) for name in BUILDS)}
EVERYWHERE: Final = [(place, name) for place in PLACES for name in BUILDS if FULL or (place, name) in USUAL]


def is_way(va: int) -> bool:
    """Whether the address belongs to the recursive slot or to the fixmap."""
    return va >> 48 == windows.RECURSIVE_INDEX - 512 or va >> 21 == windows.FIXMAP_START >> 21


def model_of(name: str) -> Pages:
    """No pages, and the tables of the fixmap where the build has one."""
    model = Pages(BASES_OF_FIVE, levels=5)
    if name in ('recursive', 'fixmap'):
        for level in (2, 3, 4, 5):
            model.under[windows.FIXMAP_START & -PAGE_BYTES[level], level] += 1
    return model


def assert_tables_say(driver: Driver, model: Pages) -> None:
    """The leaves in RAM are the model's, but for identity map and what the way itself maps."""
    found = {
        (va, level): entry for va, level, entry in leaves_in(driver) if not 0 <= va < IDENTITY_END and not is_way(va)
    }
    assert found == {
        (va, level): (pa | flags | (0x80 if level > 1 else 0)) & UNSIGNED
        for (va, level), (pa, flags) in model.pages.items()
    }
    assert driver.kernel.space.nr_tables == model.nr_tables
    assert driver.call('check_vmm') == driver.call('check_pmm') == OK


@pytest.mark.parametrize(('place', 'name'), [case for case in EVERYWHERE if case[1] != 'direct-map'])
def test_pages_against_a_dict(place: str, name: str) -> None:
    with open_driver(place, build=BUILDS[name]) as driver:
        assert (driver.kernel.space.root, driver.kernel.space.root_level) == (BOOT_PML5, 5)
        model = model_of(name)
        play(driver, list(islice(model.steps(random.Random(3)), nr_steps_in(driver) // 2)))
        assert {va >> 47 for va, _ in model.pages} - {0, -1}
        assert_tables_say(driver, model)
        for va, level in list(model.pages):
            play(driver, [('unmap_leaf', (va, level), model.unmap_leaf(va, level))])
        assert_tables_say(driver, model)


@pytest.mark.parametrize(('place', 'name'), EVERYWHERE)
def test_ranges_against_a_dict(place: str, name: str) -> None:
    with open_driver(place, build=BUILDS[name]) as driver:
        tables = driver.kernel.space.nr_tables
        model = Ranges(levels=5)
        if name == 'direct-map':
            model.windows = OPEN_WINDOWS
        rng = random.Random(11)
        for _ in range(4):
            play(driver, list(islice(model.steps(rng), nr_steps_in(driver) // 50)))
            expected = {va: (pa, flags & UNSIGNED) for va, (pa, flags) in model.pages.items()}
            assert pages_in(driver, driver.kernel.space.root) == expected
            assert driver.call('check_vmm') == driver.call('check_pmm') == OK
        while model.pages:
            va = min(model.pages)
            end = next(at for at in range(va, va + (1 << 40), 0x1000) if at not in model.pages)
            play(driver, [('unmap_range', (va, end - va), model.unmap_range(va, end - va))])
        assert driver.kernel.space.nr_tables == tables


@pytest.mark.parametrize('place', ['sim', 'jit'] if FULL else ['sim'])
@pytest.mark.parametrize('name', ['identity', 'direct-map'])
def test_a_processor_with_four_levels(place: str, name: str) -> None:
    with open_driver(place, build=BUILDS[name], features=ALL_FEATURES & ~HAS_LA57) as driver:
        assert driver.kernel.space.root_level == 4
        assert (driver.kernel.space.root == BOOT_TABLES) == (name == 'identity')
        model = Ranges()
        play(driver, list(islice(model.steps(random.Random(4)), 30)))
        assert driver.call('map_page', 1 << 47, 0, DATA) == driver.call('get_physical', 1 << 55) == NOT_CANONICAL
        assert driver.call('check_vmm') == OK


def test_the_same_operations_leave_the_same_memory_in_every_place() -> None:
    model = Ranges(levels=5)
    model.windows = OPEN_WINDOWS
    steps = list(islice(model.steps(random.Random(5)), 60))
    memories = []
    for place in PLACES:
        with open_driver(place, build=BUILDS['direct-map']) as driver:
            play(driver, steps)
            assert driver.kernel.space.root_level == 5
            memories.append(digests(driver.ram))
    assert differences(memories[0], memories[1]) == differences(memories[0], memories[2]) == []


@pytest.mark.parametrize('name', [*BUILDS, *ONLY_IN_SIM])
def test_every_table_refused_once(name: str) -> None:
    with open_driver('sim', build={**BUILDS, **ONLY_IN_SIM}[name]) as driver:
        tables = driver.kernel.space.nr_tables
        for refused in (1, 2, 3, 4):
            driver.call('refuse_at', refused)
            assert driver.call('map_page', 1 << 52, 0, DATA) == NO_FRAME
            assert driver.kernel.space.nr_tables == tables
        driver.call('refuse_at', 0)
        assert driver.call('map_page', 1 << 52, 0, DATA) == OK
        assert driver.kernel.space.nr_tables == tables + 4
        assert driver.call('unmap_page', 1 << 52) == 0
        assert driver.kernel.space.nr_tables == tables
        assert driver.call('check_vmm') == OK


def test_memory_is_reached_beyond_48_bits() -> None:
    """The simulated processor walks what the kernel built."""
    with open_driver('sim', build=BUILDS['direct-map']) as driver:
        assert isinstance(driver, DirectDriver)
        k = driver.k
        frame = PhysAddr(driver.call('alloc_page'))
        for va in map(VirtAddr, (1 << 52, (1 << 56) - 0x1000, -1 << 48)):
            assert vmm.map_page(k, va, frame, DATA) == OK
            k.m.store64(va, va)
            assert k.m.load64(va) == va
            assert vmm.unmap_page(k, va) == frame
        assert vmm.find_fault(k) == (OK, 0)


def test_the_recursive_slot_is_nobody_elses() -> None:
    with open_driver('sim', build=BUILDS['recursive']) as driver:
        assert isinstance(driver, DirectDriver)
        k = driver.k
        assert k.config.table_access == RECURSIVE
        start = windows.recursive_start(k.space)
        for place in (start, start + (1 << 48) - 0x1000):
            assert driver.call('map_page', place, 0, DATA) == RESERVED
        assert driver.call('map_page', start - 0x1000, 0, DATA) == OK


# ------------------------------------------------------------------ QEMU's monitor
def test_the_monitor_reads_the_same_pages() -> None:
    """`info tlb` walks five levels: each page of the kernel once, with its frame; `gva2gpa` finds single addresses."""
    with make_guest('qemu', build=BUILDS['identity']) as guest:
        assert isinstance(guest, Guest)
        driver = MailboxDriver(guest.ram, guest.is_running, config=CLASSIC_LA57)
        driver.wait_until_ready()
        rng = random.Random(8)
        for _ in range(200):
            level = rng.choice((1, 1, 2, 3))
            va, pa = (
                any_page(rng, level, BASES_OF_FIVE, 1 << 56),
                rng.randrange(1 << 9) << 30,
            )  # QEMU's processor has 40 bits
            driver.call('map_leaf', va, pa, PRESENT | WRITABLE, level)
        guest.ask('stop')
        seen = {}
        for line in guest.ask('info tlb').splitlines():
            page, memory, _letters = line.split()
            seen[int(page.rstrip(':'), 16)] = int(memory, 16)
        leaves = list(leaves_in(driver))
        assert len({va >> 48 for va, _, _ in leaves}) > 3
        assert {va & UNSIGNED: page_of(entry, level) for va, level, entry in leaves} == seen
        for va, level, entry in leaves[:: len(leaves) // 20]:
            answer = guest.ask(f'gva2gpa {va + page_bytes(level) - 1 & UNSIGNED:#x}')
            assert int(answer.split()[-1], 16) == page_of(entry, level) + page_bytes(level) - 1
