"""Boots from a disk through a PC's BIOS: the same kernel, the same state, the same memory as through PVH."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pytest

from incroos.build.boot_bios import SECTOR_BYTES, SENTENCES
from incroos.build.boot_bios_loader import LOADER_SENTENCES
from incroos.build.errors import BuildError
from incroos.inspect.digest import differences, digest, digests
from incroos.machine.computer import Computer
from incroos.run import firmware, images, qemu, qemu_process
from incroos.run.firmware import BIOS, PVH, bios_disk, bootable_file
from incroos.run.harness import Driver, MailboxDriver
from incroos.run.mix import record, replay
from incroos.run.outcome import Outcome, Status, Unusable
from incroos.run.qemu_guest import Guest
from incroos.run.qemu_process import Qemu
from incroos.run.simulated import memory_map

from ..budget import SECONDS
from ..build import small_kernels
from ..build.small_kernels import SmallKernel, build_small
from ..kernel.drivers import CHECKED, MEMORY, open_driver
from .qemu_boots import words_of

MIB: Final = 1 << 20
NR_OPERATIONS: Final = 3000


def boot(file: Path, by: str = BIOS, memory_bytes: int = MEMORY, extra: tuple[str, ...] = ()) -> tuple[Outcome, str]:
    """How a boot ends, and what comes from the serial port."""
    console = bytearray()
    with Qemu(file, memory_bytes, 'tcg', firmware=by, extra=extra) as running:
        running.go()
        assert qemu.relay(running, time.monotonic() + SECONDS, console.extend)
        return qemu.judge(running), console.decode('ascii')


def disk_with(small: SmallKernel) -> Path:
    return bios_disk(build_small(small).elf, print)


@pytest.fixture(scope='module')
def kernel_disk() -> Path:
    """A disk image with the kernel."""
    return bootable_file(BIOS, images.kernel_image(print), print)


# ------------------------------------------------------------------ the same as through PVH
@pytest.mark.parametrize(('megabytes', 'nr_frames'), [(64, 8192), (16, 3552), (3, 224), (4096, 8192)])
def test_transcript(kernel_disk: Path, megabytes: int, nr_frames: int) -> None:
    memory_bytes = megabytes * MIB
    outcome, text = boot(kernel_disk, memory_bytes=memory_bytes)
    assert outcome.status == Status.PASSED
    assert f'Total pages: {nr_frames}\nFree pages: {nr_frames}\n' in text
    assert boot(images.kernel_image(print).path, PVH, memory_bytes) == (outcome, text)


def test_boot_state(tmp_path: Path) -> None:
    small = SmallKernel(small_kernels.tell_boot_state)
    elf = tmp_path / 'kernel.elf'
    elf.write_bytes(build_small(small).elf)
    outcome, text = boot(disk_with(small))
    assert outcome.status == Status.PASSED
    assert len(words_of(text)) == 5
    assert (outcome, text) == boot(elf, PVH)


@pytest.mark.parametrize('megabytes', [2, 3, 4, 64, 1024, 3072, 3583, 3584, 4096, 5120])
def test_memory_map(megabytes: int) -> None:
    outcome, text = boot(disk_with(SmallKernel(small_kernels.tell_memory_map)), memory_bytes=megabytes * MIB)
    assert outcome.status == Status.PASSED
    magic, version, *words = words_of(text)
    assert (magic, version) == (0x336E_C578, 1)
    found = [(start, start + nbytes, kind) for start, nbytes, kind in zip(*[iter(words)] * 3, strict=True)]
    assert found == memory_map(Computer(megabytes * MIB))


@contextmanager
def open_bios_driver() -> Iterator[Driver]:
    """A kernel that was booted from a disk and looks at its mailbox."""
    image = images.kernel_image(print, entry=images.MAILBOX, config=CHECKED.config, checked=CHECKED.is_checked)
    with Guest(bootable_file(BIOS, image, print), MEMORY, firmware=BIOS) as guest:
        driver = MailboxDriver(guest.ram, guest.is_running)
        driver.wait_until_ready()
        yield driver


def test_a_trace_leaves_the_same_memory() -> None:
    with open_driver('qemu') as through_pvh:
        trace = record(through_pvh, 30, NR_OPERATIONS)
        memory, wanted = digests(through_pvh.ram), digest(through_pvh.ram)
    with open_bios_driver() as driver:
        assert replay(driver, trace.calls) == trace.results
        assert differences(memory, digests(driver.ram)) == []
        assert digest(driver.ram) == wanted


# ------------------------------------------------------------------ disks of all kinds
MEDIA: Final = {
    'IDE': ('-drive', 'file={},format=raw,if=ide,snapshot=on'),
    'USB stick': (
        *('-usb', '-drive', 'file={},format=raw,if=none,id=stick,snapshot=on'),
        *('-device', 'usb-storage,drive=stick'),
    ),
    'USB 3 stick': (
        *('-device', 'qemu-xhci', '-drive', 'file={},format=raw,if=none,id=stick,snapshot=on'),
        *('-device', 'usb-storage,drive=stick'),
    ),
    'NVMe': ('-drive', 'file={},format=raw,if=none,id=disk,snapshot=on', '-device', 'nvme,drive=disk,serial=1'),
    'floppy disk, which has no sector numbers': ('-drive', 'file={},format=raw,if=floppy,snapshot=on'),
}
FLOPPY_BYTES: Final = 1440 << 10


@pytest.mark.parametrize('medium', MEDIA)
def test_media(kernel_disk: Path, tmp_path: Path, medium: str, monkeypatch: pytest.MonkeyPatch) -> None:
    disk = tmp_path / 'disk.img'
    content = kernel_disk.read_bytes()
    assert len(content) <= FLOPPY_BYTES
    disk.write_bytes(content.ljust(FLOPPY_BYTES, b'\0'))
    options = [option.format(disk) for option in MEDIA[medium]]
    monkeypatch.setattr(qemu_process, 'image_options', lambda *_: options)
    outcome, text = boot(disk)
    assert (outcome.status, text.splitlines()[-1]) == (Status.PASSED, 'Memory manager operational!')


def test_image_written_over_a_larger_disk(kernel_disk: Path, tmp_path: Path) -> None:
    disk = tmp_path / 'one, of two.img'
    disk.write_bytes(os.urandom(4 * MIB))
    os.truncate(disk, 3 << 30)
    subprocess.run(['dd', f'if={kernel_disk}', f'of={disk}', 'conv=notrunc', 'status=none'], check=True)
    assert boot(disk)[0].status == Status.PASSED


# ------------------------------------------------------------------ what goes wrong is a sentence
@pytest.mark.parametrize('nr_sectors', [1, 2, 3, 20])
def test_disk_that_is_too_short(kernel_disk: Path, tmp_path: Path, nr_sectors: int) -> None:
    disk = tmp_path / 'disk.img'
    disk.write_bytes(kernel_disk.read_bytes()[: nr_sectors * SECTOR_BYTES])
    assert boot(disk) == (Outcome(Status.PANIC, 'the kernel panicked'), f'{SENTENCES["unreadable"]}\r\n')


@pytest.mark.parametrize(
    ('at', 'sentence'),
    [(SECTOR_BYTES + 7, SENTENCES['damaged']), (4 * SECTOR_BYTES, LOADER_SENTENCES['incomplete'])],
)
def test_damaged_disk(kernel_disk: Path, tmp_path: Path, at: int, sentence: str) -> None:
    disk = tmp_path / 'disk.img'
    content = bytearray(kernel_disk.read_bytes())
    content[at] ^= 1
    disk.write_bytes(content)
    outcome, text = boot(disk)
    assert (outcome.status, text) == (Status.PANIC, f'{sentence}\r\n')


@pytest.mark.parametrize(
    ('processor', 'sentence'),
    [('486', 'no_long_mode'), ('pentium3', 'no_long_mode'), ('qemu32', 'no_long_mode'), ('qemu64,-nx', 'no_nx')],
)
def test_processor_that_cannot_do_it(kernel_disk: Path, processor: str, sentence: str) -> None:
    outcome, text = boot(kernel_disk, extra=('-cpu', processor))
    assert (outcome.status, text) == (Status.PANIC, f'{LOADER_SENTENCES[sentence]}\r\n')


def test_no_ram_where_the_kernel_belongs(kernel_disk: Path) -> None:
    outcome, text = boot(kernel_disk, memory_bytes=MIB)
    assert (outcome.status, text) == (Status.PANIC, f'{LOADER_SENTENCES["incomplete"]}\r\n')


def test_the_screen_says_it_too(kernel_disk: Path, tmp_path: Path) -> None:
    disk = tmp_path / 'disk.img'
    disk.write_bytes(kernel_disk.read_bytes()[:SECTOR_BYTES])
    with Guest(disk, MEMORY, can_exit=False, firmware=BIOS) as guest:
        end = time.monotonic() + SECONDS
        while b'\n' not in guest.console() and time.monotonic() < end:
            time.sleep(0.01)
        assert guest.screen_text()[0] == SENTENCES['unreadable']
        assert guest.is_running()


# ------------------------------------------------------------------ the cache
def test_a_disk_is_made_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path))
    elf = build_small(SmallKernel(small_kernels.pass_at_once)).elf
    disk = bios_disk(elf, print)
    time_of_making = disk.stat().st_mtime_ns
    assert bios_disk(elf, print) == disk
    assert disk.stat().st_mtime_ns == time_of_making
    assert bios_disk(build_small(SmallKernel(small_kernels.fail)).elf, print) != disk


def test_warm_boot_needs_no_compiler(kernel_disk: Path) -> None:
    text = (
        'import sys; from incroos.run import firmware, images, qemu\n'
        'said = []\n'
        'firmware.bootable_file("bios", images.kernel_image(said.append), said.append)\n'
        'assert said == [], said\n'
        'print(*sys.modules)\n'
    )
    done = subprocess.run([sys.executable, '-c', text], capture_output=True, text=True, check=True)
    assert not set(done.stdout.split()) & {'llvmlite', 'elftools', 'incroos.build.bios_disk'}


def test_disk_that_cannot_be_made_is_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> bytes:
        raise BuildError('no linker is installed: install one')

    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path))
    monkeypatch.setattr('incroos.build.bios_disk.disk_of', fail)
    with pytest.raises(Unusable, match=r'^no linker is installed: install one$'):
        bios_disk(b'', print)


def test_options() -> None:
    assert firmware.image_options(PVH, Path('/a,b.elf')) == ['-kernel', '/a,b.elf']
    assert firmware.image_options(BIOS, Path('/a,b.img'))[1].startswith('file=/a,,b.img,format=raw')
    assert set(firmware.FORMATS.values()) == set(firmware.FIRMWARES)
