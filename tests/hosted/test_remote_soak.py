"""A soak of blocks that come back far from their owners, against the model of test_hosted_model.py.

Threads that sleep, end and are lost in forks; sizes that come again, so that blocks go from hand to hand.
"""

from random import Random
from typing import Final

import pytest

from incroos.hosted import kept
from incroos.kernel.state import HostedHeap
from incroos.lang import VirtAddr

from ..budget import FULL
from .test_hosted_model import NOBODY, Compiled, HeapsOfAProcess

SIZES: Final = (1, 16, 40, 100, 100, 100, 1000, 4000, 4100, 9000, 70_000)
MOST_BLOCKS: Final = 150
NR_STEPS: Final = 2000


def a_size(random: Random) -> int:
    return random.choice((*SIZES, random.randrange(1, 300), random.randrange(1, 300)))


def nr_kept(heaps: HeapsOfAProcess) -> int:
    """Blocks of other heaps that the threads have on lists."""
    views = [HostedHeap(heaps.memory, VirtAddr(heap)) for heap in heaps.threads if heap != NOBODY]
    return sum(view.host.nr_kept for view in views)


def step(heaps: HeapsOfAProcess, random: Random) -> None:
    """The first two threads do most; the others sleep with what they have."""
    thread = random.choice((0, 0, 0, 1, 1, random.randrange(100)))
    what = random.random()
    if what < 0.02 and len(heaps.threads) < 6:
        heaps.begin_thread()
    elif what < 0.03 and len(heaps.threads) > 1:
        heaps.end_thread(random.randrange(100))
    elif what < 0.031:
        heaps.fork_and_be_the_child(is_entered=False, has_handler=True, difference=random.randrange(2))
    elif what < 0.034:
        heaps.trim_others()
    elif what < 0.037:
        heaps.trim(thread)
    elif what < 0.04:
        heaps.look_at_figures(thread)
    elif heaps.blocks and (what < 0.5 or len(heaps.blocks) >= MOST_BLOCKS):
        heaps.free(thread, random.randrange(1000))
    elif what < 0.6 and heaps.blocks:
        heaps.realloc(thread, random.randrange(1000), a_size(random), random.randrange(256))
    elif what < 0.7:
        heaps.calloc(thread, a_size(random), random.randrange(256))
    else:
        heaps.malloc(thread, a_size(random), random.randrange(256))


@pytest.mark.parametrize('seed', range(100 if FULL else 8))
def test_blocks_that_go_from_hand_to_hand(seed: int) -> None:
    heaps = Compiled()
    random = Random(seed)
    was_kept = 0
    for number in range(NR_STEPS):
        step(heaps, random)
        was_kept += nr_kept(heaps) != 0
        if number % 50 == 0:
            heaps.metadata_is_in_order()
    assert was_kept >= NR_STEPS // 20, 'no heap had blocks of others: the soak is about nothing'
    heaps.teardown()
    assert kept.NR_SORTED > 3, 'the small bounds are for the model alone'
