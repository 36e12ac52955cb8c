"""What a boot prints: exactly the transcript and nothing else, with true numbers, and the same on the screen."""

import re
import time
from pathlib import Path
from typing import Final

import pytest

from incroos.run import images, jit, qemu, sim
from incroos.run.boot import Boot
from incroos.run.outcome import Outcome, Status
from incroos.run.qemu_guest import Guest
from incroos.run.qemu_screen import NR_ROWS, TEXT_ADDR, TEXT_BYTES, text_rows
from incroos.run.simulated import CLASSIC_ENTRIES

from ..budget import SECONDS
from ..build import small_kernels
from ..build.small_kernels import SmallKernel, write_small
from .command import PLACES, run

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
pmm_alloc_page: SUCCESS (addr: {frame})
pmm_free_page: SUCCESS

Memory manager operational!
"""
ADDRESS: Final = r'0x[0-9A-F]{16}'
MIB: Final = 1 << 20
ZONE: Final = range(2 * MIB, 34 * MIB)
RAM: Final = 1


def frame_in(output: str, nr_frames: int) -> int:
    """Checks the transcript; the address of the frame that it names."""
    pattern = re.escape(TRANSCRIPT.format(nr_frames=nr_frames, frame='ADDRESS')).replace('ADDRESS', f'({ADDRESS})')
    match = re.fullmatch(pattern, output)
    assert match, output
    return int(match[1], 16)


def nr_zone_frames(folder: Path, memory_bytes: int) -> int:
    """The frames of the zone that are RAM, counted from the memory map that a PC's firmware gives to another kernel."""
    image = write_small(folder, SmallKernel(small_kernels.tell_memory_map))
    console = bytearray()
    outcome = qemu.boot(Boot(memory_bytes, SECONDS, console.extend, accel='tcg'), image)
    assert outcome.status == Status.PASSED
    words = [int(part, 16) for part in console.split()][2:]
    regions = [words[at : at + 3] for at in range(0, len(words), 3)]
    ram = (range(start, start + nbytes) for start, nbytes, kind in regions if kind == RAM)
    return sum(max(0, min(part.stop, ZONE.stop) - max(part.start, ZONE.start)) // 4096 for part in ram)


@pytest.mark.parametrize('checked', [[], ['--checked']], ids=['plain', 'checked'])
def test_the_transcript(place: str, checked: list[str]) -> None:
    done = run('boot', '--on', place, *checked)
    assert (done.status, done.output.count('\n')) == (0, 15)
    frame = frame_in(done.output, 8192)
    assert frame in ZONE
    assert frame % 4096 == 0
    assert all(line.startswith('incroos: ') for line in done.remarks.splitlines())


@pytest.mark.parametrize('memory', ['16M', '5000K', '3M'])
def test_the_counts_are_true(place: str, memory: str, tmp_path: Path) -> None:
    memory_bytes = int(memory[:-1]) * {'K': 1 << 10, 'M': 1 << 20}[memory[-1]]
    expected = nr_zone_frames(tmp_path, memory_bytes)
    assert 0 < expected < 8192
    done = run('boot', '--on', place, '--memory', memory)
    assert done.status == 0
    assert frame_in(done.output, expected) < ZONE.start + expected * 4096


@pytest.mark.parametrize('place', ['jit', 'qemu'])
def test_memory_above_the_hole_of_the_devices(place: str) -> None:
    done = run('boot', '--on', place, '--memory', '4G')
    assert done.status == 0
    frame_in(done.output, 8192)


def test_transcripts_are_equal() -> None:
    assert len({run('boot', '--on', place).output for place in PLACES}) == 1


# ------------------------------------------------------------------ the screen
def screen_of(place: str, console: bytearray) -> list[str]:
    """The rows of the screen after a boot; `console` gets the serial output."""
    if place == 'qemu':
        return qemu_screen(console)
    memory: memoryview
    if place == 'sim':
        computer = sim.Sim(64 * MIB, console_sink=console.extend)
        outcome, memory = sim.run(computer, CLASSIC_ENTRIES.loaded().main, SECONDS), computer.ram
    else:
        with jit.Guest(64 * MIB, jit.cached_kernel(lambda remark: None), console.extend) as guest:
            outcome, memory = guest.wait(SECONDS), guest.ram
    assert outcome == Outcome(Status.PASSED)
    return text_rows(bytes(memory[TEXT_ADDR : TEXT_ADDR + TEXT_BYTES]))


def qemu_screen(console: bytearray) -> list[str]:
    """The same, as the monitor reads it. The machine has no exit port: it stands still when the kernel is done."""
    image = images.kernel_image(lambda remark: None)
    with Guest(image.path, 64 * MIB, can_exit=False) as guest:
        end = time.monotonic() + SECONDS
        while not guest.console().endswith(b'operational!\n') and time.monotonic() < end:
            time.sleep(0.01)
        console += guest.console()
        assert guest.is_running()
        return guest.screen_text()


def test_the_screen_shows_what_the_serial_port_sent(place: str) -> None:
    console = bytearray()
    rows = screen_of(place, console)
    frame_in(console.decode(), 8192)
    lines = console.decode().splitlines()
    assert rows == lines + [''] * (NR_ROWS - len(lines))


def test_a_boot_is_warm_after_the_first(place: str) -> None:
    """The second one builds nothing."""
    run('boot', '--on', place)
    assert 'building' not in run('boot', '--on', place).remarks
