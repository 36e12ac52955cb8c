"""What should be seen on a framebuffer, and what is: pictures made from the drawings of the letters, and compared.

A picture is a list of rows, each the bytes of the pixels that are seen. It is made without the kernel's console, from
the text that went out of the serial port.
"""

from typing import Final

from incroos.kernel.io.glyphs import DRAWINGS
from incroos.run.framebuffer import Framebuffer

NR_COLUMNS: Final = 80
NR_ROWS: Final = 25
WIDTH: Final = 8
HEIGHT: Final = 16
GREY: Final = b'\xaa\xaa\xaa\x00'
BLACK: Final = bytes(4)
UNKNOWN: Final = chr(127)


def drawn_letters() -> dict[str, list[str]]:
    """The sixteen rows of each letter, as they are drawn; behind the last one, the box for all that is no letter."""
    letters: dict[str, list[str]] = {}
    for band in DRAWINGS:
        lines = band.split()
        per_row = next(n for n in range(1, len(lines)) if len(lines) % n == 0 and len(lines) // n == HEIGHT - 2)
        for column in range(per_row):
            name = chr(ord(' ') + len(letters))
            letters[name] = ['.' * WIDTH, *lines[column::per_row], '.' * WIDTH]
    return letters


LETTERS: Final = drawn_letters()


def seen_rows(text: bytes) -> list[str]:
    """The rows of the screen when the text was put: what a typewriter does, and the last 25 rows of it."""
    rows = ['']
    for byte in text:
        if byte == ord('\n'):
            rows.append('')
            continue
        rows[-1] += chr(byte)
        if len(rows[-1]) == NR_COLUMNS:
            rows.append('')
    return [row.ljust(NR_COLUMNS) for row in rows[-NR_ROWS:]] + [' ' * NR_COLUMNS] * (NR_ROWS - len(rows))


def picture_of(text: bytes, width: int, height: int) -> list[bytes]:
    """The picture that the text should make: letters as large as they fit, in the middle, light grey on black."""
    scale = min(width // (NR_COLUMNS * WIDTH), height // (NR_ROWS * HEIGHT))
    assert scale > 0
    left = (width - NR_COLUMNS * WIDTH * scale) // 2
    above = (height - NR_ROWS * HEIGHT * scale) // 2
    picture = [BLACK * width] * above
    for row in seen_rows(text):
        for line in range(HEIGHT):
            dots = ''.join(LETTERS.get(char, LETTERS[UNKNOWN])[line] for char in row)
            pixels = b''.join((GREY if dot == '#' else BLACK) * scale for dot in dots)
            picture += [(BLACK * left + pixels).ljust(width * 4, b'\0')] * scale
    return picture + [BLACK * width] * (height - len(picture))


def picture_in(pixels: bytes, framebuffer: Framebuffer) -> list[bytes]:
    """What is seen of a framebuffer's bytes."""
    step = framebuffer.pitch * 4
    return [pixels[start : start + framebuffer.width * 4] for start in range(0, step * framebuffer.height, step)]


def picture_of_ppm(ppm: bytes) -> list[bytes]:
    """The picture in a file in the format that QEMU writes, three bytes a pixel."""
    width, height = map(int, ppm.split(maxsplit=3)[1:3])
    pixels = ppm[len(ppm) - 3 * width * height :]
    rows = (pixels[at : at + 3 * width] for at in range(0, len(pixels), 3 * width))
    return [b''.join(row[at : at + 3] + b'\0' for at in range(0, len(row), 3)) for row in rows]
