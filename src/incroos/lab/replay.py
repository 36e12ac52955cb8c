"""Replays a trace against allocators, in turn, and collects the figures of c/replay.c.

Each figure of an allocator comes from processes that did nothing else before. docs/traces.md says what is timed, what
is touched, and how memory is counted.
"""

import json
import os
import signal
import statistics
import subprocess
from array import array
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from incroos.build.own_folder import own_folder
from incroos.run.outcome import Unusable

from .flat import Flat, flatten
from .heaps import Heap
from .operations import Trace
from .programs import REPLAY, Say, compiled, preloaded

NR_ROUNDS: Final = 9
NR_WORST_ROUNDS: Final = 5
SECONDS: Final = 600  # that one replay may take
WRONG_HEAP: Final = 1  # a status of c/replay.c
MIN_SHIFT: Final = 4  # of every block: 16 bytes
ONE_IN: Final = 10_000  # operations: the slowest but for so few
# What would make a heap another one than the user gets, or would replay the trace in another one
_SETTINGS: Final = ('LD_PRELOAD', 'MALLOC_', 'GLIBC_TUNABLES', 'MIMALLOC_', 'TCMALLOC_')


class WrongHeap(Exception):
    """An allocator broke the rules of malloc and its relatives; the message says how."""


@dataclass(frozen=True)
class Figures:
    """The figures of one allocator for a trace."""

    heap: str
    ns: float  # an operation, the loop included: the median
    ns_least: float
    ns_most: float
    footprint: float | None  # peak bytes held from the system over peak live bytes; none where no byte is ever live
    held_bytes: int
    high_water_bytes: int
    worst_ns: float  # the worst single operation
    rarely_ns: float  # all but one in 10,000 are faster


@dataclass(frozen=True)
class Replayed:
    """The figures of all allocators for a trace."""

    nr_operations: int
    peak_live_bytes: int
    nr_threads: int
    nr_rounds: int
    loop_ns: float  # the loop alone
    figures: list[Figures]
    failures: dict[str, str]  # of heaps that went wrong, in a sentence

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


class Driver:
    """The replaying program, with a trace laid out for it."""

    def __init__(self, trace: Trace, folder: Path, say: Say) -> None:
        self._program = compiled(REPLAY, say)
        self.flat: Flat = flatten(trace)
        self._file = folder / 'flat'
        self._file.write_bytes(self.flat.content)
        self._least = folder / 'least'

    def run(self, heap: Heap, *measurement: str) -> dict[str, float]:
        """One process. Raises WrongHeap, Unusable."""
        environment = {name: value for name, value in os.environ.items() if not name.startswith(_SETTINGS)}
        if heap.library is not None:
            environment['LD_PRELOAD'] = preloaded(heap.library)
        command = [str(self._program), str(self._file), *measurement]
        try:
            done = subprocess.run(
                command,
                env=environment,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                errors='replace',
                timeout=SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise WrongHeap(f'{heap.name}: the replay had not ended after {SECONDS} s') from None
        words = done.stderr.strip().splitlines()
        if done.returncode < 0:
            raise WrongHeap(f'{heap.name}: the replay was ended by {signal.Signals(-done.returncode).name}')
        if done.returncode == 0 and not words:
            answer: dict[str, float] = json.loads(done.stdout)
            return answer
        sentence = f'{heap.name}: {words[-1] if words else f"the replay ended with {done.returncode}"}'
        raise (WrongHeap if done.returncode in (0, WRONG_HEAP) else Unusable)(sentence)

    def ns(self, heap: Heap, *measurement: str) -> float:
        """Nanoseconds per operation of one thread, in one process."""
        return self.run(heap, *measurement)['ns'] / max(1, self.flat.nr_operations)

    def worst(self, heap: Heap, nr_rounds: int) -> tuple[float, float]:
        """The worst operation, and the time below which all but one in 10,000 stay, in nanoseconds.

        Each operation counts with its least time in any round, so that an interruption in one of them does not.
        """
        nr_operations = self.flat.nr_operations
        self._least.write_bytes(b'\xff' * 4 * nr_operations)
        for _ in range(nr_rounds):
            ticks_a_ns = self.run(heap, 'worst', str(self._least))['ticks_a_ns']
        least = sorted(array('I', self._least.read_bytes()), reverse=True)
        return least[0] / ticks_a_ns, least[nr_operations // ONE_IN] / ticks_a_ns


def replay(trace: Trace, heaps: Sequence[Heap], nr_threads: int, nr_rounds: int, say: Say) -> Replayed:
    """All figures. A heap that fails has none, and the others continue without it. Raises Unusable."""
    if not len(trace):
        raise Unusable('a trace without operations cannot be replayed: record one that has some')
    try:
        with own_folder() as folder:
            driver = Driver(trace, folder, say)
            return measure(driver, heaps, nr_threads, nr_rounds)
    except OSError as error:
        raise Unusable(
            f'{error.filename or "a temporary file"} cannot be written ({error.strerror}): free some space'
        ) from error


def heaps_for(trace: Trace, heaps: Sequence[Heap], name: str, say: Say) -> list[Heap]:
    """The heaps that can serve the trace; a remark names the others. Raises Unusable if none is left."""
    able = [heap for heap in heaps if heap.can_align or max(trace.shifts, default=0) <= MIN_SHIFT]
    unable = ', '.join(heap.name for heap in heaps if heap not in able)
    if not able:
        raise Unusable(f'{name}: {unable} cannot align to more than 16 bytes, as the trace asks: name another heap')
    if unable:
        say(f'{name}: {unable} cannot align to more than 16 bytes, as the trace asks; left out')
    return able


def measure(driver: Driver, heaps: Sequence[Heap], nr_threads: int, nr_rounds: int) -> Replayed:
    """All figures of all heaps."""
    nothing = Heap('the loop', None)
    failures: dict[str, str] = {}
    figures: list[Figures] = []
    times = time_in_turn(driver, [nothing, *heaps], nr_threads, nr_rounds, failures)
    empty = int(driver.run(nothing, 'start')['before_bytes'])
    for heap in [heap for heap in heaps if heap.name not in failures]:
        with remembered(heap, failures):
            if nr_threads > 1:
                driver.run(heap, 'verify', str(nr_threads))
            figures.append(figures_of(driver, heap, times[heap.name], empty, min(nr_rounds, NR_WORST_ROUNDS)))
    loop = statistics.median(times[nothing.name])
    flat = driver.flat
    return Replayed(flat.nr_operations, flat.peak_live_bytes, nr_threads, nr_rounds, loop, figures, failures)


def time_in_turn(
    driver: Driver, heaps: Sequence[Heap], nr_threads: int, nr_rounds: int, failures: dict[str, str]
) -> dict[str, list[float]]:
    """Nanoseconds per operation of each in each round; the first is the loop alone.

    They take turns in order and back, so that none always follows the same one.
    """
    times: dict[str, list[float]] = {heap.name: [] for heap in heaps}
    nothing = heaps[0]
    for number in range(nr_rounds):
        right = [heap for heap in heaps if heap.name not in failures]
        for heap in right if number % 2 == 0 else reversed(right):
            with remembered(heap, failures):
                measurement = ('loop',) if heap is nothing else ('time', str(nr_threads))
                times[heap.name].append(driver.ns(heap, *measurement))
    return times


@contextmanager
def remembered(heap: Heap, failures: dict[str, str]) -> Iterator[None]:
    """Record how a heap failed, the first time."""
    try:
        yield
    except WrongHeap as error:
        failures.setdefault(heap.name, str(error))


def figures_of(driver: Driver, heap: Heap, times: list[float], empty: int, nr_worst_rounds: int) -> Figures:
    """The figures of one heap; `empty` is the memory of a process without a heap, which does not count."""
    held = driver.run(heap, 'footprint')
    held_bytes = int(held['peak_bytes']) - empty
    live_bytes = driver.flat.peak_live_bytes
    worst, rarely = driver.worst(heap, nr_worst_rounds)
    return Figures(
        heap.name,
        statistics.median(times),
        min(times),
        max(times),
        held_bytes / live_bytes if live_bytes else None,
        held_bytes,
        int(held['high_water_bytes']),
        worst,
        rarely,
    )
