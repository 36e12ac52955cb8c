"""A program of the host in ring 3: what is asked of a run, and how it ended, in whichever place it happens.

A program ends by itself or by a signal, and the kernel puts a record about it. Everything else is trouble of the kernel
or of the place: a panic, a triple fault, time that is over.
"""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from incroos.kernel.layout import PAGE_BYTES
from incroos.kernel.state.records import (
    RECORD_CALL,
    RECORD_CHECK,
    RECORD_END,
    RECORD_STATISTICS,
)
from incroos.kernel.state.run_info import NO_LIMIT, PUT_CALLS
from incroos.kernel.state.task import FIRST_NUMBER

from . import elf_check
from .boot import Look, Sink, say_nothing
from .channels import Input, drop
from .ending import Ending, ending_of
from .free_memory import free_bytes
from .guest_ram import low_bytes
from .handover import DEFAULT_SEED, DEFAULT_STACK_BYTES, DEFAULT_START_SECONDS, Standard, Start, module_of, module_start
from .names import NamedConfig, named_kernel
from .outcome import Outcome, Say, Status, Unusable
from .records import Decoder, Told, statistics_in
from .root_folder import folder_with, program_alone, resolve

DEFAULT_MEMORY_BYTES: Final = 64 << 20
FILLED: Final = 4096 // 8  # of so many bytes of RAM the kernel fills one when it starts: a word for each frame
TIME_OVER: Final = 124  # exit statuses of a run that did not end as programs do; timeout(1) and env(1) have the same
TROUBLE: Final = 125
PIPE: Final = Standard(mode=0o010600)  # what stands behind a descriptor if nobody says otherwise

# What ring 3 is told by CPUID is the same in all places: the model that Unicorn has by itself, with pages of 1 GiB, by
# which the kernels map the same in the same way.
SAME_PROCESSOR: Final = 'Haswell,+pdpe1gb,-avx,-avx2,-fma,-f16c,-hle,-rtm,-pcid,-x2apic,-tsc-deadline,-invpcid'
ALL_FEATURES: Final = 'max'


@dataclass(frozen=True)
class Program:
    """A run that is wanted. Each place reads what concerns it."""

    path: str  # of the host; with `root`, in it
    arguments: Sequence[bytes] = ()  # behind its name
    environment: Sequence[bytes] = ()  # NAME=VALUE
    root: Path | None = None
    memory_bytes: int = DEFAULT_MEMORY_BYTES
    seconds: float | None = None  # until it is stopped
    input: Input = b''  # a descriptor, read when the program reads; or what there is to read
    output: Sink = drop
    errors: Sink = drop  # the same object as `output` if both are one file, so that the order is kept
    console: Sink = drop  # what the kernel itself has to say
    calls: Callable[[Told], object] | None = None  # gets each system call as it ends
    on_record: Callable[[Told], object] | None = None  # gets the other records as they come
    say: Say = say_nothing  # gets remarks about what was asked for,
    progress: Say = say_nothing  # and about what takes time
    look: Look | None = None  # gets the RAM when the machine has ended
    standard: Sequence[Standard] = (PIPE, PIPE, PIPE)  # what the program is told of its descriptors
    flags: int = 0  # RunInfo.flags; PUT_CALLS follows from `calls`
    rows: int = 0  # of the terminal; 0: nobody knows
    columns: int = 0
    limit_address_space: int = NO_LIMIT
    limit_data: int = NO_LIMIT
    limit_stack: int = DEFAULT_STACK_BYTES
    seed: int = DEFAULT_SEED
    start_seconds: int = DEFAULT_START_SECONDS
    refuse_at: int = 0
    config: NamedConfig = field(default_factory=lambda: named_kernel('modern'))
    is_checked: bool = False
    processor: str = SAME_PROCESSOR  # QEMU's
    extra: tuple[str, ...] = ()  # options of QEMU, as -icount

    def check(self) -> None:
        """Raise Unusable if the program is none that runs here, or the memory more than can be had."""
        if self.root is None:
            elf_check.check_program(self.path, self.path)
        elif not self.root.is_dir():
            raise Unusable(f'{self.root} is no folder: name one with --root')
        else:
            found = resolve(os.fsencode(self.root), os.fsencode(self.path))
            elf_check.check_program(os.path.join(self.root, os.fsdecode(found)), f'{self.path} in {self.root}')
        filled, free = self.memory_bytes // FILLED, free_bytes()
        if free is not None and filled > free:
            raise Unusable(
                f'of so much memory the kernel fills {filled >> 20:,}M by itself, and {free >> 20:,}M are free: '
                'ask for less with --memory'
            )

    def module(self) -> bytes:
        """What the kernel is handed over. Raises Unusable."""
        if self.root is None:
            heads = 2 * PAGE_BYTES  # the module's own and the archive's
            module_start(self.memory_bytes, heads + os.path.getsize(self.path))  # before it is read
            entries = program_alone(Path(self.path))
        else:
            entries = folder_with(self.path, self.root, low_bytes(self.memory_bytes), self.say)
        module = module_of(self.start(), entries)
        module_start(self.memory_bytes, len(module))  # refuses one that is too large
        return module

    def start(self) -> Start:
        """How it begins."""
        return Start(
            arguments=[os.fsencode(self.path), *self.arguments],
            environment=self.environment,
            flags=self.flags | (PUT_CALLS if self.calls else 0),
            limit_address_space=self.limit_address_space,
            limit_data=self.limit_data,
            limit_stack=self.limit_stack,
            seed=self.seed,
            start_seconds=self.start_seconds,
            refuse_at=self.refuse_at,
            rows=self.rows,
            columns=self.columns,
            standard=self.standard,
        )


@dataclass(frozen=True)
class Ran:
    """How a run ended."""

    ending: Ending | None  # of the program; None: it did not come to that
    machine: Outcome  # of the computer; its remark says what went wrong
    records: Sequence[Told]  # without system calls, if somebody else took them

    @property
    def exit_status(self) -> int:
        """Of `incroos run`."""
        if self.machine.status == Status.HANG:
            return TIME_OVER
        if self.ending is None or self.machine.status != Status.PASSED:
            return TROUBLE
        return self.ending.exit_status

    @property
    def sentence(self) -> str:
        """What there is to say about the end; nothing about a program that ended by itself."""
        if self.machine.status != Status.PASSED:
            return self.machine.remark
        if self.ending is None:
            return 'the kernel ended without a word about the program'
        return self.ending.sentence()

    @property
    def statistics(self) -> dict[str, int]:
        """The figures that the kernel left in the end; none where it did not get so far."""
        found = [record for record in self.records if record.kind == RECORD_STATISTICS]
        return statistics_in(found[-1]) if found else {}


class Recorder:
    """Takes records as they come, and hands on what is to be handed on."""

    def __init__(self, wanted: Program) -> None:
        self._wanted = wanted
        self.records: list[Told] = []
        self.ending: Ending | None = None

    def __call__(self, record: Told) -> None:
        if record.kind == RECORD_CALL and self._wanted.calls:
            self._wanted.calls(record)
            return
        self.records.append(record)
        if record.kind == RECORD_END and record.task in (0, FIRST_NUMBER):  # 0: it was not started
            self.ending = ending_of(record)
        if self._wanted.on_record:
            self._wanted.on_record(record)

    def ran(self, machine: Outcome) -> Ran:
        """The end, with what the checkers of the kernel found."""
        for record in self.records:
            if record.kind == RECORD_CHECK and any(record.words[:3]) and machine.status == Status.PASSED:
                checker, answer, lost = record.words[:3]
                what = f'checker {checker} found {answer:#x}' if checker else f'{lost} frames are lost'
                machine = Outcome(Status.PANIC, f'the program has ended, and the kernel is not as it was: {what}')
        return Ran(self.ending, machine, self.records)


class RecordSink:
    """Decodes what comes on the channel of records."""

    def __init__(self, recorder: Recorder) -> None:
        self._decoder, self._recorder = Decoder(), recorder

    def __call__(self, data: bytes) -> None:
        for record in self._decoder.feed(data):
            self._recorder(record)


def time_is_over(seconds: float) -> Outcome:
    """The outcome of a program that was ended from outside."""
    return Outcome(Status.HANG, f'the program had not ended after {seconds:g} s and was stopped')
