"""What is remembered belongs to a PCID, and stays while others are in use.

Intel SDM volume 3, "Process-Context Identifiers" and "Operations that Invalidate TLBs and Paging-Structure Caches".
"""

from collections.abc import Callable

import pytest

from incroos.lang import Machine, VirtAddr, invpcid, kernel, write_cr3, write_cr4
from incroos.machine import architecture as arch
from incroos.machine.computer import Computer
from incroos.machine.cpu import HAS_LA57, HAS_PCID, NR_CONTEXTS
from incroos.machine.errors import StaleTranslation
from incroos.machine.registers import cpu_cpuid

from .lab import DATA, LEAF, ROOT, TABLES, Bench, D, G, P, U, W
from .strict_lab import OTHER, Strict, get_word, put_word, refused, warm
from .strict_lab import VA as PAGE

VA = 0x40_0000_0000
KEEP = arch.CR3_KEEP


@pytest.fixture
def pcids(bench: Bench) -> Bench:
    """A processor that uses PCIDs and global pages. 1 is at DATA, 2 at OTHER."""
    bench.call('write_cr4', bench.cpu.cr4 | arch.CR4_PGE | arch.CR4_PCIDE)
    bench.put(DATA, 1)
    bench.put(OTHER, 2)
    return bench


def use_in(bench: Bench, *numbers: int, flags: int = 0) -> int:
    """Have each of the PCIDs remember that VA is at DATA, while memory says OTHER in the end; the entry's address."""
    at = bench.map(VA, DATA, P | W | D | flags)
    for pcid in numbers:
        bench.call('write_cr3', ROOT | pcid)
        assert bench.load(VA) == 1
    bench.put(at, OTHER | P | W | D | flags)
    return at


def seen_by(bench: Bench, *numbers: int) -> list[int]:
    """What each of the PCIDs reads at VA, nothing being flushed."""
    found = []
    for pcid in numbers:
        bench.call('write_cr3', ROOT | pcid | KEEP)
        found.append(bench.load(VA))
    return found


def test_each_pcid_has_its_own_translations(pcids: Bench) -> None:
    use_in(pcids, 1)
    assert seen_by(pcids, 1) == [1]
    assert seen_by(pcids, 2) == [2]


def test_a_translation_waits_while_another_pcid_uses_other_pages(pcids: Bench) -> None:
    use_in(pcids, 1)
    pcids.map(VA + 4096, DATA, P | W | D)
    pcids.call('write_cr3', ROOT | 2 | KEEP)
    assert pcids.load(VA + 4096) == 1
    assert seen_by(pcids, 1) == [1]
    pcids.store(VA, 9)
    assert (pcids.word(DATA), pcids.word(OTHER)) == (9, 2)


@pytest.mark.parametrize(('flush', 'left'), [(ROOT | 1, 2), (ROOT | 2, 1), (ROOT | 1 | KEEP, 1), (ROOT | 2 | KEEP, 1)])
def test_a_load_of_cr3_forgets_the_pcid_that_it_names_or_nothing(pcids: Bench, flush: int, left: int) -> None:
    use_in(pcids, 1)
    pcids.call('write_cr3', flush)
    assert seen_by(pcids, 1) == [left]


def test_the_bit_that_keeps_is_not_in_cr3(pcids: Bench) -> None:
    pcids.call('write_cr3', ROOT | 5 | KEEP)
    assert pcids.call('read_cr3') == ROOT | 5


@pytest.mark.parametrize(
    ('kind', 'pcid', 'va', 'left'),
    [
        (arch.INVPCID_ADDRESS, 1, VA + 8, 2),
        (arch.INVPCID_ADDRESS, 1, VA + 4096, 1),
        (arch.INVPCID_ADDRESS, 2, VA, 1),
        (arch.INVPCID_SPACE, 1, 0, 2),
        (arch.INVPCID_SPACE, 2, 0, 1),
        (arch.INVPCID_ALL, 0, 0, 2),
        (arch.INVPCID_ALL_SPACES, 0, 0, 2),
    ],
)
@pytest.mark.parametrize('present', [1, 3])
def test_invpcid(pcids: Bench, kind: int, pcid: int, va: int, left: int, present: int) -> None:
    use_in(pcids, 1)
    pcids.call('write_cr3', ROOT | present | KEEP)
    pcids.call('invpcid', kind, pcid, va)
    assert seen_by(pcids, 1) == [left]


@pytest.mark.parametrize('kind', [arch.INVPCID_ADDRESS, arch.INVPCID_SPACE, arch.INVPCID_ALL_SPACES])
def test_global_pages_are_everybodys_and_outlive_all_kinds_but_one(pcids: Bench, kind: int) -> None:
    use_in(pcids, 1, flags=G)
    pcids.call('invpcid', kind, 1, VA)
    assert seen_by(pcids, 1, 2, 3) == [1, 1, 1]
    pcids.call('invpcid', arch.INVPCID_ALL, 0, 0)
    assert seen_by(pcids, 1, 2) == [2, 2]


def test_invlpg_drops_a_global_page_for_all(pcids: Bench) -> None:
    use_in(pcids, 1, flags=G)
    pcids.call('write_cr3', ROOT | 2 | KEEP)
    pcids.call('invlpg', VA)
    assert seen_by(pcids, 1, 2) == [2, 2]


def test_invlpg_leaves_the_page_of_another_pcid(pcids: Bench) -> None:
    use_in(pcids, 1)
    pcids.call('write_cr3', ROOT | 2 | KEEP)
    pcids.call('invlpg', VA)
    assert seen_by(pcids, 1) == [1]


@pytest.mark.parametrize('level', [2, 3])
def test_large_pages_are_flushed_whole_in_one_pcid(pcids: Bench, level: int) -> None:
    at = pcids.map(VA, 0, P | W | D, level)
    inside = VA + DATA
    pcids.call('write_cr3', ROOT | 1)
    if level == 3:
        assert pcids.load(inside) == 1
    else:
        assert pcids.load(VA + ROOT) == pcids.word(ROOT)
    pcids.put(at, 0)
    pcids.call('write_cr3', ROOT | 2 | KEEP)
    pcids.call('invpcid', arch.INVPCID_ADDRESS, 1, VA + 0x1F_0000)
    pcids.put(at, P | W | D | LEAF | U)
    pcids.call('write_cr3', ROOT | 1 | KEEP)
    walks = pcids.cpu.nr_walks
    pcids.load(VA + ROOT if level == 2 else inside)
    assert pcids.cpu.nr_walks > walks


def test_clearing_pcide_forgets_everything_and_setting_it_nothing(pcids: Bench) -> None:
    use_in(pcids, 1)
    pcids.call('write_cr4', pcids.cpu.cr4 & ~arch.CR4_PCIDE)
    assert pcids.load(VA) == 2
    pcids.call('write_cr3', ROOT)
    use_in(pcids, 0)
    pcids.call('write_cr4', pcids.cpu.cr4 | arch.CR4_PCIDE)
    assert pcids.load(VA) == 1


@pytest.mark.parametrize('far', [1, NR_CONTEXTS])
def test_upper_entries_are_a_pcids_own(pcids: Bench, far: int) -> None:
    """A neighbour is walked to from the upper entry that PCID 1 remembers: the table that it named."""
    at = pcids.map(VA, DATA, P | W | D)
    pcids.put(at + 8, DATA | P | W | D)
    upper = pcids.entry_address(VA, 2)
    pcids.call('write_cr3', ROOT | 1)
    assert pcids.load(VA) == 1
    new_table = pcids.next_table
    pcids.ram[new_table : new_table + 4096] = bytes(4096)
    pcids.put(new_table + (at + 8 & 0xFFF), OTHER | P | W | D)
    pcids.put(upper, new_table | P | W | U)
    pcids.call('write_cr3', ROOT | 1 + far | KEEP)
    pcids.call('invlpg', VA + 4096)  # of 1 + far alone
    pcids.call('write_cr3', ROOT | 1 | KEEP)
    assert pcids.load(VA + 4096) == 1
    pcids.call('write_cr3', ROOT | 1 + far | KEEP)
    assert pcids.load(VA + 4096) == 2
    pcids.call('invpcid', arch.INVPCID_SPACE, 1, 0)
    pcids.call('write_cr3', ROOT | 1 | KEEP)
    assert pcids.load(VA + 4096) == 2


# ---------------------------------------------------------------- what is refused
@pytest.mark.parametrize(
    'write',
    [
        lambda m: m.write_cr4(m.read_cr4() ^ arch.CR4_LA57),
        lambda m: m.write_cr3(ROOT | KEEP),
        lambda m: (m.write_cr3(ROOT | 1), m.write_cr4(m.read_cr4() | arch.CR4_PCIDE)),
        lambda m: m.invpcid(4, 0, VirtAddr(0)),
        lambda m: m.invpcid(0, 1, VirtAddr(0)),
        lambda m: m.invpcid(0, 0, VirtAddr(1 << 60)),
        lambda m: m.invpcid(2, 1 << 12, VirtAddr(0)),
    ],
)
def test_what_faults_while_pcids_are_off(strict: Strict, write: Callable[[Machine], object]) -> None:
    with pytest.raises(LookupError, match=rf'\({arch.GENERAL_PROTECTION}, 0\)'):
        write(strict.machine)


@pytest.mark.parametrize(('features', 'leaf1', 'leaf7', 'bits'), [(0, 0, (0, 0), 48), (HAS_PCID, 1 << 17, (0, 0), 48)])
def test_a_processor_without(features: int, leaf1: int, leaf7: tuple[int, int], bits: int) -> None:
    cpu = Computer(1 << 20, features=features).cpu
    assert cpu_cpuid(cpu, 1, 0)[2] == leaf1
    assert cpu_cpuid(cpu, 7, 0)[1:3] == leaf7
    assert cpu_cpuid(cpu, 0x8000_0008, 0)[0] >> 8 & 0xFF == bits


def test_a_processor_with_all() -> None:
    cpu = Computer(1 << 20).cpu
    assert cpu_cpuid(cpu, 0, 0)[0] == 7
    assert cpu_cpuid(cpu, 7, 0)[1:3] == (1 << 7 | 1 << 10 | 1 << 20, 1 << 2 | 1 << 16)
    assert cpu_cpuid(cpu, 7, 1) == (0, 0, 0, 0)
    assert cpu_cpuid(Computer(1 << 20, features=HAS_LA57).cpu, 0x8000_0008, 0)[0] >> 8 & 0xFF == 57


# ---------------------------------------------------------------- the strict machine
@pytest.fixture
def spaces(strict: Strict) -> Strict:
    """PCIDs and global pages are in use, and PCID 1 remembers the page."""
    strict.machine.write_cr4(strict.machine.read_cr4() | arch.CR4_PGE | arch.CR4_PCIDE)
    write_cr3(strict.machine, ROOT | 1)
    warm(strict)
    return strict


@kernel
def come_back(m: Machine, root: int) -> None:
    write_cr3(m, root)


def test_a_stale_translation_after_a_switch_there_and_back(spaces: Strict) -> None:
    """Nothing of PCID 1 was flushed while it was away, whatever the other flushed of its own."""
    m = spaces.machine
    write_cr3(m, ROOT | 2)
    spaces.map(OTHER | P | W | D)
    put_word(m, PAGE, 5)  # 2 knows nothing
    m.invlpg(PAGE)
    come_back(m, ROOT | 1 | KEEP)
    refused(StaleTranslation, 'store64(m, va, value)', lambda: put_word(m, PAGE, 6))


@pytest.mark.parametrize(
    'flush',
    [
        lambda m: write_cr3(m, ROOT | 1),
        lambda m: invpcid(m, arch.INVPCID_ADDRESS, 1, PAGE),
        lambda m: invpcid(m, arch.INVPCID_SPACE, 1, VirtAddr(0)),
        lambda m: invpcid(m, arch.INVPCID_ALL, 0, VirtAddr(0)),
        lambda m: invpcid(m, arch.INVPCID_ALL_SPACES, 0, VirtAddr(0)),
        lambda m: write_cr4(m, m.read_cr4() ^ arch.CR4_PGE),
    ],
)
@pytest.mark.parametrize('is_upper', [False, True])
def test_a_flush_of_that_pcid_makes_it_good(spaces: Strict, flush: Callable[[Machine], None], is_upper: bool) -> None:
    m = spaces.machine
    write_cr3(m, ROOT | 2)
    if is_upper:
        m.poke(TABLES + 0x3000, bytes(4096))
        spaces.put(TABLES + 0x3000 + (spaces.level1 & 0xFFF), OTHER | P | W | D)
        spaces.put(spaces.level2, TABLES + 0x3000 | P | W)
    else:
        spaces.map(OTHER | P | W | D)
    flush(m)
    write_cr3(m, ROOT | 1 | KEEP)
    put_word(m, PAGE, 6)
    assert m.ram[OTHER] == 6


@pytest.mark.parametrize(
    'flush',
    [
        lambda m: write_cr3(m, ROOT | 3),
        lambda m: m.invlpg(PAGE),
        lambda m: invpcid(m, arch.INVPCID_ADDRESS, 1, VirtAddr(PAGE + 4096)),
        lambda m: invpcid(m, arch.INVPCID_ADDRESS, 2, PAGE),
        lambda m: invpcid(m, arch.INVPCID_SPACE, 2, VirtAddr(0)),
    ],
)
def test_a_flush_of_something_else_does_not(spaces: Strict, flush: Callable[[Machine], None]) -> None:
    m = spaces.machine
    write_cr3(m, ROOT | 2)
    spaces.map(OTHER | P | W | D)
    flush(m)
    write_cr3(m, ROOT | 1 | KEEP)
    refused(StaleTranslation, 'store64(m, va, value)', lambda: put_word(m, PAGE, 6))


def test_a_stale_upper_entry_of_a_pcid_that_was_away(spaces: Strict) -> None:
    """INVPCID of one address forgets the upper entries on the way to it, and no others."""
    m = spaces.machine
    neighbour = VirtAddr(PAGE + (1 << 21))
    m.poke(TABLES + 0x3000, bytes(4096))
    spaces.put(TABLES + 0x3000, DATA + 0x2000 | P | W)
    spaces.put(spaces.level2 + 8, TABLES + 0x3000 | P | W)
    put_word(m, neighbour, 1)
    write_cr3(m, ROOT | 2)
    spaces.put(spaces.level2 + 8, 0)
    invpcid(m, arch.INVPCID_ADDRESS, 1, PAGE)
    write_cr3(m, ROOT | 1 | KEEP)
    assert get_word(m, PAGE) == 1
    refused(StaleTranslation, 'return load64(m, va)', lambda: get_word(m, VirtAddr(neighbour + 4096)))


def test_a_pcid_that_is_given_to_another_root_without_a_flush(spaces: Strict) -> None:
    m = spaces.machine
    other_root = TABLES + 0x4000
    m.poke(other_root, bytes(4096))
    write_cr3(m, other_root | 1 | KEEP)
    refused(StaleTranslation, 'return load64(m, va)', lambda: get_word(m, PAGE))
