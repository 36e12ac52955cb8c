"""Programs that start tasks, and scripts of a shell, on the host and on our kernel: in a root of their own, as root.

The host's root is a copy of ours that the run may change; `chroot` lets it see nothing else.
"""

import os
import re
import shutil
import stat
import subprocess
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Final

from ..budget import SECONDS
from .ring3 import STACK_LIMIT, Case, Seen, difference, in_place, make_root

TASKS: Final = Path(__file__).parent / 'tasks'
SCRIPTS: Final = Path(__file__).parent / 'scripts'
IN_BASH: Final = Path(__file__).parent / 'scripts_bash'
APART: Final = Path(__file__).parent / 'scripts_apart'
ENVIRONMENT: Final = {'PATH': '/bin', 'LANG': 'C', 'HOME': '/tmp'}
PASSWD: Final = b'root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/nonexistent:/bin/false\n'
WORDS: Final = b''.join(b'%d,%x,word%d\n' % (n * 7919 % 1009, n * 31, n % 17) for n in range(400))
SHELL_FILES: Final[Mapping[str, bytes | str | None]] = {
    'etc/passwd': PASSWD,
    'etc/group': b'root:x:0:\n',
    'tmp': None,
    'dev': None,
    'proc': None,
    'data/words': WORDS,
    'data/text': b''.join(b'line %d of some text\n' % number for number in range(40)) + b'and no newline',
    'data/folder/inner': b'inner words\n',
    'data/folder/deep/most': b'deep\n',
    'data/empty': b'',
    'data/link': 'folder/inner',
}


def ways_of(source: Path) -> list[str]:
    """The names in the table of ways of a program."""
    table = source.read_text().rpartition('static const struct way ways[] = {')[2]
    return re.findall(r'WAY\((\w+)\)', table)


@cache
def busybox() -> Path:
    """The shell and its applets."""
    found = shutil.which('busybox')
    assert found is not None, 'busybox is not installed: make setup should have done it'
    return Path(found)


@cache
def bash() -> Path:
    """Another shell."""
    found = shutil.which('bash-static')
    assert found is not None, 'bash-static is not installed: make setup should have done it'
    return Path(found)


@cache
def applets() -> tuple[str, ...]:
    """All that it can."""
    done = subprocess.run([busybox(), '--list'], capture_output=True, text=True, check=True)
    return tuple(done.stdout.split())


def make_shell_root(folder: Path, files: Mapping[str, bytes | str | None]) -> None:
    """A root with a shell, its applets and some files."""
    (folder / 'bin').mkdir(parents=True)
    make_root(folder / 'bin', busybox(), {name: 'busybox' for name in applets() if name != 'busybox'})
    for name, content in {**SHELL_FILES, **files}.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if content is None:
            path.mkdir(exist_ok=True)
        elif isinstance(content, str):
            path.symlink_to(content)
        else:
            path.write_bytes(content)


def on_host(folder: Path, path: str, case: Case) -> Seen:
    """What Linux makes of it: alone in a folder that it may change, with our limits and no addresses at random."""
    as_root = [] if os.geteuid() == 0 else ['unshare', '-r']
    if not as_root and (folder / 'dev').is_dir():
        for name, minor in (('null', 3), ('zero', 5)):
            os.mknod(folder / 'dev' / name, stat.S_IFCHR | 0o666, os.makedev(1, minor))
            os.chmod(folder / 'dev' / name, 0o666)
    chroot = shutil.which('chroot', path=os.environ.get('PATH', '') + ':/usr/sbin:/sbin')
    assert chroot is not None
    limits = f'ulimit -c 0; ulimit -s {STACK_LIMIT >> 10}; umask 022; exec "$@"'
    environment = [f'{name}={value}' for name, value in case.environment.items()]
    in_root = [
        *as_root,
        'setarch',
        '-R',
        'env',
        '--default-signal',
        '-i',
        *environment,
        chroot,
        str(folder),
        path,
        *case.arguments,
    ]
    done = subprocess.run(
        ['sh', '-c', limits, 'sh', *in_root],
        input=case.input,
        capture_output=True,
        timeout=SECONDS,
        check=False,
        start_new_session=True,  # what they send to all of their group does not come to the tests
    )
    return Seen(done.stdout, done.stderr, max(done.returncode, 0), max(-done.returncode, 0))


def compare_in_roots(place: str, path: str, case: Case, ours: Path, theirs: Path) -> None:
    """The same on the host and here."""
    expected = on_host(theirs, path, case)
    found, ran = in_place(place, Path(path), case, ours, path=path)
    assert found == expected, difference(found, expected, ran)
