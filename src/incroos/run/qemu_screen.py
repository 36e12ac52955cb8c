"""The screen of a guest: its text, and its picture as PNG.

Text memory: 80 columns, 25 rows, two bytes a cell, the character first (IBM VGA, mode 3). PNG: RFC 2083.
"""

import struct
import zlib
from typing import Final

TEXT_ADDR: Final = 0xB8000
NR_COLUMNS: Final = 80
NR_ROWS: Final = 25
TEXT_BYTES: Final = NR_COLUMNS * NR_ROWS * 2


def text_rows(memory: bytes) -> list[str]:
    """The rows of text memory without the blanks at their ends."""
    characters = memory[:TEXT_BYTES:2].replace(b'\0', b' ').decode('cp437')
    return [characters[at : at + NR_COLUMNS].rstrip() for at in range(0, len(characters), NR_COLUMNS)]


def png_of_ppm(ppm: bytes) -> bytes:
    """A picture in the format that QEMU writes (PPM, three bytes a pixel) as PNG."""
    kind, columns, rows, depth, pixels = ppm.split(maxsplit=4)
    if kind != b'P6' or depth != b'255':
        raise ValueError(f'not a PPM picture of 8 bits: {ppm[:20]!r}')
    width, height = int(columns), int(rows)
    pixels = ppm[len(ppm) - 3 * width * height :]  # the first pixels may look like white space
    lines = b''.join(b'\0' + pixels[at : at + 3 * width] for at in range(0, len(pixels), 3 * width))
    header = struct.pack('>IIBBBBB', width, height, 8, 2, 0, 0, 0)  # 8 bits, colour, no interlace
    chunks = (_chunk(b'IHDR', header), _chunk(b'IDAT', zlib.compress(lines)), _chunk(b'IEND', b''))
    return b'\x89PNG\r\n\x1a\n' + b''.join(chunks)


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack('>I', len(data)) + kind + data + struct.pack('>I', zlib.crc32(kind + data))
