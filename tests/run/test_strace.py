"""System calls in words: each line here is one that strace(1) prints for the same call."""

import struct
from pathlib import Path
from typing import Final

import pytest

from incroos.kernel.abi import shapes
from incroos.kernel.state.records import BAD_TEXT, RECORD_CALL, RECORD_END, RECORD_TEXT_BYTES
from incroos.run.records import Told
from incroos.run.strace import PRINTERS, Trace, call_line, end_line, quoted
from incroos.run.system_calls import NR_ARGUMENTS, SYSTEM_CALLS

NUMBERS: Final = {call.name: number for number, call in SYSTEM_CALLS.items()}
HEADER: Final = Path('/usr/include/x86_64-linux-gnu/asm/unistd_64.h')
AT_FDCWD: Final = (1 << 32) - 100  # as compilers pass an int: the upper half is 0


def told(name: str, *words: int, result: int = 0, texts: tuple[bytes, ...] = ()) -> Told:
    """A record of a system call."""
    text = b''.join(struct.pack('<I', len(data)) + data[:RECORD_TEXT_BYTES] for data in texts)
    return Told(RECORD_CALL, 1, NUMBERS[name], (*words, *[0] * (NR_ARGUMENTS - len(words))), result, text)


LINES: Final = [
    (told('brk', result=0x55555558E000), 'brk(NULL)                               = 0x55555558e000'),
    (
        told('mmap', 0, 8192, 3, 0x22, (1 << 32) - 1, 0, result=0x7FFFF7FF1000),
        'mmap(NULL, 8192, PROT_READ|PROT_WRITE, MAP_PRIVATE|MAP_ANONYMOUS, -1, 0) = 0x7ffff7ff1000',
    ),
    (
        told('mmap', 0x10000, 1 << 62, 0, 0x100032, -1 & (1 << 64) - 1, 0, result=-12),
        'mmap(0x10000, 4611686018427387904, PROT_NONE, MAP_PRIVATE|MAP_FIXED|MAP_ANONYMOUS|MAP_FIXED_NOREPLACE, -1, 0) '
        '= -1 ENOMEM (Cannot allocate memory)',
    ),
    (told('mprotect', 0x4C1000, 16384, 1), 'mprotect(0x4c1000, 16384, PROT_READ)    = 0'),
    (
        told('openat', AT_FDCWD, 0x7000, 0, 0, result=-2, texts=(b'/etc/x',)),
        'openat(AT_FDCWD, "/etc/x", O_RDONLY)    = -1 ENOENT (No such file or directory)',
    ),
    (
        told('openat', AT_FDCWD, 0x7000, 0o101102, 0o644, result=-28, texts=(b'x',)),
        'openat(AT_FDCWD, "x", O_RDWR|O_CREAT|O_TRUNC|O_LARGEFILE, 0644) = -1 ENOSPC (No space left on device)',
    ),
    (
        told('open', 0x7000, 0o2200000, 0, result=3, texts=(b'/',)),
        'open("/", O_RDONLY|O_CLOEXEC|O_DIRECTORY) = 3',
    ),
    (
        told('open', 8, 0, 0, result=-14),
        'open(0x8, O_RDONLY)                     = -1 EFAULT (Bad address)',
    ),
    (told('write', 1, 0x7000, 6, result=6, texts=(b'hello\n',)), 'write(1, "hello\\n", 6)                  = 6'),
    (
        told('read', 3, 0x7000, 832, result=832, texts=(b'\x7fELF\2\1\1' + bytes(825),)),
        'read(3, "\\177ELF\\2\\1\\1' + '\\0' * 25 + '"..., 832) = 832',
    ),
    (told('read', 0, 0x7000, 5, texts=(b'',)), 'read(0, "", 5)                          = 0'),
    (
        told('readlink', 1, 2, 99, result=2, texts=(b'/proc/self/exe', b'/x')),
        'readlink("/proc/self/exe", "/x", 99)    = 2',
    ),
    (told('writev', 1, 0x7FF0, 2, result=12), 'writev(1, 0x7ff0, 2)                    = 12'),
    (
        told('ioctl', 1, 0x5413, 0x7FF0, result=-25),
        'ioctl(1, TIOCGWINSZ, 0x7ff0)            = -1 ENOTTY (Inappropriate ioctl for device)',
    ),
    (told('arch_prctl', 0x1002, 0x40A0), 'arch_prctl(ARCH_SET_FS, 0x40a0)         = 0'),
    (told('arch_prctl', 0x9999, 0), 'arch_prctl(0x9999 /* ARCH_??? */, NULL) = 0'),
    (told('lseek', 3, -4 & (1 << 64) - 1, 2, result=7), 'lseek(3, -4, SEEK_END)                  = 7'),
    (told('tgkill', 1, 1, 6), 'tgkill(1, 1, SIGABRT)                   = 0'),
    (told('access', 1, 0, result=0, texts=(b'/',)), 'access("/", F_OK)                       = 0'),
    (told('access', 1, 6, result=0, texts=(b'/',)), 'access("/", R_OK|W_OK)                  = 0'),
    (told('futex', 0x10, 129, 1, 0, 0, 0), 'futex(0x10, FUTEX_WAKE_PRIVATE, 1)      = 0'),
    (told('umask', 0o22, result=0o22), 'umask(022)                              = 022'),
    (told('getrandom', 1, 8, 1, result=2, texts=(b'\x001',)), 'getrandom("\\0001", 8, GRND_NONBLOCK)    = 2'),
    (
        told('clone', 0x4111, 0, 0, 0, 0, result=-38),
        'clone(CLONE_VM|CLONE_VFORK|SIGCHLD, NULL, NULL, NULL, NULL) = -1 ENOSYS (Function not implemented)',
    ),
    (told('getpid', result=1), 'getpid()                                = 1'),
    (told('exit_group', 3), 'exit_group(3)                           = ?'),
    (told('newfstatat', 1, 0, 0x7FF0, 0x1000, texts=(b'',)), 'newfstatat(1, "", 0x7ff0, AT_EMPTY_PATH) = 0'),
    (told('madvise', 0x7000, 4096, 4), 'madvise(0x7000, 4096, MADV_DONTNEED)    = 0'),
    (told('mremap', 0x7000, 1, 2, 1, 0, result=0x9000), 'mremap(0x7000, 1, 2, MREMAP_MAYMOVE)    = 0x9000'),
    (told('rt_sigprocmask', 2, 0, 0, 8), 'rt_sigprocmask(SIG_SETMASK, NULL, NULL, 8) = 0'),
    (told('prlimit64', 0, 3, 0, 0x7FF0), 'prlimit64(0, RLIMIT_STACK, NULL, 0x7ff0) = 0'),
    (told('fcntl', 1, 1030, 5, result=5), 'fcntl(1, F_DUPFD_CLOEXEC, 5)            = 5'),
    (told('fcntl', 1, 2, 1), 'fcntl(1, F_SETFD, FD_CLOEXEC)           = 0'),
    (told('fcntl', 1, 3, 5, result=1), 'fcntl(1, F_GETFL)                       = 1'),
    (
        told('ioctl', 1, 0x9999, 8, result=-25),
        'ioctl(1, _IOC(_IOC_NONE, 0x99, 0x99, 0), 0x8) = -1 ENOTTY (Inappropriate ioctl for device)',
    ),
    (told('kill', 999, 34, result=-3), 'kill(999, SIGRT_2)                      = -1 ESRCH (No such process)'),
    (told('mkdir', 1, 0o755, texts=(b'/',)), 'mkdir("/", 0755)                        = 0'),
    (told('set_tid_address', 0, result=1), 'set_tid_address(0)                      = 1'),
    (told('rseq', 8, 32, 0, 1), 'rseq(0x8, 0x20, 0, 0x1)                 = 0'),
    (
        told('mmap', 0, 4096, 99, 0x200_4002, 3, 4096, result=-19),
        'mmap(NULL, 4096, PROT_READ|PROT_WRITE|0x60, MAP_PRIVATE|MAP_NORESERVE|0x2000000, 3, 0x1000) '
        '= -1 ENODEV (No such device)',
    ),
    (told('dup', 1, result=-4000), 'dup(1)                                  = -1 (errno 4000)'),
]


@pytest.mark.parametrize(
    ('record', 'line'), LINES, ids=lambda part: part.partition('(')[0] if isinstance(part, str) else ''
)
def test_a_line(record: Told, line: str) -> None:
    assert call_line(record) == line


def test_calls_without_a_name() -> None:
    assert call_line(Told(RECORD_CALL, 1, 9999, (1, 0, 0, 0, 0, 10), -38, b'')) == (
        'syscall_0x270f(0x1, 0, 0, 0, 0, 0xa)    = -1 ENOSYS (Function not implemented)'
    )
    line = call_line(Told(RECORD_CALL, 1, (1 << 64) - 1, (0,) * 6, -38, b''))
    assert line.startswith('syscall_0xffffffffffffffff(')


def test_a_long_path_has_dots_where_the_record_ends() -> None:
    line = call_line(told('chdir', 1, texts=(b'p' * 300,)))
    assert line == f'chdir("{"p" * RECORD_TEXT_BYTES}"...) = 0'


def test_a_bad_pointer_before_a_good_one() -> None:
    text = struct.pack('<II', BAD_TEXT, 1) + b'x'
    assert call_line(Told(RECORD_CALL, 1, NUMBERS['rename'], (8, 16, 0, 0, 0, 0), -14, text)) == (
        'rename(0x8, "x")                        = -1 EFAULT (Bad address)'
    )


@pytest.mark.parametrize(
    ('data', 'text'),
    [
        (b'\t\n\v\f\r"\\', r'"\t\n\v\f\r\"\\"'),
        (b'\0\x01\x07\x1b\x7f\xff', r'"\0\1\7\33\177\377"'),
        (b'\x000', r'"\0000"'),
        (b'\x00a', r'"\0a"'),
        (b'\x01\xb2', r'"\1\262"'),
    ],
)
def test_escapes(data: bytes, text: str) -> None:
    assert quoted(data) == text


def test_ends() -> None:
    assert end_line(Told(RECORD_END, 1, 0, (3, 0, 0, 0, 0, 0), 0, b'')) == '+++ exited with 3 +++'
    assert end_line(Told(RECORD_END, 1, 1, (11, 0, 0, 0, 0, 0), 0, b'')) == '+++ killed by SIGSEGV +++'


def test_lines_say_whose_they_are_while_there_is_more_than_one_program() -> None:
    def made(task: int, name: str, result: int = 0) -> Told:
        return Told(RECORD_CALL, task, NUMBERS[name], (0,) * 6, result, b'')

    def ended(task: int) -> Told:
        return Told(RECORD_END, task, 0, (0,) * 6, 0, b'')

    trace = Trace()
    told_of = [
        made(2, 'getpid', 2),
        made(2, 'fork', -11),
        made(2, 'getpid', 2),
        made(2, 'fork', 3),
        made(2, 'getpid', 2),
        made(3, 'getpid', 3),
        ended(3),
        made(2, 'getpid', 2),
        ended(2),
    ]
    whose = [line[:11] for line in map(trace.line, told_of)]
    assert whose == [
        'getpid()   ',
        'fork()     ',
        'getpid()   ',
        'fork()     ',
        '[pid     2]',
        '[pid     3]',
        '[pid     3]',
        'getpid()   ',
        '+++ exited ',
    ]


def test_the_table_has_the_numbers_of_the_system() -> None:
    """Where the system's header is; the names are as many as it has, or more."""
    calls = dict(line.split()[1:3] for line in HEADER.read_text().splitlines() if line.startswith('#define __NR_'))
    assert {name: NUMBERS.get(name.removeprefix('__NR_')) for name in calls} == {k: int(v) for k, v in calls.items()}


def test_the_kernel_tells_the_texts_that_the_table_names() -> None:
    kinds = {'path': shapes.PATH, 'in': shapes.INPUT, 'out': shapes.OUTPUT}
    for number, call in SYSTEM_CALLS.items():
        wanted = sum(kinds.get(kind, 0) << shapes.BITS * index for index, kind in enumerate(call.kinds))
        assert shapes.shape_of(number) == wanted, call


def test_each_kind_has_a_printer() -> None:
    kinds = {kind for call in SYSTEM_CALLS.values() for kind in call.kinds}
    assert kinds <= set(PRINTERS)
    for call in SYSTEM_CALLS.values():
        assert len(call.kinds) <= NR_ARGUMENTS
    for kind in kinds:
        for value in (0, 1, 0x7FFF_FFFF, 0xFFFF_FFFF, (1 << 64) - 1, 0xDEAD_BEEF_0000):
            assert PRINTERS[kind](value)
