"""Typical memory maps of machines of many kinds: the kernel boots on each, and every count is true."""

import re
from collections.abc import Callable
from typing import Any

import pytest

from incroos.inspect.ram import RamMachine
from incroos.inspect.statistics import statistics_of
from incroos.kernel.boot.main import kmain
from incroos.kernel.config import KernelConfig
from incroos.kernel.configs import CLASSIC, MODERN
from incroos.kernel.layout import KERNEL_STATE, ZONE_END, ZONE_START
from incroos.kernel.state import Kernel
from incroos.lang import PhysAddr, VirtAddr
from incroos.machine.computer import Computer
from incroos.machine.strict import MAX_RAM
from incroos.run import jit, sim
from incroos.run.outcome import Outcome, Status
from incroos.run.simulated import START_INFO

from ...budget import SECONDS
from ..boot.test_selftest import TRANSCRIPT
from .firmware_maps import FRAGMENTED, MAPS, SCATTERED, FirmwareMap
from .memory_map_model import FRAME, Entry, Region, compressed, frames_by_kind, list_of, regions_of

SMALL = [told for told in MAPS if told.ram_end <= MAX_RAM]
LINE = re.compile(r'  \[0x([0-9A-F]{16}), 0x([0-9A-F]{16})\) (.{12}) *(\d+) frames')
TOTAL = re.compile(r'  (.{12}) *(\d+) frames *(\d+) MiB')


def tell(computer: Computer, poke: Callable[[int, bytes], Any], entries: list[Entry]) -> None:
    """Have the firmware tell this. Behind every address is RAM now: only the map keeps the kernel from it."""
    computer.cpu.ram_low_end = PhysAddr(computer.span)
    poke(START_INFO, list_of(entries, START_INFO))


def boot_with(place: str, told: FirmwareMap, config: KernelConfig) -> tuple[Outcome, str, RamMachine]:
    """How the boot ended, what the kernel wrote, and the machine's RAM."""
    if place == 'sim':
        simulated = sim.Sim(told.ram_end, config)
        tell(simulated.computer, simulated.machine.poke, told.entries)
        end = sim.run(simulated, kmain, SECONDS)
        return end, simulated.console().decode(), RamMachine(simulated.ram, config)
    guest = jit.Guest(told.ram_end, jit.cached_kernel(print, config=config))
    tell(guest.computer, guest.poke, told.entries)
    with guest:
        end = guest.wait(SECONDS)
    return end, guest.console().decode(), RamMachine(guest.ram, config)


def ram_frames(regions: list[Region], start: int, end: int) -> int:
    """How many frames of RAM lie in [start, end)."""
    return sum(max(0, min(stop, end) - max(at, start)) // FRAME for at, stop, kind in regions if kind == 'RAM')


# ------------------------------------------------------------------ the maps
def test_there_are_maps_of_many_kinds() -> None:
    assert {told.form for told in MAPS} == {'E820', 'UEFI', 'PVH'}
    assert len(FRAGMENTED.entries) > 128
    assert {kind for told in MAPS for _, _, kind in told.regions} >= {'RAM', 'ACPI tables', 'persistent', 'unusable'}


@pytest.mark.parametrize('told', MAPS, ids=str)
def test_the_model_makes_the_regions_that_are_written_down(told: FirmwareMap) -> None:
    assert compressed(told.entries) == told.regions
    assert frames_by_kind(told.regions)['RAM'] == told.nr_ram_frames


# ------------------------------------------------------------------ boots
PLACES_OF_MAPS = [('jit', told) for told in (*MAPS, SCATTERED)] + [('sim', told) for told in SMALL]


@pytest.mark.parametrize(('place', 'told'), PLACES_OF_MAPS, ids=str)
def test_classic_boots_with_true_counts(place: str, told: FirmwareMap) -> None:
    end, text, ram = boot_with(place, told, CLASSIC)
    frame = re.search('addr: 0x([0-9A-F]{16})', text)
    assert frame, text
    nr_frames = ram_frames(told.regions, ZONE_START, ZONE_END)
    wanted = TRANSCRIPT.format(frame=int(frame[1], 16)).replace('8192', str(nr_frames))
    assert (end.status, text) == (Status.PASSED, wanted)
    assert regions_of(Kernel(ram, VirtAddr(KERNEL_STATE))) == told.regions


@pytest.mark.parametrize(('place', 'told'), PLACES_OF_MAPS, ids=str)
def test_modern_boots_with_true_counts(place: str, told: FirmwareMap) -> None:
    end, text, ram = boot_with(place, told, MODERN)
    assert end.status == Status.PASSED, text
    lines = text[: text.index('Hello')].splitlines()
    assert max(map(len, lines)) < 80
    split = lines.index('In all:')
    found = [match.groups() for match in map(LINE.fullmatch, lines[1:split]) if match]
    assert lines[0] == 'Memory map:'
    assert len(found) == split - 1
    assert [(int(start, 16), int(stop, 16), kind.strip()) for start, stop, kind, _ in found] == told.regions
    assert [int(count) for *_, count in found] == [(stop - start) // FRAME for start, stop, _ in told.regions]
    totals = [match.groups() for match in map(TOTAL.fullmatch, lines[split + 1 :]) if match]
    assert len(totals) == len(lines) - split - 1
    counts = frames_by_kind(told.regions)
    assert {kind.strip(): int(count) for kind, count, _ in totals} == counts
    assert all(int(mebibytes) == int(count) // 256 for _, count, mebibytes in totals)
    figures = statistics_of(ram)
    assert figures['frames']['ram'] == told.nr_ram_frames
    assert told.nr_ram_frames == figures['frames']['managed'] + sum(figures['reserved'].values())
    assert f'Total pages: {figures["frames"]["managed"]}\n' in text
