"""The heap's checker finds each way of breaking it, by the number of the invariant; a broken chunk ends the machine."""

from collections.abc import Callable

import pytest

from incroos.kernel.arch.pte import PRESENT
from incroos.kernel.heap.chunk.first_fit_header import sealed
from incroos.kernel.heap.chunk.header import FIRST_CHUNK, PREVIOUS_USED, USED
from incroos.kernel.layout import HEAP, PAGE_BYTES, ZONE_END
from incroos.kernel.state import Chunk
from incroos.lang import VirtAddr
from incroos.run.harness import Driver, GuestEnded

SMALL = 48  # bytes of the chunk that a request of 40 takes
FIRST, SECOND, THIRD, FOURTH = (VirtAddr(HEAP + FIRST_CHUNK + SMALL * number) for number in range(4))
HEADER, NEXT, PREVIOUS = 0, 8, 16  # offsets in a chunk

Break = Callable[[Driver], object]


def put(chunk: int, offset: int, value: int) -> Break:
    return lambda driver: driver.call('store', chunk + offset, value)


def put_header(at: VirtAddr, head: int, of: VirtAddr | None = None) -> Break:
    """The header that belongs there, or at another place."""
    return lambda driver: driver.call('store', at, sealed(driver.kernel.heap, of or at, head))


def set_state(name: str, change: Callable[[int], int]) -> Break:
    return lambda driver: setattr(
        driver.kernel.heap.first_fit, name, change(getattr(driver.kernel.heap.first_fit, name))
    )


def queue_of(driver: Driver) -> Chunk:
    return driver.kernel.heap.first_fit.queue


def free_last_chunk(driver: Driver) -> None:
    """Make the last chunk a free one, and leave top where it is."""
    put_header(FOURTH, SMALL | PREVIOUS_USED)(driver)
    driver.call('store', FOURTH + SMALL - 8, SMALL)


BREAKS: list[tuple[int, str, Break]] = [
    (1, 'top below the first chunk', set_state('top', lambda top: HEAP - 8)),
    (1, 'top not 8 modulo 16', set_state('top', lambda top: top + 8)),
    (1, 'top beyond the frames', set_state('top', lambda top: top + PAGE_BYTES)),
    (1, 'frames beyond the range', set_state('end', lambda end: HEAP)),
    (1, 'a range that is too long', set_state('end', lambda end: HEAP + (17 << 20))),
    (1, 'an end inside a page', set_state('end', lambda end: end + 16)),
    (2, 'a header that is not sealed', put(SECOND, HEADER, SMALL | PREVIOUS_USED)),
    (2, 'the header of another place', put_header(SECOND, SMALL | USED | PREVIOUS_USED, FIRST)),
    (2, 'a chunk of no bytes', put_header(FIRST, USED | PREVIOUS_USED)),
    (2, 'a chunk that goes beyond top', put_header(FOURTH, 2 * SMALL | USED | PREVIOUS_USED)),
    (3, 'a chunk before the first', put_header(FIRST, SMALL | USED)),
    (3, 'a used chunk taken for free by the next', put_header(SECOND, SMALL)),
    (3, 'a free chunk taken for used by the next', put_header(THIRD, SMALL | USED | PREVIOUS_USED)),
    (3, 'a free chunk before top', free_last_chunk),
    (4, 'two free neighbours', put_header(THIRD, SMALL)),
    (5, 'a boundary tag that is not the bytes', put(SECOND, SMALL - 8, SMALL + 16)),
    (6, 'a free chunk off the list', lambda driver: setattr(queue_of(driver), 'next', queue_of(driver).addr)),
    (6, 'a list that goes nowhere', put(SECOND, NEXT, 0)),
    (6, 'a list that goes astray', lambda driver: setattr(queue_of(driver), 'next', HEAP + (1 << 20))),
    (6, 'a used chunk on the list', lambda driver: setattr(queue_of(driver), 'next', FIRST)),
    (6, 'a list that does not lead back', put(SECOND, PREVIOUS, FOURTH)),
    (6, 'an end of the list that is not its last', lambda driver: setattr(queue_of(driver), 'previous', FIRST)),
    (7, 'bytes that nobody uses', set_state('used_bytes', lambda nbytes: nbytes + 16)),
    (8, 'a page without a frame', lambda driver: driver.call('unmap_page', HEAP)),
    (8, 'a frame too many', lambda driver: driver.call('map_page', HEAP + PAGE_BYTES, ZONE_END, PRESENT)),
]


@pytest.mark.parametrize(('number', 'how', 'break_it'), BREAKS, ids=[f'{number}: {how}' for number, how, _ in BREAKS])
def test_each_invariant_is_checked(sim: Driver, number: int, how: str, break_it: Break) -> None:
    """Four small chunks, the second one free."""
    pointers = [sim.call('kmalloc', 40) for _ in range(4)]
    sim.call('kfree', pointers[1])
    assert sim.call('check_heap') == 0
    break_it(sim)
    assert sim.call('check_heap') == number, how


@pytest.mark.parametrize(
    ('how', 'break_it', 'then'),
    [
        ('header of the next chunk', put(THIRD, HEADER, 0x41), ('kmalloc', 40)),
        ('header of the free chunk', put(SECOND, HEADER, 0x3F_0000_0030), ('kmalloc', 40)),
        ('boundary tag', put(SECOND, SMALL - 8, 0), ('kfree', THIRD + 8)),
        ('boundary tag of another length', put(SECOND, SMALL - 8, 2 * SMALL), ('kfree', THIRD + 8)),
        ('header in front of the boundary tag', put(SECOND, HEADER, SMALL), ('kfree', THIRD + 8)),
    ],
)
def test_no_header_is_believed_or_rewritten_unseen(
    sim: Driver, how: str, break_it: Break, then: tuple[str, int]
) -> None:
    """What is written over a chunk's own words is met by a panic before it can spread."""
    pointers = [sim.call('kmalloc', 40) for _ in range(4)]
    sim.call('kfree', pointers[1])
    break_it(sim)
    with pytest.raises(GuestEnded):
        sim.call(*then)
    assert sim.kernel.console.nr_panics == 1
