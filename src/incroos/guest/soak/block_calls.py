"""The four calls of a soak of blocks by number, in the order in which the mailbox has them."""

from typing import Final

from incroos.guest.soak import blocks
from incroos.guest.soak.blocks import BlockSoak
from incroos.kernel.state import Kernel
from incroos.lang import VirtAddr, kernel, word

BEGIN: Final = 0
RUN: Final = 1
CHECK: Final = 2
FINISH: Final = 3

UNKNOWN: Final = -1 << 63


@kernel
def execute(k: Kernel, number: word, a: word, b: word) -> word:
    """One of them; UNKNOWN when it is none."""
    if number == BEGIN:
        return blocks.begin(k, a)
    if number == RUN:
        return blocks.run(k, BlockSoak(k.m, VirtAddr(a)), b)
    if number == CHECK:
        return blocks.check(k, BlockSoak(k.m, VirtAddr(a)))
    if number == FINISH:
        return blocks.finish(k, BlockSoak(k.m, VirtAddr(a)))
    return UNKNOWN
