"""Replays a trace against allocators, in turn, and collects the figures of c/replay.c.

Each figure of an allocator comes from processes that did nothing else before. docs/traces.md says what is timed, what
is touched, and how memory is counted.
"""

import heapq
import json
import os
import signal
import statistics
import subprocess
from array import array
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from incroos.build.held_signals import held_signals
from incroos.build.own_folder import own_folder
from incroos.run.free_memory import free_bytes, within
from incroos.run.outcome import Unusable

from .flat import Flat, flatten
from .heaps import Heap
from .operations import Trace
from .programs import REPLAY, Say, compiled, preloaded
from .watch import watched
from .words import count

NR_ROUNDS: Final = 9
NR_WORST_ROUNDS: Final = 5
SECONDS: Final = 600  # that one replay may take
WRONG_HEAP: Final = 1  # a status of c/replay.c
MIN_SHIFT: Final = 4  # of every block: 16 bytes
SLOT_BYTES: Final = 24  # of c/replay.c, at most, for each block that is live
LEAST_BYTES: Final = 4  # of an operation, in the file that keeps the least time of each
ONE_IN: Final = 10_000  # operations: the slowest but for so few
# What would make a heap another one than the user gets, or would replay the trace in another one
_SETTINGS: Final = ('LD_PRELOAD', 'MALLOC_', 'GLIBC_TUNABLES', 'MIMALLOC_', 'TCMALLOC_')


class WrongHeap(Unusable):
    """An allocator broke the rules of malloc and its relatives; the message says how."""


class TooMuch(Unusable):
    """A replay would take more memory than it may; the message says how much."""


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
    """The replaying program, with a trace laid out for it, and the most memory that it may take."""

    def __init__(self, trace: Trace, folder: Path, say: Say, memory_bytes: int | None = None) -> None:
        self._program = compiled(REPLAY, say)
        with within(free_bytes()):
            self.flat: Flat = flatten(trace)
        self._memory_bytes = free_bytes() if memory_bytes is None else memory_bytes
        self._file = folder / 'flat'
        self._file.write_bytes(self.flat.content)
        self._least = folder / 'least'

    def run(self, heap: Heap, *measurement: str) -> dict[str, float]:
        """One process. Raises WrongHeap, Unusable."""
        environment = {name: value for name, value in os.environ.items() if not name.startswith(_SETTINGS)}
        if heap.library is not None:
            environment['LD_PRELOAD'] = preloaded(heap.library)
        command = [str(self._program), str(self._file), *measurement]
        output, remarks, status, took_too_much = self._run(command, environment)
        words = remarks.strip().splitlines()
        if took_too_much:
            allowed = count(self._memory_bytes or 0, 'byte')
            raise WrongHeap(f'{heap.name}: the replay took more than {allowed} of memory: allow more with --memory')
        if status is None:
            raise WrongHeap(f'{heap.name}: the replay had not ended after {SECONDS} s')
        if status < 0:
            raise WrongHeap(f'{heap.name}: the replay was ended by {signal.Signals(-status).name}')
        if status == 0 and not words:
            answer: dict[str, float] = json.loads(output)
            return answer
        sentence = f'{heap.name}: {words[-1] if words else f"the replay ended with {status}"}'
        raise (WrongHeap if status in (0, WRONG_HEAP) else Unusable)(sentence)

    def _run(self, command: list[str], environment: dict[str, str]) -> tuple[str, str, int | None, bool]:
        """Output, remarks, and status of the program, None if it took too long; and whether it took too much memory."""
        pipes: dict[str, Any] = {'stdin': subprocess.DEVNULL, 'stdout': subprocess.PIPE, 'stderr': subprocess.PIPE}
        with ExitStack() as closing:
            with held_signals():
                process = closing.enter_context(
                    subprocess.Popen(command, env=environment, text=True, errors='replace', **pipes)
                )
                closing.callback(process.kill)
            try:
                with watched(process, self._memory_bytes) as watch:
                    output, remarks = process.communicate(timeout=SECONDS)
            except subprocess.TimeoutExpired:
                return '', '', None, False
        return output, remarks, process.returncode, watch.has_ended_it

    def refuse_too_much(self, nr_threads: int) -> None:
        """Raises TooMuch if the blocks and the tables of so many threads are more than the memory that may be taken."""
        flat = self.flat
        shared = len(flat.content) + LEAST_BYTES * flat.nr_operations
        needed = shared + nr_threads * (flat.peak_live_bytes + SLOT_BYTES * flat.nr_slots)
        if self._memory_bytes is not None and needed > self._memory_bytes:
            allowed = f'it may take at most {self._memory_bytes:,}'
            raise TooMuch(f'a replay takes {count(needed, "byte")} of memory, and {allowed}: allow more with --memory')

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
        least = array('I', self._least.read_bytes())
        slowest = heapq.nlargest(nr_operations // ONE_IN + 1, least)
        return slowest[0] / ticks_a_ns, slowest[-1] / ticks_a_ns


def replay(
    trace: Trace, heaps: Sequence[Heap], nr_threads: int, nr_rounds: int, say: Say, memory_bytes: int | None = None
) -> Replayed:
    """All figures. A heap that fails has none, and the others continue without it.

    A replay may take so much memory, or without a number what is free. Raises Unusable, before it if it is too much.
    """
    if not len(trace):
        raise Unusable('a trace without operations cannot be replayed: record one that has some')
    try:
        with own_folder() as folder:
            driver = Driver(trace, folder, say, memory_bytes)
            driver.refuse_too_much(nr_threads)
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
            if heap is nothing:
                times[heap.name].append(driver.ns(heap, 'loop'))
                continue
            with remembered(heap, failures):
                times[heap.name].append(driver.ns(heap, 'time', str(nr_threads)))
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
