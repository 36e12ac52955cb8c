"""Random use of blocks in kernel Python, so that a million operations take a second, against a byte for each frame.

The byte says whether the frame is used; where RAM is, the plan says. Each block is checked frame by frame when it is
handed out, and an answer that nothing is free is checked against the bytes.
"""

from typing import Annotated, Final

from incroos.kernel.codes import DOUBLE_FREE, FOREIGN, NO_FRAME, NOT_FREE, OK, SHARED, WRONG_BLOCK
from incroos.kernel.pmm.all import blocks, frame_ranges
from incroos.kernel.pmm.all.frame_database import HUGE_ORDER
from incroos.kernel.state import MAX_ORDER, Frames
from incroos.lang import (
    Array,
    Pfn,
    Struct,
    VirtAddr,
    add_wrap,
    fill,
    kernel,
    load8,
    mul_wrap,
    shr_logical,
    u8,
    u32,
    u64,
    word,
)

MAX_HELD: Final = 1 << 16
MAX_PIECES: Final = 4
RANGE: Final = 255  # instead of an order
PHASE_SHIFT: Final = 14  # so many steps mostly allocate, as many mostly free
MULTIPLIER: Final = 6364136223846793005  # Knuth, MMIX: low bits are poor, so the high ones are drawn
OWNER: Final = 9


class Held(Struct):
    """Blocks that were handed out."""

    start: u32
    nr_frames: u32
    order: u8
    is_shared: u8  # has a second reference


class Plan(Struct):
    """The state of the random use, and its model."""

    random: u64
    nr_steps: u64
    used: VirtAddr  # a byte for each frame
    nr_frames: u64
    nr_free: u64
    nr_held: u64
    nr_exhausted: u64  # requests that found nothing
    nr_refused: u64  # calls that were wrong on purpose
    starts: Annotated[Array[u64], MAX_PIECES]  # of RAM
    ends: Annotated[Array[u64], MAX_PIECES]
    held: Annotated[Array[Held], MAX_HELD]


@kernel
def soak(frames: Frames, plan: Plan, nr_steps: word) -> word:
    """So many steps: 0, or the number of the first one whose answer was wrong."""
    for _step in range(nr_steps):
        plan.nr_steps += 1
        if not is_step_right(frames, plan):
            return plan.nr_steps
    return 0


@kernel
def give_all_back(frames: Frames, plan: Plan) -> word:
    """0, or how many blocks were left when one was not taken back."""
    while plan.nr_held != 0:
        if not is_free_right(frames, plan, plan.nr_held - 1):
            return plan.nr_held
    return 0


@kernel
def draw(plan: Plan, bound: word) -> word:
    """A number from 0 to bound - 1."""
    plan.random = add_wrap(mul_wrap(plan.random, MULTIPLIER), 1)
    return shr_logical(plan.random, 33) % bound


@kernel
def is_step_right(frames: Frames, plan: Plan) -> bool:
    """One call, or few."""
    alloc_share = 70 if plan.nr_steps >> PHASE_SHIFT & 1 == 0 else 30
    if plan.nr_held == 0 or (draw(plan, 100) < alloc_share and plan.nr_held < MAX_HELD):
        return is_alloc_right(frames, plan)
    if draw(plan, 16) == 0:
        return is_refusal_right(frames, plan)
    return is_free_right(frames, plan, draw(plan, plan.nr_held))


# ------------------------------------------------------------------ alloc
@kernel
def is_alloc_right(frames: Frames, plan: Plan) -> bool:
    """Single frames mostly; blocks, frames in a row, and blocks by name."""
    kind = draw(plan, 32)
    if kind == 0:
        nr_frames = 1 + draw(plan, 600)
        pfn = frame_ranges.alloc_contiguous(frames, frames.preferred, nr_frames, draw(plan, 7), OWNER)
        return is_taken_right(plan, pfn, nr_frames, RANGE, 0)
    if kind == 1:
        order = draw(plan, 5)
        pfn = Pfn(draw(plan, plan.nr_frames) & -(1 << order))
        is_free = is_ram(plan, pfn, 1 << order) and are_unused(plan, pfn, 1 << order)
        code = blocks.alloc_at(frames, pfn, order, OWNER)
        if not is_free:
            return code == NOT_FREE
        return code == OK and is_taken_right(plan, pfn, 1 << order, order, order)
    if kind > 8:
        return is_taken_right(plan, blocks.alloc_frame(frames, OWNER), 1, 0, 0)
    order = HUGE_ORDER if kind == 2 else draw(plan, MAX_ORDER + 1 if draw(plan, 100) == 0 else 7)
    pfn = blocks.alloc_block(frames, frames.preferred, order, OWNER)
    return is_taken_right(plan, pfn, 1 << order, order, order)


@kernel
def is_taken_right(plan: Plan, pfn: Pfn, nr_frames: word, order: word, alignment: word) -> bool:
    """Whether these were free frames of RAM; they are used now. NO_FRAME is right if no block of an order is free."""
    if pfn == NO_FRAME:
        plan.nr_exhausted += 1
        return order == RANGE or draw(plan, 16) != 0 or not has_free(plan, order)
    if pfn % (1 << alignment) != 0 or not is_ram(plan, pfn, nr_frames) or not are_unused(plan, pfn, nr_frames):
        return False
    fill(plan.m, VirtAddr(plan.used + pfn), 1, nr_frames)
    plan.nr_free -= nr_frames
    held = plan.held[plan.nr_held]
    held.start = pfn
    held.nr_frames = nr_frames
    held.order = order
    held.is_shared = 0
    plan.nr_held += 1
    return True


@kernel
def is_ram(plan: Plan, pfn: word, nr_frames: word) -> bool:
    """Whether the frames lie in one piece of RAM."""
    for index in range(MAX_PIECES):
        if plan.starts[index] <= pfn and pfn + nr_frames <= plan.ends[index]:
            return True
    return False


@kernel
def are_unused(plan: Plan, pfn: word, nr_frames: word) -> bool:
    """Whether the bytes of all frames are 0."""
    for frame in range(pfn, pfn + nr_frames):
        if load8(plan.m, VirtAddr(plan.used + frame)) != 0:
            return False
    return True


@kernel
def has_free(plan: Plan, order: word) -> bool:
    """Whether a block is free, in one zone."""
    for index in range(MAX_PIECES):
        pfn = (plan.starts[index] + (1 << order) - 1) & -(1 << order)
        while pfn + (1 << order) <= plan.ends[index]:
            if are_unused(plan, pfn, 1 << order):
                return True
            pfn += 1 << order
    return False


# ------------------------------------------------------------------ free
@kernel
def is_free_right(frames: Frames, plan: Plan, index: word) -> bool:
    """Give back what is held, or one of two references to it; sometimes take a second one first."""
    held = plan.held[index]
    pfn = Pfn(held.start)
    if held.order != RANGE and held.is_shared == 0 and draw(plan, 8) == 0:
        if blocks.get(frames, pfn) != 2 or blocks.free_block(frames, pfn, held.order) != SHARED:
            return False
        held.is_shared = 1
    if held.is_shared != 0 and blocks.put(frames, pfn) != 1:
        return False
    held.is_shared = 0
    fill(plan.m, VirtAddr(plan.used + pfn), 0, held.nr_frames)
    plan.nr_free += held.nr_frames
    if free(frames, held) != OK:
        return False
    plan.nr_held -= 1
    last = plan.held[plan.nr_held]
    held.start = last.start
    held.nr_frames = last.nr_frames
    held.order = last.order
    held.is_shared = last.is_shared
    return True


@kernel
def free(frames: Frames, held: Held) -> word:
    """Give it back, in the way it was taken."""
    pfn = Pfn(held.start)
    if held.order == RANGE:
        return frame_ranges.free_range(frames, pfn, Pfn(pfn + held.nr_frames))
    if held.order == 0:
        return blocks.free_frame(frames, pfn)
    return blocks.free_block(frames, pfn, held.order)


@kernel
def is_refusal_right(frames: Frames, plan: Plan) -> bool:
    """Free what is not used, and used blocks by another order."""
    plan.nr_refused += 1
    pfn = Pfn(draw(plan, plan.nr_frames))
    if load8(plan.m, VirtAddr(plan.used + pfn)) == 0:
        return blocks.free_frame(frames, pfn) == (DOUBLE_FREE if is_ram(plan, pfn, 1) else FOREIGN)
    held = plan.held[draw(plan, plan.nr_held)]
    if held.order == RANGE or held.order == 0:
        return True
    return blocks.free_block(frames, Pfn(held.start), held.order - 1) == WRONG_BLOCK
