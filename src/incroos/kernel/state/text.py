"""What the console, the screen and the hooks keep."""

from typing import Annotated, Final

from incroos.kernel.layout import TEXT_COLUMNS, TEXT_ROWS
from incroos.lang import Array, PhysAddr, Struct, VirtAddr, u8, u32, u64

NR_ESCAPE_NUMBERS: Final = 2  # of a control sequence, that are kept
HOOK_TEXT_BYTES: Final = 160  # a line of text, or what a panic is about


class ConsoleState(Struct):
    """Owner: console."""

    row: u32  # of the cursor on the screen
    column: u32
    nr_panics: u64  # panics so far; the second one ends the machine without a word
    escape: u32  # how much of a control sequence has come (io/vt100.py)
    nr_numbers: u32  # in it
    numbers: Annotated[Array[u32], NR_ESCAPE_NUMBERS]


class Hooks(Struct):
    """C functions of the kernel that the library is linked into; 0 where there is none. Owner: hooks."""

    context: VirtAddr  # the first argument of each; its meaning is the hooks' own
    write: VirtAddr  # text, its bytes
    panic: VirtAddr  # a PanicReport; does not return
    lock: VirtAddr  # before each call that changes or reads the Kernel struct; what it returns is handed to
    unlock: VirtAddr  # after the call


class PanicReport(Struct):
    """What a panic says: where in the kernel and about what, and three words. Owner: hooks."""

    text: VirtAddr  # ends with a 0
    nbytes: u64  # of it, without the 0
    a: u64
    b: u64
    c: u64


class HookState(Struct):
    """Where config.embedded is set. Owner: hooks, and library for the stage."""

    stage: u64  # how far the start has come
    window: VirtAddr  # where the kernel saw physical address 0 at the start
    has_direct_map: u64  # 1: there it had memory mapped where the library's direct map is
    hooks: Hooks
    report: PanicReport
    panicking: u64  # the number of the processor that is in the panic hook, and 1 more; 0: none is
    nr_waiting: u64  # characters in `text` that were not handed to the hook yet
    text: Annotated[Array[u8], HOOK_TEXT_BYTES]
    site: Annotated[Array[u8], HOOK_TEXT_BYTES]  # the report's text, which the hook keeps whatever it has written


class ScreenState(Struct):
    """A framebuffer with text on it, four bytes a pixel. Owner: screen."""

    framebuffer: PhysAddr  # 0: there is none, and the other fields mean nothing
    nbytes: u64  # from the first pixel to the end of the last row
    width: u32  # pixels of a row that are seen
    height: u32  # rows
    pitch: u32  # pixels from one row to the next
    scale: u32  # pixels that a letter's dot is wide and high
    is_drawing: u64
    cells: Annotated[Array[u8], TEXT_COLUMNS * TEXT_ROWS]  # the characters that are seen
