"""How a program ended, in words: by itself, or by a signal, and then what it did, where, and what lies there."""

import errno
import os
import signal
import struct
from dataclasses import dataclass
from typing import Final

from incroos.kernel.state.user_space import EXECUTE, READ, WRITE
from incroos.lang.words import unsigned

from .records import Told
from .status import Status

ENDED_BY_SIGNAL: Final = 1  # Record.number
NOT_STARTED: Final = 2
BY_SIGNAL: Final = 128  # of exit statuses: this and the signal's number

PAGE_FAULT: Final = 14
ERROR_WRITE: Final = 1 << 1  # of a page fault's error code
ERROR_FETCH: Final = 1 << 4

# By vector: what a program did. Intel: Software Developer's Manual, volume 3, "Exception and interrupt reference".
DEEDS: Final = {
    0: 'it divided by zero, or the quotient was too large',
    1: 'it was stepped, and nobody debugs it',
    3: 'it met a breakpoint, and nobody debugs it',
    4: 'it asked for the trap of an overflow',
    5: 'an index was out of the bounds that it gave',
    6: 'this is no instruction of the processor',
    11: 'it loaded the selector of a segment that is not there',
    12: 'it reached for an address of the stack that no processor has',
    13: 'the instruction is privileged, or its address is one that no processor has',
    16: 'a floating-point exception of the x87 that it does not mask',
    17: 'the address is not aligned, and it asked for the check',
    19: 'a floating-point exception of SSE that it does not mask',
}


@dataclass(frozen=True)
class Fault:
    """The fault that a signal stands for."""

    address: int
    vector: int
    error: int
    instruction: int
    range_start: int  # the range round the address; start and end 0: there is none
    range_end: int
    rights: int  # of the range, as mmap counts


@dataclass(frozen=True)
class Ending:
    """How a program ended: a status, or a signal and perhaps its fault; or why it was not started."""

    status: int = 0
    signal: int = 0
    fault: Fault | None = None
    refusal: int = 0  # Linux's error number

    @property
    def exit_status(self) -> int:
        """As a shell would give it."""
        if self.refusal:
            return Status.UNUSABLE
        return BY_SIGNAL + self.signal if self.signal else self.status

    def sentence(self) -> str:
        """What to say about a signal or a refusal; nothing about a program that ended by itself."""
        if self.refusal:
            name = errno.errorcode.get(self.refusal, f'errno {self.refusal}')
            return f'the kernel does not start the program: {os.strerror(self.refusal)} ({name})'
        if not self.signal:
            return ''
        name = signal_name(self.signal)
        if self.fault is None:
            return f'{name} ended the program'
        return f'{name} ended the program: {deed_of(self.fault, self.signal)}, at {self.fault.instruction:#x}'


def ending_of(record: Told) -> Ending:
    """What RECORD_END tells."""
    number, address, vector, error, instruction, start = record.words
    if record.number == NOT_STARTED:
        return Ending(refusal=number)
    if record.number != ENDED_BY_SIGNAL:
        return Ending(status=number & 0xFF)
    if not vector and not instruction:
        return Ending(signal=number)
    (rights,) = struct.unpack_from('<I', record.text.ljust(4, b'\0'))
    end = unsigned(record.result)
    return Ending(signal=number, fault=Fault(address, vector, error, instruction, start, end, rights))


def signal_name(number: int) -> str:
    """A signal's name."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f'signal {number}'


def deed_of(fault: Fault, number: int) -> str:
    """What the program did."""
    if fault.vector != PAGE_FAULT:
        return DEEDS.get(fault.vector, f'exception {fault.vector} with error code {fault.error:#x}')
    if fault.error & ERROR_FETCH:
        deed, needed, wanted = 'executed', EXECUTE, 'may not be executed'
    elif fault.error & ERROR_WRITE:
        deed, needed, wanted = 'wrote to', WRITE, 'may not be written'
    else:
        deed, needed, wanted = 'read', READ, 'may not be read'
    where = f'it {deed} {fault.address:#x}'
    if not fault.range_end:
        return f'{where}, where nothing is mapped'
    place = f'in the range {fault.range_start:#x}-{fault.range_end:#x} {rights_text(fault.rights)}'
    if number == signal.SIGKILL:
        return f'{where}, {place}, and no memory was left for the page'
    if number == signal.SIGBUS:
        return f'{where}, {place}, behind the end of its file'
    return f'{where}, {place}' + ('' if fault.rights & needed else f', which {wanted}')


def rights_text(rights: int) -> str:
    """As /proc/self/maps shows them."""
    return ''.join(letter if rights & bit else '-' for letter, bit in (('r', READ), ('w', WRITE), ('x', EXECUTE)))
