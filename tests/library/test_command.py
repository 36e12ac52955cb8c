"""incroos build --format library: what it writes, and one sentence for everything that is in its way."""

import json
from pathlib import Path

import pytest

from incroos.build import c_library
from incroos.build.errors import BuildError
from incroos.kernel.config import CHEAP, FULL
from incroos.run.outcome import Status

from ..cli.command import run
from .c_kernels import library_folder


def build(*arguments: str, path: Path | None = None) -> tuple[int, str]:
    """Status and sentence of a build that must write nothing to standard output."""
    done = run('build', '--format', 'library', *arguments, environment={'PATH': str(path)} if path else {})
    assert done.output == ''
    return done.status, done.sentence


@pytest.mark.parametrize('config', ['classic', 'modern'])
def test_archive_and_header_are_written_into_a_folder_that_is_made(tmp_path: Path, config: str) -> None:
    folder = tmp_path / 'deep' / 'down'
    status, sentence = build('--config', config, '-o', str(folder))
    assert status == Status.PASSED
    assert sorted(file.name for file in folder.iterdir()) == ['incro_mm.h', 'libincro_mm.a']
    for file in folder.iterdir():
        assert file.read_bytes() == (library_folder(config) / file.name).read_bytes()
        assert f'{file.name} of {file.stat().st_size:,} bytes' in sentence
    assert build('--config', config, '-o', str(folder)) == (status, sentence)  # again, over what is there


@pytest.mark.parametrize(('hardening', 'number'), [('cheap', CHEAP), ('full', FULL)])
def test_the_level_of_hardening_is_chosen(tmp_path: Path, hardening: str, number: int) -> None:
    assert build('--hardening', hardening, '-o', str(tmp_path))[0] == Status.PASSED
    assert f'#define INCRO_MM_HARDENING {number} ' in (tmp_path / 'incro_mm.h').read_text()


def test_a_checked_build_brings_its_lines_and_facts_are_json(tmp_path: Path) -> None:
    done = run('build', '--format', 'library', '--checked', '--json', '-o', str(tmp_path))
    facts = json.loads(done.output)
    assert done.status == Status.PASSED
    assert facts['files'] == {file.name: file.stat().st_size for file in tmp_path.iterdir()}
    assert facts['files'].keys() == {'incro_mm.h', 'libincro_mm.a', 'incro_mm.sites'}
    assert facts['path'] == str(tmp_path)


@pytest.mark.parametrize(
    ('arguments', 'words'),
    [
        (['-o', '-'], "'-' is no folder, and a library and its header are written: name one with -o"),
        (['-o', 'README.md'], "'README.md' is no folder, and a library and its header are written: name one with -o"),
        (['-o', 'x', '--debug'], '--debug is not for --format library: leave it away'),
        (['-o', 'x', '--config', 'modern-la57'], 'a library is of --config classic or modern, and this is modern-la57'),
        ([], "missing option '-o'"),
    ],
    ids=' '.join,
)
def test_wrong_usage(arguments: list[str], words: str) -> None:
    status, sentence = build(*arguments)
    assert status == Status.WRONG_USAGE
    assert words in sentence
    assert sentence.endswith('(incroos build --help says more)')
    assert not Path('x').exists()


@pytest.mark.parametrize('path', ['README.md/library', '/proc/library', '/dev/null/library'])
def test_folders_that_cannot_be_made(path: str) -> None:
    status, sentence = build('-o', path)
    assert status == Status.UNUSABLE
    assert sentence.endswith(': name a folder that can')
    assert 'cannot be written (' in sentence


def test_a_file_in_the_way(tmp_path: Path) -> None:
    (tmp_path / 'incro_mm.h').mkdir()
    status, sentence = build('-o', str(tmp_path))
    assert status == Status.UNUSABLE
    assert sentence == f'{tmp_path}/incro_mm.h cannot be written (Is a directory): name a folder that can'


def test_no_archiver(tmp_path: Path) -> None:
    status, sentence = build('-o', str(tmp_path), path=tmp_path)
    assert status == Status.UNUSABLE
    assert sentence.startswith('no archiver is installed (ar or ')
    assert sentence.endswith(': install one (on Debian and Ubuntu: apt install binutils)')
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ('text', 'words'),
    [
        ('#!/bin/sh\nexit 1\n', 'cannot make the library (exit status 1, and no archive)'),
        ('#!/bin/sh\nexit 0\n', 'cannot make the library (exit status 0, and no archive)'),
        ('#!/bin/sh\necho "ar: disk full" >&2; exit 1\n', 'cannot make the library (ar: disk full)'),
        ('\x7fELF', 'cannot be started (Exec format error)'),
    ],
    ids=['fails', 'does nothing', 'complains', 'is no program'],
)
def test_a_broken_archiver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, words: str) -> None:
    (tmp_path / 'ar').write_text(text)
    (tmp_path / 'ar').chmod(0o755)
    monkeypatch.setenv('PATH', str(tmp_path))
    with pytest.raises(BuildError) as error:
        c_library.archive(b'')
    assert str(error.value) == f'{tmp_path}/ar {words}: install a working archiver'
