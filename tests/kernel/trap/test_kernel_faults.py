"""What the kernel tells when it faults while a program runs: a build that touches the program's memory on purpose."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import pytest

from incroos.build.image import build_image
from incroos.kernel.boot.run import run_main
from incroos.kernel.configs import MODERN
from incroos.kernel.trap.entry import on_trap
from incroos.kernel.trap.kernel_faults import on_kernel_trap
from incroos.lang.frontend import BARE, compile_unit
from incroos.run import images, qemu_program
from incroos.run.outcome import Status
from incroos.run.program import ALL_FEATURES, Program

from ...budget import SECONDS
from ...run.tiny_program import BASE, call, tiny_program
from .touching import on_syscall

BSS: Final = BASE + 0x3000  # in the program's range, and not touched yet
FILE_RANGE: Final = f'start {BASE:016X} end {BASE + 0x1000:016X} rights {7:016X}'
BSS_RANGE: Final = f'start {BASE + 0x1000:016X} end {BASE + 0x4000:016X} rights {7:016X}'
NO_RANGE: Final = 'none of the program is there'


@pytest.fixture(scope='module')
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    roots: dict[str, Callable[..., Any]] = {
        'kmain': run_main,
        'on_syscall': on_syscall,
        'on_trap': on_trap,
        'on_kernel_trap': on_kernel_trap,
    }
    unit = compile_unit(roots, target=BARE, config=MODERN)
    layout = images.boot_layout(MODERN, has_ring3=True)
    path = tmp_path_factory.mktemp('touching') / 'kernel.elf'
    path.write_bytes(build_image(unit.ir, unit.sites, layout, debug=False, is_quick=True).elf)
    return path


CASES: Final = {
    'the page that runs': (BASE, 'read of a protected page', 'level 1: ', FILE_RANGE),
    'a page that is not there yet': (BSS, 'read of a page that is not present', 'level 1: ', BSS_RANGE),
    'an address without a range': (1 << 30, 'read of a page that is not present', 'level 3: ', NO_RANGE),
}


@pytest.mark.parametrize('case', CASES)
def test_touching_memory_of_a_program_is_a_panic(tmp_path: Path, image: Path, case: str) -> None:
    """By SMAP where the page is there. The entry that denied the access is marked, and the program's range told."""
    address, what, level, told = CASES[case]
    file = tmp_path / 'program'
    file.write_bytes(tiny_program(call(0, address) + b'\xf4', bss_bytes=0x3000))
    file.chmod(0o755)
    console = bytearray()
    wanted = Program(str(file), seconds=SECONDS, console=console.extend, processor=ALL_FEATURES)
    ran = qemu_program.run(wanted, wanted.module(), image)
    assert (ran.machine.status, ran.ending) == (Status.PANIC, None)
    lines = console.decode().splitlines()
    assert lines[-1].startswith(f'PANIC: page fault, {what}: address, error code, instruction 0x{address:016X}')
    marked = [line for line in lines if line.endswith(' <- fault here')]
    assert len(marked) == 1
    assert marked[0].startswith(level)
    assert [line for line in lines if line.startswith('range: ')] == [f'range: {told}']
