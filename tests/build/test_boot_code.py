"""What the boot code hands over, and how exceptions reach the kernel: each test boots a small kernel in QEMU."""

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import pytest

from incroos.build.boot_pvh import MODULE_BYTES, SENTENCES, assembly
from incroos.machine.computer import Computer
from incroos.run.outcome import Status
from incroos.run.qemu_guest import Guest
from incroos.run.simulated import memory_map

from ..budget import SECONDS
from ..run.qemu_boots import MEMORY, boot_small, words_of
from . import small_kernels
from .small_kernels import LAYOUT, SmallKernel, build_small, write_small


def test_boot_state(tmp_path: Path) -> None:
    """Long mode, the boot tables, write protection, NX: the AMD64 manual, volume 2, chapter 3."""
    outcome, text = boot_small(tmp_path, SmallKernel(small_kernels.tell_boot_state))
    assert outcome.status == Status.PASSED
    kernel_struct, cr0, cr3, cr4, efer = words_of(text)
    assert kernel_struct == LAYOUT.kernel_struct
    assert cr0 == 0x8001_0031  # PG, WP, NE, ET, PE
    assert cr3 == LAYOUT.page_tables
    assert cr4 == 0x20  # PAE
    assert efer == 0xD00  # NXE, LMA, LME


def test_boot_state_with_five_levels(tmp_path: Path) -> None:
    """QEMU's emulation has them. The root is the sixth boot table, and its first entry leads to the old root."""
    outcome, text = boot_small(tmp_path, SmallKernel(small_kernels.tell_boot_state, levels=5))
    assert outcome.status == Status.PASSED
    _, cr0, cr3, cr4, efer = words_of(text)
    assert (cr0, cr3, cr4, efer) == (0x8001_0031, LAYOUT.page_tables + 0x5000, 0x1020, 0xD00)  # LA57, PAE


UNFIT: Final = {
    'qemu32': 'no_long_mode',
    'pentium': 'no_long_mode',  # nor extended leaves of CPUID
    'qemu64,-lm': 'no_long_mode',
    'qemu64,-nx': 'no_nx',
    'qemu64,-cmov': 'no_cmov',
}


@pytest.mark.parametrize('window', [0, -2 << 30], ids=['low', 'upper half'])
@pytest.mark.parametrize('processor', UNFIT)
def test_a_processor_that_lacks_something_is_told_so(tmp_path: Path, processor: str, window: int) -> None:
    """It would reset without a word. The sentence goes to both channels, and a byte to the exit port."""
    layout = replace(LAYOUT, window=window)
    path = write_small(tmp_path, SmallKernel(small_kernels.pass_at_once), layout)
    with Guest(path, MEMORY, extra=('-cpu', processor)) as guest:
        outcome, text = guest.wait(SECONDS), guest.console().decode()
    sentence = SENTENCES[UNFIT[processor]]
    assert (text, outcome.status) == (f'{sentence}\n', Status.PANIC)
    assert f'{LAYOUT.exit_port.code:#x}' in outcome.remark


def test_what_a_processor_lacks_is_seen_on_the_screen(tmp_path: Path) -> None:
    """Alone: what the firmware wrote is gone."""
    path = write_small(tmp_path, SmallKernel(small_kernels.pass_at_once))
    with Guest(path, MEMORY, can_exit=False, extra=('-cpu', 'qemu64,-nx')) as guest:
        end = time.monotonic() + SECONDS
        while b'\n' not in guest.console() and time.monotonic() < end:
            time.sleep(0.01)
        assert [row for row in guest.screen_text() if row.strip()] == [SENTENCES['no_nx']]


def test_nothing_else_is_wanted_of_a_processor(tmp_path: Path) -> None:
    """The oldest one with a 64-bit mode that QEMU has, and without all that can be taken from it."""
    path = write_small(tmp_path, SmallKernel(small_kernels.pass_at_once))
    hidden = ('pae', 'msr', 'pse', 'pse36', 'pge', 'pat', 'tsc', 'cx8', 'mtrr', 'apic', 'syscall', 'fpu', 'fxsr', 'mmx')
    lacks = ','.join(f'-{name}' for name in (*hidden, 'sse', 'sse2', 'popcnt', 'lahf-lm'))
    with Guest(path, MEMORY, extra=('-cpu', f'qemu64,{lacks}')) as guest:
        assert guest.wait(SECONDS).status == Status.PASSED
        assert guest.console() == b'hello\n'


@pytest.mark.parametrize('megabytes', [2, 3, 64, 3583, 3584, 5120])
def test_memory_map_is_the_one_of_the_simulated_computer(tmp_path: Path, megabytes: int) -> None:
    outcome, text = boot_small(tmp_path, SmallKernel(small_kernels.tell_memory_map), megabytes << 20)
    assert outcome.status == Status.PASSED
    magic, version, *words = words_of(text)
    assert (magic, version) == (0x336E_C578, 1)
    found = [(start, start + nbytes, kind) for start, nbytes, kind in zip(*[iter(words)] * 3, strict=True)]
    assert found == memory_map(Computer(megabytes << 20))


@pytest.mark.parametrize('nbytes', [1, 40, MODULE_BYTES])
def test_a_small_module_is_kept(tmp_path: Path, nbytes: int) -> None:
    """And no command line, neither its own nor the kernel's."""
    content = bytes(range(3, 3 + nbytes))
    assert modules_told(tmp_path, content) == [1, 0, nbytes, 0, *content]


def test_no_module(tmp_path: Path) -> None:
    assert modules_told(tmp_path, b'') == [0, 0]


@pytest.mark.parametrize('nbytes', [MODULE_BYTES + 1, 4096, 12_289])
def test_a_larger_module_stays_where_it_is_and_its_frames_are_reserved(tmp_path: Path, nbytes: int) -> None:
    """Whole frames of them, in an entry of the memory map behind the firmware's."""
    content = (bytes(range(1, 252)) * 50)[:nbytes]
    with with_module(tmp_path, small_kernels.tell_large_module, content) as guest:
        assert guest.wait(SECONDS).status == Status.PASSED
        start, found_bytes, entry_start, entry_bytes, kind = words_of(guest.console().decode())
        assert (found_bytes, guest.ram[start : start + nbytes]) == (nbytes, content)
    assert start == MEMORY - 0x28000 - 1 - nbytes & -4096  # where QEMU puts it
    assert (entry_start, entry_bytes, kind) == (start, nbytes + 4095 & -4096, 2)


def modules_told(folder: Path, content: bytes) -> list[int]:
    """What a kernel reads of its modules when QEMU's loader hands it a file, if there is content for one."""
    with with_module(folder, small_kernels.tell_modules, content) as guest:
        assert guest.wait(SECONDS).status == Status.PASSED
        return words_of(guest.console().decode())


def with_module(folder: Path, main: Callable[..., Any], content: bytes) -> Guest:
    """A guest to which QEMU's loader hands a file, if there is content for one, and a command line."""
    file = folder / 'module'
    file.write_bytes(content)
    extra = ('-append', 'a command line', *(('-initrd', str(file)) if content else ()))
    return Guest(write_small(folder, SmallKernel(main)), MEMORY, extra=extra)


def test_page_fault_returns_to_the_access(tmp_path: Path) -> None:
    small = SmallKernel(small_kernels.fault_and_return, page_fault=small_kernels.mend_page_fault)
    outcome, text = boot_small(tmp_path, small)
    assert outcome.status == Status.PASSED, text


def test_writing_to_text_faults(tmp_path: Path) -> None:
    outcome, text = boot_small(tmp_path, SmallKernel(small_kernels.write_to_text))
    assert (outcome.status, words_of(text)) == (Status.PANIC, [3, small_kernels.TEXT])  # present, write


def test_lost_stack_is_a_double_fault_with_a_stack_of_its_own(tmp_path: Path) -> None:
    outcome, text = boot_small(tmp_path, SmallKernel(small_kernels.lose_the_stack))
    assert outcome.status == Status.PANIC
    assert text.startswith('exception 0000000000000008 ')


def test_trap_of_a_checked_build_tells_its_site(tmp_path: Path) -> None:
    small = SmallKernel(small_kernels.overflow, checked=True)
    outcome, text = boot_small(tmp_path, small)
    vector, error, site = words_of(text)
    assert (outcome.status, vector, error) == (Status.PANIC, 6, 0)
    file, line = build_small(small).facts.sites[site].rsplit(':', 1)
    assert 'the line of the trap' in Path(file).read_text().splitlines()[int(line) - 1]


def test_plain_build_does_not_trap(tmp_path: Path) -> None:
    outcome, _ = boot_small(tmp_path, SmallKernel(small_kernels.overflow))
    assert outcome.status == Status.PASSED


def test_labels_of_the_boot_code_are_no_names_of_kernel_functions() -> None:
    labels = [
        line.rstrip(':') for line in assembly(LAYOUT).splitlines() if line.endswith(':') and not line[0].isdigit()
    ]
    assert labels
    assert all(label.startswith('pvh.') for label in labels)
