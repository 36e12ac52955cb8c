"""Zeroed frames: zeroed when they are asked for, or ahead of time, and written to or not once they are there."""

from typing import Annotated, Final

from bench.drivers.blocks import OWNER
from incroos.kernel.layout import PAGE_BYTES, PAGE_SHIFT
from incroos.kernel.pmm.all import blocks, zeroing
from incroos.kernel.state import Frames
from incroos.lang import Array, Pfn, Struct, VirtAddr, fill, kernel, store64, u32, u64, word

MAX_HELD: Final = 4096
LINE_BYTES: Final = 64


class ZeroPlan(Struct):
    """Some RAM that is there, and the frames that were taken of it."""

    records: VirtAddr
    nr_frames: u64
    window: VirtAddr  # where frame 0 is
    nr_held: u64
    held: Annotated[Array[u32], MAX_HELD]


@kernel
def zero_setup(frames: Frames, plan: ZeroPlan, n: word) -> word:
    """All of RAM is free, and each of its records written once."""
    blocks.init(frames, VirtAddr(frames.addr + Frames.SIZE), plan.records, plan.nr_frames)
    blocks.add_ram(frames, Pfn(0), Pfn(plan.nr_frames))
    plan.nr_held = 0
    return zero_now(frames, plan, n)


@kernel
def zero_stock(frames: Frames, plan: ZeroPlan, n: word) -> word:
    """Zero n frames ahead."""
    return zeroing.zero_ahead(frames, plan.window, n)


@kernel
def give_held(frames: Frames, plan: ZeroPlan) -> word:
    """Give all frames back, the highest first."""
    code = 0
    while plan.nr_held > 0:
        plan.nr_held -= 1
        code |= blocks.free_frame(frames, Pfn(plan.held[plan.nr_held]))
    return code


@kernel
def address_of(plan: ZeroPlan, pfn: Pfn) -> VirtAddr:
    """Where a frame is."""
    return VirtAddr(plan.window + (pfn << PAGE_SHIFT))


@kernel
def write_to(plan: ZeroPlan, pfn: Pfn) -> None:
    """What the owner does: a word of each line of the cache."""
    for at in range(0, PAGE_BYTES, LINE_BYTES):
        store64(plan.m, VirtAddr(address_of(plan, pfn) + at), at)


@kernel
def zero_now(frames: Frames, plan: ZeroPlan, n: word) -> word:
    """Take n frames and zero each; then give all back."""
    total = 0
    plan.nr_held = n
    for index in range(n):
        pfn = blocks.alloc_frame(frames, OWNER)
        fill(frames.m, address_of(plan, pfn), 0, PAGE_BYTES)
        plan.held[index] = pfn
        total += pfn
    return total + give_held(frames, plan)


@kernel
def zero_now_use(frames: Frames, plan: ZeroPlan, n: word) -> word:
    """The same, and write to each."""
    total = 0
    plan.nr_held = n
    for index in range(n):
        pfn = blocks.alloc_frame(frames, OWNER)
        fill(frames.m, address_of(plan, pfn), 0, PAGE_BYTES)
        write_to(plan, pfn)
        plan.held[index] = pfn
        total += pfn
    return total + give_held(frames, plan)


@kernel
def zero_ahead(frames: Frames, plan: ZeroPlan, n: word) -> word:
    """Take n frames that were zeroed ahead; then give all back."""
    total = 0
    plan.nr_held = n
    for index in range(n):
        pfn = zeroing.alloc_zeroed(frames, OWNER)
        plan.held[index] = pfn
        total += pfn
    return total + give_held(frames, plan)


@kernel
def zero_ahead_use(frames: Frames, plan: ZeroPlan, n: word) -> word:
    """The same, and write to each."""
    total = 0
    plan.nr_held = n
    for index in range(n):
        pfn = zeroing.alloc_zeroed(frames, OWNER)
        write_to(plan, pfn)
        plan.held[index] = pfn
        total += pfn
    return total + give_held(frames, plan)


@kernel
def zero_upwards(frames: Frames, plan: ZeroPlan, n: word) -> word:
    """Zero the first n frames, the lowest first."""
    for pfn in range(n):
        fill(frames.m, address_of(plan, Pfn(pfn)), 0, PAGE_BYTES)
    return n


@kernel
def zero_downwards(frames: Frames, plan: ZeroPlan, n: word) -> word:
    """Zero the first n frames, the highest first."""
    for index in range(n):
        fill(frames.m, address_of(plan, Pfn(n - 1 - index)), 0, PAGE_BYTES)
    return n
