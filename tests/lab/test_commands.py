"""`incroos trace`: what its commands print, and their statuses."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from incroos.cli import commands
from incroos.lab import binary, heaps, rep
from incroos.lab.heaps import OTHERS
from incroos.run.outcome import Status
from tests.cli.command import Running, run

from .c_programs import compile_library
from .test_rep import RIGHT
from .traces import small_trace

Command = Callable[..., tuple[int, str, list[str]]]


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], tmp_path: Path) -> Command:
    """Runs `incroos trace` with these arguments in a folder of its own; status, output, remarks."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str) -> tuple[int, str, list[str]]:
        monkeypatch.setattr('sys.argv', ['incroos', 'trace', *arguments])
        status = commands.run()
        written = capfd.readouterr()
        return status, written.out, [line.removeprefix('incroos: ') for line in written.err.splitlines()]

    return run


@pytest.fixture
def trace(tmp_path: Path) -> str:
    (tmp_path / 'x.trace').write_bytes(binary.encode(small_trace()))
    return 'x.trace'


def test_a_trace_is_shown(command: Command, trace: str) -> None:
    status, output, remarks = command('show', trace)
    assert (status, remarks) == (0, [])
    assert output.splitlines() == [
        'x.trace: 8 operations of 2 threads',
        '  allocate                         2',
        '  allocate zeroed                  1',
        '  allocate aligned                 1',
        '  reallocate                       1',
        '  free                             3',
        'live at most: 273,000 bytes, 3 blocks',
        'live at the end: 70,000 bytes, 1 block',
        'asked for in all: 273,100 bytes',
        'sizes of requests:',
        f'  up to            16             1  {"#" * 40}',
        f'  up to           128             1  {"#" * 40}',
        f'  up to         4,096             1  {"#" * 40}',
        f'  up to       131,072             1  {"#" * 40}',
        f'  up to       262,144             1  {"#" * 40}',
    ]
    status, output, _ = command('show', '--json', trace)
    assert status == 0
    assert json.loads(output)['live_bytes_at_most'] == 273_000


def test_one_is_not_plural(command: Command, tmp_path: Path) -> None:
    (tmp_path / 'x.rep').write_text('1 1 1 1\na 0 1\n')
    assert command('show', 'x.rep')[1].splitlines() == [
        'x.rep: 1 operation of 1 thread',
        '  allocate                         1',
        'live at most: 1 byte, 1 block',
        'live at the end: 1 byte, 1 block',
        'asked for in all: 1 byte',
        'sizes of requests:',
        f'  up to            16             1  {"#" * 40}',
    ]
    output = command('replay', 'x.rep', '--heap', 'glibc', '--rounds', '1')[1]
    assert output.startswith('x.rep: 1 operation, at most 1 byte live\n')


def test_a_text_of_the_malloc_lab_is_converted_shown_and_replayed(command: Command, tmp_path: Path) -> None:
    (tmp_path / 'x.rep').write_bytes(RIGHT)
    assert command('convert', 'x.rep', '-o', 'y.trace') == (0, '', [])
    assert command('show', 'y.trace')[1].replace('y.trace', 'x.rep') == command('show', 'x.rep')[1]
    status, output, _ = command('replay', 'x.rep', 'y.trace', '--heap', 'glibc', '--rounds', '1', '--json')
    assert status == 0
    assert [json.loads(line)['nr_operations'] for line in output.splitlines()] == [7, 7]


def test_a_trace_is_converted_to_standard_output(tmp_path: Path) -> None:
    (tmp_path / 'x.rep').write_bytes(RIGHT)
    with Running('trace', 'convert', 'x.rep', '-o', '-', cwd=tmp_path) as running:
        written, remarks = running.process.communicate()
    assert (running.process.returncode, remarks) == (0, b'')
    assert written == binary.encode(rep.decode(RIGHT, 'x.rep'))
    assert [file.name for file in tmp_path.iterdir()] == ['x.rep']
    with open('/dev/full', 'wb') as full:
        done = run('trace', 'convert', 'x.rep', '-o', '-', cwd=tmp_path, stdout=full)
    assert done.status == Status.UNUSABLE
    assert done.sentence == 'standard output cannot be written (No space left on device): direct it elsewhere'


def test_all_defects_of_a_text_are_named_and_nothing_is_written(command: Command, tmp_path: Path) -> None:
    (tmp_path / 'x.rep').write_text('1 2 3 4\nf 0\na 0 x\n')
    status, output, remarks = command('convert', 'x.rep', '-o', 'y.trace')
    assert (status, output) == (Status.UNUSABLE, '')
    assert remarks == [
        'x.rep:2: frees id 0, which was never allocated',
        "x.rep:3: 'x' is not an id or a size: write a number",
        'x.rep is cut short: its header says 3 operations, and 2 follow',
    ]
    assert not (tmp_path / 'y.trace').exists()
    (tmp_path / 'x.rep').write_text('1 0 90 4\n' + 'f 0\n' * 90)
    remarks = command('show', 'x.rep')[2]
    assert len(remarks) == 11
    assert remarks[-1] == 'and 80 more'


@pytest.mark.parametrize(
    ('content', 'sentence'),
    [
        (None, 'x.trace cannot be read (No such file or directory): name a trace'),
        (b'', 'x.trace is empty, and no trace: record one with incroos trace record'),
        (b'\x89inc', 'x.trace is cut short: it ends within its header'),
        (b'\x7fELF\x02\x01', 'x.trace is not a trace: record one with incroos trace record'),
        (b'-1 2 3 4\n', "x.trace:1: '-1' is negative, and a number of the header never is: write 0 or more"),
        (b'-rw-r--r--\n', 'x.trace is not a trace: record one with incroos trace record'),
        (b'Dear reader,\n', 'x.trace is not a trace: record one with incroos trace record'),
        (binary.encode(small_trace())[:-4], 'x.trace is cut short: 15 of its 19 bytes of operations are there'),
        (b'\x89incroT\n\x02' + bytes(60), 'x.trace is a trace of version 2, and this is version 1: record it anew'),
    ],
    ids=[
        'missing',
        'empty',
        'a few bytes',
        'a program',
        'a negative header',
        'a listing',
        'a letter',
        'cut short',
        'another version',
    ],
)
@pytest.mark.parametrize('verb', ['show', 'replay', 'convert'])
def test_what_is_no_trace_is_a_sentence(
    command: Command, tmp_path: Path, verb: str, content: bytes | None, sentence: str
) -> None:
    if content is not None:
        (tmp_path / 'x.trace').write_bytes(content)
    more = ('-o', 'y.trace') if verb == 'convert' else ()
    assert command(verb, 'x.trace', *more) == (Status.UNUSABLE, '', [sentence])


def test_a_trace_that_cannot_be_written(command: Command, trace: str) -> None:
    sentence = 'none/y.trace cannot be written (No such file or directory): name another file'
    assert command('convert', trace, '-o', 'none/y.trace') == (Status.UNUSABLE, '', [sentence])


@pytest.mark.parametrize(
    ('arguments', 'sentence'),
    [
        ((), 'name a command'),
        (('record', 'true'), "missing option '-o' / '--output' (incroos trace record --help says more)"),
        (('record', '-o', 'x'), "missing argument 'COMMAND...' (incroos trace record --help says more)"),
        (
            ('record', '-o', '-', 'touch', 'started'),
            "standard output is the command's own: name a file with -o (incroos trace record --help says more)",
        ),
        (('show',), "missing argument 'FILE' (incroos trace show --help says more)"),
        (('convert', 'x.trace'), "missing option '-o' / '--output' (incroos trace convert --help says more)"),
        (('replay',), "missing argument 'FILE...' (incroos trace replay --help says more)"),
        (
            ('replay', 'x.trace', '--hardening', 'full', '--heap', 'glibc', '--heap', 'mimalloc'),
            '--hardening is for kmalloc, first-fit, slab, dlmalloc, and --heap names none of them: leave it away'
            ' (incroos trace replay --help says more)',
        ),
        (
            ('replay', 'x.trace', '--threads', '0'),
            "invalid value for '--threads': 0 is not in the range 1<=x<=64 (incroos trace replay --help says more)",
        ),
        (
            ('replay', 'x.trace', '--rounds', 'many'),
            "invalid value for '--rounds': 'many' is not a valid integer range (incroos trace replay --help says more)",
        ),
    ],
)
def test_wrong_usage(command: Command, trace: str, arguments: tuple[str, ...], sentence: str, tmp_path: Path) -> None:
    status, output, remarks = command(*arguments)
    assert (status, output, remarks[0]) == (Status.WRONG_USAGE, '', sentence)
    assert [file.name for file in tmp_path.iterdir()] == [trace]


def test_a_heap_that_there_is_not(command: Command, trace: str) -> None:
    status, _, remarks = command('replay', trace, '--heap', 'hoard')
    assert status == Status.WRONG_USAGE
    assert remarks[0].startswith("invalid value for '--heap': 'hoard' is not one of ")


def test_a_replay_is_a_table(command: Command, trace: str) -> None:
    status, output, remarks = command('replay', trace, '--heap', 'glibc', '--rounds', '1')
    assert (status, remarks) == (0, [])
    assert output.startswith('x.trace: 8 operations, at most 273,000 bytes live')
    assert '│ glibc │' in output
    assert 'median of 1 round; the loop alone takes' in output
    status, output, _ = command('replay', trace, '--heap', 'glibc', '--rounds', '1', '--threads', '2')
    assert output.startswith('x.trace: 8 operations, in 2 threads at once, at most 273,000 bytes live')


def test_without_live_bytes_there_is_no_footprint(command: Command, tmp_path: Path) -> None:
    (tmp_path / 'x.rep').write_text('1 1 2 1\na 0 0\nf 0\n')
    status, output, remarks = command('replay', 'x.rep', '--heap', 'glibc', '--rounds', '1')
    assert (status, remarks) == (0, [])
    assert output.startswith('x.rep: 2 operations, at most 0 bytes live\n')
    (row,) = (line.split('│') for line in output.splitlines() if 'glibc' in line)
    assert row[4].strip() == '-'
    status, output, _ = command('replay', 'x.rep', '--heap', 'glibc', '--rounds', '1', '--json')
    assert status == 0
    (figures,) = json.loads(output)['figures']
    assert figures['footprint'] is None


def test_a_library_that_is_not_installed_is_left_out_unless_it_is_asked_for(
    command: Command, trace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(heaps, 'installed_libraries', dict)
    sentences = {
        name: f'{name} is not installed ({so}; on Debian and Ubuntu: apt install {package})'
        for name, (so, package) in OTHERS.items()
    }
    status, output, remarks = command('replay', trace, '--rounds', '1', '--json')
    assert status == 0
    assert {each['heap'] for each in json.loads(output)['figures']} == {*heaps.OURS, heaps.GLIBC} - {heaps.FIRST_FIT}
    assert remarks[-len(OTHERS) - 1 :] == [
        *(f'{sentence}; left out' for sentence in sentences.values()),
        'x.trace: first-fit cannot align to more than 16 bytes, as the trace asks; left out',
    ]
    sentence = 'x.trace: first-fit cannot align to more than 16 bytes, as the trace asks: name another heap'
    assert command('replay', trace, '--heap', 'first-fit') == (Status.UNUSABLE, '', [sentence])
    for name, sentence in sentences.items():
        assert command('replay', trace, '--heap', name) == (Status.UNUSABLE, '', [sentence])


def test_ours_are_built_in_each_level_that_is_asked_for(command: Command, trace: str, tmp_path: Path) -> None:
    (tmp_path / trace).write_bytes(binary.encode(rep.decode(RIGHT, 'x.rep')))
    levels = [word for level in heaps.LEVELS for word in ('--hardening', level)]
    ours = [word for name in heaps.OURS for word in ('--heap', name)]
    status, output, _ = command('replay', trace, '--rounds', '1', '--json', *ours, *levels)
    assert status == 0
    assert [each['heap'] for each in json.loads(output)['figures']] == [
        name if level == heaps.NO_HARDENING else f'{name}, {level}' for name in heaps.OURS for level in heaps.LEVELS
    ]


def test_a_level_leaves_the_heaps_of_others_as_they_are(command: Command, trace: str) -> None:
    heaps_asked = ('--heap', 'glibc', '--heap', 'kmalloc')
    status, output, _ = command('replay', trace, '--rounds', '1', '--json', *heaps_asked, '--hardening', 'full')
    assert status == 0
    assert [each['heap'] for each in json.loads(output)['figures']] == ['glibc', 'kmalloc, full']


def test_a_heap_that_goes_wrong_is_a_status_of_its_own(
    command: Command, trace: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    library = compile_library(tmp_path, 'void *calloc(size_t a, size_t b) { abort(); }')
    monkeypatch.setattr(heaps, 'installed_libraries', lambda: {'libmimalloc.so.2': library})
    status, output, remarks = command('replay', trace, '--heap', 'mimalloc', '--heap', 'glibc', '--rounds', '1')
    assert (status, remarks) == (Status.FAILED, ['x.trace: mimalloc: the replay was ended by SIGABRT'])
    assert '│ glibc │' in output
    assert 'mimalloc' not in output


def test_where_there_is_no_compiler_it_is_asked_for(
    command: Command, trace: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    programs = tmp_path / 'programs'
    programs.mkdir()
    (programs / 'true').symlink_to('/bin/true')
    monkeypatch.setenv('PATH', str(programs))
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'cache'))
    sentence = 'no C compiler is installed (cc): install one (on Debian and Ubuntu: apt install gcc)'
    assert command('replay', trace, '--heap', 'glibc') == (Status.UNUSABLE, '', [sentence])
    assert command('record', '-o', 'y.trace', 'true') == (Status.UNUSABLE, '', [sentence])
