"""The virtual memory manager, calls that change nothing: refusals, translations, walks."""

from typing import Final

import pytest

from incroos.kernel import vmm
from incroos.kernel.codes import (
    ALREADY_MAPPED,
    BAD_FLAGS,
    BAD_LEVEL,
    ENTRY_IN_USE,
    EXIT_PANIC,
    LARGE_PAGE,
    MISALIGNED,
    NO_FRAME,
    NOT_CANONICAL,
    NOT_MAPPED,
    OK,
    OUT_OF_RANGE,
    SMALL_PAGE,
)
from incroos.kernel.layout import STACK_GUARD, ZONE_START
from incroos.kernel.vmm import NX, PRESENT, USER, WRITABLE
from incroos.lang import VirtAddr
from incroos.machine.errors import MachineStopped

from ..guest import ADDRESS, WHOLE_4_MIB, Guest

DATA: Final = PRESENT | WRITABLE | NX
HEAP: Final = 0x1000_0000
FAR: Final = 0x7FFF_C000_0000  # nothing near it: three new tables
HUGE: Final = 2 << 20


@pytest.fixture
def guest() -> Guest:
    return Guest(4 << 20, WHOLE_4_MIB)


@pytest.fixture(scope='module')
def shared() -> Guest:
    """For tests that leave it as it was. Mapped: a page at HEAP, 2 MiB at 0x4000_0000, 1 GiB at 0x8000_0000."""
    guest = Guest(4 << 20, WHOLE_4_MIB)
    assert guest.call('map_page', HEAP, ZONE_START, DATA) == OK
    assert guest.call('map_leaf', 0x4000_0000, 0x4000_0000, DATA, 2) == OK
    assert guest.call('map_leaf', 0x8000_0000, 0x8000_0000, DATA, 3) == OK
    return guest


REFUSED_MAPS: Final = [
    (1 << 47, 0, DATA, NOT_CANONICAL),
    ((-1 << 47) - 0x1000, 0, DATA, NOT_CANONICAL),
    ((1 << 63) - 0x1000, 0, DATA, NOT_CANONICAL),
    (-1 << 63, 0, DATA, NOT_CANONICAL),
    (FAR + 1, 0, DATA, MISALIGNED),
    (FAR + 0x800, 0, DATA, MISALIGNED),
    (FAR, 8, DATA, MISALIGNED),
    (FAR, 0xFFF, DATA, MISALIGNED),
    (FAR, 1 << 52, DATA, OUT_OF_RANGE),
    (FAR, (1 << 63) - 0x1000, DATA, OUT_OF_RANGE),
    (FAR, -0x1000, DATA, OUT_OF_RANGE),
    (FAR, NO_FRAME & ~0xFFF, DATA, OUT_OF_RANGE),
    (FAR, 0, 0, BAD_FLAGS),
    (FAR, 0, WRITABLE | USER | NX, BAD_FLAGS),  # not present
    (FAR, 0, PRESENT | 1 << 12, BAD_FLAGS),  # bits of the address
    (FAR, 0, PRESENT | 1 << 51, BAD_FLAGS),
    (HEAP, 0, DATA, ALREADY_MAPPED),
    (HEAP, ZONE_START, DATA, ALREADY_MAPPED),
    (0, 0, DATA, ALREADY_MAPPED),
    (0x4000_0000, 0, DATA, ALREADY_MAPPED),  # inside a leaf of 2 MiB
    (0x401F_F000, 0, DATA, ALREADY_MAPPED),
    (0x8000_0000, 0, DATA, ALREADY_MAPPED),  # inside a leaf of 1 GiB
    (0xBFFF_F000, 0, DATA, ALREADY_MAPPED),
]


@pytest.mark.parametrize(('va', 'pa', 'flags', 'code'), REFUSED_MAPS)
def test_map_page_refuses_and_changes_nothing(shared: Guest, va: int, pa: int, flags: int, code: int) -> None:
    before = shared.state()
    assert shared.call('map_page', va, pa, flags) == code
    assert shared.state() == before


@pytest.mark.parametrize(
    ('va', 'pa', 'flags', 'level', 'code'),
    [
        (FAR, 0, DATA, 0, BAD_LEVEL),
        (FAR, 0, DATA, 4, BAD_LEVEL),
        (FAR, 0, DATA, -1, BAD_LEVEL),
        (FAR, 0, DATA, 1 << 62, BAD_LEVEL),
        (FAR + 0x1000, 0, DATA, 2, MISALIGNED),
        (FAR, 0x10_0000, DATA, 2, MISALIGNED),
        (FAR + HUGE, 0, DATA, 3, MISALIGNED),
        (FAR, HUGE, DATA, 3, MISALIGNED),
        (FAR, 0, DATA | 1 << 13, 2, BAD_FLAGS),
        (FAR, 0, DATA | 1 << 20, 2, BAD_FLAGS),
        (FAR, 0, DATA | 1 << 29, 3, BAD_FLAGS),
        (HEAP, 0, DATA, 2, ALREADY_MAPPED),  # a table with a page stands there
        (0, 0, DATA, 3, ALREADY_MAPPED),
        (0x4000_0000, 0, DATA, 2, ALREADY_MAPPED),
        (0x4000_0000, 0, DATA, 3, ALREADY_MAPPED),
        (0x8020_0000, 0, DATA, 2, ALREADY_MAPPED),
    ],
)
def test_map_leaf_refuses_and_changes_nothing(
    shared: Guest, va: int, pa: int, flags: int, level: int, code: int
) -> None:
    before = shared.state()
    assert shared.call('map_leaf', va, pa, flags, level) == code
    assert shared.state() == before


REFUSED_PLACES: Final = [
    (1 << 47, 1, NOT_CANONICAL),
    (-1 << 63, 1, NOT_CANONICAL),
    (HEAP + 1, 1, MISALIGNED),
    (HEAP + 0x1000, 2, MISALIGNED),
    (HEAP, 0, BAD_LEVEL),
    (HEAP, 4, BAD_LEVEL),
    (HEAP + 0x1000, 1, NOT_MAPPED),
    (FAR, 1, NOT_MAPPED),
    (FAR, 3, NOT_MAPPED),
    (STACK_GUARD, 1, NOT_MAPPED),
    (0x4000_0000, 1, LARGE_PAGE),
    (0x4000_1000, 1, LARGE_PAGE),
    (0x8000_0000, 1, LARGE_PAGE),
    (0x8000_0000, 2, LARGE_PAGE),
    (0x8020_0000, 2, LARGE_PAGE),
    (HEAP, 2, SMALL_PAGE),
    (0x4000_0000, 3, SMALL_PAGE),
    (0, 3, SMALL_PAGE),
]


@pytest.mark.parametrize(('va', 'level', 'code'), REFUSED_PLACES)
def test_unmap_and_protect_refuse_and_change_nothing(shared: Guest, va: int, level: int, code: int) -> None:
    before = shared.state()
    assert shared.call('unmap_leaf', va, level) == code
    assert shared.call('protect_leaf', va, PRESENT | USER, level) == code
    if level == 1:
        assert shared.call('unmap_page', va) == shared.call('protect', va, PRESENT | USER) == code
    assert shared.state() == before


@pytest.mark.parametrize('flags', [0, WRITABLE, NX, PRESENT | 1 << 12, PRESENT | 1 << 40])
def test_protect_refuses_bad_flags(shared: Guest, flags: int) -> None:
    before = shared.state()
    assert shared.call('protect', HEAP, flags) == BAD_FLAGS
    assert shared.state() == before


@pytest.mark.parametrize('va', [1 << 47, (-1 << 47) - 1, -1 << 63, (1 << 63) - 1])
def test_translation_of_what_is_not_canonical(shared: Guest, va: int) -> None:
    assert shared.call('get_physical', va) == NOT_CANONICAL
    assert vmm.walk(shared.k, VirtAddr(va)) == (NOT_CANONICAL, 0, 0, 0)


@pytest.mark.parametrize('note', [1 << 1, 0xABCD << 12, -1 << 63, 0x7E])
def test_an_entry_that_is_not_present_and_not_zero_is_left_alone(guest: Guest, note: int) -> None:
    assert guest.call('map_page', HEAP, 0, DATA) == OK
    slot = guest.entries_to(HEAP)[2] & ADDRESS
    guest.poke(slot + 8, '<q', note)
    guest.k.frames.records[slot >> 12].nr_entries += 1  # as whoever leaves a note has to count it
    before = guest.state()
    va = HEAP + 0x1000
    assert guest.call('map_page', va, 0, DATA) == ENTRY_IN_USE
    assert guest.call('get_physical', va) == guest.call('unmap_page', va) == NOT_MAPPED
    assert guest.call('protect', va, DATA) == NOT_MAPPED
    assert vmm.walk(guest.k, VirtAddr(va)) == (NOT_MAPPED, 1, slot + 8, note)
    assert guest.state() == before
    assert guest.call('check_vmm') == OK
    assert guest.call('unmap_page', HEAP) == 0
    assert guest.entries_to(HEAP)[2] & ADDRESS == slot, 'the table with the note in it is kept'


def test_a_note_in_an_upper_entry_is_left_alone(guest: Guest) -> None:
    slot = 0x3000 + 8 * (HEAP >> 21)
    guest.poke(slot, '<q', 0x42)
    before = guest.state()
    assert guest.call('map_page', HEAP, 0, DATA) == ENTRY_IN_USE
    assert guest.call('map_leaf', HEAP, 0, DATA, 2) == ENTRY_IN_USE
    assert guest.state() == before


# ------------------------------------------------------------------ large leaves, walk
def test_translation_inside_large_leaves(shared: Guest) -> None:
    for va in (0x4000_0000, 0x4000_1234, 0x401F_FFFF, 0x8000_0000, 0x8765_4321, 0xBFFF_FFFF):
        assert shared.call('get_physical', va) == va
    assert shared.call('get_physical', 0x4020_0000) == shared.call('get_physical', 0xC000_0000) == NOT_MAPPED


def test_walk_says_where_it_ends(shared: Guest) -> None:
    def walk(va: int) -> tuple[int, int, int]:
        code, level, slot, entry = vmm.walk(shared.k, VirtAddr(va))
        assert entry == shared.word_at(slot)
        return code, level, slot

    assert walk(FAR) == (NOT_MAPPED, 4, 0x1000 + 8 * (FAR >> 39))
    assert walk(0x4000_1000)[:2] == (OK, 2)
    assert walk(0x4020_0000)[:2] == (NOT_MAPPED, 2)
    assert walk(0x8765_4321) == (OK, 3, 0x2000 + 8 * 2)
    assert walk(0x10_0008) == (OK, 1, 0x4000 + 8 * 0x100)
    assert walk(STACK_GUARD) == (NOT_MAPPED, 1, 0x4000 + 8 * (STACK_GUARD >> 12))


def test_more_bits_than_the_processor_has_are_a_fault_at_the_access(guest: Guest) -> None:
    """map_leaf looks at the architecture's limit; this processor has 46 bits."""
    pa = 1 << guest.cpu.pa_bits
    assert guest.call('map_page', FAR, pa, DATA) == OK
    with pytest.raises(MachineStopped):
        guest.sim.machine.load8(VirtAddr(FAR))
    assert (guest.cpu.cr2, guest.cpu.stop_code) == (FAR, EXIT_PANIC)
    assert b'reserved bits in an entry' in guest.sim.console()
