"""Loops over blocks of the heap of size classes, with up to a million of them live."""

from typing import Final

from bench.drivers.objects_plan import STEP_MASK, ObjectPlan, draw, make_plan
from incroos.kernel import heap
from incroos.kernel.state import Kernel
from incroos.lang import VirtAddr, kernel, word

CHURN_MASK: Final = 63  # slots that change, less 1
GROWN_BYTES: Final = 16_000


@kernel
def objects_setup(k: Kernel, plan: ObjectPlan, n: word) -> word:
    """Blocks of random sizes in all slots, after so many changes that nothing is left of the order of the start."""
    heap.init(k)
    make_plan(plan)
    for slot in range(plan.nr_live):
        plan.held[slot] = heap.kmalloc(k, plan.nbytes[slot])
    total = 0
    for _step in range(4 * plan.nr_live):
        slot = draw(plan, plan.nr_live)
        total += heap.kfree(k, VirtAddr(plan.held[slot]))
        plan.held[slot] = heap.kmalloc(k, plan.smallest + draw(plan, plan.sizes))
        total += plan.held[slot] & STEP_MASK
    return total


@kernel
def objects_pair(k: Kernel, plan: ObjectPlan, n: word) -> word:
    """Take a block and give it back, n times."""
    total = 0
    for _index in range(n):
        block = heap.kmalloc(k, plan.pair_bytes)
        total += (block & STEP_MASK) + heap.kfree(k, block)
    return total


@kernel
def objects_churn(k: Kernel, plan: ObjectPlan, n: word) -> word:
    """At each of n steps one of few slots, chosen at random, gives its block back and takes one of another size."""
    total = 0
    step = plan.step
    for _index in range(n):
        slot = plan.order[step] & CHURN_MASK
        total += heap.kfree(k, VirtAddr(plan.held[slot]))
        block = heap.kmalloc(k, plan.nbytes[step])
        plan.held[slot] = block
        total += block & STEP_MASK
        step = (step + 1) & STEP_MASK
    plan.step = step
    return total


@kernel
def objects_mix(k: Kernel, plan: ObjectPlan, n: word) -> word:
    """The same with all slots: each step meets a block that no cache has."""
    total = 0
    step = plan.step
    for _index in range(n):
        slot = plan.order[step]
        total += heap.kfree(k, VirtAddr(plan.held[slot]))
        block = heap.kmalloc(k, plan.nbytes[step])
        plan.held[slot] = block
        total += block & STEP_MASK
        step = (step + 1) & STEP_MASK
    plan.step = step
    return total


@kernel
def objects_refill(k: Kernel, plan: ObjectPlan, n: word) -> word:
    """Give the blocks of n slots back, in random order, then take as many again."""
    total = 0
    for index in range(n):
        total += heap.kfree(k, VirtAddr(plan.held[plan.shuffled[index]]))
    for index in range(n):
        block = heap.kmalloc(k, plan.nbytes[index])
        plan.held[plan.shuffled[index]] = block
        total += block & STEP_MASK
    return total


@kernel
def objects_grow(k: Kernel, plan: ObjectPlan, n: word) -> word:
    """A block grows by half at each of n steps, from 24 bytes on, and begins anew when it has 16,000."""
    total = 0
    block = heap.kmalloc(k, 24)
    nbytes = 24
    for _index in range(n):
        nbytes += nbytes >> 1
        block = heap.krealloc(k, block, nbytes)
        total += block & STEP_MASK
        if nbytes > GROWN_BYTES:
            total += heap.kfree(k, block)
            block = heap.kmalloc(k, 24)
            nbytes = 24
    return total + heap.kfree(k, block)


# ------------------------------------------------------------------ one by one
@kernel
def objects_take(k: Kernel, plan: ObjectPlan, n: word) -> word:
    """A block of n bytes."""
    return heap.kmalloc(k, n)


@kernel
def objects_give(k: Kernel, plan: ObjectPlan, n: word) -> word:
    """Give the block at address n back."""
    return heap.kfree(k, VirtAddr(n))
