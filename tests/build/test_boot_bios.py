"""The BIOS boot code on firmware of many habits, and the disk image's shape."""

import io
import random
import re
import shutil
import struct
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import pytest
from elftools.elf.elffile import ELFFile

from incroos.build import bios_disk, boot_bios, link
from incroos.build.bios_disk import CYLINDER_SECTORS, disk_of, payload_of
from incroos.build.boot_bios import SECTOR_BYTES, Payload, assembly
from incroos.build.boot_bios_loader import LOADER_SENTENCES
from incroos.build.boot_pvh import MAX_REGIONS, ExitPort
from incroos.build.errors import BuildError

from ..kernel.pmm.firmware_maps import E820, MAPS, FirmwareMap
from . import small_kernels
from .python_bios import MIB, PLAIN_MAP, UNTOUCHED, Computer, Habits, Region
from .small_kernels import SmallKernel, build_small

EXIT: Final = ExitPort(0xF4, 0x5A)
NR_LOADER_SECTORS: Final = 2
KERNEL_SECTORS: Final = 150  # more than two pieces


@pytest.fixture(scope='module')
def elf() -> bytes:
    """A kernel whose bytes are all different, with zeros behind them."""
    return elf_of([(MIB, random.Random(1).randbytes(KERNEL_SECTORS * SECTOR_BYTES - 100), 0x2_0000)])


@pytest.fixture(scope='module')
def disk(elf: bytes) -> bytes:
    return disk_of(elf, EXIT)


def elf_of(segments: list[tuple[int, bytes, int]], entry: int = MIB + 8) -> bytes:
    """An ELF file with segments: address, content, bytes in memory."""
    ident = b'\x7fELF\2\1\1'.ljust(16, b'\0')
    head = struct.pack('<HHIQQQIHHHHHH', 2, 62, 1, entry, 64, 0, 0, 64, 56, len(segments), 64, 0, 0)
    at = 64 + 56 * len(segments)
    table, contents = b'', b''
    for start, content, nbytes in segments:
        offset = at + len(contents)
        table += struct.pack('<IIQQQQQQ', 1, 7, offset, start, start, len(content), nbytes, 1)
        contents += content
    return ident + head + table + contents


def booted(disk: bytes | bytearray, **habits: Any) -> Computer:
    computer = Computer(bytes(disk), Habits(**habits))
    computer.run(MIB + 8)
    return computer


def sentence_of(computer: Computer) -> str:
    """What the boot code says before it ends the machine."""
    assert computer.exit_code == EXIT.code
    assert computer.screen == computer.serial
    assert computer.screen.endswith(b'\r\n')
    return computer.screen.decode('ascii').removesuffix('\r\n')


def assert_started(computer: Computer, elf: bytes) -> None:
    """The kernel is where it belongs, and the processor at its entry as the ABI says."""
    assert (computer.exit_code, bytes(computer.screen)) == (None, b'')
    payload = payload_of(elf)
    assert computer.get('EIP') == payload.entry
    assert computer.ram[payload.start : payload.end] == payload.content.ljust(payload.end - payload.start, b'\0')
    assert computer.get('CR0') == 0x11  # PE, ET
    assert computer.get('CR4') == 0
    assert not computer.get('EFLAGS') & 0x200
    magic, version, flags, nr_modules, modules, command_line, acpi, _, _, reserved = computer.start_info()
    assert (magic, version) == (0x336E_C578, 1)
    assert not any((flags, nr_modules, modules, command_line, acpi, reserved))


# ------------------------------------------------------------------ what is right
def test_kernel_is_started_and_nothing_else_is_written(disk: bytes, elf: bytes) -> None:
    computer = booted(disk)
    assert_started(computer, elf)
    assert computer.regions() == [(*region, 0) for region in PLAIN_MAP]
    written = [at for at in range(0, MIB, 16) if computer.ram[at : at + 16] != bytes([UNTOUCHED]) * 16]
    assert min(written) >= 0x7C00 - 0x100  # the stack
    assert max(written) < 0x2_0000 + 24 * MAX_REGIONS
    assert not any(0x8400 <= at < 0x1_0000 for at in written)
    payload = payload_of(elf)
    assert set(computer.ram[payload.end :]) == {UNTOUCHED}


def test_screen_is_put_into_text_mode_before_anything_else(disk: bytes) -> None:
    assert booted(disk).calls[0] == (0x10, 0x0003)


@pytest.mark.parametrize('drive', [0x00, 0x80, 0x81, 0xFF])
@pytest.mark.parametrize('segment', [0, 0x7C0])
def test_drive_and_segment(disk: bytes, elf: bytes, drive: int, segment: int) -> None:
    assert_started(booted(disk, drive=drive, segment=segment), elf)


def test_parameter_block_that_firmware_writes_hurts_nobody(disk: bytes, elf: bytes) -> None:
    assert_started(booted(disk, parameter_block=b'\xff' * (boot_bios.PARAMETER_BLOCK_END - 3)), elf)


# ------------------------------------------------------------------ the disk
@pytest.mark.parametrize(('heads', 'sectors'), [(2, 18), (16, 63), (64, 32), (255, 63), (256, 1)])
def test_firmware_that_knows_no_sector_numbers(disk: bytes, elf: bytes, heads: int, sectors: int) -> None:
    computer = booted(disk, has_packets=False, heads=heads, sectors=sectors)
    assert_started(computer, elf)
    reads = [ax for number, ax in computer.calls if (number, ax >> 8) == (0x13, 2)]
    assert len(reads) == NR_LOADER_SECTORS + KERNEL_SECTORS


def test_firmware_without_a_geometry(disk: bytes) -> None:
    assert sentence_of(booted(disk, has_packets=False, sectors=0)) == boot_bios.SENTENCES['unreadable']


@pytest.mark.parametrize('has_packets', [True, False])
def test_reads_are_tried_again_after_a_reset(disk: bytes, elf: bytes, has_packets: bool) -> None:
    computer = booted(disk, has_packets=has_packets, failing_reads=boot_bios.NR_TRIES - 1)
    assert_started(computer, elf)
    assert computer.resets == boot_bios.NR_TRIES - 1


@pytest.mark.parametrize('has_packets', [True, False])
def test_reads_that_always_fail(disk: bytes, has_packets: bool) -> None:
    computer = booted(disk, has_packets=has_packets, failing_reads=boot_bios.NR_TRIES)
    assert sentence_of(computer) == boot_bios.SENTENCES['unreadable']


@pytest.mark.parametrize(
    'nr_sectors', [1, NR_LOADER_SECTORS, NR_LOADER_SECTORS + 1, NR_LOADER_SECTORS + KERNEL_SECTORS]
)
@pytest.mark.parametrize('has_packets', [True, False])
def test_disk_that_ends_too_early(disk: bytes, nr_sectors: int, has_packets: bool) -> None:
    computer = booted(disk[: nr_sectors * SECTOR_BYTES], has_packets=has_packets)
    assert sentence_of(computer) == boot_bios.SENTENCES['unreadable']


@pytest.mark.parametrize('at', [SECTOR_BYTES, SECTOR_BYTES + 333, (1 + NR_LOADER_SECTORS) * SECTOR_BYTES - 1])
def test_damaged_loader(disk: bytes, at: int) -> None:
    damaged = bytearray(disk)
    damaged[at] ^= 0x10
    assert sentence_of(booted(damaged)) == boot_bios.SENTENCES['damaged']


def test_only_the_boot_sector_was_written(disk: bytes) -> None:
    computer = booted(disk[:SECTOR_BYTES].ljust(len(disk), b'\0'))
    assert sentence_of(computer) == boot_bios.SENTENCES['damaged']


@pytest.mark.parametrize('at', [0, 5000, KERNEL_SECTORS * SECTOR_BYTES - 1])
def test_damaged_kernel(disk: bytes, at: int) -> None:
    damaged = bytearray(disk)
    damaged[(1 + NR_LOADER_SECTORS) * SECTOR_BYTES + at] ^= 0x10
    assert sentence_of(booted(damaged)) == LOADER_SENTENCES['incomplete']


def test_sectors_of_the_kernel_that_changed_places(disk: bytes) -> None:
    swapped, at, size = bytearray(disk), 10 * SECTOR_BYTES, SECTOR_BYTES
    swapped[at : at + 2 * size] = disk[at + size : at + 2 * size] + disk[at : at + size]
    assert sentence_of(booted(swapped)) == LOADER_SENTENCES['incomplete']


# ------------------------------------------------------------------ the memory map
def many_regions(count: int) -> list[Region]:
    return [(index << 21, 1 << 20, 1 + index % 5) for index in range(count)]


@pytest.mark.parametrize('count', [1, 128, 129, MAX_REGIONS - 1])
@pytest.mark.parametrize('ends_map_with_carry', [True, False])
def test_memory_map_of_any_length(disk: bytes, elf: bytes, count: int, ends_map_with_carry: bool) -> None:
    computer = booted(disk, regions=many_regions(count), ends_map_with_carry=ends_map_with_carry)
    assert_started(computer, elf)
    assert computer.regions() == [(*region, 0) for region in many_regions(count)]


def test_longest_memory_map(disk: bytes) -> None:
    count = MAX_REGIONS
    assert booted(disk, regions=many_regions(count)).regions() == [(*region, 0) for region in many_regions(count)]
    computer = booted(disk, regions=many_regions(count + 1))
    assert sentence_of(computer) == LOADER_SENTENCES['endless_map']


@pytest.mark.parametrize('told', [told for told in MAPS if told.form == E820], ids=str)
def test_typical_maps(disk: bytes, told: FirmwareMap) -> None:
    assert booted(disk, regions=told.entries).regions() == [(*entry, 0) for entry in told.entries]


def test_entries_with_attributes(disk: bytes) -> None:
    """ACPI: an entry whose bit 0 is clear is to be ignored. Bit 1 is for memory that keeps its content."""
    computer = booted(disk, regions=many_regions(5), attributes=[1, 0, 3, 2, 1])
    assert computer.regions() == [(*many_regions(5)[index], 0) for index in (0, 2, 4)]


def test_odd_regions_are_left_to_the_kernel(disk: bytes) -> None:
    odd = [(1 << 63, 1 << 63, 1), (5, 0, 1), (7, 3, 99), (0, (1 << 64) - 1, 2), (0, MIB, 1), (0, MIB, 1)]
    assert booted(disk, regions=odd).regions() == [(*region, 0) for region in odd]


@pytest.mark.parametrize(
    ('habits', 'sentence'),
    [
        ({'has_memory_map': False}, 'no_map'),
        ({'forgets_signature': True}, 'no_map'),
        ({'attributes': [0] * len(PLAIN_MAP)}, 'no_map'),
        ({'repeats_map': True}, 'endless_map'),
    ],
)
def test_firmware_without_a_usable_memory_map(disk: bytes, habits: dict[str, Any], sentence: str) -> None:
    assert sentence_of(booted(disk, **habits)) == LOADER_SENTENCES[sentence]


# ------------------------------------------------------------------ A20
@pytest.mark.parametrize('way', ['bios', 'keyboard', 'port 0x92'])
def test_a20_is_opened(disk: bytes, elf: bytes, way: str) -> None:
    assert_started(booted(disk, a20_opened_by=way), elf)


def test_a20_that_is_open_is_left_alone(disk: bytes) -> None:
    assert (0x15, 0x2401) not in booted(disk).calls


def test_a20_that_stays_closed(disk: bytes) -> None:
    assert sentence_of(booted(disk, a20_opened_by='nobody')) == LOADER_SENTENCES['no_a20']


# ------------------------------------------------------------------ the image's shape
def test_boot_sector_leaves_room_for_what_others_write(disk: bytes) -> None:
    assert len(disk) % (CYLINDER_SECTORS * SECTOR_BYTES) == 0
    assert disk[510:512] == b'\x55\xaa'
    assert disk[0] == 0xEB  # jumps over the parameter block
    assert not any(disk[3 : boot_bios.PARAMETER_BLOCK_END])
    assert not any(disk[440 : boot_bios.PARTITION_TABLE])
    assert not any(disk[boot_bios.PARTITION_TABLE + 16 : 510])


def test_partition_takes_all_but_the_boot_sector(disk: bytes) -> None:
    entry = struct.unpack_from('<B3sB3sII', disk, boot_bios.PARTITION_TABLE)
    last = bytes([63, 32, len(disk) // MIB - 1])  # the last head and sector of the last cylinder
    assert entry == (0x80, bytes([0, 2, 0]), 0x7F, last, 1, len(disk) // SECTOR_BYTES - 1)


@pytest.mark.parametrize(
    ('number', 'place'),
    [
        (0, (0, 1, 0)),
        (31, (0, 32, 0)),
        (32, (1, 1, 0)),
        (2047, (63, 32, 0)),
        (2048, (0, 1, 1)),
        (2048 * 259, (0, 65, 3)),
    ],
)
def test_cylinder_head_sector(number: int, place: tuple[int, int, int]) -> None:
    assert bios_disk.cylinder_head_sector(number) == bytes(place)


def test_payload_is_what_a_loader_makes_of_the_segments() -> None:
    elf = elf_of([(MIB + 0x1000, b'later', 0x30), (MIB, b'first', 5), (MIB + 0x5000, b'', 0)], entry=MIB + 3)
    payload = payload_of(elf)
    assert (payload.start, payload.end, payload.entry) == (MIB, MIB + 0x1030, MIB + 3)
    assert payload.content == (b'first'.ljust(0x1000, b'\0') + b'later').ljust(0x1200, b'\0')


def test_payload_of_a_kernel() -> None:
    image = build_small(SmallKernel(small_kernels.pass_at_once)).elf
    payload = payload_of(image)
    assert payload.entry == ELFFile(io.BytesIO(image))['e_entry']
    assert payload.start == small_kernels.LAYOUT.image_start
    assert payload.end > payload.start + len(payload.content)


def test_kernel_that_is_too_large() -> None:
    with pytest.raises(BuildError, match='which is more than the BIOS loader reads'):
        payload_of(elf_of([(MIB, b'x' * (bios_disk.MAX_PAYLOAD_SECTORS * SECTOR_BYTES + 1), 1)]))


@pytest.mark.parametrize('linker', [name for name in link.LINKERS if shutil.which(name)])
def test_each_linker_makes_the_same_image(
    disk: bytes, elf: bytes, linker: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(link, 'LINKERS', (linker,))
    assert disk_of(elf, EXIT) == disk


def test_sums_see_every_word_and_its_place() -> None:
    content = random.Random(2).randbytes(1024)
    words = [content[at : at + 4] for at in range(0, 1024, 4)]
    sums = {boot_bios.sums_of(content)}
    for index, (one, next_one) in enumerate(pairwise(words)):
        sums.add(boot_bios.sums_of(b''.join([*words[:index], next_one, one, *words[index + 2 :]])))
    assert len(sums) == len(words)


def test_labels_of_the_boot_code_have_a_prefix() -> None:
    text = assembly(Payload(MIB, bytes(SECTOR_BYTES), MIB, MIB), EXIT)
    labels = [line.rstrip(':') for line in text.splitlines() if line.endswith(':') and not line[0].isdigit()]
    assert labels
    assert all(label.startswith('bios.') for label in labels)


def test_the_document_has_every_sentence() -> None:
    text = (Path(__file__).parents[2] / 'docs' / 'boot-bios.md').read_text()
    told = re.findall(r'(?m)^\| ([A-Z].*?\.) \|', text)
    assert told == [*boot_bios.SENTENCES.values(), *LOADER_SENTENCES.values()]
