"""The heaps over traces of real programs: recorded, and replayed against every allocator in the same run.

Time is relative to glibc in the same round: allocators run in turn, and the median of nine ratios counts.
docs/traces.md says what is timed and how memory is counted.
"""

import math
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final

from bench.executable import CannotBench
from bench.programs import all as programs
from bench.programs.recorded import Program
from incroos.lab import files
from incroos.lab.heaps import GLIBC, LEVELS, OTHERS, Heap, heaps
from incroos.lab.operations import Kind, Trace
from incroos.lab.replay import NR_WORST_ROUNDS, Driver, WrongHeap, figures_of, heaps_for, time_in_turn
from incroos.lab.summary import summary_of
from incroos.run.outcome import Unusable

Say = Callable[[str], object]

RESULT: Final = 'build/bench-heap.json'
TRACES: Final = Path('build/traces')
SETUP: Final = Path(__file__).parents[1] / 'tools/setup'
KMALLOC: Final = 'kmalloc'
NR_ROUNDS: Final = 9
NR_THREADS: Final = 2
THE_LOOP: Final = Heap('the loop', None)
# What is required of kmalloc, and what would be better still; time is that of glibc's malloc, without the loop that
# drives both
MOST_TIME: Final = 0.60
MOST_FOOTPRINT: Final = 1.20
AMBITIONS: Final = {'net_time': 0.42, 'footprint': 1.12, 'time_of_two': 0.45}
MOST_WORST_NS: Final = 300


@dataclass(frozen=True)
class Row:
    """What an allocator took for a trace; times of glibc's are ratios."""

    trace: str
    heap: str
    ns: float
    time: float
    net_time: float  # with what the loop takes by itself taken off both
    ns_of_two: float
    time_of_two: float
    footprint: float
    worst_ns: float
    rarely_ns: float


def content(found_on: dict[str, Any], say: Say, nr_rounds: int = NR_ROUNDS) -> dict[str, Any]:
    """All figures, after all recordings."""
    missing: list[str] = []
    set_up(say)
    recorded = list(record_all(programs.PROGRAMS, TRACES, say, missing))
    with tempfile.TemporaryDirectory(prefix='incroos-bench-') as name:
        compared = [kept(heap, Path(name)) for heap in all_heaps(say)]
        rows: list[Row] = []
        about: list[dict[str, Any]] = []
        for program, file in recorded:
            say(f'{program.name}: replaying')
            trace = files.read(file)
            about.append(about_trace(program, trace))
            rows += measure(program.name, trace, compared, nr_rounds, say, missing)
    missing += [f'{name} is not installed' for name in OTHERS if name not in {heap.name for heap in compared}]
    return {
        'machine': found_on,
        'versions': versions(compared),
        'nr_rounds': nr_rounds,
        'traces': about,
        'figures': [asdict(row) for row in rows],
        'means': means(rows),
        'rows': [],
        'missing': missing,
    }


def set_up(say: Say) -> None:
    """Install what is missing. What cannot be installed leaves rows out, with a sentence of its own."""
    for tools in (programs.TOOLS, programs.SERVERS):
        if subprocess.run([sys.executable, SETUP, *tools], check=False).returncode != 0:
            say('what is missing is left out')


def record_all(wanted: Iterable[Program], folder: Path, say: Say, missing: list[str]) -> Iterable[tuple[Program, Path]]:
    """Record each program; why one cannot be goes on the list."""
    folder.mkdir(parents=True, exist_ok=True)
    for program in wanted:
        say(f'{program.name}: recording')
        output = (folder / f'{program.name}.trace').absolute()
        output.unlink(missing_ok=True)
        with tempfile.TemporaryDirectory(prefix='incroos-bench-') as name:
            try:
                program.record(Path(name), output)
            except CannotBench as error:
                missing.append(f'{program.name}: {error}')
                continue
        yield program, output


def all_heaps(say: Say) -> list[Heap]:
    """kmalloc in each level of hardening, our other designs, and everybody else's."""
    return [*heaps([KMALLOC], LEVELS, say), *(heap for heap in heaps([], [], say) if heap.name != KMALLOC)]


def kept(heap: Heap, folder: Path) -> Heap:
    """The heap with a library of ours copied: hours may go by, in which the cache forgets it."""
    if heap.library is None or heap.name in OTHERS:
        return heap
    copy = folder / f'{heap.name.replace(", ", "-")}.so'
    shutil.copy(heap.library, copy)
    return replace(heap, library=copy)


def measure(
    name: str, trace: Trace, compared: Sequence[Heap], nr_rounds: int, say: Say, missing: list[str]
) -> list[Row]:
    """The rows of one trace."""
    failures: dict[str, str] = {}
    able = heaps_for(trace, compared, name, say)
    with tempfile.TemporaryDirectory(prefix='incroos-bench-') as folder:
        driver = Driver(trace, Path(folder), say)
        one = time_in_turn(driver, [THE_LOOP, *able], 1, nr_rounds, failures)
        two = time_in_turn(driver, [THE_LOOP, *able], NR_THREADS, nr_rounds, failures)
        empty = int(driver.run(THE_LOOP, 'start')['before_bytes'])
        rows = []
        for heap in able:
            if heap.name not in failures:
                try:
                    driver.run(heap, 'verify', str(NR_THREADS))
                    rows.append(row_of(driver, heap, one, two, empty, name))
                except (WrongHeap, Unusable) as error:
                    failures[heap.name] = str(error)
    missing += [f'{name}: {sentence}' for sentence in failures.values()]
    return rows


def row_of(
    driver: Driver, heap: Heap, one: dict[str, list[float]], two: dict[str, list[float]], empty: int, trace: str
) -> Row:
    figures = figures_of(driver, heap, one[heap.name], empty, NR_WORST_ROUNDS)
    if figures.footprint is None:
        raise Unusable(f'{heap.name}: there is no footprint, because no byte of the trace is ever live')
    loop = statistics.median(one[THE_LOOP.name])
    return Row(
        trace,
        heap.name,
        figures.ns,
        ratio(one[heap.name], one[GLIBC], 0),
        ratio(one[heap.name], one[GLIBC], loop),
        statistics.median(two[heap.name]),
        ratio(two[heap.name], two[GLIBC], 0),
        figures.footprint,
        figures.worst_ns,
        figures.rarely_ns,
    )


def ratio(times: Sequence[float], others: Sequence[float], taken_off: float) -> float:
    """The median of the ratios of runs side by side."""
    return statistics.median((one - taken_off) / (other - taken_off) for one, other in zip(times, others, strict=True))


def means(rows: Sequence[Row]) -> dict[str, dict[str, float]]:
    """Of each heap over the traces that all heaps have, but for those which lack some: those count what they have."""
    found: dict[str, dict[str, float]] = {}
    for heap in dict.fromkeys(row.heap for row in rows):
        mine = [row for row in rows if row.heap == heap]
        found[heap] = {
            **{
                name: geometric_mean(getattr(row, name) for row in mine)
                for name in ('time', 'net_time', 'time_of_two', 'footprint', 'worst_ns', 'rarely_ns')
            },
            'most_worst_ns': max(row.worst_ns for row in mine),
            'nr_traces': len(mine),
        }
    return found


def geometric_mean(values: Iterable[float]) -> float:
    logarithms = [math.log(max(value, 1e-9)) for value in values]
    return math.exp(sum(logarithms) / len(logarithms))


def about_trace(program: Program, trace: Trace) -> dict[str, Any]:
    """What is told of a recording."""
    summary = summary_of(trace)
    return {
        'name': program.name,
        'words': program.words,
        'nr_operations': summary.nr_operations,
        'nr_reallocations': summary.nr_by_kind[Kind.REALLOCATE.name.lower()],
        'nr_live_at_most': summary.nr_live_at_most,
        'live_bytes_at_most': summary.live_bytes_at_most,
    }


def versions(compared: Sequence[Heap]) -> dict[str, str]:
    """Of the allocators of other people, as their package has it, else as their file is called."""
    found = {GLIBC: package_version('libc6') or 'of unknown version'}
    for heap in compared:
        if heap.name in OTHERS and heap.library is not None:
            found[heap.name] = package_version(OTHERS[heap.name][1]) or heap.library.resolve().name
    return found


def package_version(package: str) -> str:
    if shutil.which('dpkg-query') is None:
        return ''
    command = ['dpkg-query', '-W', '-f', '${Version}', package]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
