"""Boots by UEFI firmware in QEMU: the transcript with true counts, ends of all kinds, firmware that is not there."""

import re
import time
from pathlib import Path
from typing import Final

import pytest

from incroos.kernel.config import KernelConfig
from incroos.kernel.configs import CLASSIC, MODERN
from incroos.run import images, uefi
from incroos.run.firmware import UEFI, file_for_qemu
from incroos.run.outcome import Outcome, Status, Unusable
from incroos.run.qemu import START_OF_TEXT
from incroos.run.qemu_guest import Guest

from ..budget import SECONDS
from ..build import small_kernels
from ..build.small_kernels import SmallKernel, build_small
from ..cli.command import run
from ..kernel.io.screens import picture_of, picture_of_ppm
from .uefi_boots import MIB, boot_program, firmware_map, program_with

TRANSCRIPT: Final = """\
Hello, 64-bit kernel World!
Initializing memory manager...
PMM initialized
VMM initialized
Heap initialized
Total pages: {nr_frames}
Free pages: {nr_frames}

Testing memory allocation...
kmalloc(100): SUCCESS
kfree: SUCCESS
pmm_alloc_page: SUCCESS (addr: 0xADDRESS)
pmm_free_page: SUCCESS

Memory manager operational!
"""
ZONE: Final = range(2 * MIB, 34 * MIB)
FREE_AFTERWARDS: Final = (1, 2, 3, 4, 7)  # code and data of loaders and of boot services, and what is free at once
GIB: Final = 1 << 30


@pytest.mark.parametrize('memory_bytes', [64 * MIB, 4 * GIB])
def test_counts_are_true(tmp_path: Path, memory_bytes: int) -> None:
    """The frames of the zone that are RAM, counted from what the firmware tells to another program."""
    pieces = firmware_map(tmp_path, memory_bytes)
    ram = [range(start, start + (pages << 12)) for kind, start, pages in pieces if kind in FREE_AFTERWARDS]
    frames = {start for part in ram for start in range(part.start, part.stop, 4096) if start in ZONE}
    assert 0 < len(frames) < 8192
    done = run(
        'boot', '--firmware', 'uefi', '--accel', 'tcg', '--memory', f'{memory_bytes >> 20}M', '--timeout', str(SECONDS)
    )
    assert done.status == 0
    expected = re.escape(TRANSCRIPT.format(nr_frames=len(frames))).replace('ADDRESS', '([0-9A-F]{16})')
    match = re.fullmatch(expected, done.output)
    assert match, done.output
    assert int(match[1], 16) in frames


@pytest.mark.parametrize('config', [CLASSIC, MODERN], ids=['classic', 'modern'])
def test_the_screen_shows_what_the_serial_port_says(config: KernelConfig) -> None:
    """Every pixel of it, in the mode in which the firmware left the video card."""
    image = images.kernel_image(print, config=config)
    deadline = time.monotonic() + SECONDS
    with Guest(file_for_qemu(UEFI, image, print), 128 * MIB, can_exit=False, firmware=UEFI) as guest:
        while True:
            sent = guest.console().rpartition(START_OF_TEXT)[2]
            found = picture_of_ppm(guest.screen())
            is_over = sent.endswith(b'Memory manager operational!\n')
            if is_over and found == picture_of(sent, len(found[0]) // 4, len(found)):
                break
            assert time.monotonic() < deadline, sent
            time.sleep(0.1)
    assert b'Hello, 64-bit kernel World!\n' in sent


def test_triple_fault(tmp_path: Path) -> None:
    program = program_with(build_small(SmallKernel(small_kernels.triple_fault)).elf)
    outcome, sent = boot_program(tmp_path, program, 64 * MIB)
    assert (outcome.status, sent) == (Status.TRIPLE_FAULT, b'last words\n')


def test_boot_state_is_that_of_every_boot(tmp_path: Path) -> None:
    """The address of the Kernel struct; CR0, CR3, CR4, EFER."""
    program = program_with(build_small(SmallKernel(small_kernels.tell_boot_state)).elf)
    outcome, sent = boot_program(tmp_path, program, 128 * MIB)
    assert outcome == Outcome(Status.PASSED)
    assert [int(word, 16) for word in sent.split()] == [0x1F_0000, 0x8001_0031, 0x1000, 0x20, 0xD00]


def test_damaged_kernel(tmp_path: Path) -> None:
    elf = build_small(SmallKernel(small_kernels.pass_at_once)).elf
    program = bytearray(program_with(elf))
    program[program.index(b'hello') if b'hello' in program else 0x2000] ^= 1
    outcome, sent = boot_program(tmp_path, bytes(program), 64 * MIB)
    assert (outcome.status, sent) == (Status.PANIC, b'The kernel in this program is damaged.\r\n')


# ------------------------------------------------------------------ what is missing
SENTENCE: Final = (
    'the UEFI firmware OVMF is not installed: install it (on Debian and Ubuntu: apt install ovmf) or take'
    ' --firmware bios'
)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only folder where firmware may be."""
    monkeypatch.setattr(uefi, 'FOLDERS', (str(tmp_path / 'none'), str(tmp_path)))
    monkeypatch.setenv('PATH', str(tmp_path))
    return tmp_path


def test_firmware_that_is_not_there(folder: Path) -> None:
    with pytest.raises(Unusable) as refused:
        uefi.find_firmware()
    assert str(refused.value) == SENTENCE


@pytest.mark.parametrize('names', uefi.NAMES)
def test_firmware_is_two_files(folder: Path, names: tuple[str, str]) -> None:
    for name in names:
        with pytest.raises(Unusable):
            uefi.find_firmware()
        (folder / name).touch()
    assert uefi.find_firmware() == (folder / names[0], folder / names[1])


def test_firmware_that_came_with_qemu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uefi, 'FOLDERS', ())
    monkeypatch.setenv('PATH', str(tmp_path / 'bin'))
    for part in ('bin', 'share', 'share/qemu'):
        (tmp_path / part).mkdir()
    program = tmp_path / 'bin' / 'qemu-system-x86_64'
    program.touch()
    program.chmod(0o755)
    for name in ('edk2-x86_64-code.fd', 'edk2-i386-vars.fd'):
        (tmp_path / 'share' / 'qemu' / name).touch()
    assert uefi.find_firmware()[0] == tmp_path / 'share' / 'qemu' / 'edk2-x86_64-code.fd'


def test_commas_in_paths(folder: Path) -> None:
    for name in uefi.NAMES[0]:
        (folder / name).touch()
    assert uefi.options(Path('/a,b'))[-1].endswith(',file=/a,,b')


# ------------------------------------------------------------------ the command
def test_build_writes_a_program(tmp_path: Path) -> None:
    output = tmp_path / 'BOOTX64.EFI'
    done = run('build', '--format', 'uefi', '-o', str(output))
    assert done.status == 0
    assert output.read_bytes()[:2] == b'MZ'
    assert output.read_bytes() == program_with(images.kernel_image(lambda remark: None).path.read_bytes())


def test_too_little_memory_for_the_firmware() -> None:
    done = run('boot', '--firmware', 'uefi', '--memory', '32M')
    assert done.status == Status.WRONG_USAGE
    assert 'firmware uefi does not start the kernel with so little --memory: give 64M' in done.sentence
