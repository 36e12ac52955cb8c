"""Figures of ring 3: the program that measures itself, what is read from it, and the page."""

import subprocess
from pathlib import Path

import pytest

from bench import linux_guest, readme, ring3, ring3_page
from bench.executable import C, CannotBench
from bench.figures import Figure, as_json

from ..budget import SECONDS
from ..docs.documents import ROOT

NAMES = [each.name for each in ring3.OPERATIONS]


def test_the_programs_measure_each_operation(tmp_path: Path) -> None:
    """On the host a nanosecond is no instruction, so that only the names can be looked at."""
    linux_guest.compiled(C / 'return_0.c', tmp_path)
    found: list[str] = []
    for name in ('ring3', 'tasks'):
        program = linux_guest.compiled(C / f'{name}.c', tmp_path)
        done = subprocess.run([program], cwd=tmp_path, capture_output=True, text=True, timeout=SECONDS, check=True)
        first, *others = [name for name, _hundredths in linux_guest.LINE.findall(done.stdout)]
        assert first == 'nop'
        found += others
    assert sorted(found) == sorted(NAMES)


def test_pages_are_touched(tmp_path: Path) -> None:
    program = linux_guest.compiled(C / 'touch.c', tmp_path)
    text = subprocess.run([program, '3', '2'], capture_output=True, text=True, timeout=SECONDS, check=True).stdout
    assert text == '1536 pages\n'


def test_an_instruction_must_be_a_nanosecond() -> None:
    assert linux_guest.figures_in('x\r\nfigure nop 100\r\nfigure a -250\n') == {'nop': 1.0, 'a': -2.5}
    for text in ('', 'figure a 100\n', 'figure nop 117\n'):
        with pytest.raises(CannotBench, match='did not come to a nanosecond'):
            linux_guest.figures_in(text)


def test_stored_figures_of_linux_are_those_of_the_operations() -> None:
    stored = linux_guest.stored()
    assert sorted(stored.figures) == sorted(['nop', *NAMES])
    assert all(figure > 0 for figure in stored.figures.values())
    assert stored.words() == f'Linux {stored.kernel}, {stored.qemu}, stored on {stored.date}'


def test_stored_figures_stand_in_where_there_is_no_linux(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv('PATH', str(tmp_path))
    said: list[str] = []
    assert linux_guest.measured_or_stored([tmp_path / 'none'], tmp_path / 'none', said.append) == linux_guest.stored()
    assert 'stored figures are taken: apt-cache does not work' in said[0]


def test_the_page_has_both_kernels_and_what_is_required() -> None:
    figures = [Figure(name, '', 'instructions', 10.4, 2000.6, 0.1, at_most=1100, ambition=None) for name in NAMES]
    figures += [Figure('sim-fault', 'sim: a page fault', 'ms', 0.123, at_most=0.5)]
    machine = dict.fromkeys(('processor', 'processors', 'load'), 'p')
    linux = {'kernel': '6', 'qemu': 'QEMU 7', 'date': '', 'figures': {}}
    page = ring3_page.section({**as_json(figures, machine, []), 'linux': linux})
    assert f'| {ring3.OPERATIONS[0].pattern} | 2,001 | 10 | 1,100 |  | {ring3.OPERATIONS[0].more} |' in page
    assert '| sim: a page fault | 0.12 ms | 0.5 ms |' in page
    assert 'Linux 6, QEMU 7, without mitigations' in page


def test_figures_of_a_new_table_are_stored_for_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(linux_guest, 'STORED', tmp_path / 'stored')
    figures = dict.fromkeys(['nop', *NAMES], 1.5)
    ring3_page.keep({'linux': {'kernel': '6', 'qemu': 'QEMU 7', 'date': '', 'figures': figures}})
    stored = linux_guest.stored()
    assert (stored.kernel, stored.qemu, stored.figures) == ('6', 'QEMU 7', figures)
    ring3_page.keep({'linux': {'kernel': '7', 'qemu': 'QEMU 7', 'date': stored.date, 'figures': figures}})
    assert linux_guest.stored() == stored


def test_the_readme_has_the_rows_and_limits_of_the_page() -> None:
    page = (ROOT / ring3_page.PAGE).read_text()
    table = (ROOT / 'README.md').read_text().partition(readme.SHORT_START)[2].partition(readme.END)[0]
    patterns = [each.pattern for each in ring3.OPERATIONS if each.name in ring3_page.SHORT]
    rows = [line.strip('| ').split(' | ') for line in table.splitlines()[2:]]
    assert [row[0] for row in rows] == patterns
    for row in rows:
        assert f'| {" | ".join(row)}' in page
