"""System calls as strace(1) prints them: names of flags, quoted strings, names of errors.

What strace learns by looking at a program's memory, such as structs, is here an address: a record has bytes of texts
and buffers only. Numbers of flags are facts of Linux's ABI for x86-64.
"""

import errno
import os
import signal
from collections.abc import Callable, Iterator, Sequence
from typing import Final

from incroos.kernel.state.records import BAD_TEXT, RECORD_END
from incroos.lang.words import signed, unsigned

from .ending import ending_of
from .records import Told
from .system_calls import TEXTS, SystemCall, system_call

SHOWN_BYTES: Final = 32  # of a buffer; the rest is three dots
RESULT_COLUMN: Final = 40
MOST_ERRNO: Final = 4095
INT_MASK: Final = (1 << 32) - 1
AT_FDCWD: Final = -100
O_CREAT: Final = 0o100
O_TMPFILE: Final = 0o20200000
NO_RETURN: Final = ('exit', 'exit_group')
MAKING: Final = ('fork', 'vfork', 'clone')
ADDRESS_RESULTS: Final = ('brk', 'mmap', 'mremap', 'shmat')
ESCAPES: Final = {9: '\\t', 10: '\\n', 11: '\\v', 12: '\\f', 13: '\\r', 34: '\\"', 92: '\\\\'}

Names = dict[int, str]


def named(text: str) -> Names:
    """`NAME=number` pairs by number."""
    pairs = (pair.split('=') for pair in text.split())
    return {int(number, 0): name for name, number in pairs}


# ------------------------------------------------------------------ flags: bits by name, and what is said of none
PROT: Final = named('PROT_READ=1 PROT_WRITE=2 PROT_EXEC=4 PROT_GROWSDOWN=0x1000000 PROT_GROWSUP=0x2000000')
MAP: Final = named(
    'MAP_SHARED=1 MAP_PRIVATE=2 MAP_FIXED=0x10 MAP_ANONYMOUS=0x20 MAP_32BIT=0x40 MAP_GROWSDOWN=0x100 '
    'MAP_DENYWRITE=0x800 MAP_EXECUTABLE=0x1000 MAP_LOCKED=0x2000 MAP_NORESERVE=0x4000 MAP_POPULATE=0x8000 '
    'MAP_NONBLOCK=0x10000 MAP_STACK=0x20000 MAP_HUGETLB=0x40000 MAP_SYNC=0x80000 MAP_FIXED_NOREPLACE=0x100000'
)
MREMAP: Final = named('MREMAP_MAYMOVE=1 MREMAP_FIXED=2 MREMAP_DONTUNMAP=4')
MSYNC: Final = named('MS_ASYNC=1 MS_INVALIDATE=2 MS_SYNC=4')
OPEN: Final = named(
    'O_CREAT=0o100 O_EXCL=0o200 O_NOCTTY=0o400 O_TRUNC=0o1000 O_APPEND=0o2000 O_NONBLOCK=0o4000 O_SYNC=0o4010000 '
    'O_DSYNC=0o10000 O_ASYNC=0o20000 O_DIRECT=0o40000 O_LARGEFILE=0o100000 O_NOFOLLOW=0o400000 O_NOATIME=0o1000000 '
    'O_CLOEXEC=0o2000000 O_PATH=0o10000000 O_TMPFILE=0o20200000 O_DIRECTORY=0o200000'
)
AT: Final = named(
    'AT_SYMLINK_NOFOLLOW=0x100 AT_REMOVEDIR=0x200 AT_SYMLINK_FOLLOW=0x400 AT_NO_AUTOMOUNT=0x800 AT_EMPTY_PATH=0x1000'
)
ACCESS: Final = named('R_OK=4 W_OK=2 X_OK=1')
CLONE: Final = named(
    'CLONE_VM=0x100 CLONE_FS=0x200 CLONE_FILES=0x400 CLONE_SIGHAND=0x800 CLONE_PIDFD=0x1000 CLONE_PTRACE=0x2000 '
    'CLONE_VFORK=0x4000 CLONE_PARENT=0x8000 CLONE_THREAD=0x10000 CLONE_NEWNS=0x20000 CLONE_SYSVSEM=0x40000 '
    'CLONE_SETTLS=0x80000 CLONE_PARENT_SETTID=0x100000 CLONE_CHILD_CLEARTID=0x200000 CLONE_DETACHED=0x400000 '
    'CLONE_UNTRACED=0x800000 CLONE_CHILD_SETTID=0x1000000'
)
RANDOM: Final = named('GRND_NONBLOCK=1 GRND_RANDOM=2 GRND_INSECURE=4')
WAIT: Final = named(
    'WNOHANG=1 WUNTRACED=2 WEXITED=4 WCONTINUED=8 WNOWAIT=0x1000000 __WALL=0x40000000 __WCLONE=-0x80000000'
)

# ------------------------------------------------------------------ names of values
WHENCE: Final = named('SEEK_SET=0 SEEK_CUR=1 SEEK_END=2 SEEK_DATA=3 SEEK_HOLE=4')
HOW: Final = named('SIG_BLOCK=0 SIG_UNBLOCK=1 SIG_SETMASK=2')
ARCH: Final = named('ARCH_SET_GS=0x1001 ARCH_SET_FS=0x1002 ARCH_GET_FS=0x1003 ARCH_GET_GS=0x1004')
FCNTL: Final = named(
    'F_DUPFD=0 F_GETFD=1 F_SETFD=2 F_GETFL=3 F_SETFL=4 F_GETLK=5 F_SETLK=6 F_SETLKW=7 F_SETOWN=8 F_GETOWN=9 '
    'F_DUPFD_CLOEXEC=1030 F_SETPIPE_SZ=1031 F_GETPIPE_SZ=1032'
)
IOCTL: Final = named(
    'TCGETS=0x5401 TCSETS=0x5402 TCSETSW=0x5403 TCSETSF=0x5404 TIOCGPGRP=0x540F TIOCSPGRP=0x5410 TIOCGWINSZ=0x5413 '
    'TIOCSWINSZ=0x5414 FIONREAD=0x541B FIONBIO=0x5421 TIOCGSID=0x5429 FIONCLEX=0x5450 FIOCLEX=0x5451'
)
FUTEX: Final = named(
    'FUTEX_WAIT=0 FUTEX_WAKE=1 FUTEX_REQUEUE=3 FUTEX_CMP_REQUEUE=4 FUTEX_WAKE_OP=5 FUTEX_LOCK_PI=6 FUTEX_UNLOCK_PI=7 '
    'FUTEX_TRYLOCK_PI=8 FUTEX_WAIT_BITSET=9 FUTEX_WAKE_BITSET=10'
)
FUTEX_PRIVATE: Final = 128
FUTEX_REALTIME: Final = 256
ADVICE: Final = named(
    'MADV_NORMAL=0 MADV_RANDOM=1 MADV_SEQUENTIAL=2 MADV_WILLNEED=3 MADV_DONTNEED=4 MADV_FREE=8 MADV_REMOVE=9 '
    'MADV_DONTFORK=10 MADV_DOFORK=11 MADV_MERGEABLE=12 MADV_UNMERGEABLE=13 MADV_HUGEPAGE=14 MADV_NOHUGEPAGE=15 '
    'MADV_DONTDUMP=16 MADV_DODUMP=17 MADV_WIPEONFORK=18 MADV_KEEPONFORK=19 MADV_COLD=20 MADV_PAGEOUT=21'
)
FUTEX_ARGUMENTS: Final = {0: 4, 1: 3}
FCNTL_ARGUMENTS: Final = {0: ('d',), 1: (), 2: ('descriptor',), 3: (), 4: ('open',), 9: (), 1030: ('d',), 1032: ()}
MREMAP_FIXED: Final = 2
RESOURCE: Final = named(
    'RLIMIT_CPU=0 RLIMIT_FSIZE=1 RLIMIT_DATA=2 RLIMIT_STACK=3 RLIMIT_CORE=4 RLIMIT_RSS=5 RLIMIT_NPROC=6 '
    'RLIMIT_NOFILE=7 RLIMIT_MEMLOCK=8 RLIMIT_AS=9 RLIMIT_LOCKS=10 RLIMIT_SIGPENDING=11 RLIMIT_MSGQUEUE=12 '
    'RLIMIT_NICE=13 RLIMIT_RTPRIO=14 RLIMIT_RTTIME=15'
)
CLOCK: Final = named(
    'CLOCK_REALTIME=0 CLOCK_MONOTONIC=1 CLOCK_PROCESS_CPUTIME_ID=2 CLOCK_THREAD_CPUTIME_ID=3 CLOCK_MONOTONIC_RAW=4 '
    'CLOCK_REALTIME_COARSE=5 CLOCK_MONOTONIC_COARSE=6 CLOCK_BOOTTIME=7'
)
DESCRIPTOR: Final = named('FD_CLOEXEC=1')
WHO: Final = named('RUSAGE_SELF=0 RUSAGE_CHILDREN=-1 RUSAGE_THREAD=1')


def signed_int(value: int) -> int:
    """The low half of a word, with its sign."""
    value &= INT_MASK
    return value - (1 << 32) if value >> 31 else value


def address(value: int) -> str:
    return f'{unsigned(value):#x}' if value else 'NULL'


def octal(value: int) -> str:
    """As strace prints rights: three digits at least, the first of them 0."""
    return f'0{value & INT_MASK:02o}'


def flags_in(value: int, names: Names, none: str, prefix: str) -> str:
    """The names of the bits, of those of several bits first; what has no name is a number with a remark."""
    value &= INT_MASK
    found = []
    for flag in sorted(names, key=lambda flag: -(flag & INT_MASK).bit_count()):
        if value & flag == flag & INT_MASK:
            found.append(flag)
            value &= ~flag
    texts = [name for flag, name in names.items() if flag in found]
    if value:
        texts.append(f'{value:#x}' if texts else f'{value:#x} /* {prefix}_??? */')
    return '|'.join(texts) or none


def value_name(names: Names, prefix: str) -> Callable[[int], str]:
    """What prints the name of a value."""
    return lambda value: names.get(signed_int(value)) or f'{value & INT_MASK:#x} /* {prefix}_??? */'


def flag_names(names: Names, none: str, prefix: str) -> Callable[[int], str]:
    """What prints the names of bits."""
    return lambda value: flags_in(value, names, none, prefix)


def open_flags(value: int) -> str:
    """How a file is opened: one of three, and bits."""
    access = ('O_RDONLY', 'O_WRONLY', 'O_RDWR', 'O_ACCMODE')[value & 3]
    rest = flags_in(value & ~3, OPEN, '', 'O')
    return f'{access}|{rest}' if rest else access


def map_flags(value: int) -> str:
    """MAP_SHARED and MAP_PRIVATE together are a kind of their own."""
    if value & 3 == 3:
        return '|'.join(filter(None, ('MAP_SHARED_VALIDATE', flags_in(value & ~3, MAP, '', 'MAP'))))
    return flags_in(value, MAP, '0', 'MAP')


def futex_operation(value: int) -> str:
    """The operation, with its two flags as strace writes them."""
    name = FUTEX.get(value & INT_MASK & ~(FUTEX_PRIVATE | FUTEX_REALTIME), f'{value & INT_MASK:#x}')
    private = '_PRIVATE' if value & FUTEX_PRIVATE else ''
    return name + private + ('|FUTEX_CLOCK_REALTIME' if value & FUTEX_REALTIME else '')


def ioctl_request(value: int) -> str:
    """A request by its name, or by what Linux codes in it: direction, letter, number, bytes."""
    value &= INT_MASK
    if value in IOCTL:
        return IOCTL[value]
    direction = ('_IOC_NONE', '_IOC_WRITE', '_IOC_READ', '_IOC_READ|_IOC_WRITE')[value >> 30]
    return f'_IOC({direction}, {value >> 8 & 0xFF:#x}, {value & 0xFF:#x}, {bits(value >> 16 & 0x3FFF)})'


def bits(value: int) -> str:
    return f'{unsigned(value):#x}' if value else '0'


def signal_name(value: int) -> str:
    """A signal's name; 32 to 64 count from SIGRT_0 on."""
    number = signed_int(value)
    if 32 <= number <= 64:
        return f'SIGRT_{number - 32}'
    try:
        return signal.Signals(number).name
    except ValueError:
        return str(number)


def clone_flags(value: int) -> str:
    """Bits, and the signal that tells the parent."""
    ending = signal_name(value & 0xFF) if value & 0xFF else ''
    return '|'.join(filter(None, (flags_in(value & ~0xFF, CLONE, '', 'CLONE'), ending))) or '0'


def folder_descriptor(value: int) -> str:
    return 'AT_FDCWD' if signed_int(value) == AT_FDCWD else str(signed_int(value))


PRINTERS: Final[dict[str, Callable[[int], str]]] = {
    'fd': lambda value: str(signed_int(value)),
    'd': lambda value: str(signed_int(value)),
    'u': lambda value: str(unsigned(value)),
    'l': lambda value: str(signed(value)),
    'x': bits,
    'p': address,
    **dict.fromkeys(TEXTS, address),
    'at': folder_descriptor,
    'mode': octal,
    'sig': signal_name,
    'open': open_flags,
    'map': map_flags,
    'futex': futex_operation,
    'clone': clone_flags,
    'descriptor': flag_names(DESCRIPTOR, '0', 'FD'),
    'prot': flag_names(PROT, 'PROT_NONE', 'PROT'),
    'mremap': flag_names(MREMAP, '0', 'MREMAP'),
    'msync': flag_names(MSYNC, '0', 'MS'),
    'atflags': flag_names(AT, '0', 'AT'),
    'access': flag_names(ACCESS, 'F_OK', '?_OK'),
    'random': flag_names(RANDOM, '0', 'GRND'),
    'wait': flag_names(WAIT, '0', 'W'),
    'whence': value_name(WHENCE, 'SEEK'),
    'how': value_name(HOW, 'SIG'),
    'arch': value_name(ARCH, 'ARCH'),
    'fcntl': value_name(FCNTL, 'F'),
    'ioctl': ioctl_request,
    'advice': value_name(ADVICE, 'MADV'),
    'resource': value_name(RESOURCE, 'RLIMIT'),
    'clock': value_name(CLOCK, 'CLOCK'),
    'who': value_name(WHO, 'RUSAGE'),
}


# ------------------------------------------------------------------ texts
def quoted(data: bytes) -> str:
    """Bytes in double quotes, escaped as strace does: octal as short as what follows allows."""
    return f'"{"".join(escaped(data, index) for index in range(len(data)))}"'


def escaped(data: bytes, index: int) -> str:
    byte = data[index]
    if byte in ESCAPES:
        return ESCAPES[byte]
    if 0x20 <= byte < 0x7F:
        return chr(byte)
    is_before_digit = index + 1 < len(data) and chr(data[index + 1]).isascii() and chr(data[index + 1]).isdigit()
    return f'\\{byte:03o}' if is_before_digit else f'\\{byte:o}'


def text_of(kind: str, nbytes: int, data: bytes) -> str:
    """A path, as much of it as there is, or the first bytes of a buffer; three dots where more follow."""
    shown = data if kind == 'path' else data[:SHOWN_BYTES]
    return quoted(shown) + ('...' if nbytes > len(shown) else '')


# ------------------------------------------------------------------ the call
def call_line(record: Told) -> str:
    """RECORD_CALL as a line, without its end."""
    call = system_call(record.number)
    head = f'{call.name}({", ".join(arguments_of(call, record))})'
    return f'{head:<{RESULT_COLUMN - 1}} = {result_of(call, record.result)}'


def arguments_of(call: SystemCall, record: Told) -> Iterator[str]:
    """Each argument that the call looks at, in words."""
    texts = iter(record.texts())
    words = record.words
    kinds = kinds_of(call, words)
    for kind, value in zip(kinds, words, strict=False):
        nbytes, data = next(texts, (BAD_TEXT, b'')) if kind in TEXTS else (BAD_TEXT, b'')
        yield PRINTERS[kind](value) if nbytes == BAD_TEXT else text_of(kind, nbytes, data)


def kinds_of(call: SystemCall, words: Sequence[int]) -> tuple[str, ...]:
    """The kinds of the arguments; which there are depends, in some calls, on those before."""
    kinds = call.kinds
    if 'open' in kinds[:-1] and kinds[kinds.index('open') + 1] == 'mode':
        flags = words[kinds.index('open')]
        has_mode = flags & O_CREAT or flags & O_TMPFILE == O_TMPFILE
        return kinds if has_mode else kinds[:-1]
    if call.name == 'mremap':
        return kinds if words[3] & MREMAP_FIXED else kinds[:4]
    if call.name == 'futex':
        return kinds[: FUTEX_ARGUMENTS.get(words[1] & ~(FUTEX_PRIVATE | FUTEX_REALTIME), 6)]
    if call.name == 'fcntl':
        return (*kinds[:2], *FCNTL_ARGUMENTS.get(words[1], ('x',)))
    return kinds


def result_of(call: SystemCall, result: int) -> str:
    """What comes back: a number, an address, or an error with its name and meaning."""
    if call.name in NO_RETURN:
        return '?'
    if -MOST_ERRNO <= result < 0:
        name = errno.errorcode.get(-result)
        return f'-1 {name} ({os.strerror(-result)})' if name else f'-1 (errno {-result})'
    if call.name in ADDRESS_RESULTS:
        return f'{unsigned(result):#x}'
    return octal(result) if call.name == 'umask' else str(result)


def end_line(record: Told) -> str:
    """RECORD_END as the line after which a program is no more."""
    ending = ending_of(record)
    if ending.refusal:
        return '+++ not started +++'
    return (
        f'+++ killed by {signal_name(ending.signal)} +++' if ending.signal else f'+++ exited with {ending.status} +++'
    )


# ------------------------------------------------------------------ several programs
class Trace:
    """The lines of a run. While there is more than one program each line says whose it is, as `strace -f` does."""

    def __init__(self) -> None:
        self._live: set[int] = set()

    def line(self, record: Told) -> str:
        """RECORD_CALL or RECORD_END as a line, without its end."""
        self._live.add(record.task)
        whose = f'[pid {record.task:>5}] ' if len(self._live) > 1 else ''
        if record.kind == RECORD_END:
            self._live.discard(record.task)
            return whose + end_line(record)
        if system_call(record.number).name in MAKING and record.result > 0:
            self._live.add(record.result)
        return whose + call_line(record)
