"""What the tests of the heap share: filling payloads, and seeing that nothing has changed."""

from collections.abc import Iterable
from typing import Final

from incroos.inspect.digest import digests, handed_out
from incroos.kernel.layout import HEAP, HEAP_MAX_BYTES
from incroos.kernel.state import FirstFitState
from incroos.run.harness import Driver, call_of

CHECKS: Final = ('check_heap', 'check_vmm', 'check_pmm')
LARGEST: Final = HEAP_MAX_BYTES - 24  # the range without its two edges and one header
FIRST: Final = HEAP + 16  # the payload of the first chunk
ADDRESS: Final = 0x000F_FFFF_FFFF_F000


def write_payload(driver: Driver, ptr: int, nbytes: int, byte: int) -> None:
    """Fill a payload to its last byte."""
    driver.call('fill', ptr, byte, nbytes)


def is_payload_kept(driver: Driver, ptr: int, nbytes: int, byte: int) -> bool:
    """Whether each byte is what write_payload wrote."""
    return driver.call('count_other', ptr, byte, nbytes) == 0


def free_all(driver: Driver, pointers: Iterable[int]) -> None:
    """Give back what must be accepted."""
    calls = [call_of('kfree', ptr) for ptr in pointers]
    assert driver.execute(calls) == [0] * len(calls)


def assert_in_order(driver: Driver) -> None:
    """Each room's own checker is content."""
    assert [driver.call(name) for name in CHECKS] == [0, 0, 0]


def standing(driver: Driver) -> dict[str, object]:
    """All that a refused call must leave alone: the heap's state, who has which frame, what each page and table holds.

    Left out are the count of requests, which counts refused ones too, and where the search for frames begins.
    """
    state = driver.kernel
    parts: dict[str, object] = {name: part for name, part in digests(driver.ram).items() if name != 'Kernel struct'}
    parts['heap'] = driver.ram.read(state.heap.first_fit.addr, FirstFitState.SIZE)
    parts['tables'] = state.space.nr_tables
    parts['pool'] = list(handed_out(state.frames.pool))
    parts['zone'] = list(handed_out(state.frames.zone))
    return parts


def nr_used_frames(driver: Driver) -> int:
    """Frames of the zone that are somebody's."""
    return driver.call('nr_total_frames') - driver.call('nr_free_frames')


def committed_bytes(driver: Driver) -> int:
    """How much of the heap has frames."""
    return driver.kernel.heap.first_fit.committed_end - HEAP
