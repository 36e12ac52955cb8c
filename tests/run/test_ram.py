"""A guest's RAM seen through the kernel's struct views."""

import pytest

from incroos.inspect.ram import RamMachine
from incroos.lang import VirtAddr


@pytest.fixture
def ram() -> RamMachine:
    return RamMachine(bytearray(range(64)))


@pytest.mark.parametrize(('name', 'nbytes'), [('8', 1), ('16', 2), ('32', 4), ('64', 8)])
@pytest.mark.parametrize('addr', [0, 1, 8, 13, 40])
def test_a_number_is_little_endian_at_any_address(ram: RamMachine, name: str, nbytes: int, addr: int) -> None:
    wanted = int.from_bytes(bytes(range(addr, addr + nbytes)), 'little')
    assert getattr(ram, f'load{name}')(addr) == wanted
    getattr(ram, f'store{name}')(addr, wanted ^ 1)
    assert ram.read(addr, nbytes) == (wanted ^ 1).to_bytes(nbytes, 'little')
    assert ram.read(addr + nbytes, 4) == bytes(range(addr + nbytes, addr + nbytes + 4))


def test_words_are_signed(ram: RamMachine) -> None:
    for addr in (8, 9):
        ram.store64(VirtAddr(addr), -2)
        assert ram.load64(VirtAddr(addr)) == -2
        assert ram.read(addr, 8) == b'\xfe' + b'\xff' * 7


def test_fill_and_the_atomics(ram: RamMachine) -> None:
    ram.fill(VirtAddr(3), 0xAA, 5)
    assert ram.read(2, 7) == b'\x02' + b'\xaa' * 5 + b'\x08'
    ram.atomic_store64(VirtAddr(16), -5)
    assert ram.atomic_load64(VirtAddr(16)) == -5
    with pytest.raises(IndexError, match='0x11 is not a multiple of 8'):
        ram.atomic_load64(VirtAddr(17))


@pytest.mark.parametrize(('addr', 'nbytes'), [(-1, 1), (60, 8), (64, 1), (1 << 40, 8), (-8, 8)])
def test_what_is_no_ram_is_refused(ram: RamMachine, addr: int, nbytes: int) -> None:
    with pytest.raises(IndexError, match='are not all RAM'):
        ram.read(addr, nbytes)
    with pytest.raises(IndexError, match='are not all RAM'):
        ram.fill(VirtAddr(addr), 0, nbytes)


def test_what_ram_does_not_do_is_refused_by_name(ram: RamMachine) -> None:
    with pytest.raises(NotImplementedError, match='RamMachine has no primitive out8'):
        ram.out8(0x3F8, 1)
