"""The terminal: what the host's user types goes through the line discipline, and what programs write to the host.

    typed        host -> FilesState.input -> line_discipline -> queue -> a program's read
    written      a program's write, and echoes -> terminal_output -> pending -> host

There is one, if the run is interactive. It is the controlling terminal of one session, of which one group is in the
foreground: keys send signals to that, and the others may not read. Signals are returned, for `task` to send.

In what comes from the host, MESSAGE begins a message: MESSAGE again is that byte itself; otherwise a byte follows that
means a new size of the window, and then rows and columns, two bytes each, lowest first. A PC's serial port has no
messages.

Unit: the byte.
"""

from typing import Final

from incroos.kernel import heap, vm
from incroos.kernel.codes import (
    BAD_POINTER,
    IN_BACKGROUND,
    INPUT_FAILED,
    NO_DEVICE,
    NO_KERNEL_MEMORY,
    OK,
    WOULD_WAIT,
)
from incroos.kernel.devices import channels, program_clock
from incroos.kernel.files import line_discipline, terminal_modes
from incroos.kernel.files.flags import NONBLOCK
from incroos.kernel.files.line_discipline import NO_SIGNAL
from incroos.kernel.files.poll_events import BROKEN, CAN_READ, CAN_WRITE, HUNG_UP
from incroos.kernel.files.terminal_modes import LEAST, LINES, PROCESS, STOP_BACKGROUND, TIME
from incroos.kernel.files.terminal_output import put_processed
from incroos.kernel.files.waits import wait_unless_nonblocking
from incroos.kernel.state import ON_PC, ActionTable, File, Kernel, Node, RunInfo, Task, UserSpace, leader_of
from incroos.kernel.state.terminal import PENDING_BYTES, QUEUE_BYTES, Terminal
from incroos.lang import VirtAddr, fill, kernel, load8, shl_wrap, word

PIECE_BYTES: Final = 0x1000  # that are copied from a program at once

MESSAGE: Final = 0xFF
MESSAGE_BYTES: Final = 6  # with MESSAGE
KEEP_FREE: Final = 16  # of pending: what one byte that is written can become
OWN_DEVICE: Final = 5 << 8  # /dev/tty: the caller's controlling terminal
CONSOLE_DEVICE: Final = 5 << 8 | 1
SCREEN_DEVICE: Final = 4 << 8  # /dev/tty0

TENTH: Final = 100_000_000  # of a second, in nanoseconds

# What look answers beside signals
HANG_UP: Final = -1

SIGTTIN: Final = 21
SIGTTOU: Final = 22
SIGWINCH: Final = 28
IGNORE_HANDLER: Final = 1


# ------------------------------------------------------------------ start and end
@kernel
def init(k: Kernel, task: Task, info: RunInfo) -> word:
    """Make the terminal, and have the task's session control it: OK, NO_KERNEL_MEMORY."""
    at = heap.kmalloc(k, Terminal.SIZE)
    if at == 0:
        return NO_KERNEL_MEMORY
    fill(k.m, at, 0, Terminal.SIZE)
    terminal = Terminal(k.m, at)
    terminal_modes.set_defaults(terminal)
    line_discipline.begin(terminal)
    terminal.rows = info.rows if info.rows != 0 else terminal_modes.DEFAULT_ROWS
    terminal.columns = info.columns if info.columns != 0 else terminal_modes.DEFAULT_COLUMNS
    terminal.session = task.session
    terminal.foreground = task.group
    k.files.terminal = at
    channels.ask_input(k, channels.MOST_INPUT)
    return OK


@kernel
def close_terminal(k: Kernel) -> None:
    """Give the terminal's memory back, if there is one. PRE no file is open."""
    heap.kfree(k, k.files.terminal)
    k.files.terminal = VirtAddr(0)


@kernel
def terminal_of(k: Kernel) -> Terminal:
    """The terminal. PRE there is one."""
    return Terminal(k.m, k.files.terminal)


# ------------------------------------------------------------------ who may
@kernel
def is_controlled_by(terminal: Terminal, task: Task) -> bool:
    """Is it the controlling terminal of the task's session?"""
    return terminal.session != 0 and terminal.session == task.session


@kernel
def is_in_background(terminal: Terminal, task: Task) -> bool:
    """Is it the task's controlling terminal, and is another group in the foreground?"""
    has_other = terminal.foreground != 0 and terminal.foreground != task.group
    return is_controlled_by(terminal, task) and has_other


@kernel
def ignores(task: Task, signal: word) -> bool:
    """Is a signal blocked or ignored? Then it is no way to stop the task."""
    bit = shl_wrap(1, signal - 1)
    if task.blocked & bit != 0:
        return True
    actions = ActionTable(task.m, task.actions)
    return actions.with_action & bit != 0 and actions.actions[signal - 1].handler == IGNORE_HANDLER


@kernel
def open_by(k: Kernel, task: Task, node: Node, wants_control: bool) -> word:
    """A task opens it: OK, and the leader of a session without a terminal gets it, if nobody has it; NO_DEVICE."""
    if k.files.terminal == 0:
        return NO_DEVICE
    terminal = terminal_of(k)
    if node.rdev == OWN_DEVICE:
        return OK if is_controlled_by(terminal, task) else NO_DEVICE
    if wants_control and leader_of(task).number == task.session and terminal.session == 0:
        terminal.session = task.session
        terminal.foreground = task.group
    return OK


# ------------------------------------------------------------------ to the host
@kernel
def hand_on(k: Kernel) -> None:
    """Give the host what is to be written, unless output has stopped."""
    terminal = terminal_of(k)
    if terminal.nr_pending != 0 and terminal.has_stopped == 0:
        channels.put_output(k, channels.OUTPUT, terminal.pending.addr, terminal.nr_pending)
        terminal.nr_pending = 0


@kernel
def write(k: Kernel, user: UserSpace, file: File, source: VirtAddr, nbytes: word) -> word:
    """Write bytes of a program's memory: how many.

    BAD_POINTER, INPUT_FAILED (nobody is there any more), IN_BACKGROUND, MUST_WAIT, WOULD_WAIT.
    """
    terminal = terminal_of(k)
    own = Task(k.m, k.tasks.current)
    if terminal.is_gone != 0:
        return INPUT_FAILED
    if terminal.local_modes & STOP_BACKGROUND != 0 and is_in_background(terminal, own) and not ignores(own, SIGTTOU):
        k.files.signal = SIGTTOU
        return IN_BACKGROUND
    if terminal.has_stopped != 0 and nbytes > 0:
        return wait_unless_nonblocking(k, file, k.files.terminal, 0)
    return write_all(k, terminal, user, source, nbytes)


@kernel
def write_all(k: Kernel, terminal: Terminal, user: UserSpace, source: VirtAddr, nbytes: word) -> word:
    """Write what is to be written: how many bytes, or BAD_POINTER if none could be read."""
    done = 0
    while done < nbytes:
        part = min(PIECE_BYTES, nbytes - done)
        nr_copied = vm.copy_in_some(user, k.files.piece, VirtAddr(source + done), part)
        put_piece(k, terminal, nr_copied)
        done += nr_copied
        if nr_copied < part:
            return done if done > 0 else BAD_POINTER
    return done


@kernel
def put_piece(k: Kernel, terminal: Terminal, nbytes: word) -> None:
    """Write bytes of the kernel's buffer."""
    hand_on(k)
    if terminal.output_modes & PROCESS == 0:
        channels.put_output(k, channels.OUTPUT, k.files.piece, nbytes)
        return
    for index in range(nbytes):
        if terminal.nr_pending > PENDING_BYTES - KEEP_FREE:
            hand_on(k)
        put_processed(terminal, load8(k.m, VirtAddr(k.files.piece + index)))
    hand_on(k)


# ------------------------------------------------------------------ from the host
@kernel
def look(k: Kernel) -> word:
    """Take what was typed: NO_SIGNAL when there is no more, or no room for it; a signal for the foreground group;
    HANG_UP. PRE there is a terminal. After a signal, what came behind it is still to be looked at.
    """
    terminal = terminal_of(k)
    files = k.files
    if terminal.is_gone != 0:
        return NO_SIGNAL
    signal = take_typed(k, terminal)
    if signal == NO_SIGNAL and channels.has_input(k):
        nr_come = channels.take_input(k, VirtAddr(files.input + files.input_end), channels.MOST_INPUT - files.input_end)
        if nr_come <= 0:
            terminal.is_gone = 1
            terminal.has_news = 1
            return HANG_UP
        files.input_end += nr_come
        signal = take_typed(k, terminal)
    if files.input_end < channels.MOST_INPUT:
        channels.ask_input(k, channels.MOST_INPUT - files.input_end)
    hand_on(k)
    return signal


@kernel
def take_typed(k: Kernel, terminal: Terminal) -> word:
    """Take bytes of the input buffer, up to the first that means a signal: that, or NO_SIGNAL."""
    files = k.files
    signal = NO_SIGNAL
    while signal == NO_SIGNAL and files.input_start < files.input_end:
        if not line_discipline.has_room(terminal):
            return signal_behind(k, terminal)
        if terminal.nr_pending > PENDING_BYTES // 2:
            hand_on(k)
        char = load8(k.m, VirtAddr(files.input + files.input_start))
        files.input_start += 1
        signal = take_byte(k, terminal, char)
    if files.input_start == files.input_end:
        files.input_start = 0
        files.input_end = 0
    return signal


@kernel
def signal_behind(k: Kernel, terminal: Terminal) -> word:
    """Nothing more has room, and nobody may ever read it: take up to the first key for a signal; NO_SIGNAL: none."""
    files = k.files
    for at in range(files.input_start, files.input_end):
        char = load8(k.m, VirtAddr(files.input + at))
        if line_discipline.means_signal(terminal, char):
            files.input_start = at + 1
            return line_discipline.receive(terminal, char)
    return NO_SIGNAL


@kernel
def take_byte(k: Kernel, terminal: Terminal, char: word) -> word:
    """Take a byte that has come, a part of a message or one that was typed: its signal, or NO_SIGNAL."""
    terminal.has_news = 1
    if k.tasks.flags & ON_PC == 0 and (terminal.nr_told != 0 or char == MESSAGE):
        if terminal.nr_told != 1 or char != MESSAGE:
            return take_message(terminal, char)
        terminal.nr_told = 0
    return line_discipline.receive(terminal, char)


@kernel
def take_message(terminal: Terminal, char: word) -> word:
    """Take a byte of a message: the signal that the window has another size, or NO_SIGNAL."""
    terminal.told[terminal.nr_told] = char
    terminal.nr_told += 1
    if terminal.nr_told < MESSAGE_BYTES:
        return NO_SIGNAL
    terminal.nr_told = 0
    return set_window(terminal, terminal.told[2] | terminal.told[3] << 8, terminal.told[4] | terminal.told[5] << 8)


@kernel
def set_window(terminal: Terminal, rows: word, columns: word) -> word:
    """The window has so many rows and columns: SIGWINCH, or NO_SIGNAL if it had before."""
    if terminal.rows == rows and terminal.columns == columns:
        return NO_SIGNAL
    terminal.rows = rows
    terminal.columns = columns
    return SIGWINCH


# ------------------------------------------------------------------ to programs
@kernel
def read(k: Kernel, user: UserSpace, file: File, to: VirtAddr, nbytes: word) -> word:
    """Read a line or a part of it, or what came raw: how many bytes.

    BAD_POINTER, INPUT_FAILED, IN_BACKGROUND, MUST_WAIT, WOULD_WAIT.
    """
    terminal = terminal_of(k)
    own = Task(k.m, k.tasks.current)
    if is_in_background(terminal, own):
        k.files.signal = SIGTTIN
        return INPUT_FAILED if ignores(own, SIGTTIN) else IN_BACKGROUND
    if nbytes == 0:
        return 0
    nr_readable = line_discipline.nr_readable(terminal)
    if terminal.local_modes & LINES == 0 and terminal.is_gone == 0:
        code = wait_for_least(k, terminal, own, file, nr_readable, nbytes)
        if code != OK:
            return code
    elif nr_readable == 0:
        own.deadline = 0  # another task may have ended raw mode meanwhile
        return 0 if terminal.is_gone != 0 else wait_unless_nonblocking(k, file, k.files.terminal, 0)
    return copy_typed(terminal, user, to, nbytes)


@kernel
def wait_for_least(k: Kernel, terminal: Terminal, own: Task, file: File, nr_readable: word, nbytes: word) -> word:
    """OK if a read in raw mode ends with what there is; else MUST_WAIT, WOULD_WAIT.

    TIME is a limit for the whole read if LEAST is 0, else between two bytes. The task may be woken before that.
    """
    least = terminal.keys[LEAST]
    span = terminal.keys[TIME] * TENTH
    if nr_readable >= max(min(least, nbytes), 1) or (least == 0 and span == 0):
        return OK
    if file.flags & NONBLOCK != 0:
        return OK if nr_readable > 0 else WOULD_WAIT
    now = program_clock.since_start(k)
    if span == 0 or (least != 0 and nr_readable == 0):
        own.deadline = 0
    elif own.deadline == 0 or terminal.nr_seen != nr_readable:
        own.deadline = now + span
        terminal.nr_seen = nr_readable
    elif now >= own.deadline:
        return OK  # nothing has come in time
    return wait_unless_nonblocking(k, file, k.files.terminal, 0)


@kernel
def copy_typed(terminal: Terminal, user: UserSpace, to: VirtAddr, nbytes: word) -> word:
    """Copy what can be read to a program, and forget it: how many bytes; BAD_POINTER."""
    done = 0
    is_over = False
    while done < nbytes and not is_over:
        part = line_discipline.next_part(terminal, nbytes - done)
        source = VirtAddr(terminal.queue.addr + terminal.tail % QUEUE_BYTES)
        nr_copied = vm.copy_out_some(user, VirtAddr(to + done), source, part) if part > 0 else 0
        if nr_copied < part and done + nr_copied == 0:
            return BAD_POINTER
        is_over = line_discipline.consume(terminal, nr_copied) or nr_copied < part or part == 0
        done += nr_copied
    return done


@kernel
def can_read(k: Kernel) -> bool:
    """Whether there is something to be read."""
    return line_discipline.nr_readable(terminal_of(k)) > 0


@kernel
def ready_events(k: Kernel) -> word:
    """What can be done with it at once, as poll says."""
    terminal = terminal_of(k)
    if terminal.is_gone != 0:
        return CAN_READ | CAN_WRITE | BROKEN | HUNG_UP
    least = 1
    if terminal.local_modes & LINES == 0 and terminal.keys[TIME] == 0:
        least = max(terminal.keys[LEAST], 1)
    events = CAN_READ if line_discipline.nr_readable(terminal) >= least else 0
    return events | (CAN_WRITE if terminal.has_stopped == 0 else 0)
