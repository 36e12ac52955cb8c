"""The memory map, the same in every place where the kernel runs: physical, and in config `classic` virtual as well.

    0x0000_0000  real-mode vectors, BIOS data      never touched
    0x0000_1000  PML4, PDPT, PD, PT                built by the boot code: the first 2 MiB, identity, 4 KiB pages
    0x0000_5000  another PDPT, PML5                the same, where the configuration wants them
    0x0000_7000  reserved
    0x0001_0000  boot pool                         the part of it that is RAM; page tables first of all
    0x000B_8000  VGA text memory                   80 columns, 25 rows
    0x0010_0000  kernel image                      text R-X, rodata R--, data RW-
    0x001C_0000  mailbox                           operations from the host, RW-
    0x001D_0000  guard page                        not present: a stack that grows too far faults
    0x001D_1000  stack                             grows down from 0x1E_0000
    0x001E_0000  Kernel struct                     all state (state/)
    0x0020_0000  zone                              8,192 managed frames, the part of them that is RAM
    0x1000_0000  kernel heap (virtual)             1 MiB, grows to 16 MiB
    0x3000_0000  framebuffer (virtual)             where the loader names one; mapped by the kernel itself

Virtual addresses of config `modern`, each range under entries of the root table that nothing else uses. Starts are
fields of the configuration, ends follow from how much RAM there is (vmm/init/kernel_half.py):

    0xFFFF_8000_0000_0000  direct map     all RAM but frame 0 and the stack's guards, each byte at this plus its address
    0xFFFF_C000_0000_0000  end of it
    0xFFFF_F800_0000_0000  frame records  16 bytes for each frame, mapped where there is RAM
    0xFFFF_F880_0000_0000  frame metadata which frames are free
    0xFFFF_F900_0000_0000  vmalloc        ranges that are mapped page by page
    0xFFFF_FC00_0000_0000  recursive slot where the build reaches tables by it, with four levels
    0xFFFF_FC80_0000_0000  kernel heap    chunks; grows to 1 TiB, as far as there is RAM
    0xFFFF_FD80_0000_0000  slab records   64 bytes for each page of the slabs
    0xFFFF_FE00_0000_0000  slabs          objects of the small size classes and of caches; as far as chunks
    0xFFFF_FF00_0000_0000  end of these           in a library, all else is its kernel's
    0xFFFF_FFFF_8000_0000  image window   screen, image, mailbox, stack and Kernel struct, at this plus their address
    0xFFFF_FFFF_B000_0000  framebuffer    at this plus its address in `classic`

Unit: the byte. Ranges are half-open: the name that ends in END is the first address behind.
"""

from typing import Final

PAGE_SHIFT: Final = 12
PAGE_BYTES: Final = 1 << PAGE_SHIFT

BOOT_TABLES: Final = 0x1000
BOOT_UPPER_PDPT: Final = 0x5000  # of a kernel in the upper half
BOOT_PML5: Final = 0x6000
BOOT_TABLES_END: Final = 0x7000
BOOT_MAP_END: Final = 0x20_0000  # the boot code maps what lies below

POOL_START: Final = 0x1_0000
POOL_END: Final = 0x10_0000

VGA_TEXT: Final = 0xB_8000
TEXT_COLUMNS: Final = 80  # of the screen, whatever shows it
TEXT_ROWS: Final = 25

IMAGE_START: Final = 0x10_0000
IMAGE_END: Final = 0x1C_0000
MAILBOX: Final = 0x1C_0000
MAILBOX_END: Final = 0x1D_0000
STACK_GUARD: Final = 0x1D_0000
STACK_START: Final = 0x1D_1000
STACK_END: Final = 0x1E_0000
MODERN_STACK_END: Final = 0x1D_F000  # in `modern` a second guard page lies between stack and Kernel struct
KERNEL_STATE: Final = 0x1E_0000
KERNEL_STATE_END: Final = 0x20_0000

ZONE_START: Final = 0x20_0000
ZONE_FRAMES: Final = 8192
ZONE_END: Final = ZONE_START + ZONE_FRAMES * PAGE_BYTES
NR_TRACKED_FRAMES: Final = ZONE_END // PAGE_BYTES  # frames from address 0 that have a record

ALLOCATOR_BYTES: Final = 512  # in each zone of `modern`, for the state of the design that has its free frames

HEAP: Final = 0x1000_0000
HEAP_INITIAL_BYTES: Final = 1 << 20
HEAP_MAX_BYTES: Final = 16 << 20

FRAMEBUFFER: Final = 0x3000_0000  # a huge page on the boot code's table of level 2, and those behind it
FRAMEBUFFER_END: Final = 0x4000_0000

DIRECT_MAP_START: Final = -1 << 47
DIRECT_MAP_END: Final = DIRECT_MAP_START + (1 << 46)  # at most
FRAME_RECORDS: Final = -0x800 << 32
FRAME_RECORDS_BYTES: Final = 0x80 << 32  # at most
FRAME_METADATA: Final = -0x780 << 32
FRAME_METADATA_BYTES: Final = 0x80 << 32  # at most
VMALLOC: Final = -0x700 << 32
VMALLOC_BYTES: Final = 0x300 << 32  # at most
VMALLOC_END: Final = VMALLOC + VMALLOC_BYTES
MODERN_HEAP: Final = -0x380 << 32
MODERN_HEAP_MAX_BYTES: Final = 1 << 40  # of chunks, and of slabs: a chunk's header has 40 bits for its bytes
SLAB_RECORDS: Final = -0x280 << 32
SLABS: Final = -0x200 << 32
MODERN_END: Final = -0x100 << 32
FIRST_PIECE_END: Final = 1 << 30  # the largest piece of RAM below it is mapped first, and holds the tables of the rest
IMAGE_WINDOW: Final = -2 << 30
