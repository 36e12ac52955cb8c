"""What a build of the kernel chooses. Each field is a constant to the front end; the code it excludes is dropped."""

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Final

from incroos.kernel.layout import (
    ALLOCATOR_BYTES,
    DIRECT_MAP_END,
    FRAME_METADATA,
    FRAME_METADATA_BYTES,
    FRAME_RECORDS,
    FRAME_RECORDS_BYTES,
    HEAP,
    HEAP_INITIAL_BYTES,
    HEAP_MAX_BYTES,
    MODERN_END,
    PAGE_BYTES,
    SLAB_RECORDS,
    SLABS,
    VMALLOC,
    VMALLOC_BYTES,
)
from incroos.lang import Config, ConfigError, word

if TYPE_CHECKING:
    from incroos.kernel.heap.designs import DamageReport, HeapDesign, HeapPages, HeapText
    from incroos.kernel.pmm.designs import FrameAllocator, FrameStock

# table_access: how the kernel reaches page tables (vmm/windows.py)
IDENTITY: Final = 0
DIRECT_MAP: Final = 1
RECURSIVE: Final = 2
FIXMAP: Final = 3

# space: how addresses are laid out
CLASSIC_SPACE: Final = 0  # the boot code's tables, which map memory at its own address, grown over the zone
MODERN_SPACE: Final = 1  # tables of the kernel's own: image in the higher half, a direct map of all RAM


SWITCHES: Final = ('fault_injection', 'poison', 'counters', 'embedded', 'constructors', 'magazines', 'call_sites')

ALL_PCIDS: Final = (1 << 12) - 1
FOUR_LEVELS: Final = 4  # of page tables; what every processor has

# hardening: what the heap does against its users' mistakes, at which price (docs/heap-hardening.md)
NO_HARDENING: Final = 0
CHEAP: Final = 1  # headers are sealed, links masked and checked: damage ends in a panic before it spreads
FULL: Final = 2  # also tags, red zones, poison, quarantine, random places: a user's mistake is found and named

NR_QUARANTINED: Final = 256  # places in the heap's quarantine
STARTS: Final = ('frame_records', 'frame_metadata', 'vmalloc', 'heap', 'slab_records', 'slabs')  # fields of ranges
SLAB_RECORD_BYTES: Final = 64
HEAP_STATE_BYTES: Final = 23_000  # that a heap's design has for its state
MOST_HEAP_BYTES: Final = 1 << 40  # of a range: the header of a chunk has 40 bits for its bytes
MOST_SLAB_BYTES: Final = 4096  # of a size class


@dataclass(frozen=True)
class KernelConfig(Config):
    """The choices. A switch is 0 or 1. A window is the address at which physical address 0 would be seen through it."""

    frames: 'FrameAllocator'  # who holds the free frames in configurations that manage all of RAM (pmm/designs.py)
    stock: 'FrameStock'  # who has the frames: two bitmaps, or blocks of all of RAM
    objects: 'HeapDesign'  # who serves kmalloc: a module in heap/, or load_design(path)
    pages: 'HeapPages'  # where the heap gets pages from
    text: 'HeapText'  # where the heap's reports go
    damage: 'DamageReport'  # what is said about damage to the heap
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
    heap: word = HEAP
    heap_initial_bytes: word = HEAP_INITIAL_BYTES
    heap_max_bytes: word = HEAP_MAX_BYTES
    slab_records: word = SLAB_RECORDS
    slabs: word = SLABS
    constructors: word = 0  # caches may have C functions that construct objects: for code that runs beside C
    hardening: word = CHEAP
    slab_bytes: word = 1024  # requests up to so many bytes have a size class; above 1,024 they wait until it pays
    empty_slabs: word = 2  # that a size class keeps, before it gives their pages back
    magazines: word = 1  # of slabs, requests get first what came back last; never with FULL, which draws places
    spare_bytes: word = 0  # of frames that the heap keeps for its next requests, and a part of what is in use
    call_sites: word = 0  # each block tells who asked for it, also where hardening is less than FULL
    heap_seed: word = 0x5EED_1E55_0B57_AC1E  # of the secret in seals and masks, and of random places
    quarantine_blocks: word = NR_QUARANTINED  # so many freed blocks wait in FULL, at most NR_QUARANTINED
    quarantine_bytes: word = 1 << 18  # that they have at most, together

    def __post_init__(self) -> None:
        """Refuse what no build can be."""
        super().__post_init__()
        for name, value in vars(self).items():
            if isinstance(value, int):
                require(-(1 << 63) <= value < 1 << 63, f'{name}={value:#x}: it is no word')
        for name in SWITCHES:
            require(getattr(self, name) in (0, 1), f'{name}={getattr(self, name)}: a switch is 0 or 1')
        self.check_space()
        self.check_heap()
        if self.space == MODERN_SPACE:
            self.check_ranges()
        self.check_frames()

    def check_frames(self) -> None:
        """Refuse allocators with too much state, and a stock of another space."""
        require(
            self.frames.STATE_BYTES <= ALLOCATOR_BYTES,
            f'frames: {file_of(self.frames)} has {self.frames.STATE_BYTES} bytes of state, and a zone has '
            f'{ALLOCATOR_BYTES}: keep the rest in metadata_bytes of memory',
        )
        if self.pages.HAS_FRAMES:
            require(
                self.space == self.stock.SPACE,
                f'stock: {file_of(self.stock)} goes with space {self.stock.SPACE}, not {self.space}: '
                'name the stock of that space',
            )

    def check_space(self) -> None:
        """Refuse spaces, and ways to page tables, that do not go together."""
        require(self.space in (CLASSIC_SPACE, MODERN_SPACE), f'space={self.space}: name CLASSIC_SPACE or MODERN_SPACE')
        require(IDENTITY <= self.table_access <= FIXMAP, f'table_access={self.table_access}: name one of config.py')
        require(self.levels in (4, 5), f'levels={self.levels}: page tables have four or five')
        require(
            0 <= self.nr_pcids <= ALL_PCIDS, f'nr_pcids={self.nr_pcids}: a processor has {ALL_PCIDS} besides the first'
        )
        require(self.flush_threshold >= 0, f'flush_threshold={self.flush_threshold}: it is a number of pages')
        if self.space == CLASSIC_SPACE:
            require(self.table_access != DIRECT_MAP, 'table_access=DIRECT_MAP: the space classic has no direct map')
            require(self.nr_pcids == 0, 'nr_pcids: the space classic is the only one, and has no PCIDs')
            windows = self.image_window | self.frame_window
            require(windows == 0, 'image_window and frame_window: in the space classic memory is at its own address')
        else:
            require(self.table_access != IDENTITY, 'table_access=IDENTITY: the space modern has no identity map')
            require(self.frame_window != 0, 'frame_window=0: the space modern sees frames through its direct map')
        require(
            self.embedded == 0 or self.table_access in (IDENTITY, DIRECT_MAP),
            f'table_access={self.table_access}: a library reaches tables by identity or through the direct map',
        )

    def check_ranges(self) -> None:
        """Refuse ranges of the upper half that overlap."""
        nbytes = dict.fromkeys(STARTS, self.heap_max_bytes)
        nbytes |= {'frame_records': FRAME_RECORDS_BYTES, 'frame_metadata': FRAME_METADATA_BYTES}
        nbytes['vmalloc'] = self.vmalloc_max_bytes
        nbytes['slab_records'] = self.heap_max_bytes // PAGE_BYTES * SLAB_RECORD_BYTES
        order = sorted(STARTS, key=lambda name: getattr(self, name))
        for name, following in pairwise(order):
            end = getattr(self, name) + nbytes[name]
            require(
                end <= getattr(self, following),
                f'{following}={getattr(self, following):#x}: it lies in the range of {name}, which ends at {end:#x}',
            )
        require(getattr(self, order[0]) >= DIRECT_MAP_END, f'{order[0]}: the direct map ends at {DIRECT_MAP_END:#x}')
        last = getattr(self, order[-1]) + nbytes[order[-1]]
        require(last <= MODERN_END, f'{order[-1]}: it ends at {last:#x}, beyond {MODERN_END:#x}')

    def check_heap(self) -> None:
        """Refuse heaps that cannot be."""
        name = file_of(self.objects)
        require(
            self.objects.STATE_BYTES <= HEAP_STATE_BYTES,
            f'objects: {name} has {self.objects.STATE_BYTES} bytes of state, at most {HEAP_STATE_BYTES} can be had',
        )
        if self.pages.HAS_FRAMES and self.objects.NEEDS_MODERN_SPACE:
            require(self.space == MODERN_SPACE, f'objects: the design {name} has its ranges in the space modern')
        require(NO_HARDENING <= self.hardening <= FULL, f'hardening={self.hardening}: name NO_HARDENING, CHEAP or FULL')
        for field in (*STARTS, 'heap_initial_bytes', 'heap_max_bytes', 'vmalloc_max_bytes'):
            value = getattr(self, field)
            require(value % PAGE_BYTES == 0, f'{field}={value:#x}: give it a multiple of {PAGE_BYTES}')
        require(
            0 <= self.heap_initial_bytes <= self.heap_max_bytes <= MOST_HEAP_BYTES,
            f'heap_max_bytes={self.heap_max_bytes:#x}: from heap_initial_bytes up to {MOST_HEAP_BYTES:#x}',
        )
        require(
            0 < self.slab_bytes <= MOST_SLAB_BYTES and self.slab_bytes % 16 == 0,
            f'slab_bytes={self.slab_bytes}: give it a multiple of 16 up to {MOST_SLAB_BYTES}',
        )
        require(
            0 <= self.quarantine_blocks <= NR_QUARANTINED,
            f'quarantine_blocks={self.quarantine_blocks}: the quarantine has {NR_QUARANTINED} places',
        )
        for field in ('spare_bytes', 'quarantine_bytes', 'empty_slabs'):
            require(getattr(self, field) >= 0, f'{field}={getattr(self, field)}: it is never negative')


def file_of(design: object) -> str:
    """The name of the file that a design is in, for a sentence about it."""
    return str(getattr(design, '__file__', design)).rpartition('/')[2]


def require(holds: bool, sentence: str) -> None:
    """Refuse a configuration with a sentence unless the condition holds."""
    if not holds:
        raise ConfigError(f'KernelConfig: {sentence}')
