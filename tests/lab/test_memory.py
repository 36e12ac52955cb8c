"""Traces that would fill the machine: refused before anything is started, or ended in time, each with a sentence."""

import re
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest

from incroos.lab import binary, files
from incroos.lab.heaps import GLIBC, Heap
from incroos.lab.operations import Kind, Trace
from incroos.lab.replay import Replayed, replay
from incroos.run.free_memory import within
from incroos.run.outcome import Status
from tests.cli.command import COMMAND, run

from .c_programs import compile_library

MIB: Final = 1 << 20
# Nothing is given back, and each block takes more than was asked for.
GREEDY: Final = """
static char *room;
void *malloc(size_t n) {
    int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
    if (room == NULL) room = mmap(NULL, 1ul << 40, PROT_READ | PROT_WRITE, flags, -1, 0);
    char *ptr = room;
    room += n + 16 * 1024 * 1024 & ~4095ul;
    for (char *at = ptr; at < room; at += 4096) *at = 1;
    return ptr;
}
void free(void *p) {}
"""


def trace_of(*sizes: int) -> Trace:
    trace = Trace()
    for block, size in enumerate(sizes):
        trace.add(Kind.ALLOCATE, block, size)
    return trace


@pytest.fixture
def write(tmp_path: Path) -> Callable[[Trace], str]:
    def write_trace(trace: Trace) -> str:
        (tmp_path / 'x.trace').write_bytes(binary.encode(trace))
        return str(tmp_path / 'x.trace')

    return write_trace


@pytest.mark.parametrize('sizes', [(1 << 47,), (1 << 40,) * 1000], ids=['one block', 'many blocks'])
def test_a_trace_that_no_machine_has_room_for_is_refused(write: Callable[[Trace], str], sizes: tuple[int, ...]) -> None:
    file = write(trace_of(*sizes))
    done = run('trace', 'replay', file, '--heap', GLIBC)
    assert (done.status, done.output) == (Status.UNUSABLE, '')
    found = re.fullmatch(
        rf'incroos: {re.escape(file)}: a replay takes ([0-9,]+) bytes of memory, and it may take at most ([0-9,]+):'
        r' allow more with --memory\n',
        done.remarks,
    )
    assert found is not None
    needed, allowed = (int(number.replace(',', '')) for number in found.groups())
    assert sum(sizes) <= needed <= sum(sizes) + MIB
    assert allowed < 1 << 46


@pytest.mark.parametrize(
    ('options', 'is_refused'),
    [
        (('--memory', '1M'), True),
        (('--memory', '64M'), False),
        (('--memory', '64M', '--threads', '7'), True),
        (('--memory', '1G', '--threads', '7'), False),
    ],
)
def test_how_much_a_replay_may_take_can_be_said(
    write: Callable[[Trace], str], options: tuple[str, ...], is_refused: bool
) -> None:
    done = run('trace', 'replay', write(trace_of(10 * MIB)), '--heap', GLIBC, '--rounds', '1', *options)
    assert done.status == (Status.UNUSABLE if is_refused else 0)
    assert ('a replay takes' in done.sentence) == is_refused


def test_an_amount_that_is_none_is_wrong_usage(write: Callable[[Trace], str]) -> None:
    done = run('trace', 'replay', write(trace_of(1)), '--memory', 'much')
    assert done.status == Status.WRONG_USAGE
    assert "'much' is not an amount of memory: write a number with K, M, G or T, as 64M" in done.sentence


def test_a_heap_that_takes_more_than_is_live_is_ended(tmp_path: Path) -> None:
    greedy = Heap('greedy', compile_library(tmp_path, '#include <sys/mman.h>\n' + GREEDY))
    found: Replayed = replay(trace_of(*[1000] * 400), [greedy, Heap(GLIBC, None)], 1, 1, print, 256 * MIB)
    assert [each.heap for each in found.figures] == [GLIBC]
    sentence = 'greedy: the replay took more than 268,435,456 bytes of memory: allow more with --memory'
    assert found.failures == {'greedy': sentence}


def hostile(nr_operations: int) -> bytes:
    """A trace of so many operations that take a byte each, and says that it has one."""
    body = bytes(nr_operations)
    header = binary.HEADER.pack(binary.MAGIC, binary.VERSION, 1, 1, 1, len(body))
    return header + struct.pack('<I', zlib.crc32(body, zlib.crc32(header))) + body


@pytest.mark.parametrize('content', [hostile(3_000_000), b'1 1 1 1\n' + b'a 0 0\n' * 1_000_000], ids=['trace', 'rep'])
def test_a_file_that_takes_more_memory_than_is_free_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], content: bytes
) -> None:
    from incroos.cli import commands

    monkeypatch.setattr(files, 'free_bytes', lambda: 4 * MIB)
    (tmp_path / 'x.trace').write_bytes(content)
    (tmp_path / 'y.trace').write_text('older')
    for words in (['show'], ['convert', '-o', str(tmp_path / 'y.trace')], ['replay', '--heap', GLIBC]):
        monkeypatch.setattr('sys.argv', ['incroos', 'trace', *words, str(tmp_path / 'x.trace')])
        assert commands.run() == Status.UNUSABLE
        sentence = f'{tmp_path}/x.trace takes more memory than is free: name a smaller trace, or free some'
        assert capfd.readouterr() == ('', f'incroos: {sentence}\n')
    assert (tmp_path / 'y.trace').read_text() == 'older'


@pytest.mark.parametrize('verb', ['show', 'replay'])
def test_a_file_without_an_end_is_not_read_to_its_end(verb: str) -> None:
    done = run(
        *('trace', verb, '/dev/zero'),
        prefix=['sh', '-c', 'ulimit -v 1000000; exec "$@"', 'sh', *COMMAND],
    )
    assert (done.status, done.sentence) == (
        Status.UNUSABLE,
        '/dev/zero is not a trace: record one with incroos trace record',
    )


def test_a_recording_takes_little_more_memory_than_its_trace(tmp_path: Path) -> None:
    """It may be of millions of calls, and is lost if it cannot be read."""
    from incroos.lab.record import convert

    pair = struct.pack('<QQQ', 8, 0, 1 << 56 | 0x1000) + struct.pack('<QQQ', 0, 0, 4 << 56 | 0x1000)
    (tmp_path / 'raw').write_bytes(struct.pack('<QQQ', 3_000_000, 3_000_000, 0) + pair * 1_500_000)
    with within(24 * MIB):
        convert(tmp_path / 'raw', tmp_path / 'x.trace', print)
    assert len(files.read(tmp_path / 'x.trace')) == 3_000_000
