"""Panic: a broken invariant is a bug. Says where and which, and ends the machine with a status of its own.

In a library (config.embedded), the kernel that it is linked into is told, and says and ends what it likes.
"""

from incroos.kernel.codes import EXIT_PANIC, EXIT_PORT
from incroos.kernel.io import console, hooks
from incroos.kernel.state import Kernel
from incroos.lang import Machine, cold, disable_interrupts, halt, kernel, out8, word


@cold
@kernel
def panic(k: Kernel, site: bytes, a: word, b: word, c: word) -> None:
    """Print `PANIC: <site> <a> <b> <c>`, the words in hexadecimal, and end the machine. Never returns.

    Needs console.init. A panic inside a panic, as when printing faults, ends the machine in silence.
    """
    disable_interrupts(k.m)
    k.console.nr_panics += 1
    if k.config.embedded != 0:
        hand_over(k, site, a, b, c)
    if k.console.nr_panics == 1:
        report(k, site, a, b, c)
    end_machine(k.m, EXIT_PANIC)


@kernel
def hand_over(k: Kernel, site: bytes, a: word, b: word, c: word) -> None:
    """Leave it to the kernel that this is a library of, once, and never go on. Never returns."""
    if k.console.nr_panics == 1:
        hooks.report_panic(k, site, a, b, c)
    while True:
        disable_interrupts(k.m)
        halt(k.m)


@kernel
def report(k: Kernel, site: bytes, a: word, b: word, c: word) -> None:
    """Put the line of a panic."""
    console.put_text(k, b'PANIC: ')
    console.put_text(k, site)
    put_word(k, a)
    put_word(k, b)
    put_word(k, c)
    console.put_text(k, b'\n')


@kernel
def put_word(k: Kernel, value: word) -> None:
    """Put a blank and value in hexadecimal."""
    console.put_text(k, b' 0x')
    console.put_hex(k, value)


@kernel
def end_machine(m: Machine, code: word) -> None:
    """Let the console send what it has, write the code to the exit port, or else halt for ever. Never returns."""
    console.drain(m)
    out8(m, EXIT_PORT, code)
    while True:
        halt(m)
