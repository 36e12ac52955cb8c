"""A program in ring 3 of the simulated computer: its kernel interpreted (sim) or compiled (jit)."""

from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from typing import Final

from ..inspect.ram import RamMachine
from . import outcome
from .channels import Channels
from .names import made
from .outcome import Outcome, Status
from .program import Program, Ran, Recorder, RecordSink, time_is_over
from .simulated import ON_EXCEPTION, ON_PAGE_FAULT, NamedEntries, unsent

RUN_ENTRIES: Final = NamedEntries(
    'incroos.kernel.boot.run.run_main',
    ON_PAGE_FAULT,
    ON_EXCEPTION,
    trap='incroos.kernel.trap.entry.on_trap',
    syscall='incroos.kernel.abi.entry.on_syscall',
)
EVER: Final = 20 * 86400.0  # seconds, where no time is set: what poll(2) can wait for is less than 25 days


def run(place: str, wanted: Program, module: bytes, debugger: AbstractContextManager[object] | None = None) -> Ran:
    """Run a program on a kernel that is made first. `debugger` is entered round an interpreted one."""
    recorder = Recorder(wanted)
    channels = Channels((wanted.output, wanted.errors, RecordSink(recorder)), wanted.input)
    seconds = EVER if wanted.seconds is None else wanted.seconds
    if place == 'sim':
        machine = run_interpreted(wanted, module, channels, seconds, debugger or nullcontext())
    else:
        machine = run_compiled(wanted, module, channels, seconds)
    return recorder.ran(of_program(machine, seconds))


def run_interpreted(
    wanted: Program, module: bytes, channels: Channels, seconds: float, debugger: AbstractContextManager[object]
) -> Outcome:
    from . import sim

    entries = RUN_ENTRIES.loaded()
    computer = sim.Sim(
        wanted.memory_bytes, made(wanted.config), entries, wanted.console, module=module, channels=channels
    )
    with debugger:
        end = sim.run(computer, entries.main, seconds)
    if wanted.look:
        wanted.look(RamMachine(computer.ram, made(wanted.config)))
    return end


def run_compiled(wanted: Program, module: bytes, channels: Channels, seconds: float) -> Outcome:
    from . import jit

    code = jit.cached_kernel(wanted.progress, RUN_ENTRIES, made(wanted.config), wanted.is_checked)
    with jit.Guest(wanted.memory_bytes, code, wanted.console, module=module, channels=channels) as guest:
        end = guest.wait(seconds)
    wanted.console(unsent(guest.computer.cpu))
    if wanted.look:
        wanted.look(RamMachine(guest.ram, code.config))
    return end


def of_program(machine: Outcome, seconds: float) -> Outcome:
    """The computer's outcome, where nobody asked for the kernel but for a program."""
    if machine == outcome.hang(seconds):
        return time_is_over(seconds)
    if machine.status == Status.HANG:  # it halted
        return replace(machine, status=Status.PANIC)
    return machine
