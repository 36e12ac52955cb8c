"""What the host hands over with a program: the head of the first module.

    module      page-aligned; its frames are reserved before the first is handed out
    + 0         RunInfo
    + strings   arguments, then the environment, each with a zero byte behind it
    + archive   the files, as cpio ("newc"); contents begin at multiples of a page. Its first file is the program

Unit: the byte; offsets count from the module's start. Fields of flags that nobody has named are 0.
"""

from typing import Annotated, Final

from incroos.lang import Array, Struct, u32, u64

RUN_MAGIC: Final = 0x314E_5552_534F_5243  # "CROSRUN1"
NR_STANDARD_FILES: Final = 3

# RunInfo.flags
PUT_CALLS: Final = 1 << 0  # a record for each system call
CHECK_IN_THE_END: Final = 1 << 1  # run all checkers when the program has ended, and put a record
CLOCK_IS_TSC: Final = 1 << 2  # clocks count the time stamp counter, one a nanosecond, and not virtual time
INTERACTIVE: Final = 1 << 3  # descriptors 0, 1 and 2 are a terminal, and somebody types
ON_PC: Final = 1 << 4  # nobody listens to the channels (devices/channels.py): descriptors 0, 1 and 2 are the console

NO_LIMIT: Final = -1


class StandardFile(Struct):
    """What stands behind descriptor 0, 1 or 2 on the host."""

    mode: u32  # st_mode; 0: the descriptor is closed
    is_terminal: u32
    rdev: u64  # st_rdev


class RunInfo(Struct):
    """The head."""

    magic: u64
    flags: u64
    strings: u64  # offset
    strings_bytes: u64
    nr_arguments: u64  # the first is argv[0]
    nr_environment: u64
    archive: u64  # offset, a multiple of a page
    archive_bytes: u64
    limit_address_space: u64  # in bytes, as RLIMIT_AS, or NO_LIMIT
    limit_data: u64
    limit_stack: u64
    seed: u64  # of AT_RANDOM and getrandom
    start_seconds: u64  # since 1970: when the program begins
    refuse_at: u64  # with config.fault_injection: which frame that is asked for after the start is refused; 0: none
    rows: u64  # of the terminal; 0: nobody said
    columns: u64
    sum: u64  # with ON_PC: of the module's words of 32 bits, those of this field left out
    files: Annotated[Array[StandardFile], NR_STANDARD_FILES]
