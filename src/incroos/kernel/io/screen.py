"""The screen without VGA text: 80 columns and 25 rows of letters on a framebuffer, as large as they fit, in its middle.

Unit: the cell. What is seen is kept in the Kernel struct: a cell is drawn when its character changes, and nothing is
ever read from the framebuffer, which is slow. Knows nothing of lines and cursors, which are the console's.
"""

from typing import Final

from incroos.kernel.io import framebuffer
from incroos.kernel.io.glyphs import COLUMNS, FIRST, FONT, OTHER, ROWS
from incroos.kernel.layout import TEXT_COLUMNS, TEXT_ROWS
from incroos.kernel.state import Kernel
from incroos.lang import PhysAddr, fill, kernel, word

# SCREEN-1  framebuffer is 0, or the pixels of each cell are those of its character

NR_CELLS: Final = TEXT_COLUMNS * TEXT_ROWS
MIN_WIDTH: Final = TEXT_COLUMNS * COLUMNS
MIN_HEIGHT: Final = TEXT_ROWS * ROWS
BLANK: Final = 32
LIGHT_GREY: Final = 0xAA_AAAA  # the colour of VGA text


@kernel
def init(k: Kernel, start_info: PhysAddr) -> None:
    """Clear the screen on the framebuffer that the loader names, if it names one and 80 columns fit."""
    k.screen.framebuffer = PhysAddr(0)
    k.screen.nbytes = 0
    k.screen.width = 0
    k.screen.height = 0
    k.screen.pitch = 0
    k.screen.scale = 0
    k.screen.is_drawing = 0
    fill(k.m, k.screen.cells.addr, BLANK, NR_CELLS)
    if not framebuffer.find(k, start_info):
        return
    k.screen.scale = min(k.screen.width // MIN_WIDTH, k.screen.height // MIN_HEIGHT)
    if k.screen.scale == 0:
        k.screen.framebuffer = PhysAddr(0)
        return
    framebuffer.map_early(k)
    framebuffer.clear(k)


@kernel
def is_there(k: Kernel) -> bool:
    """Whether text is seen on a framebuffer."""
    return k.screen.framebuffer != 0


@kernel
def put_cell(k: Kernel, cell: word, char: word) -> None:
    """Show a character in a cell. Cells count from the left, row by row.

    A fault while drawing ends in a panic, which prints: then the screen is given up, so that the serial port can say
    what happened.
    """
    if k.screen.is_drawing != 0:
        k.screen.framebuffer = PhysAddr(0)
        return
    if k.screen.cells[cell] == char:
        return
    k.screen.cells[cell] = char
    k.screen.is_drawing = 1
    draw(k, cell, char)
    k.screen.is_drawing = 0


@kernel
def draw(k: Kernel, cell: word, char: word) -> None:
    """Draw a character's letter in a cell."""
    scale = k.screen.scale
    left = (k.screen.width - MIN_WIDTH * scale) // 2 + cell % TEXT_COLUMNS * COLUMNS * scale
    top = (k.screen.height - MIN_HEIGHT * scale) // 2 + cell // TEXT_COLUMNS * ROWS * scale
    glyph = char - FIRST if FIRST <= char < FIRST + OTHER else OTHER
    for y in range(ROWS * scale):
        dots = FONT[glyph * ROWS + y // scale]
        framebuffer.put_dots(k.m, framebuffer.pixel_at(k, left, top + y), dots, scale, LIGHT_GREY)


@kernel
def scroll(k: Kernel) -> None:
    """Move all rows up by one; the last one becomes blank."""
    for cell in range(NR_CELLS - TEXT_COLUMNS):
        put_cell(k, cell, k.screen.cells[cell + TEXT_COLUMNS])
    for cell in range(NR_CELLS - TEXT_COLUMNS, NR_CELLS):
        put_cell(k, cell, BLANK)
