"""Tags, red zones and quarantine: what FULL says of each mistake of a user, word for word, and that it makes none."""

import random
from collections.abc import Iterator
from dataclasses import replace
from typing import Final, NamedTuple

import pytest

from incroos.kernel.codes import BAD_FREE
from incroos.kernel.config import NR_QUARANTINED, KernelConfig
from incroos.kernel.configs import CLASSIC, MODERN
from incroos.kernel.heap.block import POISON_FREED, POISON_FRESH
from incroos.kernel.heap.harden import tag
from incroos.kernel.heap.lifecycle import TAG_INVARIANTS
from incroos.lang import VirtAddr
from incroos.run.harness import DirectDriver, Driver

from ..drivers import FULL_BUILDS, PLACES, Build, open_driver
from .panics import text_of_panic

SIZES: Final = {'object': 100, 'chunk': 2000, 'large': 2 << 20}
SITE: Final = 0x40_1000  # of the first of four blocks; the others have the next numbers
FREED_AT: Final = 0x40_2000
NONE: Final = 'none'
OBJECT_BYTES: Final = 176  # of the class for 100 bytes and what is round them
NR_RANDOM: Final = 64  # objects that fill slabs, whichever of them come first


@pytest.fixture(params=PLACES)
def place(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(params=FULL_BUILDS)
def build(request: pytest.FixtureRequest) -> Build:
    return FULL_BUILDS[request.param]


@pytest.fixture
def full(place: str, build: Build) -> Iterator[Driver]:
    """A kernel whose heap hardens itself fully, in each place."""
    with open_driver(place, build=build) as driver:
        yield driver


def word(value: int) -> str:
    return f'0x{value & 2**64 - 1:016X}'


def four_in_a_row(pointers: list[int]) -> list[int]:
    """The first four objects that are neighbours."""
    starts = range(len(pointers) - 3)
    first = next(at for at in starts if pointers[at + 3] - pointers[at] == 3 * OBJECT_BYTES)
    return pointers[first : first + 4]


class Blocks:
    """Four blocks of one size that lie in a row, and how a report names them."""

    def __init__(self, driver: Driver, nbytes: int) -> None:
        self.driver, self.nbytes = driver, nbytes
        is_modern = driver.kernel.config.space == MODERN.space
        has_random_place = is_modern and nbytes < 1024
        given = {}
        for number in range(NR_RANDOM if has_random_place else 4):
            given[driver.call('kmalloc_at', nbytes, SITE + number)] = number
        assert 0 not in given
        self.at = four_in_a_row(sorted(given)) if has_random_place else list(given)
        self.numbers = [given[ptr] for ptr in self.at]
        self.freed: set[int] = set()
        self.are_neighbours = nbytes < 1 << 20 or not is_modern

    def free(self, number: int, off: int = 0) -> int:
        self.freed.add(number)
        return self.driver.call('kfree_at', self.at[number] + off, FREED_AT + number)

    def write(self, number: int, off: int, nbytes: int = 1) -> int:
        """Somebody writes where he must not; the address."""
        self.driver.call('fill', self.at[number] + off, 0x41, nbytes)
        return self.at[number] + off

    def name(self, number: int) -> str:
        text = f'{word(self.at[number])}, {self.nbytes} bytes, number {self.numbers[number] + 1}, '
        text += f'asked for at {word(SITE + self.numbers[number])}'
        return text + (f', freed at {word(FREED_AT + number)}' if number in self.freed else '')

    def lines(self, number: int) -> str:
        """What a report says about a block and its neighbours; no block has neighbours in vmalloc."""
        before, behind = (self.name(number - 1), self.name(number + 1)) if self.are_neighbours else (NONE, NONE)
        return f'  block   {self.name(number)}\n  before  {before}\n  after   {behind}\n'


class Damage(NamedTuple):
    """A mistake of a user that a kfree or a shrink finds: where it wrote, and how much."""

    what: str
    off: int  # of the first byte, from the payload or, `is_behind`, from its end
    nbytes: int = 1
    is_behind: bool = False
    is_freed: bool = False


BEHIND: Final = 'written behind the end of a block'
IN_FRONT: Final = 'written in front of a block'
AFTER_FREE: Final = 'written to a block after its kfree'
DAMAGES: Final = {
    'overflow by a byte': Damage(BEHIND, 0, is_behind=True),
    'overflow by 8 bytes': Damage(BEHIND, 0, 8, is_behind=True),
    'a byte a little behind': Damage(BEHIND, 11, is_behind=True),
    'underflow by a byte': Damage(IN_FRONT, -1),
    'underflow by 16 bytes': Damage(IN_FRONT, -16, 16),
    'write after free': Damage(AFTER_FREE, 3, is_freed=True),
    'write to the last byte after free': Damage(AFTER_FREE, -1, is_behind=True, is_freed=True),
    'overflow after free': Damage(BEHIND, 0, is_behind=True, is_freed=True),
    'underflow after free': Damage(IN_FRONT, -1, is_freed=True),
}


def report_of_damage(what: str, at: int, found: int, block: int, lines: str) -> str:
    words = f'{word(at)} {word(found)} {word(block)}'
    head = f'heap: {what}\n  at      {word(at)}, found {word(found)}\n'
    return f'{head}{lines}PANIC: heap: damage, as reported: address, found, block {words}\n'


def report_of_call(what: str, at: int, site: int, lines: str) -> str:
    words = f'{word(at)} {word(site)} {word(0)}'
    head = f'heap: {what}\n  at      {word(at)}, called at {word(site)}\n'
    return f'{head}{lines}PANIC: heap: wrong call, as reported: address, call site {words}\n'


def assert_damage_is_reported(place: str, build: Build, size: str, damage: Damage) -> None:
    """The second of four blocks is damaged, heap.check tells it, and the next look at the block ends in the report."""
    wanted = []

    def scene(driver: Driver) -> None:
        blocks = Blocks(driver, SIZES[size])
        if damage.is_freed:
            assert blocks.free(1) == 0
        at = blocks.write(1, damage.off + damage.is_behind * SIZES[size], damage.nbytes)
        wanted.append(report_of_damage(damage.what, at, 0x41, blocks.at[1], blocks.lines(1)))
        if size != 'large':
            assert driver.call('check_heap') == TAG_INVARIANTS + {IN_FRONT: 2, BEHIND: 3, AFTER_FREE: 4}[damage.what]
            assert driver.call('find_damage') == at
        if damage.is_freed:
            driver.call('shrink')
        else:
            blocks.free(1)

    assert [text_of_panic(place, build, scene)] == wanted


COMBINATIONS: Final = [
    (size, how)
    for size in SIZES
    for how, damage in DAMAGES.items()
    if size != 'large' or not damage.is_freed  # a block that is larger than the quarantine does not wait in it
]


@pytest.mark.parametrize('place', PLACES[:2])
@pytest.mark.parametrize(('size', 'how'), COMBINATIONS)
def test_damage_is_found_and_reported(place: str, build: Build, size: str, how: str) -> None:
    assert_damage_is_reported(place, build, size, DAMAGES[how])


def test_damage_is_reported_in_qemu(build: Build) -> None:
    assert_damage_is_reported('qemu', build, 'object', DAMAGES['overflow by a byte'])


@pytest.mark.parametrize('place', PLACES[1:2])
@pytest.mark.parametrize('size', SIZES)
def test_a_long_overflow_shows_what_is_left_of_the_block_behind(place: str, build: Build, size: str) -> None:
    """Over the tag of an object, over header and tag of a chunk; the red zone of a large block takes it all."""
    wanted = []

    def scene(driver: Driver) -> None:
        blocks = Blocks(driver, SIZES[size])
        at = blocks.write(1, SIZES[size], 64)
        lines = blocks.lines(1)
        behind = blocks.at[2] - 48
        if blocks.are_neighbours and (size != 'object' or driver.kernel.config.space == CLASSIC.space):
            lines = lines.replace(blocks.name(2), f'{word(behind)}, its header is overwritten')
        elif blocks.are_neighbours:
            lines = lines.replace(blocks.name(2), f'{word(behind)}, 176 bytes')
        wanted.append(report_of_damage(BEHIND, at, 0x41, blocks.at[1], lines))
        blocks.free(1)

    assert [text_of_panic(place, build, scene)] == wanted


@pytest.mark.parametrize('place', PLACES[1:2])
@pytest.mark.parametrize('size', SIZES)
def test_a_tag_that_is_overwritten_is_reported(place: str, build: Build, size: str) -> None:
    wanted = []

    def scene(driver: Driver) -> None:
        blocks = Blocks(driver, SIZES[size])
        blocks.write(1, -20, 20)  # over the number, too
        tag = blocks.at[1] - 48
        is_object = size == 'object' and build.config.space == MODERN.space
        room = 176 if is_object else (SIZES[size] + 64 + 8 + 15 & -16) - 8
        what = f'{word(tag)}, {room} bytes'
        lines = blocks.lines(1).replace(blocks.name(1), what if blocks.are_neighbours else NONE)
        seal = driver.call('load', tag)
        wanted.append(report_of_damage('the tag of a block is overwritten', tag, seal, blocks.at[1], lines))
        blocks.free(1)

    assert [text_of_panic(place, build, scene)] == wanted


NO_BLOCK: Final = 'kfree or krealloc of an address that is no block'
TWICE: Final = 'kfree or krealloc of a block that was freed'
CALLS: Final = {
    'kfree inside a block': (NO_BLOCK, 16),
    'kfree of an odd address': (NO_BLOCK, 1),
    'double free': (TWICE, 0),
}


@pytest.mark.parametrize('place', PLACES[:2])
@pytest.mark.parametrize('size', ['object', 'chunk'])
@pytest.mark.parametrize('how', CALLS)
def test_a_wrong_call_is_reported_with_the_block_that_it_meets(place: str, build: Build, size: str, how: str) -> None:
    what, off = CALLS[how]
    wanted = []

    def scene(driver: Driver) -> None:
        blocks = Blocks(driver, SIZES[size])
        if off == 0:
            assert blocks.free(1) == 0
        wanted.append(report_of_call(what, blocks.at[1] + off, FREED_AT + 1, blocks.lines(1)))
        driver.call('kfree_at', blocks.at[1] + off, FREED_AT + 1)

    assert [text_of_panic(place, build, scene)] == wanted


NOWHERE: Final = f'  block   {NONE}\n  before  {NONE}\n  after   {NONE}\n'


@pytest.mark.parametrize('place', PLACES[1:2])
@pytest.mark.parametrize('addr', [8, 0x1000, -16, -(1 << 63), (1 << 63) - 16, 1 << 46])
def test_a_kfree_of_any_address_is_reported(place: str, build: Build, addr: int) -> None:
    def scene(driver: Driver) -> None:
        Blocks(driver, 100)
        driver.call('kfree_at', addr, FREED_AT)

    assert text_of_panic(place, build, scene) == report_of_call(NO_BLOCK, addr, FREED_AT, NOWHERE)


@pytest.mark.parametrize('place', PLACES[1:2])
def test_a_header_that_is_overwritten_is_reported(place: str, build: Build) -> None:
    """The design below does not know the block any more, and the report says why."""
    wanted = []

    def scene(driver: Driver) -> None:
        blocks = Blocks(driver, 2000)
        blocks.write(1, -56, 8)
        base = blocks.at[1] - 48
        lines = f'  block   unknown\n  before  {word(base)}, its header is overwritten\n  after   unknown\n'
        wanted.append(report_of_call(NO_BLOCK, blocks.at[1], FREED_AT + 1, lines))
        blocks.free(1)

    assert [text_of_panic(place, build, scene)] == wanted


# ------------------------------------------------------------------ who makes no mistake
def test_a_block_has_the_bytes_that_were_asked_for_and_its_poison(full: Driver) -> None:
    is_modern = full.kernel.config.space == MODERN.space
    for nbytes in (1, 16, 100, 1000, 5000, 2 << 20):
        ptr = full.call('kmalloc', nbytes)
        assert ptr % 16 == 0
        assert full.call('kmalloc_usable_size', ptr) == nbytes
        assert full.call('kmalloc_usable_size', ptr + 16) == 0
        seen = min(nbytes, 600)
        assert full.call('count_other', ptr, POISON_FRESH, seen) == 0
        assert full.call('kfree', ptr) == 0
        assert full.call('kmalloc_usable_size', ptr) == 0
        if nbytes < 1 << 18:
            assert full.call('count_other', ptr, POISON_FREED, seen) == 0
        assert full.call('used_bytes') == 0
        zeroed = full.call('kzalloc', nbytes)
        assert full.call('count_other', zeroed, 0, seen) == 0
        assert full.call('kfree', zeroed) == 0
    for shift in range(5, 14) if is_modern else ():
        ptr = full.call('kmemalign', 1 << shift, 100)
        assert ptr % (1 << shift) == 0
        assert full.call('kmalloc_usable_size', ptr) == 100
        assert full.call('krealloc', ptr, 50_000) % (1 << shift) == 0
    assert full.call('check_heap') == 0


def test_krealloc_keeps_content_and_tags(full: Driver) -> None:
    ptr = full.call('kmalloc_at', 100, SITE)
    full.call('fill', ptr, 0x17, 100)
    for number, nbytes in enumerate((60, 100, 3000, 20_000, 500, 100), 1):
        blocker = full.call('kmalloc', 100)
        ptr = full.call('krealloc_at', ptr, nbytes, SITE + number)
        assert full.call('count_other', ptr, 0x17, min(nbytes, 60)) == 0
        assert full.call('kmalloc_usable_size', ptr) == nbytes
        assert full.call('check_heap') == 0
        assert full.call('kfree', blocker) == 0
    assert full.call('krealloc', ptr, 0) == 0
    assert full.call('used_bytes') == 0


def test_the_quarantine_keeps_the_last_blocks_and_zeroes_what_leaves(full: Driver) -> None:
    first = full.call('kmalloc', 100)
    others = [full.call('kmalloc', 100) for _ in range(NR_QUARANTINED)]
    assert full.call('kfree', first) == 0
    for ptr in others[:-1]:
        assert full.call('kfree', ptr) == 0
    assert full.call('count_other', first, POISON_FREED, 100) == 0  # the ring is full, and it is in there still
    assert full.kernel.heap.quarantine.nr_blocks == NR_QUARANTINED
    assert full.call('kfree', others[-1]) == 0
    assert full.kernel.heap.quarantine.nr_blocks == NR_QUARANTINED
    if full.kernel.config.space == MODERN.space:
        assert full.call('count_other', first, 0, 100) == 0
    before = full.kernel.heap.quarantine.nr_blocks
    for _ in range(10):
        assert full.call('kfree', full.call('kmalloc', 50_000)) == 0
    assert full.kernel.heap.quarantine.nr_blocks < before
    assert full.kernel.heap.quarantine.nbytes <= full.kernel.config.quarantine_bytes
    assert full.call('check_heap') == 0
    full.call('shrink')
    assert full.kernel.heap.quarantine.nr_blocks == full.kernel.heap.quarantine.nbytes == 0
    assert full.call('check_heap') == 0


def test_the_quarantine_is_emptied_before_a_request_is_refused(place: str) -> None:
    """Of the 16 MiB of classic, quarantine has a block in the middle; then a block over all of it is asked for."""
    with open_driver(place, build=FULL_BUILDS['classic']) as driver:
        ptr = driver.call('kmalloc', 100_000)
        assert driver.call('kfree', ptr) == 0
        assert driver.kernel.heap.quarantine.nr_blocks == 1
        most = (16 << 20) - 24 - 64
        assert driver.call('kmalloc', most + 1) == 0
        assert driver.kernel.heap.quarantine.nr_blocks == 0
        assert driver.call('kmalloc', most) == ptr
        assert driver.call('check_heap') == 0


@pytest.mark.parametrize('nbytes', [100, 5000])
def test_each_frame_refused_once(build: Build, nbytes: int) -> None:
    with open_driver('sim', build=build) as driver:
        for refused in range(1, 100):
            used, free = driver.call('used_bytes'), driver.call('nr_free_frames')
            driver.call('refuse_at', refused)
            ptr = driver.call('kmalloc', nbytes)
            was_refused = driver.kernel.frames.requests >= refused
            driver.call('refuse_at', 0)
            assert (ptr == 0) == was_refused
            if ptr != 0:
                break
            assert (driver.call('used_bytes'), driver.call('nr_free_frames')) == (used, free)
            assert [driver.call(name) for name in ('check_heap', 'check_vmm', 'check_pmm')] == [0, 0, 0]
        assert refused > 1


def test_a_mix_of_requests_against_intervals(full: Driver) -> None:
    rng = random.Random(7)
    live: dict[int, tuple[int, int]] = {}
    for step in range(400):
        if live and rng.randrange(5) < 2:
            ptr = rng.choice(list(live))
            nbytes, byte = live.pop(ptr)
            assert full.call('count_other', ptr + max(nbytes - 64, 0), byte, min(nbytes, 64)) == 0
            if rng.randrange(3) != 0:
                assert full.call('kfree', ptr) == 0
                continue
            new_bytes = rng.choice((nbytes + 1, 16, 700, 9000))
            ptr, nbytes = full.call('krealloc', ptr, new_bytes), new_bytes
        else:
            nbytes = rng.choice((rng.randint(1, 64), rng.randint(1, 1100), rng.randint(1, 20_000)))
            ptr = full.call('kmalloc', nbytes)
        assert ptr % 16 == 0 < ptr & 2**64 - 1
        assert all(ptr + nbytes <= other or other + size <= ptr for other, (size, _) in live.items())
        full.call('fill', ptr, step % 251, nbytes)
        live[ptr] = nbytes, step % 251
        if step % 40 == 0:
            assert full.call('check_heap') == 0
    for ptr in live:
        assert full.call('kfree', ptr) == 0
    full.call('shrink')
    assert full.call('used_bytes') == 0
    assert full.call('check_heap') == 0


# ------------------------------------------------------------------ tags without the rest
@pytest.mark.parametrize('config', [CLASSIC, MODERN], ids=['classic', 'modern'])
def test_call_sites_can_be_built_in_without_full_hardening(config: KernelConfig) -> None:
    with open_driver('sim', build=Build(replace(config, call_sites=1), is_checked=False)) as driver:
        assert isinstance(driver, DirectDriver)
        pointers = [driver.call('kmalloc_at', nbytes, SITE + nbytes) for nbytes in (16, 1000, 4000)]
        for ptr, nbytes in zip(pointers, (16, 1000, 4000), strict=True):
            of = tag.tag_of(driver.k.heap, VirtAddr(ptr))
            assert (tag.nbytes_of(of), of.site, tag.is_sealed(driver.k.heap, of)) == (nbytes, SITE + nbytes, True)
            driver.call('fill', ptr, 0, nbytes)
        assert driver.call('check_heap') == 0
        for ptr in pointers:
            assert driver.call('kfree', ptr) == 0
            assert driver.call('kfree', ptr) == BAD_FREE
        assert driver.call('used_bytes') == 0
        assert driver.call('kfree', 0x1000) == BAD_FREE
        assert driver.call('check_heap') == 0
