"""The UEFI boot code on firmware of many habits, the program's shape, and the volume that holds it."""

import io
import random
import shutil
import struct
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import pytest

from incroos.build import link
from incroos.build.bios_disk import payload_of
from incroos.build.boot_pvh import MAX_REGIONS, ExitPort
from incroos.build.boot_uefi import NR_TRIES, SENTENCES
from incroos.build.boot_uefi_handover import Range
from incroos.build.fat_volume import sectors_per_cluster, volume_with
from incroos.build.uefi_program import program_of
from incroos.kernel.pmm.memory_kinds import e820_numbers_of_uefi

from ..kernel.pmm.firmware_maps import MAPS, UEFI, FirmwareMap
from ..kernel.pmm.memory_map_model import compressed
from .python_uefi import CONVENTIONAL, MIB, PLAIN_MAP, RAM_BYTES, RSDP, UNTOUCHED, Computer, Habits, Piece, Screen
from .test_boot_bios import elf_of

EXIT: Final = ExitPort(0xF4, 0x5A)
NEEDED: Final = (Range(0x1000, 0x5000), Range(MIB, 2 * MIB))
KINDS: Final = (2, 1, 1, 1, 1, 0xF000_0000, 0xF000_0000, 1, 5, 3, 4, 2, 2, 2, 7, 8)
ENTRY: Final = MIB + 8
CONTENT: Final = random.Random(2).randbytes(50_001)
KERNEL_BYTES: Final = 0x2_0000
STX: Final = b'\x02'


@pytest.fixture(scope='module')
def elf() -> bytes:
    """A kernel whose bytes are all different, with zeros behind them."""
    return elf_of([(MIB, CONTENT, KERNEL_BYTES)])


@pytest.fixture(scope='module')
def program(elf: bytes) -> bytes:
    return program_of(elf, NEEDED, KINDS, EXIT)


def booted(program: bytes, **habits: Any) -> Computer:
    computer = Computer(program, Habits(**habits))
    computer.run(ENTRY)
    return computer


def sentence_of(computer: Computer) -> str:
    """What the boot code says before it ends the machine, after STX on the serial port."""
    assert computer.exit_code == EXIT.code
    assert computer.serial.startswith(STX)
    assert computer.serial.endswith(b'\r\n')
    return computer.serial[1:-2].decode()


def sentences_of(computer: Computer) -> str:
    """The same where the firmware's console works: there it says it, too."""
    sentence = sentence_of(computer)
    assert computer.screen == f'{sentence}\r\n'
    return sentence


# ------------------------------------------------------------------ it works
def test_kernel_is_entered_with_all_it_wants(program: bytes) -> None:
    computer = booted(program)
    assert computer.reached == ENTRY
    assert computer.ram[MIB : MIB + len(CONTENT)] == CONTENT
    assert computer.ram[MIB + len(CONTENT) : MIB + KERNEL_BYTES] == bytes(KERNEL_BYTES - len(CONTENT))
    assert computer.ram[MIB + KERNEL_BYTES] == UNTOUCHED
    assert computer.serial == STX
    assert computer.screen == ''
    magic, version, flags, modules, module, line, rsdp, _, _, reserved = computer.start_info()
    assert (magic, version, flags, modules, line, rsdp, reserved) == (0x336EC578, 1, 0, 1, 0, RSDP, 0)
    address, nbytes, *rest = struct.unpack_from('<QQQQ', computer.ram, module)
    assert (nbytes, rest) == (40, [0, 0])
    framebuffer = struct.unpack_from('<IIQQIIII', computer.ram, address)
    assert framebuffer == (0x46554249, 1, 0x8000_0000, 0x3E_8000, 1280, 800, 1280, 0)
    assert computer.regions() == [(0, 0xA0000, 1, 0), (MIB, RAM_BYTES - MIB, 1, 0)]
    assert computer.calls.count('exit_boot_services') == 1


def test_state_at_the_entry(program: bytes) -> None:
    """Protected mode and nothing else, flat segments, start information in ebx."""
    computer = booted(program)
    assert computer.get('CR0') & 0x8000_0001 == 1
    assert computer.get('CR4') == 0
    assert {computer.get(name) for name in ('DS', 'ES', 'SS')} == {16}
    assert computer.area + 0x1000 == computer.get('EBX')


def test_area_may_lie_anywhere_but_where_the_kernel_goes(program: bytes) -> None:
    """What overlaps that place is kept, so that it is not given again."""
    for first in (MIB - 0x8000, MIB, MIB + 0x1_F000):
        computer = booted(program, areas=(first, MIB + 0x1000, 0x70_0000))
        assert computer.area == 0x70_0000
        assert computer.ram[MIB : MIB + len(CONTENT)] == CONTENT
    computer = booted(program, areas=(MIB - 0x3_0000,))
    assert computer.ram[MIB : MIB + len(CONTENT)] == CONTENT
    assert booted(program, areas=(MIB + KERNEL_BYTES,)).reached == ENTRY


def test_firmware_may_use_the_place_of_the_kernel_until_its_services_end(program: bytes) -> None:
    """Nothing is written there before: the firmware's page tables may be there."""
    computer = Computer(program)
    computer._run_last_steps = lambda entry: None  # type: ignore[method-assign]
    computer.run(ENTRY)
    assert computer.is_over
    assert computer.ram[0x1000:0x5000] == bytes([UNTOUCHED]) * 0x4000
    assert computer.ram[MIB : 2 * MIB] == bytes([UNTOUCHED]) * MIB


def test_memory_map_that_changes_while_the_services_end(program: bytes) -> None:
    for nr_changes in range(1, NR_TRIES):
        computer = booted(program, stale_keys=nr_changes)
        assert computer.calls.count('exit_boot_services') == nr_changes + 1
        assert computer.reached == ENTRY
        assert len(computer.regions()) == 2 + nr_changes


def test_memory_map_that_grows_beyond_the_spare_room(program: bytes) -> None:
    """Its size is asked again, and a larger area with it."""
    computer = booted(program, growth=400)
    assert computer.reached == ENTRY
    assert len(computer.regions()) == 402
    assert computer.calls.count('allocate_pages') == 2


def test_more_pieces_than_are_handed_over(program: bytes) -> None:
    computer = booted(program, growth=3000)
    assert len(computer.regions()) == MAX_REGIONS


def test_types(program: bytes) -> None:
    """Of the memory map; those that nobody has named yet are reserved."""
    types = {**dict(enumerate(KINDS)), 16: 2, 0x7000_0000: 2, 0xFFFF_FFFF: 2}
    pieces = [(kind, 1 << 32 | number << 13, 1) for number, kind in enumerate(types)]
    computer = booted(program, pieces=[*PLAIN_MAP, *pieces])
    assert [region[2] for region in computer.regions()[2:]] == list(types.values())


@pytest.mark.parametrize('told', [told for told in MAPS if told.form == UEFI], ids=str)
def test_typical_maps(elf: bytes, told: FirmwareMap) -> None:
    """By the kernel's own table: what is handed over means what the kernel must make of it."""
    pieces = [(number, start, (end - start) >> 12) for start, end, number in told.pieces]
    computer = booted(program_of(elf, NEEDED, e820_numbers_of_uefi(), EXIT), pieces=pieces)
    assert compressed([(start, nbytes, number) for start, nbytes, number, _ in computer.regions()]) == told.regions


def test_memory_with_a_purpose_of_its_own_is_no_ram(program: bytes) -> None:
    computer = booted(program, attributes=0x4000F)
    assert sentences_of(computer) == SENTENCES['not_ours']


def test_neighbours_of_one_type_become_one_region(program: bytes) -> None:
    pieces: list[Piece] = [(7, 0, 8), (3, 0x8000, 8), (0, 0x10000, 8), (11, 0x18000, 8), (7, 0x20000, 8)]
    computer = booted(program, pieces=[*pieces, (7, MIB, 256), (7, MIB + 0x10_1000, 1)])
    assert computer.regions() == [
        (0, 0x10000, 1, 0),
        (0x10000, 0x10000, 2, 0),
        (0x20000, 0x8000, 1, 0),
        (MIB, MIB, 1, 0),
        (MIB + 0x10_1000, 0x1000, 1, 0),
    ]


MASKS: Final = (2, 1280, 800, 1280, 1 << 32, 1)
NO_FRAMEBUFFER: Final = (3, 1280, 800, 1280, 0, 0)


@pytest.mark.parametrize('screens', [(), (MASKS,), (NO_FRAMEBUFFER,), (MASKS, NO_FRAMEBUFFER)])
@pytest.mark.parametrize('console_screen', [None, 0])
def test_no_framebuffer_or_one_of_another_format(
    program: bytes, screens: Sequence[Screen], console_screen: int | None
) -> None:
    computer = booted(program, screens=screens, console_screen=console_screen)
    _, _, _, nr_modules, module, *_ = computer.start_info()
    assert (computer.reached, nr_modules, module) == (ENTRY, 0, 0)


@pytest.mark.parametrize(('console_screen', 'taken'), [(None, 800), (0, 800), (1, 800), (2, 900), (3, 1000)], ids=str)
def test_of_several_screens_the_one_of_the_console_is_taken(
    program: bytes, console_screen: int | None, taken: int
) -> None:
    """If it has a framebuffer; the first of all is what the console makes of the others."""
    screens = [NO_FRAMEBUFFER, *((0, width, 600, width, 1 << 32 | width << 20, 1 << 22) for width in (800, 900, 1000))]
    computer = booted(program, screens=screens, console_screen=console_screen)
    _, _, _, nr_modules, module, *_ = computer.start_info()
    assert (computer.reached, nr_modules) == (ENTRY, 1)
    (address,) = struct.unpack_from('<Q', computer.ram, module)
    framebuffer = struct.unpack_from('<IIQQIIII', computer.ram, address)
    assert framebuffer == (0x4655_4249, 0, 1 << 32 | taken << 20, 1 << 22, taken, 600, taken, 0)


def test_no_acpi_tables(program: bytes) -> None:
    assert booted(program, has_acpi=False).start_info()[6] == 0


# ------------------------------------------------------------------ it fails
def test_processor_without_nx(program: bytes) -> None:
    assert sentences_of(booted(program, has_nx=False)) == SENTENCES['no_nx']


@pytest.mark.parametrize('at', [0, 1, 25_000, 50_000])
def test_damaged_kernel(elf: bytes, program: bytes, at: int) -> None:
    where = program.index(payload_of(elf).content) + at
    damaged = program[:where] + bytes([program[where] ^ 1]) + program[where + 1 :]
    assert sentences_of(booted(damaged)) == SENTENCES['damaged']


def test_kernel_whose_words_have_changed_places(elf: bytes, program: bytes) -> None:
    where = program.index(payload_of(elf).content)
    swapped = program[where + 4 : where + 8] + program[where : where + 4]
    assert sentences_of(booted(program[:where] + swapped + program[where + 8 :])) == SENTENCES['damaged']


def test_no_memory(program: bytes) -> None:
    assert sentences_of(booted(program, areas=())) == SENTENCES['no_memory']
    assert sentences_of(booted(program, areas=(MIB, MIB + 0x2000))) == SENTENCES['no_memory']


@pytest.mark.parametrize('status', [1 << 63 | 2, 1 << 63 | 5])
def test_no_memory_map(program: bytes, status: int) -> None:
    """Also where it goes on saying that there is too little room: then memory ends some time."""
    sentence = sentences_of(booted(program, map_status=status))
    assert sentence == SENTENCES['no_map' if status & 0xFF == 2 else 'no_memory']


@pytest.mark.parametrize('page', [1, 4, 0x100, 0x1FF])
@pytest.mark.parametrize('kind', [0, 5, 6, 9, 10])
def test_memory_that_the_firmware_keeps(program: bytes, page: int, kind: int) -> None:
    """Each page that the kernel needs, at the ends of both ranges."""
    pieces = [(CONVENTIONAL, n << 12, 1) for n in (*range(0xA0), *range(0x100, 0x280)) if n != page]
    computer = booted(program, pieces=[*pieces, (kind, page << 12, 1)])
    assert sentences_of(computer) == SENTENCES['not_ours']
    assert not computer.is_over


@pytest.mark.parametrize('page', [0, 5, 0x9F, 0x200])
def test_memory_that_the_firmware_may_keep(program: bytes, page: int) -> None:
    pieces = [(CONVENTIONAL, n << 12, 1) for n in (*range(0xA0), *range(0x100, 0x280)) if n != page]
    assert booted(program, pieces=[*pieces, (5, page << 12, 1)]).reached == ENTRY


def test_services_that_do_not_end(program: bytes) -> None:
    """The console is no longer to be used then."""
    computer = booted(program, stale_keys=NR_TRIES)
    assert sentence_of(computer) == SENTENCES['no_exit']
    assert computer.screen == ''


def test_no_console(program: bytes) -> None:
    computer = booted(program, areas=(), has_console=False)
    assert sentence_of(computer) == SENTENCES['no_memory']
    assert computer.screen == ''


# ------------------------------------------------------------------ the program
def test_program_is_the_same_each_time(elf: bytes, program: bytes) -> None:
    assert program_of(elf, NEEDED, KINDS, EXIT) == program


@pytest.mark.parametrize('linker', [name for name in link.LINKERS if shutil.which(name)])
def test_linkers(elf: bytes, program: bytes, linker: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same program by each."""
    monkeypatch.setattr(link, 'LINKERS', (linker,))
    assert program_of(elf, NEEDED, KINDS, EXIT) == program


def test_sections(program: bytes) -> None:
    """In the file and in memory they follow each other; none is writable and executable."""
    at = 64 + 24 + 240
    end_in_file, end = 1024, 0x1000
    for _ in range(3):
        _, used, address, size, offset, characteristics = struct.unpack_from('<8sIIII12xI', program, at)
        assert (offset, address % 0x1000, size % 512) == (end_in_file, 0, 0)
        assert end <= address
        assert used <= size
        assert characteristics & 0xA000_0000 != 0xA000_0000
        end_in_file, end = offset + size, address + used
        at += 40
    assert end_in_file == len(program)


# ------------------------------------------------------------------ the volume
class Volume:
    """A reader of FAT16 volumes that knows no more than their description."""

    def __init__(self, data: bytes) -> None:
        self._file = io.BytesIO(data)
        unit, cluster, reserved, tables, self._roots, small, _, per_table, *_, large = struct.unpack_from(
            '<HBHBHHBHHHII', data, 11
        )
        self.nr_sectors = small or large
        assert (unit, data[510:512]) == (512, b'\x55\xaa')
        first_table, second_table = (self._sectors(reserved + n * per_table, per_table) for n in range(tables))
        assert first_table == second_table
        self.table = struct.unpack(f'<{per_table * 256}H', first_table)
        self._root = reserved + tables * per_table
        self._data = self._root + self._roots * 32 // 512
        self._cluster = cluster
        self.nr_clusters = (self.nr_sectors - self._data) // cluster
        assert 4085 <= self.nr_clusters < 65525, 'that is no FAT16'
        assert self.nr_clusters + 2 <= len(self.table)

    def read(self, path: str) -> bytes:
        *folders, name = path.split('/')
        folder = self._sectors(self._root, self._roots * 32 // 512)
        for part in folders:
            cluster, _ = self._find(folder, part.ljust(11).encode(), 0x10)
            folder = self._chain(cluster)
        stem, extension = name.split('.')
        cluster, nbytes = self._find(folder, f'{stem:8}{extension:3}'.encode(), 0x20)
        content = self._chain(cluster)
        assert not any(content[nbytes:])
        return content[:nbytes]

    def _find(self, folder: bytes, name: bytes, attributes: int) -> tuple[int, int]:
        for entry in struct.iter_unpack('<11sB14xHI', folder):
            if entry[:2] == (name, attributes):
                return entry[2], entry[3]
        raise AssertionError(name)

    def _chain(self, cluster: int) -> bytes:
        content = []
        while cluster < 0xFFF8:
            assert 2 <= cluster < self.nr_clusters + 2
            content.append(self._sectors(self._data + (cluster - 2) * self._cluster, self._cluster))
            cluster = self.table[cluster]
        return b''.join(content)

    def _sectors(self, start: int, count: int) -> bytes:
        self._file.seek(start * 512)
        return self._file.read(count * 512)


@pytest.mark.parametrize('nbytes', [1, 511, 512, 513, 60_000, 2_095_616, 2_097_152, 3_000_001, 33 << 20])
def test_volume(nbytes: int, tmp_path: Path) -> None:
    """The file can be read; no cluster is in two chains; and a program that checks volumes finds nothing wrong."""
    content = random.Random(nbytes).randbytes(min(nbytes, 1 << 20)).ljust(nbytes, b'x')
    data = volume_with(content)
    volume = Volume(data)
    assert len(data) == volume.nr_sectors * 512
    assert volume.read('EFI/BOOT/BOOTX64.EFI') == content
    links = [link for link in volume.table[2:] if link not in (0, 0xFFFF)]
    assert len(links) == len(set(links))
    if shutil.which('fsck.fat'):
        (tmp_path / 'volume').write_bytes(data)
        subprocess.run(['fsck.fat', '-n', tmp_path / 'volume'], check=True, capture_output=True)


def test_volume_that_would_be_too_large() -> None:
    with pytest.raises(ValueError, match='too large'):
        sectors_per_cluster(2 << 30)


def test_clusters_grow_with_the_program() -> None:
    assert [sectors_per_cluster(mebibytes << 20) for mebibytes in (31, 32, 63, 64, 2046)] == [1, 2, 2, 4, 64]
