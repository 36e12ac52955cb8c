"""What the loops over many live blocks are to do, worked out before the clock starts, and what they hold."""

from typing import Annotated, Final

from bench.drivers.plan import FACTOR
from incroos.lang import Array, Struct, add_wrap, kernel, mul_wrap, shr_logical, u32, u64, word

MAX_SLOTS: Final = 1 << 20
NR_STEPS: Final = 1 << 20
STEP_MASK: Final = NR_STEPS - 1


class ObjectPlan(Struct):
    """The first four are the host's."""

    nr_live: u64  # blocks, one in each slot
    smallest: u64  # of a block, in bytes
    sizes: u64  # so many sizes, from the smallest on
    pair_bytes: u64
    random: u64
    step: u64  # where the next run goes on
    held: Annotated[Array[u64], MAX_SLOTS]
    shuffled: Annotated[Array[u32], MAX_SLOTS]  # each live slot once
    order: Annotated[Array[u32], NR_STEPS]  # the slot of each step
    nbytes: Annotated[Array[u32], NR_STEPS]  # the size of each step's block


@kernel
def draw(plan: ObjectPlan, limit: word) -> word:
    """A number below the limit."""
    plan.random = add_wrap(mul_wrap(plan.random, FACTOR), 1)
    return shr_logical(plan.random, 33) % limit


@kernel
def make_plan(plan: ObjectPlan) -> None:
    """Slots and sizes at random."""
    plan.random = 1
    plan.step = 0
    nr_slots = max(plan.nr_live, 1)
    for step in range(NR_STEPS):
        plan.order[step] = draw(plan, nr_slots)
        plan.nbytes[step] = plan.smallest + draw(plan, plan.sizes)
    for slot in range(plan.nr_live):
        other = draw(plan, slot + 1)
        plan.shuffled[slot] = plan.shuffled[other]
        plan.shuffled[other] = slot
