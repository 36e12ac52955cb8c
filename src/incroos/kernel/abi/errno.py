"""Error numbers of Linux, and what the kernel's codes become."""

from typing import Final

from incroos.kernel import codes
from incroos.lang import cold, kernel, word

EPERM: Final = 1
ENOENT: Final = 2
ESRCH: Final = 3
EIO: Final = 5
ENXIO: Final = 6
E2BIG: Final = 7
ENOEXEC: Final = 8
EBADF: Final = 9
ECHILD: Final = 10
EAGAIN: Final = 11
ENOMEM: Final = 12
EACCES: Final = 13
EFAULT: Final = 14
EBUSY: Final = 16
EEXIST: Final = 17
ENODEV: Final = 19
ENOTDIR: Final = 20
EISDIR: Final = 21
EINVAL: Final = 22
ENFILE: Final = 23
EMFILE: Final = 24
ENOTTY: Final = 25
ETXTBSY: Final = 26
EFBIG: Final = 27
ENOSPC: Final = 28
ESPIPE: Final = 29
EPIPE: Final = 32
ERANGE: Final = 34
ENAMETOOLONG: Final = 36
ENOSYS: Final = 38
ENOTEMPTY: Final = 39
ELOOP: Final = 40
ENOTSOCK: Final = 88
EOVERFLOW: Final = 75
EOPNOTSUPP: Final = 95
EAFNOSUPPORT: Final = 97
ETIMEDOUT: Final = 110


@kernel
def result_of(code: word) -> word:
    """What a call answers: the number or OK that it has, or Linux's number for a code of kernel/codes.py."""
    return code if code >= 0 else -number_of(code)


@cold
@kernel
def number_of(code: word) -> word:
    """Linux's number for a code."""
    match code:
        case codes.NO_ROOM | codes.NO_FRAME | codes.NOT_COVERED | codes.NO_KERNEL_MEMORY:
            return ENOMEM
        case codes.NO_TASK:
            return ESRCH
        case codes.TOO_MANY_TASKS:
            return EAGAIN
        case codes.NO_ACCESS | codes.NO_PERMISSION:
            return EACCES
        case codes.TOO_LOW:
            return EPERM
        case codes.EXISTS:
            return EEXIST
        case codes.BAD_POINTER:
            return EFAULT
        case codes.NO_ENTRY:
            return ENOENT
        case codes.NOT_FOLDER:
            return ENOTDIR
        case codes.IS_FOLDER:
            return EISDIR
        case codes.TOO_MANY_LINKS:
            return ELOOP
        case codes.NAME_TOO_LONG | codes.TOO_LONG:
            return ENAMETOOLONG
        case codes.NO_SPACE:
            return ENOSPC
        case codes.NOT_EMPTY:
            return ENOTEMPTY
        case codes.FILE_BUSY:
            return ETXTBSY
        case codes.IN_USE:
            return EBUSY
        case codes.NOT_ALLOWED:
            return EPERM
        case codes.NOT_SUPPORTED:
            return EOPNOTSUPP
        case codes.FILE_TOO_LARGE | codes.OVER_LIMIT:
            return EFBIG
        case codes.BAD_DESCRIPTOR:
            return EBADF
        case codes.NO_DESCRIPTOR:
            return EMFILE
        case codes.NO_POSITION:
            return ESPIPE
        case codes.BAD_PROGRAM:
            return ENOEXEC
        case codes.NO_DEVICE:
            return ENXIO
        case codes.TOO_MUCH_TEXT:
            return E2BIG
        case codes.WOULD_WAIT:
            return EAGAIN
        case codes.BROKEN_PIPE:
            return EPIPE
        case codes.TOO_MANY_FILES:
            return ENFILE
        case codes.INPUT_FAILED:
            return EIO
        case _:
            return EINVAL
