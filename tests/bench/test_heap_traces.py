"""Heaps over traces of programs: recordings leave no process behind, ratios are side by side, tables are whole."""

import os
import re
from collections.abc import Callable
from dataclasses import replace
from itertools import islice
from pathlib import Path
from random import Random
from typing import Any, Final

import pytest

from bench import heap_page, heap_traces
from bench.executable import CannotBench
from bench.heap_traces import KMALLOC, Row, means, measure, ratio, record_all
from bench.programs import recorded, texts
from bench.programs.all import PROGRAMS
from bench.programs.recorded import Program, free_port, record, record_server, run
from bench.readme import END, START
from incroos.lab import files
from incroos.lab.heaps import GLIBC, LEVELS, NAMES, Heap
from incroos.lab.operations import Kind, Trace
from tests.lab.c_programs import compile_library, compile_program

COLUMNS: Final = [
    KMALLOC,
    *(f'{KMALLOC}, {level}' for level in LEVELS[1:]),
    *(name for name in NAMES if name != KMALLOC),
]
SERVER: Final = """
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
int main(int count, char **words) {
    struct sockaddr_in where = {.sin_family = AF_INET, .sin_port = htons(atoi(words[1]))};
    inet_pton(AF_INET, "127.0.0.1", &where.sin_addr);
    int s = socket(AF_INET, SOCK_STREAM, 0), one = 1;
    setsockopt(s, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    malloc(9100);
    if (bind(s, (void *)&where, sizeof where) || listen(s, 9)) return 1;
    for (;;) close(accept(s, 0, 0));
}
"""


def quiet(sentence: str) -> None:
    """Progress is of no interest here."""


def processes_of(program: Path) -> list[str]:
    """The processes that run a program."""
    found = []
    for pid in filter(str.isdigit, os.listdir('/proc')):
        try:
            found += [pid] if os.readlink(f'/proc/{pid}/exe') == str(program) else []
        except OSError:
            continue
    return found


def test_a_program_is_recorded(tmp_path: Path) -> None:
    program = compile_program(tmp_path, 'int main(void) { char c; read(0, &c, 1); return !(c == 7 && malloc(9100)); }')
    record(tmp_path, tmp_path / 'x.trace', program, text=b'\7')
    assert 9100 in files.read(tmp_path / 'x.trace').sizes


def test_a_server_is_recorded_and_stopped(tmp_path: Path) -> None:
    program, port = compile_program(tmp_path, SERVER), free_port()
    loads = []
    record_server(tmp_path, tmp_path / 'x.trace', port, lambda: loads.append(processes_of(program)), program, str(port))
    assert [len(found) for found in loads] == [1]
    assert 9100 in files.read(tmp_path / 'x.trace').sizes
    assert processes_of(program) == []


@pytest.mark.parametrize(
    ('text', 'sentence'),
    [('int main(void) { return 3; }', 'ended with'), ('int main(void) { for (;;) pause(); }', 'had not ended after')],
)
def test_a_program_that_fails_or_hangs_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, sentence: str
) -> None:
    program = compile_program(tmp_path, text)

    def fail(folder: Path, output: Path) -> None:
        with monkeypatch.context() as patch:
            if 'pause' in text:
                patch.setattr(recorded, 'SECONDS', 2)
            record(folder, output, program)

    failing = Program('x', 'fails', fail)
    working = Program('y', 'works', lambda folder, output: record(folder, output, 'ls'))
    missing: list[str] = []
    found = list(record_all([failing, working], tmp_path / 'traces', quiet, missing))
    assert [(each.name, file.name) for each, file in found] == [('y', 'y.trace')]
    assert len(missing) == 1
    assert missing[0].startswith(f'x: {program} {sentence}')
    assert processes_of(program) == []


def test_a_server_that_does_not_come_up_is_missing(tmp_path: Path) -> None:
    program = compile_program(tmp_path, 'int main(void) { return 1; }')
    with pytest.raises(CannotBench, match='no server came up'):
        record_server(tmp_path, tmp_path / 'x.trace', free_port(), lambda: None, program)
    with pytest.raises(CannotBench, match=r'^false failed'):
        run(tmp_path, 'false')


def test_what_programs_are_given_is_the_same_every_time() -> None:
    one, other = (islice(texts.commits(Random(texts.SEED)), 200) for _ in range(2))
    assert list(one) == list(other)
    assert len({program.name for program in PROGRAMS}) == len(PROGRAMS) == 9


def some_trace(shift: int = 0) -> Trace:
    trace = Trace()
    for block in range(300):
        trace.add(Kind.ALLOCATE_ALIGNED if shift else Kind.ALLOCATE, block, 40 + block, shift)
        trace.add(Kind.FREE, block)
    return trace


@pytest.fixture
def heaps(tmp_path: Path) -> Callable[[str], list[Heap]]:
    """glibc, and a heap in which one function is another."""

    def make(text: str) -> list[Heap]:
        return [Heap(GLIBC, None), Heap('mine', compile_library(tmp_path, text), can_align=False)]

    return make


def test_each_heap_has_a_row_for_each_trace(heaps: Callable[[str], list[Heap]]) -> None:
    missing: list[str] = []
    found = measure('x', some_trace(), heaps('int nothing;'), 3, quiet, missing)
    assert [(row.trace, row.heap) for row in found] == [('x', GLIBC), ('x', 'mine')]
    assert (found[0].time, found[0].net_time, found[0].time_of_two) == (1, 1, 1)
    assert all(min(row.ns, row.ns_of_two, row.time, row.footprint, row.worst_ns, row.rarely_ns) > 0 for row in found)
    assert missing == []


def test_a_heap_that_fails_or_cannot_align_has_no_row(heaps: Callable[[str], list[Heap]]) -> None:
    missing: list[str] = []
    compared = heaps('void *malloc(size_t n) { abort(); }')
    assert [row.heap for row in measure('x', some_trace(), compared, 1, quiet, missing)] == [GLIBC]
    assert missing == ['x: mine: the replay was ended by SIGABRT']
    missing.clear()
    assert [row.heap for row in measure('x', some_trace(6), compared, 1, quiet, missing)] == [GLIBC]
    assert missing == []


def test_a_trace_without_live_bytes_has_no_row() -> None:
    missing: list[str] = []
    trace = Trace()
    trace.add(Kind.ALLOCATE, 0, 0)
    assert measure('x', trace, [Heap(GLIBC, None)], 1, quiet, missing) == []
    assert missing == [f'x: {GLIBC}: there is no footprint, because no byte of the trace is ever live']


def test_a_ratio_is_of_runs_side_by_side() -> None:
    assert ratio([2, 40, 6], [1, 10, 3], 0) == 2
    assert ratio([3, 5], [2, 3], 1) == 2


def row(trace: str, heap: str, time: float, footprint: float) -> Row:
    return Row(trace, heap, 10 * time, time, time, time, time, footprint, 1000 * time, 100)


def test_means_are_geometric_and_over_what_there_is() -> None:
    found = means([row('x', 'a', 0.5, 1), row('y', 'a', 2, 4), row('y', 'b', 3, 5)])
    assert found['a']['time'] == pytest.approx(1)
    assert found['a']['footprint'] == pytest.approx(2)
    assert (found['a']['most_worst_ns'], found['a']['nr_traces']) == (2000, 2)
    assert found['b']['time'] == pytest.approx(3)


def bench_of(rows: list[Row]) -> dict[str, Any]:
    """What the benchmark found, made up."""
    names = dict.fromkeys(each.trace for each in rows)
    about = {'words': 'works', 'nr_operations': 10, 'nr_live_at_most': 5, 'live_bytes_at_most': 1000}
    return {
        'machine': {'processor': 'P', 'processors': 2, 'load': 0.5, 'llvm': 'L', 'gcc': 'gcc (X) 1'},
        'versions': {GLIBC: '2.0'},
        'nr_rounds': 9,
        'traces': [{'name': name, **about} for name in names],
        'figures': [vars(each) for each in rows],
        'means': means(rows),
    }


def test_the_page_says_what_is_required_and_whether_it_is_so() -> None:
    ours = [replace(row('x', KMALLOC, 0.55, 1.1), net_time=0.45), row('x', f'{KMALLOC}, cheap', 0.605, 1.15)]
    behind = [row('x', GLIBC, 1, 1.05), row('x', 'mimalloc', 0.5, 1.5)]
    page = heap_page.section(bench_of([*ours, *behind]))
    assert '| allocators ahead of kmalloc in both time and footprint | none | none | yes |' in page
    assert "| time, of glibc's, the loop taken off | 0.60 | 0.45 | yes |" in page
    assert "| ambition: time, of glibc's, the loop taken off | 0.42 | 0.45 | no |" in page
    assert '| cheap | 1.10 | 1.15 |' in page
    assert '| x | works | 10 | 5 | 1,000 | 10.0 |' in page
    page = heap_page.section(bench_of([*ours, *behind, row('x', 'jemalloc', 0.54, 1.09)]))
    assert '| allocators ahead of kmalloc in both time and footprint | none | jemalloc | no |' in page
    page = heap_page.section(bench_of([*ours, *behind, row('y', GLIBC, 1, 1)]))
    assert '| y | – | – | 1.00 | – |' in page


def test_the_figures_in_the_document_are_those_that_are_measured() -> None:
    figures = Path(heap_page.PAGE).read_text().partition(START)[2].partition(END)[0]
    for heading, _, _ in heap_page.COLUMNS:
        table = re.search(rf'(?m)^\| {re.escape(heading)} \|.*\n\|[-|]*\n((?:\|.*\n)*)', figures)
        assert table
        assert table[0].splitlines()[0] == f'| {heading} | {" | ".join(COLUMNS)} |'
        assert [line.split(' | ')[0] for line in table[1].splitlines()] == [f'| {each.name}' for each in PROGRAMS]
    assert len(re.findall(r'(?m)^\| kmalloc \|', figures)) == 2


def test_a_library_of_ours_is_kept(tmp_path: Path) -> None:
    library = tmp_path / 'x.so'
    library.write_bytes(b'x')
    (tmp_path / 'kept').mkdir()
    copy = heap_traces.kept(Heap('kmalloc', library), tmp_path / 'kept')
    library.unlink()
    assert copy.library is not None
    assert copy.library.read_bytes() == b'x'
    assert heap_traces.kept(Heap(GLIBC, None), tmp_path) == Heap(GLIBC, None)
