"""The memory of a device: two pages, below 4 GiB or above, that keep what is written, as RAM does, and no more."""

import pytest

from incroos.lang import VirtAddr
from incroos.machine.computer import DeviceMemory
from incroos.machine.errors import OutsideRam, UnwrittenLoad

from .lab import DATA, Bench, P, W
from .strict_lab import VA as STRICT_VA
from .strict_lab import Strict

VA = 0x40_0000_0000
STARTS = [0xE000_0000, 0x12_3456_7000]
NX = 1 << 63


@pytest.fixture(params=STARTS, ids=hex)
def device(request: pytest.FixtureRequest) -> DeviceMemory:
    return DeviceMemory(request.param, 0x2000)


@pytest.fixture(params=['interpreted', 'compiled', 'checked'])
def bench(request: pytest.FixtureRequest, device: DeviceMemory) -> Bench:
    """The pages of the device at VA, with the page before them and that behind."""
    bench = Bench(request.param, device=device)
    for page in range(4):
        bench.map(VA + page * 0x1000, device.start + (page - 1) * 0x1000, P | W)
    return bench


def test_it_keeps_what_is_written(bench: Bench) -> None:
    for at, value in ((0x1000, 1), (0x1FFC, 0x1122_3344_5566_7788), (0x2FF8, -1)):
        for _ in range(2):  # the second time the page is remembered
            bench.call('store64', VA + at, value)
            assert bench.call('load64', VA + at) == value
    content = bytes(bench.computer.device)
    assert len(content) == 0x2000
    assert content[0xFFC:0x1004] == (0x1122_3344_5566_7788).to_bytes(8, 'little')
    assert content.count(0) == 0x2000 - 1 - 8 - 8
    assert not any(bench.ram[DATA:])


def test_around_it_reads_give_ones_and_writes_vanish(bench: Bench) -> None:
    for va in (VA + 0xFF8, VA + 0x3000):
        for _ in range(2):
            bench.call('store64', va, 7)
            assert bench.call('load64', va) == -1
    assert not any(bench.computer.device)


def test_ranges_go_through_it(bench: Bench) -> None:
    bench.call('fill', VA + 0x1800, 0xA5, 0x1000)
    bench.call('copy', VA + 0x1000, VA + 0x1C00, 0x400)
    content = bytes(bench.computer.device)
    assert content == b'\xa5' * 0x400 + bytes(0x400) + b'\xa5' * 0x1000 + bytes(0x800)


def test_the_strict_machine_knows_what_was_written_there(device: DeviceMemory) -> None:
    strict = Strict(device)
    for page in range(3):
        strict.map(device.start + page * 0x1000 | P | W | NX, page)
    strict.machine.fill(STRICT_VA, 5, 0x1008)
    strict.machine.copy(VirtAddr(STRICT_VA + 0x1008), STRICT_VA, 8)
    assert strict.machine.load64(VirtAddr(STRICT_VA + 0xFFC)) == 0x0505_0505_0505_0505
    assert strict.machine.load64(VirtAddr(STRICT_VA + 0x1008)) == 0x0505_0505_0505_0505
    with pytest.raises(UnwrittenLoad):
        strict.machine.load8(VirtAddr(STRICT_VA + 0x1010))
    with pytest.raises(OutsideRam):
        strict.machine.store8(VirtAddr(STRICT_VA + 0x2000), 0)
    assert bytes(strict.machine.computer.device[:0x1010]) == b'\x05' * 0x1010
