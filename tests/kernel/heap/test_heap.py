"""The heap in every place: what it gives, what it refuses, how it grows, and that a refusal changes nothing."""

import random

import pytest

from incroos.kernel.codes import BAD_FREE
from incroos.kernel.heap.block import POISON_FREED, POISON_FRESH
from incroos.kernel.heap.chunk.header import MIN_CHUNK_BYTES
from incroos.kernel.layout import HEAP, HEAP_INITIAL_BYTES, HEAP_MAX_BYTES, PAGE_BYTES
from incroos.run.harness import Driver, GuestEnded, call_of

from .heap_help import (
    FIRST,
    LARGEST,
    assert_in_order,
    committed_bytes,
    free_all,
    is_payload_kept,
    nr_used_frames,
    standing,
    write_payload,
)


def chunk_bytes(nbytes: int) -> int:
    """What a request costs: a header of 8 bytes, a multiple of 16, 32 at least."""
    return max(MIN_CHUNK_BYTES, -(-(nbytes + 8) // 16) * 16)


def test_an_unused_heap_has_addresses_and_no_frame(driver: Driver) -> None:
    assert nr_used_frames(driver) == 0
    assert driver.call('used_bytes') == 0
    assert driver.call('free_bytes') == HEAP_INITIAL_BYTES - 16
    assert driver.call('get_physical', HEAP) < 0
    assert_in_order(driver)


@pytest.mark.parametrize('nbytes', [1, 8, 24, 25, 100, 4095, 4096, 100_000])
def test_a_chunk_is_aligned_counted_writable_to_its_end_and_given_back(driver: Driver, nbytes: int) -> None:
    ptr = driver.call('kmalloc', nbytes)
    assert ptr % 16 == 0
    assert driver.call('used_bytes') == chunk_bytes(nbytes)
    assert driver.call('free_bytes') == HEAP_INITIAL_BYTES - 16 - chunk_bytes(nbytes)
    write_payload(driver, ptr, nbytes, 0xA7)
    assert is_payload_kept(driver, ptr, nbytes, 0xA7)
    assert driver.call('kfree', ptr) == 0
    assert driver.call('used_bytes') == 0
    assert_in_order(driver)


@pytest.mark.parametrize(
    'nbytes', [0, -1, -7, -1 << 63, LARGEST + 1, HEAP_MAX_BYTES, HEAP_MAX_BYTES + 1, (1 << 63) - 1]
)
def test_sizes_that_cannot_be_had_are_refused_and_change_nothing(driver: Driver, nbytes: int) -> None:
    driver.call('kmalloc', 100)
    before = standing(driver)
    assert driver.call('kmalloc', nbytes) == 0
    assert standing(driver) == before


def test_kfree_of_0_does_nothing(driver: Driver) -> None:
    before = standing(driver)
    assert driver.call('kfree', 0) == 0
    assert standing(driver) == before


def test_pointers_that_kmalloc_did_not_give_are_refused_and_change_nothing(driver: Driver) -> None:
    first, second, third = (driver.call('kmalloc', nbytes) for nbytes in (100, 3000, 100))
    driver.call('kfree', second)
    before = standing(driver)
    wild = [first + 1, first + 8, first + 16, first - 16, second, second + 16, third + 16, third - 8, HEAP, HEAP + 8]
    wild += [
        driver.kernel.heap.first_fit.top + 8,
        driver.kernel.heap.first_fit.top + 4096,
        HEAP + HEAP_INITIAL_BYTES,
        HEAP + HEAP_MAX_BYTES,
    ]
    wild += [8, 16, 0x1000, 0x1F_0000, 0x20_0000, 1 << 46, -16, -1 << 63, (1 << 63) - 16, (1 << 63) - 1]
    assert [driver.call('kfree', ptr) for ptr in wild] == [BAD_FREE] * len(wild)
    assert standing(driver) == before
    free_all(driver, [first, third])
    assert_in_order(driver)


@pytest.mark.parametrize('order', [(0, 1, 2), (0, 2, 1), (1, 0, 2), (1, 2, 0), (2, 0, 1), (2, 1, 0)])
def test_neighbours_are_joined_whatever_the_order_of_their_ends(driver: Driver, order: tuple[int, ...]) -> None:
    pointers = [driver.call('kmalloc', 100) for _ in range(3)]
    guard = driver.call('kmalloc', 100)
    free_all(driver, [pointers[index] for index in order])
    assert_in_order(driver)
    assert [driver.call('kfree', ptr) for ptr in pointers] == [BAD_FREE] * 3
    whole = 3 * chunk_bytes(100) - 8
    assert driver.call('kmalloc', whole) == pointers[0]
    free_all(driver, [pointers[0], guard])
    assert driver.kernel.heap.first_fit.top == HEAP + 8
    assert_in_order(driver)


def test_the_chunk_that_waited_longest_is_taken_and_split_at_its_high_end(driver: Driver) -> None:
    pointers = [driver.call('kmalloc', nbytes) for nbytes in (400, 16, 300, 16, 200, 16)]
    free_all(driver, [pointers[2], pointers[0], pointers[4]])
    assert driver.call('kmalloc', 100) == pointers[2] + chunk_bytes(300) - chunk_bytes(100)
    assert driver.call('kmalloc', 390) == pointers[0]  # the first with room; its rest would be no chunk
    assert driver.call('used_bytes') == chunk_bytes(100) + chunk_bytes(400) + 3 * chunk_bytes(16)
    assert_in_order(driver)


def test_frames_come_with_the_first_chunk_that_reaches_them_and_stay(driver: Driver) -> None:
    ptr = driver.call('kmalloc', 1)
    assert nr_used_frames(driver) == 1
    assert committed_bytes(driver) == PAGE_BYTES
    long = driver.call('kmalloc', 3 * PAGE_BYTES)
    assert nr_used_frames(driver) == 4
    free_all(driver, [ptr, long])
    assert nr_used_frames(driver) == 4
    assert driver.call('kmalloc', 3 * PAGE_BYTES) == FIRST
    assert nr_used_frames(driver) == 4


def test_a_page_is_committed_only_when_its_first_byte_is_needed(driver: Driver) -> None:
    """The second chunk's header is the last word of the first page, its payload begins on the second."""
    assert driver.call('kmalloc', PAGE_BYTES - 24) == FIRST
    assert committed_bytes(driver) == PAGE_BYTES
    assert driver.call('kmalloc', 1) == HEAP + PAGE_BYTES
    assert committed_bytes(driver) == 2 * PAGE_BYTES
    assert_in_order(driver)


def test_the_heap_grows_to_16_mib_and_no_further(driver: Driver) -> None:
    pointers = []
    while ptr := driver.call('kmalloc', 60_000):
        pointers.append(ptr)
    assert len(pointers) == (HEAP_MAX_BYTES - 16) // chunk_bytes(60_000)
    before = standing(driver)
    assert driver.call('kmalloc', 60_000) == 0
    assert standing(driver) == before
    rest = HEAP_MAX_BYTES - 16 - len(pointers) * chunk_bytes(60_000)
    pointers.append(driver.call('kmalloc', rest - 8))
    assert driver.call('free_bytes') == 0
    assert committed_bytes(driver) == HEAP_MAX_BYTES
    assert driver.call('kmalloc', 1) == 0
    for number, ptr in enumerate(pointers):
        write_payload(driver, ptr, 60_000 if ptr != pointers[-1] else rest - 8, number % 256)
    kept = [
        is_payload_kept(driver, ptr + 59_000 * (ptr != pointers[-1]), 64, n % 256) for n, ptr in enumerate(pointers)
    ]
    assert all(kept)
    assert driver.call('check_heap') == 0
    random.Random(1).shuffle(pointers)
    free_all(driver, pointers)
    assert driver.call('kmalloc', LARGEST) == FIRST
    assert_in_order(driver)


def test_running_out_of_frames_is_an_answer_and_not_an_end(driver: Driver) -> None:
    """Other users take all frames but a few; the heap gets what is left and then says no."""
    nr_left = 6
    taken = driver.execute([call_of('alloc_page')] * (driver.call('nr_free_frames') - nr_left))
    ptr = driver.call('kmalloc', nr_left * PAGE_BYTES - 24)
    assert ptr == FIRST
    before = standing(driver)
    assert driver.call('kmalloc', 1) == 0
    assert standing(driver) == before
    assert driver.call('free_page', taken[0]) == 0
    assert driver.call('kmalloc', 1) == HEAP + nr_left * PAGE_BYTES
    assert_in_order(driver)


@pytest.mark.parametrize(
    ('nbytes', 'prelude'), [(1, 0), (5 * PAGE_BYTES, 0), (5 * PAGE_BYTES, (1 << 21) - 3 * PAGE_BYTES)]
)
def test_each_request_for_a_frame_fails_once(driver: Driver, nbytes: int, prelude: int) -> None:
    """For each k the k-th request is refused: 0, and nothing has changed. The last prelude ends before a new table."""
    if prelude:
        driver.call('kmalloc', prelude)
    before = standing(driver)
    for refused in range(1, 100):
        driver.call('refuse_at', refused)
        ptr = driver.call('kmalloc', nbytes)
        if driver.kernel.frames.requests < refused:
            break
        assert ptr == 0
        assert standing(driver) == before
        assert_in_order(driver)
    nr_pages = -(-(nbytes + 24) // PAGE_BYTES)
    assert ptr != 0
    assert refused - 1 >= nr_pages  # frames, and a table where there was none
    assert driver.call('kfree', ptr) == 0
    assert_in_order(driver)


def test_a_payload_that_looks_like_a_chunk_is_none(driver: Driver) -> None:
    """The header of a real chunk, copied in front of every other place of a payload."""
    real = driver.call('kmalloc', 40)
    host = driver.call('kmalloc', 400)
    header = driver.call('load', real - 8)
    for at in range(0, 400 - 16, 16):
        driver.call('store', host + at + 8, header)
    before = standing(driver)
    assert {driver.call('kfree', host + at) for at in range(16, 400, 16)} == {BAD_FREE}
    assert standing(driver) == before


def test_what_is_left_of_an_ended_chunk_is_none(plain_driver: Driver) -> None:
    """Pointers from before, into the payload of a larger chunk; in the build that does not poison, nothing hides them.

    The old chunks end in different ways: at top, before a free chunk, behind one.
    """
    driver = plain_driver
    for order in ((0, 1, 2, 3), (3, 2, 1, 0), (1, 3, 0, 2)):
        for is_last in (False, True):
            old = [driver.call('kmalloc', 40) for _ in range(4)]
            guard = 0 if is_last else driver.call('kmalloc', 8)
            free_all(driver, [old[index] for index in order])
            large = driver.call('kmalloc', 4 * 48 - 8)
            assert large == old[0]
            assert [driver.call('kfree', ptr) for ptr in old[1:]] == [BAD_FREE] * 3
            free_all(driver, [large, guard])
    assert driver.call('used_bytes') == 0
    assert_in_order(driver)


def test_freed_and_fresh_payloads_are_poisoned_in_this_build(driver: Driver) -> None:
    ptr, guard = driver.call('kmalloc', 200), driver.call('kmalloc', 8)
    assert is_payload_kept(driver, ptr, 200, POISON_FRESH)
    write_payload(driver, ptr, 200, 1)
    free_all(driver, [ptr])
    links_bytes, tag_bytes = 16, 8
    assert is_payload_kept(driver, ptr + links_bytes, 200 - links_bytes - tag_bytes, POISON_FREED)
    free_all(driver, [guard])


@pytest.mark.parametrize('beyond', [1, 4, 8])
def test_writing_past_the_end_of_a_payload_is_found_by_kfree(driver: Driver, beyond: int) -> None:
    """The next chunk's header is broken: it is not taken back, and giving back the one before is a panic."""
    ptr, following = driver.call('kmalloc', 24), driver.call('kmalloc', 24)
    write_payload(driver, ptr, 24 + beyond, 0x11)
    assert driver.call('kfree', following) == BAD_FREE
    assert driver.call('check_heap') == 2
    with pytest.raises(GuestEnded):
        driver.call('kfree', ptr)
    assert driver.kernel.console.nr_panics == 1
