"""Calls about signals: what a program says it will do with them, and those that it sends itself."""

from typing import Final

from incroos.kernel import task, vm
from incroos.kernel.abi.arguments import half, int_of, task_of, user_of
from incroos.kernel.abi.errno import EFAULT, EINVAL, ENOMEM, ESRCH, result_of
from incroos.kernel.state import NOBODY, NR_SIGNALS, Kernel, SignalAction
from incroos.kernel.task.signals import SIGKILL, SIGSEGV, SIGSTOP, UNBLOCKABLE, bit_of, is_ignored
from incroos.lang import VirtAddr, apart, copy, kernel, load64, store64, word

SET_BYTES: Final = 8
BLOCK: Final = 0
UNBLOCK: Final = 1
SET: Final = 2

STACK_BYTES: Final = 24
DISABLE: Final = 2  # of sigaltstack
ONE_TIME: Final = -1 << 31  # SS_AUTODISARM, as an int
LEAST_STACK: Final = 2048


@apart
@kernel
def rt_sigaction(k: Kernel, signal: word, source: word, to: word, set_bytes: word) -> word:
    number = half(signal)
    if set_bytes != SET_BYTES or not 1 <= number <= NR_SIGNALS:
        return -EINVAL
    if source != 0 and (number == SIGKILL or number == SIGSTOP):
        return -EINVAL
    action = task_of(k).actions[number - 1]
    fresh = k.files.piece
    if source != 0 and vm.copy_in(user_of(k), fresh, source, SignalAction.SIZE) != 0:
        return -EFAULT
    if to != 0 and vm.copy_out(user_of(k), to, VirtAddr(action.addr), SignalAction.SIZE) != 0:
        return -EFAULT
    if source != 0:
        copy(k.m, VirtAddr(action.addr), fresh, SignalAction.SIZE)
        action.mask = action.mask & ~UNBLOCKABLE
        if is_ignored(task_of(k), number):
            task_of(k).pending &= ~bit_of(number)
    return 0


@apart
@kernel
def rt_sigprocmask(k: Kernel, how: word, source: word, to: word, set_bytes: word) -> word:
    own = task_of(k)
    if set_bytes != SET_BYTES:
        return -EINVAL
    before = own.blocked
    if source != 0:
        code, given = vm.load64(user_of(k), source)
        if code != 0:
            return -EFAULT
        wanted = given & ~UNBLOCKABLE
        if half(how) > SET:
            return -EINVAL
        if half(how) == BLOCK:
            wanted = before | wanted
        elif half(how) == UNBLOCK:
            wanted = before & ~given
        own.blocked = wanted
    if to != 0 and vm.store64(user_of(k), to, before) != 0:
        return -EFAULT
    task.notice(k, own)
    return 0


@apart
@kernel
def rt_sigpending(k: Kernel, to: word, set_bytes: word) -> word:
    if not 0 <= set_bytes <= SET_BYTES:
        return -EINVAL
    at = k.files.piece
    store64(k.m, at, task_of(k).pending & task_of(k).blocked)
    return result_of(vm.copy_out(user_of(k), to, at, set_bytes))


@apart
@kernel
def sigaltstack(k: Kernel, source: word, to: word) -> word:
    own = task_of(k)
    kept = VirtAddr(own.alternate_stack.addr)
    fresh = k.files.piece
    if source != 0 and vm.copy_in(user_of(k), fresh, source, STACK_BYTES) != 0:
        return -EFAULT
    flags = int_of(load64(k.m, VirtAddr(fresh + 8))) if source != 0 else 0
    if source != 0:
        mode = flags & ~ONE_TIME
        if not 0 <= mode <= DISABLE:
            return -EINVAL
        if mode != DISABLE and 0 <= load64(k.m, VirtAddr(fresh + 16)) < LEAST_STACK:
            return -ENOMEM
    if to != 0:
        copy(k.m, VirtAddr(fresh + STACK_BYTES), kept, STACK_BYTES)
        if own.alternate_stack[2] == 0:
            store64(k.m, VirtAddr(fresh + STACK_BYTES + 8), DISABLE)
        if vm.copy_out(user_of(k), to, VirtAddr(fresh + STACK_BYTES), STACK_BYTES) != 0:
            return -EFAULT
    if source != 0:
        is_off = flags & DISABLE != 0
        own.alternate_stack[0] = 0 if is_off else load64(k.m, fresh)
        own.alternate_stack[1] = 0 if is_off else flags & 0x8000_0000
        own.alternate_stack[2] = 0 if is_off else load64(k.m, VirtAddr(fresh + 16))
    return 0


# ------------------------------------------------------------------ sending
@kernel
def send(k: Kernel, signal: word) -> word:
    """Send the task that calls a signal; 0 is none, and asks whether one could be sent."""
    number = int_of(signal)
    if not 0 <= number <= NR_SIGNALS:
        return -EINVAL
    if number != 0:
        task.send(k, task_of(k), number)
    return 0


@apart
@kernel
def kill(k: Kernel, number: word, signal: word) -> word:
    """To itself, or to its group, in which it is alone."""
    whom = int_of(number)
    if not 0 <= int_of(signal) <= NR_SIGNALS:
        return -EINVAL
    own = task_of(k).number
    if whom == own or whom == 0 or (whom == -own and own != 1):
        return send(k, signal)
    return -ESRCH


@apart
@kernel
def tkill(k: Kernel, number: word, signal: word) -> word:
    if int_of(number) <= 0 or not 0 <= int_of(signal) <= NR_SIGNALS:
        return -EINVAL
    return send(k, signal) if int_of(number) == task_of(k).number else -ESRCH


@apart
@kernel
def tgkill(k: Kernel, group: word, number: word, signal: word) -> word:
    if int_of(group) <= 0:
        return -EINVAL
    if int_of(number) > 0 and int_of(group) != task_of(k).number:
        return -ESRCH
    return tkill(k, number, signal)


@apart
@kernel
def rt_sigsuspend(k: Kernel, source: word, set_bytes: word) -> word:
    if set_bytes != SET_BYTES:
        return -EINVAL
    code, mask = vm.load64(user_of(k), source)
    if code != 0:
        return -EFAULT
    task_of(k).blocked = mask & ~UNBLOCKABLE
    task.wait_on(k, NOBODY)
    return 0


@apart
@kernel
def pause(k: Kernel) -> word:
    task.wait_on(k, NOBODY)
    return 0


@apart
@kernel
def rt_sigreturn(k: Kernel) -> word:
    """No handler was called: there is nothing to return from, and the program ends as by a bad frame."""
    task.end_by_signal(k, task_of(k), SIGSEGV)
    return 0
