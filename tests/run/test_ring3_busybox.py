"""Applets of busybox that do not fork, unmodified: output and status are what they are on Linux, in each place."""

import bz2
import gzip
import io
import lzma
import shutil
import tarfile
from pathlib import Path
from typing import Final

import pytest

from ..budget import FULL
from .ring3 import Case, compare, make_root, on_host
from .ring3_cases import BINARY, DATA, TEXT

WORDS: Final = b''.join(b'%d,%x,word%d\n' % (n * 7919 % 1009, n * 31, n % 17) for n in range(3000))
AWK: Final = (
    '{ n[$3] += $1; l = l < length($0) ? length($0) : l } '
    'END { for (k in n) s += n[k]; printf "%d %.3f %d\\n", s, s / 7, l }'
)
AWK_TEXT: Final = (
    'BEGIN { FS = "," } NR % 500 == 0 { print toupper($3), substr($0, 2, 5); gsub(/[0-9]+/, "<&>"); print }'
)
SHELL: Final = (
    'i=0; while [ $i -lt 200 ]; do i=$((i + 3)); t="$t${i##1}."; done; echo "${#t} $t"; printf "%05d\\n" $i; exit 9'
)
ED: Final = b'1,5p\n/word7/\ns/word/WORD/p\n$=\nQ\n'


def tar_of(**members: bytes) -> bytes:
    """A tar archive."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode='w') as archive:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return file.getvalue()


FILES: Final = {
    'data': DATA,
    'words': WORDS,
    'other': WORDS.replace(b'word7', b'another'),
    'text': TEXT,
    'words.gz': gzip.compress(WORDS, mtime=0),
    'words.bz2': bz2.compress(WORDS),
    'words.xz': lzma.compress(WORDS),
    'words.tar': tar_of(one=WORDS, two=DATA),
    'script.sed': b's/word\\([0-9]\\)/\\1:word/\n/5:/d\n$!N\nP\nD\n',
    'folder/inner': b'inner words\n',
    'folder/empty': None,
    'link': 'folder/inner',
}
SIM: Final = {'echo', 'printf', 'expr', 'wc', 'head', 'test', 'cut', 'basename'}

# What is given on standard input stands first.
APPLETS: Final[tuple[tuple[bytes, list[str]], ...]] = (
    (b'', ['echo', '-e', 'a\\tb', 'c']),
    (b'', ['printf', '%s-%05d-%x-%.3f|', 'text', '42', '255', '2.5', 'more', '1', '2', '3']),
    (b'', ['expr', '12', '*', '(', '3', '+', '4', ')']),
    (b'', ['expr', 'abcdef', ':', 'a\\(.*\\)f']),
    (b'', ['test', '-f', 'data']),
    (b'', ['test', '-d', 'data']),
    (b'', ['[', '3', '-lt', '2', ']']),
    (b'', ['basename', '/usr/lib/file.so', '.so']),
    (b'', ['dirname', '/usr/lib/file.so']),
    (b'', ['true']),
    (b'', ['false']),
    (b'', ['seq', '3', '7', '20000']),
    (b'', ['cat', 'words', 'data', 'folder/inner']),
    (BINARY, ['cat']),
    (BINARY, ['cat', 'text', '-', 'link']),
    (b'', ['cat', 'none', 'folder']),
    (WORDS, ['sort']),
    (b'', ['sort', '-t,', '-k3,3', '-k1,1nr', 'words']),
    (WORDS, ['sort', '-u', '-n']),
    (b'', ['wc', 'words', 'data', 'text']),
    (BINARY, ['wc', '-c']),
    (WORDS, ['uniq', '-c']),
    (b'', ['cut', '-d,', '-f', '1,3', 'words']),
    (b'', ['cut', '-c', '2-5,8', 'text']),
    (WORDS, ['tr', 'a-z0-9', 'A-Zx']),
    (BINARY, ['tr', '-dc', '[:print:]']),
    (b'', ['head', '-n', '5', 'words']),
    (BINARY, ['head', '-c', '1000']),
    (b'', ['tail', '-n', '5', 'words']),
    (WORDS, ['tail', '-c', '+30000']),
    (b'', ['sed', '-n', '/word3/{s/,/ /gp;n;=}', 'words']),
    (b'', ['sed', '-f', 'script.sed', 'words']),
    (WORDS, ['sed', '-E', 's/([0-9]+),([0-9a-f]+)/\\2 \\1/; 10q']),
    (b'', ['awk', '-F,', AWK, 'words']),
    (WORDS, ['awk', AWK_TEXT]),
    (b'', ['awk', 'BEGIN { for (i = 1; i < 9; i++) print i, sin(i), exp(i), sqrt(i), int(i / 3), 2 ^ i; exit 3 }']),
    (b'', ['grep', '-n', 'word1[0-3]$', 'words']),
    (WORDS, ['grep', '-c', '-v', 'e']),
    (WORDS, ['grep', '-E', '^(1|2)+,.*(a|f){2}']),
    (b'', ['grep', '-q', 'nothing of the kind', 'words']),
    (b'', ['grep', '-r', 'inner', 'folder']),
    (b'', ['md5sum', 'words', 'data', 'busybox']),
    (BINARY, ['sha1sum']),
    (b'', ['sha256sum', 'words', 'busybox']),
    (BINARY, ['sha512sum']),
    (WORDS, ['gzip', '-c']),
    (BINARY, ['gzip', '-9']),
    (b'', ['gunzip', '-c', 'words.gz']),
    (b'not compressed', ['gunzip']),
    (b'', ['bunzip2', '-c', 'words.bz2']),
    (b'', ['unxz', '-c', 'words.xz']),
    (WORDS, ['bzip2']),
    (b'', ['od', '-c', 'folder/inner']),
    (BINARY[:5000], ['od', '-A', 'x', '-t', 'x4']),
    (b'', ['hexdump', '-C', 'data']),
    (BINARY[:3000], ['xxd']),
    (BINARY, ['base64']),
    (b'aGVsbG8gd29ybGQK\n', ['base64', '-d']),
    (b'', ['factor', '1234567890123', '97', '360360']),
    (b'scale=40; 2^200; sqrt(2); for (i = 0; i < 9; i++) i * 7 / 3; e(1)\n', ['bc', '-l']),
    (b'3 4 + p 2 100 ^ p 10 k 2 v p\n', ['dc']),
    (b'', ['env']),
    (b'', ['find', '.', '-name', 'inn*']),
    (b'', ['find', 'folder/inner', '-type', 'f', '-size', '-2']),
    (b'', ['ls']),
    (b'', ['ls', '-1', 'folder', 'link', 'none']),
    (b'', ['readlink', 'link']),
    (b'', ['stat', '-c', '%s %F %a %n', 'data', 'words']),
    (b'', ['cmp', 'words', 'other']),
    (b'', ['cmp', 'words', 'words']),
    (b'', ['diff', 'words', 'other']),
    (b'', ['diff', '-u', 'other', 'words']),
    (b'', ['dd', 'if=data', 'bs=1000', 'skip=2', 'count=3', 'status=none']),
    (b'', ['tar', '-tf', 'words.tar']),
    (b'', ['tar', '-xOf', 'words.tar', 'two']),
    (b'', ['strings', '-n', '9', 'data']),
    (WORDS, ['tee']),
    (b'', ['date', '-u', '-d', '@1700000000', '+%Y-%m-%d %H:%M:%S %j %a']),
    (b'', ['cal', '2', '2024']),
    (b'', ['uname', '-sm']),
    (b'', ['sh', '-c', SHELL]),
    (
        b'one\ntwo words\n',
        ['sh', '-c', 'while read -r a b; do echo "<$a|$b>"; done; set -- x y z; echo $# $2; [ -e data ]'],
    ),
    (b'', ['sh', '-c', 'kill -TERM $$; echo not reached']),
    (b'', ['no-such-applet']),
)
# Nobody looks at these while the kernel is made: they stand for the programs that others will bring.
APART: Final[tuple[tuple[bytes, list[str]], ...]] = (
    (b'', ['tac', 'words']),
    (TEXT, ['rev']),
    (b'', ['paste', '-d:', 'words', 'other']),
    (TEXT, ['fold', '-w', '17', '-s']),
    (WORDS, ['nl']),
    (b'a\tb\t\tc\n' * 50, ['expand', '-t', '5']),
    (b'', ['sha3sum', 'words']),
    (b'', ['crc32', 'data', 'words']),
    (b'', ['xzcat', 'words.xz']),
    (ED, ['ed', 'words']),
    (BINARY[:2000], ['uuencode', 'name']),
    (b'', ['ascii']),
    (b'', ['lzcat', 'words.xz']),
)


def case_of(given: bytes, arguments: list[str]) -> Case:
    """With some environment, and memory for the archive beside the program."""
    name = '-'.join(arguments)[:40].replace('/', '_')
    return Case(name, 'busybox', tuple(arguments), given, {'LANG': 'C', 'A': 'some value'}, FILES)


CASES: Final = [case_of(*each) for each in APPLETS + APART]


def is_run(place: str, index: int, case: Case) -> bool:
    """All in jit; in sim some of those with little to do; in QEMU, where each is a boot, one in five."""
    if FULL or place == 'jit':
        return True
    return case.arguments[0] in SIM and not case.input if place == 'sim' else index % 5 == 0


IN_PLACES: Final = [
    (place, case) for place in ('jit', 'sim', 'qemu') for index, case in enumerate(CASES) if is_run(place, index, case)
]


@pytest.fixture(scope='module')
def busybox() -> Path:
    found = shutil.which('busybox')
    assert found is not None, 'busybox is not installed: make setup should have done it'
    return Path(found)


@pytest.mark.parametrize('case', CASES, ids=[f'{index}-{case.name}' for index, case in enumerate(CASES)])
def test_the_host_has_something_to_compare_with(tmp_path: Path, busybox: Path, case: Case) -> None:
    """None says that there is no such applet, but for the one that is none."""
    make_root(tmp_path / 'root', busybox, case.files)
    seen = on_host(busybox, case, tmp_path / 'root')
    assert (b'applet not found' in seen.stderr) == (case.arguments == ('no-such-applet',))
    assert b'invalid option' not in seen.stderr, seen
    assert seen.stdout or seen.stderr or case.arguments[0] in ('test', '[', 'true', 'false', 'grep', 'cmp', 'sh'), seen


@pytest.mark.parametrize(('place', 'case'), IN_PLACES, ids=[f'{place}-{case.name}' for place, case in IN_PLACES])
def test_an_applet_does_what_it_does_on_linux(tmp_path: Path, busybox: Path, place: str, case: Case) -> None:
    compare(place, busybox, case, tmp_path / 'root')
