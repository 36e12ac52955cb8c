"""Defects 5 to 9 and 15 of the first memory manager for this system, which was in C: none of them comes back."""

import random
from collections.abc import Callable
from typing import Any

import pytest

from incroos.guest import mailbox
from incroos.kernel import heap
from incroos.kernel.codes import BAD_FREE
from incroos.kernel.configs import CLASSIC
from incroos.kernel.layout import HEAP, PAGE_BYTES
from incroos.run.harness import Driver
from incroos.run.sim import Sim

from .heap_help import LARGEST, assert_in_order, free_all, is_payload_kept, standing, write_payload


def test_defect_5_the_heap_grows_from_1_mib_to_16_mib_without_a_page_fault(driver: Driver) -> None:
    """It wrote beyond the 2 MiB that were mapped. A page fault would end the machine."""
    ptr = driver.call('kmalloc', LARGEST)
    assert ptr == HEAP + 16
    write_payload(driver, ptr, LARGEST, 0x5A)
    for at in (0, 1 << 20, 2 << 20, 8 << 20, LARGEST - 64):
        assert is_payload_kept(driver, ptr + at, 64, 0x5A)
    assert_in_order(driver)


@pytest.mark.parametrize('size', [2**64 - 1, 2**64 - 7, 2**63, 2**63 - 1, 2**64 - 4096])
def test_defect_6_a_size_that_wraps_gives_no_pointer(driver: Driver, size: int) -> None:
    """As a word, 2**64 - 1 is -1."""
    size_word = size - 2**64 if size >= 2**63 else size
    before = standing(driver)
    assert driver.call('kmalloc', size_word) == 0
    assert standing(driver) == before


def test_defect_7_a_double_kfree_is_refused(driver: Driver) -> None:
    """In each state that a chunk can end in: alone, joined to the one before, to the one behind, to top."""
    pointers = [driver.call('kmalloc', 40) for _ in range(6)]
    for index in (1, 3, 2, 5, 4, 0):
        assert driver.call('kfree', pointers[index]) == 0
        before = standing(driver)
        assert driver.call('kfree', pointers[index]) == BAD_FREE
        assert standing(driver) == before


def test_defect_7_a_kfree_of_any_address_writes_nothing(driver: Driver) -> None:
    """It wrote a header in front of whatever it was given."""
    ptr, frame = driver.call('kmalloc', 4000), driver.call('alloc_page')
    write_payload(driver, ptr, 4000, 0x33)
    driver.call('fill', frame, 0x44, PAGE_BYTES)
    before = standing(driver)
    addresses = [frame, frame + 64, ptr + 64, ptr + 2000, 0x7000, 0x20_0000, HEAP + (1 << 20), HEAP + (20 << 20)]
    assert [driver.call('kfree', addr) for addr in addresses] == [BAD_FREE] * len(addresses)
    assert standing(driver) == before


def test_defect_8_payloads_are_16_byte_aligned(driver: Driver) -> None:
    """They were at 8 modulo 16. Sizes of all residues, from top, from split chunks and from whole ones."""
    rng = random.Random(8)
    live: list[int] = []
    for nbytes in range(1, 120):
        live.append(driver.call('kmalloc', nbytes))
        if nbytes % 3 == 0:
            free_all(driver, [live.pop(rng.randrange(len(live)))])
    assert [ptr for ptr in live if ptr == 0 or ptr % 16 != 0] == []


def test_defect_9_a_failed_growth_gives_everything_back_and_can_be_tried_again(driver: Driver) -> None:
    """It leaked the pages that it had mapped, and mapped over them later."""
    driver.call('kmalloc', 100)
    before = standing(driver)
    driver.call('refuse_at', 20)
    assert driver.call('kmalloc', 40 * PAGE_BYTES) == 0
    assert standing(driver) == before
    assert driver.call('get_physical', HEAP + PAGE_BYTES) < 0
    ptr = driver.call('kmalloc', 40 * PAGE_BYTES)
    assert ptr != 0
    write_payload(driver, ptr, 40 * PAGE_BYTES, 9)
    assert_in_order(driver)


def test_defect_15_kfree_takes_as_many_accesses_with_thousands_of_chunks_as_with_ten() -> None:
    """Each kfree walked the whole list. Counted are the kernel's accesses to memory, not time."""
    assert accesses_of_kfree(10) == accesses_of_kfree(3000)


def accesses_of_kfree(nr_chunks: int) -> list[int]:
    """Loads and stores of kfree: a chunk between used ones, behind a free one, before one, between two, before top."""
    sim = Sim(64 << 20, CLASSIC)
    sim.start(mailbox.start)
    count = count_accesses(sim)
    pointers = [heap.kmalloc(sim.kernel, 100) for _ in range(nr_chunks)]
    figures = []
    for index in (0, 1, 4, 3, 6, 5, nr_chunks - 1):
        before = count()
        assert heap.kfree(sim.kernel, pointers[index]) == 0
        figures.append(count() - before)
    return figures


def count_accesses(sim: Sim) -> Callable[[], int]:
    """Count each load and store of a word from now on; answers with the count so far."""
    machine, accesses = sim.machine, 0

    def counted(primitive: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: int) -> Any:
            nonlocal accesses
            accesses += 1
            return primitive(*arguments)

        return call

    machine.load64, machine.store64 = counted(machine.load64), counted(machine.store64)  # type: ignore[method-assign]
    return lambda: accesses
