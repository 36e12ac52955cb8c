"""`python -m bench --against`: two checkouts in turn, each with its own bench, and what is said of them."""

import io
import subprocess
import sys
from pathlib import Path

import click
import pytest
from rich.console import Console

from bench import against, checkout, image_figures
from bench.against import Fact, Remarks, Row, Side, in_turn, means, row_of, timed_rows
from bench.checkout import CannotSetUp, Checkout, hash_of, put_into
from bench.executable import CannotBench
from bench.processes import Process

from ..cli.command import ROOT

# The least that a bench has: rows that take a given time, and no table but the first.
CASES = """
from types import SimpleNamespace
CASES = [SimpleNamespace(name=name, pattern='words of ' + name, ours=ours) for name, ours in {rows}.items()]
"""
EXECUTABLE = """
def make(folder):
    return folder / 'bench'
"""
TWINS = """
from types import SimpleNamespace
def make(folder):
    raise AssertionError('it was built already')
def measure(rows, sample_us, nr_samples, most, say):
    make(None)
    for row in rows:
        if row.ours == 0:
            raise ValueError('a row that fails')
        yield SimpleNamespace(name=row.name, ours=row.ours, twin=2.0, are_results_equal=row.ours < 9)
"""
EMPTY = """
HEADLINES = ()
def rows():
    return []
"""


def fake_checkout(folder: Path, rows: dict[str, float]) -> Checkout:
    """A folder with a bench of its own."""
    (folder / 'bench').mkdir(parents=True)
    contents = {'cases': CASES.format(rows=rows), 'executable': EXECUTABLE, 'twins': TWINS}
    for name, content in {'__init__': '', **contents, 'blocks': EMPTY, 'objects': EMPTY}.items():
        (folder / 'bench' / f'{name}.py').write_text(content)
    (folder / '.venv' / 'bin').mkdir(parents=True)
    (folder / '.venv' / 'bin' / 'python').symlink_to(Path(sys.executable).resolve())
    return Checkout(folder.name, folder)


def rows_of(folder: Path, before: dict[str, float], now: dict[str, float], remarks: Remarks) -> list[Row]:
    """What two checkouts with these rows give."""
    old, new = fake_checkout(folder / 'old', before), fake_checkout(folder / 'new', now)
    with Side(old, 'main', []) as one, Side(new, 'main', []) as other:
        return timed_rows(one, other, 3, remarks, lambda sentence: None)


# ------------------------------------------------------------------ two sides
def test_each_side_is_timed_by_its_own_bench(tmp_path: Path) -> None:
    remarks = Remarks()
    rows = rows_of(tmp_path, {'a-x': 2.0, 'gone': 1.0, 'b': 4.0}, {'b': 5.0, 'a-x': 1.0, 'fresh': 1.0}, remarks)
    assert rows == [
        Row('b', 'words of b', 'ns', 4.0, 5.0, 1.25, 1.0),
        Row('a-x', 'words of a-x', 'ns', 2.0, 1.0, 0.5, 1.0),
    ]
    assert remarks == Remarks(missing=[], alone=['gone: only old has it', 'fresh: only new has it'])


def test_a_result_that_differs_on_one_side_is_told(tmp_path: Path) -> None:
    rows = rows_of(tmp_path, {'a': 9.0, 'b': 1.0}, {'a': 1.0, 'b': 1.0}, Remarks())
    assert [row.are_results_equal for row in rows] == [False, True]


def test_a_row_that_fails_is_missing_and_the_others_are_not(tmp_path: Path) -> None:
    remarks = Remarks()
    rows = rows_of(tmp_path, {'a': 0, 'b': 1.0}, {'a': 1.0, 'b': 1.0}, remarks)
    assert [row.name for row in rows] == ['b']
    assert remarks.missing == ['a: old: a row that fails']


def test_a_table_that_is_younger_than_a_commit_has_no_rows(tmp_path: Path) -> None:
    old = fake_checkout(tmp_path / 'old', {'a': 1.0})
    (old.folder / 'bench' / 'objects.py').unlink()
    with Side(old, 'main', []) as side:
        assert side.read() == {'groups': [['a']], 'words': {'a': 'words of a'}, 'missing': []}


@pytest.mark.parametrize(
    ('text', 'sentence'),
    [
        ('import bench.nothing', "objects: No module named 'bench.nothing'"),
        ('', "objects: AttributeError: module 'bench.objects' has no attribute 'HEADLINES'"),
    ],
)
def test_a_table_that_does_not_work_is_missing(tmp_path: Path, text: str, sentence: str) -> None:
    old = fake_checkout(tmp_path / 'old', {'a': 1.0})
    (old.folder / 'bench' / 'objects.py').write_text(text)
    with Side(old, 'main', []) as side:
        said = side.read()
    assert (said['groups'], said['missing']) == ([['a']], [sentence])


def test_a_side_that_dies_is_named(tmp_path: Path) -> None:
    old = fake_checkout(tmp_path / 'old', {'a': 1.0})
    (old.folder / 'bench' / 'cases.py').write_text('raise SystemExit(3)\n')
    with Side(old, 'main', []) as side, pytest.raises(CannotBench, match='the benchmarks of old ended'):
        side.time(['a'])


def test_this_checkout_is_a_side() -> None:
    """side.py calls what bench has now: a row of each executable of the main table."""
    names = ['pages-map', 'tree-start-256G-0', 'slab-pair-100']
    with Side(Checkout('now', ROOT), 'main', names) as side:
        said = side.read()
        assert said['missing'] == []
        assert said['groups'] == [[name] for name in names]
        for name, (ours, twin, is_equal) in side.time(names).items():
            assert (ours > 0, twin > 0, is_equal) == (True, True, True), name


@pytest.mark.parametrize('is_cold', [True, False])
def test_a_command_runs_with_a_cache_of_its_own(tmp_path: Path, is_cold: bool) -> None:
    """A cold run finds it empty, a warm one after the first finds what its own side left."""
    commands = []
    for name in ('before', 'now'):
        command = tmp_path / name
        command.write_text(
            f'#!/bin/sh\nls "$XDG_CACHE_HOME" | wc -w >> {command}.log\ntouch "$XDG_CACHE_HOME/{name}"\n'
        )
        command.chmod(0o755)
        commands.append(command)
    process = Process('build-x', 'p', ('build',), at_most=1.0, is_cold=is_cold)
    row = against.process_row(process, commands[0], commands[1], 3)
    assert (row.name, row.unit, row.twin_ratio) == ('build-x', 's', None)
    for command in commands:
        found = Path(f'{command}.log').read_text().split()
        assert found == (['0', '0', '0'] if is_cold else ['0', '1', '1', '1'])


# ------------------------------------------------------------------ the statistic
def test_rounds_begin_with_the_other_side() -> None:
    calls: list[str] = []

    def call(side: str) -> int:
        calls.append(side)
        return len(calls)

    pairs = in_turn(3, lambda: call('before'), lambda: call('now'))
    assert calls == ['before', 'now', 'now', 'before', 'before', 'now']
    assert pairs == [(1, 2), (4, 3), (5, 6)]


def test_a_row_has_the_median_of_the_ratios_of_pairs() -> None:
    row = row_of('a', '', 'ns', [(1.0, 2.0), (4.0, 4.0), (2.0, 1.0)])
    assert (row.before, row.now, row.ratio) == (2.0, 2.0, 1.0)
    assert row_of('a', '', 'ns', [(1.0, 2.0), (10.0, 20.0), (9.0, 9.0)]).ratio == 2.0


def test_means_are_of_the_rows_that_begin_with_the_same_word() -> None:
    ratios = {'heap-a': 0.5, 'heap-b': 2.0, 'pages-a': 1.2}
    found = means(Row(name, '', 'ns', 1.0, ratio, ratio) for name, ratio in ratios.items())
    assert found == pytest.approx({'heap': 1.0, 'pages': 1.2})


def test_slower_rows_and_worse_groups_are_marked(monkeypatch: pytest.MonkeyPatch) -> None:
    measured = [
        Row('pages-map', 'p', 'ns', 1.0, 1.2, 1.2, 1.0),
        Row('heap-a', 'p', 'ns', 1.0, 1.2, 1.2, 1.0),
        Row('heap-b', 'p', 'ns', 1.0, 0.5, 0.5, 1.0, are_results_equal=False),
    ]
    monkeypatch.setattr(against, 'timed_rows', lambda *_: measured)
    monkeypatch.setattr(against, 'Side', lambda *_: io.StringIO())
    monkeypatch.setattr(against, 'facts_of', lambda *_: [Fact('bytes', 1000, 900), Fact('functions', None, 7)])
    both = (Checkout('old', ROOT), Checkout('now', ROOT))
    content = against.compare(*both, 'main', ['pages-map'], {'processor': 'p', 'load': 0}, lambda sentence: None)
    assert [(group['name'], group['is_worse']) for group in content['groups']] == [('pages', True), ('heap', False)]
    printed = io.StringIO()
    against.show(content, Console(file=printed, width=150))
    lines = {words[1]: words for line in printed.getvalue().splitlines() if len(words := line.split()) > 2}
    assert 'slower' in lines['pages-map']
    assert 'slower' in lines['heap-a']
    assert 'DIFFER' in lines['heap-b']
    assert 'WORSE' in lines['pages']
    assert 'WORSE' not in lines['heap']
    assert '-100' in lines['bytes']


# ------------------------------------------------------------------ the commit
def run_git(folder: Path, *arguments: str) -> None:
    """Git, as somebody."""
    who = ('-c', 'user.name=n', '-c', 'user.email=e', '-c', 'commit.gpgsign=false')
    subprocess.run(['git', *who, *arguments], cwd=folder, check=True, capture_output=True)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """One with two commits, and a change that is in neither."""
    folder = tmp_path / 'repository'
    folder.mkdir()
    run_git(folder, 'init', '--quiet')
    for content in ('old', 'new'):
        (folder / 'file').write_text(content)
        run_git(folder, 'add', 'file')
        run_git(folder, 'commit', '--quiet', '-m', content)
    (folder / 'file').write_text('dirty')
    return folder


def test_a_commit_is_put_into_a_folder(repository: Path, tmp_path: Path) -> None:
    put_into(hash_of('HEAD~1', repository), tmp_path / 'there' / 'commit', repository)
    assert [path.name for path in (tmp_path / 'there').iterdir()] == ['commit']
    assert (tmp_path / 'there' / 'commit' / 'file').read_text() == 'old'
    assert (repository / 'file').read_text() == 'dirty'


@pytest.mark.parametrize('commit', ['nothing', '', '--since=yesterday', 'HEAD:file'])
def test_an_unknown_commit_is_wrong_usage(repository: Path, commit: str) -> None:
    with pytest.raises(click.UsageError, match='git knows no commit') as refused:
        hash_of(commit, repository)
    assert refused.value.exit_code == 2


def test_without_a_repository_or_git_it_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv('GIT_CEILING_DIRECTORIES', str(tmp_path.parent))
    with pytest.raises(CannotSetUp, match='is none') as refused:
        hash_of('HEAD', tmp_path)
    assert refused.value.exit_code == checkout.MISSING
    monkeypatch.setenv('PATH', str(tmp_path))
    with pytest.raises(CannotSetUp, match='needs git'):
        hash_of('HEAD', tmp_path)


def test_a_set_up_that_fails_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkout, 'FOLDER', tmp_path)
    monkeypatch.setattr(checkout, 'hash_of', lambda commit: 'abc')
    (tmp_path / 'abc' / 'tools').mkdir(parents=True)
    with pytest.raises(CannotSetUp, match='abc has no tools/setup'):
        checkout.set_up('HEAD', lambda sentence: None)
    (tmp_path / 'abc' / 'tools' / 'setup').write_text('raise SystemExit(6)\n')
    with pytest.raises(CannotSetUp, match='its tools/setup ended with 6'):
        checkout.set_up('HEAD', lambda sentence: None)
    (tmp_path / 'abc' / 'tools' / 'setup').write_text('')
    assert checkout.set_up('HEAD', lambda sentence: None).folder == tmp_path / 'abc'


# ------------------------------------------------------------------ instructions
def code_of(functions: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """An image with functions of these bytes, 32 apart."""
    found = {32 * at: (name, bytes.fromhex(code)) for at, (name, code) in enumerate(functions.items())}
    monkeypatch.setattr(image_figures, 'functions_of', lambda elf: found)


FORWARDER = '90 eb1d'  # nop; jmp to the next function
BODY = '90 90 c3'  # nop; nop; ret


@pytest.mark.parametrize(
    ('functions', 'count'),
    [
        ({'a.map_page': BODY, 'a.other': BODY}, 3),
        ({'a.map_page': FORWARDER, 'a.map_in': BODY}, 5),
        ({'a.map_page': '90 751d c3', 'a.slow': BODY}, 3),  # jne: a path of its own
        ({'a.map_page': '90 751d 0f0b', 'a.slow': BODY}, 3),
        ({'a.map_page': '7401 c3 eb1b', 'a.slow': BODY}, 3),  # it returns by itself
        ({'a.map_page': 'ebfe'}, 1),  # to itself, for ever
        ({'a.map': BODY}, None),
        ({'a.map_page': BODY, 'b.map_page': BODY}, None),
    ],
)
def test_instructions(functions: dict[str, str], count: int | None, monkeypatch: pytest.MonkeyPatch) -> None:
    code_of(functions, monkeypatch)
    assert image_figures.nr_instructions(b'', 'map_page') == count


def test_the_image_of_this_checkout_is_counted() -> None:
    counts = against.counts_of(Checkout('now', ROOT))
    map_page = counts['instructions of map_page']
    assert map_page is not None
    assert map_page > 10
    compiled, left = counts['functions compiled'], counts['functions in the image']
    assert compiled is not None
    assert left is not None
    assert compiled > left > 1  # most of them are inlined


# ------------------------------------------------------------------ the command
@pytest.mark.parametrize(
    ('arguments', 'sentence'),
    [
        (['heap', '--against', 'HEAD'], '--against is not for heap'),
        (['--against', 'no-such-commit'], "git knows no commit 'no-such-commit'"),
        (['blocks', '--against', 'HEAD', '--only', 'pages-map'], '--only is for the main table'),
    ],
)
def test_wrong_usage(arguments: list[str], sentence: str) -> None:
    command = [sys.executable, '-m', 'bench', *arguments]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout) == (2, '')
    assert sentence in ended.stderr
    assert 'Traceback' not in ended.stderr
