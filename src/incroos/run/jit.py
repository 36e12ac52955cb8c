"""The place `jit`: the kernel and the simulated computer compiled together, in a child process over shared RAM.

The child runs compiled code and nothing else: it sends serial output through a pipe, and when the computer stops, it
records why in the processor's struct and ends. The parent made the RAM and the processor; it hands on the output, keeps
the time, and outlives whatever the child does. The child ends with its parent.
"""

import ctypes
import faulthandler
import json
import os
import resource
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NoReturn, Self

from incroos.build.cache import PACKAGE, Cache, key_of
from incroos.build.codegen import compile_host, host_identity
from incroos.build.memory_code import CodeInMemory
from incroos.kernel.config import KernelConfig
from incroos.kernel.configs import CLASSIC
from incroos.machine import faults
from incroos.machine.cpu import ALL_FEATURES, NO_SITE, STOPPED_BY_HALT
from incroos.machine.lowering import LOWERINGS

from ..inspect.ram import RamMachine
from . import outcome
from .boot import Boot, Sink
from .channels import NO_CHANNELS, Channels, descriptor_of
from .framebuffer import Framebuffer
from .outcome import Outcome, Say, Status, Unusable
from .processor_code import CompiledProcessor
from .relay import Relay
from .simulated import CLASSIC_ENTRIES, START_INFO, Entries, EntryPoints, computer_with, outcome_of, prepare, unsent

SOURCES: Final = [PACKAGE / name for name in ('lang', 'kernel', 'guest', 'machine', 'build')] + [Path(__file__)]
OBJECT_FILE: Final = 'kernel.o'
SITES_FILE: Final = 'sites.json'

LIBC: Final = ctypes.CDLL(None)
PR_SET_PDEATHSIG: Final = 1  # Linux: prctl(2)
WAIT_SECONDS: Final = 60  # for the child to end once its output has

# The core hands a handler four words; an exception's handler takes the instruction's address and a site as well.
# Vector 6 carries the site of a check that failed, as on a real processor.
ADAPTERS: Final = """
define i64 @deliver_exception(i64 %cpu, i64 %kernel, i64 %vector, i64 %error) nounwind {
  %view = inttoptr i64 %kernel to ptr
  call void @"on_exception"(i64 %cpu, ptr %view, i64 %vector, i64 %error, i64 0, i64 0)
  ret i64 0
}
define i64 @deliver_trap(i64 %cpu, i64 %kernel, i64 %site, i64 %unused) nounwind {
  %view = inttoptr i64 %kernel to ptr
  call void @"on_exception"(i64 %cpu, ptr %view, i64 6, i64 0, i64 0, i64 %site)
  ret i64 0
}
"""
# Of a kernel that runs programs.
USER_ADAPTERS: Final = """
define i64 @deliver_user_trap(i64 %cpu, i64 %kernel, i64 %frame, i64 %unused) nounwind {
  %view = inttoptr i64 %kernel to ptr
  %registers = inttoptr i64 %frame to ptr
  call void @"on_trap"(i64 %cpu, ptr %view, ptr %registers)
  ret i64 0
}
define i64 @deliver_system_call(i64 %cpu, i64 %kernel, i64 %frame, i64 %unused) nounwind {
  %view = inttoptr i64 %kernel to ptr
  %registers = inttoptr i64 %frame to ptr
  %result = call i64 @"on_system_call"(i64 %cpu, ptr %view, ptr %registers)
  ret i64 %result
}
"""


@dataclass(frozen=True)
class KernelCode:
    """A kernel compiled for the simulated computer: an object, and the places where a checked build can stop."""

    object_bytes: bytes
    sites: list[str]
    config: KernelConfig = CLASSIC
    runs_programs: bool = False


def compile_kernel(
    entries: EntryPoints, config: KernelConfig = CLASSIC, checked: bool = False, *, is_quick: bool = False
) -> KernelCode:
    """Compile a kernel together with the computer that it runs on; a checked one is always built quickly."""
    from incroos.lang.frontend import compile_unit, simulated  # a warm start compiles nothing

    roots = {'main': entries.main, 'on_page_fault': entries.page_fault, 'on_exception': entries.exception}
    adapters = ADAPTERS
    if entries.trap is not None and entries.syscall is not None:
        roots |= {'on_trap': entries.trap, 'on_system_call': entries.syscall}
        adapters += USER_ADAPTERS
    unit = compile_unit(roots, simulated(LOWERINGS), config, checked)
    code = compile_host(unit.ir + adapters, is_quick=checked or is_quick)
    return KernelCode(code, unit.sites, config, entries.runs_programs)


def cached_kernel(
    say: Say,
    entries: Entries = CLASSIC_ENTRIES,
    config: KernelConfig = CLASSIC,
    checked: bool = False,
    *,
    is_quick: bool = False,
) -> KernelCode:
    """The same, from the cache where it is there. For entry points that lie in this package."""
    cache = Cache(say)
    paths = str(PACKAGE) if checked else ''  # the sites name files of this checkout
    key = key_of(
        SOURCES, ['jit', host_identity(), config.identity(), str(checked), str(is_quick), paths, *entries.names]
    )
    folder = cache.fetch(key)
    if folder is not None:
        sites = json.loads((folder / SITES_FILE).read_text())
        return KernelCode((folder / OBJECT_FILE).read_bytes(), sites, config, entries.runs_programs)
    say('building the kernel')
    code = compile_kernel(entries.loaded(), config, checked, is_quick=is_quick)
    cache.store(key, {OBJECT_FILE: code.object_bytes, SITES_FILE: json.dumps(code.sites).encode()})
    return code


def address_of(name: str) -> int:
    """Where a function of the C library begins."""
    address = ctypes.cast(getattr(LIBC, name), ctypes.c_void_p).value
    if address is None:
        raise Unusable(f'the C library has no function {name}: use --on sim')
    return address


class Guest:
    """A computer whose kernel runs in a child process, started by `with` and ended with the block.

    `ram` is its physical address space. Serial output goes to `console_sink` as it comes, else `console` keeps it.
    """

    def __init__(
        self,
        memory_bytes: int,
        code: KernelCode,
        console_sink: Callable[[bytes], object] | None = None,
        framebuffer: Framebuffer | None = None,
        features: int = ALL_FEATURES,
        module: bytes = b'',
        channels: Channels = NO_CHANNELS,
    ) -> None:
        try:
            self.computer = computer_with(memory_bytes, framebuffer, features)
        except (OSError, OverflowError) as error:
            raise Unusable(f'no room for {memory_bytes >> 20}M of simulated RAM ({error}): ask for less') from error
        self.ram = self.computer.ram
        self.code = code
        self._output = bytearray()
        self._sink = console_sink or self._output.extend
        self._channels = channels
        self._pipes: dict[int, Callable[[bytes], object]] = {}  # ends to read from, and who takes it
        self._status: int | None = None
        prepare(self.computer, self.poke, code.config, framebuffer, module)
        self._user = CompiledProcessor(self.computer, lambda _: None) if code.runs_programs else None

    def poke(self, pa: int, content: bytes) -> None:
        """Write RAM."""
        self.ram[pa : pa + len(content)] = content

    # -------------------------------------------------------------- the child
    def __enter__(self) -> Self:
        trap = ctypes.CFUNCTYPE(None, ctypes.c_int64)(self._trap)
        self._loaded = CodeInMemory(self.code.object_bytes, ctypes.cast(trap, ctypes.c_void_p).value or 0), trap
        self._connect(self._loaded[0])
        child_ends = self._open_channels()
        parent = os.getpid()
        try:
            self.pid = os.fork()
            if self.pid == 0:
                self._run(parent)
        except OSError:  # as many processes as the system allows
            self._close_pipes()
            raise
        finally:
            for child_end in child_ends:
                os.close(child_end)
        return self

    def _open_channels(self) -> list[int]:
        """Give the child its files; what the parent closes once the child has them."""
        cpu = self.computer.cpu
        child_ends = [self._pipe_to(self._sink)]
        cpu.serial_file = child_ends[0]
        pipes: dict[Sink, int] = {}  # one for outputs that are one file: what comes first must stay first
        for index, output in enumerate(self._channels.outputs):
            if output is not None:
                if output not in pipes:
                    pipes[output] = self._pipe_to(output)
                    child_ends.append(pipes[output])
                cpu.output_files[index] = pipes[output]
        child_ends.append(descriptor_of(self._channels.input))
        cpu.input_file = child_ends[-1]
        return child_ends

    def _pipe_to(self, sink: Callable[[bytes], object]) -> int:
        end, child_end = os.pipe()
        self._pipes[end] = sink
        return child_end

    def _close_pipes(self) -> None:
        for end in self._pipes:
            os.close(end)
        self._pipes.clear()

    def _connect(self, loaded: CodeInMemory) -> None:
        cpu = self.computer.cpu
        cpu.call_page_fault = loaded.address('on_page_fault')
        cpu.call_exception = loaded.address('deliver_exception')
        cpu.call_trap = loaded.address('deliver_trap')
        cpu.call_write, cpu.call_stop, cpu.call_pause = map(address_of, ('write', '_exit', 'sched_yield'))
        cpu.call_read, cpu.call_poll = address_of('read'), address_of('poll')
        if self._user is not None:
            cpu.user.call_trap = loaded.address('deliver_user_trap')
            cpu.user.call_system_call = loaded.address('deliver_system_call')

    def _run(self, parent: int) -> NoReturn:
        """What the child does."""
        try:
            if sys.platform == 'linux':
                LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
            if os.getppid() == parent:
                signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's affair
                signal.signal(signal.SIGWINCH, signal.SIG_DFL)  # and so is the window
                faulthandler.disable()
                resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
                cpu = self.computer.cpu
                self._loaded[0].function('main', 3)(cpu.addr, cpu.kernel, START_INFO)
                if self._user is not None:
                    self._user.run_ring3(cpu.addr)
                faults.stop(cpu, STOPPED_BY_HALT, 0)  # as the boot code does when the entry function returns
        finally:
            os._exit(1)

    def _trap(self, site: int) -> None:
        """A check failed at a site; in the child."""
        faults.trap(self.computer.cpu, site)

    # -------------------------------------------------------------- the parent
    def relay(self, seconds: float) -> bool:
        """Hand on the output until the child has closed it; False if that took longer."""
        channels = Relay()
        for end, sink in self._pipes.items():
            channels.add_pipe(end, sink)
        return channels.run(time.monotonic() + seconds, self._pipes)

    def console(self) -> bytes:
        """What came from the serial port and was relayed so far, if nobody else took it."""
        return bytes(self._output)

    def is_running(self) -> bool:
        """Has the child not ended yet?"""
        if self._status is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self._status = status
        return self._status is None

    def wait(self, seconds: float) -> Outcome:
        """Relay the output until the child has ended, and say how it did."""
        if not self.relay(seconds):
            return outcome.hang(seconds)
        deadline = time.monotonic() + WAIT_SECONDS
        while self.is_running():
            if time.monotonic() > deadline:
                return outcome.hang(seconds)
            time.sleep(0.001)
        return self._judge(self._status or 0)

    def _judge(self, status: int) -> Outcome:
        cpu = self.computer.cpu
        if os.WIFSIGNALED(status):
            name = signal.Signals(os.WTERMSIG(status)).name
            return Outcome(Status.PANIC, f'{name} ended the process of the compiled kernel')
        if cpu.trap_site != NO_SITE:
            return Outcome(Status.PANIC, f'a check failed at {self.code.sites[cpu.trap_site]}')
        return outcome_of(cpu)

    def __exit__(self, *_: object) -> None:
        if self.is_running():
            os.kill(self.pid, signal.SIGKILL)
            self._status = os.waitpid(self.pid, 0)[1]
        self._close_pipes()


def boot(wanted: Boot, code: KernelCode) -> Outcome:
    """Run a compiled kernel to its end."""
    with Guest(wanted.memory_bytes, code, wanted.console_sink) as guest:
        end = guest.wait(wanted.seconds)
    wanted.console_sink(unsent(guest.computer.cpu))
    if wanted.look:
        wanted.look(RamMachine(guest.ram, code.config))
    return end
