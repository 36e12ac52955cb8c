"""What is missing or broken on the user's computer: status 6 and what to do about it, or it works anyway."""

import contextlib
import os
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import pytest

from incroos.build.cache import Cache, cache_folder
from incroos.cli.commands import sentence_about
from incroos.lang import ConfigError
from incroos.run import images, qemu
from incroos.run.boot import Boot
from incroos.run.outcome import Status, Unusable
from incroos.run.qemu_process import PROGRAM

from ..budget import SECONDS
from .command import COMMAND, ROOT, Done, Running, run

LAST_WORDS: Final = '\nMemory manager operational!\n'
INSTALL: Final = f'install a working {PROGRAM} (on Debian and Ubuntu: apt install qemu-system-x86) or take --on jit'
REMEDY_OF_LINKER: Final = 'install one (on Debian and Ubuntu: apt install binutils), or boot with --on jit'


def write_program(path: Path, text: str) -> None:
    path.write_text(f'#!/bin/sh\n{text}\n')
    path.chmod(0o755)


def refusal(*arguments: str, environment: Mapping[str, str] | None = None) -> str:
    """The sentence of a command that must end as unusable without any output."""
    done = run(*arguments, environment=environment)
    assert (done.status, done.output) == (Status.UNUSABLE, '')
    return done.sentence


# ------------------------------------------------------------------ QEMU
@pytest.mark.parametrize(
    'arguments', [['boot', '--on', 'qemu'], ['boot', '--accel', 'tcg'], ['boot', '--firmware', 'bios']], ids=' '.join
)
def test_no_qemu(tmp_path: Path, arguments: list[str]) -> None:
    """Nothing is built for it first, not even with an empty cache."""
    done = run(*arguments, environment={'PATH': str(tmp_path), 'XDG_CACHE_HOME': str(tmp_path)})
    assert (done.status, done.remarks) == (
        Status.UNUSABLE,
        f'incroos: {PROGRAM} is not installed: {INSTALL}\n',
    )


def test_auto_does_without_qemu(tmp_path: Path) -> None:
    done = run('boot', environment={'PATH': str(tmp_path)})
    remark = 'incroos: booting on the compiled simulated computer, because QEMU is not installed'
    assert done.status == Status.PASSED
    assert [line for line in done.remarks.splitlines() if line != 'incroos: building the kernel'] == [remark]
    assert done.output.endswith(LAST_WORDS)


@pytest.mark.parametrize('program', ['gdb', PROGRAM])
def test_gdb_needs_both_programs(programs: Path, program: str) -> None:
    for name in {'gdb', PROGRAM} - {program}:
        write_program(programs / name, 'exit 0')
    environment = {'PATH': str(programs), 'XDG_CACHE_HOME': str(programs)}
    assert refusal('gdb', environment=environment).startswith(f'{program} is not installed: install ')


@pytest.mark.parametrize(
    ('script', 'words'),
    [
        ('exit 1', 'exit status 1'),
        ('exit 0', 'exit status 0'),
        ('echo "qemu: no such machine" >&2; exit 1', 'qemu: no such machine'),
        ('kill -SEGV $$', 'SIGSEGV ended it'),
        ('head -c 100000 /dev/zero | tr "\\0" x >&2; exit 1', 'x' * 200),
        ('exec >&- 2>&-; echo garbage >&5; sleep 0.1', 'exit status 0'),
    ],
    ids=['fails', 'does nothing', 'complains', 'crashes', 'babbles', 'is silent'],
)
def test_broken_qemu(programs: Path, script: str, words: str) -> None:
    write_program(programs / PROGRAM, script)
    sentence = refusal('boot', '--on', 'qemu', '--accel', 'tcg')
    assert sentence == f'{PROGRAM} does not work ({words}): {INSTALL}'


def test_qemu_that_does_not_answer(programs: Path) -> None:
    write_program(programs / PROGRAM, 'trap "" TERM INT; sleep 1000 & wait')
    done = run('boot', '--on', 'qemu', '--accel', 'tcg', '--timeout', '1')
    assert (done.status, done.sentence) == (Status.HANG, 'the kernel had not ended after 1 s and was stopped')


def test_qemu_that_is_no_program(programs: Path) -> None:
    (programs / PROGRAM).write_bytes(b'\x7fELF')
    (programs / PROGRAM).chmod(0o755)
    assert refusal('boot', '--on', 'qemu', '--accel', 'tcg').endswith(INSTALL)


MONITOR: Final = f"""#!{sys.executable}
import os, re, sys, time
fd = int(re.search(r'id=monitor,fd=([0-9]+)', ' '.join(sys.argv))[1])
os.write(fd, {{text!r}})
time.sleep({{seconds}})
"""
GREETING: Final = b'{"QMP": {}}\n{"return": {}}\n'


@pytest.mark.parametrize(
    'text',
    [
        b'garbage\n',
        b'[1, 2]\n',
        b'{"a": 1}\n',
        b'[' * 100_000 + b'\n',
        b'{"QMP": {}}\n{"foo": 1}\n',
        b'{"QMP": {}}\n{"error": "no"}\n',
        GREETING + b'{"error": {"desc": "no"}}\n',
        GREETING + b'{"event": "SHUTDOWN", "data": 5}\n{"return": {}}\n',
        GREETING + b'{"return": {}}\njunk\n',
        GREETING + b'{"return": {}}\n',
    ],
    ids=str,
)
def test_garbage_on_the_monitor(programs: Path, text: bytes) -> None:
    (programs / PROGRAM).write_text(MONITOR.format(text=text, seconds=0))
    (programs / PROGRAM).chmod(0o755)
    sentence = refusal('boot', '--on', 'qemu', '--accel', 'tcg')
    assert sentence.startswith(PROGRAM)
    assert sentence.endswith(INSTALL)


def test_kvm_that_does_not_work(programs: Path) -> None:
    """Asked for, it is refused."""
    complaint = 'Could not access KVM kernel module: Permission denied'
    write_program(programs / PROGRAM, f'echo "{complaint}" >&2; exit 1')
    sentence = refusal('boot', '--accel', 'kvm')
    assert sentence == f'{PROGRAM} does not work ({complaint}): take --accel tcg'


HALF_A_BOOT: Final = f"""#!{sys.executable}
import os, re, sys, time
arguments = ' '.join(sys.argv)
serial = int(re.search(r'id=serial,path=/dev/fd/([0-9]+)', arguments)[1])
monitor = int(re.search(r'id=monitor,fd=([0-9]+)', arguments)[1])
os.write(serial, b'Hello')
os.write(monitor, {GREETING!r})
os.read(monitor, 1000)
ENDING
"""
REFUSAL: Final = b'{"error": "no"}\n'
ENDINGS: Final = {  # between the command that it accepts, and the next, to let the machine run
    'ends': '',
    'closes its monitor': 'os.close(monitor); time.sleep(0.2)',
    'refuses to run': f'os.write(monitor, {REFUSAL!r}); time.sleep(10_000)',
    'babbles on its monitor': 'os.write(monitor, b"junk" + bytes([10])); time.sleep(10_000)',
}


@pytest.mark.parametrize('ending', ENDINGS.values(), ids=ENDINGS)
def test_a_boot_that_printed_something_is_not_tried_again(
    programs: Path, monkeypatch: pytest.MonkeyPatch, ending: str
) -> None:
    """Standard output is what one kernel wrote, not two."""
    (programs / PROGRAM).write_text(HALF_A_BOOT.replace('ENDING', ending))
    (programs / PROGRAM).chmod(0o755)
    monkeypatch.setattr(qemu, 'why_not_kvm', lambda: '')
    console = bytearray()
    said: list[str] = []
    with pytest.raises(Unusable):
        qemu.boot(Boot(64 << 20, SECONDS, console.extend, said.append), programs / 'kernel.elf')
    assert bytes(console) == b'Hello'
    assert said == ['booting in QEMU with KVM']


def test_more_memory_than_this_computer_has() -> None:
    assert refusal('boot', '--on', 'qemu', '--accel', 'tcg', '--memory', '16T').endswith('ask for less with --memory')
    sentence = refusal('boot', '--on', 'sim', '--memory', '4G')
    assert sentence == 'the interpreted computer has at most 256M of RAM: ask for that, or compile with --on jit'


# ------------------------------------------------------------------ the linker
def cold(tmp_path: Path, programs: Path) -> dict[str, str]:
    """An environment with an empty cache, and whose programs are these, the shell's and QEMU."""
    (programs / PROGRAM).symlink_to(shutil.which(PROGRAM) or '')
    return {'XDG_CACHE_HOME': str(tmp_path / 'cache'), 'PATH': f'{programs}'}


@pytest.mark.parametrize('arguments', [['boot', '--on', 'qemu'], ['boot'], ['build', '-o', 'kernel.elf']], ids=' '.join)
def test_no_linker(tmp_path: Path, programs: Path, arguments: list[str]) -> None:
    sentence = refusal(*arguments, environment=cold(tmp_path, programs))
    assert sentence.startswith('no linker is installed (')
    assert REMEDY_OF_LINKER in sentence


def test_the_compiled_simulator_needs_no_linker(tmp_path: Path) -> None:
    done = run('boot', '--on', 'jit', environment={'PATH': str(tmp_path)})
    assert done.output.endswith(LAST_WORDS)


@pytest.mark.parametrize(
    ('script', 'words'),
    [('echo "out of order" >&2; exit 1', 'out of order'), ('echo junk >kernel.elf', 'made no ELF image')],
    ids=['fails', 'writes junk'],
)
def test_broken_linker(tmp_path: Path, programs: Path, script: str, words: str) -> None:
    for name in ('ld', 'ld.lld'):
        write_program(programs / name, script)
    assert words in refusal('build', '-o', 'kernel.elf', environment=cold(tmp_path, programs))
    assert not list((tmp_path / 'cache').glob('incroos/*'))


# ------------------------------------------------------------------ the cache
@pytest.fixture(scope='module')
def warm(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """An environment whose cache holds what the boots in QEMU and jit need, made from a text that nobody edits."""
    folder = tmp_path_factory.mktemp('warm')
    shutil.copytree(ROOT / 'src', folder / 'src', ignore=shutil.ignore_patterns('__pycache__'))
    environment = {'PYTHONPATH': str(folder / 'src'), 'XDG_CACHE_HOME': str(folder / 'cache')}
    for place in ('qemu', 'jit'):
        assert run('boot', '--on', place, environment=environment, cwd=folder).status == Status.PASSED
    return environment


def damage(path: Path, how: str) -> None:
    """Spoil a file."""
    content = path.read_bytes()
    if how == 'flipped':
        path.write_bytes(content[:1000] + bytes([content[1000] ^ 1]) + content[1001:])
    else:
        path.unlink()
        os.mkfifo(path)


@pytest.mark.parametrize(
    ('place', 'file', 'how'),
    [
        ('qemu', 'checksums', 'fifo'),
        ('jit', 'kernel.o', 'flipped'),
    ],
)
def test_damaged_cache(warm: dict[str, str], tmp_path: Path, place: str, file: str, how: str) -> None:
    """Said once, and mended; tests/build/test_cache.py has each damage to each file."""
    shutil.copytree(warm['XDG_CACHE_HOME'], tmp_path / 'cache')
    for path in (tmp_path / 'cache').rglob(file):
        damage(path, how)
    environment = {**warm, 'XDG_CACHE_HOME': str(tmp_path / 'cache')}
    done = run('boot', '--on', place, environment=environment, cwd=tmp_path)
    assert done.status == Status.PASSED
    assert done.output.endswith(LAST_WORDS)
    assert ' is damaged: building it anew\n' in done.remarks
    assert 'build' not in run('boot', '--on', place, environment=environment, cwd=tmp_path).remarks


def test_unwritable_cache(tmp_path: Path) -> None:
    """A file where the folder should be, which not even root can write into."""
    (tmp_path / 'file').touch()
    (tmp_path / 'temporary').mkdir()
    environment = {'XDG_CACHE_HOME': str(tmp_path / 'file'), 'TMPDIR': str(tmp_path / 'temporary')}
    done = run('boot', '--on', 'qemu', environment=environment)
    assert done.status == Status.PASSED
    assert done.output.endswith(LAST_WORDS)
    assert f'the cache folder {tmp_path}/file/incroos cannot be written (Not a directory): this build' in done.remarks
    assert 'XDG_CACHE_HOME names another folder\n' in done.remarks
    assert not list((tmp_path / 'temporary').iterdir())


def test_two_boots_with_an_empty_cache_at_the_same_time(tmp_path: Path) -> None:
    environment = {'XDG_CACHE_HOME': str(tmp_path)}
    command = ('boot', '--on', 'qemu')
    with Running(*command, environment=environment) as one, Running(*command, environment=environment) as other:
        for done in (one.end(), other.end()):
            assert done.status == Status.PASSED
            assert done.output.endswith(LAST_WORDS)
    (entry,) = (tmp_path / 'incroos').iterdir()
    assert {file.name for file in entry.iterdir()} == {images.ELF, images.FACTS, 'checksums'}


def test_the_cache_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """XDG_CACHE_HOME where it is absolute, else the home, which need not be told by HOME and may not exist."""
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path))
    assert cache_folder() == tmp_path / 'incroos'
    monkeypatch.setenv('XDG_CACHE_HOME', 'relative')
    monkeypatch.setenv('HOME', '/somewhere')
    assert cache_folder() == Path('/somewhere/.cache/incroos')
    for home in ('', 'relative'):
        monkeypatch.setenv('HOME', home)
        assert cache_folder() == Path('~root/.cache/incroos').expanduser() or os.getuid()
    monkeypatch.delenv('HOME')
    monkeypatch.setattr(os, 'getuid', lambda: 4_000_000)
    assert cache_folder() is None


def test_a_user_without_a_home(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    monkeypatch.setattr('incroos.build.cache.cache_folder', lambda: None)
    cache = Cache(said.append)
    assert cache.fetch('key') is None
    assert (cache.store('key', {'file': b'content'}) / 'file').read_bytes() == b'content'
    assert said == ['this user has no home: this build is not kept; XDG_CACHE_HOME names a folder']


# ------------------------------------------------------------------ the output of build
def build(output: str, **options: Any) -> Done:
    return run('build', '-o', output, **options)


@pytest.mark.parametrize(
    ('output', 'reason'),
    [
        ('no-folder/kernel.elf', 'No such file or directory'),
        ('file/kernel.elf', 'Not a directory'),
        ('/dev/full', 'No space left on device'),
        ('/proc/kernel.elf', 'No such file or directory'),
        ('n' * 300, 'File name too long'),
    ],
)
def test_output_that_cannot_be_written(tmp_path: Path, output: str, reason: str) -> None:
    (tmp_path / 'file').write_text('kept')
    done = build(output, cwd=tmp_path)
    assert (done.status, done.output) == (Status.UNUSABLE, '')
    assert done.sentence == f'{output} cannot be written ({reason}): name a path that can'
    assert os.listdir(tmp_path) == ['file']
    assert (tmp_path / 'file').read_text() == 'kept'


def test_output_through_links_and_channels(tmp_path: Path) -> None:
    """A link stays a link, above all /dev/stdout, and the file behind it gets the image."""
    assert build('kernel.elf', cwd=tmp_path).status == 0
    image = (tmp_path / 'kernel.elf').read_bytes()
    assert image.startswith(b'\x7fELF')
    (tmp_path / 'link').symlink_to('target')
    assert build('link', cwd=tmp_path).status == 0
    assert (tmp_path / 'link').is_symlink()
    assert (tmp_path / 'target').read_bytes() == image
    before = os.readlink('/dev/stdout')
    for name in ('/dev/stdout', '/dev/fd/1', '/proc/self/fd/1', '-'):
        with (tmp_path / 'channel').open('wb') as channel:
            assert build(name, cwd=tmp_path, stdout=channel).status == 0
        assert (tmp_path / 'channel').read_bytes() == image
        assert os.readlink('/dev/stdout') == before
    assert sorted(os.listdir(tmp_path)) == ['channel', 'kernel.elf', 'link', 'target']


ALLOCATIONS: Final = ''.join(f'a {number} 16\n' for number in range(500))
REP: Final = f'0\n500\n500\n1\n{ALLOCATIONS}'  # a text of the malloc lab


@pytest.mark.parametrize(
    ('command', 'names'),
    [
        ('build -o out/kernel.elf', ['kernel.elf']),
        ('build --format bios -o out/kernel.img', ['kernel.img']),
        ('build --format library -o out', ['incro_mm.h', 'libincro_mm.a']),
        ('build --format shared -o out', ['incro_heap.h', 'libincro_heap.so']),
        ('trace convert x.rep -o out/x.trace', ['x.trace']),
    ],
)
def test_an_older_file_survives_a_full_disk_and_is_never_written_in_place(
    tmp_path: Path, command: str, names: list[str]
) -> None:
    """A limit on the size of files stands for the disk. A program that has the older file open keeps what it opened."""
    (tmp_path / 'x.rep').write_text(REP)
    out = tmp_path / 'out'
    out.mkdir()
    assert run(*command.split(), cwd=tmp_path).status == 0
    assert sorted(os.listdir(out)) == names
    for name in names:
        (out / name).write_text('old')
        (out / name).chmod(0o640)
    with contextlib.ExitStack() as closing:
        opened = [closing.enter_context((out / name).open()) for name in names]
        limit = ['prlimit', '--fsize=500', *COMMAND]
        done = run(*command.split(), cwd=tmp_path, prefix=limit, environment={'PYTHONDONTWRITEBYTECODE': '1'})
        assert done.status == Status.UNUSABLE
        assert 'cannot be written (File too large)' in done.sentence
        assert {name: (out / name).read_text() for name in os.listdir(out)} == dict.fromkeys(names, 'old')
        assert run(*command.split(), cwd=tmp_path).status == 0
        assert [file.read() for file in opened] == ['old'] * len(names)
    assert sorted(os.listdir(out)) == names
    assert all((out / name).stat().st_size > 500 for name in names)
    assert {(out / name).stat().st_mode & 0o777 for name in names} == {0o640}


def test_a_configuration_that_cannot_be_built_is_said_as_it_is() -> None:
    assert (
        sentence_about(ConfigError('there is no such design: name another')) == 'there is no such design: name another'
    )
