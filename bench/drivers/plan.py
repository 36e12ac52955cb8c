"""The plan: what a loop is to do, worked out before the clock starts, and what it holds.

`order` and `nbytes` are drawn at random once. The generator is the multiplicative one of Knuth, The Art of Computer
Programming, volume 2, section 3.3.4 (constants of C. Haynes).
"""

from typing import Annotated, Final

from incroos.lang import Array, Struct, add_wrap, kernel, mul_wrap, shr_logical, u32, u64, word

MAX_SLOTS: Final = 16384
NR_STEPS: Final = 65536
STEP_MASK: Final = NR_STEPS - 1
FACTOR: Final = 6364136223846793005
SMALLEST_BYTES: Final = 16
BYTES_RANGE: Final = 512


class Plan(Struct):
    """The steps and the slots that they work on."""

    step: u64  # where the next run goes on
    held: Annotated[Array[u64], MAX_SLOTS]  # the address in each slot; 0 is none
    order: Annotated[Array[u32], NR_STEPS]  # the slot of each step
    nbytes: Annotated[Array[u32], NR_STEPS]  # the size of each step's block


@kernel
def draw(plan: Plan, nr_slots: word) -> None:
    """Make a plan for so many slots."""
    plan.step = 0
    for slot in range(MAX_SLOTS):
        plan.held[slot] = 0
    state = 1
    for step in range(NR_STEPS):
        state = add_wrap(mul_wrap(state, FACTOR), 1)
        plan.order[step] = shr_logical(state, 33) % nr_slots
        state = add_wrap(mul_wrap(state, FACTOR), 1)
        plan.nbytes[step] = SMALLEST_BYTES + shr_logical(state, 33) % BYTES_RANGE
