"""Calls that are not there: -ENOSYS, and each is named once."""

from typing import Final

from incroos.kernel import task
from incroos.kernel.abi.errno import ENOSYS
from incroos.kernel.state import RECORD_UNKNOWN_CALL, Kernel
from incroos.lang import cold, kernel, shl_wrap, word

NR_BITS: Final = 16 * 64  # of numbers that are remembered
WORD_SHIFT: Final = 6


@cold
@kernel
def unknown_call(k: Kernel, number: word) -> word:
    """Name the call to the host, unless that was done; numbers that Linux cannot have are not named."""
    if 0 <= number < NR_BITS:
        known = k.tasks.unknown_calls[number >> WORD_SHIFT]
        bit = shl_wrap(1, number & 63)
        if known & bit == 0:
            k.tasks.unknown_calls[number >> WORD_SHIFT] = known | bit
            task.put(k, task.new_record(k, RECORD_UNKNOWN_CALL, number))
    return -ENOSYS


@cold
@kernel
def absent_call(k: Kernel) -> word:
    """-ENOSYS without a word: for calls that programs try, and do without."""
    return -ENOSYS
