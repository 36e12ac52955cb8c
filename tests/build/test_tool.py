"""Programs of this machine that do not work: each of their users says why, in the same words."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Final

import pytest

from incroos.build import c_compiler, c_library, link
from incroos.build.errors import BuildError

Use = Callable[[], bytes]

USES: Final[dict[str, tuple[ModuleType, str, Use]]] = {
    'linker': (link, link.LINKERS[0], lambda: link.link_with('SECTIONS { }', b'')),
    'C compiler': (c_compiler, 'cc', lambda: c_compiler.compile_c({'a.c': b'', 'b.c': b''}, ('a.c', 'b.c'), 'c.o')),
    'archiver': (c_library, 'ar', lambda: c_library.archive(b'')),
}
ENDINGS: Final = {
    ('linker', 'exit 3'): 'cannot link the image: exit status 3',
    ('linker', 'kill -SEGV $$'): 'cannot link the image: exit status -11',
    ('linker', 'echo "ld: warning: old" >&2; echo "in x:" >&2; echo no room >&2; exit 1'): (
        'cannot link the image: no room'
    ),
    ('linker', 'exit 0'): 'wrote no image: install a working linker',
    ('C compiler', 'exit 3'): 'cannot compile a.c, b.c: ',
    ('C compiler', 'echo In b.c: >&2; echo b.c:1: error: no >&2; exit 1'): 'cannot compile a.c, b.c: b.c:1: error: no',
    ('C compiler', 'echo no room >&2; exit 1'): 'cannot compile a.c, b.c: no room',
    ('C compiler', 'exit 0'): 'wrote no c.o: install a working C compiler',
    ('archiver', 'exit 3'): ('cannot make the library (exit status 3, and no archive): install a working archiver'),
    ('archiver', 'echo no room >&2; echo at all >&2; exit 1'): (
        'cannot make the library (no room): install a working archiver'
    ),
    ('archiver', 'echo of no use >&2'): 'cannot make the library (of no use): install a working archiver',
}


@pytest.fixture
def sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], str]:
    """What is said of a program of this kind that is such a text, without the program's path."""

    def ask(kind: str, text: str) -> str:
        _, name, use = USES[kind]
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)
        monkeypatch.setenv('PATH', str(tmp_path), prepend=os.pathsep)
        with pytest.raises(BuildError) as caught:
            use()
        return str(caught.value).removeprefix(f'{tmp_path / name} ')

    return ask


@pytest.mark.parametrize(('kind', 'script'), ENDINGS, ids=' '.join)
def test_one_that_fails(sentence: Callable[[str, str], str], kind: str, script: str) -> None:
    assert sentence(kind, f'#!/bin/sh\n{script}\n') == ENDINGS[kind, script]


@pytest.mark.parametrize('kind', USES)
def test_one_that_is_no_program(sentence: Callable[[str, str], str], kind: str) -> None:
    assert sentence(kind, '\x7fELF') == f'cannot be started (Exec format error): install a working {kind}'


@pytest.mark.parametrize('kind', USES)
def test_one_that_does_not_end(sentence: Callable[[str, str], str], monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    monkeypatch.setattr(USES[kind][0], 'SECONDS', 1)
    script = f'#!/bin/sh\nexec {shutil.which("sleep")} 60\n'
    assert sentence(kind, script) == f'had not ended after 1 s: install a working {kind}'
