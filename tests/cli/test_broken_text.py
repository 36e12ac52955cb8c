"""A text of the kernel, or one that is compiled with it, that Python cannot load: status 6, the place and a caret."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from incroos.broken_text import sentence_about
from incroos.run.outcome import Status

from .command import ROOT, run

COMMANDS: Final = (
    'check',
    'boot --on sim',
    'boot --on jit',
    'boot --on qemu',
    'boot --firmware bios',
    'build -o kernel.elf',
    'build --format uefi -o kernel.efi',
    'build --format library -o library',
    'build --format shared -o heap',
    'gdb',
)


@pytest.fixture(scope='module')
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the package, to be broken."""
    folder = tmp_path_factory.mktemp('texts')
    shutil.copytree(ROOT / 'src' / 'incroos', folder / 'incroos', ignore=shutil.ignore_patterns('__pycache__'))
    return folder


class Breaker:
    """Changes texts of the copy, and mends them in the end."""

    def __init__(self, folder: Path) -> None:
        self.folder, self._contents = folder, dict[Path, bytes]()

    def change(self, name: str, old: bytes, new: bytes) -> Path:
        """Replace a part of a text; all of it is the empty part."""
        path = self.folder / 'incroos' / name
        content = self._contents.setdefault(path, path.read_bytes())
        assert old in content
        path.write_bytes(content.replace(old, new, 1) if old else new)
        return path

    def remove(self, name: str) -> None:
        path = self.folder / 'incroos' / name
        self._contents[path] = path.read_bytes()
        path.unlink()

    def mend(self) -> None:
        for path, content in self._contents.items():
            path.write_bytes(content)

    def remarks(self, command: str) -> str:
        """What a command says that must end as unusable, without any output and without a traceback."""
        environment = {
            'PYTHONPATH': str(self.folder),
            'XDG_CACHE_HOME': str(self.folder),
            'PYTHONDONTWRITEBYTECODE': '1',
        }
        done = run(*command.split(), environment=environment, cwd=self.folder)
        assert (done.status, done.output) == (Status.UNUSABLE, ''), done.remarks
        assert 'Traceback' not in done.remarks
        return done.remarks.rpartition('incroos: ')[2]  # it may have said before what it builds


@pytest.fixture
def breaker(whole: Path) -> Iterator[Breaker]:
    breaker = Breaker(whole)
    yield breaker
    breaker.mend()


@pytest.mark.parametrize('command', COMMANDS)
def test_every_command_says_where_the_syntax_is_wrong(breaker: Breaker, command: str) -> None:
    path = breaker.change('kernel/heap/chunk/header.py', b'', b'X = 1\n\n\nwhile X\n    pass\n')
    assert breaker.remarks(command) == f"{path}:4:8: expected ':'\n    while X\n           ^\n  mend the text\n"


TEXTS: Final = {  # by commands that need them
    'check': ('kernel/codes.py', 'kernel/__init__.py', 'guest/mailbox.py', 'machine/walk.py', 'lang/primitives.py'),
    'boot --on sim': ('kernel/codes.py', 'lang/__init__.py', 'machine/strict.py', 'machine/translations.py'),
    'build --format shared -o heap': ('hosted/malloc.py', 'lang/config.py'),
}


@pytest.mark.parametrize(('command', 'name'), [(command, name) for command, names in TEXTS.items() for name in names])
def test_every_text_may_be_the_broken_one(breaker: Breaker, command: str, name: str) -> None:
    """Also one that the command needs before it knows what it is to do."""
    path = breaker.change(name, b'', b'def f():\npass\n')
    what = 'expected an indented block after function definition on line 1'
    assert breaker.remarks(command) == f'{path}:2:1: {what}\n    pass\n    ^^^^\n  mend the text\n'


CONTENTS: Final = {  # of kernel/heap/chunk/header.py: where, what, and what is quoted
    'a tab': (b'if 1:\n\tx = 1\n        y = 2\n', '3:1', 'inconsistent use of tabs', '    y = 2\n    ^'),
    'Latin-1': (
        b'# one\nx = "caf\xe9"\n',
        '2:9',
        "(unicode error) 'utf-8' codec",
        '    x = "caf\ufffd"\n            ^',
    ),
    'zero byte': (b'x = 1\ny\0 = 1\n', '2:2', 'source code string cannot contain', '    y\ufffd = 1\n     ^'),
    'no such coding': (b'# coding: none\nx = 1\n', '1:1', 'unknown encoding: none', '    # coding: none\n    ^'),
    'not closed': (b'x = (\n', '1:5', "'(' was never closed", '    x = (\n        ^'),
    'wide signs': ('s = "\u4e2d" 3\n'.encode(), '1:9', 'invalid syntax', '    s = "\u4e2d" 3\n             ^'),
    'a name': (b'\nx = 1 + missing\n', '2:9', "name 'missing' is not", '    x = 1 + missing\n            ^^^^^^^'),
    'in a class': (b'class A:\n    x: missing\n', '2:8', "name 'missing' is", '    x: missing\n       ^^^^^^^'),
    'in a function': (b'def f():\n    g()\nf()\n', '2:5', "name 'g' is", '    g()\n    ^'),
    'a division': (b'x = 1 // 0\n', '1:5', 'ZeroDivisionError: ', '    x = 1 // 0\n        ^^^^^^'),
    'no such module': (
        b'import nowhere\n',
        '1:1',
        "No module named 'nowhere'",
        '    import nowhere\n    ^^^^^^^^^^^^^^',
    ),
    'no such name': (
        b'from incroos.kernel.codes import NOTHING\n',
        '1:1',
        "cannot import name 'NOTHING' from 'incroos.kernel.codes'",
        '    from incroos.kernel.codes import NOTHING\n    ' + 40 * '^',
    ),
}


@pytest.mark.parametrize('case', CONTENTS)
def test_each_way_in_which_a_text_can_be_broken(breaker: Breaker, case: str) -> None:
    content, where, what, quoted = CONTENTS[case]
    path = breaker.change('kernel/heap/chunk/header.py', b'', content)
    said = breaker.remarks('check')
    assert said.startswith(f'{path}:{where}: {what}')
    assert f'\n{quoted}\n  mend the ' in said
    assert len(said.splitlines()) == 4


@pytest.mark.parametrize(
    ('name', 'importer'),
    [
        ('kernel/heap/chunk/header.py', 'kernel/heap/'),
        ('kernel/configs.py', 'run/library.py'),
        ('kernel/codes.py', 'run/'),
        ('machine/tlb.py', 'machine/'),
    ],
)
def test_a_text_that_is_missing(breaker: Breaker, name: str, importer: str) -> None:
    """The import that does not find it is shown."""
    breaker.remove(name)
    said = breaker.remarks('check')
    assert said.startswith(f'{breaker.folder}/incroos/{importer}')
    assert Path(name).stem in said.splitlines()[0]
    assert said.endswith('^\n  mend the import, or what it leads to\n')


def test_imports_in_a_circle(breaker: Breaker) -> None:
    circle = b'\nfrom incroos.kernel.heap.chunk.first_fit import kmalloc\nfrom '
    breaker.change('kernel/heap/chunk/header.py', b'\nfrom ', circle)
    said = breaker.remarks('check')
    assert said.startswith(f'{breaker.folder}/incroos/kernel/heap/')
    assert ' (most likely due to a circular import) ' in said
    assert said.endswith('^\n  mend the import, or what it leads to\n')


@pytest.mark.parametrize('kind', [ValueError, NameError, OSError, MemoryError])
def test_other_errors_are_no_fault_of_a_text(kind: type[Exception]) -> None:
    with pytest.raises(kind) as caught:
        raise kind('x')
    assert sentence_about(caught.value) == ''


def test_what_is_no_file_is_no_text_of_ours() -> None:
    with pytest.raises(SyntaxError) as caught:
        compile('x =', '<nowhere>', 'exec')
    assert sentence_about(caught.value) == ''
