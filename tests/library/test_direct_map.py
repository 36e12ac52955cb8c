"""The library's direct map: RAM, and what the surrounding kernel itself had mapped there, with no more rights."""

from pathlib import Path
from typing import Final

import pytest

from incroos.kernel import vmm
from incroos.kernel.arch.pte import DATA, USER, WRITABLE
from incroos.kernel.codes import NOT_MAPPED, OK
from incroos.kernel.configs import EMBEDDED_MODERN
from incroos.kernel.layout import BOOT_TABLES_END, DIRECT_MAP_START, PAGE_BYTES, POOL_START, VGA_TEXT
from incroos.kernel.state import Kernel
from incroos.kernel.vmm.check import modern as space_check
from incroos.lang import VirtAddr, load64, store64, write_cr3
from incroos.run.outcome import Status
from incroos.run.simulated import BIOS_DATA_START

from .c_kernels import run
from .interpreted import IMAGE, started

FIRST_MIB: Final = 1 << 20


def seen_at(k: Kernel, pa: int) -> int:
    """What the direct map shows where the byte at pa would be."""
    return vmm.get_physical(k, VirtAddr(DIRECT_MAP_START + pa))


def test_it_shows_ram_alone_where_the_kernel_mapped_nothing() -> None:
    k = started(EMBEDDED_MODERN)
    for pa in range(0, 4 * FIRST_MIB, PAGE_BYTES):
        is_low_ram = BOOT_TABLES_END <= pa < BIOS_DATA_START & -PAGE_BYTES
        is_high_ram = pa >= FIRST_MIB and pa not in IMAGE
        assert seen_at(k, pa) == (pa if is_low_ram or is_high_ram else NOT_MAPPED), hex(pa)
    assert vmm.check(k) == OK


def test_a_store_through_it_to_the_kernels_text_is_a_page_fault(tmp_path: Path) -> None:
    outcome, text = run(tmp_path, 'aliases', 'modern')
    assert text == "shows RAM alone: yes\nthe fault is the store's: yes\nthe function is as it was: yes\n"
    assert outcome.status == Status.PASSED


def leaf_slot(k: Kernel, pa: int) -> VirtAddr:
    """Where the direct map shows its own leaf for the frame at pa."""
    code, level, slot, _entry = vmm.walk(k, VirtAddr(DIRECT_MAP_START + pa))
    assert (code, level) == (OK, 1)
    return VirtAddr(DIRECT_MAP_START + slot)


@pytest.mark.parametrize(
    'leaf',
    [VGA_TEXT | DATA, IMAGE.start | DATA, POOL_START | DATA & ~WRITABLE, POOL_START | DATA | USER],
    ids=['a device', 'text', 'read-only', "a user's"],
)
def test_the_checker_sees_a_page_that_does_not_belong_there(leaf: int) -> None:
    k = started(EMBEDDED_MODERN)
    slot = leaf_slot(k, POOL_START)
    right = load64(k.m, slot)
    store64(k.m, slot, leaf)
    write_cr3(k.m, k.space.root)
    assert vmm.check(k) == space_check.ALIAS
    store64(k.m, slot, right)
    write_cr3(k.m, k.space.root)
    assert vmm.check(k) == OK


def test_the_checker_lets_pass_what_the_kernel_itself_had_mapped_there() -> None:
    """As Limine does: memory from address 0 on, with the rights that it gave."""
    k = started(EMBEDDED_MODERN, has_direct_map=True)
    assert [seen_at(k, pa) for pa in (VGA_TEXT, IMAGE.start)] == [VGA_TEXT, IMAGE.start]
    assert load64(k.m, leaf_slot(k, IMAGE.start)) & WRITABLE == 0
    assert vmm.check(k) == OK
    slot = leaf_slot(k, VGA_TEXT)
    store64(k.m, slot, IMAGE.start | DATA)
    write_cr3(k.m, k.space.root)
    assert vmm.check(k) == space_check.ALIAS
