"""Records: what the kernel tells the host about a program, on a channel of its own."""

from typing import Final

from incroos.lang import Struct, u64

# Record.kind; what the words mean
RECORD_CALL: Final = 1  # number: of the call; a to f: arguments; result. text: for each argument that is a text or a
# buffer, in order, its length as u32 and its bytes, at most RECORD_TEXT_BYTES
RECORD_END: Final = 2  # number: 0 exited, 1 ended by a signal, 2 not started; a: status, signal or Linux's errno; for
# a fault b: address (or 0), c: vector, d: error code, e: instruction, f: start of the range round the address; result:
# its end; text: u32 rights
RECORD_UNKNOWN_CALL: Final = 3  # number: of a call that is not there; once each
RECORD_CHECK: Final = 4  # a: 0 or the first checker that found something, b: its answer; c: frames lost
RECORD_STATISTICS: Final = 5  # text: u64 words, in the order of STATISTICS_NAMES in run/records.py

RECORD_REMARK: Final = 6  # number: one of REMARK_; a: its word

REMARK_WAITS_FOR_EVER: Final = 1  # call a would wait, and nothing can end that: the program ends by SIGKILL
NO_CALL: Final = -1  # the same, of tasks that are all stopped: none waits in a call

RECORD_TEXT_BYTES: Final = 64  # of one argument
# Which arguments are texts: kinds path, in and out in run/system_calls.py. The length is the whole one; of `out` what
# the call gave. BAD_TEXT, without bytes: the pointer is bad, or the call failed and filled nothing.
BAD_TEXT: Final = 0xFFFF_FFFF


class Record(Struct):
    """The head of a record; nbytes of text follow."""

    kind: u64
    task: u64
    number: u64
    a: u64
    b: u64
    c: u64
    d: u64
    e: u64
    f: u64
    result: u64
    nbytes: u64
    reserved: u64
