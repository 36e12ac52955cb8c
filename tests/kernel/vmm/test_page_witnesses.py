"""The kernel, the manual, QEMU's monitor, Unicorn and the simulated machine agree on every page, whatever way leads to
the tables: after a random mix of everything that changes pages, with all three sizes.
"""

import random
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import islice
from typing import Final, NamedTuple, cast

import pytest

from incroos.kernel import vmm
from incroos.kernel.codes import NOT_MAPPED, OK
from incroos.kernel.config import MODERN_SPACE
from incroos.kernel.layout import DIRECT_MAP_START, IMAGE_WINDOW, MODERN_STACK_END, STACK_GUARD
from incroos.kernel.vmm import windows
from incroos.lang import VirtAddr
from incroos.machine import architecture as arch
from incroos.machine import walk as machine
from incroos.run.harness import DirectDriver, Driver, MailboxDriver, call_of
from incroos.run.qemu_guest import Guest

from ..drivers import CLASSIC_BUILDS, MODERN_BUILDS, PLACES, make_guest, open_driver
from ..models import MODERN_BASES, Pages, play
from .page_witnesses import (
    FETCH,
    READ,
    SEEN,
    WRITE,
    Page,
    Tables,
    UnicornPages,
    mem_lines,
    read_mem_lines,
    read_tlb_lines,
    tlb_lines,
)
from .range_model import WINDOW_BYTES, WINDOWS, Ranges

PAGE: Final = 1 << 12
HUGE: Final = 1 << 21
GIANT: Final = 1 << 30
CANONICAL_END: Final = 1 << 47
SIZES: Final = (PAGE, HUGE, GIANT)
MEMORY_GIB: Final = 1 << 8  # all witnesses have so many address bits
NR_PAGE_STEPS: Final = 300
NR_RANGE_STEPS: Final = 60
NR_SAMPLES: Final = 300  # of the pages, for a kernel that is interpreted
FAR: Final = 0x2000_4000_0000
SEED: Final = 17
GUARDS: Final = [DIRECT_MAP_START] + [
    window + guard for window in (DIRECT_MAP_START, IMAGE_WINDOW) for guard in (STACK_GUARD, MODERN_STACK_END)
]
BUILDS: Final = {
    f'{config}-{way}': build
    for config, builds in (('classic', CLASSIC_BUILDS), ('modern', MODERN_BUILDS))
    for way, build in builds.items()
}


class Mixed(NamedTuple):
    """A kernel after the mix; and the guest where it runs in QEMU, stopped."""

    driver: Driver
    tables: Tables
    guest: Guest | None

    @property
    def is_modern(self) -> bool:
        return bool(self.driver.ram.config.space == MODERN_SPACE)

    @property
    def root(self) -> int:
        return self.driver.kernel.space.root


def mix(driver: Driver) -> None:
    """Change pages in many ways; each answer is what a model says."""
    rng = random.Random(SEED)
    pages, ranges = Pages(MODERN_BASES), Ranges()
    pages.memory_gib = ranges.memory_gib = MEMORY_GIB
    play(driver, list(islice(pages.steps(rng), NR_PAGE_STEPS)))
    play(driver, list(islice(ranges.steps(rng), NR_RANGE_STEPS)))
    start, data = FAR - HUGE - PAGE, -1 << 63 | 3
    play(
        driver,
        [
            ('map_range', (start, 5 * GIANT - HUGE - PAGE, 3 * GIANT + 3 * HUGE + PAGE, data), OK),
            *(('map_leaf', (FAR + (8 + at) * GIANT, GIANT, flags, 3), OK) for at, flags in enumerate((1, 5, 7, 3))),
            ('protect_range', (FAR + GIANT - 5 * PAGE, 7 * PAGE, 1), OK),
            ('unmap_range', (FAR + 3 * HUGE, PAGE), OK),
            ('protect_range', (FAR + GIANT, PAGE, data), OK),
        ],
    )
    for window in WINDOWS:
        assert driver.call('merge', window, WINDOW_BYTES) >= 0
    for nbytes in (100, 30_000):
        for name in ('kmalloc', 'vmalloc'):
            va = driver.call(name, nbytes)
            if va:
                driver.call('fill', va, 1, nbytes)


@pytest.fixture(scope='module', params=[(place, name) for place in PLACES for name in BUILDS], ids='-'.join)
def mixed(request: pytest.FixtureRequest) -> Iterator[Mixed]:
    place, name = request.param
    with ExitStack() as closing:
        guest = None
        if place == 'qemu':
            guest = cast(Guest, closing.enter_context(make_guest('qemu', build=BUILDS[name])))
            mailbox = MailboxDriver(guest.ram, guest.is_running, config=BUILDS[name].config)
            mailbox.wait_until_ready()
            driver: Driver = mailbox
        else:
            driver = closing.enter_context(open_driver(place, build=BUILDS[name]))
        mix(driver)
        yield Mixed(driver, Tables(driver.ram, driver.kernel.space.root), guest)


def is_way(va: int) -> bool:
    """Whether the kernel reaches tables there: it opens windows while it looks."""
    return va >> 39 == windows.RECURSIVE_INDEX - 512 or va >> 21 == windows.FIXMAP_START >> 21


def known_pages(mixed: Mixed) -> list[Page]:
    """The pages of which the kernel can be asked; a sample where it is interpreted."""
    pages = [page for page in mixed.tables.pages if not is_way(page.va)]
    if isinstance(mixed.driver, DirectDriver):
        return random.Random(SEED).sample(pages, NR_SAMPLES)
    return pages


def places_round(pages: list[Page]) -> list[tuple[int, int | None]]:
    """First and last byte of each page, with their physical addresses, and the bytes beside it that no page has."""
    starts = {page.va for page in pages}
    ends = {page.va + page.nbytes for page in pages}
    places: list[tuple[int, int | None]] = []
    for page in pages:
        end = page.va + page.nbytes
        places += [(page.va, page.pa), (end - 1, page.pa + page.nbytes - 1)]
        if page.va not in ends and page.va not in (0, -CANONICAL_END):
            places.append((page.va - 1, None))
        if end not in starts and end not in (0, CANONICAL_END):
            places.append((end, None))
    return places


# ------------------------------------------------------------------ the kernel against the manual
def test_the_mix_has_pages_of_all_sizes_and_rights(mixed: Mixed) -> None:
    pages = mixed.tables.pages
    assert {page.nbytes for page in pages} == set(SIZES)
    assert len({(page.nbytes, page.is_writable, page.is_user, page.is_executable) for page in pages}) > 12
    assert mixed.driver.call('check_vmm') == mixed.driver.call('check_pmm') == OK


def test_the_kernel_translates_as_the_manual_says(mixed: Mixed) -> None:
    sampled = {page.va for page in known_pages(mixed)}
    places = [
        (va, pa) for va, pa in places_round(mixed.tables.pages)
        if not is_way(va) and any(at in sampled for at in {va & -nbytes for nbytes in SIZES})
    ]  # fmt: skip
    answers = mixed.driver.execute([call_of('get_physical', va) for va, _ in places])
    assert [(va, answer) for (va, _), answer in zip(places, answers, strict=True)] == [
        (va, NOT_MAPPED if pa is None else pa) for va, pa in places
    ]


@pytest.mark.parametrize('mixed', [('sim', name) for name in BUILDS], ids='-'.join, indirect=True)
def test_the_kernels_walk_and_the_machines_find_the_same_entries(mixed: Mixed) -> None:
    """Waiver: compiled kernels answer with no entry, and their machine is not in this process."""
    assert isinstance(mixed.driver, DirectDriver)
    k = mixed.driver.k
    cpu = k.m.cpu  # type: ignore[attr-defined]
    for page in known_pages(mixed):
        code, level, _slot, entry = vmm.walk(k, VirtAddr(page.va))
        assert (code, 1 << 12 + 9 * (level - 1)) == (OK, page.nbytes)
        assert (entry ^ page.entry) & (1 << 64) - 1 & ~SEEN == 0
        for access in (arch.READ, arch.WRITE, arch.FETCH, arch.USER, arch.USER | arch.WRITE, arch.USER | arch.FETCH):
            pa, _ = machine.probe(cpu, VirtAddr(page.va), access)
            assert (pa if pa >= 0 else None) == (page.pa if may(page, access) else None)


def may(page: Page, access: int) -> bool:
    """Whether an access is allowed: the simulated machine's bits."""
    return (
        (not access & arch.USER or page.is_user)
        and (not access & arch.WRITE or page.is_writable)
        and (not access & arch.FETCH or page.is_executable)
    )


def test_the_checker_finds_what_the_manual_says_is_wrong(mixed: Mixed) -> None:
    """The mix maps pages that the kernel itself never would."""
    if mixed.is_modern:
        assert mixed.driver.call('check_space') == expected_fault(mixed)


def expected_fault(mixed: Mixed) -> int:
    """The number of the SPACE invariant that the first wrong page breaks."""
    tables = mixed.tables.tables
    for page in mixed.tables.pages:
        if is_way(page.va):
            continue
        if page.is_writable and page.is_executable:
            return 11
        if page.va < 0 and page.is_user:
            return 12
        if page.va == 0:
            return 14
        if any(page.va <= guard < page.va + page.nbytes for guard in GUARDS):
            return 17
        is_direct = DIRECT_MAP_START <= page.va < DIRECT_MAP_START // 2
        if is_direct and (page.pa != page.va - DIRECT_MAP_START or page.is_executable):
            return 15
        if not is_direct and page.is_writable and any(page.pa <= pa < page.pa + page.nbytes for pa in tables):
            return 13
    return OK


def test_statistics_count_the_same_pages(mixed: Mixed) -> None:
    if mixed.is_modern:
        mixed.driver.call('collect_statistics')
        counted = mixed.driver.kernel.statistics.mapped
        sizes = [page.nbytes for page in mixed.tables.pages if not is_way(page.va)]
        assert [counted[index] for index in range(3)] == [sizes.count(nbytes) for nbytes in SIZES]


# ------------------------------------------------------------------ Unicorn
def test_unicorn_allows_the_same_accesses(mixed: Mixed) -> None:
    for is_user in (False, True):
        other = UnicornPages(mixed.tables, mixed.root, is_user=is_user)
        for page in mixed.tables.pages:
            wanted = None if is_user and not page.is_user else page.pa + PAGE - 1
            at = page.va + PAGE - 1
            assert other.translate(at, READ) == wanted, page
            assert other.translate(at, WRITE) == (wanted if page.is_writable else None), page
            assert other.translate(at, FETCH) == (wanted if page.is_executable else None), page
    other = UnicornPages(mixed.tables, mixed.root, is_user=False)
    for va, pa in places_round(mixed.tables.pages):
        assert other.translate(va, READ) == pa, hex(va)


# ------------------------------------------------------------------ QEMU's monitor
@pytest.mark.parametrize('mixed', [('qemu', name) for name in BUILDS], ids='-'.join, indirect=True)
def test_the_monitor_lists_the_same_pages(mixed: Mixed) -> None:
    """Waiver: only QEMU has a monitor."""
    assert mixed.guest is not None
    mixed.guest.ask('stop')
    try:
        pages = Tables(mixed.driver.ram, mixed.root).pages  # accessed and dirty bits as they are now
        assert read_tlb_lines(mixed.guest.ask('info tlb')) == tlb_lines(pages)
        assert read_mem_lines(mixed.guest.ask('info mem')) == mem_lines(pages)
    finally:
        mixed.guest.ask('cont')
