"""The module: what the host hands over with a program, as state/run_info.py lays it out.

A pure function of what it is given, so that it is the same in all places. It lies where QEMU puts an initial RAM disk:
as far up below 4 GiB as the firmware's tables leave room.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from incroos.kernel import layout
from incroos.kernel.state.run_info import NO_LIMIT, NR_STANDARD_FILES, RUN_MAGIC, RunInfo
from incroos.lang import VirtAddr

from ..inspect.ram import RamMachine
from .archive import Entry, archive_of, rounded_up
from .guest_ram import low_bytes
from .outcome import Unusable
from .root_folder import ASK_FOR_MORE

TABLES_BYTES: Final = 0x2_8000  # QEMU's room for ACPI tables below the end of low RAM, less its last byte
DEFAULT_STACK_BYTES: Final = 8 << 20
DEFAULT_SEED: Final = 0x5EED_0F_A11
DEFAULT_START_SECONDS: Final = 1_700_000_000
KERNEL_BYTES: Final = 4 << 20  # behind its own 2 MiB, that the kernel has at least to begin in


@dataclass(frozen=True)
class Standard:
    """What stands behind a standard descriptor of the host; mode 0 is a closed one."""

    mode: int = 0
    is_terminal: bool = False
    rdev: int = 0


@dataclass(frozen=True)
class Start:
    """How a program begins, beside its files."""

    arguments: Sequence[bytes]  # the first is what it is called
    environment: Sequence[bytes] = ()  # NAME=VALUE
    flags: int = 0  # RunInfo.flags
    limit_address_space: int = NO_LIMIT
    limit_data: int = NO_LIMIT
    limit_stack: int = DEFAULT_STACK_BYTES
    seed: int = DEFAULT_SEED
    start_seconds: int = DEFAULT_START_SECONDS
    refuse_at: int = 0
    rows: int = 0  # of the terminal
    columns: int = 0
    standard: Sequence[Standard] = field(default=(Standard(),) * NR_STANDARD_FILES)


def module_of(start: Start, entries: Iterable[Entry]) -> bytes:
    """The module; the first of the entries is the program."""
    strings = b''.join(text + b'\0' for text in (*start.arguments, *start.environment))
    archive_offset = rounded_up(RunInfo.SIZE + len(strings), layout.PAGE_BYTES)
    archive = archive_of(entries)
    with memoryview(bytearray(RunInfo.SIZE)) as head:
        info = RunInfo(RamMachine(head), VirtAddr(0))
        fill(info, start)
        info.strings = RunInfo.SIZE
        info.strings_bytes = len(strings)
        info.archive = archive_offset
        info.archive_bytes = len(archive)
        return b''.join((head, strings.ljust(archive_offset - RunInfo.SIZE, b'\0'), archive))


def fill(info: RunInfo, start: Start) -> None:
    """All of the head but where the rest lies."""
    info.magic = RUN_MAGIC
    info.flags = start.flags
    info.nr_arguments = len(start.arguments)
    info.nr_environment = len(start.environment)
    info.limit_address_space = start.limit_address_space
    info.limit_data = start.limit_data
    info.limit_stack = start.limit_stack
    info.seed = start.seed
    info.start_seconds = start.start_seconds
    info.refuse_at = start.refuse_at
    info.rows = start.rows
    info.columns = start.columns
    for index, standard in enumerate(start.standard):
        file = info.files[index]
        file.mode, file.is_terminal, file.rdev = standard.mode, int(standard.is_terminal), standard.rdev


def module_start(memory_bytes: int, nbytes: int) -> int:
    """Where QEMU's PC puts a module of so many bytes (hw/i386/x86.c). Raises Unusable where it has no room."""
    start = (low_bytes(memory_bytes) - TABLES_BYTES - 1 - nbytes) & -layout.PAGE_BYTES
    if start < layout.KERNEL_STATE_END + KERNEL_BYTES:
        what = f'the program and its files, {nbytes >> 10:,}K, do not fit a memory of {memory_bytes >> 10:,}K'
        raise Unusable(f'{what}: {ASK_FOR_MORE}')
    return start
