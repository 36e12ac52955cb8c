"""The framebuffer: memory whose words are the pixels of the screen, where the firmware set such a mode up.

    address --+-------------------------- width pixels --+---- not seen ----+
              | row 0                                    |                  |
              | ...                                      |                  |
              +------------------------------------------+------------------+ height rows, pitch pixels apart

Unit: the pixel, four bytes. Two formats exist, blue or red first: the console's colours are black and a grey, which are
the same in both. The kernel sees the framebuffer at layout.FRAMEBUFFER from its first line on: the pages are put into
the boot code's table of level 2, which has room, as huge ones and uncached. Config `modern` maps the same addresses
anew (vmm/init/modern.py). Knows nothing of letters.
"""

from typing import Final

from incroos.kernel.arch.pte import CACHE_DISABLE, DATA, HUGE, HUGE_BYTES, PHYSICAL_END
from incroos.kernel.arch.pvh import find_module
from incroos.kernel.layout import BOOT_MAP_END, BOOT_TABLES, FRAMEBUFFER, FRAMEBUFFER_END, PAGE_BYTES
from incroos.kernel.state import Kernel
from incroos.lang import Machine, PhysAddr, Struct, VirtAddr, fill, kernel, store32, store64, u32, u64, word

MAGIC: Final = 0x4655_4249  # 'IBUF'
NR_FORMATS: Final = 2  # red first, blue first
MAX_PIXELS: Final = 1 << 16  # in a row, and rows
BYTES_PER_PIXEL: Final = 4

HUGE_TABLE: Final = BOOT_TABLES + 2 * PAGE_BYTES  # the boot code's table of level 2
UNCACHED_HUGE_PAGE: Final = DATA | HUGE | CACHE_DISABLE


class Description(Struct):
    """What the UEFI program says of the framebuffer, as the content of a module."""

    magic: u32
    format: u32
    address: PhysAddr
    nbytes: u64
    width: u32
    height: u32
    pitch: u32
    reserved: u32


@kernel
def find(k: Kernel, start_info: PhysAddr) -> bool:
    """Take over what the loader says of a framebuffer; whether there is one that can be used."""
    content = find_module(k, start_info, Description.SIZE)
    if content == 0:
        return False
    found = Description(k.m, VirtAddr(k.config.image_window + content))
    if found.magic != MAGIC or not is_usable(found):
        return False
    k.screen.framebuffer = found.address
    k.screen.nbytes = found.pitch * found.height * BYTES_PER_PIXEL
    k.screen.width = found.width
    k.screen.height = found.height
    k.screen.pitch = found.pitch
    return True


@kernel
def is_usable(found: Description) -> bool:
    """Whether the numbers fit each other, and the framebuffer fits the addresses where the kernel will see it."""
    if found.format >= NR_FORMATS or found.pitch >= MAX_PIXELS or found.height >= MAX_PIXELS:
        return False
    nbytes = found.pitch * found.height * BYTES_PER_PIXEL
    if found.width > found.pitch or not nbytes <= found.nbytes <= PHYSICAL_END:
        return False
    if found.address % BYTES_PER_PIXEL != 0 or not BOOT_MAP_END <= found.address <= PHYSICAL_END - found.nbytes:
        return False
    return found.address % HUGE_BYTES + nbytes <= FRAMEBUFFER_END - FRAMEBUFFER


@kernel
def map_early(k: Kernel) -> None:
    """Map all huge pages round the framebuffer by the boot code's table, where there was nothing: no flush."""
    start = k.screen.framebuffer & -HUGE_BYTES
    nr_pages = (k.screen.framebuffer + k.screen.nbytes - start + HUGE_BYTES - 1) // HUGE_BYTES
    for index in range(nr_pages):
        slot = VirtAddr(HUGE_TABLE + 8 * (FRAMEBUFFER // HUGE_BYTES + index))
        store64(k.m, slot, start + index * HUGE_BYTES | UNCACHED_HUGE_PAGE)


@kernel
def find_frames(k: Kernel) -> tuple[VirtAddr, PhysAddr, word]:
    """The frames that the framebuffer touches: where the kernel sees them, where they are, and their bytes."""
    start = k.screen.framebuffer & -PAGE_BYTES
    end = k.screen.framebuffer + k.screen.nbytes + PAGE_BYTES - 1 & -PAGE_BYTES
    return VirtAddr(first_page(k) + start % HUGE_BYTES), PhysAddr(start), end - start


@kernel
def first_page(k: Kernel) -> VirtAddr:
    """Where the kernel sees the huge block of memory that the framebuffer starts in."""
    return VirtAddr(k.config.image_window + FRAMEBUFFER)


@kernel
def pixel_at(k: Kernel, x: word, y: word) -> VirtAddr:
    """The address of a pixel."""
    offset = (y * k.screen.pitch + x) * BYTES_PER_PIXEL
    return VirtAddr(first_page(k) + k.screen.framebuffer % HUGE_BYTES + offset)


@kernel
def clear(k: Kernel) -> None:
    """Make all that is seen black."""
    for y in range(k.screen.height):
        fill(k.m, pixel_at(k, 0, y), 0, k.screen.width * BYTES_PER_PIXEL)


@kernel
def put_dots(m: Machine, start: VirtAddr, dots: word, width: word, colour: word) -> None:
    """Draw the eight bits of dots from start on in a row, the highest first, each `width` pixels wide."""
    at = start
    for bit in range(7, -1, -1):
        pixel = colour if dots >> bit & 1 != 0 else 0
        for _ in range(width):
            store32(m, at, pixel)
            at = VirtAddr(at + BYTES_PER_PIXEL)
