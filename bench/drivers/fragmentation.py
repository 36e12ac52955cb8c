"""Single frames that come and go at random, and what that leaves of the 2 MiB blocks."""

from typing import Annotated, Final

from bench.drivers.blocks import FACTOR, OWNER
from incroos.kernel.pmm.all import blocks
from incroos.kernel.pmm.all.frame_database import HUGE_ORDER
from incroos.kernel.state import MAX_ORDER, NR_ZONES, Frames
from incroos.lang import Array, Pfn, Struct, VirtAddr, add_wrap, kernel, mul_wrap, shr_logical, u32, u64, word

PER_MILLE: Final = 1000


class Use(Struct):
    """The frames that are in use."""

    records: VirtAddr
    nr_frames: u64
    state: u64  # of the generator
    nr_held: u64
    held: Annotated[Array[u32], 0]


@kernel
def start(frames: Frames, use: Use) -> None:
    """All of RAM is free."""
    blocks.init(frames, VirtAddr(frames.addr + Frames.SIZE), use.records, use.nr_frames)
    blocks.add_ram(frames, Pfn(0), Pfn(use.nr_frames))
    use.state = 1
    use.nr_held = 0


@kernel
def use_half_in_order(frames: Frames, use: Use, n: word) -> word:
    """Take half of the frames."""
    start(frames, use)
    take(frames, use, use.nr_frames // 2)
    return use.nr_held


@kernel
def use_half_at_random(frames: Frames, use: Use, n: word) -> word:
    """Take all frames, and give back half of them."""
    start(frames, use)
    take(frames, use, use.nr_frames)
    give(frames, use, use.nr_frames // 2)
    return use.nr_held


@kernel
def take(frames: Frames, use: Use, nr_frames: word) -> None:
    """So many more frames in use."""
    for _frame in range(nr_frames):
        use.held[use.nr_held] = blocks.alloc_frame(frames, OWNER)
        use.nr_held += 1


@kernel
def give(frames: Frames, use: Use, nr_frames: word) -> None:
    """So many frames less, chosen at random."""
    for _frame in range(nr_frames):
        use.state = add_wrap(mul_wrap(use.state, FACTOR), 1)
        at = shr_logical(use.state, 33) % use.nr_held
        blocks.free_frame(frames, Pfn(use.held[at]))
        use.nr_held -= 1
        use.held[at] = use.held[use.nr_held]


@kernel
def round_together(frames: Frames, use: Use, n: word) -> word:
    """Free a tenth of the frames in use, and then take as many."""
    nr_frames = use.nr_held // 10
    give(frames, use, nr_frames)
    take(frames, use, nr_frames)
    return nr_frames


@kernel
def round_in_turn(frames: Frames, use: Use, n: word) -> word:
    """Free a frame and take a frame, a tenth as often as frames are in use."""
    nr_frames = use.nr_held // 10
    for _frame in range(nr_frames):
        give(frames, use, 1)
        take(frames, use, 1)
    return nr_frames


@kernel
def per_mille_whole(frames: Frames, use: Use, n: word) -> word:
    """How much of free memory lies in whole blocks of 2 MiB."""
    blocks.drain(frames)
    total = 0
    for number in range(NR_ZONES):
        zone = frames.zones[number]
        for order in range(HUGE_ORDER, MAX_ORDER + 1):
            total += zone.config.frames.nr_free_blocks(zone, order) << order
    return total * PER_MILLE // blocks.nr_free_frames(frames)
