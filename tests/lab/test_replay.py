"""The replay: what is laid out for it, what it finds of a right heap, and that it notices every kind of wrong one."""

import struct
from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest
from hypothesis import given, settings

from incroos.lab.flat import flatten
from incroos.lab.heaps import GLIBC, OURS, Heap, heaps
from incroos.lab.operations import Kind, Trace
from incroos.lab.replay import Driver, WrongHeap, replay
from incroos.lab.summary import summary_of
from incroos.run.outcome import Unusable

from .c_programs import compile_library
from .traces import small_trace, traces

MIB = 1 << 20
RIGHT = {
    'malloc': 'void *malloc(size_t n) { return memalign(16, n); }',
    'calloc': 'void *calloc(size_t a, size_t b) { return memset(malloc(a * b), 0, a * b); }',
    'memalign': 'void *memalign(size_t a, size_t n) { used = (used + a - 1 & -a) + n; return room + used - n; }',
    'realloc': 'void *realloc(void *p, size_t n) { void *q = malloc(n); if (p) memmove(q, p, n); return q; }',
    'free': 'void free(void *p) {}',
}
WRONG = {
    'operation 2: a zeroed block is not zero, byte 0 of 3000: 0x55 in the place of 0': {
        'calloc': 'void *calloc(size_t a, size_t b) { return memset(malloc(a * b), 0x55, a * b); }'
    },
    'operation 4: realloc lost bytes, byte 0 of 100: 0 in the place of 0x1': {
        'realloc': 'void *realloc(void *p, size_t n) { return malloc(n); }'
    },
    'operation 5: a block was written to by somebody else, byte 0 of 3000: 0x4f in the place of 0xa8': {
        'calloc': 'void *calloc(size_t a, size_t b) { return memset(room + 32 * 1024, 0, a * b); }',
        'memalign': 'void *memalign(size_t a, size_t n) { return a > 16 ? room + 32 * 1024 : room; }',
        'realloc': 'void *realloc(void *p, size_t n) { return memmove(room + 128 * 1024, p, 100); }',
    },
    'operation 4: no memory for 200000 bytes': {'realloc': 'void *realloc(void *p, size_t n) { return NULL; }'},
    'is not aligned': {
        'memalign': 'void *memalign(size_t a, size_t n) { used += n + 31 & -16; return room + used - n; }'
    },
    'the replay was ended by SIGABRT': {'free': 'void free(void *p) { if (p) abort(); }'},
}


@pytest.fixture
def library(tmp_path: Path) -> Callable[[dict[str, str]], Heap]:
    """A heap made of these functions, and of right ones for the others."""

    def make(functions: dict[str, str]) -> Heap:
        text = 'static _Alignas(4096) char room[1 << 26]; static size_t used;' + ''.join(
            ({**RIGHT, **functions}).values()
        )
        return Heap('mine', compile_library(tmp_path, text))

    return make


@pytest.fixture
def driver(tmp_path: Path) -> Driver:
    return Driver(small_trace(), tmp_path, print)


@given(traces())
def test_a_trace_is_laid_out_with_a_slot_for_each_live_block(trace: Trace) -> None:
    flat = flatten(trace)
    nr_operations, nr_slots, peak_operation, _ = struct.unpack_from('<QQQQ', flat.content)
    assert (nr_operations, flat.nr_operations) == (len(trace), len(trace))
    assert len(flat.content) == 32 + 16 * (len(trace) + 16)
    assert nr_slots == summary_of(trace).nr_live_at_most
    slots: dict[int, tuple[int, int]] = {}
    slot_of: dict[int, int] = {}
    live = []
    for index in range(len(trace)):
        operation = trace[index]
        slot, kind, shift, unused, size = struct.unpack_from('<IBBHQ', flat.content, 32 + 16 * index)
        assert (kind, shift, unused, size) == (operation.kind, operation.shift, 0, operation.size)
        if operation.kind <= Kind.ALLOCATE_ALIGNED:
            assert slot not in slots
            slot_of[operation.block] = slot
        else:
            assert slots[slot][0] == operation.block
        slots[slot_of[operation.block]] = operation.block, size
        if kind == Kind.FREE:
            del slots[slot]
        live.append(sum(size for _, size in slots.values()))
    assert flat.peak_live_bytes == max([0, *live])
    assert not live or live[peak_operation] == flat.peak_live_bytes


def test_glibc_is_measured() -> None:
    trace = small_trace()
    found = replay(trace, [Heap(GLIBC, None)], 1, 3, print)
    assert (found.nr_operations, found.peak_live_bytes, found.nr_rounds) == (8, 273_000, 3)
    (figures,) = found.figures
    assert figures.heap == GLIBC
    assert 0 < figures.ns_least <= figures.ns <= figures.ns_most
    assert figures.worst_ns >= figures.rarely_ns > 0
    assert 273_000 <= figures.held_bytes < 2 * MIB
    assert figures.footprint == figures.held_bytes / 273_000


def test_a_footprint_is_what_is_held_at_most(library: Callable[[dict[str, str]], Heap]) -> None:
    """A heap that reuses nothing holds all that was ever asked for, one that holds much from the start has that too."""
    trace = Trace()
    for block in range(1000):
        trace.add(Kind.ALLOCATE, block, 8192)
        trace.add(Kind.FREE, block)
    held = {each.heap: each for each in replay(trace, [Heap(GLIBC, None), library({})], 1, 1, print).figures}
    assert held['mine'].held_bytes >= 8192 * 1000
    assert held['mine'].high_water_bytes >= 7 * MIB  # which the system counts less exactly
    assert held[GLIBC].held_bytes < MIB
    start = '__attribute__((constructor)) static void start(void) { memset(room + (1 << 25), 1, 1 << 24); }'
    (greedy,) = replay(small_trace(), [library({'start': start})], 1, 1, print).figures
    assert greedy.held_bytes > 16 * MIB


def test_two_threads_replay_it_at_once(driver: Driver, library: Callable[[dict[str, str]], Heap]) -> None:
    assert driver.ns(Heap(GLIBC, None), 'time', '2') > 0
    limit = 'static int count; void *calloc(size_t a, size_t b) { if (++count == 2) abort(); return malloc(a * b); }'
    heap = library({'calloc': limit})
    assert driver.ns(heap, 'time', '1') > 0
    with pytest.raises(WrongHeap, match='SIGABRT'):
        driver.ns(heap, 'time', '2')


def test_two_threads_that_get_the_same_memory_are_found_out(
    driver: Driver, library: Callable[[dict[str, str]], Heap]
) -> None:
    """Each thread begins at the same place: right for one, wrong for two."""
    mine = 'static __thread size_t mine;' + RIGHT['memalign'].replace('used', 'mine')
    heap = library({'memalign': mine})
    assert driver.run(heap, 'verify', '1')['ns'] > 0
    with pytest.raises(WrongHeap):
        _ = [driver.run(heap, 'verify', '2') for _ in range(100)]  # once at least, both are at work at the same time
    assert driver.run(Heap(GLIBC, None), 'verify', '2')['ns'] > 0


def test_a_right_heap_is_not_called_wrong(driver: Driver, library: Callable[[dict[str, str]], Heap]) -> None:
    assert driver.run(library({}), 'footprint')['peak_bytes'] > 273_000


def test_a_byte_for_which_there_is_no_memory(library: Callable[[dict[str, str]], Heap], tmp_path: Path) -> None:
    trace = Trace()
    trace.add(Kind.ALLOCATE, 0, 1)
    heap = library({'malloc': 'void *malloc(size_t n) { return n == 1 ? NULL : memalign(16, n); }'})
    with pytest.raises(WrongHeap, match=r'mine: operation 1: no memory for 1 byte$'):
        Driver(trace, tmp_path, print).run(heap, 'footprint')


@pytest.mark.parametrize('sentence', WRONG)
def test_a_wrong_heap_is_found_out(driver: Driver, library: Callable[[dict[str, str]], Heap], sentence: str) -> None:
    with pytest.raises(WrongHeap) as caught:
        driver.run(library(WRONG[sentence]), 'footprint')
    assert str(caught.value).startswith('mine: ')
    assert str(caught.value).endswith(sentence)


def test_a_library_that_is_none_is_a_sentence(driver: Driver, tmp_path: Path) -> None:
    (tmp_path / 'x.so').write_text('no library')
    with pytest.raises(WrongHeap, match=r'^x: .*x\.so'):
        driver.run(Heap('x', tmp_path / 'x.so'), 'footprint')


def test_a_library_whose_path_cannot_be_preloaded_is_refused(driver: Driver, tmp_path: Path) -> None:
    with pytest.raises(Unusable, match='cannot be preloaded, for the sign in its path: set XDG_CACHE_HOME'):
        driver.run(Heap('x', tmp_path / 'a b.so'), 'footprint')


def test_the_worst_operation_is_the_worst(library: Callable[[dict[str, str]], Heap], tmp_path: Path) -> None:
    """One that always sleeps is found, and one that slept only in one round is not."""
    trace = Trace()
    for block in range(20_000):
        trace.add(Kind.ALLOCATE, block, 16)
    rest = 'usleep(300000); return memalign(16, n); }'
    slow = 'static int count; void *malloc(size_t n) { if (++count == 777) ' + rest
    found = Driver(trace, tmp_path, print).worst(library({'malloc': slow}), 2)
    assert found[0] >= 300e6 > found[1]
    was = tmp_path / 'was'
    once = slow.replace('== 777', f'== 777 && access("{was}", F_OK) && !close(creat("{was}", 0600))')
    assert Driver(trace, tmp_path, print).worst(library({'malloc': once}), 2)[0] < 300e6
    assert was.exists()


WAITS: Final = """
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>
int open(const char *path, int flags, ...) {
    static int calls;
    char text[64];
    if (strstr(path, "schedstat") == NULL) return (int)syscall(SYS_openat, -100, path, flags, 0);
    int fd = memfd_create("x", 0);
    int length = snprintf(text, sizeof text, "0 %d00000000000 0", ++calls);
    if (write(fd, text, length) != length) return -1;
    lseek(fd, 0, SEEK_SET);
    return fd;
}
"""


def test_a_wait_for_a_processor_before_the_first_operation_does_not_count(driver: Driver, tmp_path: Path) -> None:
    """As under load: more than the whole replay takes. What remains is what the processor worked."""
    heap = Heap('waits', compile_library(tmp_path, WAITS))
    assert driver.run(heap, 'time', '1')['ns'] > 0


def test_a_trace_without_operations_is_refused() -> None:
    with pytest.raises(Unusable, match='without operations'):
        replay(Trace(), [Heap(GLIBC, None)], 1, 1, print)


@pytest.mark.parametrize('name', OURS)
def test_ours_are_right_on_random_traces(name: str) -> None:
    (heap,) = heaps([name], [], print)

    @settings(max_examples=10)
    @given(traces(200))
    def replayed(trace: Trace) -> None:
        trace.sizes[:] = type(trace.sizes)('Q', [min(size, 100_000) for size in trace.sizes])
        trace.shifts[:] = bytes(min(shift, 13) for shift in trace.shifts)
        if not heap.can_align:
            trace.shifts[:] = bytes(len(trace))
        if len(trace):
            found = replay(trace, [heap], 2, 1, print)
            assert (len(found.figures), found.failures) == (1, {})

    replayed()


@settings(max_examples=10)
@given(traces(20))
def test_any_trace_is_replayed_or_has_no_memory(trace: Trace) -> None:
    sizes = [min(size, 100_000) for size in trace.sizes]
    trace.sizes[:] = type(trace.sizes)('Q', sizes)
    trace.shifts[:] = bytes(min(shift, 16) for shift in trace.shifts)
    if len(trace):
        assert replay(trace, [Heap(GLIBC, None)], 2, 1, print).figures[0].ns > 0
