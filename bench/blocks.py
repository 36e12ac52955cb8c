"""The figures of frames of all of RAM: both allocators against their twins in C, at every size and fill.

Each size, order and fill is a process of its own. The RAM itself is never touched, only the allocator's memory is.
"""

import subprocess
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType
from typing import Any, Final

from bench.drivers import blocks, fragmentation, zeroing
from bench.executable import KERNEL_LIMITS, C, CannotBench, check_host, run_gcc
from bench.figures import Figure, against_twin
from incroos.build.codegen import compile_bare
from incroos.kernel.configs import CLASSIC
from incroos.kernel.pmm.all import buddy
from incroos.kernel.pmm.tree import tree
from incroos.lang.frontend import RAW, compile_unit

Function = Callable[..., Any]

ALLOCATORS: Final[dict[str, ModuleType]] = {'tree': tree, 'buddy': buddy}
MIB: Final = 256  # frames
SIZES: Final = {'32M': 32 * MIB, '1G': 1024 * MIB, '16G': 16384 * MIB, '256G': 262144 * MIB}
FILLS: Final = (0, 50, 90, 99)
ORDERS: Final = (0, 9)
NO_ORDER: Final = -1


@dataclass(frozen=True)
class Pattern:
    """A loop that is timed: n operations on so many slots, or on as many as n and no more than are free."""

    name: str
    words: str
    order: int
    n: int
    timed: Function
    slots: int = 0
    spare: int = 0  # blocks that must be free besides
    before: Function | None = None
    after: Function | None = None


PATTERNS: Final = (
    Pattern('frame-repeat', 'take a frame, give it back', 0, 50_000, blocks.frame_repeat, slots=1),
    Pattern(
        'frame-churn',
        'one of 64 slots, at random, takes a frame and gives its old one back',
        order=0,
        n=65_536,
        timed=blocks.frame_churn,
        slots=64,
        spare=1,
        before=blocks.frame_churn_setup,
        after=blocks.frame_finish,
    ),
    Pattern('frame-bulk', 'take up to 65,536 frames, then give all back; per frame', 0, 65_536, blocks.frame_bulk),
    Pattern(
        'frame-random',
        'one of 65,536 slots, at random, takes a frame or gives its own back',
        order=0,
        n=65_536,
        timed=blocks.frame_random,
        slots=65_536,
        before=blocks.frame_random_setup,
        after=blocks.frame_finish,
    ),
    Pattern('huge-repeat', 'take a block of 2 MiB, give it back', 9, 50_000, blocks.huge_repeat, slots=1),
    Pattern(
        'huge-churn',
        'one of 64 slots, at random, takes a block of 2 MiB and gives its old one back',
        order=9,
        n=65_536,
        timed=blocks.huge_churn,
        slots=64,
        spare=1,
        before=blocks.huge_churn_setup,
        after=blocks.huge_finish,
    ),
    Pattern('huge-bulk', 'take up to 4,096 blocks of 2 MiB, then give all back; per block', 9, 4096, blocks.huge_bulk),
    Pattern(
        'huge-random',
        'one of 4,096 slots, at random, takes a block of 2 MiB or gives its own back',
        order=9,
        n=65_536,
        timed=blocks.huge_random,
        slots=4096,
        before=blocks.huge_random_setup,
        after=blocks.huge_finish,
    ),
    Pattern('start', 'start-up; per frame of RAM', NO_ORDER, 1 << 32, blocks.blocks_start),
)
BY_NAME: Final = {pattern.name: pattern for pattern in PATTERNS}
FRAGMENTATION_SIZES: Final = ('1G', '16G')
FRAGMENTATIONS: Final = {
    'order-tenths': (fragmentation.use_half_in_order, fragmentation.round_together),
    'random-tenths': (fragmentation.use_half_at_random, fragmentation.round_together),
    'random-pairs': (fragmentation.use_half_at_random, fragmentation.round_in_turn),
}


@dataclass(frozen=True)
class Zeroing:
    """A loop over n frames of the tree: zeroed ahead or not, in no cache when the clock starts or in the last round's.

    What each is in words stands in frames_page.py.
    """

    name: str
    timed: Function
    is_stocked: bool = False
    is_cold: bool = False
    n: int = 128


ZEROINGS: Final = (
    Zeroing('zero-now-warm', zeroing.zero_now),
    Zeroing('zero-now-warm-use', zeroing.zero_now_use),
    Zeroing('zero-ahead-warm', zeroing.zero_ahead, is_stocked=True),
    Zeroing('zero-ahead-warm-use', zeroing.zero_ahead_use, is_stocked=True),
    Zeroing('zero-now-cold', zeroing.zero_now, is_cold=True),
    Zeroing('zero-now-cold-use', zeroing.zero_now_use, is_cold=True),
    Zeroing('zero-ahead-cold', zeroing.zero_ahead, is_stocked=True, is_cold=True),
    Zeroing('zero-ahead-cold-use', zeroing.zero_ahead_use, is_stocked=True, is_cold=True),
    Zeroing('zero-upwards', zeroing.zero_upwards, is_cold=True, n=1024),
    Zeroing('zero-downwards', zeroing.zero_downwards, is_cold=True, n=1024),
)


@dataclass(frozen=True)
class Row:
    """One figure: a pattern on an allocator, so much RAM and so many per cent of it in use."""

    allocator: str
    pattern: Pattern
    size: str
    fill: int

    @property
    def name(self) -> str:
        """What it is called in results."""
        return f'{self.allocator}-{self.pattern.name}-{self.size}-{self.fill}'


@dataclass(frozen=True)
class Headline:
    """A row that stands in the table of all benchmarks, too, under words of its own."""

    row: Row
    pattern: str
    at_most: float | None = None
    ambition: float | None = None

    @property
    def name(self) -> str:
        """That of the row."""
        return self.row.name


def rows() -> list[Row]:
    """All of them, in order."""
    return [
        Row(allocator, pattern, size, fill)
        for pattern in PATTERNS
        for allocator in ALLOCATORS
        for size in SIZES
        for fill in (FILLS if pattern.order != NO_ORDER else (0,))
    ]


HEADLINES: Final = (
    Headline(
        Row('tree', BY_NAME['frame-churn'], '32M', 50),
        'modern, 32 MiB half in use: take a frame, give another back, 64 live',
        ambition=5.0,
    ),
    Headline(
        Row('tree', BY_NAME['frame-churn'], '256G', 50),
        'modern, 256 GiB half in use: take a frame, give another back, 64 live',
        ambition=5.0,
    ),
    Headline(
        Row('buddy', BY_NAME['frame-churn'], '256G', 50),
        'the same with the buddy allocator',
        ambition=5.0,
    ),
    Headline(
        Row('tree', BY_NAME['huge-churn'], '256G', 50),
        'modern, 256 GiB half in use: take a block of 2 MiB, give another back, 64 live',
        ambition=16.0,
    ),
    Headline(Row('tree', BY_NAME['start'], '256G', 0), 'modern, 256 GiB: start-up; per frame', ambition=0.1),
)


# ------------------------------------------------------------------ the executable
def symbol(side: str, allocator: str, function: Function) -> str:
    """A loop's symbol on a side, ours or twin."""
    return f'{side}_{allocator}_{function.__name__}'


def timed_functions() -> list[Function]:
    """Those of drivers/blocks.py."""
    steps = [step for pattern in PATTERNS for step in (pattern.before, pattern.timed, pattern.after)]
    return [blocks.blocks_setup, *(step for step in dict.fromkeys(steps) if step is not None)]


def fragmentation_functions() -> list[Function]:
    """Those of drivers/fragmentation.py."""
    steps = [step for steps in FRAGMENTATIONS.values() for step in steps]
    return [fragmentation.per_mille_whole, *dict.fromkeys(steps)]


def zeroing_functions() -> list[Function]:
    """Those of drivers/zeroing.py."""
    timed = dict.fromkeys(each.timed for each in ZEROINGS)
    return [zeroing.zero_setup, zeroing.zero_stock, *timed]


def kernel_object(allocator: str) -> bytes:
    """The kernel's frames with one allocator, and the loops that drive it."""
    steps = [*timed_functions(), *fragmentation_functions(), *zeroing_functions()]
    roots = {symbol('ours', allocator, step): step for step in steps}
    unit = compile_unit(roots, RAW, replace(CLASSIC, frames=ALLOCATORS[allocator]))
    return compile_bare(unit.ir, '', debug=False).object_bytes


def pattern_lines(side: str, allocator: str) -> str:
    """struct pattern of bench/c/blocks_host.c, one for each."""

    def address(step: Function | None) -> str:
        return f'(step *){symbol(side, allocator, step)}' if step else '0'

    return ''.join(
        f'{{"{each.name}", {each.order}, {each.n}, {each.slots}, {each.spare}, '
        f'{address(each.before)}, {address(each.timed)}, {address(each.after)}}}, '
        for each in PATTERNS
    )


def table() -> str:
    """blocks_cases.h."""
    both = [*timed_functions(), *zeroing_functions()]
    functions = [(side, step) for side in ('ours', 'twin') for step in both]
    functions += [('ours', step) for step in fragmentation_functions()]
    lines = [f'i64 {symbol(side, name, step)}();' for name in ALLOCATORS for side, step in functions]
    lines += ['static const struct allocator allocators[] = {']
    for name in ALLOCATORS:
        setups = ', '.join(symbol(side, name, blocks.blocks_setup) for side in ('ours', 'twin'))
        patterns = ', '.join(f'{{{pattern_lines(side, name)}}}' for side in ('ours', 'twin'))
        lines += [f'{{"{name}", {{{setups}}}, {{{patterns}}}}},']
    lines += ['};', 'static const struct fragmentation fragmentations[] = {']
    for name in ALLOCATORS:
        for kind, (start, round_) in FRAGMENTATIONS.items():
            steps = (start, round_, fragmentation.per_mille_whole)
            lines += [f'{{"{name}-{kind}", {", ".join(symbol("ours", name, step) for step in steps)}}},']
    lines += ['};', 'static const struct zeroing zeroings[] = {']
    for each in ZEROINGS:
        calls = (zeroing.zero_setup, zeroing.zero_stock, each.timed)
        pairs = [f'{{{symbol("ours", "tree", step)}, {symbol("twin", "tree", step)}}}' for step in calls]
        lines += [f'{{"{each.name}", {each.n}, {each.is_stocked:d}, {each.is_cold:d}, {", ".join(pairs)}}},']
    return '\n'.join([*lines, '};', ''])


def make(folder: Path) -> Path:
    """Build the executable in a folder; CannotBench where this machine has not what it takes."""
    check_host()
    (folder / 'blocks_cases.h').write_text(table())
    for name in ALLOCATORS:
        (folder / f'{name}.o').write_bytes(kernel_object(name))
        defines = (f'-DALLOCATOR={name.upper()}', f'-DALLOCATOR_NAME={name}')
        run_gcc(folder, '-c', *KERNEL_LIMITS, *defines, str(C / 'blocks_twin.c'), '-o', f'{name}_twin.o')
    run_gcc(folder, '-c', '-I.', '-fno-pic', str(C / 'blocks_host.c'), '-o', 'host.o')
    objects = [f'{name}{part}.o' for name in ALLOCATORS for part in ('', '_twin')]
    run_gcc(folder, '-no-pie', '-Wl,-z,noexecstack', *objects, 'host.o', '-o', 'blocks')
    return folder / 'blocks'


# ------------------------------------------------------------------ running it
def run(command: list[str]) -> Iterator[str]:
    """The lines that the executable says; CannotBench with its words when it fails."""
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        yield from process.stdout
        words = process.stderr.read().strip()
    if process.returncode != 0 or words:
        raise CannotBench(words or f'{command[0]} ended with {process.returncode}')


@contextmanager
def built(say: Callable[[str], None]) -> Iterator[str]:
    """The executable, as long as it is needed."""
    with tempfile.TemporaryDirectory(prefix='incroos-bench-') as folder:
        say('compiling')
        yield str(make(Path(folder)))


def measure(
    executable: str, wanted: Iterable[Row], sample_us: int, nr_samples: int, most: int, say: Callable[[str], None]
) -> Iterator[Figure]:
    """A figure for each row for which enough is free. `most` limits the operations of a round; 0 does not."""
    groups: dict[tuple[str, int, int], list[Row]] = {}
    for row in wanted:
        groups.setdefault((row.size, row.pattern.order, row.fill), []).append(row)
    for (size, order, fill), group in groups.items():
        say(f'blocks of {size}, order {order}, {fill} % in use')
        by_name = {f'{row.allocator}-{row.pattern.name}': row for row in group}
        words = (SIZES[size], order, fill, sample_us, nr_samples, most, *by_name)
        for line in run([executable, 'blocks', *map(str, words)]):
            name, _, equal, *samples = line.split()
            row = by_name[name]
            yield against_twin(row.name, [*map(float, samples)], equal == '1', pattern=row.pattern.words)


def measure_headlines(
    wanted: Iterable[Headline], sample_us: int, nr_samples: int, say: Callable[[str], None]
) -> list[Figure]:
    """A figure for each, in order."""
    found = list(wanted)
    with built(say) as executable:
        rows = [each.row for each in found]
        figures = {row.name: row for row in measure(executable, rows, sample_us, nr_samples, 0, say)}
    return [
        replace(figures[each.name], pattern=each.pattern, at_most=each.at_most, ambition=each.ambition)
        for each in found
    ]


def measure_fragmentation(
    executable: str, sizes: Iterable[str], say: Callable[[str], None]
) -> Iterator[tuple[str, float, float]]:
    """Name, per cent of free memory in whole blocks of 2 MiB after 100 rounds, nanoseconds a pair."""
    for size in sizes:
        say(f'fragmentation of {size}')
        for line in run([executable, 'fragmentation', str(SIZES[size])]):
            name, per_mille, ns = line.split()
            yield f'{name}-{size}', int(per_mille) / 10, float(ns)


def measure_zeroing(executable: str, nr_samples: int, rounds: int, say: Callable[[str], None]) -> Iterator[Figure]:
    """A figure for each of the ways to a zeroed frame."""
    say('zeroing')
    for line in run([executable, 'zeroing', str(nr_samples), str(rounds)]):
        name, _, equal, *samples = line.split()
        yield against_twin(name, [*map(float, samples)], equal == '1', pattern=name)
