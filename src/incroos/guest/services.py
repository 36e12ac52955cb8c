"""What the host can ask a guest for beside the functions of the memory manager: memory, counts, and its end.

Each is a kernel function with words as parameters; calls.py gives it a name. Knows nothing of batches.
"""

from typing import Final, NoReturn

from incroos.kernel import heap, statistics
from incroos.kernel.boot import report
from incroos.kernel.heap.report import leaks, walk
from incroos.kernel.io.panic import end_machine, panic
from incroos.kernel.pmm import memory_map
from incroos.kernel.state import Kernel
from incroos.lang import PhysAddr, VirtAddr, fill, kernel, load8, load64, pause, shr_logical, store64, word

UNKNOWN: Final = -1 << 63  # the result of an operation that the kernel does not have


# ------------------------------------------------------------------ frames
@kernel
def refuse_at(k: Kernel, request: word) -> None:
    """Refuse that request for a frame, counting from 1 from now on; 0: none."""
    k.frames.requests = 0
    k.frames.refuse_at = request


@kernel
def read_memory_map(k: Kernel, start_info: PhysAddr) -> word:
    """What check says of the memory map in this start information. Nothing else may be asked afterwards."""
    memory_map.read(k, start_info)
    return memory_map.check(k.memory_map)


# ------------------------------------------------------------------ memory; what is not mapped faults, as anywhere
@kernel
def load(k: Kernel, va: VirtAddr) -> word:
    """The word there."""
    return load64(k.m, va)


@kernel
def store(k: Kernel, va: VirtAddr, value: word) -> None:
    """Write a word."""
    store64(k.m, va, value)


@kernel
def fill_bytes(k: Kernel, va: VirtAddr, byte: word, nbytes: word) -> None:
    """Write a byte nbytes times."""
    fill(k.m, va, byte, nbytes)


@kernel
def count_other(k: Kernel, va: VirtAddr, byte: word, nbytes: word) -> word:
    """How many of the bytes from va on are not the byte."""
    count = 0
    for at in range(nbytes):
        if load8(k.m, VirtAddr(va + at)) != byte:
            count += 1
    return count


# ------------------------------------------------------------------ the heap
@kernel
def create_cache(k: Kernel, object_bytes: word, alignment: word, template: VirtAddr, name: word) -> word:
    """A cache whose name comes in a word, its first byte lowest."""
    cache = heap.cache_create(k, b'', object_bytes, alignment, template, VirtAddr(0))
    for index in range(8 if cache.addr != 0 else 0):
        cache.name[index] = shr_logical(name, 8 * index) & 0xFF
    return cache.addr


@kernel
def next_visit(k: Kernel, addr: VirtAddr) -> word:
    """Where the first visit at or behind the address ends; 0 when there is none."""
    start, nbytes, _kind, _state = walk.find_next(k.heap, addr)
    return start + nbytes


@kernel
def leaked_blocks(k: Kernel, snapshot: word) -> word:
    """How many blocks are there that were not at the snapshot."""
    nr_blocks, _nbytes = leaks.count(k.heap, snapshot)
    return nr_blocks


@kernel
def leaked_bytes(k: Kernel, snapshot: word) -> word:
    """How many bytes they have."""
    _nr_blocks, nbytes = leaks.count(k.heap, snapshot)
    return nbytes


@kernel
def visited_bytes(k: Kernel, state: word) -> word:
    """How many bytes of the heap have a state (heap/report/walk.py)."""
    return walk.visited_bytes(k.heap, state)


@kernel
def snapshot(k: Kernel) -> word:
    """This moment, for leaked_blocks."""
    return leaks.snapshot(k.heap)


@kernel
def put_leaks(k: Kernel, since: word) -> None:
    """Put a line for each block that was given since a snapshot and did not come back."""
    leaks.put_report(k.heap, since)


# ------------------------------------------------------------------ statistics
@kernel
def collect_statistics(k: Kernel) -> word:
    """How often statistics were collected, this time included; UNKNOWN where the configuration has none."""
    return statistics.collect(k).nr_collected if statistics.can_collect(k) else UNKNOWN


@kernel
def put_statistics(k: Kernel) -> word:
    """Put them out on the console; UNKNOWN where the configuration has none."""
    if not statistics.can_collect(k):
        return UNKNOWN
    report.put_statistics(k)
    return 0


# ------------------------------------------------------------------ the end
@kernel
def panic_now(k: Kernel, a: word, b: word, c: word) -> None:
    """Panic with three words."""
    panic(k, b'the host asked for it', a, b, c)


@kernel
def spin(k: Kernel) -> NoReturn:
    """Never end."""
    while True:
        pause(k.m)


@kernel
def stop(k: Kernel, exit_code: word) -> None:
    """End the machine."""
    end_machine(k.m, exit_code)
