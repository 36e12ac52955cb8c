"""ioctl on terminals: settings, window, who is in the foreground.

A task in the background that would change them gets SIGTTOU, as one does that reads, SIGTTIN (job_control.py).
What is no call of a terminal's is -ENOTTY: there is no keyboard, screen or modem behind it that could be asked.
"""

from typing import Final

from incroos.kernel import task, vm
from incroos.kernel.abi import terminal_requests as requests
from incroos.kernel.abi.arguments import half, int_of, task_of, user_of
from incroos.kernel.abi.errno import EFAULT, EINVAL, EIO, ENOTTY, EPERM, ESRCH, result_of
from incroos.kernel.abi.job_control import check_foreground
from incroos.kernel.files import line_discipline, terminal_modes
from incroos.kernel.files.terminal import SIGWINCH, hand_on, is_controlled_by, set_window, terminal_of
from incroos.kernel.files.terminal_modes import TERMIOS_BYTES
from incroos.kernel.state import Kernel, leader_of
from incroos.kernel.state.terminal import Terminal
from incroos.lang import VirtAddr, apart, kernel, load16, load32, store16, word

WINDOW_BYTES: Final = 8
FLUSH_INPUT: Final = 0
FLUSH_OUTPUT: Final = 1
FLUSH_BOTH: Final = 2
STOP: Final = 0
START: Final = 1
NR_FLOW_ACTIONS: Final = 4


@apart
@kernel
def on_terminal(k: Kernel, request: word, argument: word) -> word:
    """What ioctl answers of the terminal."""
    terminal = terminal_of(k)
    match request:
        case requests.GET_MODES | requests.SET_MODES | requests.SET_MODES_WHEN_WRITTEN | requests.SET_MODES_AND_FLUSH:
            return modes(k, terminal, request, argument)
        case requests.SEND_BREAK | requests.SEND_LONG_BREAK:
            return check_foreground(k, terminal)
        case requests.STOP_OUTPUT:
            return control_flow(k, terminal, half(argument))
        case requests.FLUSH:
            return flush(k, terminal, half(argument))
        case requests.TAKE_CONTROL | requests.GIVE_UP_CONTROL:
            return change_control(k, terminal, request)
        case requests.GET_GROUP | requests.SET_GROUP | requests.GET_SESSION:
            return on_groups(k, terminal, request, argument)
        case requests.NR_UNWRITTEN:
            return result_of(vm.store32(user_of(k), argument, terminal.nr_pending))
        case requests.TYPE_BYTE:
            return -EIO
        case requests.GET_WINDOW:
            return put_window(k, terminal, argument)
        case requests.SET_WINDOW:
            return get_window(k, terminal, argument)
        case requests.NR_READABLE:
            return result_of(vm.store32(user_of(k), argument, line_discipline.nr_to_read(terminal)))
        case _:
            return -ENOTTY


# ------------------------------------------------------------------ settings
@kernel
def modes(k: Kernel, terminal: Terminal, request: word, argument: word) -> word:
    """TCGETS and the three that set."""
    at = k.files.piece
    if request == requests.GET_MODES:
        terminal_modes.put_termios(terminal, at)
        return result_of(vm.copy_out(user_of(k), argument, at, TERMIOS_BYTES))
    code = check_foreground(k, terminal)
    if code != 0:
        return code
    if vm.copy_in(user_of(k), at, argument, TERMIOS_BYTES) != 0:
        return -EFAULT
    input_before = terminal.input_modes
    local_before = terminal.local_modes
    if request == requests.SET_MODES_AND_FLUSH:
        forget_typed(k, terminal)
    terminal_modes.get_termios(terminal, at)
    line_discipline.on_new_modes(terminal, input_before, local_before)
    hand_on(k)
    task.wake(k, terminal.addr)
    return 0


@kernel
def forget_typed(k: Kernel, terminal: Terminal) -> None:
    """Forget what was typed and nobody has read."""
    line_discipline.flush(terminal)
    k.files.input_start = 0
    k.files.input_end = 0


@kernel
def flush(k: Kernel, terminal: Terminal, what: word) -> word:
    """TCFLSH."""
    code = check_foreground(k, terminal)
    if code != 0:
        return code
    if what > FLUSH_BOTH:
        return -EINVAL
    if what != FLUSH_OUTPUT:
        forget_typed(k, terminal)
    if what != FLUSH_INPUT:
        terminal.nr_pending = 0
    return 0


@kernel
def control_flow(k: Kernel, terminal: Terminal, what: word) -> word:
    """TCXONC. Nobody would understand what asks the one who types to stop."""
    code = check_foreground(k, terminal)
    if code != 0:
        return code
    if what >= NR_FLOW_ACTIONS:
        return -EINVAL
    if what == STOP:
        terminal.has_stopped = 1
    elif what == START:
        terminal.has_stopped = 0
        hand_on(k)
        task.wake(k, terminal.addr)
    return 0


@kernel
def put_window(k: Kernel, terminal: Terminal, to: word) -> word:
    """TIOCGWINSZ."""
    at = k.files.piece
    store16(k.m, at, terminal.rows)
    store16(k.m, VirtAddr(at + 2), terminal.columns)
    store16(k.m, VirtAddr(at + 4), terminal.width)
    store16(k.m, VirtAddr(at + 6), terminal.height)
    return result_of(vm.copy_out(user_of(k), to, at, WINDOW_BYTES))


@kernel
def get_window(k: Kernel, terminal: Terminal, source: word) -> word:
    """TIOCSWINSZ: the foreground group hears of it."""
    at = k.files.piece
    if vm.copy_in(user_of(k), at, source, WINDOW_BYTES) != 0:
        return -EFAULT
    terminal.width = load16(k.m, VirtAddr(at + 4))
    terminal.height = load16(k.m, VirtAddr(at + 6))
    if set_window(terminal, load16(k.m, at), load16(k.m, VirtAddr(at + 2))) != 0:
        task.send_to_group(k, terminal.foreground, SIGWINCH)
    return 0


# ------------------------------------------------------------------ sessions and groups
@kernel
def change_control(k: Kernel, terminal: Terminal, request: word) -> word:
    """TIOCSCTTY, TIOCNOTTY."""
    own = task_of(k)
    is_leader = leader_of(own).number == own.session
    if request == requests.GIVE_UP_CONTROL:
        if not is_controlled_by(terminal, own):
            return -ENOTTY
        if is_leader:
            task.leave_terminal(k)
        return 0
    if is_controlled_by(terminal, own) and is_leader:
        return 0
    if not is_leader or terminal.session != 0:
        return -EPERM
    terminal.session = own.session
    terminal.foreground = own.group
    return 0


@kernel
def on_groups(k: Kernel, terminal: Terminal, request: word, argument: word) -> word:
    """TIOCGPGRP, TIOCSPGRP, TIOCGSID."""
    own = task_of(k)
    if request == requests.SET_GROUP:
        return set_foreground(k, terminal, argument)
    if not is_controlled_by(terminal, own):
        return -ENOTTY
    value = terminal.foreground if request == requests.GET_GROUP else terminal.session
    return result_of(vm.store32(user_of(k), argument, value))


@kernel
def set_foreground(k: Kernel, terminal: Terminal, source: word) -> word:
    """TIOCSPGRP: a group of the same session."""
    code = check_foreground(k, terminal)
    if code != 0:
        return -ENOTTY if code == -EIO else code
    at = k.files.piece
    if vm.copy_in(user_of(k), at, source, 4) != 0:
        return -EFAULT
    group = load32(k.m, at)
    if int_of(group) < 0:
        return -EINVAL
    own = task_of(k)
    if not is_controlled_by(terminal, own):
        return -ENOTTY
    session = task.session_of_group(k, group)
    if session == 0:
        return -ESRCH
    if session != own.session:
        return -EPERM
    terminal.foreground = group
    return 0
