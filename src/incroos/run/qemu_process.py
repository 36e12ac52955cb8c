"""A QEMU process: found, started with its machine, and never left behind.

The serial port and the monitor are a pipe and a socket that QEMU inherits: nothing for others to find or for us to tidy
away. The virtual PC is QEMU's `pc` with a VGA card, one serial port and the exit port of the kernel;
it stands still until `go`.
"""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import tempfile
from io import FileIO
from pathlib import Path
from typing import IO, Final, Self

from incroos.build.held_signals import held_signals
from incroos.build.own_folder import own_folder
from incroos.kernel.codes import EXIT_PORT

from .firmware import PVH, image_options
from .free_memory import free_bytes
from .outcome import Unusable
from .qemu_monitor import Monitor, MonitorError, NoAnswer

PROGRAM: Final = 'qemu-system-x86_64'
START_SECONDS: Final = 60.0  # how long QEMU may take until it answers, also on a busy host
ENDING_SECONDS: Final = 5.0  # that a QEMU which closed its monitor has to end by itself
LAST_BYTES: Final = 200  # of its standard error, among which its last line is looked for
ADVICE: Final = f'install a working {PROGRAM} (on Debian and Ubuntu: apt install qemu-system-x86) or take --on jit'

ASK_FOR_LESS: Final = 'ask for less with --memory'

EXIT_OPTIONS: Final = ('-device', f'isa-debug-exit,iobase={EXIT_PORT:#x},iosize=1')

# Under KVM arch-capabilities is left out: a nested KVM offers the feature and then fails to set it.
PROCESSORS: Final = {'tcg': 'max', 'kvm': 'host,-arch-capabilities'}

HUGE_MEMORY: Final = 1 << 40  # of more, QEMU takes seconds to make lists
LISTED: Final = 4096 * 8 // 3  # of these bytes QEMU keeps one: three bits for each page
MUCH_MEMORY: Final = 8 << 30  # more is not set aside on the host: most of it is never touched. Takes QEMU 6.1 or newer


def find_qemu() -> str:
    """Where QEMU is. Raises Unusable where it is not installed."""
    program = shutil.which(PROGRAM)
    if program is None:
        raise Unusable(f'{PROGRAM} is not installed: {ADVICE}')
    return program


class SlowStart(Unusable):
    """QEMU has not answered within the time that it was given."""


class Qemu:
    """A QEMU, started by `with` and ended with the block."""

    def __init__(
        self,
        image: Path,
        memory_bytes: int,
        accel: str,
        *,
        extra: tuple[str, ...] = (),
        inherited: tuple[int, ...] = (),
        ram: IO[bytes] | None = None,
        start_seconds: float = START_SECONDS,
        can_exit: bool = True,
        firmware: str = PVH,
        processor: str = '',
    ) -> None:
        """Options of `extra` are added, and may name the descriptors of `inherited` as /dev/fd/N."""
        self._can_exit, self._firmware, self._processor = can_exit, firmware, processor
        self._inherited = inherited
        self._image, self._memory_bytes, self._accel = image, memory_bytes, accel
        self._extra, self._ram, self._start_seconds = extra, ram, start_seconds
        self._closing = contextlib.ExitStack()

    def __enter__(self) -> Self:
        with own_folder() as folder, contextlib.ExitStack() as closing:
            self._errors = closing.enter_context(tempfile.TemporaryFile())
            self._start(closing, folder)
            try:
                self.monitor.negotiate(self._start_seconds)
            except NoAnswer:
                advice = ADVICE if self._memory_bytes <= HUGE_MEMORY else ASK_FOR_LESS
                raise SlowStart(f'{PROGRAM} did not answer within {self._start_seconds:g} s: {advice}') from None
            except MonitorError as error:
                words = self.last_words_after(error)
                raise Unusable(f'{PROGRAM} does not work ({words}): {advice_about(words, self._accel)}') from None
            self._closing = closing.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._closing.close()

    def go(self) -> None:
        """Let the machine run."""
        try:
            self.monitor.execute('cont')
        except MonitorError as error:
            raise Unusable(f'{PROGRAM} does not obey its monitor ({error}): {ADVICE}') from error

    def end(self) -> None:
        """End the process with all that it may have started, and wait until it is gone."""
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()

    def last_words_after(self, error: MonitorError) -> str:
        """The last words of a QEMU with which something is wrong: it ends by itself now, or is ended."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(ENDING_SECONDS)
            return self.last_words()
        self.end()
        return str(error)

    def last_words(self) -> str:
        """The last line that QEMU wrote to its standard error, else how it ended."""
        size = self._errors.seek(0, os.SEEK_END)
        self._errors.seek(max(0, size - LAST_BYTES))
        lines = self._errors.read().decode(errors='replace').strip().splitlines()
        return lines[-1].strip() if lines else how_it_ended(self.process.returncode)

    def _start(self, closing: contextlib.ExitStack, folder: Path) -> None:
        """Start the process. The folder is for its own temporary files: it has none when its monitor answers."""
        program = find_qemu()
        refuse_lists_for(self._memory_bytes)
        ours, its_monitor = socket.socketpair()
        self.monitor = Monitor(closing.enter_context(ours))
        read_end, write_end = os.pipe()
        self.serial = closing.enter_context(FileIO(read_end))
        with FileIO(write_end, 'w') as its_serial, its_monitor:
            machine = machine_options(self._memory_bytes, self._accel, self._ram, self._processor)
            machine += image_options(self._firmware, self._image)
            machine += EXIT_OPTIONS if self._can_exit else ()
            channels = channel_options(its_serial.fileno(), its_monitor.fileno())
            inherited = [channel.fileno() for channel in (its_serial, its_monitor, self._ram) if channel is not None]
            try:
                with held_signals():
                    self.process = subprocess.Popen(
                        [*dying_with_parent(), program, *machine, *channels, *self._extra],
                        stdin=subprocess.DEVNULL,
                        stdout=subprocess.DEVNULL,
                        stderr=self._errors,
                        pass_fds=[*inherited, *self._inherited],
                        env={**os.environ, 'TMPDIR': str(folder)},
                        start_new_session=True,
                    )
                    closing.callback(self.end)
            except OSError as error:
                raise Unusable(f'{program} cannot be started ({error.strerror}): {ADVICE}') from error


def refuse_lists_for(memory_bytes: int) -> None:
    """Raise Unusable if QEMU's lists of the pages of so much RAM are more than this computer has free."""
    listed, free = memory_bytes // LISTED, free_bytes()
    if free is not None and listed > free:
        raise Unusable(f'{PROGRAM} takes {listed >> 20}M for lists of so much memory, of {free >> 20}M: {ASK_FOR_LESS}')


def how_it_ended(returncode: int) -> str:
    """The end of a process in words, as subprocess tells it: the status, or a signal's number with a minus."""
    if returncode >= 0:
        return f'exit status {returncode}'
    return f'{signal.Signals(-returncode).name} ended it'


def advice_about(last_words: str, accel: str) -> str:
    """What to do about a QEMU that did not start."""
    if 'guest memory' in last_words or 'phys-bits' in last_words:
        return ASK_FOR_LESS
    return 'take --accel tcg' if accel == 'kvm' else ADVICE


def machine_options(memory_bytes: int, accel: str, ram: IO[bytes] | None, processor: str = '') -> list[str]:
    """The virtual PC. With `ram`, an open file, the guest's RAM is that file, shared with whoever maps it.

    Without a model of the processor that is named, it has all that the accelerator has.
    """
    memory = f'{memory_bytes >> 10}k'
    shared = []
    if ram is not None:
        backend = f'memory-backend-file,id=ram,size={memory},mem-path=/dev/fd/{ram.fileno()},share=on'
        shared = ['-object', backend, '-machine', 'memory-backend=ram']
    elif memory_bytes > MUCH_MEMORY:
        backend = f'memory-backend-ram,id=ram,size={memory},reserve=off'
        shared = ['-object', backend, '-machine', 'memory-backend=ram']
    return [
        *('-nodefaults', '-no-user-config', '-display', 'none', '-vga', 'std', '-no-reboot', '-S'),
        *('-machine', 'pc', '-accel', accel, '-cpu', processor or PROCESSORS[accel], '-m', memory, *shared),
    ]


def channel_options(serial_fd: int, monitor_fd: int) -> list[str]:
    """The serial port and the monitor, on a pipe and a connected socket that QEMU inherits.

    A pipe, because a socket has room for some 280 unread bytes that come one by one, and the port loses the next.
    """
    return [
        *('-chardev', f'file,id=serial,path=/dev/fd/{serial_fd}', '-serial', 'chardev:serial'),
        *('-chardev', f'socket,id=monitor,fd={monitor_fd}', '-mon', 'chardev=monitor,mode=control'),
    ]


def dying_with_parent() -> list[str]:
    """What goes before a command to have it killed when the thread that started it ends. Only where util-linux is."""
    setpriv = shutil.which('setpriv')
    return [setpriv, '--pdeathsig', 'KILL', '--'] if setpriv else []
