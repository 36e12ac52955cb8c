"""Ring 3 in `sim`: the loop interpreted, Unicorn by its C functions, and what the strict machine checks there."""

import ctypes
import struct
import sys
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from incroos.build.memory_code import CodeInMemory
from incroos.lang import VirtAddr
from incroos.lang.words import signed, unsigned
from incroos.machine import architecture as arch
from incroos.machine import ring3, unicorn
from incroos.machine.cpu import Cpu
from incroos.machine.interrupts import FAR

from .processor_code import cached_counter
from .simulated import EntryPoints
from .user_processor import Callbacks, UserProcessor

if TYPE_CHECKING:
    from .sim import Sim

SECONDS_BETWEEN_TICKS: Final = 0.1


class InterpretedProcessor:
    """Unicorn for an interpreted kernel. A kernel function is only called when the engine has stopped."""

    def __init__(self, sim: 'Sim', entries: EntryPoints) -> None:
        from incroos.kernel.state.registers import Registers

        self.sim, self.cpu = sim, sim.computer.cpu
        self.processor = UserProcessor(sim.computer)
        self.thunks = Thunks(self.cpu)
        self.thunks.tell = self._tell
        self.processor.hook(self.thunks.callbacks())
        self._counter = CodeInMemory(cached_counter(lambda _: None))
        self.processor.hook_blocks(self._counter.address('on_block'))
        self._start = self._function('uc_emu_start', ctypes.c_uint64, ctypes.c_uint64, ctypes.c_uint64, ctypes.c_size_t)
        self._control = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p, ctypes.c_size_t)(
            self.processor.address_of('uc_ctl')
        )
        self._is_running = False
        self._ticking = threading.Lock()
        memory, user, state = sim.computer.memory, self.cpu.user, self.processor.state
        state.call_start, state.call_control = memory.register(self._call_start), memory.register(self._call_control)
        state.call_address = memory.register(lambda *_: ctypes.c_int64.from_address(state.invalid_address).value)
        state.call_count = memory.register(lambda *_: 0)  # blocks are counted from the beginning
        user.call_run = memory.register(self._call_run)
        user.call_save_vectors = memory.register(lambda *_: unicorn.save_vectors(self.cpu) or 0)
        user.call_load_vectors = memory.register(lambda *_: unicorn.load_vectors(self.cpu) or 0)
        kernel = sim.kernel
        trap, system_call = entries.trap, entries.syscall
        assert trap is not None
        assert system_call is not None

        def call_trap(_cpu: int, _kernel: int, frame: int, _: int) -> int:
            trap(kernel, Registers(sim.machine, VirtAddr(frame)))
            return 0

        def call_system_call(_cpu: int, _kernel: int, frame: int, _: int) -> int:
            return int(system_call(kernel, Registers(sim.machine, VirtAddr(frame))))

        user.call_trap, user.call_system_call = memory.register(call_trap), memory.register(call_system_call)

    def _function(self, name: str, *kinds: type) -> 'ctypes._CFunctionType':
        return ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, *kinds)(self.processor.address_of(name))

    def run_ring3(self) -> None:
        """Run programs until the computer stops; see Ticker."""
        with Ticker(self), Rescue(self.thunks):
            ring3.run_ring3(self.cpu)

    # -------------------------------------------------------------- what the interpreted core calls
    def _call_run(self, *_: int) -> int:
        self.sim.machine.check_user_pages()
        unicorn.run(self.cpu)
        return 0

    def _call_start(self, _state: int, rip: int, *_: int) -> int:
        if self.cpu.user.is_timed == 0:
            self.cpu.user.code_left = FAR
        self._is_running = True
        try:
            error = int(self._start(self.processor.handle, unsigned(rip), 0, 0, 0))
        finally:
            with self._ticking:
                self._is_running = False
        self.thunks.check()
        return error

    def _call_control(self, _state: int, control: int, address: int, count: int) -> int:
        return int(self._control(self.processor.handle, control, address, count))

    def _tell(self, cpu: object, va: VirtAddr, kind: int) -> int:
        return self.sim.machine.tell_user_page(va, kind)

    def tick(self) -> None:
        """Have the engine return soon, so that Python can look for signals; it goes on then.

        Its next block finds that there is no time left. To stop the engine from here would not do: if it is asking for
        a page, it executes the instruction that asked once more.
        """
        with self._ticking:
            if self._is_running and self.cpu.user.is_timed == 0:
                self.cpu.user.code_left = 0


class Thunks:
    """Callbacks into interpreted code. What is raised in one is kept: C would lose it."""

    def __init__(self, cpu: Cpu) -> None:
        self.cpu = cpu
        self.raised: BaseException | None = None
        pointer, word, whole = ctypes.c_void_p, ctypes.c_uint64, ctypes.c_uint32
        self._kept = {
            'fill': ctypes.CFUNCTYPE(ctypes.c_bool, pointer, word, whole, pointer, pointer)(self._fill),
            'system_call': self._thunk([pointer, pointer], unicorn.note_system_call),
            'interrupt': self._thunk([pointer, whole, pointer], unicorn.note_interrupt, 1),
            'port_in': self._thunk([pointer, whole, whole, pointer], unicorn.note_port),
            'port_out': self._thunk([pointer, whole, whole, whole, pointer], unicorn.note_port),
            'sysenter': self._thunk([pointer, pointer], unicorn.note_port),
            'cpuid': self._thunk([pointer, pointer], unicorn.answer_cpuid),
        }
        self.tell = unicorn.fill

    def callbacks(self) -> Callbacks:
        """Their addresses."""
        return Callbacks(**{name: ctypes.cast(thunk, ctypes.c_void_p).value or 0 for name, thunk in self._kept.items()})

    def _thunk(self, kinds: list[Any], function: Callable[..., None], nr_words: int = 0) -> Any:
        def call(_engine: int, *words: int) -> int:
            try:
                function(self.cpu, *words[:nr_words])
            except BaseException as error:
                self.fail(error)
            return 1  # CPUID was answered

        return ctypes.CFUNCTYPE(ctypes.c_int, *kinds)(call)

    def _fill(self, _engine: int, va: int, kind: int, entry: int, _cpu: int) -> bool:
        try:
            told = self.tell(self.cpu, VirtAddr(signed(va)), kind)
        except BaseException as error:
            self.fail(error)
            return False
        if told < 0:
            return False
        struct.pack_into('<QI', (ctypes.c_char * 12).from_address(entry), 0, told & -arch.PAGE_BYTES, told & 7)
        return True

    def fail(self, error: BaseException) -> None:
        """Keep an exception for the return from the engine, and have it return."""
        self.raised = self.raised or error
        unicorn.stop_engine(self.cpu)

    def check(self) -> None:
        """Raise what was kept."""
        if self.raised is not None:
            error, self.raised = self.raised, None
            raise error


class Rescue:
    """Keeps what is raised in a callback before its first line: Ctrl-C and the alarm come there while the engine runs.

    Python has no place to raise it and calls the hook for such; the exception is raised when the engine has returned.
    """

    def __init__(self, thunks: Thunks) -> None:
        self._thunks = thunks

    def __enter__(self) -> None:
        self._before = sys.unraisablehook
        sys.unraisablehook = self._take

    def __exit__(self, *_: object) -> None:
        sys.unraisablehook = self._before

    def _take(self, unraisable: 'sys.UnraisableHookArgs') -> None:
        error = unraisable.exc_value
        if error is None or isinstance(error, Exception):
            self._before(unraisable)
        else:
            self._thunks.fail(error)


class Ticker:
    """Stops the engine now and then: a program may run for ever, and Ctrl-C and the alarm are Python's to notice."""

    def __init__(self, processor: InterpretedProcessor) -> None:
        self._processor = processor
        self._left = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._left.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._left.wait(SECONDS_BETWEEN_TICKS):
            self._processor.tick()
