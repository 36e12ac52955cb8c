"""A heap whose own words were written over, in each level that looks: a panic that names the block, or nothing at all.

What is overwritten lies in free chunks, or in the headers of used ones. In the end any word of them, at random.
"""

import random
from collections.abc import Callable
from typing import Final, NamedTuple

import pytest

from incroos.guest.soak.slots import WRONG_ANSWER
from incroos.inspect.address_space import AddressSpace
from incroos.kernel.codes import BAD_FREE, OK
from incroos.kernel.config import FULL
from incroos.kernel.configs import CLASSIC, CLASSIC_FULL, MODERN, MODERN_FULL
from incroos.kernel.heap.chunk import first_fit_header
from incroos.kernel.heap.chunk.header import BYTES_MASK, USED
from incroos.kernel.layout import HEAP, MODERN_HEAP
from incroos.lang import VirtAddr
from incroos.run import jit
from incroos.run.harness import Driver, GuestEnded, MailboxDriver
from incroos.run.outcome import Status
from incroos.run.simulated import unsent

from ...budget import FULL as FULL_BUDGET
from ...budget import SECONDS
from ..drivers import PLACES, Build, make_guest, open_driver
from .panics import text_of_panic

LEVELS: Final = {
    'classic, cheap': Build(CLASSIC, is_checked=False),
    'classic, full': Build(CLASSIC_FULL, is_checked=False, is_quick=True),
    'modern, cheap': Build(MODERN, is_checked=False),
    'modern, full': Build(MODERN_FULL, is_checked=False, is_quick=True),
}


def word(value: int) -> str:
    return f'0x{value & 2**64 - 1:016X}'


# ------------------------------------------------------------------ each kind of damage, in the level cheap
NBYTES: Final = 2000
ROOM: Final = 2008
GARBAGE: Final = 0x4141_4141_4141_4141
HEADER: Final = 'the header of a chunk is overwritten'
BOUNDARY: Final = 'the boundary tag of a free chunk is overwritten'
LINK: Final = 'a link of a free chunk is overwritten'


class Damage(NamedTuple):
    """Five chunks in a row, the second free where `is_freed`: what is written where, and what is freed then."""

    what: str
    block: int  # from which the address of the write is counted
    off: int
    freed: int
    is_freed: bool = True
    nbytes: int = 8


DAMAGES: Final = {
    'overflow by a byte into a used chunk': Damage(HEADER, 0, ROOM, freed=0, is_freed=False, nbytes=1),
    'overflow by 8 bytes into a used chunk': Damage(HEADER, 0, ROOM, freed=0, is_freed=False),
    'overflow by 64 bytes into a used chunk': Damage(HEADER, 0, ROOM, freed=0, is_freed=False, nbytes=64),
    'overflow by a byte into a free chunk': Damage(HEADER, 0, ROOM, freed=0, nbytes=1),
    'overflow by 64 bytes into a free chunk': Damage(HEADER, 0, ROOM, freed=0, nbytes=64),
    'header of a free chunk': Damage(HEADER, 1, -8, freed=0),
    'boundary tag': Damage(BOUNDARY, 2, -16, freed=2),
    'boundary tag, a byte': Damage(BOUNDARY, 2, -16, freed=2, nbytes=1),
    'link to the next': Damage(LINK, 1, 0, freed=0),
    'write after free, over both links': Damage(LINK, 1, 0, freed=0, nbytes=24),
}


OF_A_DESIGN: Final = {  # links that only one of them follows
    'link to the one before': ('classic', Damage(LINK, 1, 8, freed=0)),
    'link to the left': ('modern', Damage(LINK, 1, 16, freed=0)),
    'link to the right': ('modern', Damage(LINK, 1, 24, freed=0)),
    'link to the parent': ('modern', Damage(LINK, 1, 32, freed=0)),
}


@pytest.mark.parametrize('place', PLACES[:2])
@pytest.mark.parametrize('how', OF_A_DESIGN)
def test_damage_to_a_link_is_a_panic_that_names_its_chunk(place: str, how: str) -> None:
    design, damage = OF_A_DESIGN[how]
    assert_panic_names_it(place, LEVELS[f'{design}, cheap'], damage)


@pytest.mark.parametrize('place', PLACES[:2])
@pytest.mark.parametrize('design', ['classic', 'modern'])
@pytest.mark.parametrize('how', DAMAGES)
def test_damage_to_a_chunk_is_a_panic_that_names_it(place: str, design: str, how: str) -> None:
    assert_panic_names_it(place, LEVELS[f'{design}, cheap'], DAMAGES[how])


def test_damage_to_a_chunk_is_the_same_panic_in_qemu() -> None:
    assert_panic_names_it('qemu', LEVELS['modern, cheap'], DAMAGES['link to the next'])


def assert_panic_names_it(place: str, build: Build, damage: Damage) -> None:
    wanted = []

    def scene(driver: Driver) -> None:
        blocks = [driver.call('kmalloc', NBYTES) for _ in range(5)]
        for block in blocks:
            driver.call('fill', block, 7, ROOM)
        if damage.is_freed:
            assert driver.call('kfree', blocks[1]) == 0
        driver.call('fill', blocks[damage.block] + damage.off, 0x41, damage.nbytes)
        wanted.append(report(driver, damage, blocks))
        driver.call('kfree', blocks[damage.freed])

    assert [text_of_panic(place, build, scene)] == wanted


def report(driver: Driver, damage: Damage, blocks: list[int]) -> str:
    """What must be said: of a link, what it leads to."""
    at, free = blocks[1] - 8, ', free' if damage.is_freed else ''
    if damage.what == BOUNDARY:
        at = blocks[2] - 16
    found = driver.call('load', at)
    if damage.what == LINK:
        found = driver.call('load', blocks[damage.block] + damage.off)
        found ^= (driver.kernel.heap.hardening.secret ^ at) if driver.kernel.config.space == MODERN.space else 0
    block, after = f'{word(blocks[1])}, {ROOM} bytes{free}', f'{word(blocks[2])}, {ROOM} bytes'
    if damage.what == HEADER:
        block, after = f'{word(blocks[1])}, its header is overwritten', 'unknown'
    named = at if damage.what == BOUNDARY else blocks[1]
    return (
        f'heap: {damage.what}\n  at      {word(at)}, found {word(found)}\n'
        f'  block   {block}\n  before  {word(blocks[0])}, {ROOM} bytes\n  after   {after}\n'
        f'PANIC: heap: damage, as reported: address, found, block {word(at)} {word(found)} {word(named)}\n'
    )


@pytest.mark.parametrize('place', PLACES[:2])
@pytest.mark.parametrize('nbytes', [2000, 5000])  # in place, and elsewhere
@pytest.mark.parametrize('byte', [0, 4, 0x41])
def test_a_note_of_an_alignment_that_was_written_over_is_a_panic_of_krealloc(
    place: str, nbytes: int, byte: int
) -> None:
    wanted = []

    def scene(driver: Driver) -> None:
        ptr, behind = driver.call('kmemalign', 32, NBYTES), driver.call('kmalloc', NBYTES)
        usable = driver.call('kmalloc_usable_size', ptr)
        assert usable % 16 == 7  # to the note in the last byte of the chunk
        assert driver.call('check_heap') == 0
        driver.call('fill', ptr, byte, usable + 1)
        assert driver.call('check_heap') == 8
        before = f'{word(MODERN_HEAP + 16)}, 40 bytes, free'  # the way to a multiple of 32
        wanted.append(
            f'heap: the note of an alignment is overwritten\n  at      {word(ptr + usable)}, found {word(byte)}\n'
            f'  block   {word(ptr)}, {usable} bytes\n  before  {before}\n  after   {word(behind)}, {ROOM} bytes\n'
            'PANIC: heap: damage, as reported: address, found, block '
            f'{word(ptr + usable)} {word(byte)} {word(ptr)}\n'
        )
        driver.call('krealloc', ptr, nbytes)

    assert [text_of_panic(place, LEVELS['modern, cheap'], scene)] == wanted


@pytest.mark.parametrize('design', ['classic', 'modern'])
def test_wrong_calls_are_a_code_in_the_level_cheap(design: str) -> None:
    with open_driver('jit', build=LEVELS[f'{design}, cheap']) as driver:
        blocks = [driver.call('kmalloc', NBYTES) for _ in range(4)]
        driver.call('fill', blocks[2] - 8, 0x41, 8)  # over a header
        assert driver.call('kfree', blocks[1] + 16) == BAD_FREE
        assert driver.call('kfree', blocks[2]) == BAD_FREE
        assert driver.call('kfree', 0x1000) == BAD_FREE
        assert driver.call('kfree', blocks[3]) == 0
        assert driver.call('kfree', blocks[3]) == BAD_FREE
        assert driver.call('check_heap') == 2


# ------------------------------------------------------------------ any word, at random
NR_GUESTS: Final = 400 if FULL_BUDGET else 8
NR_DAMAGES: Final = 25  # of a guest that does not panic
NR_OPERATIONS: Final = 1500


def words_of_chunks(driver: Driver) -> list[int]:
    """The addresses of all words by which the heap goes: headers, and links and boundary tags of free chunks."""
    kernel, memory = driver.kernel, AddressSpace(driver.ram, driver.kernel.space.root)
    is_modern = kernel.config.space == MODERN.space
    at, top = (MODERN_HEAP + 8, kernel.heap.chunks.top) if is_modern else (HEAP + 8, kernel.heap.first_fit.top)
    found = []
    while at < top:
        header = memory.load64(VirtAddr(at))
        nbytes = header & (BYTES_MASK if is_modern else first_fit_header.BYTES_MASK)
        found.append(at)
        if not 32 <= nbytes <= top - at:
            break  # an earlier damage that nobody has met yet
        if not header & USED:
            nr_links = 5 if is_modern and nbytes >= 1024 else 2
            found += [*range(at + 8, at + 8 + 8 * nr_links, 8), at + nbytes - 8]
        elif kernel.config.hardening == FULL:
            found += range(at + 8, at + 8 + 48, 8)  # tag and red zone
        at += nbytes
    return found


def damage_a_word(driver: Driver, rng: random.Random) -> None:
    """Overwrite one of them: with anything, or with what is not far from right."""
    words = words_of_chunks(driver)
    at, other = rng.choice(words), rng.choice(words)
    value = driver.call('load', at)
    change: Callable[[], int] = rng.choice(
        [
            lambda: 0,
            lambda: rng.randrange(-1 << 63, 1 << 63),
            lambda: GARBAGE,
            lambda: driver.call('load', other),
            lambda: other,
            lambda: value ^ 1 << rng.randrange(8),
            lambda: value ^ 16 << rng.randrange(8),
        ]
    )
    driver.call('store', at, change())


@pytest.mark.parametrize('level', LEVELS)
def test_random_damage_is_a_panic_of_the_heap_or_harmless(level: str) -> None:
    """A soak goes on after each. It verifies all that it has: no content is lost, and no page fault comes."""
    rng = random.Random(level)
    nr_panics = 0
    for _ in range(NR_GUESTS):
        with make_guest('jit', build=LEVELS[level]) as guest:
            driver = MailboxDriver(guest.ram, guest.is_running, config=LEVELS[level].config)
            driver.wait_until_ready()
            at = driver.call('soak_begin', rng.randrange(1 << 32))
            assert driver.call('soak_run', at, NR_OPERATIONS) == 0
            try:
                for _ in range(NR_DAMAGES):
                    damage_a_word(driver, rng)
                    answer = driver.call('soak_run', at, NR_OPERATIONS)
                    assert answer in (OK, WRONG_ANSWER)  # kfree refuses a block whose header is overwritten
                    if answer != OK:
                        break
            except GuestEnded:
                assert isinstance(guest, jit.Guest)
                assert guest.wait(SECONDS).status == Status.PANIC
                text = (guest.console() + unsent(guest.computer.cpu)).decode()
                assert text.startswith(('heap: ', 'PANIC: heap: ')), text
                nr_panics += 1
    assert nr_panics > 0
