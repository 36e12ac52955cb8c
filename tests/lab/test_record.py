"""The recorder, on programs whose calls are known: each call is in the trace, and nothing else changes."""

import os
import signal
import struct
import time
from collections import Counter
from pathlib import Path
from typing import Final

import pytest

from incroos.lab import files
from incroos.lab.operations import Kind, Operation, Trace
from incroos.run.outcome import Status
from tests.cli.command import COMMAND, Done, Running, run

from .c_programs import compile_library, compile_program

EACH_CALL = """
int main(void) {
    char *one = malloc(7001), *two = calloc(7, 1001), *aligned;
    one = realloc(one, 7100);
    posix_memalign((void **)&aligned, 64, 7200);
    memalign(128, 7300);
    aligned_alloc(256, 7424);
    valloc(7500);
    pvalloc(7600);
    reallocarray(NULL, 7, 1101);
    free(two);
    if (malloc((size_t)1 << 62) || calloc((size_t)1 << 62, 8) || realloc(one, (size_t)1 << 62)) return 1;
    if (posix_memalign((void **)&aligned, 24, 7999) != EINVAL || reallocarray(one, (size_t)1 << 62, 8)) return 1;
    free(one);
    free(NULL);
    one = realloc(NULL, 7701);
    realloc(one, 0);
    write(1, "out\\n", 4);
    write(2, "err\\n", 4);
    _exit(5);
}
"""
THREADS = """
static void *blocks[4][500];
static void *run(void *number) {
    size_t index = (size_t)number;
    for (int i = 0; i < 500; i++) {
        free(malloc(20000 + index));
        blocks[index][i] = malloc(10000 + index);
        blocks[index][i] = realloc(blocks[index][i], 30000 + index);
    }
    return NULL;
}
int main(void) {
    pthread_t threads[4];
    for (size_t i = 0; i < 4; i++) pthread_create(&threads[i], NULL, run, (void *)i);
    for (int i = 0; i < 4; i++) pthread_join(threads[i], NULL);
    for (int i = 0; i < 4; i++) for (int j = 0; j < 500; j++) free(blocks[i][j]);
    return 0;
}
"""
PROCESSES = """
int main(int count, char **words) {
    if (count > 1) { malloc(9003); return 0; }
    void *ours = malloc(9001);
    pid_t forked = fork();
    if (forked == 0) {
        free(ours);
        malloc(9002);
        execl(words[0], words[0], "again", NULL);
    }
    pid_t shared = vfork();
    if (shared == 0) execl(words[0], words[0], "again", NULL);
    int status;
    waitpid(forked, &status, 0);
    waitpid(shared, &status, 0);
    printf("%d %d\\n", forked, shared);
    fflush(stdout);
    malloc(9004);
    return 0;
}
"""
BECOMES = """
extern char **environ;
static const char *way, *path;
static char *more[3], *bare[] = {"PATH=/", NULL};
static void *become(void *unused) {
    if (!strcmp(way, "execv")) execv(path, more);
    if (!strcmp(way, "execve")) execve(path, more, environ);
    if (!strcmp(way, "execvp")) execvp(path, more);
    if (!strcmp(way, "execvpe")) execvpe(path, more, environ);
    if (!strcmp(way, "execl")) execl(path, more[0], more[1], NULL);
    if (!strcmp(way, "execlp")) execlp(path, more[0], more[1], NULL);
    if (!strcmp(way, "execle")) execle(path, more[0], more[1], NULL, environ);
    if (!strcmp(way, "fexecve")) fexecve(open(path, O_RDONLY), more, environ);
    if (!strcmp(way, "execveat")) execveat(AT_FDCWD, path, more, environ, 0);
    if (!strcmp(way, "renamed")) prctl(PR_SET_NAME, "another"), execv(path, more);
    if (!strcmp(way, "bare")) execve(path, more, bare);
    return NULL;
}
int main(int count, char **words) {
    pthread_t thread;
    malloc(9001);
    way = words[1], path = words[2], more[0] = words[2], more[1] = "again";
    if (!strcmp(way, "thread")) way = "execv", pthread_create(&thread, NULL, become, NULL), pthread_join(thread, NULL);
    else if (!strcmp(way, "vfork")) { if (vfork() == 0) execv(path, more), _exit(0); wait(NULL); }
    else if (!strcmp(way, "spawn")) { pid_t one; posix_spawn(&one, path, NULL, NULL, more, environ); wait(NULL); }
    else become(NULL);
    malloc(9002);
    return 0;
}
"""
WAYS: Final = (
    *('execv', 'execve', 'execvp', 'execvpe', 'execl', 'execlp', 'execle', 'fexecve', 'execveat'),
    *('renamed', 'thread'),
)
SILENT = 'int main(int count, char **words) { return count == 2 && !strcmp(words[1], "again") ? 3 : 4; }'
NEVER_RECORDED: Final = 'nothing was recorded: the command is static or has the rights of another user'
WENT_ON: Final = (
    'nothing was recorded: '
    'the command became a program that is static, lacks LD_PRELOAD, or has the rights of another user'
)
BROKEN = {'#!/nonexistent\n': 'No such file or directory', '\x7fELF': 'Exec format error'}
MANY = 'int main(void) { for (int i = 0; i < 5000; i++) free(malloc(9000)); return 0; }'


def record(output: Path, *command: str | Path, options: tuple[str, ...] = (), **more: object) -> Done:
    return run('trace', 'record', '-o', str(output), *options, '--', *map(str, command), **more)  # type: ignore[arg-type]


def operations(trace: Trace, least: int) -> list[Operation]:
    """The operations on blocks that were made with so many bytes or more: not those of the C library itself."""
    mine: dict[int, int] = {}
    found = []
    for operation in (trace[index] for index in range(len(trace))):
        if operation.kind <= Kind.ALLOCATE_ALIGNED and operation.size >= least:
            mine[operation.block] = len(mine)
        if operation.block in mine:
            found.append(operation._replace(block=mine[operation.block]))
    return found


def sizes_in(file: Path) -> list[int]:
    """What was asked for, of 9,000 bytes and more."""
    return [operation.size for operation in operations(files.read(file), 9000)]


def test_each_call_is_recorded_and_the_command_is_as_without_it(tmp_path: Path) -> None:
    program = compile_program(tmp_path, EACH_CALL)
    done = record(tmp_path / 'x.trace', program)
    assert done == Done(5, 'out\n', 'err\n')
    assert operations(files.read(tmp_path / 'x.trace'), 7000) == [
        (Kind.ALLOCATE, 0, 7001, 0, 0),
        (Kind.ALLOCATE_ZEROED, 1, 7007, 0, 0),
        (Kind.REALLOCATE, 0, 7100, 0, 0),
        (Kind.ALLOCATE_ALIGNED, 2, 7200, 6, 0),
        (Kind.ALLOCATE_ALIGNED, 3, 7300, 7, 0),
        (Kind.ALLOCATE_ALIGNED, 4, 7424, 8, 0),
        (Kind.ALLOCATE_ALIGNED, 5, 7500, 12, 0),
        (Kind.ALLOCATE_ALIGNED, 6, 8192, 12, 0),
        (Kind.ALLOCATE, 7, 7707, 0, 0),
        (Kind.FREE, 1, 0, 0, 0),
        (Kind.FREE, 0, 0, 0, 0),
        (Kind.ALLOCATE, 8, 7701, 0, 0),
        (Kind.FREE, 8, 0, 0, 0),
    ]
    assert sorted(file.name for file in tmp_path.iterdir()) == ['program', 'program.c', 'x.trace']


def test_calls_of_threads_are_all_there_and_in_an_order_that_holds(tmp_path: Path) -> None:
    program = compile_program(tmp_path, THREADS)
    assert record(tmp_path / 'x.trace', program) == Done(0, '', '')
    found = operations(files.read(tmp_path / 'x.trace'), 10000)
    assert Counter((operation.kind, operation.size) for operation in found if operation.size) == Counter(
        {
            **{(Kind.ALLOCATE, 20000 + index): 500 for index in range(4)},
            **{(Kind.ALLOCATE, 10000 + index): 500 for index in range(4)},
            **{(Kind.REALLOCATE, 30000 + index): 500 for index in range(4)},
        }
    )
    assert sum(operation.kind == Kind.FREE for operation in found) == 4000
    by_thread = {
        index: {each.thread for each in found if each.size % 10000 == index and each.size} for index in range(4)
    }
    assert all(len(threads) == 1 for threads in by_thread.values())
    assert len(set.union(*by_thread.values())) == 4
    assert {operation.thread for operation in found[-2000:]} == {0}


def test_children_are_left_out(tmp_path: Path) -> None:
    program = compile_program(tmp_path, PROCESSES)
    done = record(tmp_path / 'x.trace', program)
    assert (done.status, done.remarks) == (0, '')
    assert sizes_in(tmp_path / 'x.trace') == [9001, 9004]
    assert sorted(file.name for file in tmp_path.iterdir()) == ['program', 'program.c', 'x.trace']


def test_children_get_traces_of_their_own(tmp_path: Path) -> None:
    program = compile_program(tmp_path, PROCESSES)
    done = record(tmp_path / 'x.trace', program, options=('--children',))
    forked, shared = done.output.split()
    assert sizes_in(tmp_path / 'x.trace') == [9001, 9004]
    assert sizes_in(tmp_path / f'x.trace.{forked}') == [9002]
    assert sizes_in(tmp_path / f'x.trace.{forked}.1') == [9003]
    assert sizes_in(tmp_path / f'x.trace.{shared}') == [9003]
    assert len(list(tmp_path.glob('x.trace*'))) == 4


def test_a_command_that_becomes_another_one_is_recorded_as_that(tmp_path: Path) -> None:
    program = compile_program(tmp_path, PROCESSES)
    done = record(tmp_path / 'x.trace', 'sh', '-c', f'exec {program} again')
    assert (done.status, sizes_in(tmp_path / 'x.trace')) == (0, [9003])


@pytest.mark.parametrize('way', WAYS)
def test_what_a_command_was_before_exec_is_not_taken_for_what_it_became(tmp_path: Path, way: str) -> None:
    """A program that never allocates has an empty recording, a static one has none: neither gets that of another."""
    program = compile_program(tmp_path, BECOMES)
    (tmp_path / 'silent').mkdir()
    silent = compile_program(tmp_path / 'silent', SILENT)
    done = record(tmp_path / 'x.trace', program, way, silent, options=('--children',))
    assert (done.status, done.sentence) == (Status.UNUSABLE, 'nothing was recorded: the command allocates nothing')
    (before,) = tmp_path.glob('x.trace*')
    assert (before.suffix[1:].isdigit(), sizes_in(before)) == (True, [9001])
    before.unlink()
    static = compile_program(tmp_path / 'silent', SILENT, '-static')
    done = record(tmp_path / 'x.trace', program, way, static, options=('--children',))
    assert (done.status, done.sentence) == (Status.UNUSABLE, WENT_ON)
    (before,) = tmp_path.glob('x.trace*')
    assert (before.suffix[1:].isdigit(), sizes_in(before)) == (True, [9001])


def test_a_command_that_becomes_another_one_without_the_recorder(tmp_path: Path) -> None:
    program = compile_program(tmp_path, BECOMES)
    done = record(tmp_path / 'x.trace', program, 'bare', program)
    assert (done.status, done.sentence) == (Status.UNUSABLE, WENT_ON)
    assert list(tmp_path.glob('x.trace*')) == []


@pytest.mark.parametrize('way', [*WAYS, 'vfork', 'spawn'])
def test_an_exec_that_fails_ends_no_recording(tmp_path: Path, way: str) -> None:
    program = compile_program(tmp_path, BECOMES)
    assert record(tmp_path / 'x.trace', program, way, tmp_path / 'none') == Done(0, '', '')
    assert sizes_in(tmp_path / 'x.trace') == [9001, 9002]


@pytest.mark.parametrize('way', ['vfork', 'spawn'])
@pytest.mark.parametrize('options', [(), ('-static',)])
def test_a_child_that_becomes_a_silent_program_has_no_trace(tmp_path: Path, way: str, options: tuple[str, ...]) -> None:
    program = compile_program(tmp_path, BECOMES)
    (tmp_path / 'silent').mkdir()
    silent = compile_program(tmp_path / 'silent', SILENT, *options)
    assert record(tmp_path / 'x.trace', program, way, silent, options=('--children',)) == Done(0, '', '')
    assert sizes_in(tmp_path / 'x.trace') == [9001, 9002]
    assert len(list(tmp_path.glob('x.trace*'))) == 1


def test_children_of_a_command_that_is_not_recorded_keep_their_traces(tmp_path: Path) -> None:
    program = compile_program(tmp_path, 'int main(void) { malloc(9100); return 0; }')
    (tmp_path / 'static').mkdir()
    text = 'int main(int count, char **words) { if (fork() == 0) execv(words[1], words + 1); wait(NULL); return 0; }'
    static = compile_program(tmp_path / 'static', text, '-static')
    done = record(tmp_path / 'x.trace', static, program, options=('--children',))
    assert (done.status, done.sentence) == (Status.UNUSABLE, NEVER_RECORDED)
    (child,) = tmp_path.glob('x.trace*')
    assert sizes_in(child) == [9100]


def test_a_script_is_recorded_as_its_interpreter(tmp_path: Path) -> None:
    program = compile_program(tmp_path, BECOMES)
    (tmp_path / 'other').mkdir()
    interpreter = compile_program(tmp_path / 'other', 'int main(void) { malloc(9100); return 0; }')
    (tmp_path / 'script').write_text(f'#!{interpreter}\n')
    (tmp_path / 'script').chmod(0o755)
    assert record(tmp_path / 'x.trace', program, 'execv', tmp_path / 'script') == Done(0, '', '')
    assert sizes_in(tmp_path / 'x.trace') == [9100]


def test_a_command_that_is_killed_leaves_its_trace(tmp_path: Path) -> None:
    program = compile_program(tmp_path, 'int main(void) { malloc(9100); raise(SIGKILL); }')
    assert record(tmp_path / 'x.trace', program) == Done(128 + signal.SIGKILL, '', '')
    assert sizes_in(tmp_path / 'x.trace') == [9100]


def test_a_signal_is_handed_on_and_the_trace_still_written(tmp_path: Path) -> None:
    program = compile_program(tmp_path, 'int main(void) { malloc(9100); write(1, "x", 1); pause(); }')
    with Running('trace', 'record', '-o', str(tmp_path / 'x.trace'), str(program)) as running:
        running.wait_for(b'x', running.process.stdout)
        running.process.send_signal(signal.SIGTERM)
        assert running.end() == Done(128 + signal.SIGTERM, '', '')
        assert running.is_gone()
    assert sizes_in(tmp_path / 'x.trace') == [9100]


def test_an_interrupt_is_the_commands_own_business(tmp_path: Path) -> None:
    text = 'static void end(int n) { _exit(7); }'
    text += 'int main(void) { signal(SIGINT, end); malloc(9100); write(1, "x", 1); pause(); }'
    program = compile_program(tmp_path, text)
    with Running('trace', 'record', '-o', str(tmp_path / 'x.trace'), str(program)) as running:
        running.wait_for(b'x', running.process.stdout)
        time.sleep(0.1)  # in which a mistaken end would be seen
        os.killpg(running.process.pid, signal.SIGINT)
        assert running.end() == Done(7, '', '')
    assert sizes_in(tmp_path / 'x.trace') == [9100]


def test_where_there_is_no_room_the_beginning_is_kept(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    from incroos.lab.record import record as record_command

    program = compile_program(tmp_path, MANY)
    remarks: list[str] = []
    assert record_command([str(program)], tmp_path / 'x.trace', False, remarks.append, nr_records=1000) == 0
    assert len(files.read(tmp_path / 'x.trace')) <= 1000
    assert len(remarks) == 1
    assert 'only the beginning, 9,' in remarks[0]
    assert remarks[0].endswith(' calls found no room behind it')


def test_a_recording_that_ends_before_its_counts_say_is_read_to_its_end(tmp_path: Path) -> None:
    from incroos.lab.raw import read_raw

    records = struct.pack('<QQQ', 8, 0, 1 << 56 | 0x1000)
    (tmp_path / 'raw').write_bytes(struct.pack('<QQQ', 1 << 63, 1 << 63, 0) + records + b'half')
    trace = Trace()
    read_raw(tmp_path / 'raw', trace)
    assert [trace[index] for index in range(len(trace))] == [(Kind.ALLOCATE, 0, 8, 0, 0)]


@pytest.mark.parametrize(
    ('nr_lost', 'remarks'),
    [
        (1, ['only the beginning, 1 call found no room behind it', '1 free unseen; each stands']),
        (2, ['only the beginning, 2 calls found no room behind it', '2 frees unseen; each stands']),
    ],
)
def test_what_a_recording_lost_is_said(tmp_path: Path, nr_lost: int, remarks: list[str]) -> None:
    from incroos.lab.record import convert

    nr_records = nr_lost + 1  # allocations at one address
    records = struct.pack('<QQQ', 8, 0, 1 << 56 | 0x1000) * nr_records
    (tmp_path / 'raw').write_bytes(struct.pack('<QQQ', nr_records + nr_lost, nr_records, 0) + records)
    said: list[str] = []
    convert(tmp_path / 'raw', tmp_path / 'x.trace', said.append)
    where = ' where the address was handed out again'
    assert said == [f'{tmp_path}/x.trace: {remarks[0]}', f'{tmp_path}/x.trace: {remarks[1]}{where}']


def test_what_cannot_be_recorded(tmp_path: Path) -> None:
    done = record(tmp_path / 'x.trace', 'no-such-command')
    assert done.sentence == "'no-such-command' is not a command that can be started: see to its name and the PATH"
    assert done.status == Status.UNUSABLE
    done = record(tmp_path / 'none' / 'x.trace', 'true')
    trace = tmp_path / 'none' / 'x.trace'
    assert done.sentence == f'{trace} cannot be written (No such file or directory): name another file'
    assert done.status == Status.UNUSABLE
    program = compile_program(tmp_path, 'int main(void) { return 0; }', '-static')
    done = record(tmp_path / 'x.trace', program)
    assert done.sentence == NEVER_RECORDED
    assert done.status == Status.UNUSABLE
    assert not (tmp_path / 'x.trace').exists()


@pytest.mark.parametrize(('text', 'reason'), BROKEN.items(), ids=['no interpreter', 'no program'])
def test_a_command_that_does_not_start(tmp_path: Path, text: str, reason: str) -> None:
    (tmp_path / 'x').write_text(text)
    (tmp_path / 'x').chmod(0o755)
    done = record(tmp_path / 'x.trace', tmp_path / 'x')
    assert (done.status, done.sentence) == (Status.UNUSABLE, f'{tmp_path}/x cannot be started ({reason}): see to it')
    assert [file.name for file in tmp_path.iterdir()] == ['x']


@pytest.mark.parametrize('limit', ['-f 1000', '-v 2000000'])
def test_a_recorder_that_has_no_room_to_begin(tmp_path: Path, limit: str) -> None:
    program = compile_program(tmp_path, 'int main(void) { malloc(9100); return 0; }')
    done = record(tmp_path / 'x.trace', 'sh', '-c', f'ulimit {limit}; exec {program}')
    reason = 'limits on the size of files or on memory are too low for it: lift them (ulimit -f, ulimit -v)'
    assert (done.status, done.sentence) == (Status.UNUSABLE, f'nothing was recorded: {reason}')
    assert not (tmp_path / 'x.trace').exists()
    words = ('sh', '-c', f'(ulimit {limit}; exec {program}) & echo $!; wait')
    done = record(tmp_path / 'x.trace', *words, options=('--children',))
    child = done.output.strip()
    assert done.remarks == f'incroos: {tmp_path}/x.trace.{child}.1: nothing was recorded: {reason}\n'
    assert done.status == 0
    assert (tmp_path / 'x.trace').exists()
    assert not (tmp_path / f'x.trace.{child}.1').exists()


@pytest.mark.parametrize(
    ('command', 'sentence'),
    [
        (
            'rm -r {}/.inc*',
            'what was recorded for {}/x.trace cannot be read (No such file or directory): record it again',
        ),
        ('mkdir {}/x.trace', '{}/x.trace cannot be written (Is a directory): name another file'),
    ],
)
def test_a_command_that_is_in_the_way(tmp_path: Path, command: str, sentence: str) -> None:
    done = record(tmp_path / 'x.trace', 'sh', '-c', command.format(tmp_path))
    assert (done.status, done.sentence) == (Status.UNUSABLE, sentence.format(tmp_path))
    assert list(tmp_path.glob('.inc*')) == []


ON_A_SMALL_DISK: Final = """
mount -t tmpfs -o size=128k none $ROOM && cd $ROOM || exit
head -c $FILLED /dev/zero >filled
"$@"
status=$?
ls -A >&2
exit $status
"""


@pytest.mark.parametrize(('filled', 'can_begin'), [('1k', True), ('128k', False)])
def test_a_full_disk_is_named(tmp_path: Path, filled: str, can_begin: bool) -> None:
    """A tmpfs, whose holes have no page to be read through a mapping: the program ends by SIGBUS, the recorder not."""
    program = compile_program(tmp_path, 'int main(void) { for (;;) free(malloc(9000)); }')
    (tmp_path / 'room').mkdir()
    done = run(
        *('trace', 'record', '-o', 'x.trace', '--', str(program)),
        prefix=['unshare', '--map-root-user', '--mount', 'sh', '-c', ON_A_SMALL_DISK, 'sh', *COMMAND],
        environment={'FILLED': filled, 'ROOM': str(tmp_path / 'room'), 'PYTHONDONTWRITEBYTECODE': '1'},
    )
    remedy = 'free some space, or name a file on another one'
    first = f'incroos: x.trace: the disk is full, which ended the command: {remedy}\n'
    if can_begin:
        assert (done.status, done.remarks) == (128 + signal.SIGBUS, f'{first}filled\nx.trace\n')
    else:
        assert done.status == Status.UNUSABLE
        assert done.remarks == f'{first}incroos: nothing was recorded: the disk is full: {remedy}\nfilled\n'


def test_a_program_with_an_allocator_of_its_own_is_recorded(tmp_path: Path) -> None:
    """Its calls go on to that one: the recorder hands on to the next library that has malloc, whichever it is."""
    (tmp_path / 'own').mkdir()
    library = compile_library(
        tmp_path / 'own',
        'static char room[1 << 24]; static size_t used;'
        'void *malloc(size_t n) { char *p = room + used; used += n + 15 & ~15ul; *p = 77; return p; }'
        'void free(void *p) {} void *realloc(void *p, size_t n) { return malloc(n); }'
        'void *calloc(size_t a, size_t b) { char *p = malloc(a * b); *p = 0; return p; }',
    )
    text = 'int main(void) { free(malloc(9100)); return *(char *)malloc(9200); }'
    program = compile_program(tmp_path, text, str(library))
    assert record(tmp_path / 'x.trace', program).status == 77
    assert sizes_in(tmp_path / 'x.trace') == [9100, 0, 9200]
