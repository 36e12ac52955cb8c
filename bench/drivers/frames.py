"""Loops over frames."""

from bench.drivers.plan import NR_STEPS, Plan, draw
from bench.drivers.start import start
from incroos.kernel import pmm
from incroos.kernel.layout import ZONE_FRAMES
from incroos.kernel.state import Kernel
from incroos.lang import PhysAddr, kernel, word


@kernel
def frames_setup(k: Kernel, plan: Plan, n: word) -> word:
    """All frames free."""
    start(k)
    draw(plan, ZONE_FRAMES)
    return pmm.nr_free_frames(k)


@kernel
def frames_take(k: Kernel, plan: Plan, n: word) -> word:
    """Take n frames as they are."""
    total = 0
    for index in range(n):
        pa = pmm.take_frame(k)
        plan.held[index] = pa
        total += pa
    return total


@kernel
def frames_alloc(k: Kernel, plan: Plan, n: word) -> word:
    """Take n frames, each zeroed."""
    total = 0
    for index in range(n):
        pa = pmm.alloc_page(k)
        plan.held[index] = pa
        total += pa
    return total


@kernel
def frames_free(k: Kernel, plan: Plan, n: word) -> word:
    """Give back the n frames, in the order in which they were taken."""
    code = 0
    for index in range(n):
        code |= pmm.free_page(k, PhysAddr(plan.held[index]))
        plan.held[index] = 0
    return code


@kernel
def frames_bulk(k: Kernel, plan: Plan, n: word) -> word:
    """Take n frames, then give all back."""
    return frames_take(k, plan, n) + frames_free(k, plan, n)


@kernel
def frames_repeat(k: Kernel, plan: Plan, n: word) -> word:
    """Take one frame and give it back, n times."""
    total = 0
    for _index in range(n):
        pa = pmm.take_frame(k)
        total += pa + pmm.free_page(k, pa)
    return total


@kernel
def frames_random_setup(k: Kernel, plan: Plan, n: word) -> word:
    """Half of all frames held, those of the slots that an odd number of steps names: about half, spread at random."""
    frames_setup(k, plan, n)
    frames_take(k, plan, ZONE_FRAMES)
    return frames_random(k, plan, NR_STEPS)


@kernel
def frames_random(k: Kernel, plan: Plan, n: word) -> word:
    """At each step a slot gives its frame back, or takes one if it has none."""
    total = 0
    for index in range(n):
        slot = plan.order[index]
        pa = PhysAddr(plan.held[slot])
        if pa == 0:
            pa = pmm.take_frame(k)
            plan.held[slot] = pa
        else:
            total += pmm.free_page(k, pa)
            plan.held[slot] = 0
        total += pa
    return total
