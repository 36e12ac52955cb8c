"""The mailbox: what the host writes is executed, in guests that run in processes of their own."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from incroos.guest.calls import CODES
from incroos.guest.mailbox import NR_OPERATIONS_MAX, Mailbox
from incroos.guest.services import UNKNOWN
from incroos.kernel.arch.pte import NX, PRESENT, WRITABLE
from incroos.kernel.codes import BAD_FREE, EXIT_FAILED, EXIT_PASSED
from incroos.kernel.layout import HEAP, MAILBOX, MAILBOX_END, POOL_END, POOL_START, ZONE_FRAMES, ZONE_START
from incroos.run import jit, qemu_guest
from incroos.run.harness import BatchRefused, Call, Driver, GuestEnded, GuestHung, MailboxDriver, call_of
from incroos.run.outcome import Status

from ..budget import SECONDS
from ..kernel.drivers import make_guest

ENDLESS = {'panic', 'spin', 'stop'}
PAGE = 0x60_0000_0000
DATA = PRESENT | WRITABLE | NX


@contextmanager
def ready(place: str) -> Iterator[tuple[jit.Guest | qemu_guest.Guest, MailboxDriver]]:
    """A guest and the driver of its mailbox."""
    with make_guest(place) as guest:
        driver = MailboxDriver(guest.ram, guest.is_running)
        driver.wait_until_ready()
        yield guest, driver


def test_the_mailbox_fits_its_place() -> None:
    assert Mailbox.SIZE <= MAILBOX_END - MAILBOX


def test_every_operation_does_what_its_name_says(driver: Driver) -> None:
    """Each once, with words and results that tell it from all others."""
    heap_frame, frame = ZONE_START, ZONE_START + 0x1000
    steps: list[tuple[str, tuple[int, ...], int]] = [
        ('nr_total_frames', (), ZONE_FRAMES),
        ('kmalloc', (100,), HEAP + 16),
        ('get_physical', (HEAP + 17,), heap_frame + 17),
        ('used_bytes', (), 112),
        ('free_bytes', (), (1 << 20) - 16 - 112),
        ('committed_bytes', (), 0x1000),
        ('kmalloc_usable_size', (HEAP + 16,), 104),
        ('kzalloc', (40,), HEAP + 128),
        ('kcalloc', (3, 8), HEAP + 176),
        ('krealloc', (HEAP + 176, 24), HEAP + 176),
        ('krealloc', (HEAP + 176, 0), 0),
        ('kmemalign', (32, 8), 0),  # not in this configuration
        ('owns', (HEAP + 128,), 1),
        ('kfree', (HEAP + 128,), 0),
        ('owns', (PAGE,), 0),
        ('shrink', (), 0),  # nor this
        ('alloc_page', (), frame),
        ('nr_free_frames', (), ZONE_FRAMES - 2),
        ('map_page', (PAGE, frame, DATA), 0),
        ('store', (PAGE + 8, 0x1234), 0),
        ('load', (frame + 8,), 0x1234),
        ('fill', (PAGE + 16, 7, 100), 0),
        ('count_other', (frame + 14, 7, 104), 4),
        ('protect', (PAGE, PRESENT), 0),
        ('unmap_page', (PAGE,), frame),
        ('map_leaf', (PAGE, 1 << 30, DATA, 3), 0),
        ('protect_leaf', (PAGE, PRESENT, 3), 0),
        ('get_physical', (PAGE + 0x12345,), (1 << 30) + 0x12345),
        ('unmap_leaf', (PAGE, 3), 1 << 30),
        ('map_range', (PAGE, 1 << 30, 2 << 20, DATA), 0),
        ('protect_range', (PAGE + 0x1000, 0x1000, PRESENT), 0),
        ('merge', (PAGE, 2 << 20), 0),
        ('get_physical', (PAGE + 0x12345,), (1 << 30) + 0x12345),
        ('unmap_range', (PAGE, 2 << 20), 0),
        ('is_managed', (frame,), 1),
        ('is_managed', (POOL_START,), 0),
        ('is_page', (frame,), 1),
        ('free_page', (frame,), 0),
        ('is_page', (frame,), 0),
        ('take_frame', (), frame),
        ('address_of', (frame + 8,), frame + 8),
        ('free_page', (frame,), 0),
        ('zero_ahead', (9,), 0),  # not in this configuration
        ('kfree', (HEAP + 16,), 0),
        ('kmalloc_at', (100, 7), HEAP + 16),
        ('krealloc_at', (HEAP + 16, 104, 7), HEAP + 16),
        ('kzalloc_at', (40, 7), HEAP + 128),
        ('kcalloc_at', (3, 8, 7), HEAP + 176),
        ('kmemalign_at', (32, 8, 7), 0),  # not in this configuration
        ('kfree_at', (HEAP + 128, 7), 0),
        ('kfree_at', (HEAP + 176, 7), 0),
        ('kfree_at', (HEAP + 16, 7), 0),
        ('find_damage', (), 0),
        ('vmalloc', (100,), 0),  # not in this configuration, as what follows
        ('vfree', (PAGE,), BAD_FREE),
        ('check_vmalloc', (), 0),
        ('collect_statistics', (), UNKNOWN),
        ('put_statistics', (), UNKNOWN),
        ('nr_total_pool_frames', (), 143),
        ('nr_free_pool_frames', (), 142),  # one table, for the heap's first 2 MiB
        ('refuse_at', (1,), 0),
        ('alloc_page', (), -1),
        ('check_heap', (), 0),
        ('check_pmm', (), 0),
        ('check_vmm', (), 0),
        ('check_space', (), 0),
    ]
    for name, words, wanted in steps:
        assert driver.call(name, *words) == wanted, name
    table = driver.call('alloc_table', 1)
    assert POOL_START <= table < POOL_END
    assert driver.call('check_vmm') == 4  # a table that no entry names
    assert driver.call('free_table', table) == driver.call('check_vmm') == 0
    elsewhere = {'alloc_table', 'free_table', 'read_memory_map'}  # above, and in test_pmm_memory_map.py
    elsewhere |= {'soak_begin', 'soak_run', 'soak_check', 'soak_finish'}  # in tests/run/test_soak.py
    elsewhere |= {name for name in CODES if name.startswith('block_soak_')}  # in tests/run/test_block_soak.py
    elsewhere |= {name for name in CODES if name.startswith('vm_')}  # in tests/kernel/vm
    elsewhere |= {name for name in CODES if name.startswith('cache_')}  # in test_caches.py
    elsewhere |= {
        'next_visit',
        'visited_bytes',
        'snapshot',
        'leaked_blocks',
        'leaked_bytes',
        'put_leaks',
    }  # in test_heap_walk.py
    assert {name for name, _, _ in steps} | ENDLESS | elsewhere == CODES.keys()


def test_codes_that_mean_nothing_are_answered_so(driver: Driver) -> None:
    unknown = [Call(code, (1, 2, 3, 4)) for code in (0, -1, len(CODES) + 1, 1 << 40)]
    assert driver.execute(unknown) == [UNKNOWN] * len(unknown)


def test_a_batch_longer_than_the_mailbox_goes_in_parts(driver: Driver) -> None:
    calls = [call_of('alloc_page')] * (NR_OPERATIONS_MAX + 10)
    assert driver.execute(calls) == list(range(ZONE_START, ZONE_START + 0x1000 * len(calls), 0x1000))
    assert driver.execute([]) == []


@pytest.mark.parametrize('place', ['jit', 'qemu'])
@pytest.mark.parametrize('nr_operations', [NR_OPERATIONS_MAX + 1, 1 << 40, -1])
def test_of_a_batch_that_is_too_long_nothing_is_done(place: str, nr_operations: int) -> None:
    with ready(place) as (_, driver):
        frame = driver.call('alloc_page')
        with pytest.raises(BatchRefused, match=f'too long: the mailbox has room for {NR_OPERATIONS_MAX:,}'):
            driver.wait_until_served(driver.ring(nr_operations))
        assert driver.call('alloc_page') == frame + 0x1000
        assert driver.execute([]) == []


def test_the_host_sends_no_batch_that_is_too_long() -> None:
    with ready('jit') as (_, driver):
        calls = [call_of('alloc_page')] * (NR_OPERATIONS_MAX + 1)
        with pytest.raises(BatchRefused, match=f'a batch of {NR_OPERATIONS_MAX + 1:,} operations is too long'):
            driver.send(calls)
        driver.wait_until_served(driver.send(calls[:-1]))
        assert driver.mailbox.operations[NR_OPERATIONS_MAX - 1].result > 0


def test_a_call_with_too_many_words_is_an_error() -> None:
    with pytest.raises(ValueError, match='kmalloc with 2 words: it takes 1'):
        call_of('kmalloc', 1, 2)


def test_a_call_shows_as_a_call() -> None:
    assert str(call_of('map_page', 0x1000, -1)) == 'map_page(0x1000, -0x1)'


@pytest.mark.parametrize('place', ['jit', 'qemu'])
def test_a_panic_ends_the_guest_and_the_wait(place: str) -> None:
    with ready(place) as (guest, driver):
        with pytest.raises(GuestEnded):
            driver.call('panic', 1, 2, -1)
        assert guest.wait(SECONDS).status is Status.PANIC
        text = 'PANIC: the host asked for it 0x0000000000000001 0x0000000000000002 0xFFFFFFFFFFFFFFFF\n'
        assert guest.console().decode().endswith(text)
        with pytest.raises(GuestEnded):
            driver.call('check_heap')


@pytest.mark.parametrize('place', ['jit', 'qemu'])
@pytest.mark.parametrize(('code', 'status'), [(EXIT_PASSED, Status.PASSED), (EXIT_FAILED, Status.FAILED)])
def test_stop_ends_the_guest_with_a_code(place: str, code: int, status: Status) -> None:
    with ready(place) as (guest, driver):
        driver.send([call_of('stop', code)])
        assert guest.wait(SECONDS).status is status


@pytest.mark.parametrize('place', ['jit', 'qemu'])
def test_a_guest_that_hangs_is_told_from_one_that_ended(place: str) -> None:
    with ready(place) as (guest, driver):
        driver.seconds = 0.3
        with pytest.raises(GuestHung):
            driver.call('spin')
        assert guest.is_running()
