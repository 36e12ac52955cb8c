"""Every firmware with every configuration and many sizes of memory: each boots, and counts what the firmware told.

What the firmware tells, another kernel or program says; the sum is made here. INCROOS_BUDGET=full has all sizes.
"""

import random
import re
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import pytest

from incroos.inspect.ram import RamMachine
from incroos.inspect.statistics import statistics_of
from incroos.kernel.configs import MODERN, MODERN_LA57
from incroos.kernel.layout import KERNEL_STATE, PAGE_BYTES, ZONE_END, ZONE_START
from incroos.kernel.state import Kernel
from incroos.lang import VirtAddr
from incroos.machine.computer import Computer
from incroos.run import places, qemu
from incroos.run.boot import Boot
from incroos.run.firmware import BIOS, PVH, UEFI, bios_disk
from incroos.run.names import KERNELS, kernel_config
from incroos.run.outcome import Status
from incroos.run.simulated import memory_map

from ..budget import FULL, SECONDS
from ..build import small_kernels
from ..build.small_kernels import SmallKernel, build_small
from .qemu_boots import words_of
from .uefi_boots import firmware_map

KIB: Final = 1 << 10
MIB: Final = 1 << 20
GIB: Final = 1 << 30
TIB: Final = 1 << 40
RAM: Final = 1
FREE_AFTERWARDS: Final = (1, 2, 3, 4, 7)  # in UEFI's map: code and data of loaders and boot services, and what is free
MANAGED_END: Final = 16 * TIB - GIB  # beyond, config modern has no records

SMALL: Final = (3 * MIB, 3 * MIB + 8 * KIB, 5000 * KIB, 16 * MIB)
ODD: Final = (65 * MIB, 127 * MIB, GIB + 8 * KIB, 3 * GIB, 3583 * MIB, 3584 * MIB, 4 * GIB, 5 * GIB)
USUAL: Final = (64 * MIB, 64 * GIB)

Range = tuple[int, int]


# ------------------------------------------------------------------ what there is, told by others
@cache
def ram_told(firmware: str, memory_bytes: int) -> list[Range]:
    """Start and end of each piece of RAM that the firmware of a PC in QEMU tells."""
    with TemporaryDirectory() as folder:
        if firmware == UEFI:
            pieces = firmware_map(Path(folder), memory_bytes)
            return [(start, start + pages * PAGE_BYTES) for kind, start, pages in pieces if kind in FREE_AFTERWARDS]
        elf = build_small(SmallKernel(small_kernels.tell_memory_map)).elf
        image = Path(folder) / 'kernel.elf'
        image.write_bytes(elf)
        console = bytearray()
        file = image if firmware == PVH else bios_disk(elf, print)
        end = qemu.boot(Boot(memory_bytes, SECONDS, console.extend, accel='tcg', firmware=firmware), file)
    assert end.status == Status.PASSED
    words = words_of(console.decode())[2:]
    return [(start, start + nbytes) for start, nbytes, kind in zip(*[iter(words)] * 3, strict=True) if kind == RAM]


def nr_frames(ram: list[Range], start: int = 0, end: int = 1 << 64) -> int:
    """Whole frames of RAM in [start, end). Pieces that touch are one."""
    pieces: list[list[int]] = []
    for first, behind in sorted(ram):
        if pieces and first <= pieces[-1][1]:
            pieces[-1][1] = max(behind, pieces[-1][1])
        else:
            pieces.append([first, behind])
    whole = ((max(start, -(-first // PAGE_BYTES) * PAGE_BYTES), min(end, behind)) for first, behind in pieces)
    return sum(max(0, behind // PAGE_BYTES - first // PAGE_BYTES) for first, behind in whole)


# ------------------------------------------------------------------ what the kernel says
def boot(place: str, memory_bytes: int, config: str, firmware: str = PVH) -> tuple[str, dict[str, Any]]:
    """The transcript of a boot that passes, and in config modern the figures that it leaves."""
    console = bytearray()
    found: list[dict[str, Any]] = []
    wanted = Boot(
        *(memory_bytes, SECONDS, console.extend),
        config=kernel_config(config),
        accel='tcg',
        firmware=firmware,
        look=(lambda ram: found.append(statistics_of(ram))) if config != 'classic' else None,
    )
    end = places.boot(place, wanted)
    text = console.decode()
    assert (end.status, text.splitlines()[-1]) == (Status.PASSED, 'Memory manager operational!'), text
    return text, found[0] if found else {}


def check_counts(text: str, figures: dict[str, Any], ram: list[Range]) -> None:
    """The counts of the kernel are those of the RAM."""
    (told,) = re.findall(r'^Total pages: (\d+)$', text, re.MULTILINE)
    if not figures:
        assert int(told) == nr_frames(ram, ZONE_START, ZONE_END)
        return
    frames, reserved = figures['frames'], figures['reserved']
    assert frames['ram'] == nr_frames(ram)
    assert int(told) == frames['managed'] == frames['ram'] - sum(reserved.values())
    assert frames['managed'] > 0.99 * min(frames['ram'], MANAGED_END // PAGE_BYTES) - 400
    regions = re.findall(r'^  \[0x\w+, 0x\w+\) RAM +(\d+) frames$', text, re.MULTILINE)
    assert sum(map(int, regions)) == frames['ram']


# ------------------------------------------------------------------ PCs in QEMU
@pytest.mark.parametrize('memory_bytes', (*USUAL, *SMALL, *ODD) if FULL else USUAL, ids=lambda n: f'{n >> 10}K')
@pytest.mark.parametrize('config', KERNELS if FULL else ['classic', 'modern'])
@pytest.mark.parametrize('firmware', [PVH, BIOS])
def test_a_pc(firmware: str, config: str, memory_bytes: int) -> None:
    text, figures = boot('qemu', memory_bytes, config, firmware)
    check_counts(text, figures, ram_told(firmware, memory_bytes))


@pytest.mark.parametrize('memory_bytes', (*USUAL, *ODD) if FULL else (5 * GIB,), ids=lambda n: f'{n >> 10}K')
@pytest.mark.parametrize('config', KERNELS if FULL else ['modern'])
def test_a_pc_with_uefi(config: str, memory_bytes: int) -> None:
    """Whose firmware takes seconds; test_uefi.py has config classic."""
    text, figures = boot('qemu', memory_bytes, config, UEFI)
    check_counts(text, figures, ram_told(UEFI, memory_bytes))


@pytest.mark.parametrize('firmware', [PVH, BIOS, UEFI])
def test_five_levels_by_each_firmware(firmware: str) -> None:
    """All firmwares come through the PVH entry, which turns them on: QEMU's emulation has them."""
    levels = []

    def look(ram: RamMachine) -> None:
        levels.append(Kernel(ram, VirtAddr(KERNEL_STATE)).space.root_level)

    wanted = Boot(
        GIB, SECONDS, lambda _: None, config=MODERN_LA57, accel='tcg', firmware=firmware, look=look, is_checked=True
    )
    end = places.boot('qemu', wanted)
    assert (end.status, levels) == (Status.PASSED, [5])


# ------------------------------------------------------------------ the simulated computer
SIMULATED: Final = (*SMALL, *USUAL, *ODD, 256 * GIB, TIB)
HUGE: Final = (MANAGED_END, 17 * TIB, 64 * TIB)  # takes seconds: the metadata of 16 TiB is some 600 MiB


@pytest.mark.parametrize('memory_bytes', (*SIMULATED, *HUGE) if FULL else SIMULATED, ids=lambda n: f'{n >> 10}K')
def test_a_simulated_computer(memory_bytes: int) -> None:
    check_simulated(memory_bytes)


def test_simulated_computers_of_random_sizes() -> None:
    sizes = random.Random(7)
    for _ in range(500 if FULL else 10):
        check_simulated(sizes.randrange(SMALL[0], 1 << sizes.randrange(23, 41)) & -8 * KIB)


def check_simulated(memory_bytes: int) -> None:
    """A boot in config modern counts what the computer has."""
    ram = [(start, end) for start, end, kind in memory_map(Computer(memory_bytes)) if kind == RAM]
    text, figures = boot('jit', memory_bytes, 'modern')
    check_counts(text, figures, ram)


# ------------------------------------------------------------------ too little
@pytest.mark.parametrize(
    ('nbytes', 'sentence'),
    [
        (2 * MIB, 'PANIC: too little RAM, the kernel has its own state up to'),
        (2 * MIB + 128 * KIB, 'PANIC: vmm: too little RAM below 1 GiB for the frame database'),
    ],
)
def test_too_little_memory(nbytes: int, sentence: str) -> None:
    """The command refuses as little; what a kernel says that is started nevertheless."""
    for place in ('jit', 'qemu'):
        console = bytearray()
        end = places.boot(place, Boot(nbytes, SECONDS, console.extend, config=MODERN, accel='tcg'))
        assert end.status == Status.PANIC
        assert console.decode().splitlines()[-1].startswith(sentence)


def test_the_least_memory() -> None:
    """Some frames less than what the command lets pass."""
    for nbytes in range(2200 * KIB, 3 * MIB, 64 * KIB):
        check_simulated(nbytes)
