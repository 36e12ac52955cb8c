"""The figures of the heap of size classes: slabs and chunks against their twins in C, with up to a million live blocks.

Each load and number of live blocks is a process of its own. What is timed is the heap's bookkeeping: payloads are not
touched, and frames come from a stand-in on both sides.
"""

import statistics
import subprocess
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from bench.drivers import heap_pages, live_objects
from bench.drivers.objects_plan import ObjectPlan
from bench.executable import KERNEL_LIMITS, STAND_INS, C, CannotBench, check_host, run_gcc
from bench.figures import Figure, against_twin
from incroos.build.codegen import compile_bare
from incroos.kernel.config import CHEAP, FULL, NO_HARDENING
from incroos.kernel.configs import CLASSIC, MODERN
from incroos.kernel.heap import chunks_alone, size_classes
from incroos.kernel.state import Heap, Kernel
from incroos.lang import offset_of
from incroos.lang.frontend import compile_unit, raw_with

Function = Callable[..., Any]

KMALLOC: Final = 'kmalloc'
DLMALLOC: Final = 'dlmalloc'
DESIGNS: Final = {KMALLOC: size_classes, DLMALLOC: chunks_alone}  # the numbers of the twin: in this order
LEVELS: Final = {'off': NO_HARDENING, 'cheap': CHEAP, 'full': FULL}
STRIDE: Final = 1 << 43  # from one variant's addresses to the next one's
RANGES: Final = (0, 1 << 40, 1 << 41)  # where in them chunks, records and slabs are
RANGE_BYTES: Final = 1 << 36  # of each: reserved, not used
LIVES: Final = (0, 100, 10_000, 1_000_000)
COUNTED: Final = 300  # operations of which instructions are counted: each takes the processor a trap
NR_SINGLE: Final = 50_000  # kmallocs, and as many kfrees, that are timed one by one
TWINS: Final = (('ours', 'cheap'), ('twin', 'cheap'))


@dataclass(frozen=True)
class Pattern:
    """A loop that is timed, n operations a round; n is 0 where it is the number of live blocks."""

    name: str
    words: str
    timed: Function
    n: int = 0
    least_live: int = 100


PATTERNS: Final = (
    Pattern('pair', 'take a block, give it back', live_objects.objects_pair, n=100_000, least_live=0),
    Pattern(
        'churn',
        'one of 64 blocks, at random, goes back and one of another size is taken',
        live_objects.objects_churn,
        n=65_536,
    ),
    Pattern(
        'mix',
        'one of all blocks, at random, goes back and one of another size is taken',
        live_objects.objects_mix,
        65_536,
    ),
    Pattern('refill', 'all blocks go back in random order, then as many are taken', live_objects.objects_refill),
    Pattern(
        'grow',
        'krealloc of one block by half again and again, from 24 to 16,000 bytes, with its content',
        live_objects.objects_grow,
        n=20_000,
        least_live=0,
    ),
)
BY_NAME: Final = {pattern.name: pattern for pattern in PATTERNS}


@dataclass(frozen=True)
class Load:
    """Blocks that are live, and the size of the one that pairs take."""

    name: str
    words: str
    design: str
    smallest: int
    sizes: int
    pair_bytes: int


LOADS: Final = (
    Load('slab', 'kmalloc, 16 to 527 bytes: slabs', KMALLOC, smallest=16, sizes=512, pair_bytes=100),
    Load('chunk', 'kmalloc, 1,040 to 1,551 bytes: chunks', KMALLOC, smallest=1040, sizes=512, pair_bytes=1200),
    Load('dlmalloc', 'chunks alone, 16 to 527 bytes', DLMALLOC, smallest=16, sizes=512, pair_bytes=100),
)


@dataclass(frozen=True)
class Row:
    """One figure."""

    load: Load
    pattern: Pattern
    live: int

    @property
    def name(self) -> str:
        """What it is called in results."""
        return f'{self.load.name}-{self.pattern.name}-{self.live}'

    @property
    def words(self) -> str:
        """What it is, for people."""
        return f'{self.load.words}, {self.live:,} live: {self.pattern.words}'


def rows() -> list[Row]:
    """All of them, in order."""
    return [
        Row(load, pattern, live)
        for load in LOADS
        for pattern in PATTERNS
        for live in LIVES
        if live >= pattern.least_live
    ]


HEADLINES: Final = (
    'slab-pair-100',
    'slab-pair-1000000',
    'slab-churn-100',
    'slab-refill-10000',
    'dlmalloc-pair-100',
    'dlmalloc-pair-1000000',
    'dlmalloc-churn-100',
    'dlmalloc-refill-10000',
)
COUNTED_LIVES: Final = (100, 1_000_000)  # where instructions are counted
PRICED_LIVE: Final = 10_000  # where levels of hardening are compared


def counted_rows() -> list[Row]:
    """Those whose instructions are counted: what does not depend on caches."""
    return [row for row in rows() if row.live in COUNTED_LIVES and row.pattern.name != 'grow']


def priced_rows() -> list[Row]:
    """Those that are timed at each level of hardening."""
    return [row for row in rows() if row.live == PRICED_LIVE]


@dataclass(frozen=True)
class Worst:
    """Of single calls, kmalloc and kfree: the median, one of a thousand, and the slowest, in nanoseconds."""

    name: str
    median_take: float
    rare_take: float
    worst_take: float
    median_give: float
    rare_give: float
    worst_give: float


def worst_rows() -> list[Row]:
    """One for each load: calls are those of the pattern `mix`."""
    return [row for row in rows() if row.live == PRICED_LIVE and row.pattern.name == 'mix']


# ------------------------------------------------------------------ the executable
@dataclass(frozen=True)
class Variant:
    """A heap that is timed, with addresses of its own: those of a process leave room for fifteen."""

    side: str  # ours or twin
    design: str
    level: str
    index: int

    @property
    def name(self) -> str:
        """What the executable calls it."""
        return f'{self.side}-{self.design}-{self.level}'

    @property
    def ranges(self) -> tuple[int, ...]:
        """Where its chunks, records and slabs are."""
        return tuple(STRIDE * self.index + at for at in RANGES)

    def symbol(self, function: Function) -> str:
        """A loop's symbol."""
        return f'{self.name.replace("-", "_")}_{function.__name__}'


VARIANTS: Final = tuple(
    Variant(side, design, level, 1 + index)
    for index, (design, level, side) in enumerate(
        (design, level, side)
        for design in DESIGNS
        for level in LEVELS
        for side in (('ours', 'twin') if level == 'cheap' else ('ours',))
    )
)
SINGLE: Final = (live_objects.objects_take, live_objects.objects_give)
TIMED: Final = (live_objects.objects_setup, *SINGLE, *(pattern.timed for pattern in PATTERNS))


def kernel_object(variant: Variant) -> bytes:
    """The kernel's heap, and the loops that drive it."""
    chunks, records, slabs = variant.ranges
    config = replace(
        CLASSIC,
        objects=DESIGNS[variant.design],
        pages=heap_pages,
        heap=chunks,
        heap_max_bytes=RANGE_BYTES,
        slab_records=records,
        slabs=slabs,
        hardening=LEVELS[variant.level],
        spare_bytes=MODERN.spare_bytes,
    )
    roots = {variant.symbol(function): function for function in TIMED}
    unit = compile_unit(roots, raw_with(STAND_INS), config)
    return compile_bare(unit.ir, '', debug=False).object_bytes


def twin_options(variant: Variant) -> list[str]:
    """What the twin is compiled with."""
    words = dict(zip(('HEAP', 'SLAB_RECORDS', 'SLABS'), variant.ranges, strict=True))
    words |= {'RANGE_BYTES': RANGE_BYTES, 'HEAP_SEED': CLASSIC.heap_seed, 'SPARE_BYTES': MODERN.spare_bytes}
    prefix = variant.symbol(live_objects.objects_setup).removesuffix('objects_setup')
    return [
        *(f'-D{name}={value:#x}UL' for name, value in words.items()),
        f'-DDESIGN={list(DESIGNS).index(variant.design)}',
        f'-DHARDENING={LEVELS[variant.level]}',
        f'-DSTATE_OFFSET={offset_of(Kernel, "heap") + offset_of(Heap, "chunks")}',
        f'-DTIMED(name)={prefix}##name',
        '-Wno-unused-function',  # a design leaves out what is another's
    ]


def table() -> str:
    """objects_cases.h."""
    lines = [f'i64 {each.symbol(function)}();' for each in VARIANTS for function in TIMED]
    lines += [f'#define {name} {value:#x}UL' for name, value in sizes().items()]
    patterns = ', '.join(f'{{"{each.name}", {each.n}}}' for each in PATTERNS)
    lines += [f'static const struct pattern patterns[] = {{{patterns}}};']
    lines += ['static const struct variant variants[] = {']
    for variant in VARIANTS:
        setup, take, give, *timed = map(variant.symbol, TIMED)
        ranges = ', '.join(f'{at:#x}' for at in variant.ranges)
        lines += [f'    {{"{variant.name}", {{{ranges}}}, {setup}, {take}, {give}, {{{", ".join(timed)}}}}},']
    return '\n'.join([*lines, '};', ''])


def sizes() -> dict[str, int]:
    """What the host maps."""
    return {
        'RANGE_BYTES': RANGE_BYTES,
        'STATE_BYTES': Kernel.SIZE,
        'PLAN_BYTES': ObjectPlan.SIZE,
        'HELD_WORD': offset_of(ObjectPlan, 'held') // 8,
    }


def make(folder: Path) -> Path:
    """Build the executable in a folder; CannotBench where this machine has not what it takes."""
    check_host()
    (folder / 'objects_cases.h').write_text(table())
    for variant in VARIANTS:
        if variant.side == 'twin':
            source = str(C / 'objects_twin.c')
            run_gcc(folder, '-c', *KERNEL_LIMITS, *twin_options(variant), source, '-o', f'{variant.name}.o')
        else:
            (folder / f'{variant.name}.o').write_bytes(kernel_object(variant))
    run_gcc(folder, '-c', '-I.', '-fno-pic', str(C / 'objects_host.c'), '-o', 'host.o')
    objects = [f'{variant.name}.o' for variant in VARIANTS]
    run_gcc(folder, '-no-pie', '-Wl,-z,noexecstack', *objects, 'host.o', '-o', 'objects')
    return folder / 'objects'


# ------------------------------------------------------------------ running it
@contextmanager
def built(say: Callable[[str], None]) -> Iterator[str]:
    """The executable, as long as it is needed."""
    with tempfile.TemporaryDirectory(prefix='incroos-bench-') as folder:
        say('compiling')
        yield str(make(Path(folder)))


def run(command: list[str]) -> Iterator[list[str]]:
    """The lines that the executable says, in words; CannotBench with its words when it fails."""
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        for line in process.stdout:
            yield line.split()
        words = process.stderr.read().strip()
    if process.returncode != 0 or words:
        raise CannotBench(words or f'{command[0]} ended with {process.returncode}')


def measure(
    executable: str, wanted: Iterable[Row], sample_us: int, nr_samples: int, most: int, say: Callable[[str], None]
) -> Iterator[Figure]:
    """A figure for each row. `most` limits the operations of a round; 0 does not."""
    for row, equal, samples in lines_of(executable, 'time', wanted, TWINS, sample_us, nr_samples, most, say):
        yield against_twin(row.name, samples, equal, pattern=row.words)


def count_instructions(
    executable: str, wanted: Iterable[Row], most: int, say: Callable[[str], None]
) -> Iterator[tuple[str, float, float]]:
    """Name, instructions an operation of ours and of the twin."""
    for row, _, (ours, twin) in lines_of(executable, 'count', wanted, TWINS, 0, 1, most, say):
        yield row.name, ours, twin


def measure_worst(
    executable: str, wanted: Iterable[Row], nr_samples: int, most: int, say: Callable[[str], None]
) -> Iterator[Worst]:
    """The slowest of so many single calls, of each row's load; one row for a load and a number of live blocks."""
    for row, _, samples in lines_of(executable, 'worst', wanted, TWINS[:1], 0, nr_samples, most, say):
        yield Worst(row.name, *samples)


def measure_levels(
    executable: str, wanted: Iterable[Row], sample_us: int, nr_samples: int, most: int, say: Callable[[str], None]
) -> Iterator[tuple[str, dict[str, float], dict[str, float]]]:
    """Name, the nanoseconds at each level of hardening, and how many times those of `off` that is, side by side."""
    sides = [('ours', level) for level in LEVELS]
    for row, _, samples in lines_of(executable, 'time', wanted, sides, sample_us, nr_samples, most, say):
        found = {level: samples[index :: len(LEVELS)] for index, level in enumerate(LEVELS)}
        ratios = {
            level: statistics.median(a / b for a, b in zip(taken, found['off'], strict=True))
            for level, taken in found.items()
        }
        yield row.name, {level: statistics.median(taken) for level, taken in found.items()}, ratios


def measure_headlines(
    names: Iterable[str], sample_us: int, nr_samples: int, say: Callable[[str], None]
) -> list[Figure]:
    """A figure for each row of these names, in order."""
    by_name = {row.name: row for row in rows()}
    with built(say) as executable:
        figures = measure(executable, [by_name[name] for name in names], sample_us, nr_samples, 0, say)
        found = {figure.name: figure for figure in figures}
    return [found[name] for name in names]


def lines_of(
    executable: str, mode: str, wanted: Iterable[Row], sides: Sequence[tuple[str, str]], *numbers: Any
) -> Iterator[tuple[Row, bool, list[float]]]:
    """Each row, whether all sides agreed, and the samples of the sides in turn."""
    *words, say = numbers
    groups: dict[tuple[Load, int], list[Row]] = {}
    for row in wanted:
        groups.setdefault((row.load, row.live), []).append(row)
    for (load, live), group in groups.items():
        say(f'{mode} of {load.words}, {live:,} live')
        by_name = {row.pattern.name: row for row in group}
        variants = [f'{side}-{load.design}-{level}' for side, level in sides]
        command = [executable, mode, *map(str, (live, load.smallest, load.sizes, load.pair_bytes, *words))]
        for name, _, equal, *samples in run([*command, ','.join(by_name), *variants]):
            yield by_name[name], equal == '1', [*map(float, samples)]
