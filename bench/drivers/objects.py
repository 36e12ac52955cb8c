"""Loops over blocks of the heap."""

from typing import Final

from bench.drivers.plan import STEP_MASK, Plan, draw
from bench.drivers.start import start
from incroos.kernel import heap
from incroos.kernel.state import Kernel
from incroos.lang import VirtAddr, kernel, word

FEW: Final = 100
MANY: Final = 10_000
PAIR_BYTES: Final = 100


@kernel
def heap_setup(k: Kernel, plan: Plan, n: word) -> word:
    """An empty heap."""
    start(k)
    return heap.used_bytes(k)


@kernel
def heap_setup_few(k: Kernel, plan: Plan, n: word) -> word:
    """100 blocks live, among holes."""
    return setup_live(k, plan, FEW)


@kernel
def heap_setup_many(k: Kernel, plan: Plan, n: word) -> word:
    """10,000 blocks live, among holes."""
    return setup_live(k, plan, MANY)


@kernel
def setup_live(k: Kernel, plan: Plan, nr_blocks: word) -> word:
    """Blocks of random sizes in all slots, after so many changes that nothing is left of the order of the start."""
    start(k)
    draw(plan, nr_blocks)
    for slot in range(nr_blocks):
        plan.held[slot] = heap.kmalloc(k, plan.nbytes[slot])
    for _round in range(4):
        heap_mix(k, plan, STEP_MASK)
    return heap.used_bytes(k)


@kernel
def heap_pair(k: Kernel, plan: Plan, n: word) -> word:
    """Take a block of 100 bytes and give it back, n times."""
    total = 0
    for _index in range(n):
        block = heap.kmalloc(k, PAIR_BYTES)
        total += block + heap.kfree(k, block)
    return total


@kernel
def heap_mix(k: Kernel, plan: Plan, n: word) -> word:
    """At each of n steps a slot chosen at random gives its block back and takes one of another size."""
    total = 0
    step = plan.step
    for _index in range(n):
        slot = plan.order[step]
        total += heap.kfree(k, VirtAddr(plan.held[slot]))
        block = heap.kmalloc(k, plan.nbytes[step])
        plan.held[slot] = block
        total += block
        step = (step + 1) & STEP_MASK
    plan.step = step
    return total + heap.used_bytes(k)
