"""Upper entries that the processor may remember: changed without a flush, they are stale, however long ago read."""

import pytest

from incroos.lang import VirtAddr
from incroos.machine.errors import StaleTranslation

from .lab import DATA, TABLES, P, W
from .strict_lab import OTHER, VA, Strict, get_word, put_word, refused, warm

NEIGHBOUR = VirtAddr(VA + 4096)  # never used before, so only an upper entry can be stale
NEW_TABLE = TABLES + 0x3000


def test_a_remembered_upper_entry_that_leads_to_a_freed_table(strict: Strict) -> None:
    """The order that DESIGN asks for is broken: the table is reused before the upper entry was flushed."""
    strict.map(DATA + 0x2000 | P | W, page=1)
    warm(strict)
    strict.put(strict.level2, 0)
    strict.put(strict.level1 + 8, OTHER | P | W)  # what was the table holds other words by now
    refused(StaleTranslation, 'store64(m, va, value)', lambda: put_word(strict.machine, NEIGHBOUR, 2))


def test_a_remembered_upper_entry_whose_table_was_freed_and_zeroed(strict: Strict) -> None:
    """A walk from the root would do; a processor that starts at the freed table faults."""
    warm(strict)
    strict.put(strict.level2, 0)
    strict.machine.poke(TABLES + 0x2000, bytes(4096))
    strict.machine.poke(NEW_TABLE, bytes(4096))
    strict.put(NEW_TABLE + 8, OTHER | P | W)
    strict.put(strict.level2, NEW_TABLE | P | W)
    refused(StaleTranslation, 'store64(m, va, value)', lambda: put_word(strict.machine, NEIGHBOUR, 2))


def test_an_upper_entry_that_the_simulated_caches_lost_is_stale_all_the_same(strict: Strict) -> None:
    warm(strict)
    far = VirtAddr(VA + (32 << 21))  # takes the slot of level 2
    strict.machine.poke(NEW_TABLE, bytes(4096))
    strict.put(NEW_TABLE, DATA + 0x4000 | P | W)
    strict.put(strict.level2 + 8 * 32, NEW_TABLE | P | W)
    put_word(strict.machine, far, 1)
    strict.put(strict.level2, 0)
    refused(StaleTranslation, 'store64(m, va, value)', lambda: put_word(strict.machine, NEIGHBOUR, 2))


@pytest.mark.parametrize('level', ['level4', 'level3', 'level2'])
@pytest.mark.parametrize('now', [0, P, NEW_TABLE | P | W])
def test_an_upper_entry_of_any_level(strict: Strict, level: str, now: int) -> None:
    """Gone, with fewer rights, or leading elsewhere; and after a flush it is no error."""
    strict.map(OTHER | P | W, page=1)
    warm(strict)
    strict.machine.poke(NEW_TABLE, bytes(4096))
    at = getattr(strict, level)
    before = strict.machine.ram[at : at + 8]
    table = int.from_bytes(before, 'little') & ~0xFFF
    strict.put(at, now | table if now == P else now)
    refused(StaleTranslation, 'store64(m, va, value)', lambda: put_word(strict.machine, NEIGHBOUR, 2))
    strict.machine.invlpg(VA)
    with pytest.raises(LookupError):
        put_word(strict.machine, NEIGHBOUR, 2)
    assert len(strict.faults) == 1


def test_an_upper_entry_that_grants_more_needs_no_flush(strict: Strict) -> None:
    strict.put(strict.level2, TABLES + 0x2000 | P)
    strict.put(DATA, 4)
    assert get_word(strict.machine, VA) == 4
    strict.put(strict.level2, TABLES + 0x2000 | P | W)
    strict.map(OTHER | P | W, page=1)
    put_word(strict.machine, NEIGHBOUR, 5)
    assert strict.faults == []


def test_a_table_that_is_replaced_after_a_flush(strict: Strict) -> None:
    warm(strict)
    strict.put(strict.level2, 0)
    strict.machine.invlpg(VA)
    strict.machine.poke(TABLES + 0x3000, bytes(4096))
    strict.put(TABLES + 0x3000 + (strict.level1 & 0xFFF), OTHER | P | W)
    strict.put(strict.level2, TABLES + 0x3000 | P | W)
    put_word(strict.machine, VA, 6)
    assert strict.machine.ram[OTHER] == 6
