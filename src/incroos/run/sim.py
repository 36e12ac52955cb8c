"""The place `sim`: the kernel interpreted by CPython on the strict simulated computer.

`Sim` is a computer in the boot state whose kernel functions a test calls one by one; `boot` runs an entry function to
its end. What the strict machine refuses, and every other Python exception in kernel code, counts as a panic of the
kernel, with the line that did it.
"""

import contextlib
import ctypes
import threading
from collections.abc import Callable
from typing import Any, Final

from incroos.kernel import layout
from incroos.kernel.config import KernelConfig
from incroos.kernel.configs import CLASSIC
from incroos.kernel.state import Kernel
from incroos.lang import VirtAddr
from incroos.machine import faults
from incroos.machine.cpu import ALL_FEATURES
from incroos.machine.errors import MachineStopped, SimulationError, line_of
from incroos.machine.strict import MAX_RAM, SimulatedMachine

from ..inspect.ram import RamMachine
from . import outcome
from .boot import Boot
from .channels import NO_CHANNELS, Channels, drop, interpreted_source, interpreted_wait
from .framebuffer import Framebuffer
from .interpreted_processor import InterpretedProcessor
from .names import made
from .outcome import Outcome, Status, Unusable
from .simulated import CLASSIC_ENTRIES, START_INFO, Entries, computer_with, outcome_of, prepare

NO_SITE: Final = 0  # interpreted code has no sites: it raises
SECONDS_BETWEEN_RINGS: Final = 0.1


class Sim:
    """A computer in the boot state. `kernel` is its Kernel struct, which the kernel's init functions fill.

    `features` are what not every processor has: see machine/cpu.py.
    """

    def __init__(
        self,
        memory_bytes: int,
        config: KernelConfig = CLASSIC,
        entries: Entries = CLASSIC_ENTRIES,
        console_sink: Callable[[bytes], object] | None = None,
        framebuffer: Framebuffer | None = None,
        features: int = ALL_FEATURES,
        module: bytes = b'',
        channels: Channels = NO_CHANNELS,
    ) -> None:
        if memory_bytes > MAX_RAM:
            raise Unusable(
                f'the interpreted computer has at most {MAX_RAM >> 20}M of RAM: ask for that, or compile with --on jit'
            )
        functions = entries.loaded()
        self.output = bytearray()
        self.computer = computer_with(memory_bytes, framebuffer, features)
        self.machine = SimulatedMachine(self.computer, config)
        self.kernel = Kernel(self.machine, VirtAddr(config.image_window + layout.KERNEL_STATE))
        self.ram = self.computer.ram
        prepare(self.computer, self.machine.poke, config, framebuffer, module)
        self.user = InterpretedProcessor(self, functions) if entries.runs_programs else None
        self.machine.connect(
            page_fault=lambda error, ip: functions.page_fault(self.kernel, error, VirtAddr(ip)),
            exception=lambda vector, error: functions.exception(self.kernel, vector, error, VirtAddr(0), NO_SITE),
            write=console_sink or self.output.extend,
            pause=lambda: None,
            outputs=[output or drop for output in channels.outputs],
            read=interpreted_source(channels.input),
            wait=interpreted_wait(channels.input),
        )

    def console(self) -> bytes:
        """What came from the serial port so far, if nobody else took it."""
        return bytes(self.output)

    def start(self, entry: Callable[..., Any]) -> None:
        """Call an entry function of the kernel as the boot code does."""
        entry(self.kernel, START_INFO)

    def run_ring3(self) -> None:
        """Run programs, if the kernel does, until the computer stops."""
        if self.user is not None:
            self.user.run_ring3()


def boot(wanted: Boot, entries: Entries = CLASSIC_ENTRIES) -> Outcome:
    """Run the kernel to its end."""
    sim = Sim(wanted.memory_bytes, made(wanted.config), entries, wanted.console_sink)
    end = run(sim, entries.loaded().main, wanted.seconds)
    if wanted.look:
        wanted.look(RamMachine(sim.ram, made(wanted.config)))
    return end


def run(sim: Sim, entry: Callable[..., Any], timeout: float) -> Outcome:
    """Call an entry function as the boot code does, and say how the computer ended."""
    alarm = Alarm(timeout)
    try:
        with alarm:
            sim.start(entry)
            sim.run_ring3()
            sim.machine.halt()  # as the boot code does when the entry function returns
    except MachineStopped:
        return outcome_of(sim.computer.cpu)
    except TimeIsOver:
        alarm.leave()
        return outcome.hang(timeout)
    except SimulationError as error:
        return Outcome(Status.PANIC, f'{error.what}, at {error.line}')
    except Exception as error:
        return Outcome(Status.PANIC, f'{type(error).__name__}: {error}, at {line_of(error)}')
    finally:
        faults.flush_serial(sim.computer.cpu)  # it sends whole lines, and the run may have ended within one
    raise AssertionError('the computer neither stopped nor failed')


class TimeIsOver(BaseException):
    """Raised in the thread that an Alarm guards."""


class Alarm:
    """Raises TimeIsOver in the thread that entered it, if it has not left after so many seconds.

    One that comes while a destructor or a callback runs is lost there, so it rings again and again. A ring that falls
    just between the end of the block and `leave` comes out of the block; whoever catches it leaves, before the next.
    """

    def __init__(self, seconds: float) -> None:
        self._thread = ctypes.c_ulong(threading.get_ident())
        self._lock = threading.Lock()
        self._left = threading.Event()
        self._has_rung = False
        self._ringer = threading.Thread(target=self._ring, args=(seconds,), daemon=True)

    def __enter__(self) -> None:
        self._ringer.start()

    def __exit__(self, *_: object) -> None:
        self.leave()

    def leave(self) -> None:
        """Have it not ring any more."""
        with self._lock:
            self._left.set()
        if self._has_rung:
            self._hear()

    def _hear(self) -> None:
        """Have the last ring not come any more, if nobody has heard it yet.

        It is heard here, since to withdraw it leaves CPython 3.11 looking for an exception at each call for ever: slow,
        and a function that is called under a profiler never begins.
        """
        with contextlib.suppress(TimeIsOver):
            while True:
                self._raise()

    def _raise(self) -> None:
        ctypes.pythonapi.PyThreadState_SetAsyncExc(self._thread, ctypes.py_object(TimeIsOver))

    def _ring(self, seconds: float) -> None:
        while not self._left.wait(seconds):
            with self._lock:
                if not self._left.is_set():
                    self._has_rung = True
                    self._raise()
            seconds = SECONDS_BETWEEN_RINGS
