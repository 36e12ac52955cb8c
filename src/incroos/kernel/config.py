"""What a build of the kernel chooses. Each field is a constant to the front end; the code it excludes is dropped."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from incroos.kernel.layout import (
    ALLOCATOR_BYTES,
    FRAME_METADATA,
    FRAME_RECORDS,
    HEAP,
    HEAP_INITIAL_BYTES,
    HEAP_MAX_BYTES,
    SLAB_RECORDS,
    SLABS,
    VMALLOC,
    VMALLOC_BYTES,
)
from incroos.lang import Config, ConfigError, word

if TYPE_CHECKING:
    from incroos.kernel.pmm.designs import FrameAllocator, FrameStock

# table_access: how the kernel reaches page tables (vmm/windows.py)
IDENTITY: Final = 0
DIRECT_MAP: Final = 1
RECURSIVE: Final = 2
FIXMAP: Final = 3

# space: how addresses are laid out
CLASSIC_SPACE: Final = 0  # the boot code's tables, which map memory at its own address, grown over the zone
MODERN_SPACE: Final = 1  # tables of the kernel's own: image in the higher half, a direct map of all RAM
HOSTED_SPACE: Final = 2  # no kernel, but a heap in a process of an operating system, which has the pages (hosted/)


ALL_PCIDS: Final = (1 << 12) - 1
FOUR_LEVELS: Final = 4  # of page tables; what every processor has

# heap_design: who serves kmalloc (heap/)
FIRST_FIT: Final = 0  # chunks, the first that fits
SIZE_CLASSES: Final = 1  # slabs for small requests, chunks by best fit for others, vmalloc for large ones
CHUNKS: Final = 2  # chunks by best fit for all
SLABS_AND_PAGES: Final = 3  # slabs for small requests, whole pages for all others

# hardening: what the heap does against its users' mistakes, at which price (docs/heap-hardening.md)
NO_HARDENING: Final = 0
CHEAP: Final = 1  # headers are sealed, links masked and checked: damage ends in a panic before it spreads
FULL: Final = 2  # also tags, red zones, poison, quarantine, random places: a user's mistake is found and named

NR_QUARANTINED: Final = 256  # places in the heap's quarantine


@dataclass(frozen=True)
class KernelConfig(Config):
    """The choices. A switch is 0 or 1. A window is the address at which physical address 0 would be seen through it."""

    frames: 'FrameAllocator'  # who holds the free frames in configurations that manage all of RAM (pmm/designs.py)
    stock: 'FrameStock'  # who has the frames: two bitmaps, or blocks of all of RAM
    fault_injection: word = 0  # count the requests for frames and refuse the one that FrameState.refuse_at names
    poison: word = 0  # fill freed frames and freed heap blocks with a byte that nobody takes for data
    table_access: word = IDENTITY
    levels: word = FOUR_LEVELS  # of page tables; of 5 one is left out where the processor has four
    nr_pcids: word = 0  # so many address spaces besides the first does the TLB tell apart; 0: none
    flush_threshold: word = 32  # so many pages are flushed one by one, more with all others
    counters: word = 0  # count what frames were asked for and given back, and flushes
    space: word = CLASSIC_SPACE
    embedded: word = 0  # a library in somebody's kernel: no device is ours, text goes to hooks, what is mapped stays
    image_window: word = 0  # the window on the first 2 MiB, where image, stack, state and screen are
    frame_window: word = 0  # the window on frames and page tables: the direct map in `modern`
    frame_records: word = FRAME_RECORDS  # where ranges start, in `modern`
    frame_metadata: word = FRAME_METADATA
    vmalloc: word = VMALLOC
    vmalloc_max_bytes: word = VMALLOC_BYTES
    heap_design: word = FIRST_FIT
    heap: word = HEAP
    heap_initial_bytes: word = HEAP_INITIAL_BYTES
    heap_max_bytes: word = HEAP_MAX_BYTES
    slab_records: word = SLAB_RECORDS
    slabs: word = SLABS
    constructors: word = 0  # caches may have C functions that construct objects: for code that runs beside C
    hardening: word = CHEAP
    slab_bytes: word = 1024  # requests up to so many bytes have a size class; above 1,024 they wait until it pays
    magazines: word = 1  # of slabs, requests get first what came back last; never with FULL, which draws places
    spare_bytes: word = 0  # of frames that the heap keeps for its next requests, and a part of what is in use
    call_sites: word = 0  # each block tells who asked for it, also where hardening is less than FULL
    heap_seed: word = 0x5EED_1E55_0B57_AC1E  # of the secret in seals and masks, and of random places
    quarantine_blocks: word = NR_QUARANTINED  # so many freed blocks wait in FULL, at most NR_QUARANTINED
    quarantine_bytes: word = 1 << 18  # that they have at most, together

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.frames.STATE_BYTES > ALLOCATOR_BYTES:
            raise ConfigError(
                f'{self.frames}: its state takes {self.frames.STATE_BYTES} bytes, and a zone has {ALLOCATOR_BYTES} '
                'for it: keep the rest in metadata_bytes of memory'
            )
        if self.space != HOSTED_SPACE and self.space != self.stock.SPACE:
            raise ConfigError(
                f'{self.stock} goes with space {self.stock.SPACE}, not {self.space}: name the stock of that space'
            )
