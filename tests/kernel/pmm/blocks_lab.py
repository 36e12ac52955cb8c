"""Blocks of frames without a kernel round them: the metadata and the records of some RAM, interpreted or compiled.

The RAM itself does not exist; nothing here may touch it. Interpreted, the memory is strict: it knows of each byte
whether it was written, and holds records only where there is RAM. Compiled, it is a mapping of this process.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache
from types import ModuleType
from typing import Any, Final

from incroos.kernel.config import KernelConfig
from incroos.kernel.configs import CLASSIC
from incroos.kernel.pmm.all import blocks, buddy, frame_database, frame_ranges
from incroos.kernel.pmm.all.frame_database import HUGE_FRAMES
from incroos.kernel.pmm.tree import tree
from incroos.kernel.state import FrameRecord, Frames, Zone
from incroos.lang import Machine, VirtAddr, kernel, word
from incroos.lang.words import signed
from incroos.machine.host import HostMemory
from tests.lang.compiled import Compiled, compiled

Pieces = Sequence[tuple[int, int]]  # of RAM: [start, end) in PFNs, ascending, apart

ALLOCATORS: Final[dict[str, ModuleType]] = {'tree': tree, 'buddy': buddy}
BOOKS: Final = 1 << 40
RECORDS: Final = 1 << 41
PAGE_BYTES: Final = 1 << 12
MIDDLE: Final = 1 << 8  # where the zones begin
HIGH: Final = 1 << 20
MAX_ORDER: Final = 18

SMALL: Final = ((1, 0x9F), (0x100, 0x333), (0x5FE, 0x902))  # two zones, with holes
HUGE_BLOCKS: Final = (
    (0x10, 0x30),
    (0x400, 0x1C01),
    (HIGH - 0x433, HIGH + 0x1234),
)  # three zones, one piece over an edge
GIANT: Final = ((0, 0x9F), (0x100, 0xC_0000), (HIGH, HIGH + 0x7_8123))  # a hole below 4 GiB and blocks of 1 GiB
LAYOUTS: Final = {'small': SMALL, 'huge': HUGE_BLOCKS, 'giant': GIANT}


def config_of(allocator: str) -> KernelConfig:
    """The configuration with the allocator of that name."""
    return replace(CLASSIC, frames=ALLOCATORS[allocator])


class StrictMemory(Machine):
    """Bytes that nobody wrote cannot be read, and nothing outside the ranges can be touched."""

    def __init__(self, config: object, ranges: Sequence[range]) -> None:
        self.config, self.ranges = config, ranges
        self.pages: dict[int, tuple[bytearray, bytearray]] = {}  # content, and a 1 for each byte that was written

    def page_at(self, addr: int) -> tuple[bytearray, bytearray]:
        """The page round an address."""
        number = addr // PAGE_BYTES
        if number not in self.pages:
            self.pages[number] = bytearray(PAGE_BYTES), bytearray(PAGE_BYTES)
        return self.pages[number]

    def check(self, addr: int, nbytes: int) -> None:
        """Refuse what is not there."""
        if not any(addr in there and addr + nbytes <= there.stop for there in self.ranges):
            raise IndexError(f'{nbytes} bytes at {addr:#x} are not there')

    def load(self, addr: int, nbytes: int) -> int:
        self.check(addr, nbytes)
        content, written = self.page_at(addr)
        at = addr % PAGE_BYTES
        if addr % nbytes or 0 in written[at : at + nbytes]:
            raise IndexError(f'{nbytes} bytes at {addr:#x} were not all written, or are not aligned')
        return int.from_bytes(content[at : at + nbytes], 'little')

    def store(self, addr: int, nbytes: int, value: int) -> None:
        self.check(addr, nbytes)
        if addr % nbytes:
            raise IndexError(f'{nbytes} bytes at {addr:#x} are not aligned')
        content, written = self.page_at(addr)
        at = addr % PAGE_BYTES
        content[at : at + nbytes] = value.to_bytes(nbytes, 'little')
        written[at : at + nbytes] = b'\1' * nbytes

    def fill(self, addr: VirtAddr, byte: word, nbytes: word) -> None:
        if nbytes:
            self.check(addr, nbytes)
        while nbytes:
            content, written = self.page_at(addr)
            at = addr % PAGE_BYTES
            part = min(nbytes, PAGE_BYTES - at)
            content[at : at + part] = bytes([byte]) * part
            written[at : at + part] = b'\1' * part
            addr, nbytes = VirtAddr(addr + part), nbytes - part

    def load8(self, addr: VirtAddr) -> word:
        return self.load(addr, 1)

    def load16(self, addr: VirtAddr) -> word:
        return self.load(addr, 2)

    def load32(self, addr: VirtAddr) -> word:
        return self.load(addr, 4)

    def load64(self, addr: VirtAddr) -> word:
        return signed(self.load(addr, 8))

    def store8(self, addr: VirtAddr, value: word) -> None:
        self.store(addr, 1, value)

    def store16(self, addr: VirtAddr, value: word) -> None:
        self.store(addr, 2, value)

    def store32(self, addr: VirtAddr, value: word) -> None:
        self.store(addr, 4, value)

    def store64(self, addr: VirtAddr, value: word) -> None:
        self.store(addr, 8, value % (1 << 64))


@kernel
def nr_free_blocks(frames: Frames, number: word, order: word) -> word:
    """Free blocks of a zone that are no part of a larger one."""
    zone = frames.zones[number]
    return zone.config.frames.nr_free_blocks(zone, order)


@kernel
def nr_used_frames(frames: Frames) -> word:
    """Frames in blocks that were handed out."""
    nr_used, _nr_kept = frame_database.count_frames(frames.database)
    return nr_used


FUNCTIONS: Final[dict[str, Callable[..., Any]]] = {
    function.__name__: function
    for function in (
        blocks.metadata_bytes,
        blocks.init,
        blocks.add_ram,
        blocks.alloc_frame,
        blocks.alloc_block,
        blocks.alloc_at,
        blocks.free_frame,
        blocks.free_block,
        blocks.get,
        blocks.put,
        blocks.drain,
        blocks.check,
        blocks.nr_total_frames,
        blocks.nr_free_frames,
        nr_free_blocks,
        nr_used_frames,
        frame_ranges.alloc_range,
        frame_ranges.free_range,
        frame_ranges.reserve_range,
        frame_ranges.release_range,
        frame_ranges.nr_reserved_frames_of,
        frame_ranges.alloc_contiguous,
    )
}


class Lab:
    """The metadata of some RAM; `call` runs a function of blocks on them."""

    def __init__(self, frames: Frames, run: Callable[..., int], records: int, pieces: Pieces) -> None:
        self.frames, self.run, self.pieces = frames, run, pieces
        self.nr_frames = pieces[-1][1]
        self.run('init', frames.addr, frames.addr + Frames.SIZE, records, self.nr_frames)
        for start, end in pieces:
            self.run('add_ram', frames.addr, start, end)

    def call(self, name: str, *words: int) -> int:
        """What the function answers."""
        return self.run(name, self.frames.addr, *words)

    def zone(self, number: int) -> Zone:
        """The view of a zone."""
        return self.frames.zones[number]

    def record(self, pfn: int) -> FrameRecord:
        """The view of a frame's record."""
        return frame_database.record_of(self.frames.database, pfn)

    def counts(self) -> tuple[int, int, int]:
        """Frames that are free, that were handed out, and that are reserved."""
        return self.call('nr_free_frames'), self.call('nr_used_frames'), self.frames.nr_reserved_frames

    def free_blocks(self) -> dict[tuple[int, int], int]:
        """How many free blocks each zone has of each order, if it has any."""
        found = {(zone, order): self.call('nr_free_blocks', zone, order) for zone in range(3) for order in range(19)}
        return {key: number for key, number in found.items() if number}


def interpreted(pieces: Pieces, allocator: str) -> Lab:
    """A lab in strict memory."""
    config = config_of(allocator)
    nr_frames = pieces[-1][1]
    huge_blocks = {first for start, end in pieces for first in range(start & -HUGE_FRAMES, end, HUGE_FRAMES)}
    records = [range(at, at + HUGE_FRAMES * 16) for at in (RECORDS + 16 * first for first in sorted(huge_blocks))]
    memory = StrictMemory(config, records)
    frames = Frames(memory, VirtAddr(BOOKS))
    nbytes = Frames.SIZE + blocks.metadata_bytes(frames, nr_frames)
    memory.ranges = [range(BOOKS, BOOKS + nbytes), *records]

    def run(name: str, addr: int, *words: int) -> int:
        return int(FUNCTIONS[name](Frames(memory, VirtAddr(addr)), *words) or 0)

    return Lab(frames, run, RECORDS, pieces)


@cache
def code_of(allocator: str) -> Compiled:
    """The checked build of all functions."""
    return compiled(FUNCTIONS, checked=True, config=config_of(allocator), is_quick=True)


def in_process(pieces: Pieces, allocator: str) -> Lab:
    """A lab of compiled code. Sparse: of the memory, only what is touched exists."""
    code = code_of(allocator)
    nr_frames = pieces[-1][1]
    nr_metadata = code.call('metadata_bytes', 0, nr_frames)
    assert isinstance(nr_metadata, int)
    nr_metadata += Frames.SIZE
    nr_record_bytes = -(-nr_frames // HUGE_FRAMES) * HUGE_FRAMES * FrameRecord.SIZE
    memory = HostMemory(-(-nr_metadata // PAGE_BYTES) * PAGE_BYTES + nr_record_bytes)
    memory.config = config_of(allocator)

    def run(name: str, *words: int) -> int:
        answer = code.call(name, *words)
        assert isinstance(answer, int), (name, words, answer)
        return answer

    frames = Frames(memory, VirtAddr(memory.base))
    return Lab(frames, run, memory.base + memory.nbytes - nr_record_bytes, pieces)


LABS: Final = {'interpreted': interpreted, 'compiled': in_process}
