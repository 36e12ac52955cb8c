"""A guest whose RAM the host shares: memory, monitor, screen, end."""

import struct
import time
import zlib
from pathlib import Path
from typing import Final

import pytest

from incroos.run.outcome import Status
from incroos.run.qemu_guest import Guest
from incroos.run.qemu_screen import png_of_ppm, text_rows

from ..budget import SECONDS
from ..build import small_kernels
from ..build.small_kernels import LAYOUT, SmallKernel, write_small

GIB: Final = 1 << 30
MAILBOX: Final = 0x1D_0000


def wait_for(guest: Guest, text: bytes) -> None:
    end = time.monotonic() + SECONDS
    while text not in guest.console():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_high_memory_screen_and_answer(tmp_path: Path) -> None:
    """RAM above 4 GiB through a giant page, text on the screen, and a byte from the host that ends the guest."""
    image = write_small(tmp_path, SmallKernel(small_kernels.touch_high_memory))
    with Guest(image, 5 * GIB) as guest:
        wait_for(guest, b'ready\n')
        at = guest.offset_of(4 * GIB + 0x5008)
        assert struct.unpack_from('<Q', guest.ram, at) == (0x1234_5678_9ABC,)
        assert guest.screen_text()[0].startswith('K')
        assert len(guest.screen_text()) == 25
        columns, rows = struct.unpack_from('>II', guest.screenshot(), 16)
        assert (columns, rows) == (720, 400)
        assert '0000000000100000-' in guest.ask('info mem')
        assert guest.is_running()
        guest.ram[MAILBOX] = 7
        assert guest.wait(SECONDS).status == Status.PASSED
        assert not guest.is_running()
    assert guest.ram[MAILBOX] == 7  # stays readable


def test_boot_tables_as_the_monitor_reads_them(tmp_path: Path) -> None:
    """W^X over the first 2 MiB, and the guard page: the image's own segments say what is text."""
    image = write_small(tmp_path, SmallKernel(small_kernels.hang))
    with Guest(image, 16 << 20) as guest:
        wait_for(guest, b'hanging\n')
        lines = [line.split() for line in guest.ask('info tlb').splitlines()]
        symbols = small_kernels.build_small(SmallKernel(small_kernels.hang)).facts.symbols
    pages = {int(va.rstrip(':'), 16): (int(pa, 16), flags) for va, pa, flags in lines}
    expected = set(range(0, 0x20_0000, 0x1000)) - {LAYOUT.guard_page}
    assert set(pages) == expected
    for va, (pa, flags) in pages.items():
        is_text = symbols['__text_start'] <= va < symbols['__text_end']
        is_image = symbols['__text_start'] <= va < symbols['__rodata_end']
        assert pa == va
        assert ('X' in flags) != is_text  # QEMU prints X where NX is set
        assert ('W' in flags) != is_image
        assert 'U' not in flags
        assert 'G' not in flags


def test_guest_that_hangs(tmp_path: Path) -> None:
    image = write_small(tmp_path, SmallKernel(small_kernels.hang))
    with Guest(image, 16 << 20) as guest:
        assert guest.wait(0.2).status == Status.HANG
        assert guest.is_running()
    assert not guest.is_running()


def test_guest_that_triple_faults(tmp_path: Path) -> None:
    image = write_small(tmp_path, SmallKernel(small_kernels.triple_fault))
    with Guest(image, 16 << 20) as guest:
        assert guest.wait(SECONDS).status == Status.TRIPLE_FAULT
        assert guest.console() == b'last words\n'


@pytest.mark.parametrize(
    ('memory_bytes', 'pa', 'offset'),
    [
        (64 << 20, 0, 0),
        (64 << 20, (64 << 20) - 1, (64 << 20) - 1),
        (0xE000_0000 - 4096, 0xDFFF_EFFF, 0xDFFF_EFFF),
        (0xE000_0000, 0xBFFF_FFFF, 0xBFFF_FFFF),
        (0xE000_0000, 4 * GIB, 3 * GIB),
        (6 * GIB, 7 * GIB - 1, 6 * GIB - 1),
    ],
)
def test_offset_of(memory_bytes: int, pa: int, offset: int) -> None:
    assert Guest(Path(), memory_bytes).offset_of(pa) == offset


@pytest.mark.parametrize(
    ('memory_bytes', 'pa'),
    [
        (64 << 20, -1),
        (64 << 20, 64 << 20),
        (64 << 20, 4 * GIB),
        (6 * GIB, 3 * GIB),
        (6 * GIB, 4 * GIB - 1),
        (6 * GIB, 7 * GIB),
    ],
)
def test_no_offset_of_a_hole(memory_bytes: int, pa: int) -> None:
    with pytest.raises(ValueError, match='is not RAM of a guest'):
        Guest(Path(), memory_bytes).offset_of(pa)


def test_text_rows() -> None:
    rows = text_rows(b''.join(bytes([char, 7]) for char in b'one'.ljust(80) + b'\0two'.ljust(1920)))
    assert rows == ['one', ' two', *[''] * 23]


def test_png() -> None:
    """Pixels that look like white space behind the head must not be taken for it."""
    pixels = b'\n\n\n\x20\x20\x20' + bytes(range(12))
    png = png_of_ppm(b'P6\n3 2\n255\n' + pixels)
    assert png.startswith(b'\x89PNG\r\n\x1a\n')
    at, chunks = 8, {}
    while at < len(png):
        nbytes, kind = struct.unpack_from('>I4s', png, at)
        data = png[at + 8 : at + 8 + nbytes]
        assert struct.unpack_from('>I', png, at + 8 + nbytes) == (zlib.crc32(kind + data),)
        chunks[kind] = data
        at += nbytes + 12
    assert list(chunks) == [b'IHDR', b'IDAT', b'IEND']
    assert struct.unpack('>IIBBBBB', chunks[b'IHDR']) == (3, 2, 8, 2, 0, 0, 0)
    assert zlib.decompress(chunks[b'IDAT']) == b'\0' + pixels[:9] + b'\0' + pixels[9:]
    with pytest.raises(ValueError, match='not a PPM picture'):
        png_of_ppm(b'P5\n3 2\n255\n' + pixels)
