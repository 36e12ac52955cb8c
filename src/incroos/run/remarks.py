"""What the kernel tells about a program while it runs, in a sentence."""

from incroos.kernel.state.records import NO_CALL, RECORD_REMARK, RECORD_UNKNOWN_CALL, REMARK_WAITS_FOR_EVER
from incroos.lang.words import unsigned

from .records import Told
from .system_calls import system_call


def remark_on(record: Told) -> str:
    """What there is to say about a record, or nothing."""
    if record.kind == RECORD_UNKNOWN_CALL:
        return f'the program asks for {system_call(record.number).name}, a system call that is not there (ENOSYS)'
    if record.kind != RECORD_REMARK:
        return ''
    about = record.words[0]
    if record.number == REMARK_WAITS_FOR_EVER and about == unsigned(NO_CALL):
        return 'the program is stopped for ever: there is nobody who could let it go on'
    if record.number == REMARK_WAITS_FOR_EVER:
        return f'the program would wait for ever in {system_call(about).name}: there is nobody who could wake it'
    return f'the kernel has remark {record.number} about {about:#x}'
