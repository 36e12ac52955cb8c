"""Hooks: how the kernel's code reaches the kernel that it is a library of, where config.embedded is set.

Unit: the character. A hook is a function in C whose address stands in the Kernel struct; it is called with the context
of its owner and up to three words more. Text is gathered and handed over a line's worth at a time.
"""

from typing import Final

from incroos.kernel.arch.apic import read_apic_id
from incroos.kernel.state import HOOK_TEXT_BYTES, HookState, Kernel
from incroos.lang import VirtAddr, call4, fill, kernel, word

# HOOKS-1  0 <= nr_waiting < HOOK_TEXT_BYTES between calls

TEXT_BYTES: Final = HOOK_TEXT_BYTES


@kernel
def clear(k: Kernel) -> None:
    """Begin without hooks."""
    fill(k.m, k.hooks.addr, 0, HookState.SIZE)


@kernel
def put_char(k: Kernel, char: word) -> None:
    """Keep a character for the hook that writes; hand over what waits when there is no room for more."""
    state = k.hooks
    state.text[state.nr_waiting] = char
    state.nr_waiting += 1
    if state.nr_waiting == TEXT_BYTES:
        flush(k)


@kernel
def flush(k: Kernel) -> None:
    """Hand over the text that waits."""
    state = k.hooks
    nbytes = state.nr_waiting
    state.nr_waiting = 0
    if state.hooks.write != 0 and nbytes != 0:
        call4(k.m, state.hooks.write, state.hooks.context, state.text.addr, nbytes, 0)


@kernel
def report_panic(k: Kernel, site: bytes, a: word, b: word, c: word) -> None:
    """Tell the hook for panics what is broken; it should not return. From now on this processor passes the lock."""
    state = k.hooks
    report = state.report
    report.nbytes = min(len(site), TEXT_BYTES - 1)
    for index in range(report.nbytes):
        state.site[index] = site[index]
    state.site[report.nbytes] = 0
    report.text = VirtAddr(state.site.addr)
    report.a = a
    report.b = b
    report.c = c
    state.panicking = read_apic_id(k.m) + 1
    call4(k.m, state.hooks.panic, state.hooks.context, report.addr, 0, 0)
