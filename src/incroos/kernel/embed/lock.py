"""The lock: taken and released round each call of the library where the surrounding kernel has hooks for that.

A panic in a call ends in the panic hook, and the call never comes to its end. So whoever has panicked has the lock for
good: calls that the hook makes pass it, on that processor alone. Others wait in their own call of the hook `lock`, and
do not meet what the panic left. Unit: the call. What the wrappers of build/c_library.py call.
"""

from typing import Final

from incroos.kernel.arch.apic import read_apic_id
from incroos.kernel.state import Kernel
from incroos.lang import call4, cold, kernel, word

NOT_TAKEN: Final = 0


@cold
@kernel
def take(k: Kernel) -> word:
    """Take the lock; what release wants to know. PRE there are hooks for the lock."""
    if is_passed(k):
        return NOT_TAKEN
    hooks = k.hooks.hooks
    return call4(k.m, hooks.lock, hooks.context, 0, 0, 0)


@cold
@kernel
def release(k: Kernel, taken: word) -> None:
    """Release it, with what take returned."""
    if not is_passed(k):
        hooks = k.hooks.hooks
        call4(k.m, hooks.unlock, hooks.context, taken, 0, 0)


@kernel
def is_passed(k: Kernel) -> bool:
    """Whether this processor is in the panic hook. Asks the processor who it is only when one of them is there."""
    return k.hooks.panicking != 0 and k.hooks.panicking == read_apic_id(k.m) + 1
