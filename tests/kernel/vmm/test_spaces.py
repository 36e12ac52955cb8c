"""Spaces: many roots that are made, used, switched between and destroyed in random order, against a model.

The kernel proves itself: the model is an array of what each space has at each of a few addresses, and each step
compares what is read there. Meanwhile vmalloc and heap change what all spaces share, and the checkers look at each.
"""

from dataclasses import replace
from typing import Final

import pytest

from incroos.build.image import build_image
from incroos.guest import mailbox
from incroos.kernel import heap, pmm, vmm
from incroos.kernel.codes import ALREADY_MAPPED, BAD_FLAGS, KERNEL_HALF, NO_FRAME, NOT_MAPPED, OK, SPACE_IN_USE
from incroos.kernel.config import KernelConfig
from incroos.kernel.configs import (
    CLASSIC,
    MODERN,
    MODERN_CHECKED,
    MODERN_FIXMAP,
    MODERN_LA57_CHECKED,
    MODERN_RECURSIVE,
)
from incroos.kernel.cpu import this_cpu
from incroos.kernel.layout import PAGE_BYTES, VMALLOC
from incroos.kernel.pmm.all import modern as all_ram
from incroos.kernel.state import Kernel, Space
from incroos.kernel.trap import faults
from incroos.kernel.vmm.check import modern as space_check
from incroos.kernel.vmm.init import kernel_half
from incroos.lang import PhysAddr, VirtAddr
from incroos.lang.frontend import BARE, compile_unit
from incroos.run import images, jit, qemu, sim
from incroos.run.boot import Boot
from incroos.run.outcome import Status
from incroos.run.simulated import EntryPoints

from ...budget import FULL, SECONDS
from . import many_spaces

MEMORY: Final = 64 << 20
ENTRIES: Final = EntryPoints(many_spaces.prove, faults.on_page_fault, faults.on_exception)
LOW: Final = VirtAddr(0x40_0000_0000)
CONFIGS: Final = {
    'direct map': MODERN_CHECKED,
    'recursive slot': MODERN_RECURSIVE,
    'fixmap': MODERN_FIXMAP,
    'five levels': MODERN_LA57_CHECKED,
}


@pytest.mark.parametrize('name', CONFIGS if FULL else ['direct map'])
def test_many_spaces_interpreted(name: str) -> None:
    computer = sim.Sim(MEMORY, CONFIGS[name], ENTRIES)
    end = sim.run(computer, ENTRIES.main, SECONDS)
    assert end.status == Status.PASSED, (end, computer.console())


@pytest.mark.parametrize('name', CONFIGS)
def test_many_spaces_compiled(name: str) -> None:
    with jit.Guest(MEMORY, jit.compile_kernel(ENTRIES, CONFIGS[name], True)) as guest:
        end = guest.wait(SECONDS)
        assert end.status == Status.PASSED, (end, guest.console())


@pytest.mark.parametrize('name', CONFIGS if FULL else ['direct map'])
def test_many_spaces_in_qemu(name: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    roots = {'kmain': ENTRIES.main, 'on_page_fault': ENTRIES.page_fault, 'on_exception': ENTRIES.exception}
    unit = compile_unit(roots, target=BARE, config=CONFIGS[name], checked=True)
    image = tmp_path_factory.mktemp('spaces') / 'spaces.elf'
    image.write_bytes(build_image(unit.ir, unit.sites, images.boot_layout(CONFIGS[name]), debug=False).elf)
    console = bytearray()
    end = qemu.boot(Boot(MEMORY, SECONDS, console.extend, accel='tcg'), image)
    assert end.status == Status.PASSED, console


# ------------------------------------------------------------------ what is refused
def started(config: KernelConfig = MODERN_CHECKED) -> Kernel:
    """A kernel that has started, interpreted."""
    computer = sim.Sim(MEMORY, config)
    computer.start(mailbox.start)
    return computer.kernel


def new_space(k: Kernel) -> Space:
    """A space, whose struct lies in a frame."""
    space = Space(k.m, pmm.address_of(k, pmm.alloc_page(k)))
    assert vmm.init_space(k, space) == OK
    return space


def test_the_upper_half_is_the_kernels_own() -> None:
    k = started()
    space = new_space(k)
    shared = vmm.vmalloc(k, PAGE_BYTES)
    assert vmm.map_in(space, VirtAddr(shared + PAGE_BYTES), PhysAddr(0x20_0000), vmm.DATA) == KERNEL_HALF
    assert vmm.map_range_in(space, VirtAddr(-PAGE_BYTES), PhysAddr(0x20_0000), PAGE_BYTES, vmm.DATA) == KERNEL_HALF
    assert vmm.unmap_in(space, shared) == vmm.unmap_range_in(space, shared, PAGE_BYTES) == KERNEL_HALF
    assert vmm.protect_in(space, shared, vmm.DATA) == vmm.get_physical_in(space, shared) == KERNEL_HALF
    assert vmm.map_in(space, LOW, PhysAddr(0x20_0000), vmm.DATA) == OK
    assert vmm.map_in(space, LOW, PhysAddr(0x20_0000), vmm.DATA) == ALREADY_MAPPED
    assert vmm.get_physical(k, LOW) == NOT_MAPPED
    assert vmm.check(k) == vmm.check_in(space) == OK


def test_an_entry_of_the_root_that_is_empty_stays_so() -> None:
    k = started()
    nowhere = VirtAddr(VMALLOC - (1 << 40) - (1 << 41))
    before = pmm.nr_free_frames(k)
    assert vmm.map_page(k, nowhere, PhysAddr(0x20_0000), vmm.DATA) == KERNEL_HALF
    assert vmm.map_leaf(k, nowhere, PhysAddr(0x20_0000), vmm.DATA, 2) == KERNEL_HALF
    assert vmm.map_range(k, nowhere, PhysAddr(0x20_0000), 1 << 21, vmm.DATA) == KERNEL_HALF
    assert vmm.get_physical(k, nowhere) == NOT_MAPPED
    assert pmm.nr_free_frames(k) == before


def test_a_space_in_use_is_not_destroyed() -> None:
    k = started()
    space = new_space(k)
    assert vmm.deinit_space(k.space) == SPACE_IN_USE
    vmm.switch_to(this_cpu(k), space)
    assert vmm.deinit_space(space) == vmm.deinit_space(k.space) == SPACE_IN_USE
    vmm.switch_to(this_cpu(k), k.space)
    assert vmm.deinit_space(space) == OK


def test_no_space_without_a_frame_and_none_in_classic() -> None:
    k = started()
    space = Space(k.m, pmm.address_of(k, pmm.alloc_page(k)))
    before = pmm.nr_free_frames(k)
    k.frames.requests, k.frames.refuse_at = 0, 1
    assert vmm.init_space(k, space) == NO_FRAME
    assert pmm.nr_free_frames(k) == before
    k = started(CLASSIC)
    assert vmm.init_space(k, Space(k.m, VirtAddr(pmm.alloc_page(k)))) == NO_FRAME


# ------------------------------------------------------------------ the checker
@pytest.mark.parametrize('name', CONFIGS)
def test_the_checker_finds_a_half_that_is_not_shared(name: str) -> None:
    k = started(CONFIGS[name])
    space = new_space(k)
    slot = pmm.address_of(k, PhysAddr(space.root + 8 * 511))
    entry = k.m.load64(slot)
    k.m.store64(slot, 0)
    assert vmm.find_fault_in(space) == (space_check.NOT_SHARED, 0)
    k.m.store64(slot, entry)
    assert vmm.find_fault_in(space) == (OK, 0)
    space.nr_tables += 1
    assert vmm.check_in(space) == space_check.WRONG_TOTAL


@pytest.mark.parametrize('name', CONFIGS)
def test_tables_under_the_root_are_pinned(name: str) -> None:
    """All are there when init returns, and stay when all that is mapped under one goes."""
    k = started(CONFIGS[name])
    before = [k.m.load64(pmm.address_of(k, PhysAddr(k.space.root + 8 * index))) for index in range(256, 512)]
    va = vmm.vmalloc(k, PAGE_BYTES)
    assert vmm.vfree(k, va) == OK
    assert [k.m.load64(pmm.address_of(k, PhysAddr(k.space.root + 8 * i))) & ~0x60 for i in range(256, 512)] == [
        entry & ~0x60 for entry in before
    ]
    nr_tables = len([entry for entry in before if entry])
    assert nr_tables == (1 if name == 'five levels' else 9 if name == 'recursive slot' else 8)


def test_how_many_tables_there_are_follows_from_ram(monkeypatch: pytest.MonkeyPatch) -> None:
    """The entries that the kernel's half takes with four levels, for machines of all sizes."""
    found = {}
    for gib in (4, 256, 1024, 16384):
        entries: set[int] = set()
        k = sim.Sim(MEMORY, MODERN).kernel
        k.space.root_level = 4
        monkeypatch.setattr(all_ram, 'nr_frames', lambda _k, gib=gib: gib << 18)
        monkeypatch.setattr(all_ram, 'metadata_bytes', lambda _k, gib=gib: gib << 15)
        monkeypatch.setattr(kernel_half, 'add_table', lambda _k, va, entries=entries: entries.add(va >> 39))
        kernel_half.build(k)
        found[gib] = len(entries)
    assert found == {4: 8, 256: 8, 1024: 14, 16384: 46}


def test_ranges_start_where_the_configuration_says() -> None:
    """A library's user moves them out of the way of what is there."""
    away = 1 << 45
    starts = ('frame_records', 'frame_metadata', 'vmalloc', 'heap', 'slab_records', 'slabs')
    config = replace(MODERN_CHECKED, **{name: getattr(MODERN_CHECKED, name) - away for name in starts})
    k = started(config)
    assert vmm.vmalloc(k, PAGE_BYTES) == VMALLOC - away
    blocks = [heap.kmalloc(k, nbytes) for nbytes in (100, 3000)]
    assert all(-2 * away < block < -away for block in blocks)
    assert heap.check(k) == pmm.check(k) == vmm.check_vmalloc(k) == OK
    assert vmm.find_fault(k) == (OK, 0)


# ------------------------------------------------------------------ what a space of one's own has not
def test_global_pages_are_the_kernels_own() -> None:
    """A global page outlives a switch: another space would see it at the same address."""
    k = started()
    space = new_space(k)
    frame = pmm.alloc_page(k)
    flags = vmm.PRESENT | vmm.GLOBAL
    assert vmm.map_in(space, LOW, frame, flags) == BAD_FLAGS
    assert vmm.map_range_in(space, LOW, frame, PAGE_BYTES, flags) == BAD_FLAGS
    assert vmm.map_in(space, LOW, frame, vmm.PRESENT) == OK
    assert vmm.protect_in(space, LOW, flags) == BAD_FLAGS
    assert vmm.protect_range_in(space, LOW, PAGE_BYTES, flags) == BAD_FLAGS
    assert vmm.map_page(k, LOW, frame, flags) == OK


def test_protecting_a_part_of_a_range_leaves_its_pages_as_they_are() -> None:
    """Pages that a space's owner counts one by one are not joined behind its back."""
    k = started()
    space = new_space(k)
    frames = pmm.take_huge(k)
    for index in range(512):
        at = index * PAGE_BYTES
        assert vmm.map_in(space, VirtAddr(LOW + at), PhysAddr(frames + at), vmm.PRESENT | vmm.NX) == OK
    assert vmm.protect_range_in(space, LOW, PAGE_BYTES, vmm.PRESENT | vmm.NX) == OK
    assert vmm.unmap_in(space, VirtAddr(LOW + PAGE_BYTES)) == frames + PAGE_BYTES


def test_protecting_nothing_changes_nothing() -> None:
    k = started()
    frames = pmm.take_huge(k)
    for index in range(512):
        at = index * PAGE_BYTES
        assert vmm.map_page(k, VirtAddr(LOW + at), PhysAddr(frames + at), vmm.PRESENT | vmm.NX) == OK
    nr_tables = k.space.nr_tables
    assert vmm.protect_range(k, VirtAddr(LOW + 2 * PAGE_BYTES), 0, vmm.PRESENT | vmm.NX) == OK
    assert k.space.nr_tables == nr_tables


def test_a_space_that_was_given_back_is_refused() -> None:
    k = started()
    space = new_space(k)
    assert vmm.deinit_space(space) == OK
    assert vmm.deinit_space(space) == SPACE_IN_USE
