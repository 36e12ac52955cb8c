"""Random programs of page-table changes, flushes and accesses.

Interpreted and compiled, the core leaves the same memory and the same processor behind. The strict machine with its
shortcuts and without gives the same answers: its memory of translations hides nothing.
"""

from collections.abc import Callable, Iterator
from random import Random
from typing import Any

import pytest

from incroos.lang import Machine, VirtAddr
from incroos.machine import architecture as arch
from incroos.machine.cpu import Cpu
from incroos.machine.errors import SimulationError, StaleTranslation

from .lab import DATA, LEAF, ROOT, Bench, D, G, P, U, W
from .strict_lab import VA, Strict

NR_PAGES = 6
FLAGS = [P | W, P | W | D, P, P | U, P | W | G, 0, P | W | D | G]
PCIDS = (0, 1, 17)  # the last two share the place for upper entries
Step = tuple[str, tuple[int, ...]]


def random_steps(random: Random, nr_steps: int) -> Iterator[Step]:
    """Steps of one program: the arguments are whatever the machines under test need."""
    pages = [VA + 4096 * index for index in range(NR_PAGES)]
    for _ in range(nr_steps):
        page = random.choice(pages)
        choice = random.random()
        if choice < 0.3:
            yield 'load', (page + 8 * random.randrange(512),)
        elif choice < 0.6:
            yield 'store', (page + random.randrange(4096), random.getrandbits(63))
        elif choice < 0.78:
            yield 'map', (page, DATA + 4096 * random.randrange(4), random.choice(FLAGS))
        elif choice < 0.82:
            yield 'upper', (random.choice([0, 1, 2]),)
        elif choice < 0.92:
            yield 'invlpg', (page,)
        elif choice < 0.97:
            yield 'cr3', (ROOT | random.choice(PCIDS) | random.choice([0, arch.CR3_KEEP, arch.CR3_KEEP]),)
        elif choice < 0.985:
            yield 'invpcid', (random.randrange(4), random.choice(PCIDS), page)
        else:
            yield 'pge', ()


def words_without_pcids(name: str, words: tuple[int, ...]) -> tuple[int, ...]:
    """The same step on a processor that does not use PCIDs."""
    if name == 'cr3':
        return (ROOT,)
    return (words[0], 0, words[2]) if name == 'invpcid' else words


# ---------------------------------------------------------------- interpreted against compiled
class Core:
    """Runs steps on a bench; a fault maps the page, so that every program goes on."""

    def __init__(self, engine: str, has_pcids: bool) -> None:
        self.bench = Bench(engine)
        self.has_pcids = has_pcids
        if has_pcids:
            self.bench.call('write_cr4', self.bench.cpu.cr4 | arch.CR4_PCIDE)
        self.bench.on_fault = self.mend
        for index in range(NR_PAGES):
            self.bench.map(VA + 4096 * index, DATA, P | W)

    def mend(self, va: int, _error: int) -> None:
        self.bench.map(va & ~0xFFF, DATA + 0x3000, P | W)

    def step(self, name: str, words: tuple[int, ...]) -> int:
        bench = self.bench
        if not self.has_pcids:
            words = words_without_pcids(name, words)
        if name == 'load':
            return bench.load(words[0])
        if name == 'store':
            bench.store(words[0], words[1])
        elif name == 'map':
            bench.map(*words)
        elif name == 'upper':
            at = bench.entry_address(VA, 2)
            bench.put(at, bench.word(at) & ~(W | U) | (0, W, W | U)[words[0]])
        elif name in ('invlpg', 'invpcid'):
            bench.call(name, *words)
        elif name == 'cr3':
            bench.call('write_cr3', *words)
        else:
            bench.call('write_cr4', bench.cpu.cr4 ^ arch.CR4_PGE)
        return 0

    def processor(self) -> list[Any]:
        """The processor's fields, but for what lies elsewhere in each process: the addends as offsets in RAM."""
        cpu, base = self.bench.cpu, self.bench.memory.base
        slots = [(slot.read_page, slot.write_page, slot.flags, slot.addend and slot.addend - base) for slot in cpu.tlb]
        upper = [(entry.prefix, entry.generation, entry.table, entry.rights) for entry in cpu.upper]
        numbers = {
            name: getattr(cpu, name) for name in ('cr2', 'cr3', 'cr4', 'pcid', 'nr_faults', 'nr_walks', 'fault_depth')
        }
        contexts = [(context.pcid, context.generation) for context in cpu.contexts]
        return [slots, upper, numbers, contexts, self.bench.faults]


@pytest.mark.parametrize('seed', range(4))
@pytest.mark.parametrize('engine', ['compiled', 'checked'])
def test_interpreted_and_compiled_cores_do_the_same(engine: str, seed: int) -> None:
    interpreted, compiled = Core('interpreted', seed % 2 == 1), Core(engine, seed % 2 == 1)
    for name, words in random_steps(Random(seed), 400):
        if name == 'upper' and words[0] == 0:
            continue  # a read-only upper entry: no mending of a leaf helps
        assert interpreted.step(name, words) == compiled.step(name, words)
    assert interpreted.processor() == compiled.processor()
    assert interpreted.bench.ram == compiled.bench.ram
    assert len(interpreted.bench.faults) > 5
    assert Cpu.SIZE % 8 == 0


# ---------------------------------------------------------------- the strict machine with and without shortcuts
class Checked:
    """Runs steps on a strict machine, whose kernel sees its level-1 table through a page of its own."""

    WINDOW = VirtAddr(VA + 4096 * 500)

    def __init__(self, shortcuts: bool, has_pcids: bool = False) -> None:
        self.strict = Strict()
        self.has_pcids = has_pcids
        if has_pcids:
            self.strict.machine.write_cr4(self.strict.machine.read_cr4() | arch.CR4_PCIDE)
        self.shortcuts = shortcuts
        self.strict.map((self.strict.level1 & ~0xFFF) | P | W, page=500)
        for index in range(NR_PAGES):
            self.strict.map(DATA | P | W, page=index)
        self.strict.machine.poke(DATA, bytes(0x4000))

    def step(self, name: str, words: tuple[int, ...]) -> object:
        """The result, or the kind of error."""
        if not self.shortcuts:
            self.strict.machine.forget_shortcuts()
        if not self.has_pcids:
            words = words_without_pcids(name, words)
        try:
            return self.do(self.strict.machine, name, words)
        except SimulationError as error:
            return type(error).__name__, error.what
        except LookupError:  # the handler's, on its way through the core
            self.strict.machine.cpu.fault_depth = 0
            return 'fault', tuple(self.strict.faults)

    def do(self, m: Machine, name: str, words: tuple[int, ...]) -> object:
        if name == 'load':
            return m.load64(VirtAddr(words[0]))
        if name == 'store':
            m.store64(VirtAddr(words[0]), words[1])
        elif name == 'map':
            page, pa, flags = words
            m.store64(VirtAddr(self.WINDOW + 8 * (page - VA >> 12)), pa | flags)
        elif name == 'upper':
            at = self.strict.level2
            table = self.strict.level1 & ~0xFFF
            self.strict.put(at, (table | P | W, table | P, DATA | P | W | LEAF)[words[0]])
        elif name == 'invlpg':
            m.invlpg(VirtAddr(words[0]))
        elif name == 'cr3':
            m.write_cr3(*words)
        elif name == 'invpcid':
            m.invpcid(words[0], words[1], VirtAddr(words[2]))
        else:
            m.write_cr4(m.read_cr4() ^ arch.CR4_PGE)
        return None


@pytest.mark.parametrize('seed', range(45))
def test_shortcuts_change_no_verdict(seed: int) -> None:
    fast, slow = Checked(shortcuts=True, has_pcids=seed % 2 == 1), Checked(shortcuts=False, has_pcids=seed % 2 == 1)
    verdicts = []
    for name, words in random_steps(Random(1000 + seed), 250):
        verdict = fast.step(name, words)
        assert verdict == slow.step(name, words), (name, words)
        verdicts.append(verdict)
    kinds = {verdict[0] for verdict in verdicts if isinstance(verdict, tuple)}
    assert StaleTranslation.__name__ in kinds
    assert None in verdicts


def count_calls(function: Callable[..., Any], counts: list[int]) -> Callable[..., Any]:
    def counted(*arguments: Any) -> Any:
        counts.append(1)
        return function(*arguments)

    return counted


def test_the_shortcuts_are_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without this, a machine that never takes them would pass."""
    one = Checked(shortcuts=True)
    counts: list[int] = []
    translations = one.strict.machine._translations
    monkeypatch.setattr(translations, 'translate', count_calls(translations.translate, counts))
    for _ in range(50):
        one.step('store', (VA, 1))
        one.step('load', (VA,))
    assert len(counts) == 2  # one for writing, one for reading
