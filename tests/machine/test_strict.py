"""What the strict machine refuses, with the kernel's line; and that its memory of translations hides nothing."""

from collections.abc import Callable

import pytest

from incroos.lang import (
    Machine,
    PhysAddr,
    Struct,
    VirtAddr,
    copy,
    fill,
    invlpg,
    kernel,
    load8,
    load32,
    load64,
    store8,
    store64,
    u32,
    word,
    write_cr3,
)
from incroos.machine import architecture as arch
from incroos.machine.computer import Computer
from incroos.machine.errors import (
    DoesNotFit,
    MachineStopped,
    Misuse,
    NullPointer,
    OutsideRam,
    StaleTranslation,
    UnwrittenLoad,
)
from incroos.machine.strict import SimulatedMachine

from .lab import DATA, LEAF, RAM_BYTES, ROOT, TABLES, D, G, P, W
from .strict_lab import OTHER, VA, Strict, get_word, put_narrow, put_word, refused, warm


# ---------------------------------------------------------------- bytes that nobody wrote
def test_a_load_of_bytes_that_nobody_wrote(strict: Strict) -> None:
    m = strict.machine
    refused(UnwrittenLoad, 'return load64(m, va)', lambda: get_word(m, VA))
    put_narrow(m, VA, 7)
    refused(UnwrittenLoad, 'return load64(m, va)', lambda: get_word(m, VA))
    assert load32(m, VA) == 7
    put_narrow(m, VirtAddr(VA + 4), 0)
    assert get_word(m, VA) == 7
    with pytest.raises(UnwrittenLoad, match=f'{DATA + 8:#x}'):
        load64(m, VirtAddr(VA + 1))


def test_a_fill_writes_and_a_copy_copies_also_what_was_not_written(strict: Strict) -> None:
    m = strict.machine
    fill(m, VA, 0, 16)
    copy(m, VirtAddr(VA + 64), VirtAddr(VA + 8), 16)
    assert load64(m, VirtAddr(VA + 64)) == 0
    with pytest.raises(UnwrittenLoad):
        load8(m, VirtAddr(VA + 72))


def test_a_walk_through_a_table_that_nobody_wrote(strict: Strict) -> None:
    strict.put(strict.level2, DATA | P | W)
    refused(UnwrittenLoad, 'return load64(m, va)', lambda: get_word(strict.machine, VA))


def test_a_load_across_pages_of_which_one_is_unwritten(strict: Strict) -> None:
    strict.map(DATA + 0x3000 | P | W, page=1)
    put_word(strict.machine, VirtAddr(VA + 4088), -1)
    with pytest.raises(UnwrittenLoad, match=f'{DATA + 0x3000:#x}'):
        load64(strict.machine, VirtAddr(VA + 4092))


# ---------------------------------------------------------------- null pointers
@pytest.mark.parametrize('addr', [0, 8, 4088])
def test_an_access_through_a_null_pointer(strict: Strict, addr: int) -> None:
    """Though the page is mapped and its bytes are written; also when the way to it is known."""
    m, null = strict.machine, VirtAddr(addr)
    strict.map_first_page()
    m.poke(DATA, bytes(4096))
    for _ in range(2):
        refused(NullPointer, 'return load64(m, va)', lambda: get_word(m, null))
        refused(NullPointer, 'store64(m, va, value)', lambda: put_word(m, null, 1))
    assert bytes(m.ram[DATA : DATA + 4096]) == bytes(4096)


def test_a_range_that_begins_or_ends_at_a_null_pointer(strict: Strict) -> None:
    m, null = strict.machine, VirtAddr(0)
    strict.map_first_page()
    fill(m, VA, 1, 16)
    fill(m, VirtAddr(-8), 1, 8)
    for call in (
        lambda: fill(m, null, 0, 1),
        lambda: copy(m, null, VA, 8),
        lambda: copy(m, VirtAddr(VA + 8), null, 8),
        lambda: load64(m, VirtAddr(-4)),
        lambda: m.atomic_add64(null, 1),
    ):
        with pytest.raises(NullPointer):
            call()
    fill(m, null, 0, 0)
    copy(m, null, null, 0)


def test_a_null_pointer_to_a_page_that_is_not_mapped_faults(strict: Strict) -> None:
    with pytest.raises(LookupError):
        get_word(strict.machine, VirtAddr(0))
    assert strict.faults == [(0, 0)]


# ---------------------------------------------------------------- numbers and arguments
@pytest.mark.parametrize('value', [-1, 1 << 32])
def test_a_number_that_does_not_fit(strict: Strict, value: int) -> None:
    for _ in range(2):  # the first access to a page goes another way than the second
        refused(DoesNotFit, 'store32(m, va, value)', lambda: put_narrow(strict.machine, VA, value))
        store8(strict.machine, VA, 0)


@pytest.mark.parametrize('value', [1 << 63, -(1 << 63) - 1])
def test_a_word_that_overflowed(strict: Strict, value: int) -> None:
    for _ in range(2):
        refused(DoesNotFit, 'store64(m, va, value)', lambda: put_word(strict.machine, VA, value))
        store8(strict.machine, VA, 0)


def test_an_address_that_overflowed(strict: Strict) -> None:
    refused(DoesNotFit, 'store64(m, va, value)', lambda: put_word(strict.machine, VirtAddr(1 << 63), 0))


class Pair(Struct):
    """A field that is narrower than a word."""

    first: u32
    second: u32


@kernel
def set_field(pair: Pair, value: word) -> None:
    pair.second = value


def test_a_field_that_does_not_fit_names_the_assignment(strict: Strict) -> None:
    pair = Pair(strict.machine, VA)
    set_field(pair, (1 << 32) - 1)
    assert pair.second == (1 << 32) - 1
    refused(DoesNotFit, 'pair.second = value', lambda: set_field(pair, 1 << 32))


@pytest.mark.parametrize(
    'call',
    [
        lambda m: fill(m, VA, 0, -1),
        lambda m: fill(m, VA, 256, 1),
        lambda m: copy(m, VirtAddr(VA + 8), VA, 16),
        lambda m: m.atomic_load64(VirtAddr(VA + 4)),
        lambda m: m.out8(1 << 16, 0),
        lambda m: m.out8(0x80, 256),
        lambda m: m.in8(-1),
    ],
)
def test_a_precondition_that_does_not_hold(strict: Strict, call: Callable[[Machine], object]) -> None:
    with pytest.raises((Misuse, DoesNotFit)):
        call(strict.machine)


# ---------------------------------------------------------------- outside RAM
@pytest.mark.parametrize('pa', [0xA0000, 0xC0000, 0xFF000, RAM_BYTES, 1 << 40])
def test_an_access_outside_ram(strict: Strict, pa: int) -> None:
    strict.map(pa | P | W)
    refused(OutsideRam, 'store64(m, va, value)', lambda: put_word(strict.machine, VA, 0))
    refused(OutsideRam, 'return load64(m, va)', lambda: get_word(strict.machine, VA))


def test_the_screen_is_memory(strict: Strict) -> None:
    strict.map(0xB8000 | P | W)
    put_word(strict.machine, VA, 5)
    assert get_word(strict.machine, VA) == 5


# ---------------------------------------------------------------- stale translations
@pytest.mark.parametrize('now', [OTHER | P | W | D, 0, OTHER | P, DATA | P])
def test_a_translation_used_after_its_entry_changed(strict: Strict, now: int) -> None:
    warm(strict)
    strict.map(now)
    refused(StaleTranslation, 'store64(m, va, value)', lambda: put_word(strict.machine, VA, 2))
    if now == DATA | P:
        assert get_word(strict.machine, VA) == 1  # reading is still allowed
    else:
        refused(StaleTranslation, 'return load64(m, va)', lambda: get_word(strict.machine, VA))


@kernel
def change_entry(m: Machine, at: VirtAddr, entry: word) -> None:
    store64(m, at, entry)


def test_a_change_by_the_kernel_itself_is_seen(strict: Strict) -> None:
    """The kernel sees the table by a page of its own, and stores through the shortcut."""
    window = VirtAddr(VA + 4096)
    strict.map(TABLES + 0x2000 | P | W, page=1)
    warm(strict)
    for value in (0, 0):
        change_entry(strict.machine, VirtAddr(window + 0x800), value)  # the page of the table is known by now
    change_entry(strict.machine, window, OTHER | P | W | D)
    refused(StaleTranslation, 'return load64(m, va)', lambda: get_word(strict.machine, VA))
    invlpg(strict.machine, VA)
    put_word(strict.machine, VA, 8)
    assert strict.machine.ram[OTHER] == 8


@pytest.mark.parametrize('how', ['fill', 'copy', 'narrow'])
def test_a_change_by_any_kind_of_store_is_seen(strict: Strict, how: str) -> None:
    window = VirtAddr(VA + 4096)
    strict.map(TABLES + 0x2000 | P | W, page=1)
    warm(strict)
    m = strict.machine
    if how == 'fill':
        fill(m, window, 0, 8)
    elif how == 'copy':
        store64(m, VirtAddr(window + 0xF00), OTHER | P | W)
        copy(m, window, VirtAddr(window + 0xF00), 8)
    else:
        store8(m, VirtAddr(window + 2), OTHER + 0x10000 >> 16 & 0xFF)
    refused(StaleTranslation, 'store64(m, va, value)', lambda: put_word(m, VA, 1))


@pytest.mark.parametrize('flush', [lambda m: invlpg(m, VA), lambda m: write_cr3(m, ROOT)])
def test_a_flush_makes_a_change_good(strict: Strict, flush: Callable[[Machine], None]) -> None:
    warm(strict)
    strict.map(OTHER | P | W)
    flush(strict.machine)
    put_word(strict.machine, VA, 9)
    assert strict.machine.ram[OTHER] == 9


def test_a_flush_and_a_use_before_the_change(strict: Strict) -> None:
    """Between flush and change the page was used: it is remembered again."""
    warm(strict)
    invlpg(strict.machine, VA)
    warm(strict, times=1)
    strict.map(OTHER | P | W)
    refused(StaleTranslation, 'return load64(m, va)', lambda: get_word(strict.machine, VA))


def test_a_translation_that_the_simulated_tlb_lost_is_stale_all_the_same(strict: Strict) -> None:
    warm(strict)
    strict.map(DATA + 0x2000 | P | W, page=256)
    put_word(strict.machine, VirtAddr(VA + 256 * 4096), 3)  # takes the slot
    strict.map(OTHER | P | W)
    refused(StaleTranslation, 'store64(m, va, value)', lambda: put_word(strict.machine, VA, 2))


def test_more_rights_need_no_flush(strict: Strict) -> None:
    strict.put(DATA, 4)
    strict.map(DATA | P)
    assert get_word(strict.machine, VA) == 4
    strict.map(DATA | P | W)
    put_word(strict.machine, VA, 5)
    assert strict.faults == []


def test_a_large_page_is_remembered_as_a_whole(strict: Strict) -> None:
    strict.put(strict.level2, 0 | P | W | LEAF)
    put_word(strict.machine, VirtAddr(VA + 0x110000), 1)
    strict.put(strict.level2, 0x20_0000 | P | W | LEAF)
    elsewhere = VirtAddr(VA + 0x150000)
    refused(StaleTranslation, 'store64(m, va, value)', lambda: put_word(strict.machine, elsewhere, 2))
    invlpg(strict.machine, VirtAddr(VA + 0x1000))
    put_word(strict.machine, elsewhere, 2)
    assert strict.machine.ram[0x35_0000] == 2


def test_a_large_page_split_into_small_ones_of_the_same_frames_needs_no_flush(strict: Strict) -> None:
    strict.put(strict.level2, 0x20_0000 | P | W | LEAF)
    warm(strict)
    strict.map(0x20_0000 | P | W)
    strict.put(strict.level2, TABLES + 0x2000 | P | W)
    put_word(strict.machine, VA, 7)
    assert get_word(strict.machine, VA) == 7


def test_global_pages_stay_known_over_a_load_of_cr3(strict: Strict) -> None:
    m = strict.machine
    m.write_cr4(m.read_cr4() | arch.CR4_PGE)
    strict.map(DATA | P | W | G)
    warm(strict)
    strict.map(OTHER | P | W | G)
    write_cr3(m, ROOT)
    refused(StaleTranslation, 'store64(m, va, value)', lambda: put_word(m, VA, 1))
    m.write_cr4(m.read_cr4() & ~arch.CR4_PGE)
    put_word(m, VA, 1)
    assert m.ram[OTHER] == 1


# ---------------------------------------------------------------- faults that the kernel mends
def test_a_handler_that_moves_the_first_page_of_an_access_across_pages(strict: Strict) -> None:
    m = strict.machine
    m.poke(DATA, bytes(4096))
    m.poke(DATA + 0x3000, bytes(4096))

    def mend(_error: int, _ip: int) -> None:
        strict.map(DATA + 0x3000 | P | W)
        m.invlpg(VA)
        strict.map(DATA + 0x1000 | P | W, page=1)

    m.connect(mend, strict.on_exception, lambda data: None, lambda: None)
    put_word(m, VirtAddr(VA + 4092), -1)
    assert m.ram[DATA + 4092 : DATA + 4096] == bytes(4)
    assert m.ram[DATA + 0x3000 + 4092 : DATA + 0x4000] == b'\xff' * 4


# ---------------------------------------------------------------- how the machine ends
def test_more_ram_than_can_be_interpreted_is_refused() -> None:
    with pytest.raises(ValueError, match='256 MiB'):
        SimulatedMachine(Computer((256 << 20) + 4096))


def test_the_exit_port_stops_the_machine(strict: Strict) -> None:
    with pytest.raises(MachineStopped):
        strict.machine.out8(0xF4, 0x10)
    assert strict.machine.cpu.stop_code == 0x10


def test_an_address_that_is_not_canonical_is_a_general_protection_fault(strict: Strict) -> None:
    with pytest.raises(LookupError, match=rf'\({arch.GENERAL_PROTECTION}, 0\)'):
        load64(strict.machine, VirtAddr(1 << 47))


def test_frames_that_held_tables_may_hold_data(strict: Strict) -> None:
    """Frame numbers that walks once read are remembered; writing data there must change nothing."""
    warm(strict)
    strict.put(strict.level2, 0)
    invlpg(strict.machine, VA)
    strict.machine.poke(TABLES + 0x3000, bytes(4096))
    strict.put(TABLES + 0x3000, TABLES + 0x2000 | P | W)
    strict.put(strict.level2, TABLES + 0x3000 | P | W)
    for value in (P | W, 0, -1):
        put_word(strict.machine, VA, value)
        assert get_word(strict.machine, VA) == value
    assert PhysAddr(strict.machine.ram[TABLES + 0x2000]) == 0xFF
