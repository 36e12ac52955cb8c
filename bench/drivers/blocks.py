"""Loops over blocks of frames of all of RAM, and the filling of it beforehand."""

from typing import Annotated, Final

from incroos.kernel.pmm.all import blocks
from incroos.kernel.pmm.all.frame_database import HUGE_ORDER
from incroos.kernel.state import Frames
from incroos.lang import Array, Pfn, Struct, VirtAddr, add_wrap, kernel, mul_wrap, shr_logical, u32, u64, word

MAX_SLOTS: Final = 65536
NR_STEPS: Final = 65536
FACTOR: Final = 6364136223846793005  # as in plan.py
NOBODY: Final = (1 << 32) - 1
OWNER: Final = 7


class BlockPlan(Struct):
    """How much RAM there is, how much of it is in use, and what the loops are to do."""

    records: VirtAddr
    nr_frames: u64
    order: u64
    percent: u64  # of RAM in use, in blocks of the order that are spread at random
    nr_slots: u64
    held: Annotated[Array[u32], MAX_SLOTS]
    steps: Annotated[Array[u32], NR_STEPS]  # the slot of each step


@kernel
def blocks_start(frames: Frames, plan: BlockPlan, n: word) -> word:
    """All of RAM is free."""
    blocks.init(frames, VirtAddr(frames.addr + Frames.SIZE), plan.records, plan.nr_frames)
    blocks.add_ram(frames, Pfn(0), Pfn(plan.nr_frames))
    return blocks.nr_free_frames(frames)


@kernel
def blocks_setup(frames: Frames, plan: BlockPlan, n: word) -> word:
    """Take all of RAM in blocks, and give back a random choice of them."""
    blocks_start(frames, plan, n)
    taken = 0
    while take(frames, plan.order) >= 0:
        taken += 1
    state = 1
    pfn = 0
    while pfn < plan.nr_frames:
        state = add_wrap(mul_wrap(state, FACTOR), 1)
        if shr_logical(state, 33) % 100 >= plan.percent:
            give(frames, Pfn(pfn), plan.order)
        pfn += 1 << plan.order
    blocks.drain(frames)
    return taken + blocks.nr_free_frames(frames)


@kernel
def draw(plan: BlockPlan) -> None:
    """All slots empty, and steps at random."""
    for slot in range(plan.nr_slots):
        plan.held[slot] = NOBODY
    state = 1
    for step in range(NR_STEPS):
        state = add_wrap(mul_wrap(state, FACTOR), 1)
        plan.steps[step] = shr_logical(state, 33) % plan.nr_slots


@kernel
def take(frames: Frames, order: word) -> Pfn:
    """A block, from anywhere."""
    if order == 0:
        return blocks.alloc_frame(frames, OWNER)
    return blocks.alloc_block(frames, frames.preferred, order, OWNER)


@kernel
def give(frames: Frames, pfn: Pfn, order: word) -> word:
    """Give back a block."""
    if order == 0:
        return blocks.free_frame(frames, pfn)
    return blocks.free_block(frames, pfn, order)


# ------------------------------------------------------------------ order 0
@kernel
def frame_repeat(frames: Frames, plan: BlockPlan, n: word) -> word:
    """Take a frame and give it back, n times."""
    total = 0
    for _index in range(n):
        pfn = blocks.alloc_frame(frames, OWNER)
        total += pfn + blocks.free_frame(frames, pfn)
    return total


@kernel
def frame_bulk(frames: Frames, plan: BlockPlan, n: word) -> word:
    """Take n frames, then give them back in the same order."""
    total = 0
    for slot in range(n):
        pfn = blocks.alloc_frame(frames, OWNER)
        plan.held[slot] = pfn
        total += pfn
    for slot in range(n):
        total += blocks.free_frame(frames, Pfn(plan.held[slot]))
    return total


@kernel
def frame_churn_setup(frames: Frames, plan: BlockPlan, n: word) -> word:
    """A frame in each slot."""
    draw(plan)
    total = 0
    for slot in range(plan.nr_slots):
        pfn = blocks.alloc_frame(frames, OWNER)
        plan.held[slot] = pfn
        total += pfn
    return total


@kernel
def frame_churn(frames: Frames, plan: BlockPlan, n: word) -> word:
    """At each of n steps a slot chosen at random takes a frame and gives back the one it had."""
    total = 0
    for index in range(n):
        slot = plan.steps[index]
        pfn = blocks.alloc_frame(frames, OWNER)
        total += pfn + blocks.free_frame(frames, Pfn(plan.held[slot]))
        plan.held[slot] = pfn
    return total


@kernel
def frame_random_setup(frames: Frames, plan: BlockPlan, n: word) -> word:
    """Half of the slots have a frame."""
    draw(plan)
    return frame_random(frames, plan, NR_STEPS)


@kernel
def frame_random(frames: Frames, plan: BlockPlan, n: word) -> word:
    """At each of n steps a slot chosen at random gives its frame back, or takes one if it has none."""
    total = 0
    for index in range(n):
        slot = plan.steps[index]
        pfn = plan.held[slot]
        if pfn == NOBODY:
            pfn = blocks.alloc_frame(frames, OWNER)
            plan.held[slot] = pfn
        else:
            total += blocks.free_frame(frames, Pfn(pfn))
            plan.held[slot] = NOBODY
        total += pfn
    return total


@kernel
def frame_finish(frames: Frames, plan: BlockPlan, n: word) -> word:
    """Give back what the slots have."""
    code = 0
    for slot in range(plan.nr_slots):
        if plan.held[slot] != NOBODY:
            code |= blocks.free_frame(frames, Pfn(plan.held[slot]))
            plan.held[slot] = NOBODY
    return code


# ------------------------------------------------------------------ order 9
@kernel
def huge_repeat(frames: Frames, plan: BlockPlan, n: word) -> word:
    """Take a huge block and give it back, n times."""
    total = 0
    for _index in range(n):
        pfn = blocks.alloc_block(frames, frames.preferred, HUGE_ORDER, OWNER)
        total += pfn + blocks.free_block(frames, pfn, HUGE_ORDER)
    return total


@kernel
def huge_bulk(frames: Frames, plan: BlockPlan, n: word) -> word:
    """Take n huge blocks, then give them back in the same order."""
    total = 0
    for slot in range(n):
        pfn = blocks.alloc_block(frames, frames.preferred, HUGE_ORDER, OWNER)
        plan.held[slot] = pfn
        total += pfn
    for slot in range(n):
        total += blocks.free_block(frames, Pfn(plan.held[slot]), HUGE_ORDER)
    return total


@kernel
def huge_churn_setup(frames: Frames, plan: BlockPlan, n: word) -> word:
    """A huge block in each slot."""
    draw(plan)
    total = 0
    for slot in range(plan.nr_slots):
        pfn = blocks.alloc_block(frames, frames.preferred, HUGE_ORDER, OWNER)
        plan.held[slot] = pfn
        total += pfn
    return total


@kernel
def huge_churn(frames: Frames, plan: BlockPlan, n: word) -> word:
    """At each of n steps a slot chosen at random takes a block and gives back the one it had."""
    total = 0
    for index in range(n):
        slot = plan.steps[index]
        pfn = blocks.alloc_block(frames, frames.preferred, HUGE_ORDER, OWNER)
        total += pfn + blocks.free_block(frames, Pfn(plan.held[slot]), HUGE_ORDER)
        plan.held[slot] = pfn
    return total


@kernel
def huge_random_setup(frames: Frames, plan: BlockPlan, n: word) -> word:
    """Half of the slots have a huge block."""
    draw(plan)
    return huge_random(frames, plan, NR_STEPS)


@kernel
def huge_random(frames: Frames, plan: BlockPlan, n: word) -> word:
    """At each of n steps a slot chosen at random gives its block back, or takes one if it has none."""
    total = 0
    for index in range(n):
        slot = plan.steps[index]
        pfn = plan.held[slot]
        if pfn == NOBODY:
            pfn = blocks.alloc_block(frames, frames.preferred, HUGE_ORDER, OWNER)
            plan.held[slot] = pfn
        else:
            total += blocks.free_block(frames, Pfn(pfn), HUGE_ORDER)
            plan.held[slot] = NOBODY
        total += pfn
    return total


@kernel
def huge_finish(frames: Frames, plan: BlockPlan, n: word) -> word:
    """Give back what the slots have."""
    code = 0
    for slot in range(plan.nr_slots):
        if plan.held[slot] != NOBODY:
            code |= blocks.free_block(frames, Pfn(plan.held[slot]), HUGE_ORDER)
            plan.held[slot] = NOBODY
    return code
